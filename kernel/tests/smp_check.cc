// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/tests/smp_check.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <new>
#include <string_view>

#include "kernel/x86_64/heap.h"
#include "kernel/x86_64/log.h"
#include "kernel/x86_64/per_cpu.h"
#include "kernel/x86_64/power.h"
#include "kernel/x86_64/threads.h"
#include "kernel/x86_64/traps.h"
#include "lib/base/check.h"
#include "lib/base/mix.h"
#include "lib/lwkt/cpu_mask.h"
#include "lib/lwkt/cpu_sync.h"
#include "lib/lwkt/sleep.h"
#include "lib/lwkt/thread_port.h"
#include "lib/tokens/token.h"

namespace odo::kernel {
namespace {

using Ground = x86::LwktGround;
using Thread = x86::KernelThread;
using Sleepers = lwkt::Sleepers<Ground>;
using Port = lwkt::Port<Ground>;
using Message = lwkt::Message<Ground>;
using OwnPort = lwkt::ThreadPort<Ground>;
using Token = tokens::Token<Ground>;
using x86::kernel_heap;

constexpr std::size_t kCells = 16;
constexpr std::size_t kMailboxes = 64;
constexpr std::uint64_t kSecondNs = 1'000'000'000;
constexpr tokens::TokenClass kCellClass{"cell"};

// The two numbers are equal whenever somebody may look.
struct alignas(64) Cell {
  Token token{kCellClass};
  std::uint64_t one = 0;
  std::uint64_t other = 0;
};

// At the beginning of each object; its number again at its end.
struct Stamp {
  std::uint64_t number;
  std::size_t bytes;

  [[nodiscard]] std::byte* end() {
    return reinterpret_cast<std::byte*>(this) + bytes - sizeof(number);
  }
};

struct alignas(64) PerCpuCount {
  // Only calls on that CPU count it, and those come one after the other.
  std::uint64_t calls = 0;
  std::atomic<OwnPort*> server{nullptr};
};

struct Shared {
  std::array<Cell, kCells> cells{};
  std::array<std::atomic<Stamp*>, kMailboxes> mailboxes{};
  std::array<PerCpuCount, x86::kMaxCpus> counts{};
  std::atomic<bool> is_over{false};
  unsigned cpus = 0;
};

// What one thread did, told by itself.
struct alignas(64) Worker {
  Worker(Shared& all, unsigned on, std::uint64_t seed)
      : shared(&all), cpu(on), state(seed) {}

  std::uint64_t random() { return mix(state += kMixStep); }
  [[nodiscard]] bool goes_on() {
    progress.store(progress.load(std::memory_order_relaxed) + 1,
                   std::memory_order_relaxed);
    return !shared->is_over.load(std::memory_order_relaxed);
  }

