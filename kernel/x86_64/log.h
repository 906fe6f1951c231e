// SPDX-License-Identifier: BSD-3-Clause
// The kernel's own words on the console line and the screen: text and numbers,
// unbuffered, usable from the first instruction of C++ to the last of a crash.
//
// Contexts: any, including interrupt and panic; bytes of two contexts may
// interleave. Waits while the line is busy, for a bounded time.
// Failure: none that is told; a dead line loses text.
#pragma once

#include <concepts>
#include <cstdint>
#include <string_view>

namespace odo::x86 {

// A number in hexadecimal: with `digits`, padded to that many.
struct Hex {
  std::uint64_t value;
  int digits = 1;
};

void log_one(std::string_view text);
void log_one(Hex number);
void log_one(std::uint64_t number);

// log("mapped ", bytes, " at ", Hex{address}, "\n"): "\n" becomes CR LF.
template <class... Parts>
void log(const Parts&... parts) {
  const auto one = [](const auto& part) {
    if constexpr (std::unsigned_integral<std::remove_cvref_t<decltype(part)>>) {
      log_one(std::uint64_t{part});
    } else {
      log_one(part);
    }
  };
  (one(parts), ...);
}

}  // namespace odo::x86
