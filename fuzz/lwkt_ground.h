// SPDX-License-Identifier: BSD-3-Clause
// A ground for threads whose CPUs all run on one host thread: each has a stack,
// and goes on when its driver says so. Nothing happens by itself; a program
// takes the same course each time.
//
// A CPU comes back to the driver where it idles, and where whatever runs on it
// calls Stepper::pause(). So what it does between two such places is, for the
// others, one step.
//
// Contexts: one host thread.
// Ownership: a Stepper outlives the machine that stands on it.
// Failure: misuse and a CPU that spins for good print a line and abort.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <new>
#include <span>

#include "lib/base/annotations.h"
#include "lib/base/container_of.h"
#include "lib/lwkt/context.h"
#include "lib/lwkt/host/ground.h"
#include "lib/lwkt/host/stack_note.h"
#include "lib/lwkt/timer_wheel.h"

namespace odo::fuzz {

inline constexpr unsigned kMaxCpus = 4;
inline constexpr std::uint64_t kTickNs = lwkt::TimerWheel::kTickNs;

// A thread's, with a number: threads count from 1 as they are made, 0 is a
// CPU's own.
struct NumberedNote : lwkt::StackNote {
  unsigned number = 0;
};

class Stepper {
 public:
  // What the machine does; to be set before the first step.
  struct Hooks {
    // The whole life of a CPU.
    std::function<void(unsigned cpu)> run;
    // A thread object is being made at this address, the number-th of all.
    std::function<void(unsigned number, void* thread)> made;
    std::function<void(unsigned from, unsigned to)> switches;
    // In the idle thread, which calls pause() when it has seen to this.
    std::function<void(unsigned cpu, std::uint64_t deadline_ns)> idles;
    // A timer interrupt has come.
    std::function<void(unsigned cpu)> timer_fires;
  };

  Stepper() { home_.make({}); }
  Stepper(const Stepper&) = delete;
  Stepper& operator=(const Stepper&) = delete;
  ~Stepper() = default;

  Hooks hooks;

  // --- for the driver --------------------------------------------------------
  void add_cpu(unsigned cpu) {
    Slot& slot = slots_[cpu];
    slot.stepper = this;
    slot.stack = std::make_unique<std::byte[]>(kStackBytes);
    const std::span<std::byte> stack(slot.stack.get(), kStackBytes);
    slot.own.make(stack);
    slot.now = &slot.own;
    lwkt::prepare_context(slot.context, stack, &Stepper::live);
  }
  // Lets the CPU go on until it pauses. Not when it has ended.
  void step(unsigned cpu) {
    Slot& slot = slots_[cpu];
    here_ = cpu;
    spins_ = 0;
    slot.idle = false;
    slot.kicked = false;
    lwkt::StackNote::before_switch(home_, *slot.now, false);
    lwkt::switch_context(home_context_, slot.context);
    lwkt::StackNote::after_switch(home_);
  }
  [[nodiscard]] bool has_ended(unsigned cpu) const { return slots_[cpu].ended; }
  // Sleeps, and nobody would have woken it by now.
  [[nodiscard]] bool sleeps_on(unsigned cpu) const {
    const Slot& slot = slots_[cpu];
    return slot.idle && !slot.kicked && now_ns_ < slot.idle_until_ns;
  }
  [[nodiscard]] std::uint64_t now_ns() const { return now_ns_; }
  void advance(std::uint64_t by_ns) {
    now_ns_ += by_ns;
    for (unsigned cpu = 0; cpu < kMaxCpus; ++cpu) fire_if_due(cpu);
  }

  // --- for what runs on a CPU ------------------------------------------------
  // The CPU that is being stepped.
  [[nodiscard]] unsigned here() const { return here_; }
  void pause() {
    Slot& slot = slots_[here_];
    // Of this stop alone; the sanitizer tells it about the stack we are on.
    lwkt::StackNote note;
    note.make({});
    slot.now = &note;
    lwkt::StackNote::before_switch(note, home_, false);
    lwkt::switch_context(slot.context, home_context_);
    lwkt::StackNote::after_switch(note);
  }

