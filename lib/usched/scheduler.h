// SPDX-License-Identifier: BSD-3-Clause
// The user-thread scheduler: which user thread each CPU may run.
//
// It hands one thread a CPU to LWKT and keeps the others to itself, so however
// many user threads there are, kernel threads compete with one. It decides and
// does nothing: every call ends in a Decision that the caller carries out.
//
// Contexts: any that may take a spinlock, the clock interrupt included.
// Locking: each CPU's queue has a lock, which is the caller's (a spinlock, or
//   "this CPU, interrupts off" on a machine with one CPU). Each call says which
//   it needs:
//     [cpu]   the lock of that CPU's queue, held throughout;
//     [own]   if the thread is queued or chosen, the lock of thread.cpu(); else
//             the caller is alone with the thread;
//     [none]  no lock: reads hints only.
//   balance() takes locks itself, through the caller's function, two at a time
//   and the lower CPU's first. Nothing else needs more than one.
// Invariants:
//   S1. a CPU has at most one chosen thread, and no other runs user code there;
//   S2. a chosen thread gives up its CPU itself, or by reschedule() on that CPU
//       while it is stopped at the border of user code: nobody takes it away
//       from afar;
//   S3. a thread is never queued where its affinity or the online set forbids
//       it, nor chosen there, but for a chosen thread whose CPU was forbidden
//       meanwhile, until the reschedule() that was then asked for.
// Complexity: O(1), but place() and balance(): bounded, see kNearProbes,
//   kFarProbes, kPullTries, kPullBudget.
// Failure: bad input gives an Error; a call in the wrong state is checked.
// Origin: sys/kern/usched_dfly.c of DragonFly, whose calls these are. What we
//   do differently and why is in docs/usched.md.
#pragma once

#include <cstdint>
#include <span>

#include "lib/base/check.h"
#include "lib/platform/concepts.h"
#include "lib/usched/cpu_queue.h"
#include "lib/usched/cpu_set.h"
#include "lib/usched/error.h"
#include "lib/usched/machine_view.h"
#include "lib/usched/topology.h"
#include "lib/usched/usage.h"
#include "lib/usched/user_thread.h"

namespace odo::usched {

// How often a CPU compares itself with others: busy or idle.
inline constexpr std::uint64_t kBalancePeriodNs = 32'000'000;
// What a fork costs the parent.
inline constexpr std::uint64_t kForkCostNs = kTurnNs / 4;
// For how long a CPU with no user thread is trusted to come for the one that
// was just queued there: it was chosen for being warm, or near.
inline constexpr std::uint64_t kClaimNs = 1'000'000;
// Queues that one balancing may lock, hints that it reads at each level, and
// threads that it looks at in each queue.
inline constexpr unsigned kPullTries = 4;
inline constexpr unsigned kPullProbes = 16;
inline constexpr unsigned kPullBudget = 64;

// What the caller has to do; all of it may be nothing.
template <platform::HasAtomics P>
struct Decision {
  // LWKT may run this thread on the CPU of the call: it is the chosen one.
  UserThread<P>* run = nullptr;
  // This CPU has to call reschedule() soon, an idle one at once. An IPI, if it
  // is not the caller's own.
  CpuId resched = kNoCpu;
  // This thread is in no queue and wants to run: place() it, then enqueue().
  UserThread<P>* move = nullptr;
};

struct TickResult {
  bool resched = false;      // call reschedule() before user code runs on
  bool balance_due = false;  // call balance() once no lock is held
};

enum class Why : std::uint8_t {
  kAsked,  // a Decision, a tick, or a CPU that went idle
  kYield,  // the chosen thread lets another go first
};

template <platform::HasAtomics P>
class Scheduler {
 public:
  using Thread = UserThread<P>;
  using Queue = CpuQueue<P>;

  // One queue a CPU of the topology; both outlive the scheduler. Every CPU is
  // offline at first.
  Scheduler(std::span<Queue> queues, const Topology& topology)
      : view_(queues, topology) {}

