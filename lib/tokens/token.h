// SPDX-License-Identifier: BSD-3-Clause
// A token: serializes those who hold it, for as long as they run.
//
// Only a TokenStack acts on a token; this is the word that stacks agree about.
// docs/tokens.md tells the whole protocol, with the table of pairs.
//
// Contexts: any.
// Size: 32 bytes.
// Ownership: a token may be destroyed once no thread is inside an acquire or a
//   release of it; pooled tokens (pool.h) outlive what they guard.
// Invariants:
//   T1. state_ with kExclusive set names the one stack that holds the token;
//       until that stack stores another value nobody else changes the word. So
//       an exclusive release is a plain store;
//   T2. otherwise state_ counts the counted readers, and kBiased says whether
//       readers may instead mark a slot of their lane (lane.h);
//   T3. kBiased is set only by a counted reader, at the end of an unbroken run
//       of reads; only the exclusive taker clears it, in the same step in which
//       it takes the word;
//   T4. kDraining: an exclusive taker cleared kBiased and gave up while readers
//       were in lanes. Whoever takes the word next looks at the lanes again.
//       kBiased is not set while kDraining is;
//   T5. requests_ counts the exclusive waiters whose next attempt hinges on
//       this token; a stack counts in at most one token at a time. kImpatient
//       in it is advice alone: set by a waiter that spins, cleared by whoever
//       let it pass.
// Origin: DragonFly's sys/kern/lwkt_token.c and sys/sys/thread.h for what
//   tokens mean. There the word counts and a second field names the holder;
//   here one word does both, so that a release is a store. Reader bias: Dice
//   and Kogan, "BRAVO: Biased Locking for Reader-Writer Locks" (USENIX ATC
//   2019); here a lane is a CPU, because only running threads hold tokens.
#pragma once

#include <atomic>
#include <cstdint>

#include "lib/base/annotations.h"
#include "lib/tokens/platform.h"

namespace odo::tokens {

template <TokenPlatform P>
class TokenStack;

template <TokenPlatform P>
class ODO_CAPABILITY("token") Token {
 public:
  explicit constexpr Token(const TokenClass& kind) : class_(&kind) {}
  Token(const Token&) = delete;
  Token& operator=(const Token&) = delete;

  [[nodiscard]] const TokenClass& kind() const { return *class_; }
  [[nodiscard]] const char* name() const { return class_->name; }

  // Acquisitions that did not succeed at once. Both statistics wrap.
  [[nodiscard]] std::uint32_t contended() { return contended_.read(); }
  // How often a thread gave its CPU away, or failed to come back, because of
  // this token.
  [[nodiscard]] std::uint32_t collisions() { return collisions_.read(); }

  // Is it held exclusively, by anybody? Old news when it arrives, unless the
  // caller holds the token.
  [[nodiscard]] bool is_held_exclusive() const {
    return (state_.load(std::memory_order_relaxed) & kExclusive) != 0;
  }
  // May readers use their lanes at the moment?
  [[nodiscard]] bool is_read_biased() const {
    return (state_.load(std::memory_order_relaxed) & kBiased) != 0;
  }

 private:
  friend class TokenStack<P>;

  template <class T>
  using Atomic = typename P::template Atomic<T>;

  // state_: a TokenStack's address with kExclusive, or
  //   bits 32-63  counted readers
  //   bits  8-31  length of the run of reads, up to bias_after_reads
  //   bit 2, 1    kDraining, kBiased
  static constexpr std::uint64_t kExclusive = 1;
  static constexpr std::uint64_t kBiased = 2;
  static constexpr std::uint64_t kDraining = 4;
  static constexpr std::uint64_t kRun = 0x100;
  static constexpr std::uint64_t kRunMask = 0xffff'ff00;
  static constexpr std::uint64_t kReader = std::uint64_t{1} << 32;
  static constexpr std::uint64_t kReaderMask = ~(kReader - 1);

  // requests_: bit 31 says that a spinning waiter has waited long.
  static constexpr std::uint32_t kImpatient = std::uint32_t{1} << 31;

  // park_: bit 0 says that somebody may be parked, the rest counts wake-ups.
  static constexpr std::uint32_t kParked = 1;

  [[nodiscard]] static constexpr bool is_free(std::uint64_t state) {
    return (state & ~kRunMask) == 0;
  }
  // Held, as far as this word alone can tell.
  [[nodiscard]] static constexpr bool is_taken(std::uint64_t state) {
    return (state & (kExclusive | kReaderMask)) != 0;
  }
  [[nodiscard]] bool has_request() const {
    return (requests_.load(std::memory_order_relaxed) & ~kImpatient) != 0;
  }
  [[nodiscard]] bool has_impatient() const {
    return (requests_.load(std::memory_order_relaxed) & kImpatient) != 0;
  }
  // The word with one more counted reader.
  [[nodiscard]] static constexpr std::uint64_t with_reader(
      std::uint64_t state) {
    constexpr std::uint64_t kFull =
        std::uint64_t{P::kTokenTuning.bias_after_reads} * kRun;
    static_assert(kFull <= kRunMask);
    std::uint64_t next = state + kReader;
    if ((next & kRunMask) < kFull) next += kRun;
    const bool run_complete = kFull != 0 && (next & kRunMask) >= kFull;
    if (run_complete && (next & kDraining) == 0) next |= kBiased;
    return next;
  }

  Atomic<std::uint64_t> state_{std::uint64_t{0}};
  Atomic<std::uint32_t> requests_{std::uint32_t{0}};
  Atomic<std::uint32_t> park_{std::uint32_t{0}};
  const TokenClass* class_;
  typename P::Counter contended_;
  typename P::Counter collisions_;
};

}  // namespace odo::tokens
