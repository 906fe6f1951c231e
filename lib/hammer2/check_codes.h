// SPDX-License-Identifier: BSD-3-Clause
// Whether a block's bytes are those that its reference vouches for.
//
// The policy is a parameter of the reader, so that a fuzzer can put one that
// believes everything in its place and no branch for that exists in production.
//
// Contexts: any.
// Failure: an unknown method is its own answer, never a match.
// Origin: hammer2_chain.c, hammer2_chain_testcheck(); the header's CRCs from
// hammer2_ondisk.c, hammer2_read_volume_header().
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>

#include "lib/base/bytes.h"
#include "lib/check/checks.h"
#include "lib/hammer2/format/blockref.h"
#include "lib/hammer2/format/constants.h"

namespace odo::hammer2 {

enum class Verdict : std::uint8_t { kMatch, kMismatch, kUnknownMethod };

template <class C>
concept CheckPolicy =
    std::copyable<C> && requires(const C& checks, const format::Blockref& ref,
                                 Bytes block, std::uint32_t stored) {
      // `block` is what `ref` refers to, all of it, as on media.
      { checks.block(ref, block) } -> std::same_as<Verdict>;
      // A CRC-32C of part of a volume header.
      { checks.header_crc(block, stored) } -> std::same_as<bool>;
    };

class VerifyChecks {
 public:
  constexpr VerifyChecks() = default;
  // The versions of the algorithms that the machine is good at.
  constexpr explicit VerifyChecks(check::Checks checks) : checks_(checks) {}

  [[nodiscard]] constexpr Verdict block(const format::Blockref& ref,
                                        Bytes block) const {
    switch (format::check_method(ref.methods)) {
      case format::CheckMethod::kNone:
      case format::CheckMethod::kDisabled:
        return Verdict::kMatch;
      case format::CheckMethod::kIscsi32:
      case format::CheckMethod::kFreemap:
        // Both keep the same CRC in the same place; "freemap" has hints after
        // it where it is used for the freemap.
        return verdict(checks_.crc32c(block) == ref.check.iscsi32.value);
      case format::CheckMethod::kXxhash64:
        return verdict(checks_.xxh64(block, format::kXxhashSeed) ==
                       ref.check.xxhash64.value);
      case format::CheckMethod::kSha192:
        return verdict(checks_.sha192(block) == ref.check.sha192.value);
    }
    return Verdict::kUnknownMethod;
  }

  [[nodiscard]] constexpr bool header_crc(Bytes covered,
                                          std::uint32_t stored) const {
    return checks_.crc32c(covered) == stored;
  }

 private:
  static constexpr Verdict verdict(bool matches) {
    return matches ? Verdict::kMatch : Verdict::kMismatch;
  }

  check::Checks checks_;
};

static_assert(CheckPolicy<VerifyChecks>);

}  // namespace odo::hammer2
