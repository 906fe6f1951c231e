// SPDX-License-Identifier: BSD-3-Clause
// A B+tree on media: which byte is where. Bytes only, no I/O; the grammar and
// the reasons are in docs/btree-media.md.
//
//   medium = header header page*          pages 0 and 1 are the headers
//   header = RootHeader zero*
//   page   = PageHeader low high  key{slots}  payload{slots}
//   key    = unsigned number, little-endian, of the tree's key_bytes
//   low    = key                          first key of the page's range
//   high   = key                          first key beyond it; 0: there is none
//   payload = value (level 0) | ChildRef  of the tree's value_bytes
//
// All numbers are little-endian and naturally aligned. Of `slots` keys and
// payloads the first `count` count; the others are zero.
//
// Contexts: any; plain data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/check/xxh64.h"

namespace odo::btree::media {

inline constexpr std::uint32_t kPageMagic = 0x5042444f;    // "ODBP"
inline constexpr std::uint32_t kHeaderMagic = 0x4842444f;  // "ODBH"
inline constexpr std::uint16_t kVersion = 1;
inline constexpr std::uint64_t kCheckSeed = 0x65657274426f6f64;

inline constexpr std::uint32_t kMinPageBytes = 256;
inline constexpr std::uint32_t kMaxPageBytes = 65536;
inline constexpr std::uint32_t kMaxKeyBytes = 64;
// A page holds this many entries at least.
inline constexpr std::uint32_t kMinSlots = 4;
// Levels count from the leaves' 0. Inner pages have two children or more: a
// tree with as many levels as this would have 2^32 pages.
inline constexpr std::uint32_t kMaxLevels = 32;
// Transactions count from 1; the next number must fit, too.
inline constexpr std::uint64_t kMaxGeneration = std::uint64_t{1} << 62;
inline constexpr std::uint64_t kHeaderPages = 2;
// Of entries and of pages.
inline constexpr std::uint64_t kMaxTotal = std::uint64_t{1} << 62;

// A page as its parent knows it. A page with another check code or generation
// is an old or a wrong one, however whole.
struct ChildRef {
  std::uint64_t page = 0;        // its number; 0: none (an empty tree's root)
  std::uint64_t check = 0;       // its check code
  std::uint64_t generation = 0;  // the transaction that wrote it

  friend bool operator==(const ChildRef&, const ChildRef&) = default;
};
static_assert(sizeof(ChildRef) == 24);
static_assert(offsetof(ChildRef, page) == 0);
static_assert(offsetof(ChildRef, check) == 8);
static_assert(offsetof(ChildRef, generation) == 16);

// Every page but the two headers begins with this.
struct PageHeader {
  std::uint64_t check;       // XXH64, kCheckSeed, of all bytes after this field
  std::uint32_t magic;       // kPageMagic
  std::uint16_t version;     // kVersion
  std::uint8_t level;        // 0: a leaf; else its children's plus 1
  std::uint8_t reserved0f;   // 0
  std::uint32_t count;       // entries: 1 or more; 2 or more in inner pages
  std::uint32_t reserved14;  // 0
  std::uint64_t page;        // its own number
  std::uint64_t generation;  // the transaction that wrote it
  std::uint64_t tree;        // the header's `tree`
};
static_assert(sizeof(PageHeader) == 48);
static_assert(offsetof(PageHeader, check) == 0x00);
static_assert(offsetof(PageHeader, magic) == 0x08);
static_assert(offsetof(PageHeader, version) == 0x0c);
static_assert(offsetof(PageHeader, level) == 0x0e);
static_assert(offsetof(PageHeader, reserved0f) == 0x0f);
static_assert(offsetof(PageHeader, count) == 0x10);
static_assert(offsetof(PageHeader, reserved14) == 0x14);
static_assert(offsetof(PageHeader, page) == 0x18);
static_assert(offsetof(PageHeader, generation) == 0x20);
static_assert(offsetof(PageHeader, tree) == 0x28);

// Pages 0 and 1. Transaction g writes page g % 2; the highest right one counts.
struct RootHeader {
  std::uint64_t check;        // as a page's
  std::uint32_t magic;        // kHeaderMagic
  std::uint16_t version;      // kVersion
  std::uint16_t reserved0e;   // 0
  std::uint32_t page_bytes;   // of every page, a power of two
  std::uint16_t key_bytes;    // 8 to 64, a multiple of 8
  std::uint16_t value_bytes;  // 0 or more
  std::uint64_t page;         // its own number: 0 or 1
  std::uint64_t generation;   // the transaction that wrote it
  std::uint64_t tree;         // a number that tells this tree from others
  ChildRef root;              // all 0 in an empty tree
  std::uint8_t root_level;    // 0 in an empty tree
  std::uint8_t reserved49[7];
  std::uint64_t entries;     // in all leaves
  std::uint64_t pages;       // of the tree, without headers
  std::uint64_t page_count;  // of the medium, which isn't smaller now
};
static_assert(sizeof(RootHeader) == 104);
static_assert(offsetof(RootHeader, check) == 0x00);
static_assert(offsetof(RootHeader, magic) == 0x08);
static_assert(offsetof(RootHeader, version) == 0x0c);
static_assert(offsetof(RootHeader, reserved0e) == 0x0e);
static_assert(offsetof(RootHeader, page_bytes) == 0x10);
static_assert(offsetof(RootHeader, key_bytes) == 0x14);
static_assert(offsetof(RootHeader, value_bytes) == 0x16);
static_assert(offsetof(RootHeader, page) == 0x18);
static_assert(offsetof(RootHeader, generation) == 0x20);
static_assert(offsetof(RootHeader, tree) == 0x28);
static_assert(offsetof(RootHeader, root) == 0x30);
static_assert(offsetof(RootHeader, root_level) == 0x48);
static_assert(offsetof(RootHeader, reserved49) == 0x49);
static_assert(offsetof(RootHeader, entries) == 0x50);
static_assert(offsetof(RootHeader, pages) == 0x58);
static_assert(offsetof(RootHeader, page_count) == 0x60);
static_assert(sizeof(RootHeader) <= kMinPageBytes);

// The sizes of one tree, and what follows from them.
struct Shape {
  std::uint32_t page_bytes = 0;
  std::uint32_t key_bytes = 0;
  std::uint32_t value_bytes = 0;
  std::uint32_t leaf_slots = 0;
  std::uint32_t inner_slots = 0;

