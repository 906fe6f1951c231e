// SPDX-License-Identifier: BSD-3-Clause
// The machine's PCI functions, and which driver took each.
//
// Contexts: boot, then one thread.
// Shapes: at most kMaxFunctions are kept for showing; all are offered to
//   drivers.
#pragma once

#include <cstddef>
#include <string_view>

#include "kernel/x86_64/firmware.h"
#include "lib/pci/config.h"

namespace odo::x86 {

inline constexpr std::size_t kMaxFunctions = 256;

struct FoundFunction {
  pci::Function function;
  std::string_view driver;  // empty where none took it
};

// Walks the buses once and starts the drivers of what is there.
void find_devices(const Firmware& firmware);

[[nodiscard]] std::size_t function_count();
[[nodiscard]] const FoundFunction& found_function(std::size_t index);

}  // namespace odo::x86
