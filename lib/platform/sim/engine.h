// SPDX-License-Identifier: BSD-3-Clause
// One execution of a simulated machine: CPUs, the threads that run on them,
// interrupts, virtual time, and the memory between them.
//
// Every operation that another thread could notice is a point where any other
// CPU may go first; `Choices` decides. A CPU runs one thread at a time: a
// thread gives its CPU away only by block(), yield() or its end, or when an
// interrupt borrows it, as on a real machine.
//
// Contexts: one host thread. Functions marked (inside) are called from
// simulated threads, the others from the program that drives the execution.
// Failure: fail() ends the execution at once and keeps its trace; so does a
// panic, a data race on Plain<T>, a deadlock, and an execution that is longer
// than Options::max_steps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/check.h"
#include "lib/platform/sim/choices.h"
#include "lib/platform/sim/fiber.h"
#include "lib/platform/sim/memory.h"
#include "lib/platform/sim/mutation.h"
#include "lib/platform/sim/trace.h"

namespace odo::sim {

using CpuId = std::uint32_t;

class Engine {
 public:
  struct Options {
    Memory::Options memory;
    // An execution longer than this is reported as a failure: a loop that
    // nobody ends.
    std::size_t max_steps = 20000;
    // Injected failures an execution may hold.
    unsigned max_faults = 2;
  };

  enum class Outcome : std::uint8_t {
    kRunning,
    kFinished,
    kFailed,
    kPruned,      // equivalent to another execution, or beyond the bound
    kInfeasible,  // read a value from a future that did not come
  };

  Engine(StackPool& stacks, Choices& choices, Options options,
         Mutator* mutator = nullptr)
      : stacks_(stacks),
        choices_(choices),
        options_(options),
        mutator_(mutator),
        memory_(choices, options.memory),
        faults_left_(options.max_faults) {
    driver_ = memory_.add_thread(0);
    threads_.emplace_back();  // the driver: no fiber, never scheduled
    threads_[driver_].name = "main";
    threads_[driver_].state = State::kDone;
    self_ = driver_;
    current_ = this;
  }
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  ~Engine() { current_ = nullptr; }

  // The engine whose execution is under way on this host thread.
  [[nodiscard]] static Engine& current() {
    ODO_CHECK(current_ != nullptr);
    return *current_;
  }

  // --- set-up ------------------------------------------------------------
  // A thread of `cpu`. The first one added to a CPU runs there; others wait
  // until it blocks, yields or ends. May be called inside, too.
  ThreadId spawn(CpuId cpu, std::string name, std::function<void()> body) {
    const ThreadId id = memory_.add_thread(self_);
    if (cpu >= cpus_.size()) cpus_.resize(cpu + 1);
    Thread thread;
    thread.name = std::move(name);
    thread.cpu = cpu;
    thread.fiber = std::make_unique<Fiber>(stacks_, std::move(body));
    threads_.push_back(std::move(thread));
    cpus_[cpu].ready.push_back(id);
    if (cpus_[cpu].running == kNobody) dispatch(cpu);
    return id;
  }

  // Runs until every thread has ended or the execution is over otherwise.
  // Afterwards the driver knows all that the threads knew.
  Outcome run() {
    while (outcome_ == Outcome::kRunning) step();
    if (outcome_ == Outcome::kFinished && memory_.speculating()) {
      outcome_ = Outcome::kInfeasible;
    }
    for (ThreadId t = 1; t < threads_.size(); ++t) {
      memory_.synchronize(t, driver_);
    }
    return outcome_;
  }

