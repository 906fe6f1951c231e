// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/features.h"

#include "kernel/x86_64/cpu.h"

namespace odo::x86 {
namespace {

constinit Features boot_features{};

void put_word(char* to, std::uint32_t word) {
  __builtin_memcpy(to, &word, sizeof word);
}

void read_model() {
  Features& f = boot_features;
  for (std::uint32_t i = 0; i < 3; ++i) {
    const CpuidResult part = cpuid(0x80000002 + i);
    char* to = f.model_text.data() + std::size_t{16} * i;
    put_word(to, part.eax);
    put_word(to + 4, part.ebx);
    put_word(to + 8, part.ecx);
    put_word(to + 12, part.edx);
  }
  while (f.model_size < f.model_text.size() &&
         f.model_text[f.model_size] != '\0') {
    ++f.model_size;
  }
  while (f.model_size != 0 && f.model_text[f.model_size - 1] == ' ') {
    --f.model_size;
  }
}

void add_name(bool is_there, std::string_view name) {
  Features& f = boot_features;
  if (!is_there || f.names_text.size() - f.names_size < name.size() + 1) return;
  if (f.names_size != 0) f.names_text[f.names_size++] = ' ';
  __builtin_memcpy(f.names_text.data() + f.names_size, name.data(),
                   name.size());
  f.names_size += name.size();
}

// Since the Pentium Pro, and since AMD's family 15, it is done at once; on a
// hypervisor's CPUs there is nothing to wait for.
[[nodiscard]] bool is_slow_to_init(std::uint32_t signature) {
  const std::uint32_t base = signature >> 8 & 0xf;
  const bool is_amd = boot_features.vendor() == "AuthenticAMD";
  return !boot_features.has_hypervisor && base < (is_amd ? 15 : 6);
}

// Crystal clock and ratio, where the CPU tells both.
[[nodiscard]] std::uint64_t told_tsc_hz(std::uint32_t last_leaf) {
  if (last_leaf < 0x15) return 0;
  const CpuidResult clock = cpuid(0x15);
  if (clock.eax == 0 || clock.ebx == 0 || clock.ecx == 0) return 0;
  return std::uint64_t{clock.ecx} * clock.ebx / clock.eax;
}

}  // namespace

void detect_features() {
  Features& f = boot_features;
  const CpuidResult first = cpuid(0);
  put_word(f.vendor_text.data(), first.ebx);
  put_word(f.vendor_text.data() + 4, first.edx);
  put_word(f.vendor_text.data() + 8, first.ecx);

  const CpuidResult basic = cpuid(1);
  f.has_rdrand = (basic.ecx >> 30 & 1) != 0;
  f.has_sse42 = (basic.ecx >> 20 & 1) != 0;
  f.has_hypervisor = (basic.ecx >> 31) != 0;
  f.has_apic = (basic.edx >> 9 & 1) != 0;
  f.has_pat = (basic.edx >> 16 & 1) != 0;
  f.has_x2apic = (basic.ecx >> 21 & 1) != 0;
  f.has_tsc_deadline = (basic.ecx >> 24 & 1) != 0;
  f.is_slow_to_init = is_slow_to_init(basic.eax);
  f.has_global_pages = (basic.edx >> 13 & 1) != 0;
  if (first.eax >= 7) {
    const CpuidResult more = cpuid(7);
    f.has_smep = (more.ebx >> 7 & 1) != 0;
    f.has_smap = (more.ebx >> 20 & 1) != 0;
    f.has_umip = (more.ecx >> 2 & 1) != 0;
  }
  f.tsc_hz = told_tsc_hz(first.eax);

  const std::uint32_t last = cpuid(0x80000000).eax;
  f.has_1gib_pages = (cpuid(0x80000001).edx >> 26 & 1) != 0;
  if (last >= 0x80000004) read_model();
  if (last >= 0x80000008) {
    f.physical_bits = static_cast<std::uint8_t>(cpuid(0x80000008).eax);
  }

  add_name(true, "nx");
  add_name(f.has_1gib_pages, "1gib-pages");
  add_name(f.has_global_pages, "global-pages");
  add_name(f.has_smep, "smep");
  add_name(f.has_smap, "smap");
  add_name(f.has_umip, "umip");
  add_name(f.has_sse42, "sse4.2");
  add_name(f.has_apic, "apic");
  add_name(f.has_x2apic, "x2apic");
  add_name(f.has_tsc_deadline, "tsc-deadline");
  add_name(f.has_hypervisor, "hypervisor");
}

const Features& features() { return boot_features; }

apic::Place place_of_cpu(std::uint32_t apic_id) {
  const auto ask = [](std::uint32_t leaf, std::uint32_t subleaf) {
    const CpuidResult answer = cpuid(leaf, subleaf);
    return apic::CpuidAnswer{answer.eax, answer.ebx, answer.ecx, answer.edx};
  };
  return apic::place_of(apic::id_layout(ask), apic_id);
}

namespace {

// Write-combining in place of the PAT's write-through, which nothing uses: for
// frame buffers. On all CPUs, for they share page tables.
void combine_writes() {
  constexpr std::uint32_t kPatMsr = 0x277;
  constexpr std::uint64_t kEntry1 = std::uint64_t{0xff} << 8;
  constexpr std::uint64_t kWriteCombining = std::uint64_t{0x01} << 8;
  if (!features().has_pat) return;
  write_msr(kPatMsr, (read_msr(kPatMsr) & ~kEntry1) | kWriteCombining);
}

}  // namespace

void set_up_this_cpu() {
  constexpr std::uint64_t kCr4GlobalPages = 1u << 7;
  constexpr std::uint64_t kCr4Umip = 1u << 11;
  constexpr std::uint64_t kCr4Smep = 1u << 20;
  constexpr std::uint64_t kCr4Smap = 1u << 21;
  // An FPU instruction traps: nobody saves its registers here.
  constexpr std::uint64_t kCr0TaskSwitched = 1u << 3;
  const Features& f = features();
  std::uint64_t cr4 = read_cr4();
  if (f.has_global_pages) cr4 |= kCr4GlobalPages;
  if (f.has_umip) cr4 |= kCr4Umip;
  if (f.has_smep) cr4 |= kCr4Smep;
  if (f.has_smap) cr4 |= kCr4Smap;
  write_cr4(cr4);
  write_cr0(read_cr0() | kCr0TaskSwitched);
  combine_writes();
}

}  // namespace odo::x86