  // --- for the ground --------------------------------------------------------
  [[nodiscard]] unsigned next_number() { return ++numbers_; }
  void kick(unsigned cpu) { slots_[cpu].kicked = true; }
  void idle(unsigned cpu, std::uint64_t deadline_ns) {
    slots_[cpu].idle = true;
    slots_[cpu].idle_until_ns = deadline_ns;
    hooks.idles(cpu, deadline_ns);
  }
  void want_timer(unsigned cpu, std::uint64_t deadline_ns) {
    slots_[cpu].timer_ns = deadline_ns;
    fire_if_due(cpu);
  }
  // Nobody else runs meanwhile, so what is waited for never comes.
  void relax() {
    if (++spins_ < 100'000) return;
    std::fprintf(stderr, "CPU %u spins for good\n", here_);
    std::abort();
  }

 private:
  struct Slot {
    lwkt::Context context;
    Stepper* stepper = nullptr;
    std::unique_ptr<std::byte[]> stack;
    lwkt::StackNote own;
    lwkt::StackNote* now = nullptr;  // of the stack that it stands on
    bool ended = false;
    bool idle = false;
    bool kicked = false;
    std::uint64_t idle_until_ns = 0;
    std::uint64_t timer_ns = lwkt::TimerWheel::kNeverNs;
  };
  static constexpr std::size_t kStackBytes = std::size_t{256} * 1024;

  static void live(lwkt::Context* /*from*/, lwkt::Context* to) {
    Slot& slot = *container_of(to, &Slot::context);
    Stepper& self = *slot.stepper;
    lwkt::StackNote::after_switch(slot.own);
    self.hooks.run(self.here_);
    slot.ended = true;
    lwkt::StackNote::before_switch(slot.own, self.home_, true);
    lwkt::switch_context(slot.context, self.home_context_);
    std::abort();
  }
  void fire_if_due(unsigned cpu) {
    Slot& slot = slots_[cpu];
    if (slot.ended || slot.timer_ns > now_ns_) return;
    slot.timer_ns = lwkt::TimerWheel::kNeverNs;  // once
    hooks.timer_fires(cpu);
  }

  std::array<Slot, kMaxCpus> slots_;
  lwkt::Context home_context_;
  lwkt::StackNote home_;
  unsigned here_ = 0;
  unsigned numbers_ = 0;
  std::uint32_t spins_ = 0;
  // Not 0, which would be the deadline of what is long past.
  std::uint64_t now_ns_ = 16 * kTickNs;
};

// Fences and faults are the host's.
class SteppedGround : public lwkt::HostGround {
 public:
  using StackNote = NumberedNote;

  // Waiting in place is in vain here, and lanes are to be used early.
  static constexpr tokens::TokenTuning kTokenTuning = {
      .spin_rounds = 3,
      .max_pause = 2,
      .impatient_after = 1,
      .let_pass = 2,
      .bias_after_reads = 3,
  };
  static constexpr lwkt::LwktTuning kLwktTuning = {
      // All addresses share one: its mask and its list see everything.
      .sleep_buckets = 1,           .quantum_ticks = 2, .idle_spin_ns = 0,
      .token_poll_ns = 2 * kTickNs, .cached_stacks = 2, .ipi_entries = 64,
  };

  SteppedGround() = default;
  explicit SteppedGround(Stepper& stepper) : stepper_(&stepper) {}

  [[nodiscard]] std::uint64_t now_ns() const { return stepper_->now_ns(); }
  void relax() const { stepper_->relax(); }
  void light_fence() const {
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }
  void heavy_fence() const { light_fence(); }
  void park(Atomic<std::uint32_t>& /*word*/, std::uint32_t /*seen*/) const {}
  void wake_all(Atomic<std::uint32_t>& /*word*/) const {}

  void kick(unsigned cpu, Atomic<std::uint32_t>& /*word*/,
            std::uint32_t /*before*/) const {
    stepper_->kick(cpu);
  }
  void idle(unsigned cpu, Atomic<std::uint32_t>& word,
            std::uint64_t deadline_ns) const {
    if (word.load(std::memory_order_acquire) != 0) return;
    stepper_->idle(cpu, deadline_ns);
  }
  void timer(unsigned cpu, std::uint64_t deadline_ns) const {
    stepper_->want_timer(cpu, deadline_ns);
  }

  // Of the heap, so that a sanitizer sees what touches a stack taken back.
  [[nodiscard]] std::span<std::byte> map_stack(std::size_t bytes) const {
    return {static_cast<std::byte*>(::operator new(bytes, kStackAlign)), bytes};
  }
  void unmap_stack(std::span<std::byte> stack) const {
    ::operator delete(stack.data(), kStackAlign);
  }

  void make_note(StackNote& note, std::span<std::byte> stack) const {
    note.make(stack);
    if (stack.empty()) return;  // a CPU's own
    note.number = stepper_->next_number();
    // A thread lies on top of what it may use.
    stepper_->hooks.made(note.number, stack.data() + stack.size());
  }
  // Inlined, with no frame of its own: a sanitizer keeps frames elsewhere, and
  // those of a thread that ends are gone when it has been told.
  ODO_ALWAYS_INLINE void before_switch(StackNote& from, StackNote& to,
                                       bool ends) const {
    tell(from.number, to.number);
    lwkt::StackNote::before_switch(from, to, ends);
  }
  ODO_ALWAYS_INLINE void after_switch(StackNote& now) const {
    lwkt::StackNote::after_switch(now);
  }

 private:
  static constexpr std::align_val_t kStackAlign{64};

  ODO_NOINLINE void tell(unsigned from, unsigned to) const {
    stepper_->hooks.switches(from, to);
  }

  Stepper* stepper_ = nullptr;
};

static_assert(lwkt::LwktPlatform<SteppedGround>);

}  // namespace odo::fuzz
