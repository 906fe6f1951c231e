// SPDX-License-Identifier: BSD-3-Clause
// The simulated ground for threads: each CPU is a thread of the engine, and the
// threads that run on it are stacks that the real switch goes to and from
// underneath it. Interrupts come at any atomic operation.
//
// Contexts: inside an execution, or in its set-up.
// Ownership: a LwktWorld belongs to one execution. Its machine is freed but not
//   destroyed: a failed execution leaves threads in the middle of things.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <functional>
#include <iterator>
#include <memory>
#include <new>
#include <source_location>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lib/lwkt/inspector.h"
#include "lib/lwkt/sim/large_machine.h"
#include "lib/lwkt/sleep.h"
#include "lib/lwkt/system.h"
#include "lib/platform/sim/explore.h"
#include "lib/platform/sim/sim_platform.h"

namespace odo::lwkt {

using sim::Engine;

// Whether its thread lent the CPU when it stopped.
struct LwktSimNote {
  bool lent = false;
};

// What the ground's calls come down to; the world behind it knows the machine.
class LwktSimMachine {
 public:
  struct CpuState {
    sim::ThreadId thread = 0;
    bool idle = false;
  };

  // In an interrupt handler on that CPU.
  std::function<void(unsigned cpu)> interrupted;
  std::function<void(unsigned cpu)> raise_timer;
  // In a switch, when everything but the stack is the next thread's.
  std::function<void(LwktSimNote& from, LwktSimNote& to)> switching;
  std::vector<CpuState> cpus;
  bool stacks_may_fail = false;

  [[nodiscard]] std::span<std::byte> map_stack(std::size_t bytes) {
    if (stacks_may_fail && Engine::current().inject_fault()) return {};
    // The one taken back last comes first: who still uses it is found out.
    for (auto it = free_.rbegin(); it != free_.rend(); ++it) {
      if (it->size() != bytes) continue;
      const std::span<std::byte> stack = *it;
      free_.erase(std::next(it).base());
      return stack;
    }
    stacks_.emplace_back(
        static_cast<std::byte*>(std::aligned_alloc(64, bytes)));
    return {stacks_.back().get(), bytes};
  }
  void unmap_stack(std::span<std::byte> stack) {
    const auto here =
        reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
    const auto low = reinterpret_cast<std::uintptr_t>(stack.data());
    if (here - low < stack.size()) {
      Engine::current().fail("a stack was taken back while in use");
    }
    free_.push_back(stack);
  }
  // On the stack of whatever runs there, or of nobody if the CPU sleeps.
  void handle(unsigned cpu) {
    Engine& engine = Engine::current();
    if (cpus[cpu].idle) {
      engine.wake(cpus[cpu].thread);
      return;
    }
    // Further interrupts may come: this one may lead to another thread.
    engine.end_interrupt();
    interrupted(cpu);
  }
  // A timer interrupt: the bit first, then as any other.
  void cpu_timer(unsigned cpu) {
    raise_timer(cpu);
    handle(cpu);
  }

 private:
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  std::vector<std::unique_ptr<std::byte, Free>> stacks_;
  std::vector<std::span<std::byte>> free_;
};

class LwktSimGround : public sim::SimPlatform {
 public:
  static constexpr tokens::TokenTuning kTokenTuning = {.spin_rounds = 0,
                                                       .max_pause = 1,
                                                       .impatient_after = 0,
                                                       .let_pass = 0,
                                                       .bias_after_reads = 0};
  static constexpr LwktTuning kLwktTuning = {.sleep_buckets = 1,
                                             .quantum_ticks = 1,
                                             .idle_spin_ns = 0,
                                             .token_poll_ns = 0,
                                             .cached_stacks = 1,
                                             .ipi_entries = 2};
  using StackNote = LwktSimNote;
  class Counter {
   public:
    void add_one() { ++count_; }
    [[nodiscard]] std::uint32_t read() const { return count_; }

   private:
    std::uint32_t count_ = 0;
  };
  template <class T>
  using Plain = sim::Plain<T>;

  explicit LwktSimGround(LwktSimMachine& machine) : machine_(&machine) {}