  [[nodiscard]] unsigned cpus() const { return view_.cpus(); }
  [[nodiscard]] Queue& queue(CpuId cpu) { return view_.queue(cpu); }
  [[nodiscard]] MachineView<P>& view() { return view_; }

  // --- CPUs ------------------------------------------------------------------
  // [cpu]
  [[nodiscard]] Result<void> set_online(CpuId cpu, std::uint64_t now_ns) {
    if (cpu >= cpus()) return fail(Error::kBadCpu);
    view_.add_online(cpu);
    // CPUs that start together should not balance together.
    queue(cpu).next_balance_ns =
        now_ns + kBalancePeriodNs * (cpu + 1U) / cpus();
    view_.note(cpu);
    return {};
  }
  // [cpu] From here on nothing new is queued there. What waits comes out by
  // drain(), the chosen thread by the reschedule() that this asks for.
  [[nodiscard]] Result<Decision<P>> set_offline(CpuId cpu) {
    if (cpu >= cpus()) return fail(Error::kBadCpu);
    view_.remove_online(cpu);
    Decision<P> decision;
    if (queue(cpu).chosen() != nullptr) decision.resched = cpu;
    return decision;
  }
  // [cpu] One waiting thread less; until no `move` comes back.
  [[nodiscard]] Decision<P> drain(CpuId cpu, std::uint64_t now_ns) {
    Decision<P> decision;
    decision.move = queue(cpu).first_waiting();
    if (decision.move != nullptr) {
      queue(cpu).remove(*decision.move, State::kOff, now_ns);
      view_.note(cpu);
    }
    return decision;
  }

  // --- a thread that wants to run user code ----------------------------------
  // [none] The CPU for a thread that is in no queue. `near_cpu` is where its
  // waker or parent runs, or kNoCpu.
  [[nodiscard]] Result<CpuId> place(const Thread& thread, CpuId near_cpu) {
    ODO_CHECK(!thread.is_attached());
    return view_.place(thread, near_cpu);
  }

  // [cpu] [own] Wakes or starts a thread, or lets one that left user mode wait.
  // kBadCpu if the CPU may not run it: then place() again.
  [[nodiscard]] Result<Decision<P>> enqueue(CpuId cpu, Thread& thread,
                                            std::uint64_t now_ns) {
    if (cpu >= cpus() || !view_.may_run(thread, cpu)) {
      return fail(Error::kBadCpu);
    }
    Queue& q = queue(cpu);
    q.insert(thread, cpu, now_ns);
    return ask_if_needed(cpu, now_ns);
  }

  // [cpu] [own] A thread that executes on `cpu` is about to return to user
  // mode. It may if it is `run` of the answer. Else `run`, if any, is to be
  // scheduled in its place, and `move`, if it is the thread itself, has to be
  // placed: the thread stops executing after that.
  [[nodiscard]] Decision<P> acquire(CpuId cpu, Thread& thread,
                                    std::uint64_t now_ns) {
    Queue& q = queue(cpu);
    if (q.chosen() == &thread) return reschedule(cpu, Why::kAsked, now_ns);
    ODO_CHECK(!thread.is_attached());
    Decision<P> decision;
    if (!view_.may_run(thread, cpu) || q.chosen() != nullptr) {
      decision.move = &thread;
      thread.state_ = State::kOff;
      return decision;
    }
    if (q.waiting() == 0) {
      q.choose_at_once(thread, cpu, now_ns);
    } else {
      q.insert(thread, cpu, now_ns);
      q.choose(now_ns);
    }
    view_.note(cpu);
    decision.run = q.chosen();
    return decision;
  }

  // --- the chosen thread -----------------------------------------------------
  // [cpu] It ran for so long since it was last charged. At least at every tick
  // and before every call that ends its being chosen.
  void charge(CpuId cpu, std::uint64_t ran_ns, std::uint64_t now_ns) {
    queue(cpu).charge(ran_ns, now_ns);
  }