  // Nothing for sizes that no tree can have.
  [[nodiscard]] static constexpr std::optional<Shape> make(
      std::uint32_t page_bytes, std::uint32_t key_bytes,
      std::uint32_t value_bytes) {
    if (!is_power_of_two(page_bytes) || page_bytes < kMinPageBytes ||
        page_bytes > kMaxPageBytes || key_bytes == 0 || key_bytes % 8 != 0 ||
        key_bytes > kMaxKeyBytes || value_bytes > page_bytes) {
      return std::nullopt;
    }
    Shape shape{page_bytes, key_bytes, value_bytes, 0, 0};
    const std::uint32_t room = page_bytes - shape.keys_at();
    shape.leaf_slots = room / (key_bytes + value_bytes);
    shape.inner_slots =
        room / (key_bytes + static_cast<std::uint32_t>(sizeof(ChildRef)));
    if (shape.leaf_slots < kMinSlots || shape.inner_slots < kMinSlots) {
      return std::nullopt;
    }
    return shape;
  }

  [[nodiscard]] constexpr std::uint32_t slots(std::uint32_t level) const {
    return level == 0 ? leaf_slots : inner_slots;
  }
  [[nodiscard]] constexpr std::uint32_t payload_bytes(
      std::uint32_t level) const {
    return level == 0 ? value_bytes
                      : static_cast<std::uint32_t>(sizeof(ChildRef));
  }
  [[nodiscard]] constexpr std::uint32_t low_at() const {
    return sizeof(PageHeader);
  }
  [[nodiscard]] constexpr std::uint32_t high_at() const {
    return low_at() + key_bytes;
  }
  [[nodiscard]] constexpr std::uint32_t keys_at() const {
    return high_at() + key_bytes;
  }
  [[nodiscard]] constexpr std::uint32_t payloads_at(std::uint32_t level) const {
    return keys_at() + slots(level) * key_bytes;
  }

  friend bool operator==(const Shape&, const Shape&) = default;
};
static_assert(Shape::make(4096, 8, 8)->leaf_slots == 252);
static_assert(Shape::make(4096, 8, 8)->inner_slots == 126);
static_assert(Shape::make(4096, 8, 8)->payloads_at(0) == 64 + 252 * 8);
static_assert(!Shape::make(256, 64, 0));

// The check code of a page or header of this many bytes.
[[nodiscard]] constexpr std::uint64_t check_of(Bytes page) {
  return check::xxh64(page.subspan(sizeof(std::uint64_t)), kCheckSeed);
}

// -1, 0 or 1, as a is less than, equal to or greater than b.
[[nodiscard]] constexpr int compare_keys(const std::byte* a, const std::byte* b,
                                         std::uint32_t key_bytes) {
  for (std::uint32_t at = key_bytes; at > 0;) {
    at -= 8;
    const auto x = load_le<std::uint64_t>(a + at);
    const auto y = load_le<std::uint64_t>(b + at);
    if (x != y) return x < y ? -1 : 1;
  }
  return 0;
}

[[nodiscard]] constexpr bool is_zero_key(const std::byte* key,
                                         std::uint32_t key_bytes) {
  std::uint64_t any = 0;
  for (std::uint32_t at = 0; at < key_bytes; at += 8) {
    any |= load_le<std::uint64_t>(key + at);
  }
  return any == 0;
}

// Whether `key` lies below `high`, the end of a range.
[[nodiscard]] constexpr bool below(const std::byte* key, const std::byte* high,
                                   std::uint32_t key_bytes) {
  return is_zero_key(high, key_bytes) || compare_keys(key, high, key_bytes) < 0;
}

}  // namespace odo::btree::media