  // --- inside: memory ------------------------------------------------------
  LocationId add_location(std::uint64_t value) {
    return memory_.add_location(self_, value);
  }
  // The same for one that was there before all threads, though the engine only
  // hears of it when it is used: its first value brings no knowledge with it.
  LocationId add_initial_location(std::uint64_t value) {
    return memory_.add_location(driver_, value);
  }
  std::uint64_t load(LocationId location, std::memory_order order,
                     const std::source_location& where) {
    order = mutated(order, SiteKind::kLoad, where);
    reach({PendingOp::Kind::kLoad, location});
    look();
    const std::uint64_t value = memory_.load(self_, location, order);
    note("load", location, order, value, where);
    return value;
  }
  void store(LocationId location, std::uint64_t value, std::memory_order order,
             const std::source_location& where) {
    order = mutated(order, SiteKind::kStore, where);
    reach({PendingOp::Kind::kWrite, location});
    const std::uint64_t before = memory_.newest(location);
    memory_.store(self_, location, value, order);
    note("store", location, order, value, where);
    if (value != before) progress();
  }
  template <class Change>
  std::uint64_t update(const char* what, LocationId location,
                       std::memory_order order,
                       const std::source_location& where, Change&& change) {
    order = mutated(order, SiteKind::kUpdate, where);
    reach({PendingOp::Kind::kWrite, location});
    look();
    const std::uint64_t before = memory_.newest(location);
    const std::uint64_t value =
        memory_.update(self_, location, order, std::forward<Change>(change));
    note(what, location, order, value, where);
    if (memory_.newest(location) != before) progress();
    return value;
  }
  bool compare_exchange(LocationId location, std::uint64_t& expected,
                        std::uint64_t desired, std::memory_order success,
                        std::memory_order failure, bool weak,
                        const std::source_location& where) {
    success = mutated(success, SiteKind::kUpdate, where);
    failure = mutated(failure, SiteKind::kLoad, where);
    reach({PendingOp::Kind::kWrite, location});
    look();
    const bool swapped = memory_.compare_exchange(
        self_, location, expected, desired, success, failure, weak);
    note(swapped ? "cas ok" : "cas no", location, swapped ? success : failure,
         swapped ? desired : expected, where);
    if (swapped) progress();
    return swapped;
  }
  void fence(std::memory_order order, const std::source_location& where) {
    const std::memory_order wanted = mutated(order, SiteKind::kFence, where);
    if (wanted == std::memory_order_relaxed) return;
    reach({is_seq_cst(wanted) ? PendingOp::Kind::kScFence
                              : PendingOp::Kind::kFence,
           0});
    memory_.fence(self_, wanted);
    note("fence", kNoLocation, wanted, 0, where);
  }
  // A full fence on this thread and on every other one: an IPI to all CPUs, or
  // membarrier(2). Weakened, it is none at all.
  void fence_everywhere(const std::source_location& where) {
    const std::memory_order wanted =
        mutated(std::memory_order_seq_cst, SiteKind::kFence, where);
    if (!is_seq_cst(wanted)) return;
    reach({PendingOp::Kind::kSystem, 0});
    // Ours, then theirs, then ours: each of theirs lies between.
    memory_.fence(self_, wanted);
    for (ThreadId t = 0; t < threads_.size(); ++t) {
      if (t != self_) memory_.fence(t, wanted);
    }
    memory_.fence(self_, wanted);
    note("fence all", kNoLocation, wanted, 0, where);
  }
  void plain_access(Memory::PlainState& state, PlainAccess access,
                    const std::source_location& where) {
    const bool ordered = access == PlainAccess::kWrite
                             ? memory_.plain_write(self_, state)
                             : memory_.plain_read(self_, state);
    note(access == PlainAccess::kWrite ? "plain write" : "plain read",
         kNoLocation, std::memory_order_relaxed, 0, where);
    if (!ordered) fail("data race on plain data", where);
  }

  // --- inside: the machine -------------------------------------------------
  [[nodiscard]] ThreadId self() const { return self_; }
  [[nodiscard]] CpuId cpu() const { return threads_[self_].cpu; }
  [[nodiscard]] std::uint64_t now_ns() const { return now_ns_; }

  // A wait's pause: this thread runs again once somebody else made progress.
  // Where nobody can, the execution is a livelock and fails.
  void relax() {
    Thread& self = threads_[self_];
    if (!self.looked) self.resting = progress_of_others(self);
    self.looked = false;
    self.rests = !memory_.take_saw_stale(self_);
    reach({PendingOp::Kind::kLocal, 0});
    now_ns_ += 10;
  }

  // Gives the CPU to the next ready thread, if there is one.
  void yield() {
    Thread& self = threads_[self_];
    Cpu& cpu = cpus_[self.cpu];
    if (cpu.ready.empty()) {
      relax();
      return;
    }
    self.state = State::kReady;
    cpu.ready.push_back(self_);
    dispatch(self.cpu);
    leave();
  }

  // Sleeps until wake(). A wake that came first is not lost: block() then
  // returns at once.
  void block(
      const std::source_location& where = std::source_location::current()) {
    reach({PendingOp::Kind::kSystem, 0});
    note("block", kNoLocation, std::memory_order_relaxed, 0, where);
    Thread& self = threads_[self_];
    if (self.wake_pending) {
      self.wake_pending = false;
      take_wake(self);
      return;
    }
    self.state = State::kBlocked;
    dispatch(self.cpu);
    leave();
    take_wake(threads_[self_]);
  }
  void wake(ThreadId thread, const std::source_location& where =
                                 std::source_location::current()) {
    reach({PendingOp::Kind::kSystem, 0});
    note("wake", kNoLocation, std::memory_order_relaxed, thread, where);
    progress();
    Thread& other = threads_[thread];
    other.waker = self_;
    if (other.state != State::kBlocked) {
      other.wake_pending = true;
      return;
    }
    other.state = State::kReady;
    cpus_[other.cpu].ready.push_back(thread);
    if (cpus_[other.cpu].running == kNobody) dispatch(other.cpu);
  }

