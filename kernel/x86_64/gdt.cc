// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/gdt.h"

#include <array>
#include <cstddef>

#include "kernel/x86_64/image.h"

namespace odo::x86 {
namespace {

struct [[gnu::packed]] TaskState {
  std::uint32_t reserved0;
  std::uint64_t ring_stacks[3];
  std::uint64_t reserved1;
  std::uint64_t interrupt_stacks[7];
  std::uint64_t reserved2;
  std::uint16_t reserved3;
  std::uint16_t io_map_offset;
};
static_assert(sizeof(TaskState) == 104);
static_assert(offsetof(TaskState, interrupt_stacks) == 36);

constinit TaskState task_state{};

// Null, code, data, and the task state's descriptor of two words.
constinit std::array<std::uint64_t, 5> descriptors{0, 0x00af9b000000ffff,
                                                   0x00cf93000000ffff, 0, 0};

struct [[gnu::packed]] TablePointer {
  std::uint16_t limit;
  const void* base;
};

}  // namespace

void load_gdt() {
  task_state.interrupt_stacks[kFaultStack - 1] = address_of(fault_stack_top);
  task_state.interrupt_stacks[kNmiStack - 1] = address_of(nmi_stack_top);
  task_state.io_map_offset = sizeof(TaskState);  // none

  const auto base = reinterpret_cast<std::uint64_t>(&task_state);
  constexpr std::uint64_t kAvailable64BitTask = 0x89;
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
}

}  // namespace odo::x86
