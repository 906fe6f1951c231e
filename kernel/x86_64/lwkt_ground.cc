// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/lwkt_ground.h"

#include <source_location>
#include <string_view>

#include "kernel/x86_64/clock.h"
#include "kernel/x86_64/cpu.h"
#include "kernel/x86_64/kernel_stacks.h"
#include "kernel/x86_64/local_apic.h"
#include "kernel/x86_64/log.h"
#include "kernel/x86_64/smp.h"
#include "kernel/x86_64/timer.h"
#include "kernel/x86_64/vectors.h"
#include "lib/base/check.h"
#include "lib/lwkt/attention.h"

namespace odo::x86 {
namespace {

void tell(const char* kind, const char* name, const char* what,
          const std::source_location& here) {
  log("\nodo: ", kind, " \"", std::string_view(name), "\" ",
      std::string_view(what), ", at ", std::string_view(here.file_name()), ":",
      here.line(), "\n");
}

}  // namespace

std::uint64_t LwktGround::now_ns() const { return uptime_ns(); }

void LwktGround::relax() const { pause(); }

void LwktGround::kick(unsigned cpu, Atomic<std::uint32_t>& /*word*/,
                      std::uint32_t before) const {
  // Whoever set the first bit interrupts, and none is taken before that comes;
  // a CPU that sets its own looks at them itself.
  if (before != 0) return;
  const InterruptsOff off;
  if (cpu == this_cpu().index) return;
  // In order after the bit: the register's write waits for what came before.
  ODO_CHECK(send_interrupt(cpu_of(cpu).apic_id, kKickVector));
}

void LwktGround::idle(unsigned /*cpu*/, Atomic<std::uint32_t>& word,
                      std::uint64_t deadline_ns) const {
  disable_interrupts();
  // From this look to the halt no interrupt comes between.
  if (word.load(std::memory_order_acquire) == 0) {
    if (deadline_ns < this_cpu().timer_ns) set_timer(deadline_ns);
    wait_for_interrupt();
  }
  enable_interrupts();
}

void LwktGround::timer(unsigned /*cpu*/, std::uint64_t deadline_ns) const {
  const InterruptsOff off;
  set_timer(deadline_ns);
}

std::span<std::byte> LwktGround::map_stack(std::size_t bytes) const {
  return map_kernel_stack(bytes, "thread's");
}

void LwktGround::unmap_stack(std::span<std::byte> stack) const {
  free_kernel_stack(stack);
}

void LwktGround::token_fault(const tokens::TokenFault& fault) const {
  tell("token", fault.token, tokens::misuse_text(fault.what), fault.here);
  ODO_PANIC("a token was misused");
}

void LwktGround::lwkt_fault(const lwkt::LwktFault& fault) const {
  tell("thread", fault.thread, lwkt::misuse_text(fault.what), fault.here);
  ODO_PANIC("a thread was misused");
}

}  // namespace odo::x86
