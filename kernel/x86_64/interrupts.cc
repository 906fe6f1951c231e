// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/interrupts.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <span>

#include "kernel/x86_64/local_apic.h"
#include "kernel/x86_64/lock.h"
#include "kernel/x86_64/log.h"
#include "kernel/x86_64/paging.h"
#include "kernel/x86_64/per_cpu.h"
#include "kernel/x86_64/pic.h"
#include "kernel/x86_64/traps.h"
#include "kernel/x86_64/vectors.h"
#include "lib/acpi/madt.h"
#include "lib/apic/io_apic.h"

namespace odo::x86 {
namespace {

class Registers {
 public:
  explicit Registers(volatile std::byte* base) : base_(base) {}
  [[nodiscard]] std::uint32_t read(std::uint8_t index) const {
    *word(kIndex) = index;
    return *word(kWindow);
  }
  void write(std::uint8_t index, std::uint32_t value) const {
    *word(kIndex) = index;
    *word(kWindow) = value;
  }

 private:
  static constexpr std::size_t kIndex = 0;
  static constexpr std::size_t kWindow = 0x10;

  [[nodiscard]] volatile std::uint32_t* word(std::size_t offset) const {
    return reinterpret_cast<volatile std::uint32_t*>(base_ + offset);
  }

  volatile std::byte* base_;
};
using IoApic = apic::IoApic<Registers>;

constexpr std::size_t kIoApicBytes = 0x20;

// Around index and window.
constinit IrqLock lock{};
constinit std::array<volatile std::byte*, acpi::Madt::kMaxIoApics> io_apics{};
constinit std::array<apic::InputRange, acpi::Madt::kMaxIoApics> inputs{};
constinit std::size_t io_apic_count = 0;
constinit const acpi::Madt* madt = nullptr;
constinit bool uses_apic = false;
constinit std::atomic<unsigned> next_vector{kFirstDeviceVector};

void find_io_apics() {
  for (const acpi::IoApic& one : madt->io_apics()) {
    volatile std::byte* const base = map_device(one.address, kIoApicBytes);
    if (base == nullptr) {
      log("odo: I/O APIC at 0x", Hex{one.address}, " can't be reached\n");
      continue;
    }
    IoApic io_apic{Registers(base)};
    io_apic.mask_all();
    io_apics[io_apic_count] = base;
    inputs[io_apic_count++] = {one.first_interrupt, io_apic.inputs()};
  }
}

[[nodiscard]] bool route(const acpi::Interrupt& how, std::uint8_t vector) {
  const auto at =
      apic::find_input(std::span(inputs).first(io_apic_count), how.number);
  const auto entry = apic::redirection(how, vector, boot_cpu.apic_id);
  if (!at || !entry) return false;
  const IrqGuard guard(lock);
  return IoApic{Registers(io_apics[at->io_apic])}.route(at->input, *entry);
}

void set_handler(std::uint8_t vector, InterruptHandler handler) {
  set_interrupt_handler(
      vector, handler,
      reinterpret_cast<void*>(static_cast<std::uintptr_t>(vector)));
}

}  // namespace

void init_interrupts(const Firmware& firmware) {
  madt = firmware.madt;
  if (madt == nullptr || madt->has_pics()) mask_pics();
  uses_apic =
      madt != nullptr && !madt->io_apics().empty() && init_local_apic(firmware);
  if (uses_apic) {
    boot_cpu.apic_id = local_apic_id();
    find_io_apics();
  } else {
    pass_pics_through();
  }
}

bool has_apic() { return uses_apic; }

std::optional<std::uint8_t> new_device_vector() {
  const unsigned vector = next_vector.fetch_add(1, std::memory_order_relaxed);
  if (vector > kLastDeviceVector) return std::nullopt;
  return static_cast<std::uint8_t>(vector);
}

std::optional<std::uint8_t> route_isa_line(unsigned line,
                                           InterruptHandler handler) {
  if (!uses_apic) {
    const auto vector = static_cast<std::uint8_t>(kPicFirstVector + line);
    set_handler(vector, handler);
    unmask_pic_line(line);
    return vector;
  }
  const auto vector = new_device_vector();
  if (vector) {
    set_handler(*vector, handler);
    if (route(madt->isa_interrupt(line), *vector)) return vector;
  }
  log("odo: interrupt line ", line, " leads to no I/O APIC\n");
  return std::nullopt;
}

void end_of_interrupt(unsigned vector) {
  if (vector < kPicFirstVector + kPicLines) {
    acknowledge_pic(vector - kPicFirstVector);
  } else if (vector != kSpuriousVector) {
    end_of_apic_interrupt();
  }
}

}  // namespace odo::x86
