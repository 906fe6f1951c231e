// SPDX-License-Identifier: BSD-3-Clause
// The rules by which threads run, in the plainest form: what
// lwkt_schedule_fuzz.cc holds the scheduler against.
//
// The machine goes first and keeps a list of its switches; the model then does
// the same and names every one of them. It asks the list in one case only: a
// reader of a token may or may not give way to a writer that waits for it
// (docs/tokens.md), so whether it has the token is seen from what ran next.
//
// A CPU in the model stops where the real one has a say: in a thread, with
// nothing left of its last operation, in the idle thread, or at its end.
//
// Contexts: one host thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <utility>
#include <vector>

#include "fuzz/lwkt_schedule_parts.h"
#include "lib/lwkt/priority.h"
#include "lib/lwkt/thread.h"

namespace odo::fuzz {

class ScheduleModel {
 public:
  using Thread = ModelThread;
  static constexpr unsigned kQuantumTicks = 2;
  static constexpr unsigned kKeptStacks = 2;

  // What the machine did, and how it left the thread before.
  struct Switch {
    Id from;
    Id to;
    Place left;
  };
  ScheduleModel(unsigned cpus, std::uint64_t now_tick)
      : now_tick_(now_tick), cpus_(cpus), threads_(1) {
    for (Cpu& cpu : cpus_) cpu.inbox.resize(cpus);
  }

  ScheduleModel(const ScheduleModel&) = delete;
  ScheduleModel& operator=(const ScheduleModel&) = delete;

  // --- questions -------------------------------------------------------------
  [[nodiscard]] unsigned cpus() const {
    return static_cast<unsigned>(cpus_.size());
  }
  [[nodiscard]] Id running(unsigned c) const { return cpus_[c].running; }
  [[nodiscard]] bool has_ended(unsigned c) const { return cpus_[c].ended; }
  [[nodiscard]] const Thread& thread(Id id) const { return threads_[id]; }
  [[nodiscard]] std::uint64_t now_tick() const { return now_tick_; }
  // One behind the last.
  [[nodiscard]] Id end() const { return static_cast<Id>(threads_.size()); }
  [[nodiscard]] std::size_t alive() const { return alive_; }
  [[nodiscard]] bool is_armed(unsigned c, unsigned timer) const {
    return cpus_[c].timers.is_armed({kNobody, timer});
  }
  // When the first timer of the CPU is due.
  [[nodiscard]] std::uint64_t next_tick(unsigned c) const {
    return cpus_[c].timers.next_tick();
  }
  // Between CPUs.
  [[nodiscard]] std::size_t calls_pending() const {
    std::size_t calls = 0;
    for (const Cpu& cpu : cpus_) {
      for (const auto& queue : cpu.inbox) calls += queue.size();
    }
    return calls;
  }
  [[nodiscard]] bool has_sleepers(unsigned address) const {
    for (const Cpu& cpu : cpus_) {
      for (const Id id : cpu.sleepers) {
        if (threads_[id].address == address) return true;
      }
    }
    return false;
  }
  // --- what happens ----------------------------------------------------------
  // Before the machine runs: a thread that is started on this CPU.
  void begin(unsigned c, unsigned priority, unsigned flags) {
    make_runnable(c, add(c, priority, flags));
  }
  void advance(std::uint64_t ticks) { now_tick_ += ticks; }
  void tick(unsigned c) { cpus_[c].ticked = true; }
  // The running thread does this, or the idle one wakes up; the CPU goes on
  // until it stops again. `log` has the machine's switches meanwhile.
  void perform(unsigned c, const Operation& operation,
               std::deque<Switch>& log) {
    log_ = &log;
    act(c, operation);
    go_on(c);
  }
  void go_on(unsigned c, std::deque<Switch>& log) {
    log_ = &log;
    go_on(c);
  }

  // What holds wherever a CPU stops, by the rules alone.
  void check(unsigned c) const {
    const Cpu& cpu = cpus_[c];
    const Thread& now = threads_[cpu.running];
    if (cpu.running != kIdle && now.critical == 0) {
      for (const auto& [priority, queue] : cpu.ready) {
        if (!lwkt::preempts(priority) || priority <= now.priority) continue;
        for (const Id id : queue) {
          require(threads_[id].lapsed, "an interrupt thread has to wait");
        }
      }
    }
    for (Id id = 1; id < end(); ++id) {
      for (const Held& held : threads_[id].tokens) {
        if (threads_[id].lapsed) break;
        require(!rules_.others_hold(id, held), "a token has too many holders");
      }
      const bool has_cpu = threads_[id].place == Place::kRunning ||
                           threads_[id].place == Place::kPreempted;
      require(has_cpu || threads_[id].tokens.empty() || threads_[id].lapsed,
              "a thread holds a token without running");
    }
  }

