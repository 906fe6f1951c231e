// SPDX-License-Identifier: BSD-3-Clause
// Where the kernel's own image lies: the linker script's marks (kernel.ld).
//
// Contexts: any. Addresses are virtual unless a name says physical.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {
extern const char text_begin[], text_end[];
extern const char rodata_begin[], rodata_end[];
extern const char data_begin[], data_end[];
extern const char symbols_begin[], symbols_used_end[], symbols_end[];
extern const char kernel_begin[], kernel_end[];
extern char boot_stack_guard[], boot_stack_top[];
extern char fault_stack_guard[], fault_stack_top[];
extern char nmi_stack_guard[], nmi_stack_top[];
extern char machine_check_stack_guard[], machine_check_stack_top[];
extern char monitor_stack_guard[], monitor_stack_top[];
extern char sync_stack_guard[], sync_stack_top[];
}

namespace odo::x86 {

inline constexpr std::uint64_t kKernelOffset = 0xffffffff80000000;
inline constexpr std::size_t kPageBytes = 4096;

inline std::uint64_t address_of(const void* p) {
  return reinterpret_cast<std::uint64_t>(p);
}
inline std::uint64_t image_physical(const void* p) {
  return address_of(p) - kKernelOffset;
}

}  // namespace odo::x86
