// SPDX-License-Identifier: BSD-3-Clause
// What disks and packet devices say about themselves.
//
// Contexts: any. Total on any bytes.
// Shapes: the input is one answer to IDENTIFY, kIdentifyBytes long.
// Failure: see Error.
// Origin: ATA/ATAPI Command Set 2 (ACS-2) §7.12 (IDENTIFY DEVICE), §7.13
//   (IDENTIFY PACKET DEVICE).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "lib/ahci/error.h"
#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/block/device.h"
#include "lib/driver/padded_text.h"

namespace odo::ahci {

inline constexpr std::size_t kIdentifyBytes = 512;

namespace detail {

class Words {
 public:
  explicit Words(Bytes answer) : answer_(answer) {
    ODO_CHECK(answer.size() == kIdentifyBytes);
  }
  [[nodiscard]] std::uint16_t word(std::size_t n) const {
    return load_le<std::uint16_t>(answer_.data() + 2 * n);
  }
  [[nodiscard]] bool bit(std::size_t n, unsigned bit) const {
    return (word(n) >> bit & 1) != 0;
  }
  // Text has the first of two characters in a word's upper half.
  template <std::size_t N>
  void text(std::size_t n, driver::PaddedText<N>& to) const {
    std::array<std::byte, N> bytes;
    for (std::size_t i = 0; i < N; ++i) bytes[i] = answer_[2 * n + (i ^ 1)];
    to.assign(bytes.data());
  }

 private:
  Bytes answer_;
};

}  // namespace detail

struct Names {
  driver::PaddedText<20> serial;
  driver::PaddedText<40> model;
};

[[nodiscard]] inline Names parse_names(Bytes answer) {
  const detail::Words words(answer);
  Names names;
  words.text(10, names.serial);
  words.text(27, names.model);
  return names;
}

struct DiskIdentity {
  Names names;
  std::uint64_t size_bytes = 0;
  std::uint32_t block_bytes = 0;
  std::uint32_t physical_block_bytes = 0;
  unsigned queue_depth = 1;  // 1: it queues nothing
  bool can_discard = false;
};

[[nodiscard]] inline Result<DiskIdentity> parse_disk(Bytes answer) {
  const detail::Words words(answer);
  if (!words.bit(49, 8)) return fail(Error::kNoDma);
  if (!words.bit(83, 10)) return fail(Error::kNoLongBlocks);
  DiskIdentity disk;
  disk.names = parse_names(answer);
  disk.block_bytes = 512;
  disk.physical_block_bytes = 512;
  // Bits 15 and 14 say whether the word means anything.
  const std::uint16_t sizes = words.word(106);
  if (sizes >> 14 == 1) {
    if (words.bit(106, 12)) {
      const std::uint32_t half =
          words.word(117) | std::uint32_t{words.word(118)} << 16;
      if (half < block::kMinBlockBytes / 2 ||
          half > block::kMaxBlockBytes / 2 || !is_power_of_two(half)) {
        return fail(Error::kBlockBytes);
      }
      disk.block_bytes = 2 * half;
    }
    const unsigned power = words.bit(106, 13) ? sizes & 0xfu : 0u;
    disk.physical_block_bytes = disk.block_bytes << power;
  }
  std::uint64_t blocks = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    blocks |= std::uint64_t{words.word(100 + i)} << (16 * i);
  }
  constexpr std::uint64_t kMostBlocks = std::uint64_t{1} << 48;
  if (blocks == 0 || blocks > kMostBlocks) return fail(Error::kBadConfig);
  disk.size_bytes = blocks * disk.block_bytes;
  if (words.bit(76, 8) && words.word(76) != 0xffff) {
    disk.queue_depth = (words.word(75) & 31u) + 1;
  }
  disk.can_discard = words.bit(169, 0);
  return disk;
}

// The names of a CD drive.
[[nodiscard]] inline Result<Names> parse_packet_device(Bytes answer) {
  const detail::Words words(answer);
  constexpr unsigned kCd = 5;
  if ((words.word(0) >> 8 & 31u) != kCd) return fail(Error::kNotCd);
  // Those that must be told the direction (DMADIR) count as having none.
  if (!words.bit(49, 8) || words.bit(62, 15)) return fail(Error::kNoDma);
  return parse_names(answer);
}

}  // namespace odo::ahci
