// SPDX-License-Identifier: BSD-3-Clause
// What can be wrong with a tree on media, and with what page.
//
// Contexts: any; plain data.
#pragma once

#include <cstdint>
#include <string_view>

#include "lib/base/result.h"

namespace odo::btree::media {

enum class Code : std::uint8_t {
  kReadFailed,   // the store could not read `page`
  kWriteFailed,  // the store could not write `page`
  kFlushFailed,  // the store could not flush
  kNoSpace,      // the store has no page left
  kNoFrames,     // the caller's memory holds too few pages for this tree
  kNoTree,       // neither header page is right; `fault` is page 1's
  kCorrupt,      // `page` isn't what it should be: see `fault`
  kBadShape,     // sizes that no tree can have, or other ones than the tree's
  kTooDeep,      // the tree, or its count of transactions, has no room to grow
  kMustAbort,    // a flush failed: what was written may be gone; abort() first
  kInDoubt,      // a commit's outcome is unknown: commit() again, or reopen
  kClosed,       // no tree is open
};

// What is wrong with a page, in the order in which it is looked for.
enum class Fault : std::uint8_t {
  kNone,
  kMagic,            // not a page of a tree at all
  kVersion,          // of a format that this code doesn't know
  kCheck,            // its check code isn't that of its bytes
  kMisplaced,        // it says another page number
  kForeign,          // it belongs to another tree
  kStale,            // not the version that its parent names
  kLevel,            // not one level below its parent
  kReserved,         // a field that must be zero isn't
  kCount,            // too few or too many entries
  kRange,            // not the key range that its parent gives it
  kOrder,            // keys don't ascend
  kOutside,          // a key lies outside the page's range
  kFirstKey,         // an inner page's first key isn't where its range begins
  kChildPage,        // a child's number isn't that of any page
  kChildGeneration,  // a child is said to be newer than its parent
  kShape,            // a header's sizes
  kGeneration,       // a header's generation doesn't belong in its slot
  kRoot,             // a header's root can't be
  kUnreadable,       // the store could not read it
  kTotals,           // the header counts other entries or pages than there are
  kAllocation,       // the store gave out a page that is in use
};

struct Error {
  Code code;
  Fault fault = Fault::kNone;
  std::uint64_t page = 0;

  friend bool operator==(const Error&, const Error&) = default;
};

template <class T>
using Result = odo::Result<T, Error>;

[[nodiscard]] constexpr std::string_view to_string(Fault fault) {
  using std::operator""sv;
  constexpr std::string_view kNames[] = {
      "nothing is wrong"sv,
      "not a page of a tree"sv,
      "a format that isn't known"sv,
      "check code doesn't match"sv,
      "page belongs elsewhere"sv,
      "page belongs to another tree"sv,
      "not the version that the parent names"sv,
      "not one level below the parent"sv,
      "a reserved field isn't zero"sv,
      "too few or too many entries"sv,
      "not the key range that the parent gives"sv,
      "keys don't ascend"sv,
      "a key lies outside the page's range"sv,
      "first key isn't where the range begins"sv,
      "a child's number isn't that of any page"sv,
      "a child is newer than its parent"sv,
      "sizes that no tree can have"sv,
      "generation doesn't belong in this header"sv,
      "the root can't be"sv,
      "the store can't read the page"sv,
      "the header's totals are wrong"sv,
      "the store gave out a page that is in use"sv,
  };
  static_assert(sizeof kNames / sizeof kNames[0] ==
                static_cast<unsigned>(Fault::kAllocation) + 1);
  return kNames[static_cast<unsigned>(fault)];
}

}  // namespace odo::btree::media