  Shared* shared;
  unsigned cpu;
  std::uint64_t state;
  std::atomic<std::uint64_t> progress{0};
  std::array<std::uint64_t, kCells> per_cell{};
  std::uint64_t calls = 0;
  Thread* thread = nullptr;
};

void on_its_cpu(Thread& self, Worker& mine) {
  self.set_cpu(mine.cpu);
  ODO_CHECK(x86::this_cpu().index == mine.cpu);
}

// --- what the threads do -----------------------------------------------------

void change(Cell& cell) {
  ODO_CHECK(cell.one == cell.other);
  ++cell.one;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  x86::pause();
  ++cell.other;
}

// Two tokens at once, in any order, the second one shared at times; now and
// then the CPU is given away in between.
void use_tokens(Thread& self, void* argument) {
  auto& mine = *static_cast<Worker*>(argument);
  on_its_cpu(self, mine);
  auto& held = self.tokens();
  while (mine.goes_on()) {
    const std::uint64_t dice = mine.random();
    const std::size_t first = dice % kCells;
    const std::size_t second =
        (first + 1 + dice / kCells % (kCells - 1)) % kCells;
    Cell& cell = mine.shared->cells[first];
    Cell& beside = mine.shared->cells[second];
    const bool is_shared = (dice >> 20 & 3) == 0;
    held.acquire(cell.token);
    if (is_shared) {
      held.acquire_shared(beside.token);
    } else {
      held.acquire(beside.token);
    }
    change(cell);
    ++mine.per_cell[first];
    if ((dice >> 24 & 15) == 0) self.yield();
    if (is_shared) {
      ODO_CHECK(beside.one == beside.other);
    } else {
      change(beside);
      ++mine.per_cell[second];
    }
    held.release(beside.token);
    held.release(cell.token);
    self.yield();
  }
}

void check_and_free(Stamp* stamp) {
  if (stamp == nullptr) return;
  ODO_CHECK(__builtin_memcmp(stamp->end(), &stamp->number,
                             sizeof(stamp->number)) == 0);
  kernel_heap().free(stamp);
}

// What one puts into a mailbox somebody else takes out and frees.
void use_heap(Thread& self, void* argument) {
  auto& mine = *static_cast<Worker*>(argument);
  on_its_cpu(self, mine);
  while (mine.goes_on()) {
    const std::uint64_t dice = mine.random();
    const bool is_large = dice % 64 == 0;
    const std::size_t bytes =
        sizeof(Stamp) + 8 + (dice >> 8) % (is_large ? 100'000 : 2'000);
    auto* stamp = static_cast<Stamp*>(kernel_heap().allocate(bytes));
    if (stamp != nullptr) {
      *stamp = {dice, bytes};
      __builtin_memcpy(stamp->end(), &dice, sizeof(dice));
    }
    auto& box = mine.shared->mailboxes[(dice >> 40) % kMailboxes];
    // What was written is there for who takes it.
    check_and_free(box.exchange(stamp, std::memory_order_acq_rel));
    self.yield();
  }
}

constexpr lwkt::Answer kEnd = -1;

[[nodiscard]] lwkt::Answer answer_to(std::uint64_t question) {
  return static_cast<lwkt::Answer>(mix(question) & 0x7fffffff);
}

// Answers the CPU's messages until one says that it was the last.
void serve(Thread& self, void* argument) {
  auto& mine = *static_cast<Worker*>(argument);
  on_its_cpu(self, mine);
  OwnPort port(self, "server");
  mine.shared->counts[mine.cpu].server.store(&port, std::memory_order_release);
  for (;;) {
    Message& message = port.wait(self);
    static_cast<void>(mine.goes_on());
    const auto* question = static_cast<const std::uint64_t*>(message.context());
    Port::reply(self, message,
                question == nullptr ? kEnd : answer_to(*question));
    if (question == nullptr) return;
  }
}

void count_call(void* counts, void* cpu) {
  const unsigned index = static_cast<x86::KernelCpu*>(cpu)->index();
  ODO_CHECK(x86::this_cpu().index == index);
  ++static_cast<PerCpuCount*>(counts)[index].calls;
}

// Asks servers, has calls made on other CPUs, and sleeps for a moment.
void ask(Thread& self, void* argument) {
  auto& mine = *static_cast<Worker*>(argument);
  on_its_cpu(self, mine);
  OwnPort replies(self, "replies");
  while (mine.goes_on()) {
    std::uint64_t dice = mine.random();
    const auto to = static_cast<unsigned>((dice >> 32) % mine.shared->cpus);
    self.cpu().call_on(self, to, {&count_call, mine.shared->counts.data()});
    ++mine.calls;
    OwnPort* const server =
        mine.shared->counts[to].server.load(std::memory_order_acquire);
    if (server != nullptr) {
      Message message(replies);
      message.set_context(&dice);
      static_cast<void>(Port::send(self, *server, message));
      ODO_CHECK(replies.wait_for(self, message) == answer_to(dice));
    }
    if (dice % 64 == 0) {
      const std::uint64_t deadline_ns =
          self.cpu().ground().now_ns() + (dice >> 8) % 10'000'000;
      ODO_CHECK(Sleepers::sleep(self, &dice, deadline_ns) ==
                lwkt::SleepResult::kTimedOut);
      ODO_CHECK(self.cpu().ground().now_ns() >= deadline_ns);
    }
    self.yield();
  }
}

// In front of whatever runs, again and again; but not too often. An emulator
// with fewer cores than CPUs sets all their timers under one lock, and where
// that takes longer than the time to the next bell, there is time for nothing
// else.
void ring(Thread& self, void* argument) {
  auto& mine = *static_cast<Worker*>(argument);
  on_its_cpu(self, mine);
  while (mine.goes_on()) {
    const std::uint64_t wait_ns = 10'000'000 + mine.random() % 40'000'000;
    Sleepers::sleep(self, &mine, self.cpu().ground().now_ns() + wait_ns);
  }
}

// From CPU to CPU.
void roam(Thread& self, void* argument) {
  auto& mine = *static_cast<Worker*>(argument);
  while (mine.goes_on()) {
    mine.cpu = static_cast<unsigned>(mine.random() % mine.shared->cpus);
    on_its_cpu(self, mine);
    self.yield();
  }
}

struct Kind {
  const char* name;
  Thread::Entry entry;
  lwkt::Priority priority;
};
constexpr std::array kKinds{
    Kind{"tokens", use_tokens, lwkt::kKernelNormal},
    Kind{"heap", use_heap, lwkt::kKernelNormal},
    Kind{"server", serve, lwkt::kKernelNormal},
    Kind{"asker", ask, lwkt::kKernelNormal},
    Kind{"bell", ring, lwkt::kInterruptLow},
    Kind{"roamer", roam, lwkt::kKernelNormal},
};

// --- the one who watches -----------------------------------------------------

class Check {
 public:
  Check(x86::KernelSystem& system, std::uint64_t seconds)
      : system_(system), seconds_(seconds) {}

