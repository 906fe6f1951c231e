// SPDX-License-Identifier: BSD-3-Clause
// A machine that does nothing but schedule: thousands of threads that compute
// and sleep, on 1 to 256 CPUs, in virtual time. It carries out the scheduler's
// decisions as a kernel would and checks its promises at every step.
//
// Contexts: one host thread. Everything follows from the seed.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <queue>
#include <random>
#include <span>
#include <unordered_map>
#include <vector>

#include "lib/base/check.h"
#include "lib/platform/archetype.h"
#include "lib/usched/scheduler.h"

namespace odo::usched::testing {

// Memory with an atomic's face and nothing more: what runs here proves, too,
// that the library uses nothing that its concept does not list.
struct SimGround : platform::ArchetypeAtomics {};

using SimScheduler = Scheduler<SimGround>;
using SimThread = UserThread<SimGround>;
using SimQueue = CpuQueue<SimGround>;
using SimDecision = Decision<SimGround>;

inline constexpr std::uint64_t kUs = 1'000;
inline constexpr std::uint64_t kMs = 1'000'000;
inline constexpr std::uint64_t kSecond = 1'000'000'000;

inline constexpr std::uint64_t kNever = ~std::uint64_t{0};

struct Range {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
};

// What a thread does, again and again: run user code, spend time in the kernel,
// sleep. A burst of 0 never ends.
struct Behaviour {
  Range burst_ns;
  Range kernel_ns;
  Range sleep_ns;
  // At the end of each burst it leaves a child to go on, and exits.
  bool relay = false;
  // At the end of each burst it yields, instead of all else.
  bool yields = false;
};
inline constexpr Behaviour kHog{};

// `cores` of `threads` CPUs each, in caches of `cores_a_cache`, in nodes of
// `caches_a_node`.
inline std::vector<CpuPlace> places(unsigned cpus, unsigned threads,
                                    unsigned cores_a_cache,
                                    unsigned caches_a_node) {
  std::vector<CpuPlace> result;
  for (unsigned cpu = 0; cpu < cpus; ++cpu) {
    const unsigned core = cpu / threads;
    const unsigned cache = core / cores_a_cache;
    result.push_back({static_cast<std::uint16_t>(core),
                      static_cast<std::uint16_t>(cache),
                      static_cast<std::uint16_t>(cache / caches_a_node)});
  }
  return result;
}

// A thread and its record.
struct Actor {
  SimThread thread;
  Behaviour behaviour;
  std::uint64_t burst_left_ns = 0;
  std::uint64_t queued_at_ns = kNever;
  CpuId last_cpu = kNoCpu;
  std::uint64_t kernel_ns = 0;  // of the call that it is in
  bool just_woken = false;
  bool gone = false;
  std::size_t lineage = 0;  // whose relay it runs

  std::uint64_t ran_ns = 0;
  std::uint64_t longest_wait_ns = 0;  // from queued to chosen
  std::uint64_t migrations = 0;
  std::vector<std::uint64_t> latencies_ns;  // from woken to chosen
};

class Simulation {
 public:
  Simulation(std::span<const CpuPlace> machine, std::uint64_t seed)
      : random_(seed),
        topology_(std::make_unique<Topology>()),
        count_(static_cast<CpuId>(machine.size())),
        cpus_(machine.size()) {
    ODO_CHECK(topology_->build(machine).has_value());
    queues_ = std::make_unique<SimQueue[]>(cpus_.size());
    scheduler_ = std::make_unique<SimScheduler>(
        std::span(queues_.get(), cpus_.size()), *topology_);
    for (CpuId cpu = 0; cpu < count_; ++cpu) {
      ODO_CHECK(scheduler_->set_online(cpu, 0).has_value());
      // Clocks of different CPUs don't tick together.
      post(kTickNs * cpu / count_, Kind::kTick, cpu);
    }
  }
  Simulation(const Simulation&) = delete;
  Simulation& operator=(const Simulation&) = delete;
  ~Simulation() {
    for (CpuId cpu = 0; cpu < count_; ++cpu) {
      SimQueue& q = scheduler_->queue(cpu);
      if (q.chosen() != nullptr) q.remove(*q.chosen(), State::kOff, now_ns_);
      while (scheduler_->drain(cpu, now_ns_).move != nullptr) {
      }
    }
  }

