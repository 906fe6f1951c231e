// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/machine_check.h"

#include <cstdint>
#include <string_view>

#include "kernel/x86_64/cpu.h"
#include "kernel/x86_64/log.h"
#include "lib/machine_check/status.h"

namespace odo::x86 {
namespace {

namespace mc = machine_check;

constexpr std::uint32_t kCapabilitiesMsr = 0x179;
constexpr std::uint32_t kStatusMsr = 0x17a;
constexpr std::uint32_t kControlMsr = 0x17b;
// Four registers a bank.
constexpr std::uint32_t kBankControlMsr = 0x400;
constexpr std::uint32_t kBankStatusMsr = 0x401;
constexpr std::uint32_t kBankAddressMsr = 0x402;
constexpr std::uint32_t kBankMiscMsr = 0x403;
// Beyond that other registers begin.
constexpr unsigned kMostBanks = 32;

constexpr std::uint64_t kEverything = ~std::uint64_t{0};

// What this CPU has; CPUs of one machine may differ.
struct Support {
  bool has_exception;
  bool has_banks;
  bool owns_first_bank;  // else its control is the firmware's
};

[[nodiscard]] Support support() {
  const CpuidResult basic = cpuid(1);
  const unsigned family = basic.eax >> 8 & 15;
  const unsigned model = (basic.eax >> 4 & 15) | (basic.eax >> 12 & 0xf0);
  const bool has_exception = (basic.edx >> 7 & 1) != 0;
  return {has_exception, has_exception && (basic.edx >> 14 & 1) != 0,
          family != 6 || model >= 0x1a};
}

[[nodiscard]] mc::Capabilities capabilities() {
  return mc::Capabilities(read_msr(kCapabilitiesMsr));
}

[[nodiscard]] unsigned bank_count(mc::Capabilities has) {
  return has.banks() < kMostBanks ? has.banks() : kMostBanks;
}

void print_address(std::uint32_t at, mc::BankStatus status, bool has_kind) {
  if (status.has_address()) {
    log(", address 0x", Hex{read_msr(kBankAddressMsr + at), 16});
  }
  if (!status.has_misc()) return;
  const std::uint64_t misc = read_msr(kBankMiscMsr + at);
  if (status.has_address() && has_kind) {
    const mc::AddressKind kind(misc);
    log(" (", kind.name(), ", but for its low ", kind.unknown_bits(), " bits)");
  }
  log(", misc 0x", Hex{misc, 16});
}

void print_bank(unsigned bank, std::uint64_t word, mc::Capabilities has) {
  const std::uint32_t at = bank * 4;
  const mc::BankStatus status(word, has);
  log("  bank ", bank, ": ", mc::to_string(status.severity()), ": ");
  const mc::ErrorName name = status.name();
  for (const std::string_view part : name.parts) log(part);
  if (name.channel) log(", channel ", *name.channel);
  if (status.has_lost_others()) log(", others before it were lost");
  if (const auto count = status.corrected_count(); count && *count != 0) {
    log(", ", *count, " corrected");
  }
  log("; status 0x", Hex{word, 16});
  print_address(at, status, has.can_recover());
  log("\n");
}

}  // namespace

void enable_machine_checks() {
  constexpr std::uint64_t kCr4MachineCheck = 1u << 6;
  const Support has = support();
  if (has.has_banks) {
    const mc::Capabilities capable = capabilities();
    if (capable.has_control()) write_msr(kControlMsr, kEverything);
    for (unsigned bank = 0; bank < bank_count(capable); ++bank) {
      const std::uint32_t at = bank * 4;
      if (bank != 0 || has.owns_first_bank) {
        write_msr(kBankControlMsr + at, kEverything);
      }
      const std::uint64_t word = read_msr(kBankStatusMsr + at);
      if (mc::BankStatus(word, capable).is_valid()) {
        log("odo: a CPU has an error from before the machine was reset:\n");
        print_bank(bank, word, capable);
      }
      write_msr(kBankStatusMsr + at, 0);
    }
  }
  if (has.has_exception) write_cr4(read_cr4() | kCr4MachineCheck);
}

void print_machine_check() {
  if (!support().has_banks) return;
  const mc::GlobalStatus global(read_msr(kStatusMsr));
  log("  ", global.is_local() ? "for this CPU alone" : "for all CPUs",
      "; what ",
      global.is_at_instruction() ? "was to run next caused it"
                                 : "caused it ran elsewhere",
      global.can_go_on() ? "" : ", and can't go on", "\n");
  const mc::Capabilities capable = capabilities();
  for (unsigned bank = 0; bank < bank_count(capable); ++bank) {
    const std::uint64_t word = read_msr(kBankStatusMsr + bank * 4);
    if (mc::BankStatus(word, capable).is_valid()) {
      print_bank(bank, word, capable);
    }
  }
}

}  // namespace odo::x86
