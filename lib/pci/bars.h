// SPDX-License-Identifier: BSD-3-Clause
// Base address registers: where a function's registers are and how large.
//
// Contexts, Failure, Origin: see config.h. Sizing turns the function's decoding
//   off for a moment, so that nobody may be using its registers.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "lib/pci/config.h"

namespace odo::pci {

enum class BarKind : std::uint8_t { kNone, kPort, kMemory32, kMemory64 };

struct Bar {
  BarKind kind = BarKind::kNone;
  std::uint64_t base = 0;
  std::uint64_t size_bytes = 0;
};

// Indexed as registers are: the upper half of a 64-bit one is kNone.
using Bars = std::array<Bar, 6>;

namespace detail {

template <ConfigSpace C>
[[nodiscard]] std::uint32_t size_mask(C& space, const Address& at,
                                      std::uint16_t offset,
                                      std::uint32_t original) {
  space.write32(at, offset, 0xffffffff);
  const std::uint32_t mask = space.read32(at, offset);
  space.write32(at, offset, original);
  return mask;
}

// The size is the lowest bit that can be written; where the writable bits are
// not one run up to the top, the register is nonsense and has no size.
[[nodiscard]] constexpr std::uint64_t size_from_mask(std::uint64_t mask,
                                                     std::uint64_t top) {
  mask &= top;
  if (mask == 0) return 0;
  const std::uint64_t size = mask & (~mask + 1);
  return ((mask + size) & top) == 0 ? size : 0;
}

}  // namespace detail

// Reads and sizes all base addresses of a function. Those that firmware gave
// no address have base 0; those that make no sense are kNone.
template <ConfigSpace C>
[[nodiscard]] Bars read_bars(C& space, const Function& function) {
  const Address& at = function.address;
  Bars bars;
  const std::size_t count = function.header == HeaderKind::kDevice   ? 6
                            : function.header == HeaderKind::kBridge ? 2
                                                                     : 0;
  const std::uint16_t command = read16(space, at, kCommand);
  space.write16(at, kCommand,
                static_cast<std::uint16_t>(
                    command & ~unsigned{kCommandPorts | kCommandMemory}));
  for (std::size_t i = 0; i < count; ++i) {
    const auto offset = static_cast<std::uint16_t>(0x10 + 4 * i);
    const std::uint32_t low = space.read32(at, offset);
    const std::uint32_t low_mask = detail::size_mask(space, at, offset, low);
    if (low_mask == 0) continue;
    Bar bar;
    if ((low & 1) != 0) {
      // Ports: only 16 bits need be wired.
      bar = {BarKind::kPort, low & 0xfffc,
             detail::size_from_mask(low_mask & 0xfffc, 0xffff)};
    } else if ((low >> 1 & 3) == 0) {
      bar = {BarKind::kMemory32, low & ~0xfu,
             detail::size_from_mask(low_mask & ~0xfu, 0xffffffff)};
    } else if ((low >> 1 & 3) == 2 && i + 1 < count) {
      const auto upper = static_cast<std::uint16_t>(offset + 4);
      const std::uint64_t high = space.read32(at, upper);
      const std::uint64_t high_mask =
          detail::size_mask(space, at, upper, static_cast<std::uint32_t>(high));
      bar = {BarKind::kMemory64, high << 32 | (low & ~0xfu),
             detail::size_from_mask(high_mask << 32 | (low_mask & ~0xfu),
                                    ~std::uint64_t{0})};
    }
    if (bar.size_bytes != 0) bars[i] = bar;
    if (bar.kind == BarKind::kMemory64) ++i;
  }
  space.write16(at, kCommand, command);
  return bars;
}

}  // namespace odo::pci
