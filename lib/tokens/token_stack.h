// SPDX-License-Identifier: BSD-3-Clause
// The tokens that one thread holds, youngest last, and all that can be done
// with them without waiting. ThreadTokens (thread_tokens.h) adds waiting;
// schedulers see this part: release_all() before another thread runs in this
// one's place, try_reacquire_all() before this one runs again.
//
// Contexts: the thread itself, or the scheduler on its behalf while it does not
//   run. Interrupt handlers only try, and release before they return.
// Invariants:
//   S1. a thread that runs holds every reference on its stack, but for the one
//       that it is just acquiring;
//   S2. of several references to one token the oldest holds it, and those above
//       an exclusive one are nested: they cost nothing;
//   S3. a reference never waits while its thread keeps others: who can't have
//       all has none (hold-and-wait, a condition of deadlock, does not occur).
// Ordering: docs/tokens.md, table of pairs (E, R, L, B, D, W).
// Failure: misuse is reported to the ground with both places in the source.
// Complexity: O(1) for one token; reacquiring n tokens under pressure sorts
//   them, O(n²) for n up to 32.
// Origin: lwkt_getalltokens() and its address-sorted sibling, lwkt_token_swap()
//   in DragonFly's sys/kern/lwkt_token.c. Deviations: a request is posted only
//   on the token that stands in the way, and readers give way to it at any
//   depth (docs/tokens.md, "Who gives way").
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <source_location>
#include <span>
#include <utility>

#include "lib/base/annotations.h"
#include "lib/base/check.h"
#include "lib/tokens/lane.h"
#include "lib/tokens/token.h"

namespace odo::tokens {

using Where = std::source_location;

enum class Want : std::uint8_t { kExclusive, kShared };

// 32 bytes, so that a reference's index costs no division.
template <TokenPlatform P>
struct alignas(32) TokenRef {
  enum class Have : std::uint8_t {
    kNothing,    // not now: being acquired, or the thread does not run
    kExclusive,  // the token's word names our stack
    kCounted,    // one of the token's counted readers
    kLane,       // a reader, marked in our lane's `slot`
    kNested,     // an older reference of ours is exclusive
  };

  Token<P>* token = nullptr;
  Where where;
  Want want = Want::kExclusive;
  Have have = Have::kNothing;
  std::uint8_t slot = 0;
  // A reader that has waited through an exclusive holder no longer gives way.
  bool waited = false;
};

template <TokenPlatform P>
class alignas(64) TokenStack {
 public:
  using Ref = TokenRef<P>;
  static constexpr unsigned kMaxTokens = 32;

  explicit TokenStack(Lane<P>& lane, P platform = P())
      : platform_(platform), lane_(&lane) {}
  TokenStack(const TokenStack&) = delete;
  TokenStack& operator=(const TokenStack&) = delete;
  ~TokenStack() { ODO_CHECK(top_ == refs_); }

  // --- questions -------------------------------------------------------------
  [[nodiscard]] unsigned depth() const {
    return static_cast<unsigned>(top_ - refs_);
  }
  [[nodiscard]] std::span<const Ref> refs() const { return {refs_, depth()}; }
  // By this thread, in any way or exclusively.
  [[nodiscard]] bool holds(const Token<P>& token) const {
    return find(token) != nullptr;
  }
  [[nodiscard]] bool holds_exclusive(const Token<P>& token) const {
    return token.state_.load(std::memory_order_relaxed) == me();
  }

  // --- for schedulers --------------------------------------------------------
  // Gives up every token; the references stay. Before another thread runs.
  void release_all() {
    for (Ref* ref = top_; ref-- != refs_;) {
      give_up(*ref);
      ref->have = Have::kNothing;
      ref->waited = false;
    }
  }

  // All or none; true when the thread may run. The first attempt goes from the
  // oldest reference to the youngest, later ones by address, so that threads
  // after the same tokens in different orders cannot keep failing each other.
  [[nodiscard]] bool try_reacquire_all() {
    const unsigned count = depth();
    std::uint8_t order[kMaxTokens];
    for (unsigned i = 0; i < count; ++i) {
      order[i] = static_cast<std::uint8_t>(i);
    }
    if (under_pressure_) sort_by_address(order, count);
    for (unsigned i = 0; i < count; ++i) {
      Ref& ref = refs_[order[i]];
      // Only with everything else in hand is it worth while to wait a little.
      if (try_take(ref) || (i + 1 == count && spin(ref))) continue;
      while (i-- > 0) {
        give_up(refs_[order[i]]);
        refs_[order[i]].have = Have::kNothing;
      }
      under_pressure_ = true;
      waits_for_ = &ref;
      ref.token->collisions_.add_one();
      move_request(ref);
      return false;
    }
    under_pressure_ = false;
    waits_for_ = nullptr;
    withdraw_request();
    return true;
  }

