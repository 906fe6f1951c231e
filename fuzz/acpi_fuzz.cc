// SPDX-License-Identifier: BSD-3-Clause
// Firmware's tables: the input is memory with a root pointer at its beginning.
// Check sums are made right first, so that what lies behind them is reached;
// then whatever is found is read, and so is the input as each table's content.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "lib/acpi/fadt.h"
#include "lib/acpi/hpet.h"
#include "lib/acpi/madt.h"
#include "lib/acpi/mcfg.h"
#include "lib/acpi/sleep.h"
#include "lib/acpi/tables.h"
#include "lib/acpi/testing/checksum.h"
#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/base/check.h"

namespace {

using odo::Bytes;
using odo::MutableBytes;
namespace acpi = odo::acpi;

struct Memory {
  MutableBytes bytes;

  [[nodiscard]] MutableBytes at(std::uint64_t address, std::size_t length) {
    if (address >= bytes.size()) return {};
    const MutableBytes rest = bytes.subspan(address);
    return rest.first(std::min(length, rest.size()));
  }
  [[nodiscard]] Bytes view(std::uint64_t address, std::size_t length) {
    return at(address, length);
  }
};

void fix_table(Memory& memory, std::uint64_t address) {
  constexpr std::size_t kSumAt = 9;
  const MutableBytes header = memory.at(address, acpi::kTableHeaderBytes);
  if (header.size() < acpi::kTableHeaderBytes) return;
  const auto length = odo::load_le<std::uint32_t>(header.data() + 4);
  const MutableBytes table = memory.at(address, length);
  if (table.size() == length && length > kSumAt)
    acpi::fix_checksum(table, kSumAt);
}

// Tables may overlap: then some sums stay wrong, as they may be.
void fix_sums(Memory& memory) {
  const MutableBytes pointer = memory.at(0, acpi::kRsdpV2Bytes);
  if (pointer.size() < acpi::kRsdpV2Bytes) return;
  acpi::fix_checksum(pointer.first(acpi::kRsdpV1Bytes), 8);
  acpi::fix_checksum(pointer, 32);
  const auto root = acpi::parse_root_pointer(pointer);
  if (!root) return;
  const Bytes list = memory.view(root->address, 256);
  for (std::size_t at = acpi::kTableHeaderBytes;
       at + root->entry_bytes <= list.size(); at += root->entry_bytes) {
    fix_table(memory, acpi::entry_address(*root, list.data() + at));
  }
  fix_table(memory, root->address);
}

void read_madt(Bytes table) {
  const acpi::Madt madt(table);
  const auto cpus = madt.processors();
  ODO_CHECK(cpus.size() <= acpi::Madt::kMaxProcessors);
  for (std::size_t i = 0; i < cpus.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      ODO_CHECK(cpus[i].apic_id != cpus[j].apic_id);
    }
  }
  for (const acpi::IoApic& io_apic : madt.io_apics()) {
    ODO_CHECK(io_apic.address != 0);
  }
  for (const acpi::LocalNmi& nmi : madt.local_nmis()) ODO_CHECK(nmi.pin <= 1);
}

void read_mcfg(Bytes table) {
  for (const acpi::EcamRegion& region : acpi::EcamRegions(table).all()) {
    ODO_CHECK(region.first_bus <= region.last_bus);
    ODO_CHECK(odo::checked_add(region.base, std::uint64_t{256} << 20));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  const Bytes input = std::as_bytes(std::span(data, size));
  read_madt(input);
  read_mcfg(input);
  if (const auto hpet = acpi::hpet_address(input)) {
    ODO_CHECK(odo::checked_add(*hpet, acpi::kHpetBytes));
  }
  (void)acpi::parse_fadt(input);

  std::vector<std::byte> bytes(input.begin(), input.end());
  Memory memory{bytes};
  fix_sums(memory);
  const auto root =
      acpi::parse_root_pointer(memory.view(0, acpi::kRsdpV2Bytes));
  if (!root) return 0;
  if (const auto table = acpi::find_table(memory, *root, "APIC")) {
    read_madt(*table);
  }
  if (const auto table = acpi::find_table(memory, *root, "MCFG")) {
    read_mcfg(*table);
  }
  if (const auto table = acpi::find_table(memory, *root, "FACP")) {
    const acpi::Fadt fadt = acpi::parse_fadt(*table);
    if (const auto dsdt = acpi::read_table(memory, fadt.dsdt_address, "DSDT")) {
      (void)acpi::find_power_off_type(*dsdt);
    }
  }
  return 0;
}
