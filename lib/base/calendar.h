// SPDX-License-Identifier: BSD-3-Clause
// A moment as the Gregorian calendar and a 24-hour clock show it, in UTC.
//
// Contexts: any; pure.
// Units: microseconds since 1970-01-01 00:00 UTC, without leap seconds; any
// 64-bit value has an answer, up to the year 586524.
// Failure: none.
// Origin: the Gregorian rule; days are counted from 1 March of a year that 400
// divides, so that leap days fall at ends of years.
#pragma once

#include <cstdint>

namespace odo {

struct Moment {
  std::uint64_t year;
  std::uint32_t month;  // 1–12
  std::uint32_t day;    // 1–31
  std::uint32_t hour;
  std::uint32_t minute;
  std::uint32_t second;
  std::uint32_t microsecond;

  bool operator==(const Moment&) const = default;
};

[[nodiscard]] constexpr Moment moment_of(std::uint64_t us_since_1970) {
  constexpr std::uint64_t kUsPerSecond = 1'000'000;
  constexpr std::uint64_t kSecondsPerDay = 86'400;
  constexpr std::uint64_t kDaysTo1970 = 719'468;  // from 1 March of year 0
  constexpr std::uint64_t kDaysPer400Years = 146'097;

  std::uint64_t seconds = us_since_1970 / kUsPerSecond;
  std::uint64_t days = seconds / kSecondsPerDay + kDaysTo1970;
  auto of_day = static_cast<std::uint32_t>(seconds % kSecondsPerDay);

  std::uint64_t period = days / kDaysPer400Years;
  std::uint64_t day = days % kDaysPer400Years;
  // Take out the leap days that came before, to be left with 365-day years:
  // one each 1,460 days, none each 36,524, one at the period's last day.
  std::uint64_t year = (day - day / 1'460 + day / 36'524 - day / 146'096) / 365;
  day -= 365 * year + year / 4 - year / 100;
  // From March on, months of 31 30 31 30 31 days repeat: 153 days in five.
  std::uint64_t month = (5 * day + 2) / 153;
  day -= (153 * month + 2) / 5;

  bool next_year = month >= 10;
  return {
      .year = period * 400 + year + (next_year ? 1 : 0),
      .month = static_cast<std::uint32_t>(next_year ? month - 9 : month + 3),
      .day = static_cast<std::uint32_t>(day + 1),
      .hour = of_day / 3'600,
      .minute = of_day / 60 % 60,
      .second = of_day % 60,
      .microsecond = static_cast<std::uint32_t>(us_since_1970 % kUsPerSecond)};
}

// The other way, of a moment from 1970 on; where its numbers are in none of
// their ranges, moment_of() of the answer is another moment.
[[nodiscard]] constexpr std::uint64_t us_of(const Moment& at) {
  constexpr std::uint64_t kDaysTo1970 = 719'468;
  // January and February belong to the year before, which began in March.
  const bool next_year = at.month <= 2;
  const std::uint64_t year = at.year - (next_year ? 1 : 0);
  const std::uint64_t month = next_year ? at.month + 9 : at.month - 3;
  const std::uint64_t days = 365 * year + year / 4 - year / 100 + year / 400 +
                             (153 * month + 2) / 5 + at.day - 1 - kDaysTo1970;
  const std::uint64_t seconds = days * 86'400 + at.hour * std::uint64_t{3'600} +
                                at.minute * std::uint64_t{60} + at.second;
  return seconds * 1'000'000 + at.microsecond;
}

}  // namespace odo
