// SPDX-License-Identifier: BSD-3-Clause
// The user threads of one CPU: the chosen one, and those that wait.
//
// Realtime and idle threads wait in 32 lists each, by priority. Timeshare
// threads wait in one of two places:
//   - *front*, first come first served: threads that use less than half of
//     their fair share, which is what interactive threads look like;
//   - the *calendar*, a ring of slots that is served in order. A thread is put
//     1 to kMaxOffset slots ahead of the slot in service: the more it ran
//     lately against its fair share and the less its nice is due, the further.
//     So its share tends to what its weight is due, and no slot can grow once
//     it is in service.
//
// Contexts: any; the caller holds this queue's lock, but for the functions that
//   begin with hint_: those anybody may call, and they tell old news.
// Invariants:
//   Q1. a bit of a mask is set if and only if its list has a thread;
//   Q2. every calendar thread is 0 to kMaxOffset slots ahead of the slot in
//       service, so slots never mean two things;
//   Q3. only a thread whose turn was cut short enters the slot in service, and
//       only for the rest of its turn: this bounds how long others wait;
//   Q4. load_ is the sum of the weights of all attached timeshare threads.
// Complexity: O(1), but find_waiting(), which looks at as many threads as it
//   is told to.
// Failure: none; wrong states are our own mistakes and checked.
// Origin: struct usched_dfly_pcpu in DragonFly's sys/kern/usched_dfly.c. There
//   32 lists a class and fixed priorities; the calendar comes from calendar
//   queues (Brown, CACM 31:10, 1988) and is what removes starvation.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>

#include "lib/base/check.h"
#include "lib/base/list.h"
#include "lib/platform/concepts.h"
#include "lib/usched/cpu_set.h"
#include "lib/usched/usage.h"
#include "lib/usched/user_thread.h"

namespace odo::usched {

// How long a thread runs before it makes room for its equals.
inline constexpr std::uint64_t kTurnNs = 10'000'000;
// How far ahead a thread at its fair share goes, and the furthest.
inline constexpr unsigned kFairOffset = 16;
inline constexpr unsigned kMaxOffset = 120;
// What a woken calendar thread must be better by to cut a turn short.
inline constexpr unsigned kPreemptSlots = kFairOffset / 4;
inline constexpr std::uint64_t kFrontShare = kOne / 2;
// What front threads may run ahead of the calendar, and how it is paid back.
inline constexpr std::uint64_t kFrontLimitNs = 4 * kTurnNs;
inline constexpr std::uint64_t kFrontPayback = 3;

// One number to compare threads of different CPUs by; less is better. The class
// stands above the priority or, for timeshare, the normalised usage.
using Rank = std::uint32_t;
inline constexpr Rank kNoRank = ~Rank{0};
inline constexpr unsigned kRankClassShift = 28;

[[nodiscard]] constexpr Rank best_rank_of(Class klass) {
  return static_cast<Rank>(klass) << kRankClassShift;
}

enum class PutBack : std::uint8_t {
  kFair,   // in the middle of a turn: goes on first, if just interrupted
  kYield,  // lets one other thread go first
};

template <platform::HasAtomics P>
class CpuQueue {
 public:
  using Thread = UserThread<P>;

  CpuQueue() = default;
  CpuQueue(const CpuQueue&) = delete;
  CpuQueue& operator=(const CpuQueue&) = delete;

  // --- questions -------------------------------------------------------------
  [[nodiscard]] Thread* chosen() const { return chosen_; }
  [[nodiscard]] unsigned waiting() const { return waiting_; }
  [[nodiscard]] std::uint64_t load() const { return load_; }

  // Should another thread have this CPU now? Also true when it has none and
  // somebody waits.
  [[nodiscard]] bool should_switch(std::uint64_t now_ns) {
    if (waiting_ == 0) return false;
    if (chosen_ == nullptr || switch_wanted_) return true;
    const Class best = best_waiting_class();
    if (best != chosen_->class_) return best < chosen_->class_;
    const bool turn_over = chosen_->turn_left_ns_ == 0;
    if (best != Class::kTimeshare) {
      const unsigned priority = best == Class::kRealtime
                                    ? lowest(realtime_bits_)
                                    : lowest(idle_bits_);
      return priority < chosen_->priority_ ||
             (priority == chosen_->priority_ && turn_over);
    }
    if (turn_over) return true;
    if (front_is_next()) return !is_light(*chosen_, now_ns);
    return chosen_->in_front_ && front_debt_ns_ >= kFrontLimitNs;
  }

  // The thread that choose() would take; null when nobody waits.
  [[nodiscard]] Thread* first_waiting() {
    return waiting_ == 0 ? nullptr : &best_waiting();
  }

