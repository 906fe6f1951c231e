// SPDX-License-Identifier: BSD-3-Clause
// Commands as they lie in a submission queue, and what comes back.
//
// Contexts: any.
// Origin: NVM Express Base Specification 1.4 §4.2 (submission queue entry),
//   §4.6 (completion queue entry), §5 (admin commands), §6 (NVM commands).
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/base/bytes.h"

namespace odo::nvme {

inline constexpr std::size_t kCommandBytes = 64;
inline constexpr std::size_t kCompletionBytes = 16;

namespace admin {

inline constexpr std::uint8_t kCreateSubmissions = 0x01;
inline constexpr std::uint8_t kCreateCompletions = 0x05;
inline constexpr std::uint8_t kIdentify = 0x06;
inline constexpr std::uint8_t kSetFeatures = 0x09;

// What kIdentify tells of.
inline constexpr std::uint32_t kNamespace = 0;
inline constexpr std::uint32_t kController = 1;
inline constexpr std::uint32_t kActiveNamespaces = 2;

inline constexpr std::uint32_t kFeatureQueues = 7;

}  // namespace admin

namespace io {

inline constexpr std::uint8_t kFlush = 0x00;
inline constexpr std::uint8_t kWrite = 0x01;
inline constexpr std::uint8_t kRead = 0x02;
inline constexpr std::uint8_t kManageData = 0x09;

// In kManageData's word 11: what the ranges cover is not needed any more.
inline constexpr std::uint32_t kDeallocate = 1u << 2;
inline constexpr std::size_t kRangeBytes = 16;

}  // namespace io

struct Command {
  std::uint8_t opcode = 0;
  std::uint32_t namespace_id = 0;
  std::uint64_t data = 0;  // PRP entry 1
  std::uint64_t more = 0;  // PRP entry 2
  std::uint32_t word10 = 0;
  std::uint32_t word11 = 0;
  std::uint32_t word12 = 0;

  // `to` holds kCommandBytes.
  void store(std::byte* to, std::uint16_t id) const {
    store_le(to, std::uint32_t{opcode} | std::uint32_t{id} << 16);
    store_le(to + 4, namespace_id);
    store_le(to + 8, std::uint64_t{0});
    store_le(to + 16, std::uint64_t{0});
    store_le(to + 24, data);
    store_le(to + 32, more);
    store_le(to + 40, word10);
    store_le(to + 44, word11);
    store_le(to + 48, word12);
    store_le(to + 52, std::uint32_t{0});
    store_le(to + 56, std::uint64_t{0});
  }
};

struct Completion {
  std::size_t slot;
  std::uint32_t result;  // word 0
  std::uint16_t status;  // type, code and flags; 0 is success
};

}  // namespace odo::nvme
