// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/lwkt_ground.h"

#include <source_location>
#include <string_view>

#include "kernel/x86_64/alarm.h"
#include "kernel/x86_64/clock.h"
#include "kernel/x86_64/cpu.h"
#include "kernel/x86_64/heap.h"
#include "kernel/x86_64/log.h"
#include "lib/base/check.h"

namespace odo::x86 {
namespace {

constexpr std::size_t kStackAlignment = 64;
constexpr std::uint64_t kNever = ~std::uint64_t{0};

void tell(const char* kind, const char* name, const char* what,
          const std::source_location& here) {
  log("\nodo: ", kind, " \"", std::string_view(name), "\" ",
      std::string_view(what), ", at ", std::string_view(here.file_name()), ":",
      here.line(), "\n");
}

}  // namespace

std::uint64_t LwktGround::now_ns() const { return uptime_ns(); }

void LwktGround::relax() const { pause(); }

void LwktGround::idle(unsigned /*cpu*/, Atomic<std::uint32_t>& word,
                      std::uint64_t deadline_ns) const {
  // Interrupts are off until the halt, so nothing is raised in between.
  if (word.load(std::memory_order_acquire) != 0) return;
  if (deadline_ns != kNever) {
    const std::uint64_t now = now_ns();
    if (deadline_ns <= now) return;
    set_alarm(deadline_ns - now);
  }
  wait_for_interrupt();
}

std::span<std::byte> LwktGround::map_stack(std::size_t bytes) const {
  return kernel_heap().allocate_bytes(bytes, kStackAlignment);
}

void LwktGround::unmap_stack(std::span<std::byte> stack) const {
  kernel_heap().free(stack.data());
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
