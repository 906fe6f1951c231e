// SPDX-License-Identifier: BSD-3-Clause
// The numbers that everything here is cut by.
//
//   chunk  2 MiB, at a multiple of its size: what the page source gives
//   unit   32 KiB: 64 to a chunk, of which the header takes the first two
//   slab   1 to 8 units: objects of one class
//   page   4 KiB: what large allocations are measured in
//
// From any address inside a chunk its header is found by a mask.
#pragma once

#include <cstddef>
#include <cstdint>

namespace odo::kmalloc {

inline constexpr std::size_t kChunkBytes = std::size_t{2} * 1024 * 1024;
inline constexpr std::size_t kUnitBytes = std::size_t{32} * 1024;
inline constexpr std::size_t kUnits = kChunkBytes / kUnitBytes;
inline constexpr std::size_t kPageBytes = 4096;
inline constexpr std::size_t kPages = kChunkBytes / kPageBytes;

// One bit for each object of a slab, in words: those in the header are enough
// for objects of sixteen bytes, those in front of a slab for the ones of eight.
inline constexpr std::size_t kBitWords = kUnitBytes / 16 / 64;
inline constexpr std::size_t kBitWordsInFront = kUnitBytes / 8 / 64;
inline constexpr std::size_t kBitsInFrontBytes =
    2 * kBitWordsInFront * sizeof(std::uint64_t);

static_assert(kUnits == 64, "a chunk's units are the bits of a word");

}  // namespace odo::kmalloc
