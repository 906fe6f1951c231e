// SPDX-License-Identifier: BSD-3-Clause
// Single instructions that C++ has no word for: ports, control and model
// registers, the cycle counter, halting, interrupts on and off.
//
// Contexts: any, ring 0.
// Origin: Intel SDM vol. 2 (each instruction under its own name).
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/base/bytes.h"

namespace odo::x86 {

// --- Ports ---
inline std::uint8_t in8(std::uint16_t port) {
  std::uint8_t value;
  asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}
inline std::uint16_t in16(std::uint16_t port) {
  std::uint16_t value;
  asm volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}
inline std::uint32_t in32(std::uint16_t port) {
  std::uint32_t value;
  asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}
inline void out8(std::uint16_t port, std::uint8_t value) {
  asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}
inline void out16(std::uint16_t port, std::uint16_t value) {
  asm volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}
inline void out32(std::uint16_t port, std::uint32_t value) {
  asm volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}
// One byte after the other through the same port.
inline void in_bytes(std::uint16_t port, MutableBytes bytes) {
  void* to = bytes.data();
  std::size_t count = bytes.size();
  asm volatile("rep insb" : "+D"(to), "+c"(count) : "d"(port) : "memory");
}
inline void out_bytes(std::uint16_t port, Bytes bytes) {
  const void* from = bytes.data();
  std::size_t count = bytes.size();
  asm volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(port) : "memory");
}

// --- Control registers ---
inline std::uint64_t read_cr0() {
  std::uint64_t value;
  asm volatile("mov %%cr0, %0" : "=r"(value));
  return value;
}
inline void write_cr0(std::uint64_t value) {
  asm volatile("mov %0, %%cr0" : : "r"(value) : "memory");
}
inline std::uint64_t read_cr2() {
  std::uint64_t value;
  asm volatile("mov %%cr2, %0" : "=r"(value));
  return value;
}
inline std::uint64_t read_cr3() {
  std::uint64_t value;
  asm volatile("mov %%cr3, %0" : "=r"(value));
  return value;
}
inline void write_cr3(std::uint64_t value) {
  asm volatile("mov %0, %%cr3" : : "r"(value) : "memory");
}
inline std::uint64_t read_cr4() {
  std::uint64_t value;
  asm volatile("mov %%cr4, %0" : "=r"(value));
  return value;
}
inline void write_cr4(std::uint64_t value) {
  asm volatile("mov %0, %%cr4" : : "r"(value) : "memory");
}

// --- Model-specific registers ---
inline std::uint64_t read_msr(std::uint32_t index) {
  std::uint32_t low;
  std::uint32_t high;
  asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
  return (std::uint64_t{high} << 32) | low;
}
inline void write_msr(std::uint32_t index, std::uint64_t value) {
  asm volatile("wrmsr"
               :
               : "c"(index), "a"(static_cast<std::uint32_t>(value)),
                 "d"(static_cast<std::uint32_t>(value >> 32))
               : "memory");
}

// --- CPUID ---
struct CpuidResult {
  std::uint32_t eax;
  std::uint32_t ebx;
  std::uint32_t ecx;
  std::uint32_t edx;
};
inline CpuidResult cpuid(std::uint32_t leaf, std::uint32_t subleaf = 0) {
  CpuidResult r;
  asm volatile("cpuid"
               : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
               : "a"(leaf), "c"(subleaf));
  return r;
}

// --- Time, waiting, interrupts ---
inline std::uint64_t read_tsc() {
  std::uint32_t low;
  std::uint32_t high;
  asm volatile("rdtsc" : "=a"(low), "=d"(high));
  return (std::uint64_t{high} << 32) | low;
}
inline void pause() { asm volatile("pause"); }
inline void disable_interrupts() { asm volatile("cli" : : : "memory"); }
inline void enable_interrupts() { asm volatile("sti" : : : "memory"); }
// Turns interrupts on and halts as one step: an interrupt that became pending
// after the caller's last look still ends the halt. Off again on return.
inline void wait_for_interrupt() {
  asm volatile("sti; hlt; cli" : : : "memory");
}
// Keeps interrupts off for as long as it lives; then they are as before.
class InterruptsOff {
 public:
  InterruptsOff() {
    asm volatile("pushfq; pop %0; cli" : "=r"(flags_) : : "memory");
  }
  ~InterruptsOff() {
    constexpr std::uint64_t kInterruptFlag = 1 << 9;
    if ((flags_ & kInterruptFlag) != 0) enable_interrupts();
  }
  InterruptsOff(const InterruptsOff&) = delete;
  InterruptsOff& operator=(const InterruptsOff&) = delete;

 private:
  std::uint64_t flags_;
};
inline void invalidate_page(const void* address) {
  asm volatile("invlpg (%0)" : : "r"(address) : "memory");
}
[[noreturn]] inline void halt_forever() {
  for (;;) asm volatile("cli; hlt" : : : "memory");
}

}  // namespace odo::x86
