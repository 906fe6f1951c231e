// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/tests/faults.h"

#include <array>
#include <cstddef>
#include <cstdint>

#include "kernel/tests/heap_check.h"
#include "kernel/tests/report_check.h"
#include "kernel/tests/smp_check.h"
#include "kernel/x86_64/heap.h"
#include "kernel/x86_64/image.h"
#include "kernel/x86_64/log.h"
#include "kernel/x86_64/power.h"
#include "kernel/x86_64/traps.h"
#include "lib/base/check.h"

namespace odo::kernel {
namespace {

// Non-canonical and unmapped addresses that a report must show as they are.
constexpr std::uint64_t kUnmapped = 0x0000123456789abc;
constexpr std::uint64_t kNoAddress = 0x0123456789abcdef;

// Each fault has a function of its own, whose name the backtrace must show.
[[gnu::noinline]] void fault_by_unmapped_read() {
  static_cast<void>(*reinterpret_cast<volatile std::uint8_t*>(kUnmapped));
}

[[gnu::noinline]] void fault_by_undefined_instruction() { asm volatile("ud2"); }

[[gnu::noinline]] void fault_by_bad_address() {
  static_cast<void>(*reinterpret_cast<volatile std::uint8_t*>(kNoAddress));
}

// A push onto nothing: the page fault cannot be delivered either.
[[gnu::noinline]] void fault_without_stack() {
  asm volatile("mov %0, %%rsp; push %%rax" : : "r"(kUnmapped & ~15ull));
}

[[gnu::noinline]] void fault_by_executing_data() {
  static std::array<unsigned char, 16> code{0xc3};  // ret
  reinterpret_cast<void (*)()>(code.data())();
}

[[gnu::noinline]] void fault_by_writing_text() {
  *reinterpret_cast<volatile unsigned char*>(x86::address_of(text_begin)) =
      0x90;
}

[[gnu::noinline]] void fault_by_null_call() {
  void (*volatile nothing)() = nullptr;
  nothing();
}

// The compiler must neither see that this never ends nor make a loop of it.
[[gnu::noinline]] std::uint64_t recurse_for_ever(std::uint64_t depth) {
  volatile std::uint64_t ballast = depth;
  if (ballast == ~std::uint64_t{0}) return 0;
  return recurse_for_ever(depth + 1) + ballast;
}

[[gnu::noinline]] void fault_by_deep_recursion() {
  static_cast<void>(recurse_for_ever(0));
}

[[gnu::noinline]] void break_an_invariant() { ODO_CHECK(sizeof(void*) == 4); }

// Of what comes before it, so that the caller stays on the stack.
void not_a_tail_call() { asm volatile(""); }

// The second free is found when the objects at hand go home.
[[gnu::noinline]] void fault_by_freeing_twice() {
  void* object = x86::kernel_heap().allocate(48);
  x86::kernel_heap().free(object);
  x86::kernel_heap().free(object);
  x86::kernel_heap().reclaim();
  not_a_tail_call();
}

[[gnu::noinline]] void fault_by_freeing_inside() {
  auto* object = static_cast<std::byte*>(x86::kernel_heap().allocate(100'000));
  x86::kernel_heap().free(object + 8);
  not_a_tail_call();
}

struct Fault {
  std::string_view name;
  void (*cause)();
};

constexpr std::array kFaults{
    Fault{"pagefault", fault_by_unmapped_read},
    Fault{"ud", fault_by_undefined_instruction},
    Fault{"gp", fault_by_bad_address},
    Fault{"doublefault", fault_without_stack},
    Fault{"nx", fault_by_executing_data},
    Fault{"wp", fault_by_writing_text},
    Fault{"nullcall", fault_by_null_call},
    Fault{"stackguard", fault_by_deep_recursion},
    Fault{"panic", break_an_invariant},
    Fault{"doublefree", fault_by_freeing_twice},
    Fault{"badfree", fault_by_freeing_inside},
    Fault{"report", report_from_thread},
    // No fault: it ends the machine itself, if all is well.
    Fault{"heap", check_heap},
};

}  // namespace

void run_fault_test(std::string_view name, std::uint64_t seconds) {
  if (name == "smp") check_cpus(seconds);
  for (const Fault& fault : kFaults) {
    if (fault.name != name) continue;
    fault.cause();
    x86::stop_with("the fault that test= asked for did not happen");
  }
  x86::log("odo: test=", name, ": no such test, there are:");
  for (const Fault& fault : kFaults) x86::log(" ", fault.name);
  x86::log(" smp silentcpu latecpu deafcpu\n");
  x86::stop_machine(1);
}

}  // namespace odo::kernel
