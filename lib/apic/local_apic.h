// SPDX-License-Identifier: BSD-3-Clause
// A CPU's local APIC: what to write into its registers so that interrupts come,
// go, and reach other CPUs. xAPIC and x2APIC differ in how registers are
// reached, which is the ground's, and in the words below.
//
//   LocalApic<Registers> apic(registers);      // on the CPU that it is of
//   apic.start({.spurious = 0xff, .error = 0xfe});
//   apic.send(other, fixed_command(0xf0));
//
// Contexts: the CPU's own, interrupts off.
// Failure: send() says false where the CPU cannot be named in this mode, or the
//   last command does not leave; the rest cannot fail.
// Complexity: O(1); waits are bounded.
// Origin: Intel SDM vol. 3 chapter 11 (2024 numbering: registers §11.4.1,
//   commands §11.6.1, x2APIC §11.12); AMD APM vol. 2 chapter 16.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>

namespace odo::apic {

// Offsets of an xAPIC's page; x2APIC has model-specific registers for them.
enum class Register : std::uint16_t {
  kId = 0x20,
  kVersion = 0x30,
  kTaskPriority = 0x80,
  kEndOfInterrupt = 0xb0,
  kDestinationFormat = 0xe0,  // xAPIC only
  kSpurious = 0xf0,
  kInService = 0x100,  // the first of eight
  kErrorStatus = 0x280,
  kCommand = 0x300,
  kCommandHigh = 0x310,  // xAPIC only
  kTimer = 0x320,
  kThermal = 0x330,
  kPerformance = 0x340,
  kLint0 = 0x350,
  kLint1 = 0x360,
  kError = 0x370,
  kTimerInitial = 0x380,
  kTimerCurrent = 0x390,
  kTimerDivide = 0x3e0
};

[[nodiscard]] constexpr std::uint32_t x2apic_msr(Register reg) {
  return 0x800 + static_cast<std::uint32_t>(reg) / 16;
}

// write_wide: the command register of an x2APIC. relax: a moment's rest.
template <class R>
concept LocalApicRegisters =
    std::copyable<R> && requires(R& registers, Register reg,
                                 std::uint32_t value, std::uint64_t wide) {
      { registers.is_x2apic() } -> std::same_as<bool>;
      { registers.read(reg) } -> std::same_as<std::uint32_t>;
      { registers.write(reg, value) } -> std::same_as<void>;
      { registers.write_wide(reg, wide) } -> std::same_as<void>;
      { registers.relax() } -> std::same_as<void>;
    };

// --- what is sent to other CPUs: the low half of a command -------------------
inline constexpr std::uint32_t kAssert = 1u << 14;
[[nodiscard]] constexpr std::uint32_t fixed_command(std::uint8_t vector) {
  return kAssert | vector;
}
inline constexpr std::uint32_t kNmiCommand = kAssert | 4u << 8;
inline constexpr std::uint32_t kInitCommand = kAssert | 5u << 8;
// Starts a CPU that INIT stopped, in real mode at the page's beginning; the
// page is below 1 MiB.
[[nodiscard]] constexpr std::uint32_t startup_command(std::uint64_t physical) {
  return kAssert | 6u << 8 | static_cast<std::uint32_t>(physical >> 12 & 0xff);
}

// The least id that an xAPIC cannot name: it means everybody.
inline constexpr std::uint32_t kXapicEverybody = 0xff;

// Which bits of a local vector say what.
inline constexpr std::uint32_t kMasked = 1u << 16;
inline constexpr std::uint32_t kDeliverNmi = 4u << 8;
inline constexpr std::uint32_t kDeliverExternal = 7u << 8;
inline constexpr std::uint32_t kActiveLow = 1u << 13;
inline constexpr std::uint32_t kTimerOnce = 0;
inline constexpr std::uint32_t kTimerTscDeadline = 2u << 17;

struct LocalVectors {
  std::uint8_t spurious;
  std::uint8_t error;
};

template <LocalApicRegisters R>
class LocalApic {
 public:
  explicit LocalApic(R registers) : registers_(registers) {}

