// SPDX-License-Identifier: BSD-3-Clause
// What the tests that cut the power share: disks, work, how it is cut, and
// which states may be found then.
//
// Contexts: tests.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/block/sim/cuts.h"
#include "lib/hammer2/testing/model/workload.h"

namespace odo::hammer2::write::testing {

// With one volume header and with four.
inline constexpr std::uint64_t kSmallDisk = std::uint64_t{40} << 20;
inline constexpr std::uint64_t kLargeDisk = std::uint64_t{8} << 30;
[[nodiscard]] constexpr std::uint64_t disk_for(std::uint64_t seed) {
  return seed % 2 == 0 ? kSmallDisk : kLargeDisk;
}

// Small files: what matters is how often something is written.
inline constexpr hammer2::testing::model::WorkloadOptions kShort = {
    .names = 4,
    .max_write_bytes = 9'000,
    .max_file_bytes = 80'000,
    .persists = 40};

[[nodiscard]] constexpr block::CutOptions usual_cuts(std::uint64_t seed) {
  return {.seed = seed,
          .exhaustive_bound = 6,
          .samples = 3,
          .tears = 2,
          .scatters = 1};
}

// The trees that were made durable, in their order.
class SyncedStates {
 public:
  // `flushes`: of the disk, when it had been done.
  void note(std::size_t flushes, std::string tree) {
    states_.push_back({flushes, std::move(tree)});
  }
  void clear() { states_.clear(); }

  [[nodiscard]] const std::string& last() const { return states_.back().tree; }
  // After so many flushes a cut may show the first, the last that was done; or
  // the second, one that had begun after it.
  [[nodiscard]] std::pair<std::string_view, std::string_view> after(
      std::size_t flushes) const {
    std::size_t last = 0;
    while (last + 1 < states_.size() && states_[last + 1].flushes <= flushes) {
      ++last;
    }
    const std::size_t next = std::min(last + 1, states_.size() - 1);
    return {states_[last].tree, states_[next].tree};
  }

 private:
  struct Synced {
    std::size_t flushes;
    std::string tree;
  };

  std::vector<Synced> states_;
};

}  // namespace odo::hammer2::write::testing