  // The token that the last try_reacquire_all() failed at.
  [[nodiscard]] Token<P>& waits_for() const {
    ODO_ASSERT(waits_for_ != nullptr);
    return *waits_for_->token;
  }

  // Sleeps until another attempt may be worth while; for blockers that have
  // nothing better to do.
  void park()
  requires CanPark<P>
  {
    Token<P>& token = waits_for();
    const std::uint32_t seen =
        token.park_.fetch_or(Token<P>::kParked, std::memory_order_relaxed) |
        Token<P>::kParked;
    // Pair W: who gives the token up after our look sees the bit.
    platform_.heavy_fence();
    if (!may_try_again()) platform_.park(token.park_, seen);
  }

  // Whether what try_reacquire_all() failed at looks better now. The looks are
  // relaxed: whoever changes what they see looks for the parked afterwards.
  [[nodiscard]] bool may_try_again() const {
    const Ref& ref = *waits_for_;
    const Token<P>& token = *ref.token;
    const std::uint64_t seen = token.state_.load(std::memory_order_relaxed);
    if (ref.want == Want::kShared) {
      return (seen & Token<P>::kExclusive) == 0 &&
             (ref.waited || !token.has_request());
    }
    if (Token<P>::is_taken(seen)) return false;
    return (seen & Token<P>::kDraining) == 0 || lanes_clear(token);
  }

  // Moves a thread to another CPU's lane. It holds no token at the moment.
  void set_lane(Lane<P>& lane) {
    for (const Ref& ref : refs()) ODO_CHECK(ref.have == Ref::Have::kNothing);
    lane_ = &lane;
  }

  // --- for the thread --------------------------------------------------------
  // Exchanges the two youngest references, so that the older may be released
  // first. Two references to one token stay as they are: the older holds it.
  void swap_top(Where where = Where::current()) {
    if (depth() < 2) {
      fault(Misuse::kNotSwappable, nullptr, youngest(), where);
    }
    if (top_[-1].token != top_[-2].token) std::swap(top_[-1], top_[-2]);
  }

  // Without waiting. False is also the answer to "exclusive" while holding the
  // token shared, which waiting would not change.
  [[nodiscard]] ODO_ALWAYS_INLINE bool try_acquire(
      Token<P>& token, Where where = Where::current()) {
    return take_at_once(token, where) ||
           try_push(token, where, Want::kExclusive);
  }
  [[nodiscard]] ODO_ALWAYS_INLINE bool try_acquire_shared(
      Token<P>& token, Where where = Where::current()) {
    return share_at_once(token, where) || try_push(token, where, Want::kShared);
  }

  // Gives up the youngest reference, which is to this token.
  ODO_ALWAYS_INLINE void release(Token<P>& token,
                                 Where where = Where::current()) {
    if (top_ == refs_ || top_[-1].token != &token) [[unlikely]] {
      fault_release(token, where);
    }
    --top_;
    give_up(*top_);
  }

 protected:
  using Have = typename Ref::Have;

  // The usual cases, inlined: free, or ours already. The reference is written
  // after the word was taken: stores before a locked instruction delay it.
  ODO_ALWAYS_INLINE bool take_at_once(Token<P>& token, Where where) {
    check_room(token, where);
    std::uint64_t seen = token.state_.load(std::memory_order_relaxed);
    // Success acquires what the last holders released (pairs E, R). Finding our
    // own name is no news from another thread: relaxed.
    if (Token<P>::is_free(seen) && !token.has_impatient()) [[likely]] {
      if (token.state_.compare_exchange_strong(
              seen, me(), std::memory_order_acquire, std::memory_order_relaxed))
          [[likely]] {
        push(token, where, Want::kExclusive, Have::kExclusive);
        return true;
      }
    }
    if (seen != me()) return false;
    push(token, where, Want::kExclusive, Have::kNested);
    return true;
  }
  ODO_ALWAYS_INLINE bool share_at_once(Token<P>& token, Where where) {
    check_room(token, where);
    const std::uint64_t seen = token.state_.load(std::memory_order_relaxed);
    if ((seen & Token<P>::kBiased) == 0) return false;
    // Somebody waits: relaxed, as in gives_way(), which decides.
    if (token.requests_.load(std::memory_order_relaxed) != 0) return false;
    if (!mark_lane(*top_, token)) return false;
    push(token, where, Want::kShared, Have::kLane);
    return true;
  }

