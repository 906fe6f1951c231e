// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/traps.h"

#include <array>

#include "kernel/x86_64/backtrace.h"
#include "kernel/x86_64/cpu.h"
#include "kernel/x86_64/gdt.h"
#include "kernel/x86_64/image.h"
#include "kernel/x86_64/interrupts.h"
#include "kernel/x86_64/kernel_stacks.h"
#include "kernel/x86_64/log.h"
#include "kernel/x86_64/machine_check.h"
#include "kernel/x86_64/per_cpu.h"
#include "kernel/x86_64/power.h"
#include "kernel/x86_64/smp.h"
#include "kernel/x86_64/stacks.h"
#include "kernel/x86_64/threads.h"
#include "lib/base/check.h"

extern "C" {
extern const char trap_stubs[];
void trap_entry(odo::x86::TrapFrame* frame);
}

namespace odo::x86 {
namespace {

constexpr unsigned kStubBytes = 16;
constexpr unsigned kNmi = 2;
// Says what made the chipset send an NMI, if it did.
constexpr std::uint16_t kSystemControlPort = 0x61;
constexpr unsigned kDoubleFault = 8;
constexpr unsigned kPageFault = 14;
constexpr unsigned kMachineCheck = 18;

struct Gate {
  std::uint16_t offset_low;
  std::uint16_t selector;
  std::uint8_t stack;
  std::uint8_t type;
  std::uint16_t offset_middle;
  std::uint32_t offset_high;
  std::uint32_t reserved;
};
static_assert(sizeof(Gate) == 16);

struct Handler {
  InterruptHandler call;
  void* context;
};

constinit std::array<Gate, kVectors> gates{};
constinit std::array<Handler, kVectors> handlers{};

constexpr std::array<std::string_view, 32> kNames{"divide error",
                                                  "debug",
                                                  "non-maskable interrupt",
                                                  "breakpoint",
                                                  "overflow",
                                                  "bound range",
                                                  "invalid opcode",
                                                  "no floating point here",
                                                  "double fault",
                                                  "",
                                                  "invalid TSS",
                                                  "segment not present",
                                                  "stack segment fault",
                                                  "general protection",
                                                  "page fault",
                                                  "",
                                                  "x87 error",
                                                  "alignment check",
                                                  "machine check",
                                                  "SIMD error",
                                                  "virtualisation",
                                                  "control protection",
                                                  "",
                                                  "",
                                                  "",
                                                  "",
                                                  "",
                                                  "",
                                                  "hypervisor injection",
                                                  "VMM communication",
                                                  "security",
                                                  ""};

// A fault while a report is being printed must not print another: it could go
// on for ever.
void begin_report() {
  disable_interrupts();
  switch (become_reporter()) {
    case Reporter::kFirst:
      stop_other_cpus();
      return;
    case Reporter::kAgain:
      log("\nodo: a second fault while reporting the first\n");
      stop_machine(1);
      return;
    case Reporter::kTooLate:
      halt_forever();
  }
}

void print_thread(unsigned cpu) {
  if (const char* name = running_thread(cpu)) {
    log(", in thread \"", std::string_view(name), "\"");
  }
}

// Ends the line, which names the CPU where that is news.
void print_where() {
  if (running_cpus() > 1) log(", on CPU ", this_cpu().index);
  print_thread(this_cpu().index);
  log("\n");
}

// What the others were doing. Last: it takes the most for granted.
void print_other_cpus() {
  for (unsigned i = 0; i < running_cpus(); ++i) {
    const PerCpu& cpu = cpu_of(i);
    if (&cpu == &this_cpu()) continue;
    log("  CPU ", i);
    // Acquire, with the release in stop_this_cpu().
    if (!cpu.is_stopped.load(std::memory_order_acquire)) {
      log(" does not stop\n");
      continue;
    }
    log(" was at ", Hex{cpu.stopped_rip, 16});
    if (const auto symbol = function_at(cpu.stopped_rip)) {
      log(" ", symbol->name, "+0x", Hex{cpu.stopped_rip - symbol->address});
    }
    print_thread(i);
    log("\n");
  }
}

void print_page_fault(const TrapFrame& frame, std::uint64_t address) {
  const auto bit = [&](unsigned n) { return (frame.error_code >> n & 1) != 0; };
  log("  ", bit(4) ? "executing" : (bit(1) ? "writing" : "reading"), " at 0x",
      Hex{address, 16}, ": ",
      bit(3)   ? "reserved bit in a page table"
      : bit(0) ? "not allowed"
               : "not mapped",
      "\n");
}

void print_guard(std::uint64_t address) {
  for (const Stack& stack : stacks()) {
    if (address - address_of(stack.guard) < kPageBytes) {
      log("  the ", stack.name, " stack overflowed into its guard page\n");
    }
  }
  if (const char* name = kernel_stack_above(address)) {
    log("  the ", std::string_view(name),
        " stack overflowed into its guard page\n");
  }
}

void print_registers(const TrapFrame& f) {
  constexpr int kDigits = 16;
  log("  rip ", Hex{f.rip, kDigits}, "  rsp ", Hex{f.rsp, kDigits}, "  rfl ",
      Hex{f.rflags, kDigits}, "\n");
  log("  rax ", Hex{f.rax, kDigits}, "  rbx ", Hex{f.rbx, kDigits}, "  rcx ",
      Hex{f.rcx, kDigits}, "\n");
  log("  rdx ", Hex{f.rdx, kDigits}, "  rsi ", Hex{f.rsi, kDigits}, "  rdi ",
      Hex{f.rdi, kDigits}, "\n");
  log("  rbp ", Hex{f.rbp, kDigits}, "  r8  ", Hex{f.r8, kDigits}, "  r9  ",
      Hex{f.r9, kDigits}, "\n");
  log("  r10 ", Hex{f.r10, kDigits}, "  r11 ", Hex{f.r11, kDigits}, "  r12 ",
      Hex{f.r12, kDigits}, "\n");
  log("  r13 ", Hex{f.r13, kDigits}, "  r14 ", Hex{f.r14, kDigits}, "  r15 ",
      Hex{f.r15, kDigits}, "\n");
  log("  cr0 ", Hex{read_cr0(), kDigits}, "  cr2 ", Hex{read_cr2(), kDigits},
      "  cr3 ", Hex{read_cr3(), kDigits}, "\n");
  log("  cr4 ", Hex{read_cr4(), kDigits}, "  cs  ", Hex{f.cs, 4}, "  ss  ",
      Hex{f.ss, 4}, "\n");
}

[[noreturn]] void report_exception(const TrapFrame& frame) {
  const std::uint64_t fault_address = read_cr2();
  begin_report();
  std::string_view name = "unexpected interrupt";
  if (frame.vector < kNames.size() && !kNames[frame.vector].empty()) {
    name = kNames[frame.vector];
  }
  log("\nodo: exception ", frame.vector, ": ", name, ", error code 0x",
      Hex{frame.error_code});
  print_where();
  if (frame.vector == kPageFault) print_page_fault(frame, fault_address);
  if (frame.vector == kPageFault || frame.vector == kDoubleFault) {
    print_guard(fault_address);
  }
  if (frame.vector == kMachineCheck) print_machine_check();
  print_registers(frame);
  print_backtrace(frame.rip, frame.rbp);
  print_other_cpus();
  stop_machine(1);
}

[[noreturn]] void on_panic(const PanicSite& site) {
  begin_report();
  log("\nodo: panic: ", std::string_view(site.text), " at ",
      std::string_view(site.file), ":", static_cast<unsigned>(site.line));
  print_where();
  print_backtrace_here();
  print_other_cpus();
  stop_machine(1);
}

}  // namespace

void init_traps() {
  for (unsigned vector = 0; vector < kVectors; ++vector) {
    const std::uint64_t stub = address_of(trap_stubs) + vector * kStubBytes;
    constexpr std::uint8_t kPresentInterruptGate = 0x8e;
    gates[vector] = {static_cast<std::uint16_t>(stub),
                     kKernelCode,
                     0,
                     kPresentInterruptGate,
                     static_cast<std::uint16_t>(stub >> 16),
                     static_cast<std::uint32_t>(stub >> 32),
                     0};
  }
  gates[kDoubleFault].stack = kFaultStack;
  gates[kMachineCheck].stack = kMachineCheckStack;
  gates[kNmi].stack = kNmiStack;

  panic_hook = [](const PanicSite& site) { on_panic(site); };
}

void load_traps() {
  struct [[gnu::packed]] {
    std::uint16_t limit;
    const void* base;
  } const pointer{sizeof(gates) - 1, gates.data()};
  asm volatile("lidt %0" : : "m"(pointer));
}

void set_interrupt_handler(unsigned vector, InterruptHandler handler,
                           void* context) {
  ODO_CHECK(vector >= kFirstInterrupt && vector < kVectors);
  handlers[vector] = {handler, context};
}

void stop_with(std::string_view reason) {
  begin_report();
  log("odo: ", reason, "\n");
  stop_machine(1);
}

}  // namespace odo::x86

void trap_entry(odo::x86::TrapFrame* frame) {
  using namespace odo::x86;
  // One CPU has a report to print, and has the others stop.
  if (frame->vector == kNmi) {
    if (is_reporting()) return;  // it has worse to tell
    if (is_report_under_way()) stop_this_cpu(frame->rip);
    log_stray_nmi(in8(kSystemControlPort));
    return;
  }
  const Handler handler = handlers[frame->vector % kVectors];
  if (handler.call == nullptr) report_exception(*frame);
  handler.call(handler.context);
  end_of_interrupt(static_cast<unsigned>(frame->vector));
  after_interrupt();
}
