// SPDX-License-Identifier: BSD-3-Clause
// Random programs of threads on a machine of one to four CPUs that takes its
// steps one after the other: wherever a thread or an idle CPU has the word, it
// is the one that a plain model of the rules names, the switches on the way
// were the model's, and every thread is in exactly one place.
//
// The first byte says how many CPUs. Then a byte of the driver's, which lets a
// CPU go on for some operations, interrupts it, or moves the clock; and what
// threads do meanwhile, an operation to a byte or two of the same input. When
// that is used up, threads leave what they are in and end. The first one, which
// never sleeps, goes from CPU to CPU meanwhile, wakes who sleeps and starts who
// was forgotten; an idle CPU is now left alone unless something woke it.
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <utility>

#include "fuzz/lwkt_ground.h"
#include "fuzz/lwkt_schedule_model.h"
#include "fuzz/lwkt_schedule_parts.h"
#include "fuzz/lwkt_schedule_script.h"
#include "lib/base/container_of.h"
#include "lib/lwkt/inspector.h"
#include "lib/lwkt/sleep.h"

namespace odo::fuzz {
namespace {

using Thread = lwkt::Thread<SteppedGround>;
using Sleep = lwkt::Sleepers<SteppedGround>;
using Machine = lwkt::System<SteppedGround>;
using Cpu = lwkt::Cpu<SteppedGround>;
using Attention = lwkt::Attention<SteppedGround>;
using Token = tokens::Token<SteppedGround>;

constexpr tokens::TokenClass kFuzzed{"fuzzed"};

class Harness {
 public:
  explicit Harness(std::span<const std::uint8_t> bytes)
      : input_(bytes),
        cpus_(1 + input_.next() % kMaxCpus),
        model_(cpus_, stepper_.now_ns() / kTickNs),
        storage_(new(kAlign) std::byte[Machine::storage_bytes(cpus_)]) {
    stepper_.hooks = {
        .run =
            [this](unsigned cpu) {
              machine().cpu(cpu).run();
              settle(cpu);
              require(model_.has_ended(cpu), "a CPU ended too early");
            },
        .made =
            [this](unsigned number, void* thread) {
              require(number == jobs_.size(), "threads are made out of order");
              jobs_.push_back(
                  {static_cast<Thread*>(thread), std::move(lending_)});
            },
        .switches =
            [this](unsigned from, unsigned to) {
              const Place left =
                  from == kIdle ? Place::kRunning : jobs_[from].thread->place();
              log_.push_back({from, to, left});
            },
        .idles = [this](unsigned cpu,
                        std::uint64_t deadline_ns) { idle(cpu, deadline_ns); },
        .timer_fires = [this](unsigned cpu) { raise(cpu, Attention::kTimer); },
    };
    for (std::size_t i = 0; i < kAddresses; ++i) {
      places_[i] = {this, static_cast<unsigned>(i)};
      for (Alarm& alarm : alarms_[i]) alarm.place = &places_[i];
    }
    machine_ = std::make_unique<Machine>(
        std::span(storage_.get(), Machine::storage_bytes(cpus_)), cpus_,
        SteppedGround(stepper_));
  }

  void run() {
    for (unsigned cpu = 0; cpu < cpus_; ++cpu) {
      stepper_.add_cpu(cpu);
      auto made =
          machine().cpu(cpu).create(&Harness::enter, this,
                                    {.name = "fuzzed",
                                     .priority = kSomePriorities[cpu],
                                     .lifetime = lwkt::Lifetime::kDetached,
                                     .stack_bytes = kStackBytes});
      require(made.has_value(), "no memory");
      machine().cpu(cpu).start(**made);
      model_.begin(cpu, kSomePriorities[cpu], kDetached);
    }
    while (!input_.is_empty()) drive(input_.next());
    finish();
  }

 private:
  struct Job {
    Thread* thread;
    std::unique_ptr<std::byte[]> lent;  // its stack, if it is ours
  };
  // What alarms and calls get: an address to wake.
  struct WakePlace {
    Harness* harness;
    unsigned address;
  };
  struct Alarm {
    lwkt::Timer timer{&Harness::ring};
    const WakePlace* place = nullptr;
  };
  static constexpr std::size_t kStackBytes = std::size_t{64} * 1024;
  static constexpr std::size_t kLargeStackBytes = 2 * kStackBytes;
  static constexpr std::align_val_t kAlign{Machine::storage_alignment()};
  struct Free {
    void operator()(std::byte* memory) const {
      ::operator delete[](memory, kAlign);
    }
  };

  [[nodiscard]] Machine& machine() { return *machine_; }
  void raise(unsigned cpu, std::uint32_t bits) {
    SteppedGround ground(stepper_);
    machine().cpu(cpu).attention().raise(ground, cpu, bits);
  }

