// SPDX-License-Identifier: BSD-3-Clause
// What a boot loader told us, whichever protocol it spoke: memory, command
// line, ACPI root pointer, modules. Everything is copied out, because the
// loader's own memory is usable RAM that is given away soon after.
//
// Contexts: early boot, one thread.
// Shapes: about 12 KiB; keep it static, not on a stack.
// Failure: see Error; a BootInfo that was returned with an error is not used.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "lib/base/bytes.h"
#include "lib/base/result.h"
#include "lib/boot/memory_map.h"

namespace odo::boot {

enum class Error : std::uint8_t {
  kUnreadable,     // a structure lies where the machine cannot read
  kBadMagic,       // not the structure that the protocol promises
  kTruncated,      // the structure ends inside itself
  kNoMemoryMap,    // the loader gave no memory map
  kTooManyRanges,  // more memory ranges than MemoryMap::kMaxRanges
};

template <class T>
using Result = odo::Result<T, Error>;

[[nodiscard]] constexpr std::string_view describe(Error error) {
  switch (error) {
    case Error::kUnreadable:
      return "the boot information lies outside readable memory";
    case Error::kBadMagic:
      return "the boot information has a wrong magic number";
    case Error::kTruncated:
      return "the boot information ends inside a structure";
    case Error::kNoMemoryMap:
      return "the boot loader gave no memory map";
    case Error::kTooManyRanges:
      return "the memory map has too many ranges";
  }
  return "unknown boot error";
}

// Physical memory as early boot can see it. `view` answers with the bytes from
// `address` on, at most `length` of them; fewer, or none, where memory that can
// be read ends. The view stays valid while boot information is parsed.
template <class M>
concept PhysicalMemory =
    requires(const M& memory, std::uint64_t address, std::size_t length) {
      { memory.view(address, length) } -> std::same_as<Bytes>;
    };

enum class Protocol : std::uint8_t { kPvh, kMultiboot2 };

struct Module {
  std::uint64_t base;
  std::uint64_t end;
};

// A frame buffer whose pixels hold their colours' bits.
struct Framebuffer {
  struct Channel {
    std::uint8_t shift = 0;
    std::uint8_t bits = 0;
  };
  std::uint64_t address = 0;
  std::uint32_t pitch_bytes = 0;
  std::uint32_t width = 0;  // pixels
  std::uint32_t height = 0;
  std::uint8_t pixel_bits = 0;
  Channel red;
  Channel green;
  Channel blue;
};

struct BootInfo {
  static constexpr std::size_t kMaxCommandLine = 4096;
  static constexpr std::size_t kMaxModules = 16;
  static constexpr std::size_t kMaxRsdpBytes = 36;

  Protocol protocol = Protocol::kPvh;
  MemoryMap memory;
  // The ACPI root pointer: where it is (0: unknown), or a copy of it.
  std::uint64_t rsdp_address = 0;
  std::array<std::byte, kMaxRsdpBytes> rsdp_bytes{};
  std::size_t rsdp_size = 0;
  std::array<Module, kMaxModules> module_list{};
  std::size_t module_count = 0;
  std::optional<Framebuffer> framebuffer;
  std::array<char, kMaxCommandLine> command_line_text{};
  std::size_t command_line_size = 0;
  bool command_line_was_cut = false;

  [[nodiscard]] std::string_view command_line() const {
    return {command_line_text.data(), command_line_size};
  }
  [[nodiscard]] std::span<const Module> modules() const {
    return {module_list.data(), module_count};
  }

  // Copies text up to its first NUL; what does not fit is cut, and told.
  void set_command_line(Bytes text) {
    command_line_size = 0;
    command_line_was_cut = false;
    for (const std::byte b : text) {
      if (b == std::byte{0}) return;
      if (command_line_size == kMaxCommandLine) {
        command_line_was_cut = true;
        return;
      }
      command_line_text[command_line_size++] =
          static_cast<char>(std::to_integer<unsigned char>(b));
    }
  }

  // Modules beyond the limit are left out: nothing here depends on them.
  void add_module(std::uint64_t base, std::uint64_t end) {
    if (base >= end || module_count == kMaxModules) return;
    module_list[module_count++] = {base, end};
  }
};

}  // namespace odo::boot
