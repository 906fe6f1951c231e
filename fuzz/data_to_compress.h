// SPDX-License-Identifier: BSD-3-Clause
// Data for compressors from a fuzzer's input: its own bytes, and behind them as
// many more as it asks for, up to somewhat over 64 KiB. Those are pieces of
// what was before, noise and runs, since few inputs are long enough for all
// that a compressor does.
//
// Input: two bytes for the room of the output, one that seeds what is added,
// one that says how much of it, in 256 bytes and a little; the rest is the
// beginning of the data.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/codec/testing/generated.h"

namespace odo::fuzz {

struct DataToCompress {
  std::size_t room;
  std::vector<std::byte> data;
};

inline std::optional<DataToCompress> data_to_compress(Bytes input) {
  constexpr std::size_t kHeader = 4;
  if (input.size() < kHeader) return std::nullopt;
  const Bytes own = input.subspan(kHeader);
  DataToCompress result{.room = load_le<std::uint16_t>(input.data()),
                        .data{own.begin(), own.end()}};
  codec::testing::Draw draw(std::to_integer<std::uint64_t>(input[2]));
  std::vector<std::byte>& data = result.data;
  const std::size_t size =
      data.size() + 258 * std::to_integer<std::size_t>(input[3]);
  while (data.size() < size) {
    const std::size_t most = std::size_t{1} << draw.below(13);
    const std::size_t piece =
        std::min(1 + draw.below(most), size - data.size());
    const std::size_t from = draw.below(data.size() + 1);
    const std::size_t kind = draw.below(4);
    const auto run = static_cast<std::byte>(draw.word());
    for (std::size_t i = 0; i < piece; ++i) {
      std::byte next = run;
      if (kind == 1) next = static_cast<std::byte>(draw.word());
      // A piece that reaches its own begin repeats itself.
      if (kind >= 2 && from + i < data.size()) next = data[from + i];
      data.push_back(next);
    }
  }
  return result;
}

}  // namespace odo::fuzz
