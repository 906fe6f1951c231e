// SPDX-License-Identifier: BSD-3-Clause
// Check codes beside their peers: ISA-L, zlib, libxxhash and OpenSSL, as Debian
// builds them (each picks its own version for the processor at run time, and so
// do we). `crc32c-integer` is the version that a kernel runs, without vector
// registers, beside the same peer.
#include <benchmark/benchmark.h>
#include <isa-l/crc.h>
#include <openssl/evp.h>
#include <xxhash.h>
#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "lib/check/checks.h"
#include "lib/check/vector/vector_checks.h"

namespace odo::check {
namespace {

struct Size {
  const char* name;
  std::size_t bytes;
};
constexpr Size kSizes[] = {{"64B", 64},
                           {"1KiB", 1024},
                           {"16KiB", 16384},
                           {"64KiB", 65536},
                           {"1MiB", 1048576}};

const std::vector<std::byte>& input() {
  static const std::vector<std::byte> bytes = [] {
    std::mt19937_64 random(1);
    std::vector<std::byte> made(std::size_t{1} << 20);
    for (auto& byte : made) byte = static_cast<std::byte>(random());
    return made;
  }();
  return bytes;
}

// One contender of every size of `code`.
template <class F>
void add(const std::string& code, const char* contender, F function) {
  for (const Size& size : kSizes) {
    const std::string name =
        "check/" + code + "-" + size.name + "/" + contender;
    benchmark::RegisterBenchmark(
        name.c_str(), [function, size](benchmark::State& state) {
          Bytes bytes = Bytes(input()).first(size.bytes);
          for (auto _ : state) {
            benchmark::DoNotOptimize(bytes);
            benchmark::DoNotOptimize(function(bytes));
          }
          state.SetBytesProcessed(state.iterations() *
                                  static_cast<std::int64_t>(size.bytes));
        });
  }
}

std::uint32_t isal_crc32c(Bytes bytes) {
  auto* const p = const_cast<unsigned char*>(
      reinterpret_cast<const unsigned char*>(bytes.data()));
  return ~crc32_iscsi(p, static_cast<int>(bytes.size()), ~0U);
}

void add_all() {
  const CpuFeatures features = host_features();
  const Checks ours(vector_engines(features));
  const Checks integer(features);
  const auto unsigned_chars = [](Bytes bytes) {
    return reinterpret_cast<const unsigned char*>(bytes.data());
  };

  add("crc32c", "ours", [ours](Bytes bytes) { return ours.crc32c(bytes); });
  add("crc32c", "isa-l", isal_crc32c);
  add("crc32c-integer", "ours",
      [integer](Bytes bytes) { return integer.crc32c(bytes); });
  add("crc32c-integer", "isa-l", isal_crc32c);

  add("crc32", "ours", [ours](Bytes bytes) { return ours.crc32(bytes); });
  add("crc32", "isa-l", [=](Bytes bytes) {
    return crc32_gzip_refl(0, unsigned_chars(bytes), bytes.size());
  });
  add("crc32", "zlib", [=](Bytes bytes) {
    return crc32_z(0, unsigned_chars(bytes), bytes.size());
  });
  add("crc32-integer", "ours",
      [integer](Bytes bytes) { return integer.crc32(bytes); });
  add("crc32-integer", "zlib", [=](Bytes bytes) {
    return crc32_z(0, unsigned_chars(bytes), bytes.size());
  });

  add("xxh64", "ours",
      [ours](Bytes bytes) { return ours.xxh64(bytes, Xxh64::kHammer2Seed); });
  add("xxh64", "libxxhash", [](Bytes bytes) {
    return XXH64(bytes.data(), bytes.size(), Xxh64::kHammer2Seed);
  });

  const auto openssl = [](Bytes bytes) {
    unsigned char digest[32];
    unsigned size = 0;
    EVP_Digest(bytes.data(), bytes.size(), digest, &size, EVP_sha256(),
               nullptr);
    return digest[0];
  };
  add("sha256", "ours", [ours](Bytes bytes) { return ours.sha256(bytes)[0]; });
  add("sha256", "openssl", openssl);
  add("sha256-integer", "ours",
      [integer](Bytes bytes) { return integer.sha256(bytes)[0]; });
  add("sha256-integer", "openssl", openssl);
}

}  // namespace
}  // namespace odo::check

int main(int argc, char** argv) {
  odo::check::add_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
