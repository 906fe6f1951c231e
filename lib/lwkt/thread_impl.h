// SPDX-License-Identifier: BSD-3-Clause
// The members of Thread; see thread.h.
//
// Contexts: as that says.
#pragma once

#include <utility>

#include "lib/lwkt/cpu.h"

namespace odo::lwkt {

template <LwktPlatform P>
Thread<P>::Thread(Cpu<P>& home, std::span<std::byte> stack, Entry entry,
                  void* argument, const ThreadOptions& options, P ground)
    : home_(&home),
      critical_(1),  // a thread is made stopped, and so in a critical section
      detached_(options.lifetime == Lifetime::kDetached),
      priority_(options.priority < kPriorities ? options.priority
                                               : kPriorities - 1),
      timeout_(&Thread::timed_out),
      name_(options.name),
      stack_(stack),
      entry_(entry),
      argument_(argument),
      tokens_(home.lane_, ground, TokenBlocker<P>(*this)) {
  if (stack.empty()) return;  // the idle thread has its CPU's
  auto* top = reinterpret_cast<std::byte*>(this);
  const std::span<std::byte> usable(stack.data(), top);
  ground.make_note(note_, usable);
  prepare_context(context_, usable, &Cpu<P>::first_run);
}

template <LwktPlatform P>
ODO_ALWAYS_INLINE void Thread<P>::yield(Where where) {
  Cpu<P>& here = cpu();
  if (here.attention_.any() || critical_ != 0 || preempted_ != nullptr)
      [[unlikely]] {
    here.yield_slowly(*this, where);
    return;
  }
  if (!here.queue_.has(priority_)) return;
  // Before the look at the queue: an interrupt may put a higher thread there.
  enter_critical();
  auto& list = here.queue_.list(priority_);
  if (!here.queue_.highest_is(priority_) || tokens_.depth() != 0 ||
      list.front().lapsed_) [[unlikely]] {
    exit_critical();
    here.yield_slowly(*this, where);
    return;
  }
  place_ = Place::kQueued;
  here.template resume<Cpu<P>::Ends::kNo>(*this, list.exchange_front(*this));
  // As exit_critical(), knowing that this is the outermost section.
  std::atomic_signal_fence(std::memory_order_seq_cst);
  critical_ = 0;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  look_if_needed();
}

template <LwktPlatform P>
ODO_ALWAYS_INLINE void Thread<P>::look_if_needed() {
  // What came in before the count fell, we have to see to; what comes later
  // interrupts us, or will be seen here or where the CPU changes threads.
  Cpu<P>& here = cpu();
  if (here.attention_.any() || here.preemption_due_) [[unlikely]] {
    here.look(*this);
  }
}

template <LwktPlatform P>
ODO_ALWAYS_INLINE void Thread<P>::yield_if_due(Where where) {
  // What came in may have been the tick that ends the quantum.
  if (critical_ == 0 && cpu().attention_.any()) [[unlikely]]
    cpu().look(*this);
  Cpu<P>& here = cpu();
  if (!here.quantum_over_) [[likely]]
    return;
  here.quantum_over_ = false;
  here.ticks_ = 0;
  yield(where);
}

template <LwktPlatform P>
ODO_ALWAYS_INLINE void Thread<P>::exit_critical(Where where) {
  if (critical_ == 0) [[unlikely]] {
    cpu().fault(Misuse::kLeftCritical, *this, nullptr, where);
  }
  std::atomic_signal_fence(std::memory_order_seq_cst);
  --critical_;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  if (critical_ == 0) look_if_needed();
}

template <LwktPlatform P>
void Thread<P>::exit(Where where) {
  if (critical_ != 0) {
    cpu().fault(Misuse::kEndedInCritical, *this, nullptr, where);
  }
  if (tokens_.depth() != 0) {
    const auto& youngest = tokens_.refs().back();
    cpu().fault(Misuse::kEndedWithTokens, *this, youngest.token->name(), where,
                youngest.where);
  }
  enter_critical();
  drop_interlock();
  cpu().end(*this);
  ODO_PANIC("a dead thread runs");
}

template <LwktPlatform P>
void Thread<P>::set_cpu(unsigned index, Where where) {
  if (critical_ != 0) {
    cpu().fault(Misuse::kBlockedInCritical, *this, nullptr, where);
  }
  ODO_CHECK(index < cpu().system().cpus());
  if (index == cpu().index()) return;
  enter_critical();
  drop_interlock();
  place_ = Place::kMoving;
  moves_to_ = index;
  cpu().step_off(*this);
  exit_critical();  // on the other CPU
}

template <LwktPlatform P>
void Thread<P>::set_priority(Priority priority) {
  ODO_CHECK(priority < kPriorities);
  enter_critical();
  priority_ = priority;
  cpu().preemption_due_ = true;  // somebody may outrank us now
  exit_critical();
}

template <LwktPlatform P>
ODO_ALWAYS_INLINE void Thread<P>::sleep_in_critical(Where where) {
  if (critical_ != 1 || this == &cpu().idle_) [[unlikely]] {
    cpu().fault(Misuse::kBlockedInCritical, *this, nullptr, where);
  }
  drop_interlock();
  place_ = Place::kAsleep;
  cpu().switch_away(*this);
}

template <LwktPlatform P>
ODO_ALWAYS_INLINE void Thread<P>::sleep_and_wake_in_critical(Thread& other,
                                                             Where where) {
  Cpu<P>& here = cpu();
  // By priority the other is next, and nothing lapses on either side.
  if (here.queue_.has(other.priority_) || other.lapsed_ ||
      preempted_ != nullptr || tokens_.depth() != 0) [[unlikely]] {
    here.wake_in_critical(other);
    sleep_in_critical(where);
    return;
  }
  if (critical_ != 1 || this == &here.idle_) [[unlikely]] {
    here.fault(Misuse::kBlockedInCritical, *this, nullptr, where);
  }
  ODO_CHECK(other.place_ == Place::kAsleep);
  drop_interlock();
  place_ = Place::kAsleep;
  here.check_stack(*this);
  here.template resume<Cpu<P>::Ends::kNo>(*this, other);
}

template <LwktPlatform P>
void Thread<P>::join(Thread& other, Where where) {
  if (&other == this) {
    cpu().fault(Misuse::kJoinedItself, *this, name_, where);
  }
  // On the CPU of the other one, which is the only one that knows whether it
  // has ended; if it has moved, on the next.
  struct Request {
    Thread* waiter;
    Thread* target;
    bool done = false;

    static void ask(void* request_arg, void* cpu_arg) {
      auto* request = static_cast<Request*>(request_arg);
      auto* here = static_cast<Cpu<P>*>(cpu_arg);
      Thread& target = *request->target;
      // LH: acquire. We may be here before the thread that moves is.
      Cpu<P>* home = &target.home();
      if (home != here) {
        here->system().fabric().send(here->index(), home->index(),
                                     {&Request::ask, request});
        return;
      }
      if (target.joiner_ != nullptr) {
        here->fault(Misuse::kJoinedTwice, *request->waiter, target.name_,
                    Where::current());
      }
      target.joiner_ = request->waiter;
      if (target.place_ == Place::kDead) {
        here->dead_.erase(target);
        here->bury(target);
      }
    }
  };
  if (critical_ != 0) {
    cpu().fault(Misuse::kBlockedInCritical, *this, other.name_, where);
  }
  Request request{.waiter = this, .target = &other};
  enter_critical();
  drop_interlock();
  // Asleep, as far as who wakes us can tell: nothing runs between this and the
  // switch, unless the answer is here already.
  place_ = Place::kAsleep;
  cpu().system().fabric().send(cpu().index(), other.cpu().index(),
                               {&Request::ask, &request});
  if (place_ == Place::kAsleep) {
    cpu().switch_away(*this);
  } else {
    take_back_wake();
  }
  exit_critical();
}

// A wake that came before the sleep: the thread is queued, but runs.
template <LwktPlatform P>
void Thread<P>::take_back_wake() {
  ODO_ASSERT(place_ == Place::kQueued);
  cpu().queue_.erase(*this, priority_);
  place_ = Place::kRunning;
}

template <LwktPlatform P>
ODO_ALWAYS_INLINE void Thread<P>::drop_interlock() {
  if (!interlocked_) [[likely]]
    return;
  interlocked_ = false;
  if (asleep_on_ == nullptr) return;  // a wake-up came already
  cpu().sleeping_[Cpu<P>::bucket_of(asleep_on_)].erase(*this);
  asleep_on_ = nullptr;
}

template <LwktPlatform P>
void Thread<P>::timed_out(Timer& timer) {
  Thread& self = *container_of(&timer, &Thread::timeout_);
  // Woken already, but it has not run since.
  if (self.asleep_on_ == nullptr) return;
  self.sleep_result_ = SleepResult::kTimedOut;
  self.cpu().sleeping_[Cpu<P>::bucket_of(self.asleep_on_)].erase(self);
  self.asleep_on_ = nullptr;
  self.cpu().wake(self);
}

// --- tokens ------------------------------------------------------------------

template <LwktPlatform P>
void TokenBlocker<P>::switch_until_held(tokens::TokenStack<P>& /*stack*/) {
  thread_->enter_critical();
  Cpu<P>& here = thread_->cpu();
  here.lapse(*thread_);
  here.enqueue(*thread_);
  here.switch_away(*thread_);
  thread_->exit_critical();
}

template <LwktPlatform P>
bool TokenBlocker<P>::may_block() const {
  return thread_->critical_ == 0;
}

}  // namespace odo::lwkt
