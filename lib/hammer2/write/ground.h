// SPDX-License-Identifier: BSD-3-Clause
// What the write path asks of the ground it stands on: devices, memory, the
// time and random bytes.
//
// Contexts: thread; devices may put the caller to sleep, nothing else may.
// Failure: allocate() returns null; the operation at hand is then refused.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>

#include "lib/base/bytes.h"
#include "lib/block/device.h"

namespace odo::hammer2::write {

template <class G>
concept Ground = block::WritableBlockDevice<typename G::Device> &&
                 requires(G& ground, void* memory, std::size_t bytes,
                          std::size_t align, MutableBytes to) {
                   // `bytes` at a multiple of `align`, a power of two; or null.
                   { ground.allocate(bytes, align) } -> std::same_as<void*>;
                   // With the numbers that it was allocated with.
                   {
                     ground.deallocate(memory, bytes, align)
                   } -> std::same_as<void>;
                   // Microseconds since 1970.
                   { ground.now_us() } -> std::same_as<std::uint64_t>;
                   // For identifiers of PFSs: unlike any drawn before.
                   { ground.fill_random(to) } -> std::same_as<void>;
                 };

// What may be done wrong with space, to see that the proofs notice: a test's
// ground says it as its kSpaceMutation, and of all others nothing is left.
enum class SpaceMutation : std::uint8_t {
  kNone,
  kFreeUnstaged,     // bulkfree frees what it should stage
  kRetireCommitted,  // blocks that a header refers to are free at once
  kFreemapInPlace,   // the freemap is written over the last header's
};

// The same with the intent log.
enum class LogMutation : std::uint8_t {
  kNone,
  kAnyBase,     // what was logged upon another header is done again
  kNoCheck,     // so is what isn't whole
  kBlocksFree,  // what is done again may lie where the log does
};

template <class G>
[[nodiscard]] constexpr LogMutation log_mutation() {
  if constexpr (requires { G::log_mutation(); }) {
    return G::log_mutation();
  } else {
    return LogMutation::kNone;
  }
}

template <class G>
inline constexpr SpaceMutation kSpaceMutation = SpaceMutation::kNone;
template <class G>
requires requires { G::kSpaceMutation; }
inline constexpr SpaceMutation kSpaceMutation<G> = G::kSpaceMutation;

}  // namespace odo::hammer2::write