  ODO_ALWAYS_INLINE Ref& push(Token<P>& token, Where where, Want want,
                              Have have) {
    Ref& ref = *top_;
    ref.token = &token;
    ref.where = where;
    ref.want = want;
    ref.have = have;
    // Who interrupts us finds below the top only what is all written.
    std::atomic_signal_fence(std::memory_order_release);
    top_ = &ref + 1;
    return ref;
  }
  // Pushed, but not held yet.
  Ref& push_pending(Token<P>& token, Where where, Want want) {
    Ref& ref = push(token, where, want, Have::kNothing);
    ref.waited = false;
    return ref;
  }
  void pop_pending() { --top_; }

  [[nodiscard]] bool try_take(Ref& ref) {
    return ref.want == Want::kExclusive ? try_exclusive(ref) : try_shared(ref);
  }
  // More attempts, until one succeeds or the ground's patience ends.
  [[nodiscard]] bool spin(Ref& ref) {
    constexpr TokenTuning kTuning = P::kTokenTuning;
    std::uint32_t pause = 1;
    for (std::uint32_t round = 0; round < kTuning.spin_rounds; ++round) {
      const bool impatient = round >= kTuning.impatient_after;
      if (impatient) ask_for_way(*ref.token);
      for (std::uint32_t i = 0; i < pause; ++i) {
        platform_.relax();
        // What the others make room for is gone a moment later.
        if (impatient && looks_free(ref)) break;
      }
      if (try_take(ref)) {
        if (impatient) way_was_given(*ref.token);
        return true;
      }
      pause = pause * 2 > kTuning.max_pause ? kTuning.max_pause : pause * 2;
    }
    // No way is needed while we sleep.
    way_was_given(*ref.token);
    return false;
  }
  [[nodiscard]] static bool looks_free(const Ref& ref) {
    const std::uint64_t seen =
        ref.token->state_.load(std::memory_order_relaxed);
    return ref.want == Want::kExclusive ? !Token<P>::is_taken(seen)
                                        : (seen & Token<P>::kExclusive) == 0;
  }

  // Who takes a token again and again has its cache line and would always be
  // first; a newcomer waits for a moment when somebody has waited long.
  // Bounded, and asked for anew by each round of a waiter that runs: one that
  // has lost its CPU delays nobody twice. All of it is advice: relaxed.
  void let_impatient_pass(Token<P>& token) {
    if (!token.has_impatient()) return;
    for (std::uint32_t i = 0; i < P::kTokenTuning.let_pass; ++i) {
      const std::uint64_t seen = token.state_.load(std::memory_order_relaxed);
      if (Token<P>::is_taken(seen) || !token.has_impatient()) return;
      platform_.relax();
    }
    way_was_given(token);
  }
  void ask_for_way(Token<P>& token) {
    if (token.has_impatient()) return;
    (void)token.requests_.fetch_or(Token<P>::kImpatient,
                                   std::memory_order_relaxed);
  }
  void way_was_given(Token<P>& token) {
    if (!token.has_impatient()) return;
    (void)token.requests_.fetch_and(~Token<P>::kImpatient,
                                    std::memory_order_relaxed);
  }

  // An older reference of ours holds it shared: waiting would never end.
  void refuse_upgrade(const Ref& wanted) {
    if (wanted.want != Want::kExclusive) return;
    for (const Ref* ref = refs_; ref != &wanted; ++ref) {
      if (ref->token == wanted.token && ref->want == Want::kExclusive) return;
      if (ref->token == wanted.token) {
        fault(Misuse::kUpgrade, wanted.token, ref, wanted.where);
      }
    }
  }

  // The first attempt failed: counts it, and tells readers about it.
  void begin_wait(const Ref& ref) {
    ref.token->contended_.add_one();
    move_request(ref);
  }
  // At most one request a stack (T5): on the token that it waits for.
  void move_request(const Ref& ref) {
    Token<P>* wanted = ref.want == Want::kExclusive ? ref.token : nullptr;
    if (wanted == requested_) return;
    Token<P>* left = requested_;
    withdraw_request();
    // Readers may have parked because of the request alone (pair W).
    if (left != nullptr) wake_parked(*left);
    requested_ = wanted;
    // Advice to readers, bounded by coherence alone: relaxed.
    if (wanted != nullptr) {
      (void)wanted->requests_.fetch_add(1, std::memory_order_relaxed);
    }
  }
  // On success no reader needs waking: our release will look.
  void withdraw_request() {
    if (requested_ == nullptr) return;
    (void)requested_->requests_.fetch_sub(1, std::memory_order_relaxed);
    requested_ = nullptr;
  }

