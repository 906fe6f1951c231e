// SPDX-License-Identifier: BSD-3-Clause
// The members of Cpu and System; see cpu.h and system.h, which include this.
//
// Contexts: as those say.
#pragma once

#include <algorithm>
#include <utility>

#include "lib/lwkt/cpu.h"

namespace odo::lwkt {

// --- the system --------------------------------------------------------------

template <LwktPlatform P>
void detail::FabricGround<P>::raise_ipi(unsigned cpu) {
  system_->cpu(cpu).attention().raise(*this, cpu, Attention<P>::kIpi);
}

template <LwktPlatform P>
System<P>::System(std::span<std::byte> storage, unsigned cpus, P ground)
    : count_(cpus),
      cpus_(make_cpus(storage.data(), ground)),
      fabric_(storage.subspan(fabric_offset(cpus)), cpus,
              detail::FabricGround<P>(*this, ground)) {
  ODO_CHECK(storage.size() >= storage_bytes(cpus));
  for (unsigned i = 0; i < cpus; ++i) fabric_.set_receiver(i, cpus_ + i);
}

template <LwktPlatform P>
Cpu<P>* System<P>::make_cpus(std::byte* storage, P ground) {
  auto* cpus = reinterpret_cast<Cpu<P>*>(storage);
  for (unsigned i = 0; i < count_; ++i) new (cpus + i) Cpu<P>(*this, i, ground);
  return std::launder(cpus);
}

template <LwktPlatform P>
System<P>::~System() {
  for (unsigned i = count_; i-- > 0;) cpus_[i].~Cpu<P>();
}

template <LwktPlatform P>
void System<P>::stop() {
  for (unsigned i = 0; i < count_; ++i) {
    cpus_[i].attention_.raise(cpus_[i].ground_, i, Attention<P>::kStop);
  }
}

// --- a CPU -------------------------------------------------------------------

template <LwktPlatform P>
Cpu<P>::Cpu(System<P>& system, unsigned index, P ground)
    : system_(&system),
      index_(index),
      ground_(ground),
      current_(&idle_),
      lane_(system.domain()),
      idle_(*this, {}, nullptr, nullptr,
            ThreadOptions{.name = "idle", .priority = kIdleThread}, ground) {
  idle_.place_ = Place::kRunning;
  system.domain().add(lane_);
}

template <LwktPlatform P>
Cpu<P>::~Cpu() {
  ODO_CHECK(all_.empty() && queue_.empty() && stepped_off_.empty());
  while (ThreadT* thread = cached_.pop_front()) destroy(*thread);
  while (ThreadT* thread = dead_.pop_front()) destroy(*thread);
}

template <LwktPlatform P>
void Cpu<P>::run() {
  ground_.make_note(idle_.note_, {});
  while (!stopping_ || !all_.empty()) idle_once();
  stopping_ = false;
}

template <LwktPlatform P>
void Cpu<P>::idle_once() {
  if (attention_.any()) do_what_is_due();
  const std::uint64_t now_ns = ground_.now_ns();
  if (wheel_.next_deadline_ns() <= now_ns) run_timers();
  if (ThreadT* next = pick()) {
    resume<Ends::kNo>(idle_, *next);
    place_stepped_off();
    idle_since_ns_ = 0;
    return;
  }
  preemption_due_ = false;
  if (stopping_ && all_.empty()) return;
  if (idle_since_ns_ == 0) idle_since_ns_ = now_ns;
  if (now_ns - idle_since_ns_ < P::kLwktTuning.idle_spin_ns) {
    ground_.relax();
    return;
  }
  std::uint64_t until_ns = wheel_.next_deadline_ns();
  if (!queue_.empty()) {
    // Threads that wait for tokens, and nobody tells us when they are free.
    if (P::kLwktTuning.token_poll_ns == 0) {
      ground_.relax();
      return;
    }
    until_ns = std::min(until_ns, now_ns + P::kLwktTuning.token_poll_ns);
  }
  ++counts_.idle_sleeps;
  attention_.idle(ground_, index_, until_ns);
}

template <LwktPlatform P>
Result<Thread<P>*> Cpu<P>::create(typename ThreadT::Entry entry, void* argument,
                                  const ThreadOptions& options) {
  ThreadT& self = *current_;
  self.enter_critical();
  ThreadT* kept =
      cached_bytes_ == options.stack_bytes ? cached_.pop_front() : nullptr;
  std::span<std::byte> stack;
  if (kept != nullptr) {
    --cached_count_;
    stack = kept->stack_;
    kept->~ThreadT();
  }
  self.exit_critical();
  if (kept == nullptr) {
    stack = ground_.map_stack(options.stack_bytes);
    if (stack.empty()) return fail(Error::kNoMemory);
  }
  Result<ThreadT*> made = create_on(stack, entry, argument, options);
  if (made.has_value()) {
    (*made)->borrowed_stack_ = false;
  } else {
    ground_.unmap_stack(stack);
  }
  return made;
}

template <LwktPlatform P>
Result<Thread<P>*> Cpu<P>::create_on(std::span<std::byte> stack,
                                     typename ThreadT::Entry entry,
                                     void* argument,
                                     const ThreadOptions& options) {
  // Stacks begin and end with pages, so what is hot of each thread would share
  // the same few sets of a cache: each starts a line lower than the last one.
  const std::size_t colours = std::clamp(stack.size() / (16 * kLineBytes),
                                         std::size_t{1}, std::size_t{32});
  const std::size_t shift = made_++ % colours * kLineBytes;
  if (stack.size() <
      sizeof(ThreadT) + alignof(ThreadT) + shift + kMinStackBytes) {
    return fail(Error::kStackTooSmall);
  }
  auto at = reinterpret_cast<std::uintptr_t>(stack.data() + stack.size());
  at = (at - shift - sizeof(ThreadT)) / alignof(ThreadT) * alignof(ThreadT);
  auto* thread = new (reinterpret_cast<void*>(at))
      ThreadT(*this, stack, entry, argument, options, ground_);
  thread->borrowed_stack_ = true;
  ThreadT& self = *current_;
  self.enter_critical();
  all_.push_back(*thread);
  self.exit_critical();
  return thread;
}

template <LwktPlatform P>
void Cpu<P>::start(ThreadT& thread, Where where) {
  ThreadT& self = *current_;
  self.enter_critical();
  if (thread.place_ != Place::kNew) {
    fault(Misuse::kStartedTwice, self, thread.name_, where);
  }
  make_runnable(thread);
  self.exit_critical();
}

// --- waking ------------------------------------------------------------------

template <LwktPlatform P>
void Cpu<P>::wake(ThreadT& thread) {
  ThreadT& self = *current_;
  self.enter_critical();
  wake_in_critical(thread);
  self.exit_critical();
}

template <LwktPlatform P>
void Cpu<P>::wake_from(ThreadT& self, ThreadT& thread) {
  // A sleeping thread does not move, so its home is where we look.
  self.enter_critical();
  Cpu& home = thread.cpu();
  if (&home == &self.cpu()) {
    home.wake(thread);
  } else {
    self.cpu().system_->fabric().send(
        self.cpu().index_, home.index_,
        {[](void* sleeper, void* cpu) {
           static_cast<Cpu*>(cpu)->wake(*static_cast<ThreadT*>(sleeper));
         },
         &thread});
  }
  self.exit_critical();
}

template <LwktPlatform P>
void Cpu<P>::call_on(ThreadT& self, unsigned to, const IpiCall& call) {
  self.enter_critical();
  system_->fabric().send(index_, to, call);
  self.exit_critical();
}

// --- switching ---------------------------------------------------------------

template <LwktPlatform P>
Thread<P>* Cpu<P>::pick(Priority lowest) {
  for (std::uint32_t mask = queue_.mask() >> lowest << lowest; mask != 0;) {
    const Priority priority = static_cast<Priority>(std::bit_width(mask)) - 1;
    ThreadT* before = nullptr;
    for (ThreadT& thread : queue_.list(priority)) {
      // C3: it keeps its place in the queue if it can't have its tokens.
      if (!thread.lapsed_ || thread.tokens_.try_reacquire_all()) {
        thread.lapsed_ = false;
        queue_.erase_after(before, thread, priority);
        return &thread;
      }
      before = &thread;
    }
    mask &= ~(std::uint32_t{1} << priority);
  }
  return nullptr;
}

template <LwktPlatform P>
void Cpu<P>::lapse(ThreadT& self) {
  if (self.tokens_.depth() == 0 || self.lapsed_) return;
  self.tokens_.release_all();
  self.lapsed_ = true;
}

template <LwktPlatform P>
ODO_ALWAYS_INLINE void Cpu<P>::switch_away(ThreadT& self) {
  check_stack(self);
  // The usual case is inlined: nothing lapsed on either side, nobody borrowed.
  ThreadT* next = nullptr;
  if (!queue_.empty() && self.preempted_ == nullptr &&
      self.tokens_.depth() == 0) [[likely]] {
    const Priority highest = queue_.highest();
    if (!queue_.list(highest).front().lapsed_) [[likely]] {
      next = &queue_.pop_front(highest);
    }
  }
  if (next == nullptr) next = &who_is_next(self);
  if (next == &self) {
    self.place_ = Place::kRunning;
    return;
  }
  resume<Ends::kNo>(self, *next);
}

template <LwktPlatform P>
Thread<P>& Cpu<P>::who_is_next(ThreadT& self) {
  lapse(self);
  ThreadT* next = std::exchange(self.preempted_, nullptr);  // T4
  if (next == nullptr) next = pick();
  return next == nullptr ? idle_ : *next;
}

template <LwktPlatform P>
void Cpu<P>::step_off(ThreadT& self) {
  lapse(self);
  stepped_off_.push_back(self);
  // Either of these looks at the list first thing.
  ThreadT* next = std::exchange(self.preempted_, nullptr);
  if (next == nullptr) next = &idle_;
  if (self.place_ == Place::kDead) {
    resume<Ends::kYes>(self, *next);
  } else {
    resume<Ends::kNo>(self, *next);
  }
}

template <LwktPlatform P>
void Cpu<P>::place_stepped_off() {
  while (ThreadT* thread = stepped_off_.pop_front()) {
    if (thread->place_ == Place::kDead) {
      bury(*thread);
      continue;
    }
    all_.erase(*thread);
    Cpu& target = system_->cpu(thread->moves_to_);
    thread->tokens_.set_lane(target.lane_);
    // LH: release, with the acquire of who asks the new home about the thread;
    // the call below may come there after them.
    thread->home_.store(&target, std::memory_order_release);
    system_->fabric().send(
        index_, target.index_,
        {[](void* moved, void* cpu) {
           auto* self = static_cast<Cpu*>(cpu);
           self->all_.push_back(*static_cast<ThreadT*>(moved));
           self->make_runnable(*static_cast<ThreadT*>(moved));
         },
         thread});
  }
}

template <LwktPlatform P>
void Cpu<P>::arm(Timer& timer, std::uint64_t deadline_ns) {
  ThreadT& self = *current_;
  self.enter_critical();
  wheel_.arm(timer, deadline_ns);
  if (deadline_ns < programmed_ns_) {
    programmed_ns_ = deadline_ns;
    ground_.timer(index_, deadline_ns);
  }
  self.exit_critical();
}

template <LwktPlatform P>
void Cpu<P>::run_timers() {
  // Each timer's function makes few calls; what the ground interrupts us for
  // meanwhile waits, so a bounded number at a time and then a look around.
  constexpr std::uint32_t kAtOnce = 64;
  if (wheel_.advance(ground_.now_ns(), kAtOnce)) {
    attention_.raise(ground_, index_, Attention<P>::kTimer);
    return;
  }
  programmed_ns_ = wheel_.next_deadline_ns();
  if (programmed_ns_ != TimerWheel::kNeverNs) {
    ground_.timer(index_, programmed_ns_);
  }
}

template <LwktPlatform P>
void Cpu<P>::yield_slowly(ThreadT& self, Where where) {
  if (self.critical_ != 0) {
    fault(Misuse::kBlockedInCritical, self, nullptr, where);
  }
  self.enter_critical();
  if (attention_.any()) do_what_is_due();
  if (queue_.has(self.priority_)) {
    lapse(self);
    enqueue(self);
    switch_away(self);
  }
  self.exit_critical();
}

template <LwktPlatform P>
void Cpu<P>::look(ThreadT& self) {
  do {
    self.enter_critical();
    if (attention_.any()) do_what_is_due();
    if (preemption_due_) preempt(self);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    --self.critical_;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    // An interrupted thread may go on elsewhere only if it moved, which it
    // does not do in here.
  } while (attention_.any() || preemption_due_);
}

template <LwktPlatform P>
void Cpu<P>::interrupted() {
  ThreadT& self = *current_;
  if (self.critical_ == 0) look(self);
}

template <LwktPlatform P>
void Cpu<P>::do_what_is_due() {
  const std::uint32_t bits = attention_.take();
  if ((bits & Attention<P>::kIpi) != 0) system_->fabric().drain(index_);
  if ((bits & Attention<P>::kTick) != 0 &&
      ++ticks_ >= P::kLwktTuning.quantum_ticks) {
    quantum_over_ = true;
  }
  if ((bits & (Attention<P>::kTimer | Attention<P>::kTick)) != 0) run_timers();
  if ((bits & Attention<P>::kStop) != 0) stopping_ = true;
  if constexpr (requires { ground_.do_interrupts(index_); }) {
    if ((bits & Attention<P>::kInterrupt) != 0) ground_.do_interrupts(index_);
  }
}

template <LwktPlatform P>
void Cpu<P>::preempt(ThreadT& self) {
  preemption_due_ = false;
  // The idle thread looks for work by itself.
  if (&self == &idle_) return;
  while (self.priority_ + 1 < kPriorities) {
    ThreadT* next = pick(std::max(self.priority_ + 1, kInterruptSupport));
    if (next == nullptr) return;
    next->preempted_ = &self;
    self.place_ = Place::kPreempted;
    ++counts_.preemptions;
    resume<Ends::kNo>(self, *next);
    place_stepped_off();
  }
}

template <LwktPlatform P>
void Cpu<P>::first_run(Context* /*from*/, Context* to) {
  ThreadT& self = *container_of(to, &ThreadT::context_);
  self.cpu().ground_.after_switch(self.note_);
  self.exit_critical();  // the one that every thread is made in (C2)
  self.entry_(self, self.argument_);
  self.exit();
}

// --- the end of a thread -----------------------------------------------------

template <LwktPlatform P>
void Cpu<P>::end(ThreadT& self) {
  self.place_ = Place::kDead;
  all_.erase(self);
  if (!self.detached_ && self.joiner_ == nullptr) {
    dead_.push_back(self);  // somebody will come for it
  } else if (can_keep(self)) {
    // Still on the stack that others will have after us; but they have to be on
    // this CPU, and that is ours until the switch.
    bury(self);
  } else {
    step_off(self);
  }
  resume<Ends::kYes>(self, who_is_next(self));
}

template <LwktPlatform P>
void Cpu<P>::bury(ThreadT& thread) {
  ThreadT* joiner = thread.joiner_;
  if (can_keep(thread)) {
    // First, as to wake may mean to make calls, which may want a stack: not yet
    // this one, on which they would be made.
    if (joiner != nullptr) wake_from(*current_, *joiner);
    cached_bytes_ = thread.stack_.size();
    ++cached_count_;
    cached_.push_front(thread);
    return;
  }
  // First, as a stack that was lent is the joiner's again.
  destroy(thread);
  if (joiner != nullptr) wake_from(*current_, *joiner);
}

template <LwktPlatform P>
void Cpu<P>::destroy(ThreadT& thread) {
  const std::span<std::byte> stack = thread.stack_;
  const bool borrowed = thread.borrowed_stack_;
  thread.~ThreadT();
  if (!borrowed) ground_.unmap_stack(stack);
}

}  // namespace odo::lwkt
