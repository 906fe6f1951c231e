// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/power.h"

#include <algorithm>

#include "kernel/x86_64/cpu.h"
#include "kernel/x86_64/features.h"
#include "kernel/x86_64/paging.h"
#include "kernel/x86_64/serial16550.h"
#include "lib/acpi/sleep.h"
#include "lib/acpi/tables.h"

namespace odo::x86 {
namespace {

constexpr std::uint16_t kDebugExitPort = 0xf4;
constexpr std::uint16_t kResetControlPort = 0xcf9;
constexpr std::uint16_t kKeyboardCommandPort = 0x64;
// How long a request to the chipset may take to act: well over a million
// port reads of about a microsecond each.
constexpr unsigned kActionSpins = 2'000'000;

constinit acpi::Fadt fadt{};

void linger() {
  for (unsigned i = 0; i < kActionSpins; ++i) {
    static_cast<void>(in8(0x80));  // a port that nothing minds being read
  }
}

void write_port_register(const acpi::Register& reg, std::uint16_t value) {
  if (reg.space != acpi::Space::kPort || reg.address > 0xffff) return;
  out16(static_cast<std::uint16_t>(reg.address), value);
}

void drain_ports() {
  console_port.drain();
  output_port.drain();
}

// QEMU's isa-debug-exit ends the machine here, if there is one.
void exit_under_qemu(std::uint8_t status) {
  constexpr std::uint8_t kMaxStatus = 127;
  // Real chipsets keep x87 latches near this port.
  if (!features().has_hypervisor) return;
  out32(kDebugExitPort, std::min(status, kMaxStatus));
}

// The sleep type is looked for only now: most boots end otherwise, and the
// table that has it is the largest of all.
void power_off_by_acpi() {
  FirmwareMemory memory;
  const auto dsdt = acpi::read_table(memory, fadt.dsdt_address, "DSDT");
  if (!dsdt) return;
  const auto type = acpi::find_power_off_type(*dsdt);
  if (!type) return;
  write_port_register(fadt.power.pm1a_control, acpi::sleep_control(type->pm1a));
  write_port_register(fadt.power.pm1b_control, acpi::sleep_control(type->pm1b));
  linger();
}

void reset_by_acpi() {
  const acpi::Register& reg = fadt.power.reset;
  if (reg.space != acpi::Space::kPort || reg.address > 0xffff) return;
  out8(static_cast<std::uint16_t>(reg.address), fadt.power.reset_value);
  linger();
}

void reset_by_chipset() {
  out8(kResetControlPort, 0x02);  // hard reset, then the edge that starts it
  out8(kResetControlPort, 0x06);
  linger();
}

void reset_by_keyboard_controller() {
  out8(kKeyboardCommandPort, 0xfe);
  linger();
}

// With no descriptor table the next trap cannot be delivered, nor the fault
// that this is, nor the double fault: the CPU shuts down and restarts.
void reset_by_triple_fault() {
  struct [[gnu::packed]] {
    std::uint16_t limit;
    std::uint64_t base;
  } const nothing{0, 0};
  asm volatile("lidt %0; int3" : : "m"(nothing));
}

}  // namespace

void set_power_control(const acpi::Fadt& table) { fadt = table; }

void stop_machine(std::uint8_t status) {
  drain_ports();
  exit_under_qemu(status);
  halt_forever();
}

void power_off(std::uint8_t status) {
  drain_ports();
  if (status != 0) exit_under_qemu(status);
  power_off_by_acpi();
  exit_under_qemu(status);
}

void reset_machine() {
  drain_ports();
  reset_by_acpi();
  reset_by_chipset();
  reset_by_keyboard_controller();
  reset_by_triple_fault();
}

}  // namespace odo::x86
