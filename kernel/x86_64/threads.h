// SPDX-License-Identifier: BSD-3-Clause
// The kernel's threads: lib/lwkt over all CPUs that run, and threads that serve
// interrupts.
//
//   KernelSystem& system = start_threads();  // from here on the others run
//   ... make and start threads of CPU 0 ...
//   run_threads();                           // and so does this one
//
// Contexts: start_threads() and run_threads() once, on the boot CPU;
//   start_interrupt_thread() on the boot CPU, before run_threads(), or in a
//   thread of that CPU. Interrupts are on in all threads.
// Failure: without memory for the CPUs' books the machine stops, and says so.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernel/x86_64/lwkt_ground.h"
#include "lib/lwkt/system.h"

namespace odo::x86 {

using KernelSystem = lwkt::System<LwktGround>;
using KernelCpu = lwkt::Cpu<LwktGround>;
using KernelThread = lwkt::Thread<LwktGround>;

// What the books of so many CPUs take.
[[nodiscard]] std::size_t thread_system_bytes(unsigned cpus);

[[nodiscard]] KernelSystem& start_threads();
[[noreturn]] void run_threads();

[[nodiscard]] bool has_threads();
// Who has the CPU, for reports; null before start_threads(). Of another CPU, if
// that stands still.
[[nodiscard]] const char* running_thread(unsigned cpu);

// The CPU that this runs on. After start_threads().
[[nodiscard]] KernelCpu& this_thread_cpu();

// A thread of the interrupt band on this CPU that calls `serve` after each
// interrupt of the vector, several of them maybe at once. The vector's handler
// is to be on_device_interrupt() with the vector as its context.
void start_interrupt_thread(std::uint8_t vector, const char* name,
                            void (*serve)(void* context), void* context);

// --- for interrupts ----------------------------------------------------------
// Handlers: the first has the vector as its context.
void on_device_interrupt(void* vector);
void on_timer(void* unused);
// The end of every interrupt, with interrupts off: does what is due on this CPU
// if what was interrupted allows it, else that will.
void after_interrupt();

}  // namespace odo::x86