  // --- the driver ------------------------------------------------------------
  void drive(std::uint8_t byte) {
    const unsigned cpu = (byte & 3) % cpus_;
    const unsigned much = byte >> 5;
    switch (byte >> 2 & 7) {
      case 5:
        interrupt_ = true;
        step(cpu, 1 + much);
        break;
      case 6:
        advance(much == 7 ? 64 : 1 + much);
        break;
      case 7:
        for (unsigned i = 0; i < cpus_; ++i) tick(i);
        break;
      default:
        step(cpu, 1 + much);
        break;
    }
  }
  void step(unsigned cpu, unsigned operations) {
    budget_ = operations;
    if (!stepper_.has_ended(cpu)) stepper_.step(cpu);
    interrupt_ = false;
  }
  void advance(std::uint64_t ticks) {
    model_.advance(ticks);
    stepper_.advance(ticks * kTickNs);
  }
  void tick(unsigned cpu) {
    if (stepper_.has_ended(cpu)) return;
    model_.tick(cpu);
    raise(cpu, Attention::kTick);
  }
  void finish() {
    constexpr unsigned kManyRounds = 4000;
    for (unsigned round = 0; round < kManyRounds; ++round) {
      bool ended = true;
      for (unsigned cpu = 0; cpu < cpus_; ++cpu) {
        if (stepper_.has_ended(cpu)) continue;
        ended = false;
        if (!stepper_.sleeps_on(cpu)) step(cpu, 4);
      }
      if (ended) {
        require(model_.alive() == 0, "somebody was left behind");
        return;
      }
      if (round % 4 == 3) advance(2);
    }
    require(false, "somebody was forgotten");
  }

  // --- where the machine stops -----------------------------------------------
  // Lets the model do what the CPU has done since it stopped last.
  void settle(unsigned cpu) {
    const std::optional<Operation> done =
        std::exchange(pending_[cpu], std::nullopt);
    if (done.has_value()) {
      model_.perform(cpu, *done, log_);
    } else {
      model_.go_on(cpu, log_);
    }
    require(log_.empty(), "a switch too many");
    model_.check(cpu);
    require(jobs_.size() == model_.end(), "a thread too many or too few");
    for (Id id = kFirst; id < model_.end(); ++id) compare(id);
    for (unsigned i = 0; i < cpus_; ++i) {
      const char* wrong =
          lwkt::Inspector<SteppedGround>::check(machine().cpu(i));
      require(wrong == nullptr, wrong);
    }
  }
  void compare(Id id) {
    const ModelThread& wanted = model_.thread(id);
    Job& job = jobs_[id];
    if (wanted.gone) {
      job.lent.reset();  // nobody may touch it any more
      return;
    }
    Thread& thread = *job.thread;
    require(thread.place() == wanted.place, "a thread is in another place");
    require(thread.priority() == wanted.priority, "a priority has changed");
    require(thread.cpu().index() == wanted.cpu, "a thread is elsewhere");
    for (unsigned i = 0; i < kTokens; ++i) {
      require(thread.tokens().holds(tokens_[i]) == TokenRules::holds(wanted, i),
              "a thread has a token, or has it not");
    }
  }
  void idle(unsigned cpu, std::uint64_t deadline_ns) {
    settle(cpu);
    require(model_.running(cpu) == kIdle && !model_.has_ended(cpu),
            "a CPU idles that should not");
    const std::uint64_t tick = model_.next_tick(cpu);
    require(tick == kNever || deadline_ns <= tick * kTickNs,
            "a CPU sleeps past a timer");
    stepper_.pause();
  }

  // --- a thread --------------------------------------------------------------
  static void enter(Thread& self, void* harness) {
    static_cast<Harness*>(harness)->live(self);
  }
  void live(Thread& self) {
    Id id = kFirst;
    // Of several at one address the last one lives.
    for (Id i = kFirst; i < jobs_.size(); ++i) {
      if (jobs_[i].thread == &self) id = i;
    }
    bool goes_on = true;
    while (goes_on) {
      settle(self, id);
      while (budget_ == 0) {
        stepper_.pause();
        if (!std::exchange(interrupt_, false)) continue;
        pending_[stepper_.here()] = Operation{Act::kInterrupt};
        self.cpu().interrupted();
        settle(self, id);
      }
      --budget_;
      const unsigned cpu = stepper_.here();
      const Operation next = script_.next(cpu);
      pending_[cpu] = next;
      goes_on = perform(self, id, next);
    }
  }
  void settle(Thread& self, Id id) {
    const unsigned cpu = stepper_.here();
    settle(cpu);
    require(model_.running(cpu) == id, "another thread should have the word");
    require(self.critical_depth() == model_.thread(id).critical,
            "a critical section too many or too few");
  }

