// SPDX-License-Identifier: BSD-3-Clause
// The images of a command that looks below files: opened even where no volume
// header is usable, with a map of the space that a walk claims.
//
// Contexts: the tool's main thread.
// Failure: Failure, with the headers' error.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "lib/hammer2/check/arena.h"
#include "lib/hammer2/check/space.h"
#include "lib/hammer2/inspect/medium.h"
#include "lib/hammer2/inspect/topology.h"
#include "tools/h2/volume.h"

namespace odo::h2 {

// Whether the byte at `offset`, in the space of all volumes, is in the block
// that `ref` refers to.
[[nodiscard]] inline bool holds(const hammer2::format::Blockref& ref,
                                std::uint64_t offset) {
  return ref.data_off != 0 && offset >= ref.offset() &&
         ((offset - ref.offset()) >> ref.radix()) == 0;
}

class Inspected {
 public:
  using Medium = hammer2::inspect::Medium<block::FileDevice>;
  using Walk = hammer2::inspect::TopologyWalk<Medium::Reader>;

  explicit Inspected(const std::vector<std::string>& names)
      : images_(std::make_shared<const Images>(names)),
        memory_(memory_for(*images_), MAP_NORESERVE,
                "not enough memory for a walk"),
        arena_(memory_.bytes()),
        medium_(
            std::make_unique<Medium>(hammer2::VerifyChecks(host_checks()))) {
    const auto opened = medium_->open(images_->devices(), arena_);
    if (!opened) throw failure(opened.error());
    if (!space_.init(arena_, medium_->volumes().info().total_bytes)) {
      throw Failure("not enough memory for a map of the volumes");
    }
  }

  [[nodiscard]] const std::shared_ptr<const Images>& images() const {
    return images_;
  }
  [[nodiscard]] Medium& medium() { return *medium_; }
  [[nodiscard]] const hammer2::VolumeInfo& info() const {
    return medium_->volumes().info();
  }
  [[nodiscard]] hammer2::audit::Arena& arena() { return arena_; }
  [[nodiscard]] hammer2::audit::SpaceMap& space() { return space_; }

  [[nodiscard]] Failure failure(const hammer2::Error& error) const {
    return Failure(images_->name() + ": " + text_of(error));
  }
  // Header number `index`.
  [[nodiscard]] std::vector<std::byte> header(unsigned index) {
    const auto header = medium_->header(index);
    if (!header) throw failure(header.error());
    return {header->begin(), header->end()};
  }
  // A walk that is ready; one at a time.
  [[nodiscard]] std::unique_ptr<Walk> walk() {
    auto walk =
        std::make_unique<Walk>(medium_->volumes(), medium_->reader(), space_);
    if (!walk->init(arena_)) throw Failure("not enough memory for a walk");
    return walk;
  }

 private:
  // Fixed parts, the map of space at a 1000th, and as much for the rest. Only
  // what is used is ever touched.
  static std::size_t memory_for(const Images& images) {
    std::size_t bytes = std::size_t{256} << 20;
    for (const block::FileDevice* device : images.devices()) {
      bytes += device->size_bytes() / 256;
    }
    return bytes;
  }

  std::shared_ptr<const Images> images_;
  MappedMemory memory_;
  hammer2::audit::Arena arena_;
  std::unique_ptr<Medium> medium_;
  hammer2::audit::SpaceMap space_;
};

}  // namespace odo::h2
