// SPDX-License-Identifier: BSD-3-Clause
// A frame buffer: how it stores pixels, and the drawing of glyphs in it.
//
// Contexts: any; one writer at a time. Memory is only written, never read:
//   reading a display adapter's memory takes as long as hundreds of writes.
// Failure: a format that cannot be is refused by is_possible(); nothing is
//   written outside of the memory after that.
// Cost: kGlyphWidth * kGlyphHeight writes a glyph.
// Origin: Multiboot2 specification 2.0 §3.6.12 (what a format consists of).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/console/font.h"

namespace odo::console {

// A colour's bits in a pixel.
struct Channel {
  std::uint8_t shift = 0;
  std::uint8_t bits = 0;

  friend constexpr bool operator==(const Channel&, const Channel&) = default;
};

struct PixelFormat {
  std::uint32_t width = 0;  // pixels
  std::uint32_t height = 0;
  std::uint32_t pitch_bytes = 0;  // from a row to the next
  std::uint8_t pixel_bytes = 0;   // 2, 3 or 4
  Channel red;
  Channel green;
  Channel blue;

  static constexpr std::uint32_t kMaxSide = 16384;

  [[nodiscard]] constexpr std::uint64_t size_bytes() const {
    return std::uint64_t{pitch_bytes} * height;
  }
  [[nodiscard]] constexpr bool is_possible() const {
    const unsigned pixel_bits = pixel_bytes * 8u;
    for (const Channel& channel : {red, green, blue}) {
      if (channel.bits == 0 || channel.bits > 8 ||
          channel.shift + channel.bits > pixel_bits) {
        return false;
      }
    }
    return pixel_bytes >= 2 && pixel_bytes <= 4 && width >= kGlyphWidth &&
           height >= kGlyphHeight && width <= kMaxSide && height <= kMaxSide &&
           pitch_bytes >= width * pixel_bytes && pitch_bytes <= kMaxSide * 16;
  }
  [[nodiscard]] constexpr std::uint32_t columns() const {
    return width / kGlyphWidth;
  }
  [[nodiscard]] constexpr std::uint32_t rows() const {
    return height / kGlyphHeight;
  }

  friend constexpr bool operator==(const PixelFormat&,
                                   const PixelFormat&) = default;
};

// 0xRRGGBB.
using Rgb = std::uint32_t;

[[nodiscard]] constexpr std::uint32_t pixel_of(const PixelFormat& format,
                                               Rgb colour) {
  const auto part = [&](unsigned shift, const Channel& channel) {
    const std::uint32_t full = colour >> shift & 0xff;
    return (full >> (8u - channel.bits)) << channel.shift;
  };
  return part(16, format.red) | part(8, format.green) | part(0, format.blue);
}

class Pixels {
 public:
  // `memory` is size_bytes() of a format that is possible.
  Pixels(volatile std::byte* memory, const PixelFormat& format)
      : memory_(memory), format_(format) {
    ODO_CHECK(format.is_possible());
  }

  [[nodiscard]] const PixelFormat& format() const { return format_; }

  // A character's cell, counted from the upper left; pixels as pixel_of() makes
  // them.
  void put_glyph(std::uint32_t column, std::uint32_t row, const Glyph& glyph,
                 std::uint32_t ink, std::uint32_t paper) {
    ODO_ASSERT(column < format_.columns() && row < format_.rows());
    volatile std::byte* line =
        memory_ + std::size_t{row} * kGlyphHeight * format_.pitch_bytes +
        std::size_t{column} * kGlyphWidth * format_.pixel_bytes;
    for (const std::uint8_t bits : glyph) {
      put_line(line, bits, ink, paper);
      line += format_.pitch_bytes;
    }
  }

  // All of it, also the margins that are no cells.
  void fill(std::uint32_t pixel) {
    for (std::uint32_t y = 0; y < format_.height; ++y) {
      volatile std::byte* at = memory_ + std::size_t{y} * format_.pitch_bytes;
      for (std::uint32_t x = 0; x < format_.width; ++x) {
        put(at, pixel);
        at += format_.pixel_bytes;
      }
    }
  }

 private:
  void put_line(volatile std::byte* at, std::uint8_t bits, std::uint32_t ink,
                std::uint32_t paper) const {
    for (unsigned mask = 0x80; mask != 0; mask >>= 1) {
      put(at, (bits & mask) != 0 ? ink : paper);
      at += format_.pixel_bytes;
    }
  }

  // Rows of any pitch: a pixel may lie anywhere.
  void put(volatile std::byte* at, std::uint32_t pixel) const {
    if (format_.pixel_bytes == 4) {
      *reinterpret_cast<volatile Unaligned32*>(at) = pixel;
      return;
    }
    for (unsigned i = 0; i < format_.pixel_bytes; ++i) {
      at[i] = static_cast<std::byte>(pixel >> (8 * i));
    }
  }

  using Unaligned32 [[gnu::aligned(1), gnu::may_alias]] = std::uint32_t;

  volatile std::byte* memory_;
  PixelFormat format_;
};

}  // namespace odo::console
