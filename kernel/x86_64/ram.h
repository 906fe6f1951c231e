// SPDX-License-Identifier: BSD-3-Clause
// The machine's RAM as page frames: what the boot map calls usable, less the
// kernel's image and what the loader left in it for us.
//
// Contexts: init_ram() at boot; the rest any but NMI, on any CPU. Units: in the
//   names.
// Failure: init_ram() stops the machine with one line when there is too little.
#pragma once

#include <cstdint>
#include <optional>

#include "lib/base/bytes.h"
#include "lib/boot/boot_info.h"
#include "lib/frames/frame_allocator.h"

namespace odo::x86 {

inline constexpr std::uint64_t kMinRamMiB = 24;

// Frames below 4 GiB first; installs the page tables, which come out of them;
// then all the rest.
void init_ram(const boot::BootInfo& info);

// `bytes` (rounded up to frames) of contiguous memory in the direct map, from a
// multiple of `align_bytes` on, content unspecified. Empty when there is no
// such run. For whole frames; what is smaller comes from the heap.
[[nodiscard]] MutableBytes allocate_ram(
    std::uint64_t bytes, std::uint64_t align_bytes = frames::kFrameBytes);
// One frame below 1 MiB: the physical address. Such memory is scarce.
[[nodiscard]] std::optional<std::uint64_t> allocate_low_frame();
// Gives it back.
void free_ram(MutableBytes memory);

[[nodiscard]] frames::Stats ram_stats();

}  // namespace odo::x86
