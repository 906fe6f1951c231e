// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/random.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "kernel/x86_64/cpu.h"
#include "kernel/x86_64/features.h"
#include "kernel/x86_64/lock.h"
#include "kernel/x86_64/wall_clock.h"
#include "lib/base/mix.h"

namespace odo::x86 {
namespace {

constinit IrqLock lock{};
constinit std::uint64_t state = 0;

// 0 where the CPU has none to give.
[[nodiscard]] std::uint64_t cpu_random() {
  constexpr unsigned kTries = 10;
  if (!features().has_rdrand) return 0;
  for (unsigned i = 0; i < kTries; ++i) {
    std::uint64_t value;
    bool is_good;
    asm volatile("rdrand %0" : "=r"(value), "=@ccc"(is_good));
    if (is_good) return value;
  }
  return 0;
}

}  // namespace

void fill_random(MutableBytes to) {
  const IrqGuard guard(lock);
  if (state == 0) state = mix(wall_clock_us());
  while (!to.empty()) {
    state = mix(state + kMixStep + read_tsc()) ^ cpu_random();
    std::array<std::byte, sizeof(state)> word;
    store_le(word.data(), state);
    const std::size_t length = std::min(to.size(), word.size());
    copy_bytes(to, Bytes(word).first(length));
    to = to.subspan(length);
  }
}

}  // namespace odo::x86