  // The figure to compare a thread by with threads of other CPUs.
  [[nodiscard]] static Rank rank_of(Thread& thread, std::uint64_t now_ns) {
    const Rank base = best_rank_of(thread.class_);
    if (thread.class_ != Class::kTimeshare) return base + thread.priority_;
    thread.usage_.settle(now_ns);
    return base +
           static_cast<Rank>(normalised(thread.usage_.share(), thread.nice_));
  }
  // What it adds to a CPU's burden. Realtime weighs as much as the best nice,
  // so that timeshare keeps away; idle next to nothing.
  [[nodiscard]] static std::uint32_t burden_of(const Thread& thread) {
    switch (thread.class_) {
      case Class::kRealtime:
        return weight_of(kMinNice);
      case Class::kTimeshare:
        return weight_of(thread.nice_);
      case Class::kIdle:
        break;
    }
    return kNiceZeroWeight / 16;
  }

  // The first waiting thread that `accepts(thread)`, best first, of no more
  // than `budget`.
  template <class Accepts>
  [[nodiscard]] Thread* find_waiting(unsigned budget, Accepts accepts) {
    const auto in = [&](Threads& threads) -> Thread* {
      for (Thread& thread : threads) {
        if (budget == 0) return nullptr;
        --budget;
        if (accepts(thread)) return &thread;
      }
      return nullptr;
    };
    for (std::uint32_t bits = realtime_bits_; bits != 0; bits &= bits - 1) {
      if (Thread* found = in(realtime_[lowest(bits)])) return found;
    }
    if (Thread* found = in(front_)) return found;
    for (unsigned offset = next_offset(0); offset < kSlots;
         offset = next_offset(offset + 1)) {
      if (Thread* found = in(calendar_[slot_at(offset)])) return found;
    }
    for (std::uint32_t bits = idle_bits_; bits != 0; bits &= bits - 1) {
      if (Thread* found = in(idle_[lowest(bits)])) return found;
    }
    return nullptr;
  }

  // --- changes ---------------------------------------------------------------
  // A thread from outside waits here for a new turn.
  void insert(Thread& thread, CpuId cpu, std::uint64_t now_ns) {
    attach(thread, cpu);
    thread.queued_at_ns_ = now_ns;
    link_for_new_turn(thread, kTurnNs - thread.turn_left_ns_, now_ns);
    note_arrival(thread, now_ns);
    publish(now_ns);
  }

  // A thread from outside, while nobody is chosen and nobody waits.
  void choose_at_once(Thread& thread, CpuId cpu, std::uint64_t now_ns) {
    ODO_CHECK(chosen_ == nullptr && waiting_ == 0);
    attach(thread, cpu);
    thread.turn_left_ns_ = kTurnNs;
    thread.in_front_ = is_light(thread, now_ns);
    take_seat(thread);
    publish(now_ns);
  }

  // The best waiting thread becomes the chosen one; null when nobody waits.
  Thread* choose(std::uint64_t now_ns) {
    ODO_CHECK(chosen_ == nullptr);
    switch_wanted_ = false;
    if (waiting_ == 0) return nullptr;
    Thread* thread = nullptr;
    switch (best_waiting_class()) {
      case Class::kRealtime:
        thread = &realtime_[lowest(realtime_bits_)].front();
        break;
      case Class::kTimeshare:
        if (front_is_next()) {
          thread = &front_.front();
        } else {
          service_ = slot_at(next_offset(0));
          thread = &calendar_[service_].front();
        }
        break;
      case Class::kIdle:
        thread = &idle_[lowest(idle_bits_)].front();
        break;
    }
    unlink(*thread);
    take_seat(*thread);
    publish(now_ns);
    return thread;
  }

  // The chosen thread waits again.
  void put_back(PutBack how, std::uint64_t now_ns) {
    ODO_CHECK(chosen_ != nullptr);
    Thread& thread = *chosen_;
    chosen_ = nullptr;
    if (how == PutBack::kYield) {
      link_behind_one(thread, now_ns);
    } else if (thread.turn_left_ns_ > 0 && was_interrupted(thread)) {
      link_for_rest_of_turn(thread, now_ns);
    } else {
      link_for_new_turn(thread, kTurnNs, now_ns);
    }
    publish(now_ns);
  }

  // A queued or chosen thread leaves; `to` is its new state.
  void remove(Thread& thread, State to, std::uint64_t now_ns) {
    ODO_CHECK(thread.is_attached());
    if (thread.state_ == State::kChosen) {
      ODO_CHECK(chosen_ == &thread);
      chosen_ = nullptr;
    } else {
      unlink(thread);
    }
    thread.state_ = to;
    count(thread, Count::kOut);
    publish(now_ns);
  }