  // [own] A released thread ran in the kernel for so long: that counts too.
  void charge_in_kernel(Thread& thread, std::uint64_t ran_ns,
                        std::uint64_t now_ns) {
    ODO_CHECK(!thread.is_attached());
    thread.usage_.add(now_ns, ran_ns);
  }

  // [cpu] The chosen thread enters the kernel for long, or blocks there: from
  // here on it has a kernel priority and this CPU another user thread. If that
  // is none, balance() is worth a call.
  [[nodiscard]] Decision<P> release(CpuId cpu, Thread& thread,
                                    std::uint64_t now_ns) {
    Queue& q = queue(cpu);
    ODO_CHECK(q.chosen() == &thread);
    q.remove(thread, State::kInKernel, now_ns);
    return choose_next(cpu, now_ns);
  }

  // [cpu] Looks again who should have this CPU. The chosen thread, if any,
  // executes the call or is stopped where it came from user code. `run` is the
  // answer, often the same as before.
  [[nodiscard]] Decision<P> reschedule(CpuId cpu, Why why,
                                       std::uint64_t now_ns) {
    Queue& q = queue(cpu);
    Thread* chosen = q.chosen();
    if (chosen == nullptr) return choose_next(cpu, now_ns);
    if (!view_.may_run(*chosen, cpu)) {
      q.remove(*chosen, State::kOff, now_ns);
      Decision<P> decision = choose_next(cpu, now_ns);
      decision.move = chosen;
      return decision;
    }
    if (why == Why::kYield && q.waiting() != 0) {
      q.put_back(PutBack::kYield, now_ns);
    } else if (q.should_switch(now_ns)) {
      q.put_back(PutBack::kFair, now_ns);
    } else {
      Decision<P> decision;
      decision.run = chosen;
      return decision;
    }
    return choose_next(cpu, now_ns);
  }

  // [cpu] The scheduler clock, at any period up to kTurnNs, after charge(). An
  // idle CPU may stop it while balance() is called every kBalancePeriodNs.
  [[nodiscard]] TickResult tick(CpuId cpu, std::uint64_t now_ns) {
    Queue& q = queue(cpu);
    TickResult result;
    const Thread* chosen = q.chosen();
    result.resched = q.should_switch(now_ns) ||
                     (chosen != nullptr && !view_.may_run(*chosen, cpu));
    if (!result.resched && chosen != nullptr && chosen->turn_left_ns_ == 0) {
      q.renew_turn();
    }
    q.publish(now_ns);
    if (now_ns >= q.next_balance_ns) {
      q.next_balance_ns = now_ns + kBalancePeriodNs;
      result.balance_due = true;
    }
    return result;
  }

  // --- balancing -------------------------------------------------------------
  // Pulls at most one thread to this CPU. `lock_pair(low, high)` locks two
  // queues, low before high, and returns a guard that unlocks them when it
  // dies. Call it with no queue's lock held: on a CPU that has no user thread
  // left, at once and whenever tick() says so; on a busy one when tick() says
  // so.
  //
  // An idle CPU takes from the most burdened queue, near before far. A busy one
  // takes a thread that ranks clearly before its own chosen thread: so when
  // threads don't divide evenly, those that share a CPU change places with
  // those that have one, and all get the same in the end.
  template <class LockPair>
  [[nodiscard]] Decision<P> balance(CpuId cpu, std::uint64_t now_ns,
                                    LockPair&& lock_pair) {
    Queue& own = queue(cpu);
    const CpuSet online = view_.online();
    if (!online.has(cpu)) return {};
    CpuSet candidates = view_.crowded() & online;
    candidates.remove(cpu);
    const unsigned cursor = view_.next_cursor();
    unsigned tries = kPullTries;
    for (Level level : kLevels) {
      CpuSet group = candidates & view_.topology().around(cpu, level);
      candidates = candidates - group;
      while (tries > 0) {
        const CpuId victim = victim_in(group, own, cursor);
        if (victim == kNoCpu) break;
        group.remove(victim);
        --tries;
        [[maybe_unused]] auto guard =
            lock_pair(victim < cpu ? victim : cpu, victim < cpu ? cpu : victim);
        if (pull(victim, cpu, now_ns)) return ask_if_needed(cpu, now_ns);
      }
    }
    return {};
  }

