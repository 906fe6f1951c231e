// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/screen.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "kernel/x86_64/heap.h"
#include "kernel/x86_64/log.h"
#include "kernel/x86_64/paging.h"
#include "lib/base/bits.h"
#include "lib/console/screen.h"

namespace odo::x86 {
namespace {

// Rows to look back at.
constexpr std::size_t kHistory = 500;

constinit console::Screen* screen = nullptr;

[[nodiscard]] console::Channel channel_of(
    const boot::Framebuffer::Channel& told) {
  return {.shift = told.shift, .bits = std::min<std::uint8_t>(told.bits, 9)};
}

[[nodiscard]] console::PixelFormat format_of(const boot::Framebuffer& told) {
  return {.width = told.width,
          .height = told.height,
          .pitch_bytes = told.pitch_bytes,
          // 15 bits a pixel take two bytes as well.
          .pixel_bytes = static_cast<std::uint8_t>((told.pixel_bits + 7u) / 8),
          .red = channel_of(told.red),
          .green = channel_of(told.green),
          .blue = channel_of(told.blue)};
}

// No loader puts one there, but what is written to it would be lost.
[[nodiscard]] bool lies_in_ram(const boot::BootInfo& info, std::uint64_t at,
                               std::uint64_t length) {
  return std::ranges::any_of(info.memory.ranges(), [&](const auto& range) {
    return range.kind == boot::MemoryKind::kUsable && at < range.end &&
           range.base < at + length;
  });
}

}  // namespace

void init_screen(const boot::BootInfo& info) {
  if (!info.framebuffer) return;
  const boot::Framebuffer& told = *info.framebuffer;
  const console::PixelFormat format = format_of(told);
  const auto refuse = [](std::string_view why) {
    log("odo: no screen: ", why, "\n");
  };
  if (!format.is_possible() || told.pixel_bits > 32) {
    return refuse("a frame buffer of a format that cannot be");
  }
  const std::uint64_t length = format.size_bytes();
  if (!range_inside(told.address, length, kMaxPhysical) ||
      lies_in_ram(info, told.address, length)) {
    return refuse("a frame buffer where there can be none");
  }
  KernelHeap& heap = kernel_heap();
  const std::size_t count = console::Screen::cells_needed(format, kHistory);
  auto* const cells = static_cast<console::Cell*>(
      heap.allocate(count * sizeof(console::Cell), alignof(console::Cell)));
  if (cells == nullptr) return refuse("no memory for it");
  volatile std::byte* const memory = map_framebuffer(told.address, length);
  if (memory == nullptr) {
    heap.free(cells);
    return refuse("no memory for its page tables");
  }
  std::uninitialized_fill_n(cells, count, console::Cell{});
  screen = heap.make<console::Screen>(console::Pixels(memory, format),
                                      std::span(cells, count));
  if (screen == nullptr) {
    heap.free(cells);
    refuse("no memory for it");
  }
}

bool has_screen() { return screen != nullptr; }

void write_screen(Bytes bytes) {
  if (screen != nullptr) screen->write(bytes);
}

void write_screen_text(std::string_view text) {
  if (screen != nullptr) screen->write_text(text);
}

void look(console::Look where) {
  if (screen == nullptr) return;
  const ConsoleGuard guard;
  if (where == console::Look::kBack) screen->look_back();
  if (where == console::Look::kForward) screen->look_forward();
}

}  // namespace odo::x86
