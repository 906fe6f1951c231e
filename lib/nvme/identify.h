// SPDX-License-Identifier: BSD-3-Clause
// What a controller and its namespaces say about themselves.
//
// Contexts: any. Total on any bytes.
// Shapes: the input is one answer to Identify, kIdentifyBytes long.
// Failure: see Error.
// Origin: NVM Express Base Specification 1.4 §5.15.2 (controller, namespace).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/block/device.h"
#include "lib/driver/padded_text.h"
#include "lib/nvme/error.h"
#include "lib/nvme/registers.h"

namespace odo::nvme {

inline constexpr std::size_t kIdentifyBytes = 4096;

struct ControllerIdentity {
  driver::PaddedText<20> serial;
  driver::PaddedText<40> model;
  // Of one command's data; at least a page.
  std::uint64_t max_transfer_bytes = 0;
  std::uint32_t namespaces = 0;  // identifiers go up to this
  bool has_volatile_cache = false;
  bool can_discard = false;
};

[[nodiscard]] inline Result<ControllerIdentity> parse_controller(Bytes answer) {
  ODO_CHECK(answer.size() == kIdentifyBytes);
  const std::byte* const at = answer.data();
  ControllerIdentity identity;
  identity.serial.assign(at + 4);
  identity.model.assign(at + 24);
  // Sizes of queue entries, as powers of two: the least and the largest.
  const auto takes = [&](std::size_t offset, unsigned wanted) {
    const auto sizes = std::to_integer<unsigned>(at[offset]);
    return (sizes & 0xf) <= wanted && (sizes >> 4) >= wanted;
  };
  if (!takes(512, 6) || !takes(513, 4)) return fail(Error::kBadConfig);
  const auto power = std::to_integer<unsigned>(at[77]);
  identity.max_transfer_bytes = power == 0 || power > 40
                                    ? ~std::uint64_t{0}
                                    : std::uint64_t{kPageBytes} << power;
  identity.namespaces = load_le<std::uint32_t>(at + 516);
  identity.can_discard = (load_le<std::uint16_t>(at + 520) & 1u << 2) != 0;
  identity.has_volatile_cache = (std::to_integer<unsigned>(at[525]) & 1) != 0;
  return identity;
}

struct NamespaceShape {
  std::uint64_t size_bytes = 0;
  std::uint32_t block_bytes = 0;
  bool is_read_only = false;
};

// Nothing where the identifier names no namespace.
[[nodiscard]] inline Result<std::optional<NamespaceShape>> parse_namespace(
    Bytes answer) {
  ODO_CHECK(answer.size() == kIdentifyBytes);
  const std::byte* const at = answer.data();
  const auto blocks = load_le<std::uint64_t>(at);
  if (blocks == 0) return std::optional<NamespaceShape>();
  const auto chosen = std::to_integer<unsigned>(at[26]);
  const unsigned format = (chosen & 0xf) | (chosen >> 5 & 3) << 4;
  if (format > std::to_integer<unsigned>(at[25])) {
    return fail(Error::kBadConfig);
  }
  const std::byte* const shape = at + 128 + 4 * std::size_t{format};
  const bool is_protected = (std::to_integer<unsigned>(at[29]) & 7) != 0;
  if (load_le<std::uint16_t>(shape) != 0 || is_protected) {
    return fail(Error::kMetadata);
  }
  const auto power = std::to_integer<unsigned>(shape[2]);
  if (power >= 32 || 1u << power < block::kMinBlockBytes ||
      1u << power > block::kMaxBlockBytes) {
    return fail(Error::kBlockBytes);
  }
  NamespaceShape found;
  found.block_bytes = 1u << power;
  const auto bytes = checked_mul<std::uint64_t>(blocks, found.block_bytes);
  if (!bytes) return fail(Error::kBadConfig);
  found.size_bytes = *bytes;
  found.is_read_only = (std::to_integer<unsigned>(at[99]) & 1) != 0;
  return std::optional<NamespaceShape>(found);
}

}  // namespace odo::nvme