  // --- birth and death -------------------------------------------------------
  // [own] for the parent; the child is new. The child starts with the parent's
  // settings and usage, so that a fork is no way to a clean record, and the
  // parent pays for it.
  void forking(Thread& parent, Thread& child, std::uint64_t now_ns) {
    ODO_CHECK(child.state_ == State::kOff && &parent != &child);
    parent.usage_.add(now_ns, kForkCostNs);
    child.usage_.inherit(parent.usage_);
    child.affinity_ = parent.affinity_;
    child.class_ = parent.class_;
    child.priority_ = parent.priority_;
    child.nice_ = parent.nice_;
    child.set_cpu(parent.cpu());
  }

  // [own] for the parent; the thread has been released. The parent, if there
  // still is one, takes over the usage if it is the higher: a chain of
  // short-lived children is one thread that runs all the time.
  void exiting(Thread& thread, Thread* parent, std::uint64_t now_ns) {
    ODO_CHECK(!thread.is_attached() && &thread != parent);
    thread.state_ = State::kOff;
    if (parent != nullptr) parent->usage_.absorb(now_ns, thread.usage_);
  }

  // --- settings --------------------------------------------------------------
  // [own] All three: a queued thread moves to its new place at once.
  [[nodiscard]] Result<Decision<P>> set_nice(Thread& thread, int nice,
                                             std::uint64_t now_ns) {
    if (nice < kMinNice || nice > kMaxNice) return fail(Error::kBadNice);
    return change(thread, now_ns,
                  [&] { thread.nice_ = static_cast<std::int8_t>(nice); });
  }
  // The priority, 0 (best) to 31, is for realtime and idle.
  [[nodiscard]] Result<Decision<P>> set_class(Thread& thread, Class klass,
                                              unsigned priority,
                                              std::uint64_t now_ns) {
    if (priority >= kPriorities) return fail(Error::kBadPriority);
    return change(thread, now_ns, [&] {
      thread.class_ = klass;
      thread.priority_ = static_cast<std::uint8_t>(priority);
    });
  }
  // kNoCpu, and nothing changed, if none of these CPUs is online. A queued
  // thread that may not stay comes back as `move`.
  [[nodiscard]] Result<Decision<P>> set_affinity(Thread& thread,
                                                 const CpuSet& affinity,
                                                 std::uint64_t now_ns) {
    if ((affinity & view_.online() & view_.topology().all()).empty()) {
      return fail(Error::kNoCpu);
    }
    thread.affinity_ = affinity;
    Decision<P> decision;
    if (!thread.is_attached() || affinity.has(thread.cpu())) return decision;
    const CpuId cpu = thread.cpu();
    if (thread.state_ == State::kChosen) {
      decision.resched = cpu;
    } else {
      queue(cpu).remove(thread, State::kOff, now_ns);
      view_.note(cpu);
      decision.move = &thread;
    }
    return decision;
  }

 private:
  [[nodiscard]] Decision<P> choose_next(CpuId cpu, std::uint64_t now_ns) {
    Decision<P> decision;
    decision.run = queue(cpu).choose(now_ns);
    view_.note(cpu);
    return decision;
  }

  [[nodiscard]] Decision<P> ask_if_needed(CpuId cpu, std::uint64_t now_ns) {
    Decision<P> decision;
    if (queue(cpu).should_switch(now_ns)) decision.resched = cpu;
    view_.note(cpu);
    return decision;
  }

