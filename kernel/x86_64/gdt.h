// SPDX-License-Identifier: BSD-3-Clause
// A CPU's segments and task state: what long mode still wants of them, and the
// separate stacks for faults that the running stack may have caused.
//
// Contexts: each CPU, once, before its first trap.
// Origin: Intel SDM vol. 3 §3.5 and §8.7.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace odo::x86 {

inline constexpr std::uint16_t kKernelCode = 0x08;
inline constexpr std::uint16_t kKernelData = 0x10;
inline constexpr std::uint16_t kTaskState = 0x18;

// Interrupt stack table slots; 0 means "the running stack".
inline constexpr std::uint8_t kFaultStack = 1;  // double fault
inline constexpr std::uint8_t kNmiStack = 2;
inline constexpr std::uint8_t kMachineCheckStack = 3;

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

struct SegmentTables {
  TaskState task_state{};
  // Null, code, data, and the task state's descriptor of two words.
  std::array<std::uint64_t, 5> descriptors{0, 0x00af9b000000ffff,
                                           0x00cf93000000ffff, 0, 0};
};

struct PerCpu;

// Before load_segments(): where the CPU's traps find stacks.
void set_fault_stacks(PerCpu& cpu, const void* fault_top, const void* nmi_top,
                      const void* machine_check_top);
// From here on this is `cpu`: GS points at it.
void load_segments(PerCpu& cpu);

}  // namespace odo::x86