  // A waiting thread goes to wait on `cpu`, whose queue is `other` and locked
  // as well. What it has waited already counts there: else a thread that is
  // pulled often would never be served.
  void hand_over(Thread& thread, CpuQueue& other, CpuId cpu,
                 std::uint64_t now_ns) {
    ODO_CHECK(&other != this);
    unlink(thread);
    thread.state_ = State::kOff;
    count(thread, Count::kOut);
    publish(now_ns);
    other.attach(thread, cpu);
    if (thread.class_ != Class::kTimeshare) {
      other.link_by_priority(thread, End::kTail);
    } else if (thread.in_front_) {
      other.link_in_front(thread, End::kTail);
    } else {
      const unsigned left = (thread.slot_ + kSlots - service_) % kSlots;
      other.link_in_calendar(thread, left < 1 ? 1 : left, End::kTail);
    }
    other.note_arrival(thread, now_ns);
    other.publish(now_ns);
  }

  // Changes what a thread's place depends on, by calling `change()`.
  template <class Change>
  void with_detached(Thread& thread, std::uint64_t now_ns, Change change) {
    if (thread.state_ == State::kQueued) unlink(thread);
    count(thread, Count::kOut);
    change();
    count(thread, Count::kIn);
    if (thread.state_ == State::kQueued) {
      link_for_new_turn(thread, kTurnNs, now_ns);
      note_arrival(thread, now_ns);
    }
    publish(now_ns);
  }

  // The chosen thread ran for so long.
  void charge(std::uint64_t ran_ns, std::uint64_t now_ns) {
    ODO_CHECK(chosen_ != nullptr);
    Thread& thread = *chosen_;
    thread.usage_.add(now_ns, ran_ns);
    thread.turn_left_ns_ -=
        ran_ns < thread.turn_left_ns_ ? ran_ns : thread.turn_left_ns_;
    if (thread.class_ != Class::kTimeshare) return;
    if (!thread.in_front_) {
      const std::uint64_t paid_ns = ran_ns * kFrontPayback;
      front_debt_ns_ -= paid_ns < front_debt_ns_ ? paid_ns : front_debt_ns_;
    } else if (!calendar_empty()) {
      const std::uint64_t owed_ns = front_debt_ns_ + ran_ns;
      front_debt_ns_ =
          owed_ns < kFrontLimitNs + kTurnNs ? owed_ns : kFrontLimitNs + kTurnNs;
    }
  }

  // A tick found the turn over and nobody to give the CPU to.
  void renew_turn() {
    ODO_CHECK(chosen_ != nullptr);
    chosen_->turn_left_ns_ = kTurnNs;
  }

  // Brings the hints about usage up to date.
  void publish(std::uint64_t now_ns) {
    // Relaxed, without partner: hints, see the top.
    hint_burden_.store(burden_, std::memory_order_relaxed);
    Thread* next = first_waiting();
    hint_waiting_rank_.store(next ? rank_of(*next, now_ns) : kNoRank,
                             std::memory_order_relaxed);
    hint_waiting_burden_.store(next ? burden_of(*next) : 0,
                               std::memory_order_relaxed);
    hint_chosen_rank_.store(chosen_ ? rank_of(*chosen_, now_ns) : kNoRank,
                            std::memory_order_relaxed);
  }

