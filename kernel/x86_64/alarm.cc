// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/alarm.h"

#include <algorithm>

#include "kernel/x86_64/cpu.h"
#include "kernel/x86_64/pic.h"
#include "kernel/x86_64/traps.h"

namespace odo::x86 {
namespace {

constexpr std::uint16_t kChannel0 = 0x40;
constexpr std::uint16_t kCommand = 0x43;
constexpr std::uint8_t kCountOnce = 0x30;  // channel 0, both bytes, mode 0
constexpr std::uint64_t kPitHz = 1'193'182;
constexpr unsigned kLine = 0;
static_assert(kLongestAlarmNs * kPitHz / 1'000'000'000 < 0xffff);

}  // namespace

void init_alarm() {
  set_interrupt_handler(
      kPicFirstVector + kLine, [](void*) { acknowledge_pic(); }, nullptr);
  unmask_pic_line(kLine);
}

void set_alarm(std::uint64_t after_ns) {
  const std::uint64_t ticks =
      1 + std::min(after_ns, kLongestAlarmNs) * kPitHz / 1'000'000'000;
  out8(kCommand, kCountOnce);
  out8(kChannel0, static_cast<std::uint8_t>(ticks));
  out8(kChannel0, static_cast<std::uint8_t>(ticks >> 8));
}

}  // namespace odo::x86
