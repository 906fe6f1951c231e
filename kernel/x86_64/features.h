// SPDX-License-Identifier: BSD-3-Clause
// What this CPU can do, asked once, at boot.
//
// Contexts: detect_features() first of all on the boot CPU; features() anywhere
//   after it.
// Origin: Intel SDM vol. 2, CPUID; AMD APM vol. 3 appendix E.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/apic/topology.h"

namespace odo::x86 {

struct Features {
  bool has_hypervisor = false;
  bool has_1gib_pages = false;
  bool has_global_pages = false;
  bool has_smep = false;
  bool has_smap = false;
  bool has_umip = false;
  bool has_rdrand = false;
  bool has_sse42 = false;  // the crc32 instruction, in general registers
  bool has_apic = false;
  bool has_pat = false;
  bool has_x2apic = false;
  bool has_tsc_deadline = false;
  // INIT needs some time to take effect: only on CPUs of the last century.
  bool is_slow_to_init = false;
  std::uint8_t physical_bits = 36;
  std::uint64_t tsc_hz = 0;  // where the CPU itself tells it
  std::array<char, 12> vendor_text{};
  std::array<char, 48> model_text{};
  std::array<char, 128> names_text{};  // see names()
  std::size_t model_size = 0;
  std::size_t names_size = 0;

  [[nodiscard]] std::string_view vendor() const {
    return {vendor_text.data(), vendor_text.size()};
  }
  [[nodiscard]] std::string_view model() const {
    return {model_text.data(), model_size};
  }
  // The features above that are there, by name, one blank between.
  [[nodiscard]] std::string_view names() const {
    return {names_text.data(), names_size};
  }
};

void detect_features();
const Features& features();

// Which package, core and thread the CPU with that id is.
[[nodiscard]] apic::Place place_of_cpu(std::uint32_t apic_id);

// On each CPU: turns on the protections that it has, and gives memory types the
// meaning that paging.h has for them.
void set_up_this_cpu();

}  // namespace odo::x86