  // --- for anybody -----------------------------------------------------------
  // Relaxed, without partner: whoever acts on these looks again, locked.
  [[nodiscard]] std::uint32_t hint_burden() const {
    return hint_burden_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] Rank hint_waiting_rank() const {
    return hint_waiting_rank_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint32_t hint_waiting_burden() const {
    return hint_waiting_burden_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] Rank hint_chosen_rank() const {
    return hint_chosen_rank_.load(std::memory_order_relaxed);
  }

  // The scheduler's own note, guarded as the rest.
  std::uint64_t next_balance_ns = 0;

 private:
  using Threads = List<Thread, &Thread::hook_>;
  static constexpr unsigned kSlots = 128;
  static_assert(kMaxOffset < kSlots);

  static unsigned lowest(std::uint32_t bits) {
    return static_cast<unsigned>(std::countr_zero(bits));
  }

  // --- the calendar ----------------------------------------------------------
  [[nodiscard]] bool calendar_empty() const {
    return (calendar_bits_[0] | calendar_bits_[1]) == 0;
  }
  [[nodiscard]] unsigned slot_at(unsigned offset) const {
    return (service_ + offset) % kSlots;
  }
  // The first slot with a thread, `from` or more ahead; kSlots if none.
  [[nodiscard]] unsigned next_offset(unsigned from) const {
    while (from < kSlots) {
      const unsigned slot = slot_at(from);
      const unsigned in_word = slot % 64;
      const std::uint64_t rest = calendar_bits_[slot / 64] >> in_word;
      if (rest != 0) {
        from += static_cast<unsigned>(std::countr_zero(rest));
        return from < kSlots ? from : kSlots;
      }
      from += 64 - in_word;
    }
    return kSlots;
  }

  // --- what a thread is due --------------------------------------------------
  [[nodiscard]] std::uint64_t relative(Thread& thread, std::uint64_t now_ns) {
    thread.usage_.settle(now_ns);
    return relative_share(thread.usage_.share(), thread.nice_, load_);
  }
  [[nodiscard]] bool is_light(Thread& thread, std::uint64_t now_ns) {
    return thread.class_ == Class::kTimeshare &&
           relative(thread, now_ns) <= kFrontShare;
  }
  // A thread that is served every n slots has a share as 1/n. So the offset is
  // what its weight is due, times how far it is off from that already: at rest
  // the second factor is one.
  [[nodiscard]] unsigned offset_of(Thread& thread, std::uint64_t now_ns) {
    const std::uint64_t offset = relative(thread, now_ns) * kFairOffset *
                                 inverse_weight_of(thread.nice_) /
                                 (kNiceZeroWeight * kOne);
    if (offset < 1) return 1;
    return offset < kMaxOffset ? static_cast<unsigned>(offset) : kMaxOffset;
  }

  // --- who is next -----------------------------------------------------------
  [[nodiscard]] bool timeshare_waits() const {
    return !front_.empty() || !calendar_empty();
  }
  [[nodiscard]] bool front_is_next() const {
    return !front_.empty() &&
           (calendar_empty() || front_debt_ns_ < kFrontLimitNs);
  }
  [[nodiscard]] Class best_waiting_class() const {
    if (realtime_bits_ != 0) return Class::kRealtime;
    return timeshare_waits() ? Class::kTimeshare : Class::kIdle;
  }
  [[nodiscard]] Thread& best_waiting() {
    switch (best_waiting_class()) {
      case Class::kRealtime:
        return realtime_[lowest(realtime_bits_)].front();
      case Class::kTimeshare:
        return front_is_next() ? front_.front()
                               : calendar_[slot_at(next_offset(0))].front();
      case Class::kIdle:
        break;
    }
    return idle_[lowest(idle_bits_)].front();
  }
  // Somebody of another kind is next, who takes nothing of this thread's turn;
  // else its turn ends early and it competes by usage again.
  [[nodiscard]] bool was_interrupted(const Thread& thread) const {
    if (waiting_ == 0) return true;
    if (thread.class_ != Class::kTimeshare) return true;
    return best_waiting_class() == Class::kRealtime || front_is_next();
  }

  // --- linking ---------------------------------------------------------------
  enum class End : std::uint8_t { kHead, kTail };
  void link(Thread& thread, Threads& list, End end) {
    if (end == End::kHead) {
      list.push_front(thread);
    } else {
      list.push_back(thread);
    }
    thread.state_ = State::kQueued;
    ++waiting_;
  }
  void link_by_priority(Thread& thread, End end) {
    thread.slot_ = thread.priority_;
    thread.in_front_ = false;
    const std::uint32_t bit = std::uint32_t{1} << thread.slot_;
    if (thread.class_ == Class::kRealtime) {
      realtime_bits_ |= bit;
      link(thread, realtime_[thread.slot_], end);
    } else {
      idle_bits_ |= bit;
      link(thread, idle_[thread.slot_], end);
    }
  }
  void link_in_front(Thread& thread, End end) {
    thread.in_front_ = true;
    link(thread, front_, end);
  }
  void link_in_calendar(Thread& thread, unsigned offset, End end) {
    const unsigned slot = slot_at(offset);
    thread.in_front_ = false;
    thread.slot_ = static_cast<std::uint8_t>(slot);
    calendar_bits_[slot / 64] |= std::uint64_t{1} << (slot % 64);
    link(thread, calendar_[slot], end);
  }

  // `used_ns` of its last turn: who gave up the rest waits that much less.
  void link_for_new_turn(Thread& thread, std::uint64_t used_ns,
                         std::uint64_t now_ns) {
    thread.turn_left_ns_ = kTurnNs;
    if (thread.class_ != Class::kTimeshare) {
      link_by_priority(thread, End::kTail);
    } else if (is_light(thread, now_ns)) {
      link_in_front(thread, End::kTail);
    } else {
      const std::uint64_t offset =
          offset_of(thread, now_ns) * used_ns / kTurnNs;
      link_in_calendar(thread, offset < 1 ? 1 : static_cast<unsigned>(offset),
                       End::kTail);
    }
  }
  void link_for_rest_of_turn(Thread& thread, std::uint64_t now_ns) {
    if (thread.class_ != Class::kTimeshare) {
      link_by_priority(thread, End::kHead);
    } else if (is_light(thread, now_ns)) {
      link_in_front(thread, End::kHead);
    } else {
      link_in_calendar(thread, 0, End::kHead);
    }
  }
  void link_behind_one(Thread& thread, std::uint64_t now_ns) {
    if (thread.class_ != Class::kTimeshare || !timeshare_waits() ||
        front_is_next()) {
      link_for_new_turn(thread, kTurnNs, now_ns);
      return;
    }
    thread.turn_left_ns_ = kTurnNs;
    const unsigned own = offset_of(thread, now_ns);
    const unsigned next = next_offset(0);
    link_in_calendar(thread, own > next ? own : next, End::kTail);
  }

  void unlink(Thread& thread) {
    ODO_CHECK(thread.state_ == State::kQueued);
    const std::uint32_t bit = std::uint32_t{1} << (thread.slot_ % 32);
    if (thread.in_front_) {
      front_.erase(thread);
    } else if (thread.class_ == Class::kRealtime) {
      realtime_[thread.slot_].erase(thread);
      if (realtime_[thread.slot_].empty()) realtime_bits_ &= ~bit;
    } else if (thread.class_ == Class::kIdle) {
      idle_[thread.slot_].erase(thread);
      if (idle_[thread.slot_].empty()) idle_bits_ &= ~bit;
    } else {
      const unsigned slot = thread.slot_;
      calendar_[slot].erase(thread);
      if (calendar_[slot].empty()) {
        calendar_bits_[slot / 64] &= ~(std::uint64_t{1} << (slot % 64));
      }
    }
    --waiting_;
  }

  // A newcomer to the calendar that is clearly better than the chosen thread
  // and the first in line cuts the turn short. Decided on arrival only: two
  // equals that wait for each other would else swap at every tick.
  void note_arrival(Thread& thread, std::uint64_t now_ns) {
    if (thread.class_ != Class::kTimeshare || thread.in_front_) return;
    if (chosen_ == nullptr || chosen_->class_ != Class::kTimeshare) return;
    if (front_is_next() || realtime_bits_ != 0) return;
    const unsigned offset = (thread.slot_ + kSlots - service_) % kSlots;
    if (next_offset(0) != offset || is_light(*chosen_, now_ns)) return;
    if (offset + kPreemptSlots < offset_of(*chosen_, now_ns)) {
      switch_wanted_ = true;
    }
  }

  // --- counting --------------------------------------------------------------
  enum class Count : std::uint8_t { kIn, kOut };
  void count(const Thread& thread, Count direction) {
    const std::uint32_t burden = burden_of(thread);
    const std::uint32_t weight =
        thread.class_ == Class::kTimeshare ? burden : 0;
    if (direction == Count::kIn) {
      burden_ += burden;
      load_ += weight;
    } else {
      burden_ -= burden;
      load_ -= weight;
    }
  }
  void attach(Thread& thread, CpuId cpu) {
    ODO_CHECK(!thread.is_attached());
    thread.set_cpu(cpu);
    count(thread, Count::kIn);
  }
  void take_seat(Thread& thread) {
    thread.state_ = State::kChosen;
    chosen_ = &thread;
  }

  Thread* chosen_ = nullptr;
  unsigned waiting_ = 0;
  std::uint32_t burden_ = 0;
  std::uint32_t load_ = 0;
  std::uint32_t realtime_bits_ = 0;
  std::uint32_t idle_bits_ = 0;
  unsigned service_ = 0;  // the calendar's slot in service
  std::uint64_t calendar_bits_[kSlots / 64] = {};
  std::uint64_t front_debt_ns_ = 0;
  bool switch_wanted_ = false;

  Threads front_;
  Threads realtime_[kPriorities];
  Threads idle_[kPriorities];
  Threads calendar_[kSlots];

  // On a line of their own: other CPUs read them.
  alignas(64) typename P::template Atomic<std::uint32_t> hint_burden_{0};
  typename P::template Atomic<std::uint32_t> hint_waiting_rank_{kNoRank};
  typename P::template Atomic<std::uint32_t> hint_waiting_burden_{0};
  typename P::template Atomic<std::uint32_t> hint_chosen_rank_{kNoRank};
};

}  // namespace odo::usched