  // --- building --------------------------------------------------------------
  // A thread that starts at `start_ns`. References stay good.
  Actor& add(const Behaviour& behaviour, std::uint64_t start_ns = 0) {
    Actor& actor = actors_.emplace_back();
    actor.behaviour = behaviour;
    actor.lineage = actors_.size() - 1;
    index_of(actor) = actors_.size() - 1;
    post(start_ns, Kind::kWake, actors_.size() - 1);
    return actor;
  }
  Actor& add_nice(const Behaviour& behaviour, int nice) {
    Actor& actor = add(behaviour);
    ODO_CHECK(scheduler_->set_nice(actor.thread, nice, now_ns_).has_value());
    return actor;
  }
  Actor& add_of_class(const Behaviour& behaviour, Class klass,
                      unsigned priority) {
    Actor& actor = add(behaviour);
    ODO_CHECK(scheduler_->set_class(actor.thread, klass, priority, now_ns_)
                  .has_value());
    return actor;
  }
  Actor& add_pinned(const Behaviour& behaviour, const CpuSet& cpus) {
    Actor& actor = add(behaviour);
    ODO_CHECK(
        scheduler_->set_affinity(actor.thread, cpus, now_ns_).has_value());
    return actor;
  }
  // Looks every millisecond for CPUs that are idle while a thread waits that
  // could run there: O(CPUs · threads).
  void watch_idleness() { watches_idleness_ = true; }

  // --- running ---------------------------------------------------------------
  void run_until(std::uint64_t end_ns) {
    while (!events_.empty() && events_.top().at_ns <= end_ns) {
      const Event event = events_.top();
      events_.pop();
      now_ns_ = event.at_ns;
      ++steps_;
      handle(event);
    }
    now_ns_ = end_ns;
    for (CpuId cpu = 0; cpu < count_; ++cpu) account(cpu);
  }
  // Forgets what was recorded, for figures without the start.
  void forget() {
    for (CpuId cpu = 0; cpu < count_; ++cpu) account(cpu);
    for (Actor& actor : actors_) {
      actor.ran_ns = 0;
      actor.longest_wait_ns = 0;
      actor.migrations = 0;
      actor.latencies_ns.clear();
    }
    kernel_waits_ns_.clear();
  }
  void set_affinity(Actor& actor, const CpuSet& cpus) {
    auto decision = scheduler_->set_affinity(actor.thread, cpus, now_ns_);
    ODO_CHECK(decision.has_value());
    carry_out(actor.thread.cpu(), *decision);
  }
  void set_nice(Actor& actor, int nice) {
    auto decision = scheduler_->set_nice(actor.thread, nice, now_ns_);
    ODO_CHECK(decision.has_value());
    carry_out(actor.thread.cpu(), *decision);
  }
  void take_offline(CpuId cpu) {
    auto decision = scheduler_->set_offline(cpu);
    ODO_CHECK(decision.has_value());
    carry_out(cpu, *decision);
    for (;;) {
      const SimDecision drained = scheduler_->drain(cpu, now_ns_);
      if (drained.move == nullptr) break;
      carry_out(cpu, drained);
    }
  }
  void bring_online(CpuId cpu) {
    ODO_CHECK(scheduler_->set_online(cpu, now_ns_).has_value());
  }

  // --- reading ---------------------------------------------------------------
  [[nodiscard]] std::uint64_t now_ns() const { return now_ns_; }
  [[nodiscard]] std::uint64_t steps() const { return steps_; }
  [[nodiscard]] SimScheduler& scheduler() { return *scheduler_; }
  [[nodiscard]] std::deque<Actor>& actors() { return actors_; }
  // How long kernel work waited to start on its CPU.
  [[nodiscard]] const std::vector<std::uint64_t>& kernel_waits_ns() const {
    return kernel_waits_ns_;
  }
  [[nodiscard]] std::uint64_t longest_idle_with_work_ns() const {
    return longest_idle_with_work_ns_;
  }
  // What a whole lineage of relayed threads ran.
  [[nodiscard]] std::uint64_t lineage_ran_ns(const Actor& first) {
    std::uint64_t sum = 0;
    for (const Actor& actor : actors_) {
      if (actor.lineage == first.lineage) sum += actor.ran_ns;
    }
    return sum;
  }

