// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/paging.h"

#include <algorithm>
#include <array>
#include <atomic>

#include "kernel/x86_64/cpu.h"
#include "kernel/x86_64/features.h"
#include "kernel/x86_64/image.h"
#include "kernel/x86_64/kernel_stacks.h"
#include "kernel/x86_64/lock.h"
#include "kernel/x86_64/stacks.h"
#include "kernel/x86_64/traps.h"
#include "lib/base/bits.h"
#include "lib/base/check.h"

namespace odo::x86 {
namespace {

using Entry = std::uint64_t;
constexpr unsigned kEntries = 512;

constexpr Entry kPresent = 1u << 0;
constexpr Entry kWritable = 1u << 1;
constexpr Entry kWriteThrough = 1u << 3;
constexpr Entry kUncached = 1u << 4;
constexpr Entry kLarge = 1u << 7;
constexpr Entry kGlobal = 1u << 8;
constexpr Entry kNoExecute = Entry{1} << 63;
constexpr Entry kAddressMask = 0x000ffffffffff000;

// Rights of leaf entries. Nothing else is ever put into one.
constexpr Entry kText = kPresent | kGlobal;
constexpr Entry kReadOnly = kPresent | kGlobal | kNoExecute;
constexpr Entry kReadWrite = kPresent | kGlobal | kNoExecute | kWritable;
constexpr Entry kDevice = kReadWrite | kUncached | kWriteThrough;
// The PAT's entry 1, which each CPU makes so (features.cc).
constexpr Entry kCombined = kReadWrite | kWriteThrough;

constexpr std::uint64_t kPage2MiB = std::uint64_t{1} << 21;
constexpr std::uint64_t kPage1GiB = std::uint64_t{1} << 30;

// Around all that reads or makes tables.
constinit IrqLock tables_lock{};
constinit Entry* top_table = nullptr;
constinit FrameSource frame_source = nullptr;
constinit std::atomic<std::uint64_t> table_frames{0};

[[nodiscard]] Entry* new_table() {
  const auto frame = frame_source();
  if (!frame) return nullptr;
  table_frames.fetch_add(1, std::memory_order_relaxed);
  auto* table = reinterpret_cast<Entry*>(direct(*frame));
  __builtin_memset(table, 0, kPageBytes);
  return table;
}

// The table that `entry` leads to, made where there is none yet; null without
// frames. The entry is not a large page.
[[nodiscard]] Entry* descend(Entry& entry) {
  if (entry == 0) {
    Entry* table = new_table();
    if (table == nullptr) return nullptr;
    entry = physical_of(table) | kPresent | kWritable;
    return table;
  }
  return reinterpret_cast<Entry*>(direct(entry & kAddressMask));
}

[[nodiscard]] constexpr unsigned index_of(std::uint64_t virtual_address,
                                          unsigned shift) {
  return static_cast<unsigned>(virtual_address >> shift) % kEntries;
}

[[nodiscard]] std::uint64_t largest_page() {
  return features().has_1gib_pages ? kPage1GiB : kPage2MiB;
}

// The entry that maps `at`, in the largest page that fits, with its size;
// tables on the way are made. Where a large page is there already, that one.
struct Leaf {
  Entry* entry = nullptr;  // null: no frame for a table
  std::uint64_t page_bytes = 0;
};

[[nodiscard]] Leaf find_leaf(std::uint64_t at, std::uint64_t largest) {
  Entry* table = top_table;
  for (unsigned shift = 39; shift > 12; shift -= 9) {
    Entry& entry = table[index_of(at, shift)];
    const std::uint64_t page_bytes = std::uint64_t{1} << shift;
    const bool is_free_and_fits = entry == 0 && page_bytes <= largest;
    if ((entry & kLarge) != 0 || is_free_and_fits) return {&entry, page_bytes};
    table = descend(entry);
    if (table == nullptr) return {};
  }
  return {&table[index_of(at, 12)], kPageBytes};
}

// Maps [at, at + length) to physical memory in pages no larger than
// `max_page`. What is mapped already stays as it is: each window has one set
// of rights and one distance between virtual and physical.
[[nodiscard]] bool map(std::uint64_t at, std::uint64_t physical,
                       std::uint64_t length, Entry rights,
                       std::uint64_t max_page) {
  const IrqGuard guard(tables_lock);
  ODO_CHECK((rights & kNoExecute) != 0 || (rights & kWritable) == 0);
  const std::uint64_t end = at + length;
  while (at < end) {
    std::uint64_t largest = max_page;
    while (largest > kPageBytes &&
           (end - at < largest || !is_aligned(at | physical, largest))) {
      largest >>= 9;
    }
    const Leaf leaf = find_leaf(at, largest);
    if (leaf.entry == nullptr) return false;
    if (*leaf.entry == 0) {
      const Entry large = leaf.page_bytes == kPageBytes ? 0 : kLarge;
      *leaf.entry = physical | rights | large;
    }
    // Up to the end of that page, of which `at` may be in the middle.
    const std::uint64_t step = leaf.page_bytes - at % leaf.page_bytes;
    at += std::min(step, end - at);
    physical += step;
  }
  return true;
}

[[nodiscard]] bool map_section(const char* begin, const char* end,
                               Entry rights) {
  return map(address_of(begin), image_physical(begin),
             static_cast<std::uint64_t>(end - begin), rights, kPageBytes);
}

// Data, with holes for the guard pages under the stacks.
[[nodiscard]] bool map_data() {
  const char* begin = data_begin;
  for (const Stack& stack : stacks()) {
    if (!map_section(begin, stack.guard, kReadWrite)) return false;
    begin = stack.bottom();
  }
  return map_section(begin, data_end, kReadWrite);
}

// Usable RAM without the image: text must not have a writable second face.
[[nodiscard]] bool map_ram(const boot::MemoryMap& memory) {
  const std::uint64_t image_begin = image_physical(kernel_begin);
  const std::uint64_t image_end = image_physical(kernel_end);
  const auto map_part = [](std::uint64_t base, std::uint64_t end) {
    return base >= end ||
           map(kDirectMap + base, base, end - base, kReadWrite, largest_page());
  };
  for (const boot::MemoryRange& range : memory.ranges()) {
    if (range.kind != boot::MemoryKind::kUsable) continue;
    if (!map_part(range.base, std::min(range.end, image_begin)) ||
        !map_part(std::max(range.base, image_end), range.end)) {
      return false;
    }
  }
  return true;
}

// A device's memory as one of the windows shows it.
[[nodiscard]] volatile std::byte* map_window(std::uint64_t window,
                                             std::uint64_t physical,
                                             std::uint64_t length,
                                             Entry rights) {
  if (length == 0 || !range_inside(physical, length, kMaxPhysical)) {
    return nullptr;
  }
  const std::uint64_t begin = align_down(physical, kPageBytes);
  const std::uint64_t end = align_up(physical + length, kPageBytes);
  if (!map(window + begin, begin, end - begin, rights, kPage2MiB)) {
    return nullptr;
  }
  return reinterpret_cast<volatile std::byte*>(window + physical);
}

}  // namespace

std::uint64_t physical_of(const void* pointer) {
  const std::uint64_t address = address_of(pointer);
  if (address >= kKernelOffset) return address - kKernelOffset;
  if (is_on_kernel_stack(address)) return kernel_stack_physical(address);
  ODO_CHECK(address - kDirectMap < kMaxPhysical);
  return address - kDirectMap;
}

void install_page_tables(const boot::MemoryMap& memory, FrameSource frames) {
  frame_source = frames;
  top_table = new_table();
  if (top_table == nullptr || !map_section(text_begin, text_end, kText) ||
      !map_section(rodata_begin, rodata_end, kReadOnly) || !map_data() ||
      !map_section(symbols_begin, symbols_end, kReadOnly) || !map_ram(memory)) {
    stop_with("no memory for page tables");
  }
  write_cr3(physical_of(top_table));
}

std::uint64_t page_table_frames() {
  return table_frames.load(std::memory_order_relaxed);
}

volatile std::byte* map_device(std::uint64_t physical, std::uint64_t length) {
  return map_window(kDeviceWindow, physical, length, kDevice);
}

volatile std::byte* map_framebuffer(std::uint64_t physical,
                                    std::uint64_t length) {
  return map_window(kFramebufferWindow, physical, length, kCombined);
}

bool map_stack_pages(std::uint64_t at, std::uint64_t physical,
                     std::uint64_t length) {
  return map(at, physical, length, kReadWrite, kPageBytes);
}

std::optional<std::uint64_t> make_start_tables(std::uint64_t page) {
  const IrqGuard guard(tables_lock);
  Entry* const top = new_table();
  if (top == nullptr) return std::nullopt;
  std::copy(top_table + kEntries / 2, top_table + kEntries, top + kEntries / 2);
  Entry* table = top;
  for (unsigned shift = 39; shift > 12; shift -= 9) {
    table = descend(table[index_of(page, shift)]);
    if (table == nullptr) return std::nullopt;
  }
  table[index_of(page, 12)] = page | kPresent;
  return physical_of(top);
}

std::uint64_t kernel_tables() { return physical_of(top_table); }

Bytes FirmwareMemory::view(std::uint64_t address, std::size_t length) {
  constexpr std::uint64_t kEnd = kStackWindow - kFirmwareWindow;
  if (address == 0 || length == 0 || !range_inside(address, length, kEnd)) {
    return {};
  }
  const std::uint64_t begin = align_down(address, kPageBytes);
  const std::uint64_t end = align_up(address + length, kPageBytes);
  if (!map(kFirmwareWindow + begin, begin, end - begin, kReadOnly,
           kPageBytes)) {
    return {};
  }
  return {reinterpret_cast<const std::byte*>(kFirmwareWindow + address),
          length};
}

Bytes EarlyMemory::view(std::uint64_t address, std::size_t length) const {
  if (address == 0 || address >= kEarlyMapped) return {};
  return {direct(address), static_cast<std::size_t>(std::min<std::uint64_t>(
                               length, kEarlyMapped - address))};
}

}  // namespace odo::x86
