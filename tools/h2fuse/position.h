// SPDX-License-Identifier: BSD-3-Clause
// Where a reader of a directory stands, as the one number that Linux keeps.
//
// HAMMER2 lists a directory by 64-bit keys whose top bit is set; Linux wants an
// offset that isn't negative, in which "." and ".." have places too. Being made
// from the key, an offset means the same in every process and after every
// remount, and nothing has to be remembered for it.
//
//   0  at "."     1  at ".."     2 + n  at the first key >= 2^63 + n
//
// Contexts: any; constexpr, no state.
// Invariants:
//   P1. after(key) is larger than at(key), so that a listing always ends.
//   P2. kEnd is the offset after the last keys there are. The keys from
//   2^64 - 4 on have no offsets of their own and can't be resumed between: a
//   writer gives them only to the 32,764th name of one hash.
#pragma once

#include <cstdint>
#include <limits>

#include "lib/hammer2/format/constants.h"
#include "lib/hammer2/types.h"

namespace odo::h2fuse {

inline constexpr std::int64_t kAtDot = 0;
inline constexpr std::int64_t kAtDotDot = 1;
inline constexpr std::int64_t kAtEntries = 2;
inline constexpr std::int64_t kEnd = std::numeric_limits<std::int64_t>::max();

// The offset at which to go on once the entry of that key is listed.
[[nodiscard]] constexpr std::int64_t position_after(std::uint64_t key) {
  const std::uint64_t n = key - hammer2::format::kDirhashVisible;
  constexpr std::uint64_t kBefore = kAtEntries + 1;
  constexpr auto kLimit = static_cast<std::uint64_t>(kEnd);
  return n >= kLimit - kBefore ? kEnd : static_cast<std::int64_t>(n + kBefore);
}

// The reader's cursor for an offset; one in front of the entries means their
// start.
[[nodiscard]] constexpr hammer2::DirCursor cursor_at(std::int64_t position) {
  hammer2::DirCursor cursor;
  if (position == kEnd) {
    cursor.at_end = true;
  } else if (position > kAtEntries) {
    cursor.next_key += static_cast<std::uint64_t>(position - kAtEntries);
  }
  return cursor;
}

}  // namespace odo::h2fuse
