// SPDX-License-Identifier: BSD-3-Clause
// Timers on one CPU: armed and cancelled in constant time however many there
// are, and fired in the order of their deadlines.
//
// Time is cut into ticks of 2^10 ns; a deadline counts as the first tick that
// begins at or after it. A tick is a number of ten digits to the base 64, and a
// level of the wheel is one digit: a timer lies at the level of the highest
// digit in which its tick differs from the origin, in the slot that this digit
// names. The origin follows the clock. When the first timer of a slot above the
// lowest level is due, the origin enters the slot, and its timers are sorted
// anew by the digits below. All 2^64 nanoseconds have a slot: none is clamped.
//
// Contexts: any; no locking of its own: one user at a time. Timer functions may
//   arm and cancel every timer of the wheel, their own as well, and destroy
//   their own; only advance() itself they must not call.
// Size: 32 bytes a timer; 18 KiB a wheel.
// Ownership: the wheel owns nothing. An armed timer must outlive its membership
//   and must not move; neither may the wheel.
// Order: of two timers whose ticks were both still ahead when they were armed,
//   the one with the earlier tick fires first; in the same tick, the one armed
//   first. A timer whose tick has been collected when it is armed (its deadline
//   is past, or it is armed by a timer function for the tick that is being
//   fired or an earlier one) fires at the next advance(), before what that
//   finds on the wheel, in the order of arming.
// Invariants:
//   W1. every tick below collected_ has been collected: whatever was armed for
//       it has fired or is in the ready ring; origin_ <= collected_;
//   W2. a timer in slot (level, digit) agrees with the origin in every digit
//       above the level, and is ahead of it in this one; at level 0, not
//       behind. So timers of one tick are in one slot, in the order of arming,
//       and every timer of a level is earlier than every one of those above;
//   W3. except while a slot is being split: the origin is in it then, no later
//       than its first timer; its timers move to the levels below from the
//       front, and what is armed for one of its ticks joins the rest behind;
//   W4. between calls, a bit of occupied_ is set exactly where the slot's ring
//       has a timer, and a bit of levels_ where the level has such a slot;
//   W5. a slot's earliest is no later than any tick in it, and kNever where its
//       bit is not set.
// Failure: none; every deadline and every time is served. The time of a wheel
//   is the latest it was told: an earlier one counts as that.
// Complexity: arm, cancel and next_deadline_ns O(1) without a loop; arm and
//   cancel write the timer, a slot and one or two neighbours. advance() is O(1)
//   for each timer that it fires or re-sorts, and O(1) beside, however long the
//   time since the last one. A timer is re-sorted at most once a level; one due
//   in less than 17 s seldom more than three times.
// Origin: G. Varghese and T. Lauck, "Hashed and Hierarchical Timing Wheels"
//   (SOSP 1987), scheme 7. DragonFly's sys/kern/kern_timeout.c has one level of
//   slots on each CPU, and looks at all timers that share one; its clock
//   interrupts at every tick, where next_deadline_ns() lets ours sleep.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>

#include "lib/base/check.h"
#include "lib/base/container_of.h"

namespace odo::lwkt {

class TimerWheel;

namespace detail {

// A place in a ring. Null links: in no ring.
struct TimerLink {
  TimerLink* next = nullptr;
  TimerLink* prev = nullptr;
};

}  // namespace detail

// A member of whatever wants to be called later; container_of() leads back.
class Timer {
 public:
  using Function = void (*)(Timer&);

  explicit constexpr Timer(Function function) : function_(function) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer() { ODO_ASSERT(!is_armed()); }

  // Armed timers are on a wheel; a timer is not while its function runs.
  [[nodiscard]] bool is_armed() const { return link_.next != nullptr; }
  // As it was last armed, also after it fired or was cancelled.
  [[nodiscard]] std::uint64_t deadline_ns() const { return deadline_ns_; }

  // What advance() does with a timer unless it is told otherwise.
  void call() { function_(*this); }

 private:
  friend class TimerWheel;

