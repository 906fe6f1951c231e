// SPDX-License-Identifier: BSD-3-Clause
// LZ4 blocks: our decoder against the format's letter on every input, and
// against liblz4 wherever the two promise the same. They differ in two ways,
// which lib/codec/lz4.h explains: liblz4 lets the distance zero pass, and
// rejects some blocks that break the end-of-block conditions.
//
// Input: two bytes for the size of the output, the rest is the block.
#include <lz4.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/codec/lz4.h"
#include "lib/codec/testing/guarded.h"
#include "lib/codec/testing/plain_lz4.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  if (size < 2) return 0;
  const odo::Bytes input(reinterpret_cast<const std::byte*>(data), size);
  const std::size_t room = odo::load_le<std::uint16_t>(input.data());
  const odo::Bytes block = input.subspan(2);

  odo::codec::testing::Guarded out(room);
  const auto ours = odo::codec::lz4_decompress(block, out.span());
  ODO_CHECK(out.intact());
  ODO_CHECK(!ours || *ours <= room);

  const auto plain = odo::codec::testing::plain_lz4(block, room);
  ODO_CHECK(ours.has_value() == plain.data.has_value());
  if (ours) {
    ODO_CHECK(*ours == plain.data->size());
    ODO_CHECK(
        std::equal(plain.data->begin(), plain.data->end(), out.span().begin()));
  }

  std::vector<char> reference(room + 1);
  const int result = LZ4_decompress_safe(
      reinterpret_cast<const char*>(block.data()), reference.data(),
      static_cast<int>(block.size()), static_cast<int>(room));
  if (result >= 0 && !plain.zero_distance) {
    ODO_CHECK(ours && *ours == static_cast<std::size_t>(result));
    ODO_CHECK(__builtin_memcmp(reference.data(), out.span().data(), *ours) ==
              0);
  }
  if (ours && plain.keeps_end_conditions) ODO_CHECK(result >= 0);
  return 0;
}
