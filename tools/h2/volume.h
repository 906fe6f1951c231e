// SPDX-License-Identifier: BSD-3-Clause
// The images that a host tool works on, opened as one filesystem.
//
// Contexts: Images any, once they are there; a Volume one thread at a time. Any
// number of Volumes may read the same Images at once.
// Failure: every function that fails has said why, in one line on stderr, as
// an exception of type Failure carries it to main().
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/block/host/image_file.h"
#include "lib/check/vector/host_cpu.h"
#include "lib/check/vector/vector_checks.h"
#include "lib/hammer2/check/walk.h"
#include "lib/hammer2/filesystem.h"
#include "lib/hammer2/format/constants.h"
#include "lib/hammer2/format/volume_header.h"
#include "lib/hammer2/volume_set.h"
#include "lib/hammer2/write/waiting_log.h"

namespace odo::h2 {

// One line for the user; main() prints it and exits with 1.
class Failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

using FileSystem = hammer2::FileSystem<block::FileDevice>;

[[nodiscard]] inline std::string text_of(const hammer2::Error& error) {
  std::string buffer(hammer2::kErrorTextBytes, '\0');
  return std::string(hammer2::error_text(error, buffer));
}

[[nodiscard]] inline check::Checks host_checks() {
  return check::Checks(check::vector_engines(check::host_features()));
}

// The volumes of one filesystem: raw images, disks, or images compressed with
// zstd. A compressed one is unpacked once, here.
class Images {
 public:
  explicit Images(const std::vector<std::string>& names)
      : name_(names.front()) {
    devices_.reserve(names.size());
    for (const std::string& name : names) {
      auto device = block::open_image(name);
      if (!device) throw Failure(device.error());
      devices_.push_back(std::move(*device));
    }
    pointers_.reserve(devices_.size());
    for (block::FileDevice& device : devices_) pointers_.push_back(&device);
    tell_of_waiting_log();
  }
  Images(const Images&) = delete;
  Images& operator=(const Images&) = delete;

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::span<block::FileDevice* const> devices() const {
    return pointers_;
  }

 private:
  // What else is wrong with them others tell.
  void tell_of_waiting_log() {
    hammer2::VolumeSet<block::FileDevice> volumes;
    std::vector<std::byte> header(hammer2::format::kVolumeHeaderBytes);
    if (!std::ranges::any_of(devices_, hammer2::write::may_have_log) ||
        !volumes.open(devices(), hammer2::VerifyChecks(host_checks()),
                      header) ||
        !hammer2::write::log_waits(volumes)) {
      return;
    }
    std::cerr << name_
              << ": what was fsynced last is in its log and not shown; a "
                 "mount with --rw, or `h2 bulkfree`, brings it back\n";
  }

  std::string name_;  // of the first, for messages
  std::vector<block::FileDevice> devices_;
  std::vector<block::FileDevice*> pointers_;
};

// Memory that costs nothing until it is touched.
class MappedMemory {
 public:
  // `flags` beside those of private memory; `failure` is what to say.
  MappedMemory(std::size_t bytes, int flags, const char* failure)
      : bytes_(bytes),
        first_(::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0)) {
    if (first_ == MAP_FAILED) throw Failure(failure);
  }
  MappedMemory(const MappedMemory&) = delete;
  MappedMemory& operator=(const MappedMemory&) = delete;
  ~MappedMemory() { ::munmap(first_, bytes_); }

  [[nodiscard]] MutableBytes bytes() const {
    return {static_cast<std::byte*>(first_), bytes_};
  }

 private:
  std::size_t bytes_;
  void* first_;
};

// For a check of so many bytes of volumes: a 16th, which suffices for volumes
// full of inodes that several snapshots share, and 1 GiB to begin with; only
// what is used is touched.
[[nodiscard]] constexpr std::size_t check_memory_bytes(std::uint64_t total) {
  return (std::size_t{1} << 30) + static_cast<std::size_t>(total / 16);
}
// How many blocks it reads again because snapshots share them: 64 times all
// that there can be, so that only who made a volume to that end meets it.
[[nodiscard]] constexpr std::uint64_t check_shared_blocks(std::uint64_t total) {
  return std::max(hammer2::audit::Limits{}.shared_blocks,
                  total / hammer2::format::kMinAllocBytes * 64);
}

// The same for a reader, by large pages: a cache that fills meets a page fault
// for each.
class ReaderMemory : public MappedMemory {
 public:
  explicit ReaderMemory(std::size_t bytes)
      : MappedMemory(align_up(bytes, kLargePageBytes), 0,
                     "not enough memory for the cache") {
    const MutableBytes all = this->bytes();
    ::madvise(all.data(), all.size(), MADV_HUGEPAGE);  // a wish
  }

 private:
  static constexpr std::size_t kLargePageBytes = std::size_t{2} << 20;
};

class Volume {
 public:
  static constexpr std::size_t kMemoryBytes = std::size_t{64} << 20;

  explicit Volume(const std::vector<std::string>& images)
      : Volume(std::make_shared<const Images>(images), kMemoryBytes) {}

  // `memory_bytes` is what the reader uses, mostly for its block cache.
  Volume(std::shared_ptr<const Images> images, std::size_t memory_bytes)
      : images_(std::move(images)), memory_(memory_bytes) {
    const auto opened = fs_.open(images_->devices(), memory_.bytes());
    if (!opened) throw failure(opened.error());
  }

  [[nodiscard]] FileSystem& fs() { return fs_; }

  [[nodiscard]] Failure failure(const hammer2::Error& error,
                                const std::string& path = {}) const {
    const std::string& name = images_->name();
    const std::string where = path.empty() ? name : name + ": " + path;
    return Failure(where + ": " + text_of(error));
  }

  // The PFS of that label, or the default one for an empty label.
  [[nodiscard]] hammer2::Pfs pfs_of(const std::string& label) {
    hammer2::Pfs pfs;
    const auto found =
        label.empty() ? fs_.default_pfs(pfs) : fs_.find_pfs(label, pfs);
    if (!found) {
      throw failure(found.error(), label.empty() ? label : "@" + label);
    }
    return pfs;
  }

  [[nodiscard]] hammer2::Node root_of(const std::string& label) {
    return root_of(pfs_of(label));
  }

  [[nodiscard]] hammer2::Node root_of(const hammer2::Pfs& pfs) {
    hammer2::Node root;
    if (const auto done = fs_.root(pfs, root); !done) {
      throw failure(done.error());
    }
    return root;
  }

  [[nodiscard]] hammer2::Node find(const std::string& label,
                                   const std::string& path,
                                   hammer2::FollowLast follow) {
    const hammer2::Node root = root_of(label);
    hammer2::Node node;
    if (const auto found = fs_.resolve(root, path, follow, node); !found) {
      throw failure(found.error(), path);
    }
    return node;
  }

 private:
  std::shared_ptr<const Images> images_;
  ReaderMemory memory_;
  FileSystem fs_{hammer2::VerifyChecks(host_checks())};
};

}  // namespace odo::h2
