// SPDX-License-Identifier: BSD-3-Clause
// Stacks that are made as they are needed: of threads, and of CPUs but the one
// that boots, whose lie in the image (stacks.h). Each stands alone in a slot of
// the stack window, at its upper end; nothing below it in the slot is mapped.
//
// Contexts: thread and boot, any CPU; the questions: any.
// Ownership: the caller's until it is given back. What is given back stays
//   mapped, for the next one of its size: so nothing is ever unmapped, and no
//   CPU has to be told.
// Shapes: whole pages, up to kMostStackBytes; kMaxStacks of them.
// Failure: empty when there is no memory or no slot.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace odo::x86 {

inline constexpr std::size_t kStackSlotBytes = std::size_t{128} << 10;
// At least a page of each slot is its guard.
inline constexpr std::size_t kMostStackBytes = kStackSlotBytes - 4096;
inline constexpr std::size_t kMaxStacks = 4096;

// Of at least so many bytes. `name` is a literal, for reports.
[[nodiscard]] std::span<std::byte> map_kernel_stack(std::size_t bytes,
                                                    const char* name);
void free_kernel_stack(std::span<std::byte> stack);

// Whether so many bytes from `address` on lie on one of them.
[[nodiscard]] bool is_on_kernel_stack(std::uint64_t address,
                                      std::size_t bytes = 1);
// Of an address that does. Each stack is contiguous in physical memory.
[[nodiscard]] std::uint64_t kernel_stack_physical(std::uint64_t address);
// The stack under which an address that is not mapped lies; null if none.
[[nodiscard]] const char* kernel_stack_above(std::uint64_t address);

}  // namespace odo::x86
