// SPDX-License-Identifier: BSD-3-Clause
// Physical memory ranges as a boot protocol tells them, and their normal form:
// whole frames, sorted, apart from each other, with what is taken taken out.
//
// Contexts: any; pure functions.
// Units: bytes of physical address; a frame is 4,096 of them.
// Failure: boot maps are input: any content is handled. A usable range is
// rounded inwards and a reserved one outwards, so doubt always costs memory and
// never corrupts it; a range that runs past 2^64 is cut there.
// Complexity: for n entries O(n^2) when they come in ascending order, as boot
// maps do; O(n^3) at the worst. No recursion, no memory but the output.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "lib/base/bits.h"
#include "lib/base/result.h"

namespace odo::frames {

inline constexpr std::uint64_t kFrameBytes = 4096;

// [base_bytes, base_bytes + size_bytes).
struct Range {
  std::uint64_t base_bytes;
  std::uint64_t size_bytes;
  bool operator==(const Range&) const = default;
};

enum class Error : std::uint8_t {
  kNoMemory,       // no free run of that size below that limit
  kBadRequest,     // no frames, an alignment that is no power of two, a range
                   // that is empty, not of whole frames, or past 2^64
  kOverlap,        // part of the range is already managed
  kTooManyRanges,  // more separate ranges than the table holds
};

template <class T>
using Result = odo::Result<T, Error>;

namespace detail {

// The last frame boundary of the address space: its last frame is given up so
// that every end fits in 64 bits.
inline constexpr std::uint64_t kTop =
    align_down(std::numeric_limits<std::uint64_t>::max(), kFrameBytes);

struct Span {
  std::uint64_t base;
  std::uint64_t end;  // not below base; both frame-aligned
};

[[nodiscard]] constexpr std::uint64_t end_of(const Range& range) {
  auto end = checked_add(range.base_bytes, range.size_bytes);
  return end && *end < kTop ? *end : kTop;
}

[[nodiscard]] constexpr Span inwards(const Range& range) {
  std::uint64_t end = align_down(end_of(range), kFrameBytes);
  if (range.base_bytes >= end) return {end, end};
  return {align_up(range.base_bytes, kFrameBytes), end};
}

[[nodiscard]] constexpr Span outwards(const Range& range) {
  std::uint64_t base = align_down(range.base_bytes, kFrameBytes);
  if (range.size_bytes == 0 || base >= kTop) return {base, base};
  return {base, align_up(end_of(range), kFrameBytes)};
}

}  // namespace detail

// Writes the normal form of `usable` minus `reserved` to `out` and returns how
// many ranges it has: sorted, frame-aligned, none touching the next. Errors:
// kTooManyRanges when `out` is too short; usable + reserved entries always
// suffice.
[[nodiscard]] constexpr Result<std::size_t> normalize(
    std::span<const Range> usable, std::span<const Range> reserved,
    std::span<Range> out) {
  std::size_t count = 0;
  // Each round finds the lowest usable address not below `from`, and extends
  // it until neither a usable range carries on nor a reserved one begins.
  for (std::uint64_t from = 0;;) {
    std::uint64_t base = detail::kTop;
    for (const Range& range : usable) {
      detail::Span span = detail::inwards(range);
      if (span.end > from && span.base < span.end) {
        base = std::min(base, std::max(span.base, from));
      }
    }
    if (base == detail::kTop) return count;

    // Inside something reserved? Then go on after it.
    std::uint64_t end = detail::kTop;
    std::uint64_t skip_to = base;
    for (const Range& range : reserved) {
      detail::Span span = detail::outwards(range);
      if (span.base == span.end) continue;
      if (span.base <= base && base < span.end) {
        skip_to = std::max(skip_to, span.end);
      } else if (span.base > base) {
        end = std::min(end, span.base);
      }
    }
    if (skip_to != base) {
      from = skip_to;
      continue;
    }

    std::uint64_t reach = base;
    for (bool grew = true; grew && reach < end;) {
      grew = false;
      for (const Range& range : usable) {
        detail::Span span = detail::inwards(range);
        if (span.base <= reach && span.end > reach) {
          reach = span.end;
          grew = true;
        }
      }
    }
    reach = std::min(reach, end);
    if (count == out.size()) return fail(Error::kTooManyRanges);
    out[count++] = Range{base, reach - base};
    from = reach;
  }
}

}  // namespace odo::frames
