// SPDX-License-Identifier: BSD-3-Clause
// The 64-bit key under which a directory keeps a name.
//
// Contexts: any; constexpr, no state.
// Shape: bit 63 is set; bits 32–62 are the sum of the CRC-32C codes of the
// name's fields, which '.', '-', '_' and '~' separate; bits 16–31 are the two
// halves of the whole name's CRC XORed; bit 15 is set. Bits 0–14 are 0 here and
// count up on media where keys would be equal (kDirhashCollisionMask).
// Complexity: linear in the name's length.
// Origin: hammer2_subr.c, hammer2_dirhash(). Since the high part is a sum,
// exchanging two fields of a name keeps it; the low part tells these apart.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/base/bytes.h"
#include "lib/check/crc.h"
#include "lib/hammer2/format/constants.h"

namespace odo::hammer2::format {

namespace detail {

[[nodiscard]] constexpr bool separates_fields(char c) {
  return c == '.' || c == '-' || c == '_' || c == '~';
}

}  // namespace detail

[[nodiscard]] constexpr std::uint64_t dirhash(std::string_view name) {
  using Engine = check::Crc32cSlice1;
  constexpr std::uint32_t kStart = ~std::uint32_t{0};
  std::uint32_t whole = kStart;
  std::uint32_t field = kStart;
  std::size_t field_length = 0;
  std::uint32_t sum = 0;
  for (const char c : name) {
    const std::array<std::byte, 1> byte = {static_cast<std::byte>(c)};
    whole = Engine::extend(whole, byte);
    if (!detail::separates_fields(c)) {
      field = Engine::extend(field, byte);
      ++field_length;
    } else if (field_length != 0) {
      sum += ~field;
      field = kStart;
      field_length = 0;
    }
  }
  if (field_length != 0) sum += ~field;
  whole = ~whole;
  const std::uint32_t folded = (whole ^ (whole << 16)) & 0xffff0000;
  return kDirhashVisible | static_cast<std::uint64_t>(sum) << 32 | folded |
         0x8000;
}

static_assert(dirhash("BOOT") == kBootKey);

}  // namespace odo::hammer2::format
