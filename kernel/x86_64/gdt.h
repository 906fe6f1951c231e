// SPDX-License-Identifier: BSD-3-Clause
// The boot CPU's segments and task state: what long mode still wants of them,
// and the separate stacks for faults that the running stack may have caused.
//
// Contexts: early boot, once, before the first trap.
// Origin: Intel SDM vol. 3 §3.5 and §8.7.
#pragma once

#include <cstdint>

namespace odo::x86 {

inline constexpr std::uint16_t kKernelCode = 0x08;
inline constexpr std::uint16_t kKernelData = 0x10;
inline constexpr std::uint16_t kTaskState = 0x18;

// Interrupt stack table slots; 0 means "the running stack".
inline constexpr std::uint8_t kFaultStack = 1;  // double fault, machine check
inline constexpr std::uint8_t kNmiStack = 2;

void load_gdt();

}  // namespace odo::x86
