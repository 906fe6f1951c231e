// SPDX-License-Identifier: BSD-3-Clause
// Every check code behind one object, its versions chosen once from the
// processor's features. This is the header to include.
//
//   check::Checks checks(check::integer_features(cpuid_leaf1_ecx));  // kernel
//   check::Checks checks(check::vector_engines(check::host_features()));  //
//   host std::uint32_t code = checks.crc32c(bytes); auto stream =
//   checks.crc32c_stream(); code = stream.update(head).update(tail).value();
//
// A default Checks is portable, and so constexpr; who fixes the version at
// compile time uses the engines themselves (crc.h, sha256.h) and pays no
// indirect call.
//
// Contexts: any, including interrupt, where the chosen engines may run: those
// of
//   integer_engines() use integer registers only. Copyable; never changes, so
//   that any number of threads may share one.
// Sizes: three pointers. About 44 KiB of constant tables are reachable, 20 of
//   which a processor with the CRC32 instruction leaves cold.
// Failure: none.
#pragma once

#include <cstdint>

#include "lib/base/bytes.h"
#include "lib/check/cpu.h"
#include "lib/check/crc.h"
#include "lib/check/sha256.h"
#include "lib/check/xxh64.h"
#if defined(__x86_64__)
#include "lib/check/crc32c_instruction.h"
#endif

namespace odo::check {

// One version of each algorithm that has several.
struct Engines {
  CrcFunction crc32c{&Crc32cSlice16::extend};
  CrcFunction crc32{&Crc32Slice16::extend};
  Sha256Function sha256{&Sha256Portable::compress};
};

// The best versions that leave vector registers alone.
[[nodiscard]] constexpr Engines integer_engines(const CpuFeatures& features) {
  Engines engines;
#if defined(__x86_64__)
  if (features.crc32_instruction) {
    engines.crc32c.function = &Crc32cInstruction::extend;
  }
#else
  (void)features;
#endif
  return engines;
}

class Checks {
 public:
  constexpr Checks() = default;
  constexpr explicit Checks(const CpuFeatures& features)
      : Checks(integer_engines(features)) {}
  constexpr explicit Checks(const Engines& engines) : engines_(engines) {}

  [[nodiscard]] constexpr std::uint32_t crc32c(Bytes bytes) const {
    return crc(bytes, engines_.crc32c);
  }
  [[nodiscard]] constexpr std::uint32_t crc32(Bytes bytes) const {
    return crc(bytes, engines_.crc32);
  }
  [[nodiscard]] constexpr std::uint64_t xxh64(Bytes bytes,
                                              std::uint64_t seed) const {
    return check::xxh64(bytes, seed);
  }
  [[nodiscard]] constexpr Sha256Digest sha256(Bytes bytes) const {
    return check::sha256(bytes, engines_.sha256);
  }
  // HAMMER2's 192-bit fold of SHA-256.
  [[nodiscard]] constexpr Sha192Digest sha192(Bytes bytes) const {
    return fold_sha192(sha256(bytes));
  }

  [[nodiscard]] constexpr Crc<CrcFunction> crc32c_stream() const {
    return Crc<CrcFunction>(engines_.crc32c);
  }
  [[nodiscard]] constexpr Crc<CrcFunction> crc32_stream() const {
    return Crc<CrcFunction>(engines_.crc32);
  }
  [[nodiscard]] constexpr Xxh64 xxh64_stream(std::uint64_t seed) const {
    return Xxh64(seed);
  }
  [[nodiscard]] constexpr Sha256<Sha256Function> sha256_stream() const {
    return Sha256<Sha256Function>(engines_.sha256);
  }

 private:
  Engines engines_;
};

static_assert(Checks().crc32c(detail::kNineDigits) == 0xe3069283);
static_assert(Checks().crc32(detail::kNineDigits) == 0xcbf43926);

}  // namespace odo::check
