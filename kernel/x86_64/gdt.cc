// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/gdt.h"

#include "kernel/x86_64/cpu.h"
#include "kernel/x86_64/image.h"
#include "kernel/x86_64/per_cpu.h"

namespace odo::x86 {
namespace {

constexpr std::uint32_t kGsBaseMsr = 0xc0000101;

struct [[gnu::packed]] TablePointer {
  std::uint16_t limit;
  const void* base;
};

}  // namespace

constinit PerCpu boot_cpu{};

void set_fault_stacks(PerCpu& cpu, const void* fault_top, const void* nmi_top,
                      const void* machine_check_top) {
  TaskState& task_state = cpu.segments.task_state;
  task_state.interrupt_stacks[kFaultStack - 1] = address_of(fault_top);
  task_state.interrupt_stacks[kNmiStack - 1] = address_of(nmi_top);
  task_state.interrupt_stacks[kMachineCheckStack - 1] =
      address_of(machine_check_top);
}

void load_segments(PerCpu& cpu) {
  TaskState& task_state = cpu.segments.task_state;
  task_state.io_map_offset = sizeof(TaskState);  // none

  const auto base = reinterpret_cast<std::uint64_t>(&task_state);
  constexpr std::uint64_t kAvailable64BitTask = 0x89;
  auto& descriptors = cpu.segments.descriptors;
  descriptors[3] = (sizeof(TaskState) - 1) | ((base & 0xffffff) << 16) |
                   (kAvailable64BitTask << 40) | ((base >> 24 & 0xff) << 56);
  descriptors[4] = base >> 32;

  const TablePointer pointer{sizeof(descriptors) - 1, descriptors.data()};
  asm volatile(
      "lgdt %0\n"
      "push %1\n"
      "lea 1f(%%rip), %%rax\n"
      "push %%rax\n"
      "lretq\n"
      "1:\n"
      "mov %2, %%ss\n"
      "mov %2, %%ds\n"
      "mov %2, %%es\n"
      "ltr %w3\n"
      :
      : "m"(pointer), "i"(kKernelCode), "r"(std::uint32_t{kKernelData}),
        "r"(std::uint32_t{kTaskState})
      : "rax", "memory");
  write_msr(kGsBaseMsr, reinterpret_cast<std::uint64_t>(&cpu));
}

}  // namespace odo::x86
