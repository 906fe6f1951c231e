// SPDX-License-Identifier: BSD-3-Clause
// What tokens ask of the ground they stand on, and what they tell it when they
// are misused.
//
// Contexts: each function says its own.
// Failure: none of a ground's functions fails; token_fault() and a fault itself
// do not return to the caller's work.
#pragma once

#include <atomic>
#include <concepts>
#include <cstdint>
#include <source_location>

#include "lib/platform/concepts.h"

namespace odo::tokens {

// The kind of a token: many tokens may share one ("vnode", "inode"). Static
// storage; tokens keep its address.
struct TokenClass {
  const char* name;
  // For the validator: tokens of a lower rank are taken first. 0: none given,
  // the validator learns the order from use.
  std::uint16_t rank = 0;
};

// How long to wait in which way. A ground states one as kTokenTuning.
struct TokenTuning {
  // Attempts between the first failure and giving the CPU away.
  std::uint32_t spin_rounds;
  // relax() calls between attempts: from 1, doubled up to this.
  std::uint32_t max_pause;
  // Failed attempts after which a waiter becomes impatient: it looks at every
  // relax(), and newcomers let it pass for as many relax() calls.
  std::uint32_t impatient_after;
  std::uint32_t let_pass;
  // Counted shared acquisitions without an exclusive one between them, until
  // readers stop writing to the token; 0 for never. A revocation costs
  // heavy_fence() and a look at every lane: a good number is what that costs,
  // in counted acquisitions.
  std::uint32_t bias_after_reads;
};

enum class Misuse : std::uint8_t {
  kNotHeld,      // released, but not held by this thread
  kOutOfOrder,   // released while a younger one is held
  kTooMany,      // more tokens at once than a thread may hold
  kUpgrade,      // exclusive asked for while holding shared
  kMayNotBlock,  // would have to wait where that is forbidden
  kNotSwappable  // fewer than two to swap
};

// One misuse. `token` names the token concerned (empty where there is none),
// `other` the one at `there`: the youngest acquisition, or for kOutOfOrder,
// kUpgrade the one that stands in the way.
struct TokenFault {
  Misuse what;
  const char* token;
  const char* other;
  std::source_location here;
  std::source_location there;
};

[[nodiscard]] constexpr const char* misuse_text(Misuse what) {
  switch (what) {
    case Misuse::kNotHeld:
      return "released a token that this thread does not hold";
    case Misuse::kOutOfOrder:
      return "released a token before a younger one";
    case Misuse::kTooMany:
      return "holds too many tokens at once";
    case Misuse::kUpgrade:
      return "asked for a token exclusively while holding it shared";
    case Misuse::kMayNotBlock:
      return "would have to wait for a token where blocking is forbidden";
    case Misuse::kNotSwappable:
      return "swapped the two youngest of fewer than two tokens";
  }
  return "misused a token";
}

// park(word, seen) sleeps until wake_all(word), or returns at once if the word
// is not `seen`; it may also return for no reason. A ground whose blocker never
// parks leaves wake_all() empty.
//
// Counter is a statistic: add_one() and read(), nothing depends on its order.
//
// Contexts: relax, wake_all: any. token_fault: any; does not return.
template <class P>
concept TokenPlatform =
    platform::HasAtomics<P> && platform::CanRelax<P> &&
    platform::HasFencePair<P> &&
    requires(P& ground, typename P::template Atomic<std::uint32_t>& word,
             typename P::Counter& counter, const TokenFault& fault) {
      { P::kTokenTuning } -> std::convertible_to<TokenTuning>;
      { counter.add_one() } -> std::same_as<void>;
      { counter.read() } -> std::same_as<std::uint32_t>;
      { ground.wake_all(word) } -> std::same_as<void>;
      { ground.token_fault(fault) } -> std::same_as<void>;
    };

// Needed by ParkingBlocker alone.
template <class P>
concept CanPark =
    requires(P& ground, typename P::template Atomic<std::uint32_t>& word,
             std::uint32_t seen) {
      { ground.park(word, seen) } -> std::same_as<void>;
    };

}  // namespace odo::tokens