  detail::TimerLink link_;
  std::uint64_t deadline_ns_ = 0;
  Function function_;
};
static_assert(sizeof(Timer) == 32);

class TimerWheel {
 public:
  static constexpr unsigned kTickShift = 10;
  static constexpr std::uint64_t kTickNs = std::uint64_t{1} << kTickShift;
  static constexpr std::uint64_t kNeverNs = ~std::uint64_t{0};
  // For advance(): no bound.
  static constexpr std::uint32_t kAll = ~std::uint32_t{0};

  constexpr TimerWheel() {
    for (Slot& slot : slots_) reset(slot);
  }
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;
  ~TimerWheel() { ODO_ASSERT(empty()); }

  // Arms the timer, or moves it if it is armed here. It fires in the first
  // advance() to the end of its tick or later, and never before the deadline.
  // Deadlines in the last tick of all, kNeverNs among them, never come.
  void arm(Timer& timer, std::uint64_t deadline_ns) {
    if (timer.is_armed()) unlink(timer);
    timer.deadline_ns_ = deadline_ns;
    const std::uint64_t tick = tick_of(deadline_ns);
    if (tick < collected_) {
      push_back(slots_[kLate], timer);
      return;
    }
    const unsigned level = level_between(tick, origin_);
    place(timer, tick, level < splitting_ ? splitting_ : level);  // W3
  }

  // True if it was armed: its function will not run.
  bool cancel(Timer& timer) {
    if (!timer.is_armed()) return false;
    unlink(timer);
    return true;
  }

  // Calls fire(timer) for at most `max_fired` timers that are due at `now_ns`,
  // and re-sorts at most kSortedPerFired times as many. True if timers may
  // still be due: next_deadline_ns() is not later than now. Calls in a loop
  // come to an end if functions arm timers for the future only.
  //
  // A timer is off the wheel before it is given to `fire`, which may destroy
  // it.
  template <std::invocable<Timer&> Fire>
  bool advance(std::uint64_t now_ns, Fire&& fire,
               std::uint32_t max_fired = kAll) {
    const std::uint64_t now_tick = now_ns >> kTickShift;
    if (now_tick > now_tick_) now_tick_ = now_tick;
    std::uint64_t sorts = std::uint64_t{kSortedPerFired} * max_fired;
    move_all(slots_[kLate], slots_[kReady]);
    // Each call collects from the wheel, even where it can't empty the ready
    // ring: otherwise as many timers as that, armed for the past whenever they
    // fire, would keep out all others.
    bool collected = collect(sorts);
    for (std::uint32_t fired = 0; fired < max_fired;) {
      if (Timer* timer = pop_front(slots_[kReady])) {
        ++fired;
        fire(*timer);
      } else if (collected) {
        collected = collect(sorts);
      } else {
        break;
      }
    }
    return earliest_tick() <= now_tick_;
  }

  bool advance(std::uint64_t now_ns, std::uint32_t max_fired = kAll) {
    return advance(now_ns, [](Timer& timer) { timer.call(); }, max_fired);
  }

  // When to call advance() next: no later than the first timer can fire, its
  // deadline rounded up to a tick. 0 is at once; kNeverNs where no timer is
  // armed that ever comes.
  //
  // Exact unless the timer that it stood for was cancelled or moved meanwhile.
  // An advance() at such an earlier time fires nothing, but sorts the slot
  // anew: a cancelled timer is felt at most once.
  [[nodiscard]] std::uint64_t next_deadline_ns() const {
    const std::uint64_t tick = earliest_tick();
    return tick == kNever ? kNeverNs : tick << kTickShift;
  }

  // No timer is armed.
  [[nodiscard]] bool empty() const {
    if (!is_empty(slots_[kReady]) || !is_empty(slots_[kLate])) return false;
    return lowest_level() == kLevels;
  }

 private:
  // Rounded up, a deadline has ticks of 55 bits: nine digits and one bit.
  static constexpr unsigned kDigitBits = 6;
  static constexpr unsigned kDigits = 1U << kDigitBits;
  static constexpr unsigned kLevels = 10;
  // The tick of deadlines that no clock reaches; it is the last one.
  static constexpr std::uint64_t kNever = std::uint64_t{1} << (64 - kTickShift);
  // The highest level needs two slots; two more serve as rings off the wheel:
  // collected, in the order of firing; and armed too late to be collected. No
  // bit of occupied_ is ever set for these.
  static constexpr unsigned kReady = (kLevels - 1) * kDigits + 2;
  static constexpr unsigned kLate = kReady + 1;
  static constexpr unsigned kSlots = kLate + 1;
  // Most timers are due soon and re-sorted less often than this.
  static constexpr unsigned kSortedPerFired = 4;

