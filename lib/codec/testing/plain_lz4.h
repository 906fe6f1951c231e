// SPDX-License-Identifier: BSD-3-Clause
// LZ4 blocks by the letter of the format and one byte at a time: what the fast
// decoder is compared with where liblz4 is stricter than the format's decoding
// rules.
//
// Contexts: hosted tests and fuzzers.
// Origin: the LZ4 Block Format Description.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "lib/base/bytes.h"

namespace odo::codec::testing {

struct PlainLz4 {
  // The data; none if the block is invalid or the data longer than allowed.
  std::optional<std::vector<std::byte>> data;
  // A match had the distance zero, which liblz4 lets pass.
  bool zero_distance = false;
  // The block keeps the end-of-block conditions, so that liblz4 must take it.
  // With no room at all, liblz4 takes the block of one zero byte only.
  bool keeps_end_conditions = false;
};

inline PlainLz4 plain_lz4(Bytes block, std::size_t most) {
  PlainLz4 result;
  std::vector<std::byte> data;
  std::size_t at = 0;
  std::size_t last_match = 0;
  bool any_match = false;
  const auto more = [&](std::size_t length) -> std::optional<std::size_t> {
    for (;;) {
      if (at == block.size()) return std::nullopt;
      const auto byte = std::to_integer<std::size_t>(block[at++]);
      length += byte;
      if (byte != 255) return length;
    }
  };
  for (;;) {
    if (at == block.size()) return result;
    const auto token = std::to_integer<std::size_t>(block[at++]);
    std::optional<std::size_t> literals = token >> 4;
    if (*literals == 15) literals = more(15);
    if (!literals || block.size() - at < *literals ||
        most - data.size() < *literals) {
      return result;
    }
    data.insert(data.end(), block.begin() + static_cast<std::ptrdiff_t>(at),
                block.begin() + static_cast<std::ptrdiff_t>(at + *literals));
    at += *literals;
    if (at == block.size()) {
      result.keeps_end_conditions =
          (most > 0 || token == 0) &&
          (!any_match || (*literals >= 5 && data.size() - last_match >= 12));
      result.data = std::move(data);
      return result;
    }
    if (block.size() - at < 2) return result;
    const std::size_t distance =
        std::to_integer<std::size_t>(block[at]) +
        256 * std::to_integer<std::size_t>(block[at + 1]);
    at += 2;
    std::optional<std::size_t> length = (token & 15) + 4;
    if (*length == 19) length = more(19);
    if (distance == 0) result.zero_distance = true;
    if (!length || distance == 0 || distance > data.size() ||
        most - data.size() < *length) {
      return result;
    }
    any_match = true;
    last_match = data.size();
    for (std::size_t i = 0; i < *length; ++i) {
      data.push_back(data[data.size() - distance]);
    }
  }
}

}  // namespace odo::codec::testing
