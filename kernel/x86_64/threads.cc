// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/threads.h"

#include <array>
#include <atomic>
#include <bit>

#include "kernel/x86_64/cpu.h"
#include "kernel/x86_64/heap.h"
#include "kernel/x86_64/per_cpu.h"
#include "kernel/x86_64/smp.h"
#include "kernel/x86_64/traps.h"
#include "kernel/x86_64/vectors.h"
#include "lib/base/check.h"
#include "lib/lwkt/sleep.h"

namespace odo::x86 {
namespace {

using Attention = lwkt::Attention<LwktGround>;
using Sleepers = lwkt::Sleepers<LwktGround>;

constinit KernelSystem* threads = nullptr;

// What a vector's thread does, and whether there is something for it.
struct Service {
  void (*serve)(void* context);
  void* context;
  std::atomic<bool> is_due;
};
constinit std::array<Service, kVectors> services{};

[[noreturn]] void run_this_cpu() {
  enable_interrupts();
  this_thread_cpu().run();
  stop_with("the kernel's threads have ended");
}

// A thread's entry, for ever.
void serve_interrupts(KernelThread& self, void* service) {
  auto& mine = *static_cast<Service*>(service);
  for (;;) {
    Sleepers::interlock(self, &mine);
    // Acquire, with the release of the handler; a device says by itself what it
    // has for us.
    if (mine.is_due.exchange(false, std::memory_order_acquire)) {
      Sleepers::cancel(self);
      mine.serve(mine.context);
    } else {
      Sleepers::sleep(self, &mine);
    }
  }
}

void raise_here(std::uint32_t bits) {
  if (threads == nullptr) return;
  KernelCpu& cpu = this_thread_cpu();
  cpu.attention().raise(cpu.ground(), cpu.index(), bits);
}

}  // namespace

std::size_t thread_system_bytes(unsigned cpus) {
  return KernelSystem::storage_bytes(cpus);
}

KernelSystem& start_threads() {
  const unsigned cpus = running_cpus();
  const auto storage = kernel_heap().allocate_bytes(
      KernelSystem::storage_bytes(cpus), KernelSystem::storage_alignment());
  if (!storage.empty()) {
    threads = kernel_heap().make<KernelSystem>(storage, cpus);
  }
  if (threads == nullptr) {
    stop_with("no memory for threads: give the machine more");
  }
  release_cpus(run_this_cpu);
  return *threads;
}

void run_threads() { run_this_cpu(); }

bool has_threads() { return threads != nullptr; }

const char* running_thread(unsigned cpu) {
  if (!has_threads() || cpu >= threads->cpus()) return nullptr;
  return threads->cpu(cpu).current().name();
}

KernelCpu& this_thread_cpu() { return threads->cpu(this_cpu().index); }

void start_interrupt_thread(std::uint8_t vector, const char* name,
                            void (*serve)(void* context), void* context) {
  constexpr std::size_t kStackBytes = 16 * 1024;
  Service& service = services[vector];
  service.serve = serve;
  service.context = context;
  const auto made =
      this_thread_cpu().create(serve_interrupts, &service,
                               {.name = name,
                                .priority = lwkt::kInterruptMedium,
                                .stack_bytes = kStackBytes});
  if (!made) stop_with("no memory for an interrupt's thread");
  this_thread_cpu().start(**made);
}

void on_device_interrupt(void* vector) {
  const auto number = reinterpret_cast<std::uintptr_t>(vector);
  services[number].is_due.store(true, std::memory_order_release);
  // Relaxed: only this CPU reads it, in do_interrupts().
  this_cpu().due_vectors[number / 64].fetch_or(std::uint64_t{1} << number % 64,
                                               std::memory_order_relaxed);
  raise_here(Attention::kInterrupt);
}

void on_timer(void* /*unused*/) { raise_here(Attention::kTimer); }

// Here, and not in the handlers: what was interrupted may have been in the
// middle of the lists that a wake-up changes.
void LwktGround::do_interrupts(unsigned /*cpu*/) const {
  for (std::size_t i = 0; i < kVectors / 64; ++i) {
    std::uint64_t due =
        this_cpu().due_vectors[i].exchange(0, std::memory_order_relaxed);
    for (; due != 0; due &= due - 1) {
      const auto vector =
          i * 64 + static_cast<std::size_t>(std::countr_zero(due));
      Sleepers::wakeup(this_thread_cpu().current(), &services[vector]);
    }
  }
}

void after_interrupt() {
  PerCpu& here = this_cpu();
  if (here.note == nullptr || here.note->ends_interrupt) return;
  ThreadNote& note = *here.note;
  KernelCpu& cpu = this_thread_cpu();
  // Further interrupts on this stack leave their work to this loop, so that no
  // more than one of them nests, however fast they come.
  note.ends_interrupt = true;
  while (cpu.current().critical_depth() == 0 && cpu.attention().any()) {
    enable_interrupts();
    cpu.interrupted();
    disable_interrupts();
  }
  note.ends_interrupt = false;
}

}  // namespace odo::x86
