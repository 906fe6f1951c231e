// SPDX-License-Identifier: BSD-3-Clause
#include "tools/h2/picture.h"

#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <iostream>
#include <string>
#include <string_view>

#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "tools/h2/volume.h"

namespace odo::h2 {
namespace {

const Bytef* as_zlib(std::string_view bytes) {
  return reinterpret_cast<const Bytef*>(bytes.data());
}

std::string big_endian(std::uint32_t value) {
  std::string bytes;
  for (unsigned shift = 32; shift > 0;) {
    shift -= 8;
    bytes += static_cast<char>(value >> shift & 255);
  }
  return bytes;
}

// Length, type, content, CRC over the last two.
void add_chunk(std::string& to, std::string_view type,
               std::string_view content) {
  to += big_endian(static_cast<std::uint32_t>(content.size()));
  const std::string covered = std::string(type) + std::string(content);
  to += covered;
  to += big_endian(static_cast<std::uint32_t>(
      ::crc32(0, as_zlib(covered), static_cast<uInt>(covered.size()))));
}

std::string compressed(std::string_view bytes) {
  uLongf size = ::compressBound(bytes.size());
  std::string to(size, '\0');
  if (::compress2(reinterpret_cast<Bytef*>(to.data()), &size, as_zlib(bytes),
                  bytes.size(), Z_BEST_COMPRESSION) != Z_OK) {
    throw Failure("not enough memory for a picture");
  }
  to.resize(size);
  return to;
}

Colour colour_at(const Cells& cells, std::size_t at) {
  constexpr Colour kNothing = {.red = 255, .green = 255, .blue = 255};
  return at < cells.colours.size() ? cells.colours[at] : kNothing;
}

}  // namespace

std::string png_of(const Cells& cells) {
  std::string rows;
  for (std::size_t row = 0; row < cells.rows(); ++row) {
    std::string line(1, '\0');  // no filter
    for (std::size_t i = 0; i < cells.in_row; ++i) {
      const Colour colour = colour_at(cells, row * cells.in_row + i);
      for (std::size_t pixel = 0; pixel < cells.pixels; ++pixel) {
        line += static_cast<char>(colour.red);
        line += static_cast<char>(colour.green);
        line += static_cast<char>(colour.blue);
      }
    }
    for (std::size_t i = 0; i < cells.pixels; ++i) rows += line;
  }
  std::string png = "\x89PNG\r\n\x1a\n";
  std::string header = big_endian(static_cast<std::uint32_t>(cells.width()));
  header += big_endian(static_cast<std::uint32_t>(cells.height()));
  header += std::string("\x08\x02\x00\x00\x00", 5);  // 8 bits, RGB
  add_chunk(png, "IHDR", header);
  add_chunk(png, "IDAT", compressed(rows));
  add_chunk(png, "IEND", {});
  return png;
}

std::string svg_of(const Cells& cells, const std::string& title) {
  std::string svg = absl::StrFormat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\" "
      "shape-rendering=\"crispEdges\">\n<title>%s</title>\n",
      cells.width(), cells.height(),
      absl::StrReplaceAll(title,
                          {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}}));
  for (std::size_t at = 0; at < cells.colours.size();) {
    const std::size_t row_end =
        std::min(cells.colours.size(), (at / cells.in_row + 1) * cells.in_row);
    std::size_t end = at + 1;
    while (end < row_end && cells.colours[end] == cells.colours[at]) ++end;
    const Colour& colour = cells.colours[at];
    absl::StrAppendFormat(&svg,
                          "<rect x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\" "
                          "fill=\"#%02x%02x%02x\"/>\n",
                          at % cells.in_row * cells.pixels,
                          at / cells.in_row * cells.pixels,
                          (end - at) * cells.pixels, cells.pixels, colour.red,
                          colour.green, colour.blue);
    at = end;
  }
  return svg + "</svg>\n";
}

void write_picture(const std::string& name, const std::string& bytes) {
  if (name == "-") {
    std::cout << bytes;
    return;
  }
  const int file = ::open(
      name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
  if (file < 0) throw Failure(name + ": " + std::strerror(errno));
  std::size_t written = 0;
  while (written < bytes.size()) {
    const ssize_t put =
        ::write(file, bytes.data() + written, bytes.size() - written);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) {
      const int error = errno;
      ::close(file);
      throw Failure(name + ": " + std::strerror(error));
    }
    written += static_cast<std::size_t>(put);
  }
  if (::close(file) != 0) throw Failure(name + ": " + std::strerror(errno));
}

}  // namespace odo::h2
