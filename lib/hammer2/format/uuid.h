// SPDX-License-Identifier: BSD-3-Clause
// The 16-byte identifiers of volumes, PFSs and, oddly, of users and groups.
//
// Contexts: any. Plain data.
// Shape: DCE layout in host (little-endian) order: 4-2-2 byte integers, two
// clock bytes, six node bytes. A Unix id sits in the last four node bytes.
// Origin: hammer2_disk.h (struct uuid); FACTS of the reference images.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "lib/base/bytes.h"

namespace odo::hammer2::format {

struct Uuid {
  std::uint32_t time_low;
  std::uint16_t time_mid;
  std::uint16_t time_hi_and_version;
  std::uint8_t clock_seq_hi;
  std::uint8_t clock_seq_low;
  std::array<std::uint8_t, 6> node;

  friend bool operator==(const Uuid&, const Uuid&) = default;
};
static_assert(sizeof(Uuid) == 16);
static_assert(offsetof(Uuid, time_low) == 0);
static_assert(offsetof(Uuid, time_mid) == 4);
static_assert(offsetof(Uuid, time_hi_and_version) == 6);
static_assert(offsetof(Uuid, clock_seq_hi) == 8);
static_assert(offsetof(Uuid, clock_seq_low) == 9);
static_assert(offsetof(Uuid, node) == 10);

// Every HAMMER2 volume's fstype: 5cbb9ad1-862d-11dc-a94d-01301bb8a9f5.
inline constexpr Uuid kHammer2FsType = {
    0x5cbb9ad1, 0x862d, 0x11dc,
    0xa9,       0x4d,   {0x01, 0x30, 0x1b, 0xb8, 0xa9, 0xf5}};

// The one at `offset`, which lies inside `bytes` whole.
[[nodiscard]] inline Uuid load_uuid(Bytes bytes, std::size_t offset) {
  Uuid uuid;
  copy_bytes(mutable_bytes_of(uuid), bytes.subspan(offset, sizeof uuid));
  return uuid;
}

// The user or group that an inode's uid or gid field stands for.
[[nodiscard]] constexpr std::uint32_t unix_id(const Uuid& uuid) {
  return static_cast<std::uint32_t>(uuid.node[2]) |
         static_cast<std::uint32_t>(uuid.node[3]) << 8 |
         static_cast<std::uint32_t>(uuid.node[4]) << 16 |
         static_cast<std::uint32_t>(uuid.node[5]) << 24;
}

// The other way round, with all else zero, as the format's writers do.
[[nodiscard]] constexpr Uuid uuid_of_unix_id(std::uint32_t id) {
  Uuid uuid = {};
  for (unsigned i = 0; i < 4; ++i) {
    uuid.node[2 + i] = static_cast<std::uint8_t>(id >> (8 * i));
  }
  return uuid;
}

// "5cbb9ad1-862d-11dc-a94d-01301bb8a9f5": 36 characters, no terminator.
[[nodiscard]] constexpr std::array<char, 36> uuid_text(const Uuid& uuid) {
  std::array<char, 36> text{};
  std::size_t at = 0;
  const auto put = [&](std::uint64_t value, unsigned digits) {
    while (digits-- > 0) {
      text[at++] = "0123456789abcdef"[(value >> (4 * digits)) & 15];
    }
  };
  put(uuid.time_low, 8);
  text[at++] = '-';
  put(uuid.time_mid, 4);
  text[at++] = '-';
  put(uuid.time_hi_and_version, 4);
  text[at++] = '-';
  put(uuid.clock_seq_hi, 2);
  put(uuid.clock_seq_low, 2);
  text[at++] = '-';
  for (const std::uint8_t byte : uuid.node) put(byte, 2);
  return text;
}

}  // namespace odo::hammer2::format
