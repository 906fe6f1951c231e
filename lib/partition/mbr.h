// SPDX-License-Identifier: BSD-3-Clause
// The PC's partition table in block 0: four entries, one of which may be an
// extended partition that holds a chain of further tables.
//
// Contexts: thread; waits for the device.
// Shapes: primary partitions are numbered 1 to 4 by their place, logical ones
//   from 5 in the order of the chain, as everywhere. Blocks are the device's.
// Failure: total on any bytes. A chain that leads back to itself, out of the
//   extended partition or to what is no table ends there, and is told; what
//   came before stays.
// Complexity: at most kMaxLinks blocks are read.
// Origin: the table that IBM's PC DOS 2.0 brought, as documented in UEFI
//   specification 2.10 §5.2.1, with the extended partitions of DOS 3.3; types
//   from DragonFly's fdisk(8).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "lib/base/annotations.h"
#include "lib/base/bytes.h"
#include "lib/partition/block_reader.h"
#include "lib/partition/partition.h"

namespace odo::partition {

inline constexpr std::size_t kMbrBytes = 512;
inline constexpr std::size_t kMbrEntriesAt = 446;
inline constexpr std::size_t kMbrEntryBytes = 16;
inline constexpr std::uint16_t kMbrSignature = 0xaa55;

// Protects a GPT from programs that know only this table.
inline constexpr std::uint8_t kMbrTypeGpt = 0xee;

struct MbrEntry {
  std::uint32_t first_block = 0;
  std::uint32_t blocks = 0;
  std::uint8_t type = 0;  // 0: the place is free

  [[nodiscard]] constexpr bool is_extended() const {
    return type == 0x05 || type == 0x0f || type == 0x85;
  }
};

using MbrEntries = std::array<MbrEntry, 4>;

[[nodiscard]] constexpr Kind mbr_kind(std::uint8_t type) {
  switch (type) {
    case 0x01:
    case 0x04:
    case 0x06:
    case 0x0b:
    case 0x0c:
    case 0x0e:
      return Kind::kFat;
    case 0x6c:
    case 0xa5:  // FreeBSD's, which DragonFly took over
      return Kind::kDragonFly;
    case 0x82:
      return Kind::kSwap;
    case 0x83:
      return Kind::kLinux;
    case 0xef:
      return Kind::kEfiSystem;
    default:
      return Kind::kOther;
  }
}

// The entries of a block that may be a table: boot code of filesystems ends in
// the same signature, and shows in what cannot be a boot flag.
[[nodiscard]] inline std::optional<MbrEntries> parse_mbr(Bytes block) {
  if (block.size() < kMbrBytes ||
      load_le<std::uint16_t>(block.data() + kMbrBytes - 2) != kMbrSignature) {
    return std::nullopt;
  }
  MbrEntries entries;
  const std::byte* at = block.data() + kMbrEntriesAt;
  for (MbrEntry& entry : entries) {
    const auto flag = load_le<std::uint8_t>(at);
    if (flag != 0 && flag != 0x80) return std::nullopt;
    entry = {.first_block = load_le<std::uint32_t>(at + 8),
             .blocks = load_le<std::uint32_t>(at + 12),
             .type = load_le<std::uint8_t>(at + 4)};
    at += kMbrEntryBytes;
  }
  return entries;
}

namespace detail {

template <block::BlockDevice D>
class MbrReader {
 public:
  MbrReader(BlockReader<D>& reader, Table& table)
      : reader_(reader), table_(table) {}

  ODO_MAY_BLOCK void read(const MbrEntries& entries) {
    std::optional<Partition> extended;
    for (std::uint32_t i = 0; i < entries.size(); ++i) {
      const MbrEntry& entry = entries[i];
      if (entry.type == 0) continue;
      const Partition one = place(entry, 0, i + 1);
      if (!entry.is_extended()) {
        table_.add(one, whole_device());
      } else if (extended) {
        complain(i + 1, Reason::kSecondExtended);
      } else if (is_possible(one)) {
        extended = one;
      }
    }
    if (extended) follow(*extended);
  }

 private:
  static constexpr std::size_t kMaxLinks = 128;

  void complain(std::uint32_t number, Reason reason) {
    table_.complain({.number = number, .reason = reason});
  }

  // 32 bits each: in bytes they are far from the end of 64.
  [[nodiscard]] Partition place(const MbrEntry& entry, std::uint64_t base_bytes,
                                std::uint32_t number) const {
    const std::uint64_t block = reader_.block_bytes();
    return {.begin_bytes = base_bytes + entry.first_block * block,
            .size_bytes = entry.blocks * block,
            .number = number,
            .kind = mbr_kind(entry.type)};
  }

  // All but the table's own block.
  [[nodiscard]] Limits whole_device() const {
    return {.begin_bytes = reader_.block_bytes(),
            .end_bytes = reader_.size_bytes(),
            .device_bytes = reader_.size_bytes(),
            .block_bytes = reader_.block_bytes()};
  }

  // Tried on a table of its own: it is not a partition to be used.
  [[nodiscard]] bool is_possible(const Partition& extended) {
    if (extended.size_bytes == 0) {
      complain(extended.number, Reason::kEmpty);
      return false;
    }
    if (!range_inside(extended.begin_bytes, extended.size_bytes,
                      reader_.size_bytes())) {
      complain(extended.number, Reason::kOutOfRange);
      return false;
    }
    if (extended.begin_bytes == 0) {
      complain(extended.number, Reason::kOffLimits);
      return false;
    }
    return true;
  }

  // Each table of the chain has the logical partition, relative to the table,
  // and the next table, relative to the extended partition.
  ODO_MAY_BLOCK void follow(const Partition& extended) {
    std::array<std::uint64_t, kMaxLinks> seen;
    std::uint64_t at = extended.begin_bytes;
    std::uint32_t number = 5;
    for (std::size_t links = 0;; ++links) {
      const auto before = std::span(seen).first(links);
      if (std::ranges::find(before, at) != before.end()) {
        return complain(extended.number, Reason::kLoop);
      }
      if (links == kMaxLinks) {
        return complain(extended.number, Reason::kTooMany);
      }
      seen[links] = at;
      const auto block = reader_.read(at, kMbrBytes);
      if (!block) return complain(extended.number, Reason::kUnreadable);
      const auto entries = parse_mbr(*block);
      if (!entries) return complain(extended.number, Reason::kNoSignature);
      const MbrEntry* next = nullptr;
      for (const MbrEntry& entry : *entries) {
        if (entry.type == 0) continue;
        if (entry.is_extended()) {
          if (next == nullptr) next = &entry;
          continue;
        }
        table_.add(place(entry, at, number++),
                   {.begin_bytes = at + reader_.block_bytes(),
                    .end_bytes = extended.end_bytes(),
                    .device_bytes = reader_.size_bytes(),
                    .block_bytes = reader_.block_bytes()});
      }
      if (next == nullptr) return;
      at = place(*next, extended.begin_bytes, 0).begin_bytes;
      if (at >= extended.end_bytes()) {
        return complain(extended.number, Reason::kOutOfRange);
      }
    }
  }

  BlockReader<D>& reader_;
  Table& table_;
};

}  // namespace detail

// Reads what `entries`, block 0's, lead to.
template <block::BlockDevice D>
ODO_MAY_BLOCK void read_mbr(BlockReader<D>& reader, const MbrEntries& entries,
                            Table& table) {
  table.begin(Scheme::kMbr);
  detail::MbrReader<D>(reader, table).read(entries);
}

}  // namespace odo::partition