  // What was acquired last before `ref`; null if nothing was.
  [[nodiscard]] const Ref* last_before(const Ref* ref) const {
    return ref == refs_ ? nullptr : ref - 1;
  }
  [[nodiscard]] const Ref* youngest() const { return last_before(top_); }
  [[noreturn]] ODO_NOINLINE void fault(Misuse what, const Token<P>* token,
                                       const Ref* other, Where here) {
    platform_.token_fault({what, token == nullptr ? "" : token->name(),
                           other == nullptr ? "" : other->token->name(), here,
                           other == nullptr ? Where() : other->where});
    ODO_PANIC("a token was misused");
  }

  [[no_unique_address]] P platform_;

 private:
  [[nodiscard]] std::uint64_t me() const {
    return reinterpret_cast<std::uintptr_t>(this) | Token<P>::kExclusive;
  }

  ODO_ALWAYS_INLINE void check_room(const Token<P>& token, Where where) {
    if (top_ == refs_ + kMaxTokens) [[unlikely]] {
      fault(Misuse::kTooMany, &token, youngest(), where);
    }
  }

  ODO_NOINLINE bool try_push(Token<P>& token, Where where, Want want) {
    if (try_take(push_pending(token, where, want))) return true;
    pop_pending();
    return false;
  }

  [[nodiscard]] bool try_exclusive(Ref& ref) {
    Token<P>& token = *ref.token;
    std::uint64_t seen = token.state_.load(std::memory_order_relaxed);
    do {
      if (seen == me()) {
        ref.have = Have::kNested;
        return true;
      }
      if (Token<P>::is_taken(seen)) return false;
      // Acquire: pairs E and R; from kDraining also pair D.
    } while (!token.state_.compare_exchange_weak(
        seen, me(), std::memory_order_acquire, std::memory_order_relaxed));
    if ((seen & (Token<P>::kBiased | Token<P>::kDraining)) != 0 &&
        !drain(token, seen)) {
      // Release: pair D, the next taker may skip the heavy_fence().
      token.state_.store(Token<P>::kDraining, std::memory_order_release);
      wake_parked(token);
      return false;
    }
    ref.have = Have::kExclusive;
    return true;
  }

  // The word is ours and no longer biased: are the lanes' readers gone, or do
  // they go within the ground's patience?
  [[nodiscard]] bool drain(const Token<P>& token, std::uint64_t seen) {
    // Pair B: a reader whose mark we don't see from here on will see that the
    // bias is gone. Who left kDraining has done this already.
    if ((seen & Token<P>::kBiased) != 0) platform_.heavy_fence();
    for (std::uint32_t round = 0;; ++round) {
      if (lanes_clear(token)) return true;
      if (round == P::kTokenTuning.spin_rounds) return false;
      platform_.relax();
    }
  }

  [[nodiscard]] bool lanes_clear(const Token<P>& token) const {
    // Acquire: the lane's links and slots, from add().
    const Lane<P>* lane = lane_->domain_.first_.load(std::memory_order_acquire);
    for (; lane != nullptr;
         lane = lane->next_.load(std::memory_order_relaxed)) {
      for (const typename Lane<P>::Slot& slot : lane->slots_) {
        // Acquire: pair L, what the reader did before it left.
        if (slot.load(std::memory_order_acquire) == &token) return false;
      }
    }
    return true;
  }

  [[nodiscard]] bool try_shared(Ref& ref) {
    Token<P>& token = *ref.token;
    std::uint64_t seen = token.state_.load(std::memory_order_relaxed);
    while (true) {
      if ((seen & Token<P>::kExclusive) != 0) {
        if (seen == me()) {
          ref.have = Have::kNested;
          return true;
        }
        ref.waited = true;
        return false;
      }
      if (gives_way(ref)) return false;
      if ((seen & Token<P>::kBiased) != 0 && mark_lane(ref, token)) {
        ref.have = Have::kLane;
        return true;
      }
      // Acquire: pair E. Counted readers only read-modify-write the word, so
      // the last exclusive holder's release reaches every one of them.
      if (token.state_.compare_exchange_weak(seen, Token<P>::with_reader(seen),
                                             std::memory_order_acquire,
                                             std::memory_order_relaxed)) {
        ref.have = Have::kCounted;
        return true;
      }
    }
  }

