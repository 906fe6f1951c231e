// SPDX-License-Identifier: BSD-3-Clause
// The GUIDs of a GPT: sixteen bytes as they lie on the disk, written as people
// write them.
//
// Contexts: any; constant evaluation for the text.
// Origin: UEFI specification 2.10, appendix A: the first three groups are
//   little-endian, the last two are bytes in the order of the text.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/base/bytes.h"
#include "lib/base/check.h"

namespace odo::partition {

struct Guid {
  std::array<std::byte, 16> bytes{};

  friend constexpr bool operator==(const Guid&, const Guid&) = default;
};

// From "5cbb9ad1-862d-11dc-a94d-01301bb8a9f5".
[[nodiscard]] consteval Guid guid(std::string_view text) {
  // Which pair of digits of the text, hyphens left out, each byte is.
  constexpr std::array<std::size_t, 16> kPair = {3, 2, 1,  0,  5,  4,  7,  6,
                                                 8, 9, 10, 11, 12, 13, 14, 15};
  std::array<unsigned, 32> digits{};
  std::size_t count = 0;
  for (const char c : text) {
    if (c == '-') continue;
    ODO_CHECK(count < digits.size());
    digits[count++] = static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10);
  }
  ODO_CHECK(count == digits.size());
  Guid made;
  for (std::size_t i = 0; i < kPair.size(); ++i) {
    made.bytes[i] = static_cast<std::byte>(digits[2 * kPair[i]] << 4 |
                                           digits[2 * kPair[i] + 1]);
  }
  return made;
}

// `from` is at least sixteen bytes.
[[nodiscard]] inline Guid load_guid(Bytes from) {
  Guid loaded;
  copy_bytes(loaded.bytes, from.first(loaded.bytes.size()));
  return loaded;
}

}  // namespace odo::partition