  // False: the thread ends by returning.
  bool perform(Thread& self, Id id, const Operation& op) {
    switch (op.act) {
      case Act::kNothing:
        break;
      case Act::kInterrupt:
        self.cpu().interrupted();
        break;
      case Act::kYield:
        self.yield();
        break;
      case Act::kYieldIfDue:
        self.yield_if_due();
        break;
      case Act::kEnterCritical:
        self.enter_critical();
        break;
      case Act::kExitCritical:
        self.exit_critical();
        break;
      case Act::kInterlock:
        Sleep::interlock(self, &places_[op.a]);
        break;
      case Act::kCancel:
        Sleep::cancel(self);
        break;
      case Act::kSleep: {
        const SleepResult result =
            Sleep::sleep(self, &places_[op.a],
                         op.b == kNever ? Sleep::kNoTimeout : op.b * kTickNs);
        settle(self, id);
        require(result == model_.thread(id).slept,
                "a sleep ended for another reason");
        break;
      }
      case Act::kWakeup:
        Sleep::wakeup(self, &places_[op.a]);
        break;
      case Act::kWakeupOne:
        Sleep::wakeup_one(self, &places_[op.a]);
        break;
      case Act::kPark:
        self.enter_critical();
        self.sleep_in_critical();
        self.exit_critical();
        break;
      case Act::kUnpark:
        Cpu::wake_from(self, *jobs_[op.a].thread);
        break;
      case Act::kSetCpu:
        self.set_cpu(op.a);
        break;
      case Act::kSetPriority:
        self.set_priority(op.a);
        break;
      case Act::kCreate:
        create(self, op);
        break;
      case Act::kStart:
        self.cpu().start(*jobs_[op.a].thread);
        break;
      case Act::kJoin:
        self.join(*jobs_[op.a].thread);
        break;
      case Act::kExit:
        if (op.a == 0) return false;
        self.exit();
      case Act::kAcquire:
        if (static_cast<Want>(op.b) == Want::kExclusive) {
          self.tokens().acquire(tokens_[op.a]);
        } else {
          self.tokens().acquire_shared(tokens_[op.a]);
        }
        // See the model's acquire().
        self.enter_critical();
        self.exit_critical();
        break;
      case Act::kTryAcquire: {
        Operation tried = op;
        tried.had_it = static_cast<Want>(op.b) == Want::kExclusive
                           ? self.tokens().try_acquire(tokens_[op.a])
                           : self.tokens().try_acquire_shared(tokens_[op.a]);
        pending_[stepper_.here()] = tried;
        break;
      }
      case Act::kRelease:
        self.tokens().release(tokens_[op.a]);
        break;
      case Act::kArm:
        self.cpu().arm(alarms_[op.a][stepper_.here()].timer, op.b * kTickNs);
        break;
      case Act::kDisarm:
        self.cpu().cancel(alarms_[op.a][stepper_.here()].timer);
        break;
      case Act::kCall:
        self.cpu().call_on(self, op.a, {&Harness::called, &places_[op.b]});
        break;
      case Act::kStop:
        machine().stop();
        break;
    }
    return true;
  }
  void create(Thread& self, const Operation& op) {
    const lwkt::ThreadOptions options = {
        .name = "fuzzed",
        .priority = op.a,
        .lifetime = (op.b & kDetached) != 0 ? lwkt::Lifetime::kDetached
                                            : lwkt::Lifetime::kJoined,
        .stack_bytes =
            (op.b & kLargeStack) != 0 ? kLargeStackBytes : kStackBytes};
    if ((op.b & kLentStack) == 0) {
      require(self.cpu().create(&Harness::enter, this, options).has_value(),
              "no memory");
      return;
    }
    lending_ = std::make_unique<std::byte[]>(kStackBytes);
    require(self.cpu()
                .create_on({lending_.get(), kStackBytes}, &Harness::enter, this,
                           options)
                .has_value(),
            "no memory");
  }
  static void called(void* place, void* cpu) {
    wake(*static_cast<const WakePlace*>(place), *static_cast<Cpu*>(cpu));
  }
  static void ring(lwkt::Timer& timer) {
    const WakePlace& place = *container_of(&timer, &Alarm::timer)->place;
    Harness& self = *place.harness;
    wake(place, self.machine().cpu(self.stepper_.here()));
  }
  static void wake(const WakePlace& place, Cpu& cpu) {
    Sleep::wakeup(cpu.current(), &place.harness->places_[place.address]);
  }

  Input input_;
  unsigned cpus_;
  Stepper stepper_;
  ScheduleModel model_;
  Script script_{input_, model_};
  std::deque<ScheduleModel::Switch> log_;
  std::array<std::optional<Operation>, kMaxCpus> pending_;
  std::deque<Job> jobs_ = std::deque<Job>(1);
  std::unique_ptr<std::byte[]> lending_;  // to the thread that is being made
  unsigned budget_ = 0;                   // operations until the CPU stops
  bool interrupt_ = false;                // when it goes on

  // Their addresses are what threads sleep on.
  std::array<WakePlace, kAddresses> places_{};
  std::array<std::array<Alarm, kMaxCpus>, kAddresses> alarms_;
  std::array<Token, kTokens> tokens_{Token(kFuzzed), Token(kFuzzed),
                                     Token(kFuzzed)};
  std::unique_ptr<std::byte[], Free> storage_;
  std::unique_ptr<Machine> machine_;
};

}  // namespace
}  // namespace odo::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  odo::fuzz::Harness({data, size}).run();
  return 0;
}
