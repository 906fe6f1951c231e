// SPDX-License-Identifier: BSD-3-Clause
// PCI configuration space: what a function says about itself, its base
// addresses, its capabilities, and which functions there are.
//
// Contexts: thread; one user of a function at a time. No state, no allocation.
// Shapes: offsets and lengths in bytes; at most 256 buses, 32 devices each, 8
//   functions each, 48 capabilities each.
// Failure: devices are input: lists that loop, bridges that point anywhere and
//   sizes that make no sense end a walk or leave an entry out.
// Complexity: enumerate() reads each existing bus once: at least 32 reads a
// bus. Origin: PCI Local Bus Specification 3.0 §6.1 (header), §6.2.5.1 (base
//   addresses), §6.7 (capabilities); PCI-to-PCI Bridge Architecture 1.2 §3.2.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "lib/base/bits.h"

namespace odo::pci {

struct Address {
  std::uint16_t segment = 0;
  std::uint8_t bus = 0;
  std::uint8_t device = 0;    // 0–31
  std::uint8_t function = 0;  // 0–7
  friend constexpr bool operator==(const Address&, const Address&) = default;
};

// Access to configuration space. `offset` is below 256 and aligned to the
// width; a function that does not exist reads as all ones.
template <class C>
concept ConfigSpace =
    requires(C& space, const Address& at, std::uint16_t offset,
             std::uint16_t half, std::uint32_t word) {
      { space.read32(at, offset) } -> std::same_as<std::uint32_t>;
      { space.write16(at, offset, half) } -> std::same_as<void>;
      { space.write32(at, offset, word) } -> std::same_as<void>;
    };

inline constexpr std::uint16_t kCommand = 0x04;
inline constexpr std::uint16_t kCommandPorts = 1u << 0;
inline constexpr std::uint16_t kCommandMemory = 1u << 1;
inline constexpr std::uint16_t kCommandBusMaster = 1u << 2;
inline constexpr std::uint16_t kCommandNoIntx = 1u << 10;

// A field of any width, from the aligned word that holds it.
template <ConfigSpace C>
[[nodiscard]] std::uint8_t read8(C& space, const Address& at,
                                 std::uint16_t offset) {
  const auto word = space.read32(at, static_cast<std::uint16_t>(offset & ~3u));
  return static_cast<std::uint8_t>(word >> (offset & 3u) * 8);
}
template <ConfigSpace C>
[[nodiscard]] std::uint16_t read16(C& space, const Address& at,
                                   std::uint16_t offset) {
  const auto word = space.read32(at, static_cast<std::uint16_t>(offset & ~3u));
  return static_cast<std::uint16_t>(word >> (offset & 2u) * 8);
}

enum class HeaderKind : std::uint8_t { kDevice, kBridge, kOther };

struct Function {
  Address address;
  std::uint16_t vendor_id = 0;
  std::uint16_t device_id = 0;
  std::uint8_t base_class = 0;
  std::uint8_t sub_class = 0;
  std::uint8_t interface = 0;
  std::uint8_t revision = 0;
  HeaderKind header = HeaderKind::kOther;
  bool has_more_functions = false;
  std::uint8_t secondary_bus = 0;  // bridges only
};

// nullopt where no function answers.
template <ConfigSpace C>
[[nodiscard]] std::optional<Function> read_function(C& space,
                                                    const Address& at) {
  const std::uint32_t ids = space.read32(at, 0x00);
  if ((ids & 0xffff) == 0xffff || ids == 0) return std::nullopt;
  const std::uint32_t classes = space.read32(at, 0x08);
  const std::uint8_t header = read8(space, at, 0x0e);
  Function function;
  function.address = at;
  function.vendor_id = static_cast<std::uint16_t>(ids);
  function.device_id = static_cast<std::uint16_t>(ids >> 16);
  function.base_class = static_cast<std::uint8_t>(classes >> 24);
  function.sub_class = static_cast<std::uint8_t>(classes >> 16);
  function.interface = static_cast<std::uint8_t>(classes >> 8);
  function.revision = static_cast<std::uint8_t>(classes);
  function.has_more_functions = (header & 0x80) != 0;
  switch (header & 0x7f) {
    case 0:
      function.header = HeaderKind::kDevice;
      break;
    case 1:
      function.header = HeaderKind::kBridge;
      function.secondary_bus = read8(space, at, 0x19);
      break;
    default:
      break;
  }
  return function;
}

// Calls `visit(const Function&)` for every function that can be reached from
// `first_bus`, without leaving [first_bus, last_bus]; each bus once.
template <ConfigSpace C, class Visitor>
void enumerate(C& space, std::uint16_t segment, std::uint8_t first_bus,
               std::uint8_t last_bus, Visitor&& visit) {
  std::array<bool, 256> is_known{};
  std::array<std::uint8_t, 256> waiting{};
  std::size_t waiting_count = 0;
  const auto meet = [&](std::uint8_t bus) {
    if (bus < first_bus || bus > last_bus || is_known[bus]) return;
    is_known[bus] = true;
    waiting[waiting_count++] = bus;
  };
  meet(first_bus);
  while (waiting_count != 0) {
    const std::uint8_t bus = waiting[--waiting_count];
    for (std::uint8_t device = 0; device < 32; ++device) {
      for (std::uint8_t number = 0; number < 8; ++number) {
        const auto function =
            read_function(space, Address{segment, bus, device, number});
        if (function) {
          visit(*function);
          if (function->header == HeaderKind::kBridge) {
            meet(function->secondary_bus);
          }
        }
        // Function 0 says whether there are more; without it there are none.
        if (number == 0 && (!function || !function->has_more_functions)) break;
      }
    }
  }
}

// Sets and clears command bits, leaving the status half, whose bits a one
// would clear, alone.
template <ConfigSpace C>
void change_command(C& space, const Address& at, std::uint16_t set,
                    std::uint16_t clear) {
  const std::uint16_t old = read16(space, at, kCommand);
  space.write16(at, kCommand,
                static_cast<std::uint16_t>((old & ~unsigned{clear}) | set));
}

}  // namespace odo::pci
