// SPDX-License-Identifier: BSD-3-Clause
// DragonFly's disklabel64: up to sixteen partitions, a to p, of a slice or of
// a whole disk, in bytes from its beginning.
//
// Contexts: thread; waits for the device.
// Shapes: partitions are numbered 1 to 16, for a to p.
// Failure: total on any bytes; a label with a wrong check sum is told and not
//   used.
// Complexity: one read.
// Origin: DragonFly BSD sys/sys/disklabel64.h and sys/kern/subr_disklabel64.c
//   (layout, check sum over the entries in use, what an entry may be);
//   sys/sys/dtype.h (types).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "lib/base/annotations.h"
#include "lib/base/bytes.h"
#include "lib/check/crc.h"
#include "lib/partition/block_reader.h"
#include "lib/partition/partition.h"

namespace odo::partition {

inline constexpr std::uint32_t kDisklabel64Magic = 0xc4464c59;
inline constexpr std::uint32_t kMaxDisklabel64Partitions = 16;

namespace disklabel64 {
// Where fields lie.
inline constexpr std::size_t kMagicAt = 512;
inline constexpr std::size_t kChecksumAt = 516;
inline constexpr std::size_t kAlignAt = 520;
inline constexpr std::size_t kCountAt = 524;
inline constexpr std::size_t kTotalBytesAt = 544;
inline constexpr std::size_t kBootBaseAt = 552;
inline constexpr std::size_t kPartitionsBaseAt = 560;
inline constexpr std::size_t kPartitionsEndAt = 568;
inline constexpr std::size_t kEntriesAt = 712;
inline constexpr std::size_t kEntryBytes = 64;
inline constexpr std::size_t kEntryTypeAt = 16;
inline constexpr std::size_t kLabelBytes =
    kEntriesAt + kMaxDisklabel64Partitions * kEntryBytes;
}  // namespace disklabel64

[[nodiscard]] constexpr Kind disklabel_kind(std::uint8_t type) {
  switch (type) {
    case 1:
      return Kind::kSwap;
    case 7:
      return Kind::kUfs;
    case 8:
      return Kind::kFat;
    case 17:
      return Kind::kLinux;
    case 22:
      return Kind::kHammer;
    case 23:
      return Kind::kHammer2;
    default:
      return Kind::kOther;
  }
}

// 'a' for partition 1.
[[nodiscard]] constexpr char disklabel_letter(std::uint32_t number) {
  return static_cast<char>('a' + (number - 1) % kMaxDisklabel64Partitions);
}

// The label at the beginning of the device, if there is one: then the table's
// scheme says so.
template <block::BlockDevice D>
ODO_MAY_BLOCK void read_disklabel64(BlockReader<D>& reader, Table& table) {
  namespace fields = disklabel64;
  table.begin(Scheme::kNone);
  const auto label = reader.read(0, fields::kLabelBytes);
  if (!label) {
    // A device that is too small for a label has none.
    if (label.error() != block::Error::kOutOfRange) {
      table.complain({.reason = Reason::kUnreadable});
    }
    return;
  }
  const std::byte* const at = label->data();
  if (load_le<std::uint32_t>(at + fields::kMagicAt) != kDisklabel64Magic)
    return;
  table.begin(Scheme::kDisklabel64);
  const auto count = load_le<std::uint32_t>(at + fields::kCountAt);
  if (count > kMaxDisklabel64Partitions) {
    return table.complain({.reason = Reason::kTooMany});
  }
  // From the magic number to the last entry, with zeroes for the sum itself.
  constexpr std::array<std::byte, 4> kZeroes{};
  const std::size_t end = fields::kEntriesAt + count * fields::kEntryBytes;
  const std::uint32_t sum =
      check::Crc<check::Crc32Slice1>()
          .update(label->subspan(fields::kMagicAt,
                                 fields::kChecksumAt - fields::kMagicAt))
          .update(kZeroes)
          .update(label->subspan(fields::kAlignAt, end - fields::kAlignAt))
          .value();
  if (sum != load_le<std::uint32_t>(at + fields::kChecksumAt)) {
    return table.complain({.reason = Reason::kBadChecksum});
  }
  const Limits limits{
      .begin_bytes = load_le<std::uint64_t>(at + fields::kPartitionsBaseAt),
      .end_bytes = load_le<std::uint64_t>(at + fields::kTotalBytesAt),
      .device_bytes = reader.size_bytes(),
      .block_bytes = reader.block_bytes()};
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::byte* const entry =
        at + fields::kEntriesAt + i * fields::kEntryBytes;
    const Partition one{.begin_bytes = load_le<std::uint64_t>(entry),
                        .size_bytes = load_le<std::uint64_t>(entry + 8),
                        .number = i + 1,
                        .kind = disklabel_kind(load_le<std::uint8_t>(
                            entry + fields::kEntryTypeAt))};
    if (one.begin_bytes == 0 && one.size_bytes == 0) continue;
    table.add(one, limits);
  }
}

}  // namespace odo::partition
