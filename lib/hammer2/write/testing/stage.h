// SPDX-License-Identifier: BSD-3-Clause
// A formatted disk, a volume on it, and the model that it is held against.
//
// Contexts: tests.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/check.h"
#include "lib/hammer2/filesystem.h"
#include "lib/hammer2/testing/model/file_tree.h"
#include "lib/hammer2/testing/model/operation.h"
#include "lib/hammer2/testing/model/volume_description.h"
#include "lib/hammer2/testing/run_check.h"
#include "lib/hammer2/write/format_volume.h"
#include "lib/hammer2/write/host/ground.h"
#include "lib/hammer2/write/testing/driver.h"
#include "lib/hammer2/write/write_behind.h"

namespace odo::hammer2::write::testing {

inline constexpr std::string_view kLabel = "DATA";

[[nodiscard]] inline std::string text_of(const Error& error) {
  std::array<char, kErrorTextBytes> buffer;
  return std::string(error_text(error, buffer));
}

template <class Disk>
[[nodiscard]] Result<void> format_disk(Disk& disk, std::uint32_t first_id = 1) {
  alignas(64) static std::array<std::byte, format::kVolumeHeaderBytes> memory;
  const std::array<std::string_view, 1> labels = {kLabel};
  FormatOptions options;
  options.labels = labels;
  options.boot_bytes = std::uint64_t{8} << 20;
  options.aux_bytes = std::uint64_t{8} << 20;
  for (std::size_t i = 0; i < options.ids.size(); ++i) {
    options.ids[i].time_low = static_cast<std::uint32_t>(first_id + i);
  }
  Disk* disks[] = {&disk};
  return format_volume<Disk>(disks, options, memory, {});
}

// What a reader finds on a device; `why` where it finds nothing.
template <class Device>
[[nodiscard]] model::Description describe_device(Device& device,
                                                 std::string_view label,
                                                 std::string& why) {
  static std::vector<std::byte> memory(FileSystem<Device>::kMinMemoryBytes);
  static auto fs = std::make_unique<FileSystem<Device>>();
  Device* devices[] = {&device};
  Pfs pfs;
  Node root;
  const auto described = [&]() -> Result<model::Description> {
    ODO_TRY_VOID(fs->open(devices, memory));
    ODO_TRY_VOID(fs->find_pfs(label, pfs));
    ODO_TRY_VOID(fs->root(pfs, root));
    return model::describe_volume(*fs, root);
  }();
  if (described) return *described;
  why = text_of(described.error());
  return {};
}

// The first complaint of a complete check; empty where there is none. A header
// that was torn isn't counted: it is the one that was being written.
template <class Device>
[[nodiscard]] std::string complaint_about(Device& device) {
  Device* devices[] = {&device};
  const auto result =
      hammer2::testing::run_check<Device>(devices, audit::Limits{});
  for (const auto& found : result.findings) {
    if (found.finding.rule == audit::Rule::kVolumeHeader) continue;
    return found.text + " " + found.path;
  }
  return {};
}

template <block::WritableBlockDevice Disk, class StageGround = HostGround<Disk>>
class Stage {
 public:
  // Memory so small that blocks are on their way all the time.
  static constexpr Limits kTight = {.cache_bytes = std::size_t{1} << 20,
                                    .chain_bytes = std::size_t{64} << 10,
                                    .data_bytes = std::size_t{128} << 10,
                                    .dedup_entries = 64};

  explicit Stage(Disk& disk) : disk_(disk) {
    tree_.set_now(now_us_);
    for (WriteBehind<StageGround>& behind : behind_) ODO_CHECK(behind.init());
  }
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;
  ~Stage() { leave(); }

  [[nodiscard]] Result<void> enter(const Limits& limits = kTight) {
    ground_.stop_clock(now_us_);
    Disk* disks[] = {&disk_};
    ODO_TRY_VOID(volume_.open(disks, limits));
    ODO_TRY(root_, volume_.open_pfs(kLabel));
    driver_ = std::make_unique<Driver<StageGround>>(volume_, *root_);
    return {};
  }
  // As when the process is gone: nothing is synced.
  void leave() {
    let_go();
    volume_.forget();
  }
  [[nodiscard]] Result<void> close() {
    let_go();
    return volume_.close();
  }

  struct Step {
    std::string disagreement;    // empty where both do the same
    std::optional<Error> fault;  // of the medium; the model then did nothing
  };

  // One operation, here and in the model.
  [[nodiscard]] Step perform(const model::Operation& operation) {
    now_us_ += 1000;
    ground_.stop_clock(now_us_);
    const auto outcome = driver_->perform(operation);
    if (outcome.fault) return {{}, outcome.fault};
    tree_.set_now(now_us_);
    const auto expected = model::perform(tree_, operation);
    if (model::to_string(expected) == model::to_string(outcome.result)) {
      return {};
    }
    return {model::to_string(operation) + ": should be " +
                std::string(model::to_string(expected)) + ", is " +
                std::string(model::to_string(outcome.result)),
            {}};
  }

  // Has a block of file data stored, and others at work before and after it is
  // encoded; they may do the same `once` more.
  template <class Work>
  [[nodiscard]] Result<bool> store_beside(Work work, bool once = false) {
    struct Away {
      Work& work;
      void unlock() { work(); }
      void lock() { work(); }
    };
    Away away{work};
    return behind_[once ? 1 : 0].store_one(away);
  }

  // Time in which nothing happens.
  void wait(std::uint64_t us) { now_us_ += us; }

  [[nodiscard]] StageGround& ground() { return ground_; }
  [[nodiscard]] Volume<StageGround>& volume() { return volume_; }
  [[nodiscard]] OpenInode& root() { return *root_; }
  [[nodiscard]] const model::FileTree& tree() const { return tree_; }
  // Goes back to what was synced.
  void set_tree(const model::FileTree& tree) { tree_ = tree; }

 private:
  void let_go() {
    driver_.reset();
    if (root_ != nullptr) volume_.release(*root_);
    root_ = nullptr;
    tree_.close_all();
  }

  Disk& disk_;
  StageGround ground_;
  Volume<StageGround> volume_{ground_};
  std::array<WriteBehind<StageGround>, 2> behind_ = {
      WriteBehind<StageGround>(volume_), WriteBehind<StageGround>(volume_)};
  OpenInode* root_ = nullptr;
  std::unique_ptr<Driver<StageGround>> driver_;
  model::FileTree tree_;
  std::uint64_t now_us_ = 1'000'000;
};

}  // namespace odo::hammer2::write::testing