  static constexpr std::uint64_t kTickNs = kMs;
  static constexpr std::uint64_t kIpiNs = 2 * kUs;

 private:
  enum class Kind : std::uint8_t {
    kWake,       // of an actor
    kTick,       // of a CPU, as all below
    kResched,    // somebody asked it to look again
    kBurstEnd,   // of its running thread, if `stamp` still is the CPU's
    kKernelEnd,  // of the oldest kernel work there
  };
  struct Event {
    std::uint64_t at_ns;
    std::uint64_t order;  // equal times go first come first served
    Kind kind;
    std::size_t subject;
    std::uint64_t stamp;
    bool operator>(const Event& other) const {
      return at_ns != other.at_ns ? at_ns > other.at_ns : order > other.order;
    }
  };
  struct Cpu {
    Actor* running = nullptr;  // the chosen thread, while it gets time
    std::uint64_t since_ns = 0;
    std::uint64_t stamp = 0;
    std::uint64_t kernel_until_ns = 0;
    std::deque<Actor*> in_kernel;
    bool resched_posted = false;
    std::uint64_t idle_with_work_since_ns = kNever;
  };
  static constexpr std::uint64_t kForever = std::uint64_t{1} << 62;

  void post(std::uint64_t at_ns, Kind kind, std::size_t subject,
            std::uint64_t stamp = 0) {
    events_.push({at_ns, order_++, kind, subject, stamp});
  }
  std::uint64_t draw(const Range& range) {
    if (range.low >= range.high) return range.low;
    return range.low + random_() % (range.high - range.low + 1);
  }
  std::size_t& index_of(Actor& actor) { return indices_[&actor.thread]; }
  Actor& actor_of(const SimThread& thread) {
    return actors_[indices_.at(&thread)];
  }

  void handle(const Event& event) {
    const CpuId cpu = static_cast<CpuId>(event.subject);
    switch (event.kind) {
      case Kind::kWake:
        wake(actors_[event.subject], kNoCpu);
        break;
      case Kind::kTick:
        tick(cpu);
        break;
      case Kind::kResched:
        cpus_[cpu].resched_posted = false;
        look_again(cpu, Why::kAsked);
        break;
      case Kind::kBurstEnd:
        if (event.stamp == cpus_[cpu].stamp) burst_end(cpu);
        break;
      case Kind::kKernelEnd:
        kernel_end(cpu);
        break;
    }
  }

  // --- a CPU's time ----------------------------------------------------------
  // Books what the running thread ran until now.
  void account(CpuId id) {
    Cpu& cpu = cpus_[id];
    if (cpu.running == nullptr) return;
    const std::uint64_t ran_ns = now_ns_ - cpu.since_ns;
    cpu.since_ns = now_ns_;
    cpu.running->ran_ns += ran_ns;
    cpu.running->burst_left_ns -= std::min(ran_ns, cpu.running->burst_left_ns);
    scheduler_->charge(id, ran_ns, now_ns_);
  }
  // The chosen thread gets the time from here on, unless the kernel has it.
  void resume(CpuId id) {
    Cpu& cpu = cpus_[id];
    SimThread* chosen = scheduler_->queue(id).chosen();
    Actor* actor = chosen == nullptr ? nullptr : &actor_of(*chosen);
    if (now_ns_ < cpu.kernel_until_ns) actor = nullptr;
    if (actor == cpu.running) return;
    ODO_CHECK(cpu.running == nullptr);
    cpu.running = actor;
    cpu.since_ns = now_ns_;
    ++cpu.stamp;
    if (actor == nullptr) return;
    if (actor->burst_left_ns == 0) {
      actor->burst_left_ns = draw(actor->behaviour.burst_ns);
      if (actor->burst_left_ns == 0) actor->burst_left_ns = kForever;
    }
    if (actor->burst_left_ns < kForever / 2) {
      post(now_ns_ + actor->burst_left_ns, Kind::kBurstEnd, id, cpu.stamp);
    }
  }
  void pause(CpuId id) {
    account(id);
    cpus_[id].running = nullptr;
    ++cpus_[id].stamp;
  }

