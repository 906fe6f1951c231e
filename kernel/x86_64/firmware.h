// SPDX-License-Identifier: BSD-3-Clause
// What the firmware's ACPI tables say about this machine, as far as it is
// asked.
//
// Contexts: boot, after the page tables are installed.
// Failure: what is missing or damaged is absent; a table that is there but
//   damaged is told on the console.
#pragma once

#include <cstdint>
#include <optional>

#include "lib/acpi/fadt.h"
#include "lib/acpi/hpet.h"
#include "lib/acpi/madt.h"
#include "lib/acpi/mcfg.h"
#include "lib/boot/boot_info.h"

namespace odo::x86 {

struct Firmware {
  acpi::Fadt fadt;
  std::optional<acpi::EcamRegion> ecam;  // of segment 0
  const acpi::Madt* madt = nullptr;      // null where there is none
  std::optional<std::uint64_t> hpet;     // address of its registers
};

[[nodiscard]] Firmware read_firmware(const boot::BootInfo& info);

}  // namespace odo::x86
