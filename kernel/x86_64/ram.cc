// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/ram.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <new>
#include <span>

#include "kernel/x86_64/image.h"
#include "kernel/x86_64/lock.h"
#include "kernel/x86_64/log.h"
#include "kernel/x86_64/paging.h"
#include "kernel/x86_64/power.h"
#include "kernel/x86_64/traps.h"
#include "lib/base/check.h"

extern "C" {
extern const char boot_begin[], boot_end[];
}

namespace odo::x86 {
namespace {

using frames::Range;

struct DirectMap {
  [[nodiscard]] std::byte* at(std::uint64_t physical) const {
    return direct(physical);
  }
};
using Allocator = frames::FrameAllocator<DirectMap>;

// A raw place: there are no constructors that run before the kernel does.
alignas(Allocator) constinit std::array<std::byte, sizeof(Allocator)> place{};
constinit Allocator* allocator = nullptr;
constinit IrqLock allocator_lock{};

constexpr std::size_t kMaxRanges = boot::MemoryMap::kMaxRanges;
constexpr std::size_t kMaxReserved = boot::BootInfo::kMaxModules + 4;

class RangeList {
 public:
  void add(std::uint64_t base, std::uint64_t end) {
    ODO_CHECK(count_ < ranges_.size());
    if (base < end) ranges_[count_++] = {base, end - base};
  }
  [[nodiscard]] std::span<const Range> all() const {
    return std::span(ranges_).first(count_);
  }

 private:
  std::array<Range, kMaxRanges + kMaxReserved> ranges_{};
  std::size_t count_ = 0;
};

constinit RangeList usable_ranges{};
constinit RangeList reserved_ranges{};
constinit std::array<Range, 2 * (kMaxRanges + kMaxReserved)> free_ranges{};

// Gives the allocator those parts of the free ranges that lie in [from, to).
void add_free(std::span<const Range> ranges, std::uint64_t from,
              std::uint64_t to) {
  for (const Range& range : ranges) {
    const std::uint64_t base = std::max(range.base_bytes, from);
    const std::uint64_t end = std::min(range.base_bytes + range.size_bytes, to);
    if (base >= end) continue;
    // More pieces than the allocator keeps: the smallest loss is the last one.
    if (!allocator->add({base, end - base})) {
      log("odo: ", (end - base) >> 10, " KiB of memory at 0x", Hex{base},
          " left out\n");
    }
  }
}

[[nodiscard]] std::optional<std::uint64_t> frames_for(
    const frames::Request& request) {
  const IrqGuard guard(allocator_lock);
  const auto base = allocator->allocate(request);
  if (!base) return std::nullopt;
  return *base;
}

[[nodiscard]] std::optional<std::uint64_t> table_frame() {
  return frames_for({.below_bytes = kEarlyMapped});
}

[[noreturn]] void refuse(std::uint64_t usable_bytes) {
  log("odo: ", usable_bytes >> 20, " MiB of memory: needs at least ",
      kMinRamMiB, " MiB (QEMU: -m ", kMinRamMiB, ")\n");
  stop_machine(1);
}

}  // namespace

void init_ram(const boot::BootInfo& info) {
  // Firmware keeps up to a MiB or so of what the machine has.
  constexpr std::uint64_t kFirmwareShareMiB = 2;
  const std::uint64_t usable = info.memory.usable_bytes();
  if (usable < (kMinRamMiB - kFirmwareShareMiB) << 20) refuse(usable);

  for (const boot::MemoryRange& range : info.memory.ranges()) {
    if (range.kind == boot::MemoryKind::kUsable) {
      usable_ranges.add(range.base, range.end);
    }
  }
  // Frame 0 stays out: a physical address of 0 means "none" in many places.
  reserved_ranges.add(0, kPageBytes);
  reserved_ranges.add(image_physical(kernel_begin), image_physical(kernel_end));
  for (const boot::Module& module : info.modules()) {
    reserved_ranges.add(module.base, module.end);
  }
  const auto count = frames::normalize(usable_ranges.all(),
                                       reserved_ranges.all(), free_ranges);
  ODO_CHECK(count.has_value());
  const auto free = std::span<const Range>(free_ranges).first(*count);

  // The early page tables lie in the boot area and map 4 GiB: until they are
  // replaced the one is in use and memory beyond the other cannot be touched.
  allocator = ::new (place.data()) Allocator();
  const std::uint64_t boot_area_begin = address_of(boot_begin);
  const std::uint64_t boot_area_end = address_of(boot_end);
  add_free(free, 0, boot_area_begin);
  add_free(free, boot_area_end, kEarlyMapped);
  install_page_tables(info.memory, table_frame);
  add_free(free, boot_area_begin, boot_area_end);
  add_free(free, kEarlyMapped, kMaxPhysical);
}

MutableBytes allocate_ram(std::uint64_t bytes, std::uint64_t align_bytes) {
  const std::uint64_t count = (bytes + kPageBytes - 1) / kPageBytes;
  const auto base =
      frames_for({.frames = count, .align_frames = align_bytes / kPageBytes});
  if (!base) return {};
  return {direct(*base), count * kPageBytes};
}

std::optional<std::uint64_t> allocate_low_frame() {
  return frames_for({.below_bytes = frames::kBelow1MiB});
}

void free_ram(MutableBytes memory) {
  const IrqGuard guard(allocator_lock);
  allocator->free(physical_of(memory.data()), memory.size() / kPageBytes);
}

frames::Stats ram_stats() {
  const IrqGuard guard(allocator_lock);
  return allocator->stats();
}

}  // namespace odo::x86
