// SPDX-License-Identifier: BSD-3-Clause
// The parts of a file that aren't zero, to a page, whatever the blocks are that
// hold them.
//
// Contexts: the tool's main thread.
// Complexity: reads each block of data once; holes cost nothing.
// Failure: throws Failure.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/hammer2/extents.h"
#include "lib/hammer2/types.h"
#include "tools/h2/content.h"
#include "tools/h2/volume.h"

namespace odo::h2 {

struct DataRange {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

inline constexpr std::size_t kPageBytes = 4096;

namespace detail {

inline void append(std::vector<DataRange>& to, std::uint64_t offset,
                   std::uint64_t length) {
  if (!to.empty() && to.back().offset + to.back().length == offset) {
    to.back().length += length;
  } else {
    to.push_back({offset, length});
  }
}

}  // namespace detail

// The extents of a file: where it has blocks, in order.
template <class Take>
void each_extent(Volume& volume, const hammer2::Node& file,
                 const std::string& path, const Take& take) {
  std::uint64_t offset = 0;
  while (offset < file.attributes.size) {
    const auto data = hammer2::next_data(volume.fs(), file, offset);
    if (!data) throw volume.failure(data.error(), path);
    if (!*data) return;
    const auto hole = hammer2::next_hole(volume.fs(), file, **data);
    if (!hole) throw volume.failure(hole.error(), path);
    const std::uint64_t end = hole->value_or(file.attributes.size);
    take(**data, end);
    offset = end;
  }
}

// Runs of pages that aren't all zero; the last one may be short.
[[nodiscard]] inline std::vector<DataRange> nonzero_ranges(
    Volume& volume, const hammer2::Node& file, const std::string& path) {
  std::vector<DataRange> ranges;
  std::vector<std::byte> buffer;
  each_extent(volume, file, path, [&](std::uint64_t begin, std::uint64_t end) {
    begin = align_down(begin, std::uint64_t{kPageBytes});
    std::uint64_t at = begin;
    read_range(volume, file, path, begin, end, buffer, [&](Bytes piece) {
      while (!piece.empty()) {
        const Bytes page = piece.first(std::min(piece.size(), kPageBytes));
        if (!all_zero(page)) detail::append(ranges, at, page.size());
        at += page.size();
        piece = piece.subspan(page.size());
      }
    });
  });
  return ranges;
}

}  // namespace odo::h2
