// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/local_apic.h"

#include <cstddef>

#include "kernel/x86_64/cpu.h"
#include "kernel/x86_64/features.h"
#include "kernel/x86_64/image.h"
#include "kernel/x86_64/log.h"
#include "kernel/x86_64/paging.h"
#include "kernel/x86_64/per_cpu.h"
#include "kernel/x86_64/traps.h"
#include "kernel/x86_64/vectors.h"
#include "lib/acpi/madt.h"
#include "lib/apic/local_apic.h"

namespace odo::x86 {
namespace {

constexpr std::uint32_t kApicBaseMsr = 0x1b;
constexpr std::uint64_t kBaseX2 = 1u << 10;
constexpr std::uint64_t kBaseEnabled = 1u << 11;
constexpr std::uint64_t kBaseAddress = 0x000ffffffffff000;

constinit bool is_x2 = false;
constinit volatile std::byte* page = nullptr;  // an xAPIC's registers
// The pin by which NMIs come to every CPU; kNoPin for none.
constexpr unsigned kNoPin = ~0u;
constinit unsigned nmi_pin = kNoPin;
constinit bool is_nmi_active_low = false;

class Registers {
 public:
  [[nodiscard]] bool is_x2apic() const { return is_x2; }
  [[nodiscard]] std::uint32_t read(apic::Register reg) const {
    if (is_x2) {
      return static_cast<std::uint32_t>(read_msr(apic::x2apic_msr(reg)));
    }
    return *word(reg);
  }
  void write(apic::Register reg, std::uint32_t value) const {
    if (is_x2) {
      write_msr(apic::x2apic_msr(reg), value);
    } else {
      *word(reg) = value;
    }
  }
  void write_wide(apic::Register reg, std::uint64_t value) const {
    // Unlike a store to an xAPIC's page, this may be seen before what was
    // written earlier.
    asm volatile("mfence; lfence" : : : "memory");
    write_msr(apic::x2apic_msr(reg), value);
  }
  void relax() const { pause(); }

 private:
  [[nodiscard]] static volatile std::uint32_t* word(apic::Register reg) {
    return reinterpret_cast<volatile std::uint32_t*>(
        page + static_cast<std::size_t>(reg));
  }
};

using Apic = apic::LocalApic<Registers>;
[[nodiscard]] Apic own() { return Apic(Registers()); }

// As an x2APIC or not; false where its registers cannot be reached.
[[nodiscard]] bool reach(std::uint64_t base, bool as_x2) {
  is_x2 = as_x2;
  // Where it is, not where the MADT says that it was.
  if (!is_x2) page = map_device(base & kBaseAddress, kPageBytes);
  return is_x2 || page != nullptr;
}

void ignore(void* /*context*/) {}

// What firmware left, or INIT, made to what this kernel uses. x2APIC cannot be
// left again but by turning the whole APIC off.
void enter_mode() {
  std::uint64_t base = read_msr(kApicBaseMsr) | kBaseEnabled;
  write_msr(kApicBaseMsr, base);
  if (is_x2) write_msr(kApicBaseMsr, base | kBaseX2);
}

void on_error(void* /*context*/) {
  log("odo: CPU ", this_cpu().index, ": APIC errors 0x",
      Hex{own().take_errors(), 2}, "\n");
}

}  // namespace

bool init_local_apic(const Firmware& firmware) {
  if (!features().has_apic) return false;
  const std::uint64_t base = read_msr(kApicBaseMsr);
  if (!reach(base, features().has_x2apic || (base & kBaseX2) != 0)) {
    return false;
  }
  for (const acpi::LocalNmi& nmi : firmware.madt->local_nmis()) {
    if (nmi.uid != acpi::Madt::kAllProcessors) continue;
    nmi_pin = nmi.pin;
    is_nmi_active_low = nmi.polarity == acpi::Polarity::kLow;
  }
  set_interrupt_handler(kSpuriousVector, ignore, nullptr);
  set_interrupt_handler(kApicErrorVector, on_error, nullptr);
  start_local_apic();
  return true;
}

void start_local_apic() {
  enter_mode();
  Apic apic = own();
  apic.start({.spurious = kSpuriousVector, .error = kApicErrorVector});
  if (nmi_pin != kNoPin) apic.pass_nmi(nmi_pin, is_nmi_active_low);
}

void pass_pics_through() {
  if (!features().has_apic) return;
  const std::uint64_t base = read_msr(kApicBaseMsr);
  if ((base & kBaseEnabled) == 0 || !reach(base, (base & kBaseX2) != 0)) return;
  set_interrupt_handler(kSpuriousVector, ignore, nullptr);
  own().pass_external(kSpuriousVector);
}

std::uint32_t local_apic_id() { return own().id(); }
bool can_interrupt(std::uint32_t apic_id) { return own().can_name(apic_id); }

void end_of_apic_interrupt() { own().end_of_interrupt(); }

bool send_interrupt(std::uint32_t apic_id, std::uint8_t vector) {
  return own().send(apic_id, apic::fixed_command(vector));
}
bool send_init(std::uint32_t apic_id) {
  return own().send(apic_id, apic::kInitCommand);
}
bool send_startup(std::uint32_t apic_id, std::uint64_t physical) {
  return own().send(apic_id, apic::startup_command(physical));
}
bool send_nmi(std::uint32_t apic_id) {
  return own().send(apic_id, apic::kNmiCommand);
}

void use_apic_timer_once(std::uint8_t vector) {
  own().set_timer_vector(vector, apic::kTimerOnce);
}
void use_apic_timer_deadline(std::uint8_t vector) {
  own().set_timer_vector(vector, apic::kTimerTscDeadline);
  // The register below is not to be written before the mode is there.
  asm volatile("mfence" : : : "memory");
}
void set_apic_timer_divide(std::uint32_t divide) {
  own().set_timer_divide(divide);
}
void start_apic_timer(std::uint32_t count) { own().start_timer(count); }
std::uint32_t apic_timer_left() { return own().timer_left(); }

}  // namespace odo::x86
