// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/wall_clock.h"

#include <algorithm>
#include <optional>

#include "kernel/x86_64/clock.h"
#include "kernel/x86_64/cpu.h"
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

[[nodiscard]] std::uint64_t uptime_us() { return tsc_to_ns(read_tsc()) / 1000; }

// When the machine was turned on.
constinit std::optional<std::uint64_t> power_on_us{};
constinit std::uint64_t latest_us = 0;

}  // namespace

std::uint64_t wall_clock_us() {
  if (!power_on_us) {
    CmosPort port;
    const auto now = rtc::read_clock(port);
    if (!now) {
      log("odo: clock: ", rtc::describe(now.error()),
          "; time begins at 1970 with power-on\n");
    }
    const std::uint64_t uptime = uptime_us();
    power_on_us = now && *now >= uptime ? *now - uptime : 0;
  }
  latest_us = std::max(latest_us, *power_on_us + uptime_us());
  return latest_us;
}

}  // namespace odo::x86