  void light_fence() {}
  void heavy_fence(
      const std::source_location& where = std::source_location::current()) {
    Engine::current().fence_everywhere(where);
  }
  void wake_all(sim::SimAtomic<std::uint32_t>& /*word*/) {}
  void token_fault(const tokens::TokenFault& fault) {
    Engine::current().fail(tokens::misuse_text(fault.what), fault.here);
  }

  void kick(unsigned cpu, sim::SimAtomic<std::uint32_t>& /*word*/,
            std::uint32_t /*before*/) {
    Engine::current().send_ipi(
        cpu, [machine = machine_, cpu] { machine->handle(cpu); });
  }
  // As STI and HLT: from the look to the sleep no interrupt comes between.
  void idle(unsigned cpu, sim::SimAtomic<std::uint32_t>& word,
            std::uint64_t /*deadline_ns*/) {
    Engine& engine = Engine::current();
    engine.disable_interrupts();
    const bool nothing = word.fetch_add(0, std::memory_order_relaxed) == 0;
    machine_->cpus[cpu].idle = nothing;
    engine.enable_interrupts();
    if (!nothing) return;
    engine.block();
    machine_->cpus[cpu].idle = false;
  }
  void timer(unsigned cpu, std::uint64_t deadline_ns) {
    const std::uint64_t now_ns = Engine::current().now_ns();
    Engine::current().set_timer(
        deadline_ns > now_ns ? deadline_ns - now_ns + TimerWheel::kTickNs : 0,
        [machine = machine_, cpu] { machine->cpu_timer(cpu); });
  }
  [[nodiscard]] std::span<std::byte> map_stack(std::size_t bytes) {
    return machine_->map_stack(bytes);
  }
  void unmap_stack(std::span<std::byte> stack) { machine_->unmap_stack(stack); }
  void make_note(StackNote& /*note*/, std::span<std::byte> /*stack*/) {}
  void before_switch(StackNote& from, StackNote& to, bool /*ends*/) {
    machine_->switching(from, to);
  }
  void after_switch(StackNote& /*now*/) {}
  void lwkt_fault(const LwktFault& fault) {
    // Static, because fail() does not return to clean up.
    static std::string text;
    text = std::string("thread \"") + fault.thread + "\" " +
           misuse_text(fault.what);
    Engine::current().fail(text, fault.here);
  }

 private:
  LwktSimMachine* machine_;
};

static_assert(LwktPlatform<LwktSimGround>);

using SimThread = Thread<LwktSimGround>;
using SimCpu = Cpu<LwktSimGround>;
using SimSleepers = Sleepers<LwktSimGround>;
using SimInt = sim::Plain<int>;
using SimInspector = Inspector<LwktSimGround>;

// A machine with threads; when the last of them has ended it stops.
class LwktWorld {
 public:
  using Body = std::function<void(SimThread&)>;

  // With so many CPUs for the program, which knows them by the numbers below
  // `wanted`, and maybe others (large_machine.h).
  explicit LwktWorld(unsigned wanted)
      : wanted_(wanted),
        cpus_(OnLargeMachine::cpus(wanted)),
        storage_(static_cast<std::byte*>(std::aligned_alloc(
            System<LwktSimGround>::storage_alignment(),
            round_up(System<LwktSimGround>::storage_bytes(cpus_))))),
        system_(new(system_room_) System<LwktSimGround>(
            {storage_.get(), System<LwktSimGround>::storage_bytes(cpus_)},
            cpus_, ground())) {
    machine_.cpus.resize(cpus_);
    machine_.interrupted = [this](unsigned cpu) {
      system_->cpu(cpu).interrupted();
    };
    machine_.raise_timer = [this](unsigned cpu) {
      LwktSimGround here = ground();
      system_->cpu(cpu).attention().raise(here, cpu,
                                          Attention<LwktSimGround>::kTimer);
    };
    machine_.switching = [this](LwktSimNote& from, LwktSimNote& to) {
      inspect_switch(from, to);
    };
  }

