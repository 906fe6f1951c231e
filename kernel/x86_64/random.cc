// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/random.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "kernel/x86_64/cpu.h"
#include "kernel/x86_64/wall_clock.h"

namespace odo::x86 {
namespace {

constinit std::uint64_t state = 0;

[[nodiscard]] bool has_rdrand() {
  constexpr std::uint32_t kRdrand = 1u << 30;
  return (cpuid(1).ecx & kRdrand) != 0;
}

// 0 where the CPU has none to give.
[[nodiscard]] std::uint64_t cpu_random() {
  constexpr unsigned kTries = 10;
  if (!has_rdrand()) return 0;
  for (unsigned i = 0; i < kTries; ++i) {
    std::uint64_t value;
    bool is_good;
    asm volatile("rdrand %0" : "=r"(value), "=@ccc"(is_good));
    if (is_good) return value;
  }
  return 0;
}

[[nodiscard]] std::uint64_t mixed(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

}  // namespace

void fill_random(MutableBytes to) {
  if (state == 0) state = mixed(wall_clock_us());
  while (!to.empty()) {
    state = mixed(state + 0x9e3779b97f4a7c15 + read_tsc()) ^ cpu_random();
    std::array<std::byte, sizeof(state)> word;
    store_le(word.data(), state);
    const std::size_t length = std::min(to.size(), word.size());
    copy_bytes(to, Bytes(word).first(length));
    to = to.subspan(length);
  }
}

}  // namespace odo::x86
