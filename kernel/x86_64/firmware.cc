// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/firmware.h"

#include <cstdint>

#include "kernel/x86_64/log.h"
#include "kernel/x86_64/paging.h"
#include "lib/acpi/tables.h"

namespace odo::x86 {
namespace {

// Too large for a stack.
constinit std::optional<acpi::Madt> the_madt{};

[[nodiscard]] acpi::Result<acpi::Root> find_root(const boot::BootInfo& info,
                                                 FirmwareMemory& memory) {
  if (info.rsdp_size != 0) {
    return acpi::parse_root_pointer(
        Bytes(info.rsdp_bytes).first(info.rsdp_size));
  }
  if (info.rsdp_address == 0) return fail(acpi::Error::kNotFound);
  return acpi::parse_root_pointer(
      memory.view(info.rsdp_address, acpi::kRsdpV2Bytes));
}

// Absence is normal, damage is told.
void tell(std::string_view what, acpi::Error error) {
  if (error == acpi::Error::kNotFound) return;
  log("odo: ", what, ": ", acpi::describe(error), "; going on without\n");
}

}  // namespace

Firmware read_firmware(const boot::BootInfo& info) {
  Firmware firmware;
  FirmwareMemory memory;
  const auto root = find_root(info, memory);
  if (!root) {
    tell("ACPI root pointer", root.error());
    return firmware;
  }
  if (const auto table = acpi::find_table(memory, *root, "FACP")) {
    firmware.fadt = acpi::parse_fadt(*table);
  } else {
    tell("FADT", table.error());
  }
  if (const auto table = acpi::find_table(memory, *root, "MCFG")) {
    for (const acpi::EcamRegion& region : acpi::EcamRegions(*table).all()) {
      if (region.segment == 0 && !firmware.ecam) firmware.ecam = region;
    }
  } else {
    tell("MCFG", table.error());
  }
  if (const auto table = acpi::find_table(memory, *root, "HPET")) {
    firmware.hpet = acpi::hpet_address(*table);
  } else {
    tell("HPET", table.error());
  }
  if (const auto table = acpi::find_table(memory, *root, "APIC")) {
    const acpi::Madt& madt = the_madt.emplace(*table);
    if (madt.is_damaged()) {
      log("odo: MADT: entries that can't be; going on without those\n");
    }
    if (madt.left_out() != 0) {
      log("odo: MADT: ", madt.left_out(), " entries too many are left out\n");
    }
    firmware.madt = &madt;
  } else {
    tell("MADT", table.error());
  }
  return firmware;
}

}  // namespace odo::x86