  [[nodiscard]] LwktSimGround ground() { return LwktSimGround(machine_); }
  [[nodiscard]] LwktSimMachine& machine() { return machine_; }
  [[nodiscard]] System<LwktSimGround>& system() { return *system_; }
  [[nodiscard]] SimCpu& cpu(unsigned number) {
    return system_->cpu(at(number));
  }
  // The machine's number of the program's CPU.
  [[nodiscard]] unsigned at(unsigned number) const {
    return OnLargeMachine::place(number, wanted_);
  }
  // Of the machine, not just the program's.
  [[nodiscard]] CpuMask everybody() const { return CpuMask::below(cpus_); }

  // In the set-up: a thread of that CPU, started.
  SimThread& add(unsigned cpu, Body body, ThreadOptions options = {}) {
    return start(this->cpu(cpu), std::move(body), options);
  }
  // Inside, by a thread of that CPU. Null if there is no memory for it.
  SimThread* try_make(SimCpu& cpu, Body body, ThreadOptions options = {}) {
    options.stack_bytes = kStackBytes;
    jobs_.push_back({this, std::move(body)});
    auto made = cpu.create(&LwktWorld::enter, &jobs_.back(), options);
    if (!made.has_value()) return nullptr;
    ++left_;
    return *made;
  }
  SimThread& start(SimCpu& cpu, Body body, const ThreadOptions& options = {}) {
    SimThread* thread = try_make(cpu, std::move(body), options);
    ODO_CHECK(thread != nullptr);
    cpu.start(*thread);
    return *thread;
  }

  // Runs the machine; then `holds` has to be true.
  template <class Check>
  void run(Engine& engine, Check&& holds) {
    for (unsigned i = 0; i < system_->cpus(); ++i) {
      engine.spawn(i, "cpu", [this, i] {
        machine_.cpus[i].thread = Engine::current().self();
        system_->cpu(i).run();
      });
    }
    if (engine.run() != Engine::Outcome::kFinished) return;
    for (unsigned i = 0; i < system_->cpus(); ++i) {
      if (const char* wrong = SimInspector::check(system_->cpu(i))) {
        engine.fail(wrong);
        return;
      }
    }
    if (!holds()) engine.fail("the outcome is wrong");
  }

 private:
  static constexpr std::size_t kStackBytes = std::size_t{32} * 1024;
  struct Job {
    LwktWorld* world;
    Body body;
  };
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  [[nodiscard]] static constexpr std::size_t round_up(std::size_t bytes) {
    constexpr std::size_t kAlign = System<LwktSimGround>::storage_alignment();
    return (bytes + kAlign - 1) / kAlign * kAlign;
  }
  static void enter(SimThread& self, void* argument) {
    Job& job = *static_cast<Job*>(argument);
    job.body(self);
    if (--job.world->left_ == 0) job.world->system_->stop();
  }
  // At every switch of every CPU: all threads are where they should be, and the
  // right one goes on.
  void inspect_switch(LwktSimNote& from, LwktSimNote& to) {
    SimCpu& cpu = system_->cpu(Engine::current().cpu());
    const char* wrong = SimInspector::check_places(cpu);
    // Who gets back what it lent goes before others, and looks for them itself.
    if (wrong == nullptr && !std::exchange(to.lent, false)) {
      wrong = SimInspector::check_choice(cpu);
    }
    const SimThread& stops = SimInspector::thread_of(from);
    from.lent = stops.place() == Place::kPreempted;
    if (from.lent &&
        SimInspector::thread_of(to).priority() <= stops.priority()) {
      wrong = "a CPU was lent to a thread that does not outrank its own";
    }
    if (wrong != nullptr) Engine::current().fail(wrong);
  }

  unsigned wanted_;
  unsigned cpus_;
  LwktSimMachine machine_;
  std::unique_ptr<std::byte, Free> storage_;
  // Never destroyed; it has nothing of the host's.
  alignas(System<LwktSimGround>) std::byte
      system_room_[sizeof(System<LwktSimGround>)];
  System<LwktSimGround>* system_;
  // What the engine's one host thread counts is no operation of the machine.
  std::size_t left_ = 0;
  std::deque<Job> jobs_;
};

}  // namespace odo::lwkt
