// SPDX-License-Identifier: BSD-3-Clause
// Random sequences of what threads do, on one CPU: after each, the thread that
// runs is the one that a plain model of the rules names, and every thread is in
// exactly one place.
//
// A byte is an operation of whichever thread runs; its upper bits say on what.
// When the bytes are used up each thread leaves its critical sections and ends,
// and the first thread, which never sleeps, wakes who still does.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <new>
#include <span>

#include "fuzz/lwkt_schedule_model.h"
#include "lib/lwkt/host/ground.h"
#include "lib/lwkt/inspector.h"
#include "lib/lwkt/sleep.h"

namespace odo::fuzz {
namespace {

using lwkt::HostGround;
using Thread = lwkt::Thread<HostGround>;
using Sleep = lwkt::Sleepers<HostGround>;
using Machine = lwkt::System<HostGround>;

constexpr unsigned kAddresses = 3;
constexpr std::size_t kMaxThreads = 24;
constexpr unsigned kPriorities[] = {lwkt::kKernelNormal,  lwkt::kKernelUser,
                                    lwkt::kSoftNormal,    lwkt::kInterruptLow,
                                    lwkt::kInterruptHigh, lwkt::kUserNormal,
                                    lwkt::kKernelNormal,  lwkt::kIdleWork};

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "the schedule is wrong: %s\n", what);
  std::abort();
}

class Harness {
 public:
  explicit Harness(std::span<const std::uint8_t> bytes)
      : bytes_(bytes),
        storage_(new(kAlign) std::byte[Machine::storage_bytes(1)]),
        machine_({storage_.get(), Machine::storage_bytes(1)}, 1) {}

  void run() {
    model_.begin(make(lwkt::kIdleWork));
    machine_.cpu(0).start(*jobs_[0].thread);
    machine_.cpu(0).run();
    require(model_.alive() == 0, "somebody was forgotten");
  }

 private:
  struct Job {
    Harness* harness;
    ScheduleModel::Id id;
    Thread* thread;
  };
  static constexpr std::align_val_t kAlign{Machine::storage_alignment()};
  struct Free {
    void operator()(std::byte* memory) const {
      ::operator delete[](memory, kAlign);
    }
  };

  ScheduleModel::Id make(unsigned priority) {
    const ScheduleModel::Id id = model_.add(priority);
    jobs_.push_back({this, id, nullptr});
    auto made = machine_.cpu(0).create(
        [](Thread& self, void* argument) {
          Job& job = *static_cast<Job*>(argument);
          job.harness->live(self, job.id);
        },
        &jobs_.back(),
        {.name = "fuzzed",
         .priority = priority,
         .lifetime = lwkt::Lifetime::kDetached,
         .stack_bytes = std::size_t{64} * 1024});
    require(made.has_value(), "no memory");
    jobs_.back().thread = *made;
    return id;
  }

  // After every operation: it is our turn, says the model too.
  void check(Thread& self, ScheduleModel::Id id) {
    require(model_.running() == id, "another thread should run");
    self.enter_critical();
    const char* wrong = lwkt::Inspector<HostGround>::check(self.cpu());
    self.exit_critical();
    require(wrong == nullptr, wrong);
    require(self.critical_depth() == model_.thread(id).critical,
            "a critical section too many or too few");
  }

  void live(Thread& self, ScheduleModel::Id id) {
    check(self, id);
    const bool first = id == 0;
    while (at_ < bytes_.size()) {
      if (act(self, id, bytes_[at_++], first)) break;
      check(self, id);
    }
    while (model_.thread(id).critical != 0) {
      model_.exit_critical();
      self.exit_critical();
      check(self, id);
    }
    while (first && model_.alive() > 1) {
      for (unsigned address = 0; address < kAddresses; ++address) {
        model_.wakeup(address);
        Sleep::wakeup(self, &addresses_[address]);
        check(self, id);
      }
      model_.yield();
      self.yield();
      check(self, id);
    }
    if (first) machine_.stop();
    model_.end();
  }

  // True: the thread ends.
  bool act(Thread& self, ScheduleModel::Id id, std::uint8_t byte, bool first) {
    const unsigned what = byte >> 4;
    const unsigned address = what % kAddresses;
    const bool critical = model_.thread(id).critical != 0;
    switch (byte & 15) {
      case 0:
      case 1:
        if (critical) break;
        model_.yield();
        self.yield();
        break;
      case 2:
      case 3: {
        if (jobs_.size() == kMaxThreads) break;
        const ScheduleModel::Id child = make(kPriorities[what % 8]);
        Thread* thread = jobs_[child].thread;
        model_.start(child);
        self.cpu().start(*thread);
        break;
      }
      case 4:
        if (model_.thread(id).critical == 3) break;
        model_.enter_critical();
        self.enter_critical();
        break;
      case 5:
      case 6:
        if (!critical) break;
        model_.exit_critical();
        self.exit_critical();
        break;
      case 7:
      case 8:
        if (critical || first) break;
        model_.sleep(address);
        Sleep::sleep(self, &addresses_[address]);
        break;
      case 9:
        model_.wakeup(address);
        Sleep::wakeup(self, &addresses_[address]);
        break;
      case 10:
        model_.wakeup_one(address);
        Sleep::wakeup_one(self, &addresses_[address]);
        break;
      case 11:
        if (first) break;
        model_.set_priority(kPriorities[what % 8]);
        self.set_priority(kPriorities[what % 8]);
        break;
      case 12:
        // On the list and off again: as if nothing had been.
        Sleep::interlock(self, &addresses_[address]);
        Sleep::cancel(self);
        break;
      case 13:
        // A wake-up after the interlock: the sleep does not happen.
        if (critical) break;
        Sleep::interlock(self, &addresses_[address]);
        model_.wakeup(address);
        Sleep::wakeup(self, &addresses_[address]);
        Sleep::sleep(self, &addresses_[address]);
        break;
      case 14:
        return !first && !critical;
      default:
        break;
    }
    return false;
  }

  std::span<const std::uint8_t> bytes_;
  std::size_t at_ = 0;
  ScheduleModel model_;
  std::deque<Job> jobs_;
  char addresses_[kAddresses] = {};
  std::unique_ptr<std::byte[], Free> storage_;
  Machine machine_;
};

}  // namespace
}  // namespace odo::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  odo::fuzz::Harness({data, size}).run();
  return 0;
}
