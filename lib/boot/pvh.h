// SPDX-License-Identifier: BSD-3-Clause
// The PVH boot protocol: `hvm_start_info` and its memory map to a BootInfo.
//
// Contexts: early boot, one thread.
// Failure: total on any bytes; see boot::Error.
// Complexity: linear in the entries, each list bounded.
// Origin: Xen's public/arch-x86/hvm/start_info.h (version 1 of the structure).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "lib/base/bytes.h"
#include "lib/base/result.h"
#include "lib/boot/boot_info.h"

namespace odo::boot {

struct PvhStartInfo {
  std::uint32_t magic;
  std::uint32_t version;
  std::uint32_t flags;
  std::uint32_t module_count;
  std::uint64_t modules_address;
  std::uint64_t command_line_address;
  std::uint64_t rsdp_address;
  // From version 1 on:
  std::uint64_t memory_map_address;
  std::uint32_t memory_map_entries;
  std::uint32_t reserved;
};
static_assert(sizeof(PvhStartInfo) == 56);
static_assert(offsetof(PvhStartInfo, memory_map_address) == 40);

struct PvhMemoryEntry {
  std::uint64_t address;
  std::uint64_t size;
  std::uint32_t type;
  std::uint32_t reserved;
};
static_assert(sizeof(PvhMemoryEntry) == 24);

struct PvhModule {
  std::uint64_t address;
  std::uint64_t size;
  std::uint64_t command_line_address;
  std::uint64_t reserved;
};
static_assert(sizeof(PvhModule) == 32);

inline constexpr std::uint32_t kPvhMagic = 0x336ec578;

// Fills `info` from the start information at `address`. Memory at or above
// `limit` bytes is left out.
template <PhysicalMemory M>
[[nodiscard]] Result<void> parse_pvh(const M& memory, std::uint64_t address,
                                     std::uint64_t limit, BootInfo& info) {
  const auto start =
      read_struct<PvhStartInfo>(memory.view(address, sizeof(PvhStartInfo)), 0);
  if (!start) return fail(Error::kUnreadable);
  if (start->magic != kPvhMagic) return fail(Error::kBadMagic);
  if (start->version < 1 || start->memory_map_entries == 0) {
    return fail(Error::kNoMemoryMap);
  }
  info = {};
  info.protocol = Protocol::kPvh;
  info.rsdp_address = start->rsdp_address;

  for (std::uint32_t i = 0; i < start->memory_map_entries; ++i) {
    const auto entry = read_struct<PvhMemoryEntry>(
        memory.view(start->memory_map_address + i * sizeof(PvhMemoryEntry),
                    sizeof(PvhMemoryEntry)),
        0);
    if (!entry) return fail(Error::kUnreadable);
    if (!info.memory.add(entry->address, entry->size,
                         memory_kind(entry->type))) {
      return fail(Error::kTooManyRanges);
    }
    // Empty entries take no room in the map, so that the loop needs its own
    // bound against a count that lies.
    if (i >= 16 * MemoryMap::kMaxRanges) return fail(Error::kTooManyRanges);
  }
  if (!info.memory.normalise(limit)) return fail(Error::kTooManyRanges);

  const std::uint32_t modules = std::min<std::uint32_t>(
      start->module_count, std::uint32_t{BootInfo::kMaxModules});
  for (std::uint32_t i = 0; i < modules; ++i) {
    const auto module = read_struct<PvhModule>(
        memory.view(start->modules_address + i * sizeof(PvhModule),
                    sizeof(PvhModule)),
        0);
    if (!module) return fail(Error::kUnreadable);
    const auto end = checked_add(module->address, module->size);
    if (end) info.add_module(module->address, *end);
  }
  if (start->command_line_address != 0) {
    info.set_command_line(memory.view(start->command_line_address,
                                      BootInfo::kMaxCommandLine + 1));
  }
  return {};
}

}  // namespace odo::boot
