// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/thread_census.h"

#include <array>
#include <atomic>

#include "kernel/x86_64/heap.h"
#include "kernel/x86_64/per_cpu.h"
#include "kernel/x86_64/threads.h"
#include "lib/base/check.h"
#include "lib/lwkt/sleep.h"

namespace odo::x86 {
namespace {

using Census = lwkt::Census<LwktGround>;
using Sleepers = lwkt::Sleepers<LwktGround>;

constexpr std::uint64_t kPatienceNs = 1'000'000'000;

// A CPU's, made when it is first asked.
struct Question {
  std::size_t number = 0;
  bool is_found = false;
  lwkt::ThreadFacts facts;
  // Set by who asks, cleared by the CPU: in between, all of it is the CPU's.
  std::atomic<bool> is_asked{false};
};

constinit std::array<Question*, kMaxCpus> questions{};
constinit lwkt::ThreadFacts own_facts{};

// On the CPU that was asked.
void answer(void* question, void* cpu) {
  auto& the = *static_cast<Question*>(question);
  auto& here = *static_cast<KernelCpu*>(cpu);
  the.is_found = Census::look(here, the.number, the.facts);
  // Release: the answer, to who sees that it is there.
  the.is_asked.store(false, std::memory_order_release);
  Sleepers::wakeup(here.current(), question);
}

[[nodiscard]] bool is_answered(const Question& question) {
  return !question.is_asked.load(std::memory_order_acquire);
}

void wait_for(KernelThread& self, const Question& question) {
  const std::uint64_t until_ns = self.cpu().ground().now_ns() + kPatienceNs;
  while (!is_answered(question)) {
    Sleepers::interlock(self, &question);
    if (is_answered(question)) break;
    if (Sleepers::sleep(self, &question, until_ns) ==
        lwkt::SleepResult::kTimedOut) {
      return;
    }
  }
  Sleepers::cancel(self);
}

}  // namespace

CensusAnswer look_at_thread(unsigned cpu, std::size_t number,
                            const lwkt::ThreadFacts*& facts) {
  if (!has_threads()) return CensusAnswer::kNoMore;
  KernelCpu& here = this_thread_cpu();
  KernelThread& self = here.current();
  ODO_CHECK(cpu < here.system().cpus());
  if (cpu == here.index()) {
    self.enter_critical();
    const bool is_found = Census::look(here, number, own_facts);
    self.exit_critical();
    facts = &own_facts;
    return is_found ? CensusAnswer::kFound : CensusAnswer::kNoMore;
  }
  Question*& question = questions[cpu];
  if (question == nullptr) question = kernel_heap().make<Question>();
  // One that was never answered must not be asked again: it is the CPU's.
  if (question == nullptr || !is_answered(*question)) {
    return CensusAnswer::kNoAnswer;
  }
  question->number = number;
  // Relaxed: the call that follows carries it.
  question->is_asked.store(true, std::memory_order_relaxed);
  here.call_on(self, cpu, {&answer, question});
  wait_for(self, *question);
  if (!is_answered(*question)) return CensusAnswer::kNoAnswer;
  facts = &question->facts;
  return question->is_found ? CensusAnswer::kFound : CensusAnswer::kNoMore;
}

}  // namespace odo::x86
