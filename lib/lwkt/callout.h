// SPDX-License-Identifier: BSD-3-Clause
// A call at a later time, on the CPU that asked for it.
//
// Contexts: arm, cancel: threads and critical sections. The function runs in a
//   critical section of its CPU, and must not block.
// Ownership: the callout is its user's. Calls of one callout's arm() and
//   cancel() come one after the other, but for those that its own function
//   makes on its own CPU. It may go once cancel() has returned.
// Invariants: a callout is on the wheel of home_ or on none; home_ changes only
//   while it is on none.
// Failure: none.
// Complexity: on the callout's own CPU, O(1) (timer_wheel.h). From another: a
//   call there and back.
// Origin: callout_reset(), callout_stop() and their waiting forms in
// DragonFly's
//   sys/kern/kern_timeout.c. As functions run in critical sections, a CPU that
//   answers a call is in none of them: waiting for the function to end is
//   waiting for the answer.
#pragma once

#include <cstdint>

#include "lib/base/container_of.h"
#include "lib/lwkt/cpu.h"

namespace odo::lwkt {

template <LwktPlatform P>
class Callout {
 public:
  using Function = void (*)(void* argument);

  Callout(Function function, void* argument)
      : timer_(&Callout::fire), function_(function), argument_(argument) {}
  Callout(const Callout&) = delete;
  Callout& operator=(const Callout&) = delete;

  // Not before the deadline, and in the first look at the clock at the end of
  // its tick (TimerWheel::kTickNs) or later. Moves it if it is armed.
  void arm(Thread<P>& self, std::uint64_t deadline_ns) {
    self.enter_critical();
    Cpu<P>& here = self.cpu();
    if (home_ != &here) {
      (void)cancel(self);
      home_ = &here;
    }
    here.arm(timer_, deadline_ns);
    self.exit_critical();
  }

  // When it returns the function is not running, unless it is what called this,
  // and will not run. True if a call was pending.
  bool cancel(Thread<P>& self) {
    if (home_ == nullptr) return false;
    self.enter_critical();
    bool was_armed = false;
    Cpu<P>& here = self.cpu();
    if (home_ == &here) {
      was_armed = here.cancel(timer_);
    } else {
      Request request{.callout = this};
      auto& fabric = here.system().fabric();
      const unsigned there = home_->index();
      fabric.wait(here.index(), there,
                  fabric.send(here.index(), there, {&Request::make, &request}));
      was_armed = request.was_armed;
    }
    self.exit_critical();
    return was_armed;
  }

 private:
  struct Request {
    Callout* callout;
    bool was_armed = false;

    static void make(void* argument, void* receiver) {
      auto& request = *static_cast<Request*>(argument);
      request.was_armed =
          static_cast<Cpu<P>*>(receiver)->cancel(request.callout->timer_);
    }
  };

  static void fire(Timer& timer) {
    Callout& self = *container_of(&timer, &Callout::timer_);
    self.function_(self.argument_);
  }

  Timer timer_;
  Cpu<P>* home_ = nullptr;
  Function function_;
  void* argument_;
};

}  // namespace odo::lwkt
