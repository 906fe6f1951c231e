// SPDX-License-Identifier: BSD-3-Clause
#include "lib/codec/adler32.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <string_view>
#include <vector>

#include "lib/codec/testing/generated.h"

namespace odo::codec {
namespace {

std::uint32_t reference(Bytes bytes) {
  return static_cast<std::uint32_t>(::adler32_z(
      1, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

TEST(Adler32Test, KnownAnswers) {
  const std::string_view text = "Wikipedia";
  EXPECT_EQ(adler32(std::as_bytes(std::span(text))), 0x11e60398u);
  EXPECT_EQ(adler32({}), 1u);
  const std::byte a[] = {std::byte{'a'}};
  EXPECT_EQ(adler32(a), 0x00620062u);
}

TEST(Adler32Test, AgreesAtEveryLengthAndAlignment) {
  const auto bytes = testing::noise(1200, 1);
  for (std::size_t at = 0; at < 8; ++at) {
    for (std::size_t size = 0; size <= 1000; ++size) {
      const Bytes range = Bytes(bytes).subspan(at, size);
      ASSERT_EQ(adler32(range), reference(range)) << at << ' ' << size;
    }
  }
}

// All bytes 255 drive every lane and sum to its bound.
TEST(Adler32Test, AgreesOnTheLargestBytes) {
  const std::vector<std::byte> bytes(3 << 20, std::byte{0xff});
  for (const std::size_t size :
       {std::size_t{175}, std::size_t{176}, std::size_t{177},
        std::size_t{176 * 1024}, std::size_t{176 * 1024 + 1},
        std::size_t{176 * 2049}, bytes.size()}) {
    const Bytes range = Bytes(bytes).first(size);
    ASSERT_EQ(adler32(range), reference(range)) << size;
  }
}

TEST(Adler32Test, PiecesGiveTheCodeOfTheWhole) {
  const auto bytes = testing::noise(900, 2);
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    Adler32 stream;
    stream.update(Bytes(bytes).first(cut));
    ASSERT_EQ(stream.value(), reference(Bytes(bytes).first(cut)));
    stream.update(Bytes(bytes).subspan(cut));
    ASSERT_EQ(stream.value(), reference(bytes)) << cut;
  }
}

}  // namespace
}  // namespace odo::codec
