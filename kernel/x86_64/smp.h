// SPDX-License-Identifier: BSD-3-Clause
// The other CPUs: started all at once, while the boot CPU goes on with its
// devices, and then counted.
//
// Contexts: begin_cpus() and finish_cpus() at boot; the rest any.
// Shapes: kMaxCpus at most. CPU 0 is the one that boots; the others come in the
//   order of the MADT.
// Failure: a CPU for which there is no memory, which cannot be named, or which
//   does not answer in time is told in one line and left out.
// Origin: Intel SDM vol. 3 §9.4 (INIT, startup interrupt); MultiProcessor
//   Specification 1.4 appendix B.4.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernel/x86_64/firmware.h"
#include "kernel/x86_64/per_cpu.h"

namespace odo::x86 {

// For tests: a CPU that does not do what it should.
enum class CpuDrill : std::uint8_t {
  kNone,
  kSilent,  // the last one is never told to start
  kLate,    // the last one starts after it was given up
  kDeaf,    // the last one is there, and then does nothing that it is told
};

// At most `most` are to run, this one included. After init_interrupts().
void begin_cpus(const Firmware& firmware, std::uint32_t most, CpuDrill drill);
// Waits for those that were told to start. From here on the numbers below are
// what they are.
void finish_cpus();

[[nodiscard]] unsigned running_cpus();
// `index` is below running_cpus().
[[nodiscard]] PerCpu& cpu_of(unsigned index);

// What became of each that the firmware names; the boot CPU alone where it
// names none.
enum class CpuFate : std::uint8_t {
  kRunning,
  kSilent,   // did not answer
  kLeftOut,  // by cpus=, for want of memory, or because it cannot be named
};
struct CpuRecord {
  std::uint32_t apic_id;
  CpuFate fate;
  unsigned index;  // of one that runs
};
[[nodiscard]] std::size_t known_cpus();
[[nodiscard]] CpuRecord known_cpu(std::size_t number);

// The others are halted until this is called; then each calls `work`, which
// does not return, with interrupts off. Once.
using CpuWork = void (*)();
void release_cpus(CpuWork work);

// For a report: the others halt for good. Returns when they do, or have had
// time enough to.
void stop_other_cpus();
// The end of another CPU, on that: in the NMI, at this instruction.
[[noreturn]] void stop_this_cpu(std::uint64_t rip);

}  // namespace odo::x86