  // --- carrying out ----------------------------------------------------------
  void carry_out(CpuId id, const SimDecision& decision) {
    if (decision.run != nullptr) started(id, *decision.run);
    if (decision.resched != kNoCpu) ask(decision.resched);
    if (decision.move != nullptr) send(actor_of(*decision.move), id);
  }
  void ask(CpuId id) {
    if (cpus_[id].resched_posted) return;
    cpus_[id].resched_posted = true;
    post(now_ns_ + kIpiNs, Kind::kResched, id);
  }
  void started(CpuId id, SimThread& thread) {
    Actor& actor = actor_of(thread);
    ODO_CHECK(thread.state() == State::kChosen && thread.cpu() == id);
    ODO_CHECK(scheduler_->queue(id).chosen() == &thread);
    ODO_CHECK(thread.affinity().has(id));
    ODO_CHECK(scheduler_->view().online().has(id));
    SimThread* waits = scheduler_->queue(id).first_waiting();
    ODO_CHECK(waits == nullptr || waits->klass() >= thread.klass());
    if (actor.last_cpu != kNoCpu && actor.last_cpu != id) ++actor.migrations;
    actor.last_cpu = id;
    if (actor.queued_at_ns == kNever) return;  // it was running already
    const std::uint64_t waited_ns = now_ns_ - actor.queued_at_ns;
    actor.queued_at_ns = kNever;
    actor.longest_wait_ns = std::max(actor.longest_wait_ns, waited_ns);
    if (actor.just_woken) actor.latencies_ns.push_back(waited_ns);
    actor.just_woken = false;
  }
  void send(Actor& actor, CpuId near_cpu) {
    auto cpu = scheduler_->place(actor.thread, near_cpu);
    ODO_CHECK(cpu.has_value());
    auto decision = scheduler_->enqueue(*cpu, actor.thread, now_ns_);
    ODO_CHECK(decision.has_value());
    if (actor.queued_at_ns == kNever) actor.queued_at_ns = now_ns_;
    carry_out(*cpu, *decision);
  }
  void wake(Actor& actor, CpuId near_cpu) {
    actor.queued_at_ns = now_ns_;
    actor.just_woken = true;
    send(actor, near_cpu);
  }
  void look_again(CpuId id, Why why) {
    pause(id);
    SimThread* before = scheduler_->queue(id).chosen();
    const SimDecision decision = scheduler_->reschedule(id, why, now_ns_);
    if (before != nullptr && before->state() == State::kQueued) {
      actor_of(*before).queued_at_ns = now_ns_;
    }
    carry_out(id, decision);
    if (decision.run == nullptr) balance(id);
    resume(id);
  }
  void balance(CpuId id) {
    account(id);
    const auto no_locks = [](CpuId low, CpuId high) {
      ODO_CHECK(low < high);
      return 0;
    };
    const SimDecision decision = scheduler_->balance(id, now_ns_, no_locks);
    if (decision.resched == id) {
      ask(id);
    } else {
      ODO_CHECK(decision.resched == kNoCpu);
    }
  }

  // --- events ----------------------------------------------------------------
  void tick(CpuId id) {
    post(now_ns_ + kTickNs, Kind::kTick, id);
    account(id);
    const TickResult result = scheduler_->tick(id, now_ns_);
    if (result.resched) look_again(id, Why::kAsked);
    if (result.balance_due) balance(id);
    if (watches_idleness_) watch(id);
  }

