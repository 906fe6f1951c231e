// SPDX-License-Identifier: BSD-3-Clause
// Rendezvous: other CPUs stand still while one does something; and the weaker
// wish that they have all left what they were in the middle of.
//
// Contexts: threads, outside spinlocks; what runs meanwhile neither blocks nor
//   waits for another CPU.
// Invariants: one rendezvous at a time, or two that want each other's CPU would
//   wait for ever. Who waits for its turn, or for the others to arrive, makes
//   the calls that others make to its CPU.
// Ordering: SA: a CPU arrives, release; the initiator counts it, acquire: what
//   it did before is there. SB: the initiator opens, release; a CPU goes on,
//   acquire: what was done meanwhile is there. SC: a CPU has left, release; the
//   initiator counts it, acquire: the rendezvous may go, nobody looks at it any
//   more. SD: the next initiator takes the turn, acquire, from the last one's
//   release.
// Failure: none.
// Complexity: a call to each CPU and two counts.
// Origin: DragonFly's lwkt_cpusync_interlock() and _deinterlock(),
//   sys/kern/lwkt_ipiq.c; there the callers see to it that there is one at a
//   time.
#pragma once

#include <atomic>
#include <concepts>
#include <cstdint>
#include <utility>

#include "lib/lwkt/cpu.h"
#include "lib/lwkt/cpu_mask.h"
#include "lib/lwkt/system.h"

namespace odo::lwkt {

template <LwktPlatform P>
class CpuSync {
 public:
  // Calls `work` while every CPU of the mask, but for this one, stands still in
  // a critical section.
  template <std::invocable Work>
  static void stand_still(Thread<P>& self, CpuMask mask, Work&& work) {
    self.enter_critical();
    Cpu<P>& here = self.cpu();
    System<P>& system = here.system();
    mask.clear(here.index());
    take_turn(here);
    Rendezvous meeting(here.ground());
    const std::uint32_t others = mask.count();
    system.fabric().send(here.index(), mask, {&Rendezvous::attend, &meeting});
    // SA: acquire, with the release in attend().
    while (meeting.arrived.load(std::memory_order_acquire) != others) {
      rest(here);
    }
    std::forward<Work>(work)();
    // SB: release, with the acquire in attend().
    meeting.open.store(true, std::memory_order_release);
    // SC: acquire, with the release in attend().
    while (meeting.left.load(std::memory_order_acquire) != others) rest(here);
    meeting.over.set(true);
    // SD: release, with the acquire in take_turn().
    system.sync_turn().store(false, std::memory_order_release);
    self.exit_critical();
  }

  // Returns when each CPU of the mask has been outside critical sections, and
  // what it did in them before is visible here.
  static void synchronize(Thread<P>& self, CpuMask mask) {
    self.enter_critical();
    Cpu<P>& here = self.cpu();
    mask.clear(here.index());
    auto& fabric = here.system().fabric();
    fabric.send(here.index(), mask, {[](void*, void*) {}, nullptr});
    fabric.wait(here.index(), mask);
    self.exit_critical();
  }

 private:
  struct Rendezvous {
    explicit Rendezvous(P platform) : ground(platform) {}

    static void attend(void* argument, void* /*receiver*/) {
      auto& meeting = *static_cast<Rendezvous*>(argument);
      P ground = meeting.ground;
      // SA: release.
      (void)meeting.arrived.fetch_add(1, std::memory_order_release);
      // SB: acquire.
      while (!meeting.open.load(std::memory_order_acquire)) ground.relax();
      ODO_CHECK(!meeting.over.get());
      // SC: release. The last look at the meeting.
      (void)meeting.left.fetch_add(1, std::memory_order_release);
    }

    [[no_unique_address]] P ground;
    // Plain: set when nobody looks any more, which pair SC alone makes sure of.
    typename detail::PlainOn<P, bool>::Type over;
    typename P::template Atomic<std::uint32_t> arrived{std::uint32_t{0}};
    typename P::template Atomic<std::uint32_t> left{std::uint32_t{0}};
    typename P::template Atomic<bool> open{false};
  };

  static void take_turn(Cpu<P>& here) {
    auto& turn = here.system().sync_turn();
    bool free = false;
    // SD: acquire.
    while (!turn.compare_exchange_strong(free, true, std::memory_order_acquire,
                                         std::memory_order_relaxed)) {
      free = false;
      rest(here);
    }
  }
  static void rest(Cpu<P>& here) {
    if (here.system().fabric().drain(here.index()) == 0) here.ground().relax();
  }
};

}  // namespace odo::lwkt
