// SPDX-License-Identifier: BSD-3-Clause
// The tree that is shown: read from the disks until the first change, and from
// the volume that is being changed from then on.
//
// Nobody writes to a disk who only looks at it: begin_changes() takes the
// memory for writing, and readers see from there on what is not on disk yet.
//
// Contexts: thread, one at a time; blocks where the disks do.
// Ownership: refers to ground, devices and memory, which outlive it. Takes
//   about 20 KiB: pages or static memory, not a stack.
// Failure: hammer2::Error.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "lib/base/bytes.h"
#include "lib/check/checks.h"
#include "lib/hammer2/check_codes.h"
#include "lib/hammer2/error.h"
#include "lib/hammer2/filesystem.h"
#include "lib/hammer2/types.h"
#include "lib/hammer2/write/ground.h"
#include "lib/hammer2/write/live_view.h"
#include "lib/hammer2/write/volume.h"

namespace odo::monitor {

template <hammer2::write::Ground G>
class MountedTree {
 public:
  using Device = typename G::Device;
  using Volume = hammer2::write::Volume<G>;
  template <class T>
  using Result = hammer2::Result<T>;

  static constexpr std::size_t kMinMemoryBytes =
      hammer2::FileSystem<Device>::kMinMemoryBytes;
  static constexpr std::size_t kMaxVolumes = 64;

  MountedTree(G& ground, check::Checks checks, MutableBytes memory)
      : memory_(memory),
        fs_(hammer2::VerifyChecks(checks)),
        volume_(ground, checks) {}
  MountedTree(const MountedTree&) = delete;
  MountedTree& operator=(const MountedTree&) = delete;

  // Whatever was open is forgotten, with all that was not synced.
  [[nodiscard]] Result<void> open(std::span<Device* const> devices) {
    forget();
    device_count_ = std::min(devices.size(), kMaxVolumes);
    std::copy_n(devices.begin(), device_count_, devices_.begin());
    return fs_.open(devices, memory_);
  }
  void forget() {
    view_.close();
    volume_.forget();
    is_changing_ = false;
  }

  // Makes ready for changes of `pfs`: its root becomes `root`. A second time,
  // nothing happens.
  [[nodiscard]] Result<void> begin_changes(const hammer2::Pfs& pfs,
                                           hammer2::Node& root) {
    if (is_changing_) return {};
    const std::span devices = std::span(devices_).first(device_count_);
    auto result = volume_.open(devices, limits());
    if (result) result = view_.root(pfs, root);
    if (!result) {
      forget();
      return result;
    }
    is_changing_ = true;
    return {};
  }
  [[nodiscard]] bool is_changing() const { return is_changing_; }
  [[nodiscard]] Result<void> sync() {
    if (!is_changing_) return {};
    return volume_.sync();
  }
  // sync(), and then forgets what is open whether that went well or not.
  [[nodiscard]] Result<void> close() {
    const Result<void> synced = sync();
    forget();
    return synced;
  }

  // After begin_changes().
  [[nodiscard]] Volume& volume() { return volume_; }
  [[nodiscard]] hammer2::write::LiveView<G>& view() { return view_; }

  // --- As FileSystem ---------------------------------------------------------
  [[nodiscard]] hammer2::VolumeInfo info() const {
    return is_changing_ ? view_.info() : fs_.info();
  }
  [[nodiscard]] Result<bool> next_pfs(hammer2::DirCursor& cursor,
                                      hammer2::Pfs& out) {
    return with([&](auto& tree) { return tree.next_pfs(cursor, out); });
  }
  [[nodiscard]] Result<void> root(const hammer2::Pfs& pfs, hammer2::Node& out) {
    return with([&](auto& tree) { return tree.root(pfs, out); });
  }
  [[nodiscard]] Result<void> node_by_inum(const hammer2::Node& any,
                                          std::uint64_t inum,
                                          hammer2::Node& out) {
    return with([&](auto& tree) { return tree.node_by_inum(any, inum, out); });
  }
  [[nodiscard]] Result<void> resolve(const hammer2::Node& start,
                                     std::string_view path,
                                     hammer2::FollowLast follow,
                                     hammer2::Node& out) {
    return with(
        [&](auto& tree) { return tree.resolve(start, path, follow, out); });
  }
  [[nodiscard]] Result<bool> read_directory(const hammer2::Node& directory,
                                            hammer2::DirCursor& cursor,
                                            hammer2::DirEntry& out) {
    return with([&](auto& tree) {
      return tree.read_directory(directory, cursor, out);
    });
  }
  [[nodiscard]] Result<std::size_t> read(const hammer2::Node& file,
                                         std::uint64_t offset,
                                         MutableBytes to) {
    return with([&](auto& tree) { return tree.read(file, offset, to); });
  }
  [[nodiscard]] Result<std::size_t> read_link(const hammer2::Node& link,
                                              MutableBytes to) {
    return with([&](auto& tree) { return tree.read_link(link, to); });
  }

 private:
  // As much for changes as the reader has, within what a volume can use.
  [[nodiscard]] hammer2::write::Limits limits() const {
    hammer2::write::Limits limits;
    const std::size_t part = memory_.size() / 4;
    limits.cache_bytes = std::max(part, kMinMemoryBytes);
    limits.chain_bytes = std::max(part, kLeastPart);
    limits.data_bytes = std::max(part, kLeastPart);
    limits.dedup_entries = 1024;
    return limits;
  }

  template <class Use>
  auto with(Use use) {
    return is_changing_ ? use(view_) : use(fs_);
  }

  static constexpr std::size_t kLeastPart = 256 * std::size_t{1024};

  MutableBytes memory_;
  std::array<Device*, kMaxVolumes> devices_{};
  std::size_t device_count_ = 0;
  hammer2::FileSystem<Device> fs_;
  Volume volume_;
  hammer2::write::LiveView<G> view_{volume_};
  bool is_changing_ = false;
};

}  // namespace odo::monitor
