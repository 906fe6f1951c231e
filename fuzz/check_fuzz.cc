// SPDX-License-Identifier: BSD-3-Clause
// Check codes in pieces, by every version that this processor runs, against the
// portable version in one go and against the references.
//
// Input: one byte n, n bytes that say where to cut, the rest is the data.
#include <openssl/evp.h>
#include <xxhash.h>
#include <zlib.h>

#include <cstddef>
#include <cstdint>

#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/check/checks.h"
#include "lib/check/vector/vector_checks.h"

namespace odo::check {
namespace {

// Takes the data in pieces of the lengths that `cuts` gives, then the rest.
template <class Stream>
auto in_pieces(Stream stream, Bytes cuts, Bytes data) {
  for (const std::byte cut : cuts) {
    const auto wanted = std::to_integer<std::size_t>(cut);
    const Bytes piece = data.first(wanted < data.size() ? wanted : data.size());
    stream.update(piece);
    data = data.subspan(piece.size());
  }
  return stream.update(data).value();
}

void try_versions(Bytes cuts, Bytes data) {
  const CpuFeatures all = host_features();
  const auto seed =
      static_cast<std::uint64_t>(data.size()) * 0x9e3779b97f4a7c15;
  const Checks portable;
  for (unsigned mask = 0; mask < 16; ++mask) {
    const CpuFeatures features = {
        .crc32_instruction = all.crc32_instruction && (mask & 1) != 0,
        .carryless_multiply = all.carryless_multiply && (mask & 2) != 0,
        .wide_carryless_multiply =
            all.wide_carryless_multiply && (mask & 4) != 0,
        .sha_instructions = all.sha_instructions && (mask & 8) != 0};
    const Checks checks(vector_engines(features));
    ODO_CHECK(in_pieces(checks.crc32c_stream(), cuts, data) ==
              portable.crc32c(data));
    ODO_CHECK(in_pieces(checks.crc32_stream(), cuts, data) ==
              portable.crc32(data));
    ODO_CHECK(in_pieces(checks.sha256_stream(), cuts, data) ==
              portable.sha256(data));
  }
  ODO_CHECK(in_pieces(portable.xxh64_stream(seed), cuts, data) ==
            portable.xxh64(data, seed));

  const auto* const p = reinterpret_cast<const unsigned char*>(data.data());
  ODO_CHECK(portable.crc32(data) == crc32_z(0, p, data.size()) || data.empty());
  ODO_CHECK(portable.xxh64(data, seed) == XXH64(p, data.size(), seed));
  Sha256Digest digest{};
  unsigned size = 0;
  EVP_Digest(p, data.size(), reinterpret_cast<unsigned char*>(digest.data()),
             &size, EVP_sha256(), nullptr);
  ODO_CHECK(portable.sha256(data) == digest);
}

}  // namespace
}  // namespace odo::check

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  const odo::Bytes input(reinterpret_cast<const std::byte*>(data), size);
  if (input.empty()) return 0;
  const auto cuts = std::to_integer<std::size_t>(input[0]);
  if (input.size() - 1 < cuts) return 0;
  odo::check::try_versions(input.subspan(1, cuts), input.subspan(1 + cuts));
  return 0;
}
