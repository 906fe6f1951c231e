// SPDX-License-Identifier: BSD-3-Clause
// One word of a translation table: a page with its rights and what processors
// noted of its use, or a link to a table of the level below.
//
// A link keeps two things for us in bits that processors do not look at: the
// lock of the table that it leads to, and how many of that table's entries are
// in use. So a table needs no record beside it, and its lock is gone with its
// last link.
//
// Contexts: any; values.
// Shapes: bit 0 present, 1 writable, 2 for programs, 3-4 and 7 caching, 5
//   accessed, 6 dirty, 12-51 address, 63 not to be executed. Of links: 9 lock,
//   52-61 count.
// Origin: Intel SDM vol. 3 §4.5, tables 4-15 to 4-20 (bits "ignored"), §4.8
//   (accessed and dirty).
#pragma once

#include <cstdint>

namespace odo::pmap {

struct Rights {
  bool writable = false;
  bool executable = false;
  // Programs may use it; else only the kernel.
  bool user = true;

  // Nothing that `other` forbids is allowed here.
  [[nodiscard]] constexpr bool within(Rights other) const {
    return (!writable || other.writable) && (!executable || other.executable) &&
           (!user || other.user);
  }
  friend constexpr bool operator==(Rights, Rights) = default;
};

enum class Caching : std::uint8_t { kNormal, kUncached };

struct Page {
  std::uint64_t physical = 0;  // a multiple of the page's size
  Rights rights{};
  Caching caching = Caching::kNormal;

  friend constexpr bool operator==(const Page&, const Page&) = default;
};

// What processors note when they use a page.
struct Use {
  bool accessed = false;
  bool dirty = false;

  friend constexpr bool operator==(Use, Use) = default;
};

// A page as it was mapped.
struct Mapped {
  Page page;
  Use use;
};

namespace entry {

using Word = std::uint64_t;

inline constexpr Word kPresent = Word{1} << 0;
inline constexpr Word kWritable = Word{1} << 1;
inline constexpr Word kUser = Word{1} << 2;
inline constexpr Word kWriteThrough = Word{1} << 3;
inline constexpr Word kCacheDisabled = Word{1} << 4;
inline constexpr Word kAccessed = Word{1} << 5;
inline constexpr Word kDirty = Word{1} << 6;
inline constexpr Word kNoExecute = Word{1} << 63;
inline constexpr Word kAddress = 0x000ffffffffff000;

inline constexpr Word kLocked = Word{1} << 9;
inline constexpr unsigned kCountShift = 52;
inline constexpr Word kOneMore = Word{1} << kCountShift;
inline constexpr Word kCount = Word{0x3ff} << kCountShift;

[[nodiscard]] constexpr bool is_present(Word word) {
  return (word & kPresent) != 0;
}
[[nodiscard]] constexpr std::uint64_t physical(Word word) {
  return word & kAddress;
}

[[nodiscard]] constexpr Word rights_of(Rights rights) {
  return (rights.writable ? kWritable : 0) | (rights.user ? kUser : 0) |
         (rights.executable ? 0 : kNoExecute);
}
inline constexpr Word kRights = kWritable | kUser | kNoExecute;

[[nodiscard]] constexpr Word of_page(const Page& page) {
  return page.physical | kPresent | rights_of(page.rights) |
         (page.caching == Caching::kUncached ? kCacheDisabled | kWriteThrough
                                             : 0);
}
[[nodiscard]] constexpr Mapped mapped(Word word) {
  return {
      {physical(word),
       {(word & kWritable) != 0, (word & kNoExecute) == 0, (word & kUser) != 0},
       (word & kCacheDisabled) != 0 ? Caching::kUncached : Caching::kNormal},
      {(word & kAccessed) != 0, (word & kDirty) != 0}};
}

// A link forbids nothing: rights are the pages' own.
[[nodiscard]] constexpr Word link_to(std::uint64_t table) {
  return table | kPresent | kWritable | kUser;
}
[[nodiscard]] constexpr unsigned count(Word link) {
  return static_cast<unsigned>((link & kCount) >> kCountShift);
}

}  // namespace entry
}  // namespace odo::pmap
