// SPDX-License-Identifier: BSD-3-Clause
// Physical memory for tests: islands of bytes at chosen addresses, and nothing
// between them.
//
// Contexts: tests only.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

#include "lib/base/bytes.h"

namespace odo::boot {

class IslandMemory {
 public:
  std::vector<std::byte>& put(std::uint64_t address,
                              std::vector<std::byte> bytes) {
    return islands_[address] = std::move(bytes);
  }

  [[nodiscard]] Bytes view(std::uint64_t address, std::size_t length) const {
    auto after = islands_.upper_bound(address);
    if (after == islands_.begin()) return {};
    const auto& [base, bytes] = *std::prev(after);
    if (address - base >= bytes.size()) return {};
    const Bytes rest = Bytes(bytes).subspan(address - base);
    return rest.first(std::min(length, rest.size()));
  }

 private:
  std::map<std::uint64_t, std::vector<std::byte>> islands_;
};

// Appends numbers to bytes, little-endian, for building structures by hand.
class Builder {
 public:
  template <class T>
  Builder& le(T value) {
    const std::size_t at = bytes_.size();
    bytes_.resize(at + sizeof(T));
    store_le(bytes_.data() + at, value);
    return *this;
  }
  Builder& text(std::string_view text) {
    for (char c : text) bytes_.push_back(static_cast<std::byte>(c));
    return *this;
  }
  Builder& pad_to(std::size_t multiple) {
    while (bytes_.size() % multiple != 0) bytes_.push_back(std::byte{0});
    return *this;
  }
  [[nodiscard]] const std::vector<std::byte>& bytes() const { return bytes_; }
  [[nodiscard]] std::vector<std::byte>& bytes() { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

}  // namespace odo::boot