  [[nodiscard]] std::uint32_t id() {
    const std::uint32_t value = registers_.read(Register::kId);
    return registers_.is_x2apic() ? value : value >> 24;
  }
  // Whether send() can name that CPU.
  [[nodiscard]] bool can_name(std::uint32_t apic_id) {
    return registers_.is_x2apic() ? apic_id != ~std::uint32_t{0}
                                  : apic_id < kXapicEverybody;
  }

  // Takes every interrupt from here on, but for its own sources and pins, which
  // are masked; what firmware left in service is ended.
  void start(const LocalVectors& vectors) {
    registers_.write(Register::kTaskPriority, 0);
    if (!registers_.is_x2apic()) {
      registers_.write(Register::kDestinationFormat, ~std::uint32_t{0});
    }
    registers_.write(Register::kTimer, kMasked);
    registers_.write(Register::kLint0, kMasked);
    registers_.write(Register::kLint1, kMasked);
    // How many local vectors there are, less one.
    const std::uint32_t last = registers_.read(Register::kVersion) >> 16 & 0xff;
    if (last >= 4) registers_.write(Register::kPerformance, kMasked);
    if (last >= 5) registers_.write(Register::kThermal, kMasked);
    end_all_in_service();
    registers_.write(Register::kErrorStatus, 0);
    registers_.write(Register::kError, vectors.error);
    registers_.write(Register::kSpurious, kSoftwareEnabled | vectors.spurious);
  }
  // A pin by which NMIs come.
  void pass_nmi(unsigned pin, bool is_active_low) {
    registers_.write(pin == 0 ? Register::kLint0 : Register::kLint1,
                     kDeliverNmi | (is_active_low ? kActiveLow : 0));
  }

  // Instead of start(): by its first pin come the interrupts of a controller
  // that tells the vector itself. All else stays as it was.
  void pass_external(std::uint8_t spurious_vector) {
    registers_.write(Register::kSpurious, kSoftwareEnabled | spurious_vector);
    registers_.write(Register::kLint0, kDeliverExternal);
  }

  void end_of_interrupt() { registers_.write(Register::kEndOfInterrupt, 0); }
  // What went wrong since the last look, as bits.
  [[nodiscard]] std::uint32_t take_errors() {
    registers_.write(Register::kErrorStatus, 0);
    return registers_.read(Register::kErrorStatus);
  }

  [[nodiscard]] bool send(std::uint32_t apic_id, std::uint32_t command) {
    return can_name(apic_id) && put(apic_id, command);
  }

  // `how` is kTimerOnce or kTimerTscDeadline.
  void set_timer_vector(std::uint8_t vector, std::uint32_t how) {
    registers_.write(Register::kTimer, how | vector);
  }
  void set_timer_divide(std::uint32_t divide) {
    registers_.write(Register::kTimerDivide, divide);
  }
  void start_timer(std::uint32_t count) {
    registers_.write(Register::kTimerInitial, count);
  }
  [[nodiscard]] std::uint32_t timer_left() {
    return registers_.read(Register::kTimerCurrent);
  }

 private:
  static constexpr std::uint32_t kSoftwareEnabled = 1u << 8;
  static constexpr std::uint32_t kSendPending = 1u << 12;
  static constexpr unsigned kMaxSendLooks = 100'000;

  void end_all_in_service() {
    constexpr unsigned kWords = 8;
    constexpr unsigned kMostInService = 256;
    for (unsigned i = 0; i < kMostInService; ++i) {
      std::uint32_t any = 0;
      for (unsigned word = 0; word < kWords; ++word) {
        any |= registers_.read(static_cast<Register>(
            static_cast<unsigned>(Register::kInService) + word * 16));
      }
      if (any == 0) return;
      end_of_interrupt();
    }
  }

  [[nodiscard]] bool put(std::uint32_t apic_id, std::uint32_t command) {
    if (registers_.is_x2apic()) {
      registers_.write_wide(Register::kCommand,
                            std::uint64_t{apic_id} << 32 | command);
      return true;
    }
    // The last one must have left: writing over it would lose it.
    for (unsigned i = 0;
         (registers_.read(Register::kCommand) & kSendPending) != 0; ++i) {
      if (i == kMaxSendLooks) return false;
      registers_.relax();
    }
    registers_.write(Register::kCommandHigh, apic_id << 24);
    registers_.write(Register::kCommand, command);
    return true;
  }

  R registers_;
};

}  // namespace odo::apic
