// SPDX-License-Identifier: BSD-3-Clause
// Which chunks there are: for hardened heaps, which look at nothing that an
// address leads to before they know that it is theirs.
//
// A bit for each chunk that an address of 48 bits can lie in: 16 MiB of the
// page source's memory, of which as many pages are touched as chunks lie apart.
//
// Contexts: any.
// Failure: prepare(): false without memory for the map.
// Ordering: the map itself is acquired from who made it. Its bits are relaxed:
//   who has an address of a chunk has it from somebody who got it after the
//   chunk was added.
// Complexity: O(1).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "lib/kmalloc/layout.h"
#include "lib/kmalloc/platform.h"

namespace odo::kmalloc {

// A ground says so by `static constexpr bool kHardened = true`.
template <class P>
inline constexpr bool kIsHardened = requires { requires P::kHardened; };

template <class P>
class ChunkMap {
 public:
  // Does nothing where it is not wanted.
  [[nodiscard]] bool prepare(P& /*ground*/) { return true; }
  void add(const void* /*chunk*/) {}
  void remove(const void* /*chunk*/) {}
  void end(P& /*ground*/) {}
};

template <class P>
requires kIsHardened<P>
class ChunkMap<P> {
 public:
  [[nodiscard]] bool prepare(P& ground) {
    if (words() != nullptr) return true;
    auto* made = static_cast<Word*>(ground.map(kBytes, kPageBytes));
    if (made == nullptr) return false;
    if (!kMapsZeros<P>) __builtin_memset(static_cast<void*>(made), 0, kBytes);
    Word* none = nullptr;
    // Somebody may have been quicker.
    if (!words_.compare_exchange_strong(none, made, std::memory_order_release,
                                        std::memory_order_relaxed)) {
      ground.unmap(made, kBytes);
    }
    return true;
  }
  void end(P& ground) {
    if (words() != nullptr) ground.unmap(words(), kBytes);
    words_.store(nullptr, std::memory_order_relaxed);
  }
  void add(const void* chunk) {
    (void)word_of(chunk).fetch_or(bit_of(chunk), std::memory_order_relaxed);
  }
  void remove(const void* chunk) {
    (void)word_of(chunk).fetch_and(~bit_of(chunk), std::memory_order_relaxed);
  }
  // Whether a chunk has this address in it.
  [[nodiscard]] bool has(const void* address) const {
    return words() != nullptr &&
           (word_of(address).load(std::memory_order_relaxed) &
            bit_of(address)) != 0;
  }

 private:
  using Word = typename P::template Atomic<std::uint64_t>;
  static_assert(sizeof(Word) == sizeof(std::uint64_t));
  static constexpr unsigned kAddressBits = 48;
  static constexpr std::size_t kChunks =
      (std::size_t{1} << kAddressBits) / kChunkBytes;
  static constexpr std::size_t kBytes = kChunks / 8;

  [[nodiscard]] static std::size_t index_of(const void* address) {
    return reinterpret_cast<std::uintptr_t>(address) / kChunkBytes % kChunks;
  }
  [[nodiscard]] Word* words() const {
    return words_.load(std::memory_order_acquire);
  }
  [[nodiscard]] Word& word_of(const void* address) const {
    return words()[index_of(address) / 64];
  }
  [[nodiscard]] static std::uint64_t bit_of(const void* address) {
    return std::uint64_t{1} << (index_of(address) % 64);
  }

  // Zeros are what an atomic zero is made of.
  typename P::template Atomic<Word*> words_{nullptr};
};

}  // namespace odo::kmalloc