  // Interrupts: `handler` will run on `cpu`, on the stack of whatever runs
  // there, at some point while interrupts are enabled.
  void send_ipi(
      CpuId cpu, std::function<void()> handler,
      const std::source_location& where = std::source_location::current()) {
    reach({PendingOp::Kind::kSystem, 0});
    note("ipi", kNoLocation, std::memory_order_relaxed, cpu, where);
    progress();
    if (cpu >= cpus_.size()) cpus_.resize(cpu + 1);
    cpus_[cpu].interrupts.push_back({self_, 0, std::move(handler)});
  }
  // The same on the own CPU, not before `delay_ns` of virtual time.
  void set_timer(std::uint64_t delay_ns, std::function<void()> handler) {
    reach({PendingOp::Kind::kSystem, 0});
    cpus_[cpu()].interrupts.push_back(
        {self_, now_ns_ + delay_ns, std::move(handler)});
  }
  void disable_interrupts() { ++cpus_[cpu()].masked; }
  void enable_interrupts() {
    ODO_CHECK(cpus_[cpu()].masked > 0);
    --cpus_[cpu()].masked;
  }

  // In a handler, what an EOI is: the next interrupt may come before it
  // returns. A handler that goes on to another stack for a while says so first.
  void end_interrupt() { cpus_[cpu()].in_interrupt = false; }

  // Does an operation that may fail, fail this time?
  [[nodiscard]] bool inject_fault() {
    if (faults_left_ == 0 || choices_.pick(Question::kFault, 2) == 0) {
      return false;
    }
    --faults_left_;
    return true;
  }
  // Any number below `count`, all of them tried.
  [[nodiscard]] unsigned choose(unsigned count) {
    return count <= 1 ? 0 : choices_.pick(Question::kUser, count);
  }

  // Ends the execution as wrong. Does not return inside.
  void fail(std::string_view why, const std::source_location& where =
                                      std::source_location::current()) {
    record_failure(why, trace_place(where));
    if (self_ != driver_) abandon();
  }
  // The same for a panic, which knows its place in another form.
  void fail_at(const char* why, const char* file, int line) {
    record_failure(why, std::string(file) + ":" + std::to_string(line));
    if (self_ != driver_) abandon();
  }

  [[nodiscard]] const std::string& failure() const { return failure_; }
  [[nodiscard]] const Trace& trace() const { return trace_; }
  [[nodiscard]] Outcome outcome() const { return outcome_; }
  [[nodiscard]] std::size_t steps() const { return steps_; }

 private:
  static constexpr ThreadId kNobody = ~ThreadId{0};

  enum class State : std::uint8_t { kRunning, kReady, kBlocked, kDone };

  struct Thread {
    std::string name;
    CpuId cpu = 0;
    std::unique_ptr<Fiber> fiber;
    State state = State::kReady;
    PendingOp op;
    bool started = false;
    bool wake_pending = false;
    bool rests = false;         // in relax()
    bool looked = false;        // has read since it last rested
    std::uint64_t resting = 0;  // progress of others when it looked
    std::uint64_t own_progress = 0;
    ThreadId waker = kNobody;
    bool interrupt_chosen = false;
  };

  struct Interrupt {
    ThreadId sender;
    std::uint64_t not_before_ns;
    std::function<void()> handler;
  };

  struct Cpu {
    ThreadId running = kNobody;
    ThreadId last = kNobody;  // ran here before
    std::vector<ThreadId> ready;
    std::vector<Interrupt> interrupts;
    unsigned masked = 0;
    bool in_interrupt = false;
  };

  [[nodiscard]] std::memory_order mutated(std::memory_order order,
                                          SiteKind kind,
                                          const std::source_location& where) {
    return mutator_ == nullptr ? order : mutator_->order(order, kind, where);
  }

