// SPDX-License-Identifier: BSD-3-Clause
// A large space of bytes of which few aren't zero: runs of bytes by offset.
//
// Contexts: fuzzers and their tests; hosted, one thread.
// Invariants:
//   S1. runs are not empty and don't overlap; neighbours may touch.
//   S2. a run lies in one page, so that what a write costs has a bound.
// Sizes: what was written, and a node of a tree for each run; a write makes at
//   most two runs more than there were in each page.
// Complexity: O(log runs) and what is copied.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <vector>

#include "lib/base/bytes.h"

namespace odo::hammer2::fuzz {

class SparseBytes {
 public:
  // What nobody wrote reads as zeros.
  void read(std::uint64_t offset, MutableBytes to) const {
    zero_bytes(to);
    const std::uint64_t end = offset + to.size();
    for (auto it = first_after(offset); it != runs_.end() && it->first < end;
         ++it) {
      const std::uint64_t from = std::max(offset, it->first);
      const std::uint64_t until = std::min(end, end_of(it));
      copy_bytes(to.subspan(from - offset),
                 Bytes(it->second).subspan(from - it->first, until - from));
    }
  }

  // Over what was there.
  void write(std::uint64_t offset, Bytes from) {
    while (!from.empty()) {
      const Bytes part = from.first(std::min<std::uint64_t>(
          from.size(), kPageBytes - offset % kPageBytes));
      write_in_page(offset, part);
      offset += part.size();
      from = from.subspan(part.size());
    }
  }

  // Zeros from `offset` on.
  void clear(std::uint64_t offset, std::uint64_t length) {
    const std::uint64_t end = offset + length;
    for (auto it = first_after(offset); it != runs_.end() && it->first < end;
         it = first_after(offset)) {
      const std::uint64_t begin = it->first;
      std::vector<std::byte> run = std::move(runs_[begin]);
      runs_.erase(it);
      if (begin + run.size() > end) {
        const auto kept = static_cast<std::ptrdiff_t>(end - begin);
        runs_.emplace(end,
                      std::vector<std::byte>(run.begin() + kept, run.end()));
      }
      if (begin < offset) {
        run.resize(offset - begin);
        runs_.emplace(begin, std::move(run));
      }
    }
  }

  // The runs in their order, as offset and bytes.
  [[nodiscard]] const std::map<std::uint64_t, std::vector<std::byte>>& runs()
      const {
    return runs_;
  }

 private:
  static constexpr std::uint64_t kPageBytes = 4096;
  using Runs = std::map<std::uint64_t, std::vector<std::byte>>;

  void write_in_page(std::uint64_t offset, Bytes from) {
    const auto it = first_after(offset);
    if (it != runs_.end() && it->first <= offset &&
        offset + from.size() <= end_of(it)) {
      std::copy(from.begin(), from.end(),
                runs_[it->first].begin() +
                    static_cast<std::ptrdiff_t>(offset - it->first));
      return;
    }
    clear(offset, from.size());
    runs_.emplace(offset, std::vector<std::byte>(from.begin(), from.end()));
  }

  [[nodiscard]] static std::uint64_t end_of(Runs::const_iterator it) {
    return it->first + it->second.size();
  }
  // The first run that ends behind `offset`.
  [[nodiscard]] Runs::const_iterator first_after(std::uint64_t offset) const {
    auto it = runs_.upper_bound(offset);
    if (it != runs_.begin() && end_of(std::prev(it)) > offset) --it;
    return it;
  }

  Runs runs_;
};

}  // namespace odo::hammer2::fuzz
