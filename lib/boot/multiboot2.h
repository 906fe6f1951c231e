// SPDX-License-Identifier: BSD-3-Clause
// The Multiboot2 boot protocol: the loader's list of tags to a BootInfo.
//
// Contexts: early boot, one thread.
// Failure: total on any bytes; see boot::Error. Unknown tags are passed over.
// Complexity: linear in the information's size, at most kMaxMultiboot2Bytes.
// Origin: Multiboot2 specification 2.0, §3.6 "Boot information format".
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/base/result.h"
#include "lib/boot/boot_info.h"

namespace odo::boot {

// In EAX when a Multiboot2 loader enters the kernel.
inline constexpr std::uint32_t kMultiboot2Magic = 0x36d76289;
inline constexpr std::size_t kMaxMultiboot2Bytes = std::size_t{1} << 20;

enum class Multiboot2Tag : std::uint32_t {
  kEnd = 0,
  kCommandLine = 1,
  kModule = 3,
  kMemoryMap = 6,
  kFramebuffer = 8,
  kRsdpV1 = 14,
  kRsdpV2 = 15,
};

namespace detail {

// The memory-map tag's entries, each `entry_size` bytes of which 20 are known.
[[nodiscard]] inline Result<void> add_multiboot2_memory(Bytes body,
                                                        MemoryMap& map) {
  const auto entry_size = read_le<std::uint32_t>(body, 0);
  if (!entry_size || *entry_size < 24) return fail(Error::kTruncated);
  for (std::size_t at = 8; body.size() >= at && body.size() - at >= *entry_size;
       at += *entry_size) {
    const std::byte* entry = body.data() + at;
    if (!map.add(load_le<std::uint64_t>(entry),
                 load_le<std::uint64_t>(entry + 8),
                 memory_kind(load_le<std::uint32_t>(entry + 16)))) {
      return fail(Error::kTooManyRanges);
    }
  }
  return {};
}

// Palettes and text modes are passed over.
inline void keep_framebuffer(Bytes body, BootInfo& info) {
  constexpr std::size_t kBytes = 30;
  constexpr std::uint8_t kDirectColour = 1;
  if (body.size() < kBytes) return;
  const std::byte* const at = body.data();
  if (load_le<std::uint8_t>(at + 21) != kDirectColour) return;
  const auto channel = [&](std::size_t from) {
    return Framebuffer::Channel{.shift = load_le<std::uint8_t>(at + from),
                                .bits = load_le<std::uint8_t>(at + from + 1)};
  };
  info.framebuffer = Framebuffer{.address = load_le<std::uint64_t>(at),
                                 .pitch_bytes = load_le<std::uint32_t>(at + 8),
                                 .width = load_le<std::uint32_t>(at + 12),
                                 .height = load_le<std::uint32_t>(at + 16),
                                 .pixel_bits = load_le<std::uint8_t>(at + 20),
                                 .red = channel(24),
                                 .green = channel(26),
                                 .blue = channel(28)};
}

inline void keep_rsdp(Bytes body, BootInfo& info) {
  info.rsdp_size = std::min(body.size(), BootInfo::kMaxRsdpBytes);
  copy_bytes(MutableBytes(info.rsdp_bytes).first(info.rsdp_size),
             body.first(info.rsdp_size));
}

}  // namespace detail

// Fills `info` from the boot information at `address`. Memory at or above
// `limit` bytes is left out.
template <PhysicalMemory M>
[[nodiscard]] Result<void> parse_multiboot2(const M& memory,
                                            std::uint64_t address,
                                            std::uint64_t limit,
                                            BootInfo& info) {
  constexpr std::size_t kTagHeader = 8;
  const auto total = read_le<std::uint32_t>(memory.view(address, 8), 0);
  if (!total) return fail(Error::kUnreadable);
  if (*total < 16 || *total > kMaxMultiboot2Bytes) {
    return fail(Error::kTruncated);
  }
  const Bytes all = memory.view(address, *total);
  if (all.size() < *total) return fail(Error::kUnreadable);

  info = {};
  info.protocol = Protocol::kMultiboot2;
  bool has_memory = false;
  bool has_rsdp_v2 = false;
  for (std::size_t at = 8;;) {
    const auto type = read_le<std::uint32_t>(all, at);
    const auto size = read_le<std::uint32_t>(all, at + 4);
    if (!type || !size || *size < kTagHeader ||
        !range_inside(at, *size, all.size())) {
      return fail(Error::kTruncated);
    }
    const Bytes body = all.subspan(at + kTagHeader, *size - kTagHeader);
    switch (static_cast<Multiboot2Tag>(*type)) {
      case Multiboot2Tag::kEnd:
        if (!has_memory) return fail(Error::kNoMemoryMap);
        if (!info.memory.normalise(limit)) return fail(Error::kTooManyRanges);
        return {};
      case Multiboot2Tag::kCommandLine:
        info.set_command_line(body);
        break;
      case Multiboot2Tag::kModule: {
        const auto base = read_le<std::uint32_t>(body, 0);
        const auto end = read_le<std::uint32_t>(body, 4);
        if (!base || !end) return fail(Error::kTruncated);
        info.add_module(*base, *end);
        break;
      }
      case Multiboot2Tag::kMemoryMap:
        ODO_TRY_VOID(detail::add_multiboot2_memory(body, info.memory));
        has_memory = true;
        break;
      case Multiboot2Tag::kFramebuffer:
        detail::keep_framebuffer(body, info);
        break;
      case Multiboot2Tag::kRsdpV1:
        if (!has_rsdp_v2) detail::keep_rsdp(body, info);
        break;
      case Multiboot2Tag::kRsdpV2:
        detail::keep_rsdp(body, info);
        has_rsdp_v2 = true;
        break;
    }
    at += align_up(std::size_t{*size}, std::size_t{8});
  }
}

}  // namespace odo::boot
