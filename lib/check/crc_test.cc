// SPDX-License-Identifier: BSD-3-Clause
#include "lib/check/crc.h"

#include <gtest/gtest.h>
#include <isa-l/crc.h>
#include <zlib.h>

#include <array>
#include <cstdint>
#include <random>
#include <vector>

#include "lib/check/checks.h"
#include "lib/check/vector/vector_checks.h"

namespace odo::check {
namespace {

std::vector<std::byte> noise(std::size_t size, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::byte> bytes(size);
  for (auto& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

std::uint32_t isal_crc32c(Bytes bytes) {
  // ISA-L's prototype lacks a const; it does not write.
  auto* const p = const_cast<unsigned char*>(
      reinterpret_cast<const unsigned char*>(bytes.data()));
  return ~crc32_iscsi(p, static_cast<int>(bytes.size()), ~0U);
}

std::uint32_t zlib_crc32(Bytes bytes) {
  return static_cast<std::uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

// An engine under test, whether this processor can run it, and its reference.
struct Version {
  const char* name;
  CrcFunction engine;
  bool runs;
  std::uint32_t (*reference)(Bytes);
};

std::vector<Version> versions() {
  const CpuFeatures cpu = host_features();
  constexpr auto kIscsi = Polynomial::kCastagnoli;
  constexpr auto kIeee = Polynomial::kIeee;
  return {
      {"c1", {&SlicedCrc<kIscsi, 1>::extend}, true, isal_crc32c},
      {"c4", {&SlicedCrc<kIscsi, 4>::extend}, true, isal_crc32c},
      {"c8", {&SlicedCrc<kIscsi, 8>::extend}, true, isal_crc32c},
      {"c16", {&SlicedCrc<kIscsi, 16>::extend}, true, isal_crc32c},
      {"c_instruction",
       {&Crc32cInstruction::extend},
       cpu.crc32_instruction,
       isal_crc32c},
      {"c_carryless",
       {&CarrylessCrc<kIscsi>::extend},
       cpu.carryless_multiply,
       isal_crc32c},
      {"c_wide",
       {&WideCarrylessCrc<kIscsi>::extend},
       cpu.wide_carryless_multiply && cpu.crc32_instruction,
       isal_crc32c},
      {"ieee1", {&SlicedCrc<kIeee, 1>::extend}, true, zlib_crc32},
      {"ieee4", {&SlicedCrc<kIeee, 4>::extend}, true, zlib_crc32},
      {"ieee8", {&SlicedCrc<kIeee, 8>::extend}, true, zlib_crc32},
      {"ieee16", {&SlicedCrc<kIeee, 16>::extend}, true, zlib_crc32},
      {"ieee_carryless",
       {&CarrylessCrc<kIeee>::extend},
       cpu.carryless_multiply,
       zlib_crc32},
      {"ieee_wide",
       {&WideCarrylessCrc<kIeee>::extend},
       cpu.wide_carryless_multiply,
       zlib_crc32},
  };
}

// The examples of RFC 3720 B.4 (there as bytes, least significant first).
TEST(CrcTest, AnswersRfc3720Examples) {
  std::array<std::byte, 32> zeros{};
  std::array<std::byte, 32> ones{};
  std::array<std::byte, 32> up{};
  std::array<std::byte, 32> down{};
  for (std::size_t i = 0; i < 32; ++i) {
    ones[i] = std::byte{0xff};
    up[i] = static_cast<std::byte>(i);
    down[i] = static_cast<std::byte>(31 - i);
  }
  std::array<std::byte, 48> pdu{};  // an iSCSI read command
  pdu[0] = std::byte{0x01};
  pdu[1] = std::byte{0xc0};
  pdu[16] = std::byte{0x14};
  pdu[22] = std::byte{0x04};
  pdu[27] = std::byte{0x14};
  pdu[31] = std::byte{0x18};
  pdu[32] = std::byte{0x28};
  pdu[40] = std::byte{0x02};
  int tried = 0;
  for (const Version& v : versions()) {
    if (!v.runs || v.reference != isal_crc32c) continue;
    EXPECT_EQ(crc(Bytes(zeros), v.engine), 0x8a9136aau) << v.name;
    EXPECT_EQ(crc(Bytes(ones), v.engine), 0x62a8ab43u) << v.name;
    EXPECT_EQ(crc(Bytes(up), v.engine), 0x46dd794eu) << v.name;
    EXPECT_EQ(crc(Bytes(down), v.engine), 0x113fdb5cu) << v.name;
    EXPECT_EQ(crc(Bytes(pdu), v.engine), 0xd9963a56u) << v.name;
    ++tried;
  }
  EXPECT_GE(tried, 4);
}

TEST(CrcTest, EmptyIsZero) {
  for (const Version& v : versions()) {
    if (v.runs) EXPECT_EQ(crc(Bytes{}, v.engine), 0u) << v.name;
  }
}

TEST(CrcTest, AgreesAtEveryLengthAndAlignment) {
  const auto bytes = noise(1100, 1);
  for (const Version& v : versions()) {
    if (!v.runs) continue;
    for (std::size_t at = 0; at < 16; ++at) {
      for (std::size_t size = 0; size <= 300; ++size) {
        const Bytes range = Bytes(bytes).subspan(at, size);
        ASSERT_EQ(crc(range, v.engine), v.reference(range))
            << v.name << " at " << at << " size " << size;
      }
    }
    for (std::size_t size = 301; size <= 1100; ++size) {
      const Bytes range = Bytes(bytes).first(size);
      ASSERT_EQ(crc(range, v.engine), v.reference(range))
          << v.name << " size " << size;
    }
  }
}

TEST(CrcTest, AgreesAroundTheStridesOfLongRanges) {
  const auto bytes = noise((std::size_t{1} << 20) + 64, 2);
  for (const Version& v : versions()) {
    if (!v.runs) continue;
    for (const std::size_t middle :
         {std::size_t{1152}, std::size_t{6144}, std::size_t{12288},
          std::size_t{65536}, std::size_t{1} << 20}) {
      for (std::size_t d = 0; d <= 40; ++d) {
        const Bytes range = Bytes(bytes).subspan(d % 9, middle + d - 20);
        ASSERT_EQ(crc(range, v.engine), v.reference(range))
            << v.name << " size " << range.size();
      }
    }
  }
}

// A single wrong bit anywhere changes the code: no byte is skipped.
TEST(CrcTest, NoticesEveryBit) {
  auto bytes = noise(777, 3);
  for (const Version& v : versions()) {
    if (!v.runs) continue;
    const std::uint32_t right = crc(Bytes(bytes), v.engine);
    for (auto& byte : bytes) {
      for (int bit = 0; bit < 8; ++bit) {
        byte ^= static_cast<std::byte>(1 << bit);
        ASSERT_NE(crc(Bytes(bytes), v.engine), right) << v.name;
        byte ^= static_cast<std::byte>(1 << bit);
      }
    }
  }
}

TEST(CrcTest, PiecesGiveTheCodeOfTheWhole) {
  const auto bytes = noise(9000, 4);
  std::mt19937_64 random(5);
  for (const Version& v : versions()) {
    if (!v.runs) continue;
    for (std::size_t cut = 0; cut <= 200; ++cut) {
      Crc<CrcFunction> stream(v.engine);
      stream.update(Bytes(bytes).first(cut));
      stream.update(Bytes(bytes).subspan(cut, 200 - cut));
      ASSERT_EQ(stream.value(), v.reference(Bytes(bytes).first(200)))
          << v.name << " cut " << cut;
    }
    for (int round = 0; round < 50; ++round) {
      Crc<CrcFunction> stream(v.engine);
      std::size_t done = 0;
      while (done < bytes.size()) {
        const std::size_t left = bytes.size() - done;
        const std::size_t piece = std::min<std::size_t>(left, random() % 2500);
        stream.update(Bytes(bytes).subspan(done, piece));
        done += piece;
        ASSERT_EQ(stream.value(), v.reference(Bytes(bytes).first(done)))
            << v.name;
      }
    }
  }
}

}  // namespace
}  // namespace odo::check
