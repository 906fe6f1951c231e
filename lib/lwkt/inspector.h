// SPDX-License-Identifier: BSD-3-Clause
// Looks at a CPU from inside and says whether everything is where it should be:
// for tests and debuggers, not for programs.
//
// Contexts: that CPU, in a critical section of its current thread; a CPU that
//   nobody runs on, by whoever has it. check_places() and check_choice() make
//   no atomic accesses, so that a simulator may ask at every switch without
//   taking a step: they are called between before_switch() and the switch.
// Failure: none; what is wrong is the answer.
// Complexity: the square of the CPU's threads: each is looked for in its list.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "lib/base/container_of.h"
#include "lib/lwkt/cpu.h"

namespace odo::lwkt {

template <LwktPlatform P>
class Inspector {
 public:
  using ThreadT = Thread<P>;

  // What is wrong with this CPU's threads (thread.h: T1; sleep.h: Z1, Z2), or
  // null.
  [[nodiscard]] static const char* check(Cpu<P>& cpu) {
    if (const char* wrong = check_places(cpu)) return wrong;
    if (const char* wrong = check_progress(cpu)) return wrong;
    for (const ThreadT& thread : cpu.all_) {
      if (&thread.cpu() != &cpu) return "a thread is another CPU's as well";
    }
    for (std::uint32_t bucket = 0; bucket < System<P>::kSleepBuckets;
         ++bucket) {
      if (!cpu.sleeping_[bucket].empty() &&
          !cpu.system().sleepers(bucket).test(cpu.index(),
                                              std::memory_order_relaxed)) {
        return "a CPU with sleepers is not in their bucket's mask";
      }
    }
    return nullptr;
  }

  [[nodiscard]] static const char* check_places(Cpu<P>& cpu) {
    if (const char* wrong = check_queue(cpu)) return wrong;
    std::size_t running = 0;
    for (ThreadT& thread : cpu.all_) {
      if (const char* wrong = check_place(cpu, thread)) return wrong;
      if (thread.place_ == Place::kRunning) ++running;
    }
    if (running != (cpu.current_ == &cpu.idle_ ? 0U : 1U)) {
      return "not just the current thread is running";
    }
    if (const char* wrong = check_chain(cpu)) return wrong;
    if (const char* wrong = check_sleepers(cpu)) return wrong;
    std::size_t cached = 0;
    for (const ThreadT& thread : cpu.cached_) {
      ++cached;
      if (thread.place_ != Place::kDead || thread.borrowed_stack_) {
        return "a stack is kept that is still somebody's";
      }
    }
    if (cached != cpu.cached_count_ || cached > P::kLwktTuning.cached_stacks) {
      return "more stacks are kept than wanted, or counted";
    }
    for (const ThreadT& thread : cpu.dead_) {
      if (thread.place_ != Place::kDead || thread.detached_ ||
          thread.joiner_ != nullptr) {
        return "somebody who is not dead, or is joined, waits to be joined";
      }
    }
    return nullptr;
  }

  // Of a thread that was chosen from the queue, and of the idle thread: could
  // a higher one have run? Not of one that gets back the CPU that it lent.
  [[nodiscard]] static const char* check_choice(Cpu<P>& cpu) {
    const ThreadT& chosen = *cpu.current_;
    const bool idles = &chosen == &cpu.idle_;
    // The idle thread chooses next, when it has sent them on.
    if (idles && !cpu.stepped_off_.empty()) return nullptr;
    for (Priority priority = idles ? 0 : chosen.priority_ + 1;
         priority < kPriorities; ++priority) {
      for (const ThreadT& thread : cpu.queue_.list(priority)) {
        if (!thread.lapsed_) {
          return idles ? "a CPU idles while a thread could run"
                       : "a thread was passed over for a lower one";
        }
      }
    }
    return nullptr;
  }

  // Whose note the ground was given.
  [[nodiscard]] static ThreadT& thread_of(typename P::StackNote& note) {
    return *container_of(&note, &ThreadT::note_);
  }

  // --- for a census (census.h), on the CPU -----------------------------------
  // The idle thread if it runs, then the living, then the dead.
  [[nodiscard]] static ThreadT* thread_at(Cpu<P>& cpu, std::size_t number) {
    if (cpu.current_ == &cpu.idle_ && number-- == 0) return &cpu.idle_;
    for (ThreadT& thread : cpu.all_) {
      if (number-- == 0) return &thread;
    }
    for (ThreadT& thread : cpu.dead_) {
      if (number-- == 0) return &thread;
    }
    return nullptr;
  }
  [[nodiscard]] static const Context& context_of(const ThreadT& thread) {
    return thread.context_;
  }
  [[nodiscard]] static std::uintptr_t asleep_on(const ThreadT& thread) {
    const void* const address = thread.asleep_on_;
    return reinterpret_cast<std::uintptr_t>(address);
  }
  [[nodiscard]] static bool has_lapsed(const ThreadT& thread) {
    return thread.lapsed_;
  }