  template <class Change>
  [[nodiscard]] Decision<P> change(Thread& thread, std::uint64_t now_ns,
                                   Change apply) {
    if (!thread.is_attached()) {
      apply();
      return {};
    }
    queue(thread.cpu()).with_detached(thread, now_ns, apply);
    return ask_if_needed(thread.cpu(), now_ns);
  }

  // --- pulling ---------------------------------------------------------------
  // Below which rank a thread of `burden` is worth taking to a CPU whose chosen
  // thread ranks `chosen`, from a queue that is burdened more by `surplus`. If
  // the surplus shrinks by it, the thread is welcome anyway. If the surplus
  // only changes sides, it moves to where it weighs less. If there is none, the
  // thread has to be behind by more than the turn that the other is just using.
  [[nodiscard]] static Rank limit_of(Rank chosen, std::uint32_t surplus,
                                     std::uint32_t burden) {
    const Rank base = best_rank_of(Class::kTimeshare);
    if (chosen < base || chosen >= best_rank_of(Class::kIdle)) return chosen;
    if (surplus >= 2 * burden) return best_rank_of(Class::kIdle);
    if (surplus >= burden) return chosen;
    const Rank usage = chosen - base;
    const Rank margin = usage / 32 + static_cast<Rank>(kOne / 64);
    return usage > margin ? chosen - margin : base;
  }
  [[nodiscard]] static std::uint32_t surplus_of(const Queue& victim,
                                                const Queue& own) {
    const std::uint32_t theirs = victim.hint_burden();
    const std::uint32_t ours = own.hint_burden();
    return theirs > ours ? theirs - ours : 0;
  }

  [[nodiscard]] CpuId victim_in(CpuSet group, const Queue& own,
                                unsigned cursor) {
    const Rank chosen = own.hint_chosen_rank();
    CpuId best = kNoCpu;
    std::uint32_t best_burden = 0;
    for (unsigned probes = kPullProbes; probes > 0; --probes) {
      const CpuId cpu = group.first_from(cursor);
      if (cpu == kNoCpu) break;
      group.remove(cpu);
      const Queue& q = queue(cpu);
      if (chosen != kNoRank &&
          q.hint_waiting_rank() >=
              limit_of(chosen, surplus_of(q, own), q.hint_waiting_burden())) {
        continue;
      }
      if (best != kNoCpu && q.hint_burden() <= best_burden) continue;
      best = cpu;
      best_burden = q.hint_burden();
    }
    return best;
  }

  // Both queues are locked. False if the victim has nobody for us after all.
  [[nodiscard]] bool pull(CpuId victim, CpuId cpu, std::uint64_t now_ns) {
    Queue& from = queue(victim);
    Queue& own = queue(cpu);
    if (!view_.online().has(cpu)) return false;
    Thread* chosen = own.chosen();
    // Nobody is chosen but somebody waits: there is work enough already.
    if (chosen == nullptr && own.waiting() != 0) return false;
    const Rank rank =
        chosen == nullptr ? kNoRank : own.rank_of(*chosen, now_ns);
    const std::uint32_t surplus = surplus_of(from, own);
    Thread* thread = from.find_waiting(kPullBudget, [&](Thread& candidate) {
      if (!candidate.affinity_.has(cpu)) return false;
      if (from.chosen() == nullptr && &candidate == from.first_waiting() &&
          now_ns < candidate.queued_at_ns_ + kClaimNs) {
        return false;
      }
      if (chosen == nullptr) return true;
      return Queue::rank_of(candidate, now_ns) <
             limit_of(rank, surplus, Queue::burden_of(candidate));
    });
    if (thread == nullptr) return false;
    from.hand_over(*thread, own, cpu, now_ns);
    view_.note(victim);
    return true;
  }

  MachineView<P> view_;
};

}  // namespace odo::usched