 private:
  struct Call {
    enum class What : std::uint8_t {
      kWake,     // a thread
      kArrive,   // a thread
      kJoin,     // a thread, for another
      kWakeAll,  // of an address
      kFindOne,  // of an address, in a search that began at a CPU
      kWakeup    // as if called there: of an address
    };
    What what;
    unsigned a;
    unsigned b = 0;
  };
  struct Cpu {
    Id running = kIdle;
    std::map<unsigned, std::deque<Id>> ready;
    bool preemption_due = false;
    bool quantum_over = false;
    unsigned ticks = 0;
    bool stopping = false;
    bool ended = false;
    // What it has yet to look at.
    std::vector<std::deque<Call>> inbox;  // by source
    bool ticked = false;
    bool stop_asked = false;

    std::deque<Id> sleepers;
    bool is_in_mask = false;  // may have sleepers
    ModelTimers timers;
    std::deque<Id> stepped_off;
    unsigned kept_stacks = 0;
    bool kept_large = false;
    std::size_t counted = 0;

    [[nodiscard]] bool has_calls() const {
      for (const auto& queue : inbox) {
        if (!queue.empty()) return true;
      }
      return false;
    }
  };

  // --- what a thread does ----------------------------------------------------
  void act(unsigned c, const Operation& op) {
    Cpu& cpu = cpus_[c];
    Thread& me = now(c);
    switch (op.act) {
      case Act::kNothing:
        return;
      case Act::kYield:
        yield(c);
        return;
      case Act::kYieldIfDue:
        me.to_do = {Step::kYieldIfDue, Step::kLook};
        return;
      case Act::kEnterCritical:
        ++me.critical;
        return;
      case Act::kExitCritical:
        --me.critical;
        break;
      case Act::kInterlock:
        put(c, op.a);
        break;
      case Act::kCancel:
        take_off(me);
        me.interlocked = false;
        break;
      case Act::kSleep:
        sleep(c, op.a, op.b);
        return;
      case Act::kWakeup:
        wakeup(c, op.a);
        break;
      case Act::kWakeupOne:
        wakeup_one(c, op.a);
        break;
      case Act::kPark:
        drop_interlock(me);
        me.parked = true;
        me.to_do = {Step::kLook};
        me.place = Place::kAsleep;
        switch_away(c);
        return;
      case Act::kUnpark:
        threads_[op.a].parked = false;
        wake_from(c, op.a);
        break;
      case Act::kSetCpu:
        if (op.a == c) return;
        drop_interlock(me);
        me.place = Place::kMoving;
        me.to_do = {Step::kLook};
        goes_to_[cpu.running] = op.a;
        step_off(c);
        return;
      case Act::kSetPriority:
        me.priority = op.a;
        cpu.preemption_due = true;
        break;
      case Act::kCreate:
        me.to_create = op;
        me.to_do = {Step::kLook, Step::kCreate};
        // A stack of the CPU's own is looked for first, in a critical section.
        if ((op.b & kLentStack) == 0) {
          take_kept_stack(cpu, (op.b & kLargeStack) != 0);
          me.to_do.push_back(Step::kLook);
        }
        return;
      case Act::kStart:
        make_runnable(c, op.a);
        break;
      case Act::kJoin:
        join(c, op.a);
        return;
      case Act::kExit:
        end_thread(c);
        return;
      case Act::kAcquire:
        acquire(c, {op.a, static_cast<Want>(op.b)});
        return;
      case Act::kTryAcquire:
        try_acquire(c, {op.a, static_cast<Want>(op.b)}, op.had_it);
        return;
      case Act::kRelease:
        me.tokens.pop_back();
        return;
      case Act::kArm:
        cpu.timers.arm({kNobody, op.a}, op.b);
        break;
      case Act::kDisarm:
        cpu.timers.disarm({kNobody, op.a});
        return;
      case Act::kCall:
        send(c, op.a, {Call::What::kWakeup, static_cast<unsigned>(op.b)});
        break;
      case Act::kStop:
        for (Cpu& each : cpus_) each.stop_asked = true;
        return;
      case Act::kInterrupt:
        break;
    }
    // Each of these ends a critical section, or is interrupted.
    me.to_do = {Step::kLook};
  }