  static void run(Thread& self, void* check) {
    static_cast<Check*>(check)->run(self);
  }

 private:
  [[nodiscard]] std::uint64_t now_ns(Thread& self) {
    return self.cpu().ground().now_ns();
  }

  void start(Thread& self) {
    shared_ = kernel_heap().make<Shared>();
    count_ = system_.cpus() * kKinds.size();
    const auto room =
        kernel_heap().allocate_bytes(count_ * sizeof(Worker), alignof(Worker));
    ODO_CHECK(shared_ != nullptr && !room.empty());
    workers_ = reinterpret_cast<Worker*>(room.data());
    shared_->cpus = system_.cpus();
    for (std::size_t i = 0; i < count_; ++i) {
      const Kind& kind = kKinds[i % kKinds.size()];
      auto* worker = ::new (workers_ + i)
          Worker(*shared_, static_cast<unsigned>(i / kKinds.size()), i);
      const auto made = self.cpu().create(
          kind.entry, worker, {.name = kind.name, .priority = kind.priority});
      if (!made) x86::stop_with("smp: no memory for a thread");
      worker->thread = *made;
      self.cpu().start(**made);
    }
  }

  // What one thread did when somebody last looked.
  struct Seen {
    std::uint64_t progress;
    std::uint64_t since_ns;
  };

  // Everybody's state, as far as it can be seen from here: those that do not
  // get on may wait for one that does not either.
  [[noreturn]] void tell_all(const Seen* seen, std::uint64_t now) {
    for (std::size_t i = 0; i < count_; ++i) {
      const Worker& one = workers_[i];
      x86::log("smp: ", std::string_view(one.thread->name()), " of CPU ",
               one.cpu, ": ", seen[i].progress, " rounds, the last ",
               (now - seen[i].since_ns) / 1'000'000, " ms ago, place ",
               static_cast<std::uint64_t>(one.thread->place()), " depth ",
               std::uint64_t{one.thread->critical_depth()}, "\n");
    }
    for (unsigned i = 0; i < system_.cpus(); ++i) {
      x86::log("smp: CPU ", i, ": runs ",
               std::string_view(system_.cpu(i).current().name()),
               system_.cpu(i).attention().any() ? ", wanted" : "", "\n");
    }
    x86::stop_with("smp: no progress");
  }

  // Until the time is over; everybody gets on meanwhile.
  void watch(Thread& self) {
    constexpr std::uint64_t kLookNs = kSecondNs / 4;
    const std::uint64_t patience_ns =
        (30 + 2 * std::uint64_t{shared_->cpus}) * kSecondNs;
    const std::uint64_t end_ns = now_ns(self) + seconds_ * kSecondNs;
    auto* const seen =
        static_cast<Seen*>(kernel_heap().allocate(count_ * sizeof(Seen)));
    ODO_CHECK(seen != nullptr);
    for (std::size_t i = 0; i < count_; ++i) seen[i] = {0, now_ns(self)};
    while (now_ns(self) < end_ns) {
      Sleepers::sleep(self, this, now_ns(self) + kLookNs);
      for (std::size_t i = 0; i < count_; ++i) {
        const std::uint64_t now = now_ns(self);
        const std::uint64_t progress =
            workers_[i].progress.load(std::memory_order_relaxed);
        if (progress != seen[i].progress) {
          seen[i] = {progress, now};
        } else if (now - seen[i].since_ns > patience_ns) {
          tell_all(seen, now);
        }
      }
    }
    kernel_heap().free(seen);
  }

