// SPDX-License-Identifier: BSD-3-Clause
// Which of a fixed set of sizes a request is served from.
//
// Up to 128 bytes every multiple of eight is a class; above, eight classes to
// each doubling. A size that is a multiple of eight loses less than an eighth
// of its class.
//
//   bytes        step   classes
//   8 .. 128        8   0 .. 15
//   .. 256         16   16 .. 23
//   ...                 8 more for each doubling
//   .. 32,768   2,048   72 .. 79
//
// Contexts: any. All constexpr: with a constant size nothing is left of it.
// Complexity: O(1): one load.
// Failure: none; a size above kMaxSmallBytes is no class's.
// Origin: DragonFly's zoneindex() in sys/kern/kern_slaballoc.c has the same
//   eight steps to a doubling above 128 bytes.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "lib/base/bits.h"
#include "lib/kmalloc/layout.h"

namespace odo::kmalloc {

inline constexpr std::uint32_t kClasses = 80;
inline constexpr std::size_t kMaxSmallBytes = std::size_t{32} * 1024;

namespace detail {

constexpr std::uint32_t kFineClasses = 16;  // one for each eight bytes
constexpr std::size_t kFineBytes = 128;
constexpr std::size_t kTabledBytes = 1024;

[[nodiscard]] constexpr std::uint32_t compute_class(std::size_t bytes) {
  if (bytes <= 8) return 0;
  if (bytes <= kFineBytes) {
    return static_cast<std::uint32_t>((bytes - 1) / 8);
  }
  // bytes - 1 has its highest bit at `top`; the three bits below it choose.
  const auto top = static_cast<unsigned>(std::bit_width(bytes - 1)) - 1;
  const auto eighth = static_cast<std::uint32_t>((bytes - 1) >> (top - 3)) & 7;
  return kFineClasses + (top - 7) * 8 + eighth;
}

// The class of each multiple of `Step` up to `Most`.
template <std::size_t Step, std::size_t Most>
inline constexpr auto kClassTable = [] {
  std::array<std::uint8_t, Most / Step + 1> table{};
  for (std::size_t i = 0; i < table.size(); ++i) {
    // Nothing is asked for as one byte is.
    const std::size_t steps = i == 0 ? 1 : i;
    table[i] = static_cast<std::uint8_t>(compute_class(steps * Step));
  }
  return table;
}();
// Above kTabledBytes every class is a multiple of this.
inline constexpr std::size_t kCoarseStep = 128;

}  // namespace detail

// Of a size up to kMaxSmallBytes. Zero bytes are one: each allocation has an
// address of its own.
[[nodiscard]] constexpr std::uint32_t class_of(std::size_t bytes) {
  using detail::kCoarseStep, detail::kTabledBytes;
  if (bytes <= kTabledBytes) [[likely]] {
    return detail::kClassTable<8, kTabledBytes>[(bytes + 7) / 8];
  }
  return detail::kClassTable<
      kCoarseStep, kMaxSmallBytes>[(bytes + kCoarseStep - 1) / kCoarseStep];
}
// The same of what has to begin at a multiple of 16, whatever its size.
[[nodiscard]] constexpr std::uint32_t class_of_at_16(std::size_t bytes) {
  if (bytes <= detail::kTabledBytes) [[likely]] {
    return detail::kClassTable<16, detail::kTabledBytes>[(bytes + 15) / 16];
  }
  return class_of(bytes);
}

[[nodiscard]] constexpr std::uint32_t class_bytes(std::uint32_t cls) {
  if (cls < detail::kFineClasses) return (cls + 1) * 8;
  const std::uint32_t doubling = (cls - detail::kFineClasses) / 8;
  const std::uint32_t eighth = (cls - detail::kFineClasses) % 8;
  return (std::uint32_t{16} << doubling) * (8 + eighth + 1);
}

// What a class's slabs look like, and how many objects a lane keeps at hand.
struct ClassInfo {
  std::uint32_t bytes = 0;          // of an object
  std::uint32_t reciprocal = 0;     // 2^32 / bytes, rounded up
  std::uint16_t units = 0;          // of a slab
  std::uint16_t objects = 0;        // in a slab
  std::uint16_t first_bytes = 0;    // from the slab's start to its first object
  std::uint16_t first_entries = 0;  // of a lane's stack, and as many as
  std::uint16_t most_entries = 0;   // it may come to have
};

namespace detail {

// An even number of at least four.
[[nodiscard]] constexpr std::uint16_t entries_of(std::size_t stack_bytes,
                                                 std::size_t most,
                                                 std::size_t bytes) {
  std::size_t entries = stack_bytes / bytes & ~std::size_t{1};
  if (entries < 4) entries = 4;
  if (entries > most) entries = most;
  return static_cast<std::uint16_t>(entries);
}

// With so many bytes at a slab's end that no object may reach into.
[[nodiscard]] constexpr ClassInfo make_info(std::uint32_t cls,
                                            std::size_t guard_bytes) {
  ClassInfo info;
  info.bytes = class_bytes(cls);
  // Its objects' bits do not fit into the chunk's header: they lie in front.
  info.first_bytes = cls == 0 ? kBitsInFrontBytes : 0;
  constexpr std::size_t kEnoughObjects = 16;
  std::size_t units = 1;
  while (units < 8 && units * kUnitBytes / info.bytes < kEnoughObjects) {
    units *= 2;
  }
  info.units = static_cast<std::uint16_t>(units);
  info.objects = static_cast<std::uint16_t>(
      (units * kUnitBytes - info.first_bytes - guard_bytes) / info.bytes);
  info.reciprocal = static_cast<std::uint32_t>(
      ((std::uint64_t{1} << 32) + info.bytes - 1) / info.bytes);
  constexpr std::size_t kFirstBytes = std::size_t{32} * 1024;
  constexpr std::size_t kMostBytes = std::size_t{512} * 1024;
  info.first_entries = entries_of(kFirstBytes, 256, info.bytes);
  info.most_entries = entries_of(kMostBytes, 512, info.bytes);
  return info;
}

}  // namespace detail

namespace detail {

template <std::size_t GuardBytes>
inline constexpr auto kClassInfo = [] {
  std::array<ClassInfo, kClasses> table{};
  for (std::uint32_t cls = 0; cls < kClasses; ++cls) {
    table[cls] = make_info(cls, GuardBytes);
  }
  return table;
}();

}  // namespace detail

// What has nothing to do with guards is the same in both.
inline constexpr auto& kClassInfo = detail::kClassInfo<0>;
inline constexpr auto& kGuardedClassInfo = detail::kClassInfo<kPageBytes>;

// Of all classes together, each with one in front.
inline constexpr std::size_t kStackEntries = [] {
  std::size_t sum = 0;
  for (const ClassInfo& info : kClassInfo)
    sum += info.most_entries + std::size_t{1};
  return sum;
}();

// The size whose class serves a request that has to begin at a multiple of
// `alignment`, a power of two. Objects follow each other from a multiple of
// kUnitBytes on, so a class does if its size does; and a multiple of the
// alignment is in a class that is one.
[[nodiscard]] constexpr std::size_t aligned_bytes(std::size_t bytes,
                                                  std::size_t alignment) {
  if (alignment <= 8) return bytes;
  return align_up(bytes == 0 ? 1 : bytes, alignment);
}

}  // namespace odo::kmalloc
