// SPDX-License-Identifier: BSD-3-Clause
// The header of a chunk: what each of its units is, and the bits of its slabs.
//
// Contexts: see each field. A chunk of large allocations has the words in front
//   too, so that whoever frees an address learns from them what it is.
// Invariants:
//   K1. info[u] is the class of the slab that unit u is in, else kNoSlab. It
//       changes only while nothing is allocated there, so whoever has an object
//       of the slab reads it right, and needs no atomic for it: how the object
//       came to him orders the slab's making before, how it goes home its
//       unmaking after.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/base/list.h"
#include "lib/kmalloc/guards.h"
#include "lib/kmalloc/layout.h"
#include "lib/kmalloc/platform.h"

namespace odo::kmalloc {

template <KmallocPlatform P>
class Lane;

// In every chunk's first bytes.
template <KmallocPlatform P>
struct ChunkFront {
  using Word = PlainOn<P, std::uint32_t>;
  static constexpr std::uint32_t kNoSlab = 0xffff'ffff;

  enum class Kind : std::uint8_t { kSlabs, kRuns, kHuge };

  explicit ChunkFront(Kind what) : kind(what) {
    for (Word& word : info) word = kNoSlab;
  }

  Word info[kUnits];
  Kind kind;

  [[nodiscard]] static ChunkFront& of(const void* address) {
    const auto at = reinterpret_cast<std::uintptr_t>(address);
    return *reinterpret_cast<ChunkFront*>(at & ~(kChunkBytes - 1));
  }
  [[nodiscard]] static unsigned unit_of(const void* address) {
    const auto at = reinterpret_cast<std::uintptr_t>(address);
    return static_cast<unsigned>(at / kUnitBytes) % kUnits;
  }
  [[nodiscard]] static std::uint32_t info_of(const void* address) {
    return of(address).info[unit_of(address)];
  }
};

// A slab's own fields: its owner's, but for the last two.
template <KmallocPlatform P>
struct SlabFields : GuardFlags<kIsGuarded<P>, 1> {
  ListHook hook;  // in its class's list, if some of its objects are free
  // Objects that are not known to be free.
  PlainOn<P, std::uint32_t> out{};
  std::uint16_t first_word = 0;  // no word of bits before this one has any
  std::uint8_t cls = 0;
  std::uint8_t unit = 0;
  // Whoever frees from afar: the lane whose list the slab is to be put on...
  PlainOn<P, Lane<P>*> owner{};
  // ... by who finds none here: the objects that were freed from afar since the
  // owner looked last.
  typename P::template Atomic<std::uint32_t> coming{0u};
  PlainOn<P, SlabFields*> next_told{};
};

template <KmallocPlatform P>
struct SlabChunk : ChunkFront<P> {
  using Bits = std::uint64_t;
  using RemoteBits = typename P::template Atomic<std::uint64_t>;

  SlabChunk() : ChunkFront<P>(ChunkFront<P>::Kind::kSlabs) {
    for (unsigned u = 0; u < kUnits; ++u) {
      slabs[u].unit = static_cast<std::uint8_t>(u);
    }
  }

  // --- the arena's, under its lock -------------------------------------------
  ListHook hook;     // in the list of chunks with free units
  Bits free = 0;     // units that are no slab's
  Bits touched = 0;  // of those, the ones that may not be zero
  // --- the slabs -------------------------------------------------------------
  std::uint8_t first_unit[kUnits] = {};  // of the slab that a unit is in
  SlabFields<P> slabs[kUnits];
  // Written when a slab is made, so that the pages of others stay untouched.
  Bits free_bits[kUnits][kBitWords];  // NOLINT: see above
  alignas(RemoteBits) std::byte
      remote_room[kUnits][kBitWords * sizeof(RemoteBits)];  // NOLINT

  [[nodiscard]] std::byte* unit_at(unsigned unit) {
    return reinterpret_cast<std::byte*>(this) + unit * kUnitBytes;
  }
};

// The first units of a chunk, which are not given out.
template <KmallocPlatform P>
inline constexpr unsigned kHeaderUnits =
    static_cast<unsigned>((sizeof(SlabChunk<P>) + kUnitBytes - 1) / kUnitBytes);

}  // namespace odo::kmalloc