  // Whatever is left, until the CPU stops.
  void go_on(unsigned c) {
    while (true) {
      if (cpus_[c].running == kIdle) {
        if (!idle(c)) return;
        continue;
      }
      Thread& me = now(c);
      if (me.to_do.empty()) return;
      const Step step = me.to_do.back();
      me.to_do.pop_back();
      switch (step) {
        case Step::kLook:
          look(c);
          break;
        case Step::kBorrow:
          place_stepped_off(c);
          borrow(c);
          break;
        case Step::kYieldIfDue:
          if (!std::exchange(cpus_[c].quantum_over, false)) break;
          cpus_[c].ticks = 0;
          yield(c);
          break;
        case Step::kCreate: {
          const Operation made = me.to_create;
          add(c, made.a, static_cast<unsigned>(made.b));
          break;  // `me` may have moved
        }
      }
    }
  }
  // False when there is nothing to do.
  bool idle(unsigned c) {
    Cpu& cpu = cpus_[c];
    if (cpu.ended) return false;
    place_stepped_off(c);
    do_what_is_due(c);
    const Id next = pick(c, 0, Place::kRunning);
    if (next != kNobody) {
      switch_to(c, next, Place::kRunning);
      return true;
    }
    cpu.preemption_due = false;
    cpu.ended = cpu.stopping && cpu.counted == 0;
    return false;
  }

  // --- who runs --------------------------------------------------------------
  void make_runnable(unsigned c, Id id) {
    enqueue(c, id);
    if (lwkt::preempts(threads_[id].priority)) cpus_[c].preemption_due = true;
  }
  void enqueue(unsigned c, Id id) {
    threads_[id].place = Place::kQueued;
    cpus_[c].ready[threads_[id].priority].push_back(id);
  }
  void unqueue(unsigned c, Id id) {
    auto& ready = cpus_[c].ready;
    auto& queue = ready[threads_[id].priority];
    std::erase(queue, id);
    if (queue.empty()) ready.erase(threads_[id].priority);
  }
  [[nodiscard]] bool somebody_has(unsigned c, unsigned priority) const {
    const auto& ready = cpus_[c].ready;
    return !ready.empty() && ready.rbegin()->first >= priority;
  }
  // The first of the highest priority that has its tokens, out of the queue.
  // `leaves` is how the running thread stands if another one runs.
  Id pick(unsigned c, unsigned lowest, Place leaves) {
    auto& ready = cpus_[c].ready;
    for (auto it = ready.rbegin(); it != ready.rend() && it->first >= lowest;
         ++it) {
      for (const Id id : it->second) {
        const May may = rules_.may_run(id);
        if (may == May::kNot) continue;
        if (may == May::kPerhaps && !ran_next(c, id, leaves)) continue;
        threads_[id].lapsed = false;
        unqueue(c, id);
        return id;
      }
    }
    return kNobody;
  }
  [[nodiscard]] bool ran_next(unsigned c, Id id, Place leaves) const {
    const Id self = cpus_[c].running;
    const bool switched = !log_->empty() && log_->front().from == self &&
                          log_->front().left == leaves;
    return id == self ? !switched : switched && log_->front().to == id;
  }
  void switch_to(unsigned c, Id next, Place leaves) {
    Cpu& cpu = cpus_[c];
    require(!log_->empty(), "a thread should have run that did not");
    const Switch done = log_->front();
    log_->pop_front();
    require(done.from == cpu.running, "another thread stopped");
    require(done.left == leaves, "a thread stopped for another reason");
    require(done.to == next, "another thread should have run");
    cpu.running = next;
    threads_[next].place = next == kIdle ? Place::kNew : Place::kRunning;
  }
  // The running thread, whose place is set, stops.
  void switch_away(unsigned c) {
    Cpu& cpu = cpus_[c];
    Thread& me = now(c);
    const Place leaves = me.place;
    lapse(me);
    Id next = std::exchange(me.borrowed_from, kNobody);
    if (next == kNobody) next = pick(c, 0, leaves);
    if (next == kNobody) next = kIdle;
    if (next == cpu.running) {
      me.place = Place::kRunning;
    } else {
      switch_to(c, next, leaves);
    }
  }
  // The same for who must be off its stack before it is dealt with.
  void step_off(unsigned c) {
    Cpu& cpu = cpus_[c];
    Thread& me = now(c);
    lapse(me);
    cpu.stepped_off.push_back(cpu.running);
    const Id lender = std::exchange(me.borrowed_from, kNobody);
    switch_to(c, lender == kNobody ? kIdle : lender, me.place);
  }
  void place_stepped_off(unsigned c) {
    Cpu& cpu = cpus_[c];
    while (!cpu.stepped_off.empty()) {
      const Id id = cpu.stepped_off.front();
      cpu.stepped_off.pop_front();
      Thread& thread = threads_[id];
      if (thread.place == Place::kDead) {
        bury(c, id);
        continue;
      }
      count_on(id, kNowhere);
      thread.cpu = goes_to_[id];
      send(c, thread.cpu, {Call::What::kArrive, id});
    }
  }
  void yield(unsigned c) {
    do_what_is_due(c);
    Thread& me = now(c);
    me.to_do.push_back(Step::kLook);
    if (!somebody_has(c, me.priority)) return;
    lapse(me);
    enqueue(c, cpus_[c].running);
    switch_away(c);
  }