  void burst_end(CpuId id) {
    pause(id);
    Actor& actor = actor_of(*scheduler_->queue(id).chosen());
    ODO_CHECK(actor.burst_left_ns == 0);
    if (actor.behaviour.yields) {
      look_again(id, Why::kYield);
      return;
    }
    if (actor.behaviour.relay) {
      relay(id, actor);
      return;
    }
    carry_out(id, scheduler_->release(id, actor.thread, now_ns_));
    const std::uint64_t kernel_ns = draw(actor.behaviour.kernel_ns);
    if (kernel_ns != 0) {
      Cpu& cpu = cpus_[id];
      // Kernel work waits for kernel work only, whatever user code wants.
      cpu.kernel_until_ns = std::max(cpu.kernel_until_ns, now_ns_);
      kernel_waits_ns_.push_back(cpu.kernel_until_ns - now_ns_);
      cpu.kernel_until_ns += kernel_ns;
      actor.kernel_ns = kernel_ns;
      cpu.in_kernel.push_back(&actor);
      post(cpu.kernel_until_ns, Kind::kKernelEnd, id);
    } else {
      sleep(actor);
    }
    if (scheduler_->queue(id).chosen() == nullptr) balance(id);
    resume(id);
  }
  void sleep(Actor& actor) {
    post(now_ns_ + draw(actor.behaviour.sleep_ns), Kind::kWake,
         indices_.at(&actor.thread));
  }
  void kernel_end(CpuId id) {
    pause(id);
    Actor& actor = *cpus_[id].in_kernel.front();
    cpus_[id].in_kernel.pop_front();
    scheduler_->charge_in_kernel(actor.thread, actor.kernel_ns, now_ns_);
    if (actor.behaviour.sleep_ns.high != 0) {
      sleep(actor);
    } else {
      actor.queued_at_ns = now_ns_;
      carry_out(id, scheduler_->acquire(id, actor.thread, now_ns_));
    }
    resume(id);
  }
  void relay(CpuId id, Actor& actor) {
    Actor& child = actors_.emplace_back();
    child.behaviour = actor.behaviour;
    child.lineage = actor.lineage;
    index_of(child) = actors_.size() - 1;
    scheduler_->forking(actor.thread, child.thread, now_ns_);
    carry_out(id, scheduler_->release(id, actor.thread, now_ns_));
    scheduler_->exiting(actor.thread, &child.thread, now_ns_);
    actor.gone = true;
    wake(child, id);
    resume(id);
  }

  void watch(CpuId id) {
    Cpu& cpu = cpus_[id];
    bool could_run = false;
    if (scheduler_->queue(id).chosen() == nullptr &&
        scheduler_->view().online().has(id)) {
      for (const Actor& actor : actors_) {
        could_run = could_run || (actor.thread.state() == State::kQueued &&
                                  actor.thread.affinity().has(id));
      }
    }
    if (!could_run) {
      cpu.idle_with_work_since_ns = kNever;
    } else if (cpu.idle_with_work_since_ns == kNever) {
      cpu.idle_with_work_since_ns = now_ns_;
    } else {
      longest_idle_with_work_ns_ = std::max(
          longest_idle_with_work_ns_, now_ns_ - cpu.idle_with_work_since_ns);
    }
  }

  std::mt19937_64 random_;
  std::unique_ptr<Topology> topology_;
  CpuId count_;
  std::vector<Cpu> cpus_;
  std::deque<Actor> actors_;
  std::unordered_map<const SimThread*, std::size_t> indices_;
  std::unique_ptr<SimQueue[]> queues_;
  std::unique_ptr<SimScheduler> scheduler_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::vector<std::uint64_t> kernel_waits_ns_;
  std::uint64_t now_ns_ = 0;
  std::uint64_t order_ = 0;
  std::uint64_t steps_ = 0;
  std::uint64_t longest_idle_with_work_ns_ = 0;
  bool watches_idleness_ = false;
};

// The p-th part of a thousand, of what is there; 0 of nothing.
inline std::uint64_t per_mille(std::vector<std::uint64_t> values, unsigned p) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1, values.size() * p / 1000)];
}

}  // namespace odo::usched::testing
