// SPDX-License-Identifier: BSD-3-Clause
// The kernel's names by address, read from the table that make_symbols.py
// writes into the image's `.symbols` section.
//
// Contexts: any, including panic: reads only, no state.
// Shapes (little-endian): u32 magic "ODOS", u32 count, then `count` entries of
//   {u32 address − base, u32 size in bytes (0: unknown), u32 name's offset in
//   the text}, sorted by address, then the text: names ended by NUL.
// Failure: total on any bytes; a damaged or empty table finds nothing.
// Complexity: find() is logarithmic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "lib/base/bytes.h"

namespace odo {

struct Symbol {
  std::string_view name;
  std::uint64_t address;
};

class SymbolTable {
 public:
  static constexpr std::uint32_t kMagic = 0x534f444f;  // "ODOS"
  static constexpr std::size_t kHeaderBytes = 8;
  static constexpr std::size_t kEntryBytes = 12;

  // `bytes` stay where they are; `base` is what the entries count from.
  SymbolTable(Bytes bytes, std::uint64_t base) : bytes_(bytes), base_(base) {
    const auto magic = read_le<std::uint32_t>(bytes, 0);
    const auto count = read_le<std::uint32_t>(bytes, 4);
    if (!magic || *magic != kMagic || !count) return;
    if (*count > (bytes.size() - kHeaderBytes) / kEntryBytes) return;
    count_ = *count;
  }

  [[nodiscard]] std::size_t size() const { return count_; }

  // The last symbol at or below `address`, if the address is inside it.
  [[nodiscard]] std::optional<Symbol> find(std::uint64_t address) const {
    if (address < base_) return std::nullopt;
    const std::uint64_t offset = address - base_;
    std::size_t low = 0;  // entries below `low` start at or below the address
    for (std::size_t high = count_; low < high;) {
      const std::size_t middle = low + (high - low) / 2;
      if (field(middle, 0) <= offset) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    if (low == 0) return std::nullopt;
    const std::uint64_t begin = field(low - 1, 0);
    const std::uint64_t size = field(low - 1, 4);
    if (size != 0 && offset - begin >= size) return std::nullopt;
    return Symbol{name_at(field(low - 1, 8)), base_ + begin};
  }

 private:
  [[nodiscard]] std::uint32_t field(std::size_t entry, std::size_t at) const {
    return load_le<std::uint32_t>(bytes_.data() + kHeaderBytes +
                                  entry * kEntryBytes + at);
  }

  [[nodiscard]] std::string_view name_at(std::uint32_t offset) const {
    const Bytes text = bytes_.subspan(kHeaderBytes + count_ * kEntryBytes);
    if (offset >= text.size()) return "?";
    const auto* begin = reinterpret_cast<const char*>(text.data()) + offset;
    const std::size_t room = text.size() - offset;
    std::size_t length = 0;
    while (length < room && begin[length] != '\0') ++length;
    return {begin, length};
  }

  Bytes bytes_;
  std::uint64_t base_;
  std::size_t count_ = 0;
};

}  // namespace odo