  // Two to a cache line, none across a border.
  struct alignas(32) Slot {
    detail::TimerLink ring;  // the sentinel
    std::uint64_t earliest = kNever;
  };

  [[nodiscard]] static constexpr std::uint64_t tick_of(
      std::uint64_t deadline_ns) {
    return (deadline_ns >> kTickShift) +
           ((deadline_ns & (kTickNs - 1)) != 0 ? 1 : 0);
  }
  // The highest digit in which they differ; 0 where they don't.
  [[nodiscard]] static constexpr unsigned level_between(std::uint64_t a,
                                                        std::uint64_t b) {
    const auto top = static_cast<unsigned>(std::countl_zero((a ^ b) | 1));
    return (63 - top) / kDigitBits;
  }
  [[nodiscard]] static constexpr unsigned digit_of(std::uint64_t tick,
                                                   unsigned level) {
    return static_cast<unsigned>(tick >> (level * kDigitBits)) & (kDigits - 1);
  }
  [[nodiscard]] static constexpr std::uint64_t bit(std::uint64_t which) {
    return std::uint64_t{1} << which;
  }

  // --- rings

  static constexpr void reset(Slot& slot) {
    slot.ring.next = &slot.ring;
    slot.ring.prev = &slot.ring;
    slot.earliest = kNever;
  }
  [[nodiscard]] static bool is_empty(const Slot& slot) {
    return slot.ring.next == &slot.ring;
  }
  [[nodiscard]] static Timer& timer_of(detail::TimerLink& link) {
    return *container_of(&link, &Timer::link_);
  }

  static void push_back(Slot& slot, Timer& timer) {
    detail::TimerLink& link = timer.link_;
    link.next = &slot.ring;
    link.prev = slot.ring.prev;
    slot.ring.prev->next = &link;
    slot.ring.prev = &link;
  }

  [[nodiscard]] static bool has_one(const Slot& slot) {
    return slot.ring.next == slot.ring.prev && !is_empty(slot);
  }
  [[nodiscard]] static Timer& front(Slot& slot) {
    return timer_of(*slot.ring.next);
  }

  // Null when empty. Leaves the slot's bit to the caller.
  static Timer* pop_front(Slot& slot) {
    if (is_empty(slot)) return nullptr;
    detail::TimerLink& link = *slot.ring.next;
    slot.ring.next = link.next;
    link.next->prev = &slot.ring;
    link.next = nullptr;
    return &timer_of(link);
  }

  // Behind those already in `to`. Leaves the slot's bit to the caller.
  static void move_all(Slot& from, Slot& to) {
    if (is_empty(from)) return;
    from.ring.next->prev = to.ring.prev;
    to.ring.prev->next = from.ring.next;
    from.ring.prev->next = &to.ring;
    to.ring.prev = from.ring.prev;
    reset(from);
  }

  // From whichever ring it is in.
  void unlink(Timer& timer) {
    detail::TimerLink* const next = timer.link_.next;
    detail::TimerLink* const prev = timer.link_.prev;
    ODO_ASSERT(next->prev == &timer.link_ && prev->next == &timer.link_);
    prev->next = next;
    next->prev = prev;
    timer.link_.next = nullptr;
    // Only a sentinel, alone now, is on both sides of a timer.
    if (next == prev) vacate(*container_of(next, &Slot::ring));
  }

  // W4 and W5 for a slot whose ring is empty.
  void vacate(Slot& slot) {
    const auto index = static_cast<std::size_t>(&slot - slots_);
    ODO_ASSERT(index < kSlots);
    std::uint64_t& mask = occupied_[index / kDigits];
    mask &= ~bit(index % kDigits);
    if (mask == 0) levels_ &= ~bit(index / kDigits);
    slot.earliest = kNever;
  }

  // --- the wheel

  [[nodiscard]] Slot& slot_at(unsigned level, unsigned digit) {
    return slots_[level * kDigits + digit];
  }
  [[nodiscard]] const Slot& slot_at(unsigned level, unsigned digit) const {
    return slots_[level * kDigits + digit];
  }

