// SPDX-License-Identifier: BSD-3-Clause
// The high precision event timer as a clock: a counter that tells its own
// period. Its comparators are left alone.
//
// Contexts: thread; ticks() any.
// Units: in the names; ticks are the counter's low 32 bits, which go round in
//   more than four seconds whatever its speed.
// Failure: Error. Total on any registers.
// Origin: IA-PC HPET Specification 1.0a §2.3 (registers), §2.3.4 (a period of
//   at most 100 ns).
#pragma once

#include <cstdint>
#include <string_view>

#include "lib/base/result.h"
#include "lib/driver/registers.h"

namespace odo::hpet {

enum class Error : std::uint8_t {
  kGone,        // nothing answers there
  kImpossible,  // a period that no such counter has
  kStuck,       // it doesn't count
};

template <class T>
using Result = odo::Result<T, Error>;

[[nodiscard]] constexpr std::string_view describe(Error error) {
  using std::operator""sv;
  switch (error) {
    case Error::kGone:
      return "nothing answers"sv;
    case Error::kImpossible:
      return "it tells an impossible period"sv;
    case Error::kStuck:
      return "it doesn't count"sv;
  }
  return {};
}

template <driver::Registers R>
class Hpet {
 public:
  // Starts the counter, where nobody has.
  [[nodiscard]] static Result<Hpet> open(R registers) {
    const std::uint32_t capabilities = registers.read32(kCapabilities);
    const std::uint32_t period_fs = registers.read32(kPeriod);
    if (capabilities == driver::kGone && period_fs == driver::kGone) {
      return fail(Error::kGone);
    }
    if (period_fs < kLeastPeriodFs || period_fs > kMostPeriodFs) {
      return fail(Error::kImpossible);
    }
    const std::uint32_t was = registers.read32(kConfiguration);
    if ((was & kEnabled) == 0) {
      registers.write32(kConfiguration, was | kEnabled);
    }
    Hpet hpet(registers, period_fs);
    const std::uint32_t begin = hpet.ticks();
    for (unsigned i = 0; i < kMostReads; ++i) {
      if (hpet.ticks() != begin) return hpet;
    }
    return fail(Error::kStuck);
  }

  [[nodiscard]] std::uint32_t ticks() {
    return registers_.read32(kMainCounter);
  }
  // 10 MHz to 1 GHz.
  [[nodiscard]] std::uint64_t hz() const {
    constexpr std::uint64_t kFemtosecondsPerSecond = 1'000'000'000'000'000;
    return kFemtosecondsPerSecond / period_fs_;
  }

 private:
  static constexpr std::uint32_t kCapabilities = 0x00;
  static constexpr std::uint32_t kPeriod = 0x04;
  static constexpr std::uint32_t kConfiguration = 0x10;
  static constexpr std::uint32_t kMainCounter = 0xf0;
  static constexpr std::uint32_t kEnabled = 1;
  static constexpr std::uint32_t kMostPeriodFs = 100'000'000;
  // Ours: no counter of a chipset is faster, and sums of it stay in 64 bits.
  static constexpr std::uint32_t kLeastPeriodFs = 1'000'000;
  static constexpr unsigned kMostReads = 1000;

  Hpet(R registers, std::uint32_t period_fs)
      : registers_(registers), period_fs_(period_fs) {}

  R registers_;
  std::uint32_t period_fs_;
};

}  // namespace odo::hpet
