// SPDX-License-Identifier: BSD-3-Clause
// What the CPUs know of each other without a lock: who is online, who is idle,
// who has threads to give away; and from that, where a thread should wait.
//
// Contexts: any, no lock needed, but for note(), which wants the queue's.
// Ordering: hints only, see cpu_set.h and cpu_queue.h. A wrong hint costs a
//   detour: an idle CPU balances every kBalancePeriodNs and finds what a wrong
//   placement left behind.
// Complexity: place() does a bounded number of set operations and reads at most
//   kNearProbes + kFarProbes queues' hints.
// Failure: place() has an error for a thread that may run nowhere.
// Origin: dfly_choose_best_queue() in DragonFly's sys/kern/usched_dfly.c.
//   Deviations: idle CPUs are found by sets and not by summing loads down a
//   tree; the search for the least burdened one is bounded.
#pragma once

#include <cstdint>
#include <span>

#include "lib/base/check.h"
#include "lib/platform/concepts.h"
#include "lib/usched/cpu_queue.h"
#include "lib/usched/cpu_set.h"
#include "lib/usched/error.h"
#include "lib/usched/topology.h"
#include "lib/usched/user_thread.h"

namespace odo::usched {

// Hints that one placement reads, beside a few words of sets.
inline constexpr unsigned kNearProbes = 16;
inline constexpr unsigned kFarProbes = 8;

template <platform::HasAtomics P>
class MachineView {
 public:
  using Thread = UserThread<P>;
  using Queue = CpuQueue<P>;

  MachineView(std::span<Queue> queues, const Topology& topology)
      : queues_(queues), topology_(&topology) {
    ODO_CHECK(topology.cpus() > 0 && queues.size() >= topology.cpus());
  }
  MachineView(const MachineView&) = delete;
  MachineView& operator=(const MachineView&) = delete;

  [[nodiscard]] unsigned cpus() const { return topology_->cpus(); }
  [[nodiscard]] const Topology& topology() const { return *topology_; }
  [[nodiscard]] Queue& queue(CpuId cpu) {
    ODO_CHECK(cpu < cpus());
    return queues_[cpu];
  }

  [[nodiscard]] CpuSet online() const { return online_.read(); }
  [[nodiscard]] CpuSet idle() const { return idle_.read(); }
  // Those where somebody waits.
  [[nodiscard]] CpuSet crowded() const { return crowded_.read(); }
  void add_online(CpuId cpu) { online_.add(cpu); }
  void remove_online(CpuId cpu) { online_.remove(cpu); }
  [[nodiscard]] bool may_run(const Thread& thread, CpuId cpu) const {
    return thread.affinity().has(cpu) && online().has(cpu);
  }

  // Tells the others what became of a queue. The caller holds its lock.
  void note(CpuId cpu) {
    Queue& q = queue(cpu);
    const Thread* chosen = q.chosen();
    const bool waiting = q.waiting() != 0;
    mark(crowded_, cpu, waiting);
    mark(idle_, cpu, chosen == nullptr && !waiting);
    const Thread* waits = q.first_waiting();
    Class busy = Class::kIdle;
    if (chosen != nullptr) busy = chosen->klass();
    if (waits != nullptr && waits->klass() < busy) busy = waits->klass();
    mark(no_timeshare_, cpu, busy == Class::kIdle);
    mark(no_realtime_, cpu, busy != Class::kRealtime);
  }

  // Where the thread should wait. In this order: where it ran last, if that CPU
  // is idle; the nearest idle CPU, one with an idle core before others; the
  // nearest CPU where only a worse class is busy; the least burdened of its
  // neighbours and a few others, its last CPU having the advantage.
  [[nodiscard]] Result<CpuId> place(const Thread& thread, CpuId near_cpu) {
    const CpuSet allowed = online() & thread.affinity() & topology_->all();
    if (allowed.empty()) return fail(Error::kNoCpu);
    const unsigned cursor = next_cursor();
    CpuId home = thread.cpu();
    if (!allowed.has(home)) home = near_cpu;
    if (!allowed.has(home)) home = allowed.first_from(cursor);

    const CpuSet idle = idle_.read();
    CpuId found = nearest(home, allowed & idle, idle, cursor);
    if (found != kNoCpu) return found;
    if (thread.klass() != Class::kIdle) {
      found = nearest(home, allowed & no_timeshare_.read(), idle, cursor);
      if (found != kNoCpu) return found;
    }
    if (thread.klass() == Class::kRealtime) {
      found = nearest(home, allowed & no_realtime_.read(), idle, cursor);
      if (found != kNoCpu) return found;
    }
    return least_burdened(thread, home, allowed, cursor);
  }

  // Where a search begins: elsewhere each time. Losing a count to another CPU
  // is harmless, so it is no read-modify-write.
  [[nodiscard]] unsigned next_cursor() {
    // Relaxed, without partner: any number will do.
    const std::uint32_t cursor = cursor_.load(std::memory_order_relaxed);
    cursor_.store(cursor + 1, std::memory_order_relaxed);
    return static_cast<unsigned>(cursor * 0x9e3779b9u >> 24);
  }

 private:
  using Shared = SharedCpuSet<P>;

  static void mark(Shared& set, CpuId cpu, bool is_in) {
    if (is_in) {
      set.add(cpu);
    } else {
      set.remove(cpu);
    }
  }

  // The member of `candidates` nearest to `home`.
  [[nodiscard]] CpuId nearest(CpuId home, const CpuSet& candidates,
                              const CpuSet& idle, unsigned cursor) const {
    if (candidates.empty()) return kNoCpu;
    if (candidates.has(home)) return home;
    for (Level level : {Level::kCache, Level::kNode, Level::kMachine}) {
      CpuSet group = candidates & topology_->around(home, level);
      if (group.empty()) continue;
      const CpuId any = group.first_from(cursor);
      for (unsigned probes = 0; probes < kNearProbes; ++probes) {
        const CpuId cpu = group.first_from(cursor);
        if (cpu == kNoCpu) break;
        const CpuSet& core = topology_->around(cpu, Level::kCore);
        if (idle.contains(core)) return cpu;
        group = group - core;
      }
      return any;
    }
    return kNoCpu;
  }

  [[nodiscard]] CpuId least_burdened(const Thread& thread, CpuId home,
                                     const CpuSet& allowed, unsigned cursor) {
    const std::uint32_t own = Queue::burden_of(thread);
    CpuId best = home;
    // Half a thread better, at least, and far away a whole one more.
    std::uint64_t limit = queue(home).hint_burden();
    const CpuSet& cache = topology_->around(home, Level::kCache);
    const auto probe = [&](CpuSet group, unsigned probes, std::uint32_t extra) {
      for (; probes > 0; --probes) {
        const CpuId cpu = group.first_from(cursor);
        if (cpu == kNoCpu) return;
        group.remove(cpu);
        const std::uint64_t burden = queue(cpu).hint_burden();
        if (burden + extra >= limit) continue;
        best = cpu;
        limit = burden + extra - own / 2;
      }
    };
    probe(allowed & cache, kNearProbes, own / 2);
    probe(allowed - cache, kFarProbes, own + own / 2);
    return best;
  }

  std::span<Queue> queues_;
  const Topology* topology_;
  Shared online_;
  Shared idle_;
  Shared crowded_;
  Shared no_timeshare_;  // idle, or busy with the idle class only
  Shared no_realtime_;
  alignas(64) typename P::template Atomic<std::uint32_t> cursor_{0};
};

}  // namespace odo::usched
