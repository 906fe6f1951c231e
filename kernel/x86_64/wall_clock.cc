// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/wall_clock.h"

#include <optional>

#include "kernel/x86_64/clock.h"
#include "kernel/x86_64/cpu.h"
#include "kernel/x86_64/lock.h"
#include "kernel/x86_64/log.h"
#include "lib/rtc/mc146818.h"

namespace odo::x86 {
namespace {

struct CmosPort {
  [[nodiscard]] std::uint8_t read(std::uint8_t index) const {
    constexpr std::uint16_t kIndex = 0x70;
    constexpr std::uint16_t kData = 0x71;
    out8(kIndex, index);
    return in8(kData);
  }
};

constinit IrqLock lock{};
// When the machine was turned on.
constinit std::optional<std::uint64_t> power_on_us{};

}  // namespace

std::uint64_t wall_clock_us() {
  const IrqGuard guard(lock);
  if (!power_on_us) {
    CmosPort port;
    const auto now = rtc::read_clock(port);
    if (!now) {
      log("odo: clock: ", rtc::describe(now.error()),
          "; time begins at 1970 with power-on\n");
    }
    const std::uint64_t uptime_us = uptime_ns() / 1000;
    power_on_us = now && *now >= uptime_us ? *now - uptime_us : 0;
  }
  return *power_on_us + uptime_ns() / 1000;
}

}  // namespace odo::x86