  void place(Timer& timer, std::uint64_t tick, unsigned level) {
    const unsigned digit = digit_of(tick, level);
    Slot& slot = slot_at(level, digit);
    push_back(slot, timer);
    if (tick < slot.earliest) slot.earliest = tick;
    occupied_[level] |= bit(digit);
    levels_ |= bit(level);
  }

  // Puts the timers of the next due tick into the ready ring; true if there are
  // any and `sorts` suffices to find them.
  bool collect(std::uint64_t& sorts) {
    while (collected_ <= now_tick_) {
      if (splitting_ != 0 && !split(sorts)) return false;
      const unsigned level = lowest_level();
      if (level == kLevels) break;
      Slot& slot = first_slot(level);
      // Sparse timers need no splitting: one alone is the first in its slot.
      const bool one_tick = level == 0 || has_one(slot);
      if (one_tick) slot.earliest = tick_of(front(slot).deadline_ns_);
      const std::uint64_t tick = slot.earliest;
      if (tick > now_tick_) break;
      origin_ = tick;
      if (one_tick) {
        collected_ = tick + 1;
        move_all(slot, slots_[kReady]);
        vacate(slot);
        return true;
      }
      collected_ = tick;
      splitting_ = level;
    }
    if (collected_ <= now_tick_) idle_until_now();
    return false;
  }

  // The caller knows that no timer is due.
  void idle_until_now() {
    collected_ = now_tick_ + 1;
    const unsigned level = lowest_level();
    // A slot stays whole until its first timer is due. Meanwhile the origin
    // can't enter it: W2.
    if (level == kLevels || first_tick(level) > now_tick_) origin_ = now_tick_;
  }

  // Moves the timers of the slot that origin_ has entered to the levels below.
  bool split(std::uint64_t& sorts) {
    Slot& slot = slot_at(splitting_, digit_of(origin_, splitting_));
    while (!is_empty(slot)) {
      if (sorts == 0) return false;
      --sorts;
      Timer& timer = *pop_front(slot);
      const std::uint64_t tick = tick_of(timer.deadline_ns_);
      place(timer, tick, level_between(tick, origin_));
    }
    vacate(slot);
    splitting_ = 0;
    return true;
  }

  // Occupied slots are ahead of the origin (W2), so the lowest come first.
  // kLevels if there is none.
  [[nodiscard]] unsigned lowest_level() const {
    return static_cast<unsigned>(std::countr_zero(levels_));
  }
  [[nodiscard]] unsigned first_digit(unsigned level) const {
    return static_cast<unsigned>(std::countr_zero(occupied_[level]));
  }
  [[nodiscard]] Slot& first_slot(unsigned level) {
    return slot_at(level, first_digit(level));
  }
  // Of the first slot.
  [[nodiscard]] std::uint64_t first_tick(unsigned level) const {
    const unsigned shift = level * kDigitBits;
    const std::uint64_t above = origin_ >> shift >> kDigitBits << kDigitBits;
    return (above | first_digit(level)) << shift;
  }

  // No later than the tick of any timer: see next_deadline_ns().
  [[nodiscard]] std::uint64_t earliest_tick() const {
    if (!is_empty(slots_[kReady]) || !is_empty(slots_[kLate])) return 0;
    std::uint64_t earliest = kNever;
    const unsigned level = lowest_level();
    if (level != kLevels) {
      earliest = slot_at(level, first_digit(level)).earliest;
    }
    // What is left of a slot that is being split may be earlier than what has
    // been moved to the levels below.
    if (splitting_ != 0) {
      const std::uint64_t rest =
          slot_at(splitting_, digit_of(origin_, splitting_)).earliest;
      if (rest < earliest) earliest = rest;
    }
    return earliest;
  }

  std::uint64_t origin_ = 0;
  std::uint64_t collected_ = 0;
  std::uint64_t now_tick_ = 0;
  unsigned splitting_ = 0;  // the level of the slot that is; or 0
  // And a bit that stands for no level.
  std::uint64_t levels_ = bit(kLevels);
  std::uint64_t occupied_[kLevels] = {};
  Slot slots_[kSlots];
};

}  // namespace odo::lwkt