  // Something changed that a waiting thread may be waiting for.
  void progress() {
    ++progress_;
    ++threads_[self_].own_progress;
  }
  [[nodiscard]] std::uint64_t progress_of_others(const Thread& thread) const {
    return progress_ - thread.own_progress;
  }
  // The thread reads something; what others do from here on, it may have
  // missed when it comes to rest.
  void look() {
    Thread& self = threads_[self_];
    if (self.looked) return;
    self.looked = true;
    self.resting = progress_of_others(self);
  }

  // Picks the next thread of a CPU that has none running.
  void dispatch(CpuId cpu) {
    Cpu& c = cpus_[cpu];
    if (c.running != kNobody) c.last = c.running;
    c.running = kNobody;
    if (c.ready.empty()) return;
    c.running = c.ready.front();
    c.ready.erase(c.ready.begin());
    // A CPU sees its own stores, whichever thread made them.
    if (c.last != kNobody && c.last != c.running) {
      memory_.synchronize(c.last, c.running);
    }
    threads_[c.running].state = State::kRunning;
  }

  void record_failure(std::string_view why, std::string_view place) {
    if (outcome_ != Outcome::kRunning && outcome_ != Outcome::kFinished) return;
    outcome_ = memory_.speculating() ? Outcome::kInfeasible : Outcome::kFailed;
    failure_.assign(why).append(" (").append(place).append(")");
  }

  // Inside: back to the driver, which decides who goes on.
  void leave() {
    Fiber::suspend();
    while (threads_[self_].interrupt_chosen) take_interrupt();
  }
  [[noreturn]] void abandon() {
    while (true) Fiber::suspend();
  }
  void reach(PendingOp op) {
    if (self_ == driver_) return;
    threads_[self_].op = op;
    leave();
    threads_[self_].rests = false;
  }

  void take_wake(Thread& self) {
    if (self.waker == kNobody) return;
    memory_.synchronize(self.waker, self_);
    self.waker = kNobody;
  }

  void take_interrupt() {
    Thread& self = threads_[self_];
    self.interrupt_chosen = false;
    const PendingOp interrupted = self.op;
    // Whatever the thread waits for, the handler may have brought it.
    self.rests = false;
    const CpuId cpu = self.cpu;
    const Interrupt interrupt = take_due(cpus_[cpu]);
    if (interrupt.sender != self_) memory_.synchronize(interrupt.sender, self_);
    cpus_[cpu].in_interrupt = true;
    interrupt.handler();
    // Handlers nest only after they ended, and those have returned.
    cpus_[cpu].in_interrupt = false;
    threads_[self_].op = interrupted;
    // The interrupted operation itself is still to be scheduled.
    leave();
  }

  void note(const char* what, LocationId location, std::memory_order order,
            std::uint64_t value, const std::source_location& where) {
    trace_.add(
        {threads_[self_].cpu, self_, what, location, order, value, where});
  }

  // A thread's first slice runs up to its first operation at once: what is
  // before that, nobody else can notice.
  void start(ThreadId thread) {
    threads_[thread].started = true;
    resume(thread);
  }

  void resume(ThreadId thread) {
    self_ = thread;
    threads_[thread].fiber->resume();
    self_ = driver_;
    Thread& t = threads_[thread];
    if (t.fiber->done() && t.state != State::kDone) {
      t.state = State::kDone;
      t.fiber.reset();  // its stack is for others
      progress();
      dispatch(t.cpu);
    }
  }

  [[nodiscard]] bool rests(const Thread& thread) const {
    return thread.rests && thread.resting == progress_of_others(thread);
  }

  // The first interrupt of this CPU whose time has come; their number if none.
  [[nodiscard]] std::size_t first_due(const Cpu& cpu) const {
    std::size_t at = 0;
    while (at < cpu.interrupts.size() &&
           cpu.interrupts[at].not_before_ns > now_ns_) {
      ++at;
    }
    return at;
  }
  [[nodiscard]] bool has_due(const Cpu& cpu) const {
    return first_due(cpu) < cpu.interrupts.size();
  }
  [[nodiscard]] Interrupt take_due(Cpu& cpu) const {
    const auto at =
        cpu.interrupts.begin() + static_cast<std::ptrdiff_t>(first_due(cpu));
    Interrupt interrupt = std::move(*at);
    cpu.interrupts.erase(at);
    return interrupt;
  }
  // True when an interrupt could be taken on this CPU now.
  [[nodiscard]] bool interruptible(const Cpu& cpu) const {
    return cpu.masked == 0 && !cpu.in_interrupt && cpu.running != kNobody &&
           has_due(cpu);
  }