 private:
  // Between switches: nobody waits for the next one who should not.
  [[nodiscard]] static const char* check_progress(Cpu<P>& cpu) {
    if (cpu.current_ == &cpu.idle_) return nullptr;
    if (!cpu.stepped_off_.empty()) return "a thread that left was not sent on";
    if (cpu.preemption_due_) return nullptr;
    for (Priority priority =
             std::max(cpu.current_->priority_ + 1, kInterruptSupport);
         priority < kPriorities; ++priority) {
      for (const ThreadT& thread : cpu.queue_.list(priority)) {
        if (!thread.lapsed_) return "an interrupt thread was left in the queue";
      }
    }
    return nullptr;
  }
  [[nodiscard]] static bool lives_here(Cpu<P>& cpu, const ThreadT& thread) {
    for (const ThreadT& one : cpu.all_) {
      if (&one == &thread) return true;
    }
    return false;
  }

  [[nodiscard]] static const char* check_queue(Cpu<P>& cpu) {
    for (Priority priority = 0; priority < kPriorities; ++priority) {
      const auto& list = cpu.queue_.list(priority);
      if (list.empty() == ((cpu.queue_.mask() >> priority & 1) != 0)) {
        return "the mask of the run queue does not fit its lists";
      }
      for (const ThreadT& thread : list) {
        // First: what is not here, nobody may look into.
        if (!lives_here(cpu, thread)) {
          return "the run queue has a thread that is not this CPU's";
        }
        if (thread.place_ != Place::kQueued) {
          return "a thread in the run queue is somewhere else as well";
        }
        if (thread.priority_ != priority) {
          return "a thread is in another priority's run queue";
        }
      }
    }
    return nullptr;
  }

  [[nodiscard]] static const char* check_place(Cpu<P>& cpu,
                                               const ThreadT& thread) {
    if (thread.sleep_hook_.is_linked() != (thread.asleep_on_ != nullptr)) {
      return "a thread sleeps on an address, but in no list, or the reverse";
    }
    const Place place = thread.place_;
    if (thread.preempted_ != nullptr && place != Place::kRunning &&
        place != Place::kPreempted) {
      return "a thread that does not run has borrowed the CPU";
    }
    switch (place) {
      case Place::kRunning:
        if (thread.lapsed_) return "a thread runs without its tokens";
        return cpu.current_ == &thread ? nullptr
                                       : "a thread runs that is not current";
      case Place::kQueued:
        for (const ThreadT& one : cpu.queue_.list(thread.priority_)) {
          if (&one == &thread) return nullptr;
        }
        return "a queued thread is in no run queue";
      case Place::kPreempted:
        for (const ThreadT* at = cpu.current_; at != nullptr;
             at = at->preempted_) {
          if (at->preempted_ == &thread) return nullptr;
        }
        return "a preempted thread gets its CPU back from nobody";
      case Place::kMoving:
        for (const ThreadT& one : cpu.stepped_off_) {
          if (&one == &thread) return nullptr;
        }
        return "a moving thread is on its way nowhere";
      case Place::kDead:
        return "a dead thread is among the living";
      case Place::kNew:
      case Place::kAsleep:
        return nullptr;
    }
    return "a thread is in no place";
  }

  // T4: whoever lent the CPU, down to the first.
  [[nodiscard]] static const char* check_chain(Cpu<P>& cpu) {
    for (const ThreadT* at = cpu.current_->preempted_; at != nullptr;
         at = at->preempted_) {
      if (at == cpu.current_ || at->place_ != Place::kPreempted) {
        return "the CPU was borrowed from a thread that is somewhere else";
      }
    }
    return nullptr;
  }

  [[nodiscard]] static const char* check_sleepers(Cpu<P>& cpu) {
    for (std::uint32_t bucket = 0; bucket < System<P>::kSleepBuckets;
         ++bucket) {
      for (const ThreadT& thread : cpu.sleeping_[bucket]) {
        if (!lives_here(cpu, thread)) {
          return "a sleep list has a thread that is not this CPU's";
        }
        if (thread.asleep_on_ == nullptr ||
            Cpu<P>::bucket_of(thread.asleep_on_) != bucket) {
          return "a thread is on another address's sleep list";
        }
        // An interlock ends with the thread's next sleep, move or end.
        if (thread.interlocked_ && (thread.place_ == Place::kAsleep ||
                                    thread.place_ == Place::kMoving)) {
          return "an interlock outlived its thread's next wait";
        }
        if (!thread.interlocked_ && thread.place_ != Place::kAsleep) {
          return "a thread that is awake is on a sleep list";
        }
      }
    }
    return nullptr;
  }
};

}  // namespace odo::lwkt
