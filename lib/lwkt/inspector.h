// SPDX-License-Identifier: BSD-3-Clause
// Looks at a CPU from inside and says whether everything is where it should be:
// for tests and debuggers, not for programs.
//
// Contexts: that CPU, in a critical section of its current thread.
// Failure: none; what is wrong is the answer.
// Complexity: all threads of the CPU, each looked for in its list.
#pragma once

#include <cstddef>

#include "lib/lwkt/cpu.h"

namespace odo::lwkt {

template <LwktPlatform P>
class Inspector {
 public:
  // What is wrong with this CPU's threads (thread.h, T1), or null.
  [[nodiscard]] static const char* check(Cpu<P>& cpu) {
    std::size_t queued = 0;
    for (Priority priority = 0; priority < kPriorities; ++priority) {
      const auto& list = cpu.queue_.list(priority);
      if (list.empty() == ((cpu.queue_.mask() >> priority & 1) != 0)) {
        return "the mask of the run queue does not fit its lists";
      }
      for (const Thread<P>& thread : list) {
        ++queued;
        if (thread.place_ != Place::kQueued) {
          return "a thread in the run queue is somewhere else as well";
        }
        if (thread.priority_ != priority || &thread.cpu() != &cpu) {
          return "a thread is in the wrong run queue";
        }
      }
    }
    std::size_t running = 0;
    for (Thread<P>& thread : cpu.all_) {
      if (const char* wrong = check_place(cpu, thread)) return wrong;
      if (thread.place_ == Place::kQueued) {
        if (queued-- == 0) return "a queued thread is in no run queue";
      }
      if (thread.place_ == Place::kRunning) ++running;
    }
    if (queued != 0) return "the run queue has threads that do not exist";
    const bool idles = cpu.current_ == &cpu.idle_;
    if (running != (idles ? 0U : 1U)) {
      return "not just the current thread is running";
    }
    return nullptr;
  }

 private:
  static const char* check_place(Cpu<P>& cpu, const Thread<P>& thread) {
    switch (thread.place_) {
      case Place::kRunning:
        return cpu.current_ == &thread ? nullptr
                                       : "a thread runs that is not current";
      case Place::kPreempted:
        for (const Thread<P>* at = cpu.current_; at != nullptr;
             at = at->preempted_) {
          if (at->preempted_ == &thread) return nullptr;
        }
        return "a preempted thread gets its CPU back from nobody";
      case Place::kMoving:
        for (const Thread<P>& one : cpu.stepped_off_) {
          if (&one == &thread) return nullptr;
        }
        return "a moving thread is on its way nowhere";
      case Place::kDead:
        return "a dead thread is among the living";
      case Place::kNew:
      case Place::kQueued:
      case Place::kAsleep:
        return nullptr;
    }
    return "a thread is in no place";
  }
};

}  // namespace odo::lwkt
