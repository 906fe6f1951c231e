// SPDX-License-Identifier: BSD-3-Clause
// The only program of the Linux guest: says how many instructions it took to
// get here, and ends the machine.
//
// Freestanding, static, no C library. QEMU runs with -icount shift=0, where
// the time stamp counter starts at 0 with the machine and advances by one an
// instruction; so the first instruction here is the one that reads it.
// The line goes to the first serial port itself: a console would have to be
// driven by the kernel, and its driver is no part of what is measured.
#include <cstdint>

namespace {

constexpr std::uint16_t kSerialData = 0x3f8;
constexpr std::uint16_t kSerialLineStatus = 0x3fd;
constexpr std::uint8_t kTransmitterEmpty = 0x20;
constexpr std::uint16_t kDebugExit = 0xf4;
constexpr long kIoplCall = 172;
constexpr long kAllPorts = 3;

long system_call(long number, long argument) {
  long result;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(argument)
               : "rcx", "r11", "memory");
  return result;
}

void write_port(std::uint16_t port, std::uint8_t value) {
  asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

std::uint8_t read_port(std::uint16_t port) {
  std::uint8_t value;
  asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}

void print(char c) {
  while ((read_port(kSerialLineStatus) & kTransmitterEmpty) == 0) {
  }
  write_port(kSerialData, static_cast<std::uint8_t>(c));
}

void print_decimal(std::uint64_t value) {
  char digits[20];
  int count = 0;
  do {
    digits[count++] = static_cast<char>('0' + value % 10);
    value /= 10;
  } while (value != 0);
  while (count > 0) print(digits[--count]);
}

}  // namespace

extern "C" [[noreturn]] void report(std::uint64_t instructions) {
  // Without the ports the process dies here, the kernel panics over its init,
  // and the script sees a machine that ended without a figure.
  system_call(kIoplCall, kAllPorts);
  for (const char* text = "boot-instructions "; *text != '\0'; ++text) {
    print(*text);
  }
  print_decimal(instructions);
  print('\n');
  write_port(kDebugExit, 0);
  __builtin_trap();
}

asm(R"(
  .globl _start
_start:
  rdtsc
  shlq $32, %rdx
  leaq (%rax,%rdx), %rdi
  andq $-16, %rsp
  call report
)");
