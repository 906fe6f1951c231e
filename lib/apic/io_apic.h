// SPDX-License-Identifier: BSD-3-Clause
// An I/O APIC: which of its inputs goes to which CPU, as which vector.
//
//   IoApic<Registers> io_apic(registers);
//   io_apic.mask_all();
//   io_apic.route(input, redirection(how, vector, apic_id));
//
// Contexts: one at a time, interrupts off: index and window are one pair.
// Failure: an input that the I/O APIC does not have is refused.
// Complexity: mask_all() linear in the inputs; the rest O(1).
// Origin: Intel 82093AA data sheet §3.0–3.2; Intel I/O Controller Hub manuals.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "lib/acpi/madt.h"

namespace odo::apic {

template <class R>
concept IoApicRegisters =
    std::copyable<R> &&
    requires(R& registers, std::uint8_t index, std::uint32_t value) {
      { registers.read(index) } -> std::same_as<std::uint32_t>;
      { registers.write(index, value) } -> std::same_as<void>;
    };

inline constexpr std::uint64_t kInputMasked = std::uint64_t{1} << 16;

// An unmasked entry: fixed delivery of `vector` to one CPU. Without interrupt
// remapping there is room for ids up to 254.
[[nodiscard]] constexpr std::optional<std::uint64_t> redirection(
    const acpi::Interrupt& how, std::uint8_t vector, std::uint32_t apic_id) {
  constexpr std::uint32_t kEverybody = 0xff;
  constexpr std::uint64_t kLineActiveLow = 1u << 13;
  constexpr std::uint64_t kLineIsLevel = 1u << 15;
  if (apic_id >= kEverybody) return std::nullopt;
  return std::uint64_t{apic_id} << 56 | vector |
         (how.polarity == acpi::Polarity::kLow ? kLineActiveLow : 0) |
         (how.trigger == acpi::Trigger::kLevel ? kLineIsLevel : 0);
}

template <IoApicRegisters R>
class IoApic {
 public:
  explicit IoApic(R registers) : registers_(registers) {}

  [[nodiscard]] unsigned inputs() {
    return (registers_.read(kVersion) >> 16 & 0xff) + 1;
  }
  void mask_all() {
    const unsigned count = inputs();
    for (unsigned i = 0; i < count; ++i) {
      registers_.write(low_of(i), static_cast<std::uint32_t>(kInputMasked));
    }
  }
  [[nodiscard]] bool route(unsigned input, std::uint64_t entry) {
    if (input >= inputs()) return false;
    // Masked while the halves do not belong together.
    registers_.write(low_of(input), static_cast<std::uint32_t>(kInputMasked));
    registers_.write(static_cast<std::uint8_t>(low_of(input) + 1),
                     static_cast<std::uint32_t>(entry >> 32));
    registers_.write(low_of(input), static_cast<std::uint32_t>(entry));
    return true;
  }
  // What route() gave it stays.
  void mask(unsigned input) { change(input, true); }
  void unmask(unsigned input) { change(input, false); }

 private:
  static constexpr std::uint8_t kVersion = 1;

  [[nodiscard]] static std::uint8_t low_of(unsigned input) {
    return static_cast<std::uint8_t>(0x10 + 2 * input);
  }
  void change(unsigned input, bool masked) {
    if (input >= inputs()) return;
    constexpr auto kBit = static_cast<std::uint32_t>(kInputMasked);
    const std::uint32_t low = registers_.read(low_of(input));
    registers_.write(low_of(input), masked ? low | kBit : low & ~kBit);
  }

  R registers_;
};

// The inputs of one I/O APIC, among all of the machine.
struct InputRange {
  std::uint32_t first;
  std::uint32_t count;
};
struct Input {
  std::size_t io_apic;
  unsigned input;
};
[[nodiscard]] constexpr std::optional<Input> find_input(
    std::span<const InputRange> io_apics, std::uint32_t number) {
  for (std::size_t i = 0; i < io_apics.size(); ++i) {
    if (number >= io_apics[i].first &&
        number - io_apics[i].first < io_apics[i].count) {
      return Input{i, number - io_apics[i].first};
    }
  }
  return std::nullopt;
}

}  // namespace odo::apic
