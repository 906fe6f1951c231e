// SPDX-License-Identifier: BSD-3-Clause
// Sparse maps of sectors, laid over a device to change what is read from it:
// one that owns its bytes, and one that only points at them.
//
// Contexts: tests. Both take memory by the chunk, so a disk of gigabytes costs
// what was written to it.
// Invariants: offsets and lengths are whole sectors; callers have checked them
// against the device.
// Complexity: a look-up per 64 KiB of a request, and a copy per sector.
#pragma once

#include <algorithm>
#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>

#include "lib/base/bytes.h"

namespace odo::block {

// What a disk writes whole or not at all.
inline constexpr std::size_t kSectorBytes = 512;
inline constexpr std::size_t kChunkSectors = 128;
inline constexpr std::size_t kChunkBytes = kChunkSectors * kSectorBytes;

// Cuts [offset, offset + length) into pieces that each lie in one chunk, and
// calls f(chunk number, sector in chunk, sectors, bytes before the piece).
template <class F>
void for_each_piece(std::uint64_t offset_bytes, std::size_t length_bytes,
                    F&& f) {
  std::uint64_t sector = offset_bytes / kSectorBytes;
  std::size_t done = 0;
  while (done < length_bytes) {
    const auto first = static_cast<std::size_t>(sector % kChunkSectors);
    const std::size_t count =
        std::min(kChunkSectors - first, (length_bytes - done) / kSectorBytes);
    f(sector / kChunkSectors, first, count, done);
    sector += count;
    done += count * kSectorBytes;
  }
}

// Chunks by their number.
template <class Chunk>
class ChunkMap {
 public:
  [[nodiscard]] const Chunk* find(std::uint64_t number) const {
    const auto it = chunks_.find(number);
    return it == chunks_.end() ? nullptr : it->second.get();
  }
  [[nodiscard]] Chunk& at(std::uint64_t number) {
    std::unique_ptr<Chunk>& chunk = chunks_[number];
    if (chunk == nullptr) chunk = std::make_unique<Chunk>();
    return *chunk;
  }
  [[nodiscard]] std::size_t size() const { return chunks_.size(); }
  void clear() { chunks_.clear(); }

  template <class F>
  void for_each(F&& f) const {
    for (const auto& [number, chunk] : chunks_) f(number, *chunk);
  }

 private:
  std::unordered_map<std::uint64_t, std::unique_ptr<Chunk>> chunks_;
};

// Sectors with bytes of their own.
class OwnedOverlay {
 public:
  void write(std::uint64_t offset_bytes, Bytes from) {
    for_each_piece(
        offset_bytes, from.size(),
        [&](std::uint64_t number, std::size_t first, std::size_t count,
            std::size_t done) {
          Chunk& chunk = chunks_.at(number);
          copy_bytes(MutableBytes(chunk.bytes).subspan(first * kSectorBytes),
                     from.subspan(done, count * kSectorBytes));
          for (std::size_t i = 0; i < count; ++i) {
            chunk.present.set(first + i);
          }
        });
  }

  // Replaces in `to`, which was read from below, what this has.
  void paint(std::uint64_t offset_bytes, MutableBytes to) const {
    for_each_piece(
        offset_bytes, to.size(),
        [&](std::uint64_t number, std::size_t first, std::size_t count,
            std::size_t done) {
          const Chunk* chunk = chunks_.find(number);
          if (chunk == nullptr) return;
          for (std::size_t i = 0; i < count; ++i) {
            if (!chunk->present[first + i]) continue;
            copy_bytes(to.subspan(done + i * kSectorBytes),
                       Bytes(chunk->bytes)
                           .subspan((first + i) * kSectorBytes, kSectorBytes));
          }
        });
  }

  // Takes over what `above` has.
  void absorb(const OwnedOverlay& above) {
    above.chunks_.for_each([&](std::uint64_t number, const Chunk& chunk) {
      for (std::size_t i = 0; i < kChunkSectors; ++i) {
        if (!chunk.present[i]) continue;
        write((number * kChunkSectors + i) * kSectorBytes,
              Bytes(chunk.bytes).subspan(i * kSectorBytes, kSectorBytes));
      }
    });
  }

  void clear() { chunks_.clear(); }
  [[nodiscard]] std::size_t memory_bytes() const {
    return chunks_.size() * sizeof(Chunk);
  }

 private:
  struct Chunk {
    std::bitset<kChunkSectors> present;
    std::array<std::byte, kChunkBytes> bytes;
  };

  ChunkMap<Chunk> chunks_;
};

// Sectors whose bytes somebody else keeps, unmoved.
class SectorMap {
 public:
  void point(std::uint64_t sector, const std::byte* at) {
    chunks_.at(sector / kChunkSectors).at[sector % kChunkSectors] = at;
  }

  void paint(std::uint64_t offset_bytes, MutableBytes to) const {
    for_each_piece(offset_bytes, to.size(),
                   [&](std::uint64_t number, std::size_t first,
                       std::size_t count, std::size_t done) {
                     const Chunk* chunk = chunks_.find(number);
                     if (chunk == nullptr) return;
                     for (std::size_t i = 0; i < count; ++i) {
                       const std::byte* at = chunk->at[first + i];
                       if (at == nullptr) continue;
                       copy_bytes(to.subspan(done + i * kSectorBytes),
                                  Bytes(at, kSectorBytes));
                     }
                   });
  }

 private:
  struct Chunk {
    std::array<const std::byte*, kChunkSectors> at{};
  };

  ChunkMap<Chunk> chunks_;
};

}  // namespace odo::block
