// SPDX-License-Identifier: BSD-3-Clause
// Pictures made of equal cells, as SVG or PNG.
//
// Contexts: the tool's main thread.
// Shapes: cells fill rows from the left; runs of one colour become one SVG
//   rectangle. PNG: eight bits of red, green and blue, one zlib stream.
// Origin: PNG, Third Edition (W3C), chapters 5, 9 and 11.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace odo::h2 {

struct Colour {
  std::uint8_t red = 0;
  std::uint8_t green = 0;
  std::uint8_t blue = 0;

  friend bool operator==(const Colour&, const Colour&) = default;
};

struct Cells {
  std::size_t in_row = 64;
  std::size_t pixels = 8;  // of a cell's side
  std::vector<Colour> colours;

  [[nodiscard]] std::size_t rows() const {
    return (colours.size() + in_row - 1) / in_row;
  }
  [[nodiscard]] std::size_t width() const { return in_row * pixels; }
  [[nodiscard]] std::size_t height() const { return rows() * pixels; }
};

[[nodiscard]] std::string png_of(const Cells& cells);
// `title` is shown on hovering.
[[nodiscard]] std::string svg_of(const Cells& cells, const std::string& title);

// Writes to a new file, or to standard output for "-". Failure where it can't,
// or where there is one of that name.
void write_picture(const std::string& name, const std::string& bytes);

}  // namespace odo::h2
