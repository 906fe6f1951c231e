// SPDX-License-Identifier: BSD-3-Clause
#include "lib/check/checks.h"

#include <gtest/gtest.h>
#include <zstd.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "lib/check/vector/vector_checks.h"

namespace odo::check {
namespace {

// Every combination of features that this processor can serve.
std::vector<CpuFeatures> servable() {
  const CpuFeatures cpu = host_features();
  std::vector<CpuFeatures> all;
  for (unsigned mask = 0; mask < 16; ++mask) {
    const CpuFeatures some = {
        .crc32_instruction = cpu.crc32_instruction && (mask & 1) != 0,
        .carryless_multiply = cpu.carryless_multiply && (mask & 2) != 0,
        .wide_carryless_multiply =
            cpu.wide_carryless_multiply && (mask & 4) != 0,
        .sha_instructions = cpu.sha_instructions && (mask & 8) != 0};
    all.push_back(some);
  }
  return all;
}

TEST(ChecksTest, EveryChoiceAnswersAlike) {
  std::mt19937_64 random(1);
  std::vector<std::byte> bytes(5000);
  for (auto& byte : bytes) byte = static_cast<std::byte>(random());
  const Checks portable;
  for (const CpuFeatures& features : servable()) {
    for (const Engines& engines :
         {integer_engines(features), vector_engines(features)}) {
      const Checks checks(engines);
      for (const std::size_t size :
           {std::size_t{0}, std::size_t{1}, std::size_t{63}, std::size_t{64},
            std::size_t{1000}, std::size_t{5000}}) {
        const Bytes range = Bytes(bytes).first(size);
        EXPECT_EQ(checks.crc32c(range), portable.crc32c(range));
        EXPECT_EQ(checks.crc32(range), portable.crc32(range));
        EXPECT_EQ(checks.xxh64(range, 7), portable.xxh64(range, 7));
        EXPECT_EQ(checks.sha256(range), portable.sha256(range));
        EXPECT_EQ(checks.sha192(range), fold_sha192(portable.sha256(range)));
        const Bytes head = range.first(size / 3);
        const Bytes tail = range.subspan(size / 3);
        EXPECT_EQ(checks.crc32c_stream().update(head).update(tail).value(),
                  portable.crc32c(range));
        EXPECT_EQ(checks.crc32_stream().update(head).update(tail).value(),
                  portable.crc32(range));
        EXPECT_EQ(checks.xxh64_stream(7).update(head).update(tail).value(),
                  portable.xxh64(range, 7));
        EXPECT_EQ(checks.sha256_stream().update(head).update(tail).value(),
                  portable.sha256(range));
      }
    }
  }
}

TEST(ChecksTest, IntegerEnginesNeverTakeVectorVersions) {
  const CpuFeatures all = {.crc32_instruction = true,
                           .carryless_multiply = true,
                           .wide_carryless_multiply = true,
                           .sha_instructions = true};
  const Engines engines = integer_engines(all);
  EXPECT_EQ(engines.crc32c.function, &Crc32cInstruction::extend);
  EXPECT_EQ(engines.crc32.function, &Crc32Slice16::extend);
  EXPECT_EQ(engines.sha256.function, &Sha256Portable::compress);
  EXPECT_EQ(integer_engines({}).crc32c.function, &Crc32cSlice16::extend);
}

TEST(ChecksTest, VectorEnginesTakeTheBest) {
  const CpuFeatures all = {.crc32_instruction = true,
                           .carryless_multiply = true,
                           .wide_carryless_multiply = true,
                           .sha_instructions = true};
  const Engines best = vector_engines(all);
  EXPECT_EQ(best.crc32c.function,
            &WideCarrylessCrc<Polynomial::kCastagnoli>::extend);
  EXPECT_EQ(best.crc32.function, &WideCarrylessCrc<Polynomial::kIeee>::extend);
  EXPECT_EQ(best.sha256.function, &Sha256Instructions::compress);
  // Short ranges of the wide CRC-32C use the CRC32 instruction.
  const Engines odd = vector_engines(
      {.carryless_multiply = true, .wide_carryless_multiply = true});
  EXPECT_EQ(odd.crc32c.function, &Crc32cSlice16::extend);
}

TEST(ChecksTest, ReadsTheInstructionBitOfLeafOne) {
  EXPECT_TRUE(integer_features(std::uint32_t{1} << 20).crc32_instruction);
  EXPECT_FALSE(integer_features(~(std::uint32_t{1} << 20)).crc32_instruction);
  EXPECT_EQ(integer_features(~std::uint32_t{0}),
            (CpuFeatures{.crc32_instruction = true}));
}

TEST(ChecksTest, HostFeaturesAgreeWithTheCompilersRuntime) {
  const CpuFeatures cpu = host_features();
  EXPECT_EQ(cpu.crc32_instruction, __builtin_cpu_supports("sse4.2") != 0);
  EXPECT_EQ(cpu.carryless_multiply, __builtin_cpu_supports("pclmul") != 0);
  EXPECT_EQ(cpu.wide_carryless_multiply,
            __builtin_cpu_supports("vpclmulqdq") != 0 &&
                __builtin_cpu_supports("avx512bw") != 0 &&
                __builtin_cpu_supports("avx512dq") != 0 &&
                __builtin_cpu_supports("avx512vl") != 0);
}

// The first `size` bytes of a zstd-compressed image.
std::optional<std::vector<std::byte>> head_of_image(
    const std::filesystem::path& path, std::size_t size) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  std::vector<std::byte> out(size);
  ZSTD_DStream* const stream = ZSTD_createDStream();
  ZSTD_DCtx_setParameter(stream, ZSTD_d_windowLogMax, 27);
  ZSTD_outBuffer to{out.data(), out.size(), 0};
  std::vector<char> chunk(16384);
  while (to.pos < to.size && in) {
    in.read(chunk.data(), static_cast<std::streamsize>(chunk.size()));
    ZSTD_inBuffer from{chunk.data(), static_cast<std::size_t>(in.gcount()), 0};
    while (from.pos < from.size && to.pos < to.size) {
      if (ZSTD_isError(ZSTD_decompressStream(stream, &to, &from))) {
        ZSTD_freeDStream(stream);
        return std::nullopt;
      }
    }
  }
  ZSTD_freeDStream(stream);
  if (to.pos < to.size) return std::nullopt;
  return out;
}

// What HAMMER2 calls iscsi32 is this CRC-32C: the three CRCs of the first
// volume header of every genuine image, as sys/vfs/hammer2/hammer2_disk.h lays
// them out.
TEST(ChecksTest, GenuineVolumeHeadersCarryOurCrc32c) {
  const char* const corpus = std::getenv("ODO_CORPUS_DIR");
  const std::filesystem::path images =
      std::filesystem::path(corpus != nullptr ? corpus : "") / "images";
  if (corpus == nullptr || !std::filesystem::is_directory(images)) {
    GTEST_SKIP() << "no HAMMER2 corpus: ODO_CORPUS_DIR is not set to it";
  }
  constexpr std::size_t kHeader = 65536;
  constexpr std::size_t kSections = 512 - 32;  // icrc_sects[8]
  constexpr std::uint64_t kMagic = 0x48414d3205172011;
  int tried = 0;
  for (const auto& entry : std::filesystem::directory_iterator(images)) {
    const auto header = head_of_image(entry.path(), kHeader);
    ASSERT_TRUE(header) << entry.path();
    const Bytes bytes(*header);
    if (load_le<std::uint64_t>(bytes.data()) != kMagic) continue;
    for (const CpuFeatures& features : servable()) {
      const Checks checks(vector_engines(features));
      const auto stored = [&](std::size_t at) {
        return load_le<std::uint32_t>(bytes.data() + at);
      };
      EXPECT_EQ(checks.crc32c(bytes.subspan(512, 512)),
                stored(kSections + 4 * 6))
          << entry.path();
      EXPECT_EQ(checks.crc32c(bytes.first(508)), stored(kSections + 4 * 7))
          << entry.path();
      EXPECT_EQ(checks.crc32c(bytes.first(kHeader - 4)), stored(kHeader - 4))
          << entry.path();
    }
    ++tried;
  }
  EXPECT_GE(tried, 6);
}

}  // namespace
}  // namespace odo::check
