// SPDX-License-Identifier: BSD-3-Clause
// Which package, core and thread a CPU is, by its APIC id: the id's bits are
// numbers of these, and CPUID says how many bits each takes.
//
//   const IdLayout layout = id_layout(cpuid);
//   const Place place = place_of(layout, apic_id);
//
// Contexts: any. Pure but for the questions to `cpuid`.
// Failure: none; where CPUID says nothing, each CPU is a package of its own;
//   what cannot be (fields wider than an id) is cut.
// Complexity: at most kMaxLevels questions a leaf.
// Origin: Intel SDM vol. 3 §9.9 (leaves 0x1F, 0xB, 4 and 1); AMD APM vol. 3
//   appendix E (0x80000008, 0x8000001E).
#pragma once

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstdint>

namespace odo::apic {

struct CpuidAnswer {
  std::uint32_t eax;
  std::uint32_t ebx;
  std::uint32_t ecx;
  std::uint32_t edx;
};

template <class F>
concept Cpuid = requires(F& cpuid, std::uint32_t leaf, std::uint32_t sub) {
  { cpuid(leaf, sub) } -> std::same_as<CpuidAnswer>;
};

// An id, from its low end: `thread_bits` for the thread of a core, up to
// `package_bits` for the core, the package above.
struct IdLayout {
  unsigned thread_bits = 0;
  unsigned package_bits = 0;
};

struct Place {
  std::uint32_t package;
  std::uint32_t core;
  std::uint32_t thread;
};

namespace detail {

inline constexpr std::uint32_t kMaxLevels = 8;
inline constexpr unsigned kIdBits = 31;

// Bits that number so many.
[[nodiscard]] constexpr unsigned bits_for(std::uint32_t count) {
  return count < 2 ? 0 : static_cast<unsigned>(std::bit_width(count - 1));
}

[[nodiscard]] constexpr IdLayout sane(unsigned thread_bits,
                                      unsigned package_bits) {
  package_bits = std::min(package_bits, kIdBits);
  return {std::min(thread_bits, package_bits), package_bits};
}

// Leaves 0x1F and 0xB: one level after the other, innermost first.
template <Cpuid F>
[[nodiscard]] bool read_levels(F& cpuid, std::uint32_t leaf, IdLayout& layout) {
  constexpr std::uint32_t kThreads = 1;
  unsigned thread_bits = 0;
  unsigned package_bits = 0;
  bool any = false;
  for (std::uint32_t level = 0; level < kMaxLevels; ++level) {
    const CpuidAnswer answer = cpuid(leaf, level);
    const std::uint32_t type = answer.ecx >> 8 & 0xff;
    if (type == 0 || (answer.ebx & 0xffff) == 0) break;
    const unsigned shift = answer.eax & 0x1f;
    if (type == kThreads) thread_bits = shift;
    package_bits = shift;
    any = true;
  }
  if (any) layout = sane(thread_bits, package_bits);
  return any;
}

}  // namespace detail

template <Cpuid F>
[[nodiscard]] IdLayout id_layout(F cpuid) {
  constexpr std::uint32_t kAmdSizes = 0x80000008;
  constexpr std::uint32_t kAmdTopology = 0x8000001e;
  const std::uint32_t last = cpuid(0, 0).eax;
  IdLayout layout;
  if (last >= 0x1f && detail::read_levels(cpuid, 0x1f, layout)) return layout;
  if (last >= 0xb && detail::read_levels(cpuid, 0xb, layout)) return layout;

  const CpuidAnswer basic = cpuid(1, 0);
  const bool has_several = (basic.edx >> 28 & 1) != 0;
  if (!has_several) return layout;
  const std::uint32_t in_package = basic.ebx >> 16 & 0xff;
  const std::uint32_t last_extended = cpuid(0x80000000, 0).eax;
  const bool is_amd = cpuid(0, 0).ecx == 0x444d4163;  // the end of its name
  if (is_amd && last_extended >= kAmdSizes) {
    const std::uint32_t sizes = cpuid(kAmdSizes, 0).ecx;
    const unsigned told_bits = sizes >> 12 & 0xf;
    const unsigned package_bits =
        told_bits != 0 ? told_bits : detail::bits_for((sizes & 0xff) + 1);
    const bool has_topology = last_extended >= kAmdTopology &&
                              (cpuid(0x80000001, 0).ecx >> 22 & 1) != 0;
    const std::uint32_t threads =
        has_topology ? (cpuid(kAmdTopology, 0).ebx >> 8 & 0xff) + 1 : 1;
    return detail::sane(detail::bits_for(threads), package_bits);
  }
  const unsigned package_bits = detail::bits_for(in_package);
  const std::uint32_t cores = last < 4 ? 1 : (cpuid(4, 0).eax >> 26) + 1;
  const unsigned core_bits = std::min(detail::bits_for(cores), package_bits);
  return detail::sane(package_bits - core_bits, package_bits);
}

[[nodiscard]] constexpr Place place_of(const IdLayout& layout,
                                       std::uint32_t apic_id) {
  const std::uint32_t in_package =
      apic_id & ((std::uint32_t{1} << layout.package_bits) - 1);
  return {apic_id >> layout.package_bits, in_package >> layout.thread_bits,
          in_package & ((std::uint32_t{1} << layout.thread_bits) - 1)};
}

}  // namespace odo::apic
