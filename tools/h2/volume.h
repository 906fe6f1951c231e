// SPDX-License-Identifier: BSD-3-Clause
// The images that a command of `h2` works on, opened as one filesystem.
//
// Contexts: the tool's one thread.
// Failure: every function that fails has said why, in one line on stderr, as
// an exception of type Failure carries it to main().
#pragma once

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "lib/block/host/image_file.h"
#include "lib/check/vector/host_cpu.h"
#include "lib/check/vector/vector_checks.h"
#include "lib/hammer2/filesystem.h"

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

class Volume {
 public:
  explicit Volume(const std::vector<std::string>& images)
      : name_(images.front()), memory_(kMemoryBytes) {
    devices_.reserve(images.size());
    for (const std::string& image : images) {
      auto device = block::open_image(image);
      if (!device) throw Failure(device.error());
      devices_.push_back(std::move(*device));
    }
    std::vector<block::FileDevice*> pointers;
    pointers.reserve(devices_.size());
    for (block::FileDevice& device : devices_) pointers.push_back(&device);
    if (const auto opened = fs_.open(pointers, memory_); !opened) {
      throw failure(opened.error());
    }
  }

  [[nodiscard]] FileSystem& fs() { return fs_; }

  [[nodiscard]] Failure failure(const hammer2::Error& error,
                                const std::string& path = {}) const {
    const std::string where = path.empty() ? name_ : name_ + ": " + path;
    return Failure(where + ": " + text_of(error));
  }

  // The PFS of that label, or the default one for an empty label.
  [[nodiscard]] hammer2::Node root_of(const std::string& label) {
    hammer2::Pfs pfs;
    const auto found =
        label.empty() ? fs_.default_pfs(pfs) : fs_.find_pfs(label, pfs);
    if (!found) {
      throw failure(found.error(), label.empty() ? label : "@" + label);
    }
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
  static constexpr std::size_t kMemoryBytes = std::size_t{64} << 20;

  std::string name_;  // of the first image, for messages
  std::vector<block::FileDevice> devices_;
  std::vector<std::byte> memory_;
  FileSystem fs_{hammer2::VerifyChecks(host_checks())};
};

}  // namespace odo::h2