  // A reader lets exclusive waiters pass, unless it has let one pass already or
  // reads the token anyway.
  [[nodiscard]] bool gives_way(const Ref& ref) const {
    if (ref.waited || !ref.token->has_request()) return false;
    for (const Ref& older : refs()) {
      if (&older != &ref && older.token == ref.token &&
          older.have != Have::kNothing) {
        return false;
      }
    }
    return true;
  }

  // The way of readers of a biased token: no write but to our own cache line.
  [[nodiscard]] ODO_ALWAYS_INLINE bool mark_lane(Ref& ref, Token<P>& token) {
    // By the reference's place on the stack: neighbours use different slots.
    ref.slot = static_cast<std::uint8_t>(
        static_cast<std::size_t>(&ref - refs_) % Lane<P>::kSlots);
    typename Lane<P>::Slot& slot = lane_->slots_[ref.slot];
    // Ours alone to write: relaxed sees what we left.
    if (slot.load(std::memory_order_relaxed) != nullptr) return false;
    // Release, though it announces nothing: it overwrites the mark's last
    // removal, and who reads this instead needs what that published (pair L).
    slot.store(&token, std::memory_order_release);
    platform_.light_fence();  // pair B
    // Acquire: pair E, through the counted readers that set the bias.
    if ((token.state_.load(std::memory_order_acquire) & Token<P>::kBiased) != 0)
        [[likely]] {
      return true;
    }
    slot.store(nullptr, std::memory_order_release);  // as above
    wake_parked(token);
    return false;
  }

  // `ref` itself still says what it had.
  ODO_ALWAYS_INLINE void give_up(const Ref& ref) {
    Token<P>& token = *ref.token;
    if (ref.have == Have::kExclusive) [[likely]] {
      token.state_.store(0, std::memory_order_release);  // pair E, T1
    } else if (ref.have == Have::kLane) {
      lane_->slots_[ref.slot].store(nullptr,
                                    std::memory_order_release);  // pair L
    } else if (ref.have == Have::kCounted) {
      (void)token.state_.fetch_sub(Token<P>::kReader,
                                   std::memory_order_release);  // pair R
    } else {
      return;
    }
    wake_parked(token);
  }

  // After any change that somebody may have parked for.
  ODO_ALWAYS_INLINE void wake_parked(Token<P>& token) {
    platform_.light_fence();  // pair W
    if ((token.park_.load(std::memory_order_relaxed) & Token<P>::kParked) != 0)
        [[unlikely]] {
      wake_all(token);
    }
  }
  ODO_NOINLINE void wake_all(Token<P>& token) {
    // The order of all that matters is made by the ground's park and wake.
    std::uint32_t seen = token.park_.load(std::memory_order_relaxed);
    while ((seen & Token<P>::kParked) != 0) {
      // Clears the bit and counts one up.
      if (token.park_.compare_exchange_weak(seen, seen + 1,
                                            std::memory_order_relaxed,
                                            std::memory_order_relaxed)) {
        platform_.wake_all(token.park_);
        return;
      }
    }
  }

  // Stable: of several references to one token the oldest comes first (S2).
  void sort_by_address(std::uint8_t* order, unsigned count) const {
    for (unsigned i = 1; i < count; ++i) {
      const std::uint8_t moving = order[i];
      unsigned at = i;
      for (; at > 0 &&
             reinterpret_cast<std::uintptr_t>(refs_[order[at - 1]].token) >
                 reinterpret_cast<std::uintptr_t>(refs_[moving].token);
           --at) {
        order[at] = order[at - 1];
      }
      order[at] = moving;
    }
  }

  [[nodiscard]] const Ref* find(const Token<P>& token) const {
    for (const Ref& ref : refs()) {
      if (ref.token == &token && ref.have != Have::kNothing) return &ref;
    }
    return nullptr;
  }

  [[noreturn]] ODO_NOINLINE void fault_release(const Token<P>& token,
                                               Where where) {
    if (holds(token)) fault(Misuse::kOutOfOrder, &token, youngest(), where);
    fault(Misuse::kNotHeld, &token, youngest(), where);
  }

  Ref* top_ = refs_;
  Lane<P>* lane_;
  bool under_pressure_ = false;
  const Ref* waits_for_ = nullptr;
  Token<P>* requested_ = nullptr;
  Ref refs_[kMaxTokens];
};

}  // namespace odo::tokens