  // An idle CPU takes an interrupt on a stack of its own.
  void interrupt_idle_cpus() {
    for (CpuId c = 0; c < cpus_.size(); ++c) {
      Cpu& cpu = cpus_[c];
      if (cpu.running != kNobody || cpu.masked != 0 || !has_due(cpu)) continue;
      Interrupt interrupt = take_due(cpu);
      const ThreadId handler =
          spawn(c, "interrupt", std::move(interrupt.handler));
      memory_.synchronize(interrupt.sender, handler);
    }
  }

  void step() {
    interrupt_idle_cpus();
    for (Cpu& cpu : cpus_) {
      if (cpu.running != kNobody && !threads_[cpu.running].started) {
        start(cpu.running);
        if (outcome_ != Outcome::kRunning) return;
      }
    }
    // A thread that ended in its first slice may have handed its CPU on.
    for (const Cpu& cpu : cpus_) {
      if (cpu.running != kNobody && !threads_[cpu.running].started) return;
    }
    collect();
    if (candidates_.empty()) {
      if (!advance_time()) idle();
      return;
    }
    if (++steps_ > options_.max_steps) {
      fail("the execution does not end: a loop that nobody leaves");
      return;
    }
    std::size_t running = candidates_.size();
    for (std::size_t i = 0; i < candidates_.size(); ++i) {
      if (candidates_[i].thread == last_) running = i;
    }
    const unsigned pick = next_candidate(running);
    if (pick == Choices::kPrune) {
      outcome_ = Outcome::kPruned;
      return;
    }
    ThreadId thread = candidates_[pick].thread;
    last_ = thread;
    if (thread >= kInterruptBase) {
      thread = cpus_[thread - kInterruptBase].running;
      threads_[thread].interrupt_chosen = true;
    }
    resume(thread);
  }

  // Steps that nobody else can notice are taken at once, without a choice.
  unsigned next_candidate(std::size_t running) {
    for (std::size_t i = 0; i < candidates_.size(); ++i) {
      const PendingOp::Kind kind = candidates_[i].op.kind;
      if (kind == PendingOp::Kind::kLocal || kind == PendingOp::Kind::kFence) {
        return static_cast<unsigned>(i);
      }
    }
    return choices_.schedule(candidates_, running);
  }

  void collect() {
    candidates_.clear();
    bool someone_rests = false;
    for (const Cpu& cpu : cpus_) {
      if (cpu.running == kNobody) continue;
      if (rests(threads_[cpu.running])) {
        someone_rests = true;
        continue;
      }
      candidates_.push_back({cpu.running, threads_[cpu.running].op});
    }
    for (CpuId c = 0; c < cpus_.size(); ++c) {
      if (interruptible(cpus_[c])) {
        candidates_.push_back(
            {kInterruptBase + c, {PendingOp::Kind::kSystem, 0}});
      }
    }
    if (candidates_.empty() && someone_rests && advance_time()) collect();
  }

  // Moves virtual time to the next timer; false when there is none.
  bool advance_time() {
    std::uint64_t next = ~std::uint64_t{0};
    for (const Cpu& cpu : cpus_) {
      for (const Interrupt& interrupt : cpu.interrupts) {
        if (interrupt.not_before_ns > now_ns_) {
          next = std::min(next, interrupt.not_before_ns);
        }
      }
    }
    if (next == ~std::uint64_t{0}) return false;
    now_ns_ = next;
    return true;
  }

  void idle() {
    bool all_done = true;
    bool waits = false;
    for (const Thread& thread : threads_) {
      all_done = all_done && thread.state == State::kDone;
      waits = waits || thread.state == State::kRunning;
    }
    if (all_done) {
      outcome_ = Outcome::kFinished;
      return;
    }
    fail(waits ? "livelock: every running thread waits for another"
               : "deadlock: every thread is blocked");
  }

  // Interrupts are scheduled like threads of their own, one a CPU.
  static constexpr ThreadId kInterruptBase = 1U << 30;

  inline static Engine* current_ = nullptr;

  StackPool& stacks_;
  Choices& choices_;
  Options options_;
  Mutator* mutator_;
  Memory memory_;
  ThreadId driver_ = 0;
  ThreadId self_ = 0;
  ThreadId last_ = kNobody;
  Outcome outcome_ = Outcome::kRunning;
  std::string failure_;
  // Threads hold references to their own entry across operations.
  std::deque<Thread> threads_;
  std::deque<Cpu> cpus_;
  std::vector<Candidate> candidates_;
  Trace trace_;
  std::size_t steps_ = 0;
  std::uint64_t progress_ = 0;
  std::uint64_t now_ns_ = 0;
  unsigned faults_left_;
};

}  // namespace odo::sim