  // --- what comes from outside -----------------------------------------------
  [[nodiscard]] bool has_something(const Cpu& cpu) const {
    return cpu.has_calls() || cpu.ticked || cpu.stop_asked ||
           cpu.timers.next_tick() <= now_tick_;
  }
  // Outside of critical sections; there it is seen to when the section ends.
  void look(unsigned c) {
    Cpu& cpu = cpus_[c];
    if (now(c).critical != 0) return;
    if (!has_something(cpu) && !cpu.preemption_due) return;
    do_what_is_due(c);
    now(c).to_do.push_back(Step::kLook);  // until there is nothing more
    if (std::exchange(cpu.preemption_due, false)) {
      now(c).to_do.push_back(Step::kBorrow);
    }
  }
  void borrow(unsigned c) {
    const Id self = cpus_[c].running;
    const unsigned lowest =
        std::max(threads_[self].priority + 1, lwkt::kInterruptSupport);
    const Id next = pick(c, lowest, Place::kPreempted);
    if (next == kNobody) return;
    threads_[next].borrowed_from = self;
    threads_[self].place = Place::kPreempted;
    threads_[self].to_do.push_back(Step::kBorrow);  // is there another one?
    switch_to(c, next, Place::kPreempted);
  }
  void do_what_is_due(unsigned c) {
    Cpu& cpu = cpus_[c];
    while (cpu.has_calls()) {
      for (auto& queue : cpu.inbox) {
        while (!queue.empty()) {
          const Call call = queue.front();
          queue.pop_front();
          make_call(c, call);
        }
      }
    }
    if (std::exchange(cpu.ticked, false) && ++cpu.ticks >= kQuantumTicks) {
      cpu.quantum_over = true;
    }
    while (cpu.timers.next_tick() <= now_tick_) fire(c, cpu.timers.pop());
    if (std::exchange(cpu.stop_asked, false)) cpu.stopping = true;
  }
  // To itself at once.
  void send(unsigned from, unsigned to, const Call& call) {
    if (from == to) {
      make_call(to, call);
    } else {
      cpus_[to].inbox[from].push_back(call);
    }
  }
  void make_call(unsigned c, const Call& call) {
    switch (call.what) {
      case Call::What::kWake:
        make_runnable(c, call.a);
        break;
      case Call::What::kArrive:
        count_on(call.a, c);
        make_runnable(c, call.a);
        break;
      case Call::What::kJoin:
        ask_to_join(c, call);
        break;
      case Call::What::kWakeAll:
        wake_all(c, call.a);
        break;
      case Call::What::kFindOne:
        if (!wake_first(c, call.a)) pass_on(c, call.a, call.b);
        break;
      case Call::What::kWakeup:
        wakeup(c, call.a);
        break;
    }
  }
  void wake_from(unsigned c, Id id) {
    send(c, threads_[id].cpu, {Call::What::kWake, id});
  }

  // --- sleep -----------------------------------------------------------------
  void put(unsigned c, unsigned address);
  void take_off(Thread& thread);
  void drop_interlock(Thread& thread);
  void sleep(unsigned c, unsigned address, std::uint64_t deadline);
  void wakeup(unsigned c, unsigned address);
  void wakeup_one(unsigned c, unsigned address);
  void pass_on(unsigned c, unsigned address, unsigned origin);
  void wake_sleeper(unsigned c, Id id);
  void wake_all(unsigned c, unsigned address);
  bool wake_first(unsigned c, unsigned address);

  // --- time ------------------------------------------------------------------
  void fire(unsigned c, TimerId timer);

  // --- the beginning and the end of a thread ---------------------------------
  [[nodiscard]] Thread& now(unsigned c);
  void count_on(Id id, unsigned c);
  Id add(unsigned c, unsigned priority, unsigned flags);
  static void take_kept_stack(Cpu& cpu, bool is_large);
  void end_thread(unsigned c);
  [[nodiscard]] bool can_keep(unsigned c, const Thread& thread) const;
  void bury(unsigned c, Id id);
  void join(unsigned c, Id target);
  void ask_to_join(unsigned c, const Call& call);

  // --- tokens ----------------------------------------------------------------
  void lapse(Thread& thread);
  // The harness ends a critical section after each, so that it makes no
  // difference to others whether the thread waited and was the next.
  void acquire(unsigned c, const Held& held);
  void try_acquire(unsigned c, const Held& held, bool had_it);

  std::deque<Switch>* log_ = nullptr;
  std::uint64_t now_tick_;
  std::vector<Cpu> cpus_;
  std::vector<Thread> threads_;
  TokenRules rules_{threads_};
  std::size_t alive_ = 0;
  std::map<Id, unsigned> goes_to_;
};

}  // namespace odo::fuzz

#include "fuzz/lwkt_schedule_rules.h"
