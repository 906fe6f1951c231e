// SPDX-License-Identifier: BSD-3-Clause
// The kernel's page tables: its image with the rights of each section, all RAM
// in the direct map, and windows onto device registers and firmware tables.
//
// Contexts: install_page_tables() at boot; the rest any thread, on any CPU. No
//   entry is ever writable and executable.
// Invariants: entries are added, and none is changed or taken away: a CPU has
//   nothing of them that is out of date, and none need be told.
// Shapes (virtual):
//   0xffff8000'00000000  direct map: usable RAM, writable, cached, in the
//                        largest pages that fit; the image itself left out
//   0xffffa000'00000000  frame buffers: writable, write-combining
//   0xffffc000'00000000  devices: registers, writable, uncached
//   0xffffe000'00000000  firmware: its tables, read-only, cached
//   0xfffff000'00000000  kernel stacks (kernel_stacks.h): writable, cached
//   0xffffffff'80000000  the kernel's image
//   Physical address p is at base + p in each window but that of stacks; p is
//   below 2^45, in the window of firmware below 2^44.
// Failure: running out of frames for tables stops the machine at boot; a
//   mapping that cannot be made later answers false.
// Origin: Intel SDM vol. 3 §4.5 (4-level paging), §4.6 (rights), §11.12 (PAT).
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "lib/base/bytes.h"
#include "lib/boot/memory_map.h"

namespace odo::x86 {

inline constexpr std::uint64_t kDirectMap = 0xffff800000000000;
inline constexpr std::uint64_t kFramebufferWindow = 0xffffa00000000000;
inline constexpr std::uint64_t kDeviceWindow = 0xffffc00000000000;
inline constexpr std::uint64_t kFirmwareWindow = 0xffffe00000000000;
inline constexpr std::uint64_t kStackWindow = 0xfffff00000000000;
inline constexpr std::uint64_t kMaxPhysical = std::uint64_t{1} << 45;
inline constexpr std::uint64_t kEarlyMapped = std::uint64_t{1} << 32;

// Where a physical address of RAM is seen: in the direct map.
inline std::byte* direct(std::uint64_t physical) {
  return reinterpret_cast<std::byte*>(kDirectMap + physical);
}

// The physical address behind a pointer into the direct map, the image, or a
// kernel stack.
[[nodiscard]] std::uint64_t physical_of(const void* pointer);

// Gives one frame, its content unspecified; nullopt when there is none.
using FrameSource = std::optional<std::uint64_t> (*)();

// Builds the tables and switches to them. `early` is memory below 4 GiB that
// the first frames come from; all later ones come from `frames`.
void install_page_tables(const boot::MemoryMap& memory, FrameSource frames);

// Frames in use as page tables.
[[nodiscard]] std::uint64_t page_table_frames();

// Maps a device's registers; null when there is no frame for a table, or the
// range is empty or beyond kMaxPhysical.
[[nodiscard]] volatile std::byte* map_device(std::uint64_t physical,
                                             std::uint64_t length);

// The same for memory that is only written, and in any order: a frame buffer.
[[nodiscard]] volatile std::byte* map_framebuffer(std::uint64_t physical,
                                                  std::uint64_t length);
// Maps whole pages of RAM at an address of the stack window; false without a
// frame for a table.
[[nodiscard]] bool map_stack_pages(std::uint64_t at, std::uint64_t physical,
                                   std::uint64_t length);

// Tables for a CPU that begins to translate while it runs at a physical
// address: one page is where it is, to be executed and not to be written, and
// the kernel's half is as ever. The address for CR3, below 4 GiB; nullopt
// without frames. What CR3 is to be after that is kernel_tables().
[[nodiscard]] std::optional<std::uint64_t> make_start_tables(
    std::uint64_t page);
[[nodiscard]] std::uint64_t kernel_tables();

// Physical memory as firmware tables are read: see acpi::FirmwareMemory.
class FirmwareMemory {
 public:
  [[nodiscard]] Bytes view(std::uint64_t address, std::size_t length);
};

// The first 4 GiB as the early tables map them: see boot::PhysicalMemory.
class EarlyMemory {
 public:
  [[nodiscard]] Bytes view(std::uint64_t address, std::size_t length) const;
};

}  // namespace odo::x86