  void stop(Thread& self) {
    shared_->is_over.store(true, std::memory_order_relaxed);
    // Servers last: who asks them must have had its answer.
    for (std::size_t i = 0; i < count_; ++i) {
      if (kKinds[i % kKinds.size()].entry != serve) {
        self.join(*workers_[i].thread);
      }
    }
    OwnPort replies(self, "end");
    for (std::size_t i = 0; i < count_; ++i) {
      if (kKinds[i % kKinds.size()].entry != serve) continue;
      OwnPort* const server = shared_->counts[workers_[i].cpu].server.load(
          std::memory_order_acquire);
      ODO_CHECK(server != nullptr);
      Message last(replies);
      last.set_context(nullptr);
      static_cast<void>(Port::send(self, *server, last));
      ODO_CHECK(replies.wait_for(self, last) == kEnd);
      self.join(*workers_[i].thread);
    }
    for (auto& box : shared_->mailboxes) {
      check_and_free(box.exchange(nullptr, std::memory_order_acq_rel));
    }
  }

  [[nodiscard]] std::uint64_t rounds_of(Thread::Entry entry) const {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < count_; ++i) {
      if (kKinds[i % kKinds.size()].entry != entry) continue;
      sum += workers_[i].progress.load(std::memory_order_relaxed);
    }
    return sum;
  }

  void check_sums() const {
    std::uint64_t called = 0;
    std::uint64_t counted = 0;
    for (std::size_t cell = 0; cell < kCells; ++cell) {
      std::uint64_t changes = 0;
      for (std::size_t i = 0; i < count_; ++i) {
        changes += workers_[i].per_cell[cell];
      }
      ODO_CHECK(shared_->cells[cell].one == changes);
      ODO_CHECK(shared_->cells[cell].other == changes);
    }
    for (std::size_t i = 0; i < count_; ++i) called += workers_[i].calls;
    for (const PerCpuCount& one : shared_->counts) counted += one.calls;
    ODO_CHECK(called == counted);
  }

  void run(Thread& self) {
    const std::uint64_t objects = kernel_heap().stats().objects;
    start(self);
    watch(self);
    stop(self);
    // A call that was sent has been made when each CPU has been asked since.
    lwkt::CpuMask all = lwkt::CpuMask::below(system_.cpus());
    lwkt::CpuSync<Ground>::synchronize(self, all);
    check_sums();
    std::uint64_t preemptions = 0;
    for (unsigned i = 0; i < system_.cpus(); ++i) {
      preemptions += system_.cpu(i).counts().preemptions;
    }
    x86::log("smp: ", system_.cpus(), " CPUs, ", seconds_,
             " s: ", rounds_of(use_tokens), " rounds of tokens, ",
             rounds_of(use_heap), " of the heap, ", rounds_of(ask),
             " messages and calls, ", rounds_of(roam), " moves, ",
             rounds_of(ring), " bells, ", preemptions, " preemptions\n");
    kernel_heap().free(workers_);
    kernel_heap().destroy(shared_);
    ODO_CHECK(kernel_heap().stats().objects == objects);
    x86::power_off(0);
    x86::stop_with("smp: the machine does not turn itself off");
  }

  x86::KernelSystem& system_;
  std::uint64_t seconds_;
  Shared* shared_ = nullptr;
  Worker* workers_ = nullptr;
  std::size_t count_ = 0;
};

}  // namespace

void check_cpus(std::uint64_t seconds) {
  x86::KernelSystem& system = x86::start_threads();
  Check check(system, seconds);
  const auto made = system.cpu(0).create(
      Check::run, &check, {.name = "check", .priority = lwkt::kSoftNormal});
  if (!made) x86::stop_with("smp: no memory for a thread");
  system.cpu(0).start(**made);
  x86::run_threads();
}

}  // namespace odo::kernel
