// SPDX-License-Identifier: BSD-3-Clause
// The clock that every PC keeps running on a battery: what time it is, to a
// second.
//
// Contexts: thread; a read takes some fifty register reads, and up to 2 ms
//   where the clock is just counting on.
// Units: microseconds since 1970, of whatever zone the clock is set to: we take
//   it for UTC.
// Failure: Error. Total on any registers: impossible numbers are an error, and
//   so is a clock that never comes to rest.
// Limits: two digits of a year: 70 to 99 are of the last century.
// Origin: Motorola MC146818A data sheet (registers, update cycle).
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "lib/base/calendar.h"
#include "lib/base/result.h"

namespace odo::rtc {

enum class Error : std::uint8_t {
  kNeverAtRest,  // no such clock, or a broken one
  kImpossible,   // it shows no time that there is
};

template <class T>
using Result = odo::Result<T, Error>;

[[nodiscard]] constexpr std::string_view describe(Error error) {
  using std::operator""sv;
  return error == Error::kNeverAtRest ? "it never comes to rest"sv
                                      : "it shows an impossible time"sv;
}

// read(index): the register of that number.
template <class P>
concept RegisterPort = requires(P& port, std::uint8_t index) {
  { port.read(index) } -> std::same_as<std::uint8_t>;
};

namespace detail {

inline constexpr std::uint8_t kSeconds = 0x00;
inline constexpr std::uint8_t kMinutes = 0x02;
inline constexpr std::uint8_t kHours = 0x04;
inline constexpr std::uint8_t kDay = 0x07;
inline constexpr std::uint8_t kMonth = 0x08;
inline constexpr std::uint8_t kYear = 0x09;
inline constexpr std::uint8_t kStatusA = 0x0a;
inline constexpr std::uint8_t kStatusB = 0x0b;
inline constexpr std::uint8_t kUpdating = 0x80;  // in A: numbers change soon
inline constexpr std::uint8_t kBinary = 0x04;    // in B: else two digits
inline constexpr std::uint8_t kHours24 = 0x02;   // in B: else 12, and kPm
inline constexpr std::uint8_t kPm = 0x80;

using Registers = std::array<std::uint8_t, 7>;

template <RegisterPort P>
[[nodiscard]] Registers read_registers(P& port) {
  return {port.read(kSeconds), port.read(kMinutes), port.read(kHours),
          port.read(kDay),     port.read(kMonth),   port.read(kYear),
          port.read(kStatusB)};
}

// The number that a register shows; nothing where its digits are none.
[[nodiscard]] constexpr std::optional<std::uint32_t> number_of(
    std::uint8_t shown, bool is_binary) {
  if (is_binary) return shown;
  const std::uint32_t tens = shown >> 4U;
  const std::uint32_t ones = shown & 15U;
  if (tens > 9 || ones > 9) return std::nullopt;
  return tens * 10 + ones;
}

[[nodiscard]] constexpr Result<std::uint64_t> decode(const Registers& shown) {
  const std::uint8_t modes = shown[6];
  const bool is_binary = (modes & kBinary) != 0;
  const bool is_pm = (modes & kHours24) == 0 && (shown[2] & kPm) != 0;
  const auto number = [&](std::size_t i) {
    const auto mask = static_cast<std::uint8_t>(
        i == 2 && (modes & kHours24) == 0 ? ~unsigned{kPm} : 0xffU);
    return number_of(shown[i] & mask, is_binary);
  };
  std::array<std::uint32_t, 6> numbers{};
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const auto value = number(i);
    if (!value) return fail(Error::kImpossible);
    numbers[i] = *value;
  }
  auto [second, minute, hour, day, month, year] = numbers;
  if ((modes & kHours24) == 0) {
    if (hour < 1 || hour > 12) return fail(Error::kImpossible);
    hour = hour % 12 + (is_pm ? 12 : 0);
  }
  if (year > 99) return fail(Error::kImpossible);
  const Moment moment = {
      .year = std::uint64_t{year < 70 ? 2000U : 1900U} + year,
      .month = month,
      .day = day,
      .hour = hour,
      .minute = minute,
      .second = second,
      .microsecond = 0};
  // Numbers that make no date and time of day are those of another moment.
  const std::uint64_t us = us_of(moment);
  if (moment_of(us) != moment) return fail(Error::kImpossible);
  return us;
}

}  // namespace detail

// What the clock shows.
template <RegisterPort P>
[[nodiscard]] Result<std::uint64_t> read_clock(P& port) {
  // An update takes less than 2 ms, a register about 1 us.
  constexpr unsigned kMostLooks = 10'000;
  for (unsigned i = 0; i < kMostLooks; ++i) {
    if ((port.read(detail::kStatusA) & detail::kUpdating) != 0) continue;
    // The update may have begun since: what is read twice is right.
    const detail::Registers first = detail::read_registers(port);
    if ((port.read(detail::kStatusA) & detail::kUpdating) != 0) continue;
    if (detail::read_registers(port) == first) return detail::decode(first);
  }
  return fail(Error::kNeverAtRest);
}

}  // namespace odo::rtc
