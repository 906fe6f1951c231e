// SPDX-License-Identifier: BSD-3-Clause
// The stacks in the image, each above a page that is never mapped.
//
// Contexts: any.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "kernel/x86_64/image.h"

namespace odo::x86 {

struct Stack {
  std::string_view name;
  char* guard;
  char* top;

  [[nodiscard]] char* bottom() const { return guard + kPageBytes; }
  [[nodiscard]] std::span<std::byte> memory() const {
    return {reinterpret_cast<std::byte*>(bottom()),
            static_cast<std::size_t>(top - bottom())};
  }
  [[nodiscard]] bool holds(std::uint64_t address, std::size_t bytes) const {
    return address >= address_of(bottom()) &&
           address + bytes <= address_of(top);
  }
};

// In the order of their addresses.
enum class StackOf : std::uint8_t {
  kBoot,
  kFault,
  kNmi,
  kMachineCheck,
  kMonitor,
  kSync
};
inline constexpr std::size_t kStacks = 6;

[[nodiscard]] inline std::array<Stack, kStacks> stacks() {
  return {Stack{"boot", boot_stack_guard, boot_stack_top},
          Stack{"fault", fault_stack_guard, fault_stack_top},
          Stack{"NMI", nmi_stack_guard, nmi_stack_top},
          Stack{"machine check's", machine_check_stack_guard,
                machine_check_stack_top},
          Stack{"monitor", monitor_stack_guard, monitor_stack_top},
          Stack{"sync", sync_stack_guard, sync_stack_top}};
}
[[nodiscard]] inline Stack stack(StackOf which) {
  return stacks()[static_cast<std::size_t>(which)];
}

}  // namespace odo::x86
