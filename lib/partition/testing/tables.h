// SPDX-License-Identifier: BSD-3-Clause
// Partition tables built by hand, from the specifications and not from the
// readers: for tests and the fuzzer, which mends check sums with them.
//
// Contexts: hosted.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/check/crc.h"
#include "lib/partition/disklabel64.h"
#include "lib/partition/gpt.h"
#include "lib/partition/guid.h"
#include "lib/partition/mbr.h"

namespace odo::partition::testing {

inline constexpr Guid kHammer2Type =
    guid("5cbb9ad1-862d-11dc-a94d-01301bb8a9f5");
inline constexpr Guid kLabel64Type =
    guid("3d48ce54-1d16-11dc-8696-01301bb8a9f5");

// A device's bytes, and where structures go into them.
class Disk {
 public:
  explicit Disk(std::uint64_t blocks, std::uint32_t block_bytes = 512)
      : bytes_(blocks * block_bytes), block_(block_bytes) {}

  [[nodiscard]] std::vector<std::byte>& bytes() { return bytes_; }
  [[nodiscard]] std::uint32_t block_bytes() const { return block_; }
  [[nodiscard]] std::uint64_t blocks() const { return bytes_.size() / block_; }
  [[nodiscard]] std::byte* block(std::uint64_t n) {
    return bytes_.data() + n * block_;
  }
  template <class T>
  void put(std::uint64_t at, T value) {
    store_le(bytes_.data() + at, value);
  }
  template <class T>
  [[nodiscard]] T get(std::uint64_t at) const {
    return load_le<T>(bytes_.data() + at);
  }

 private:
  std::vector<std::byte> bytes_;
  std::uint32_t block_;
};

// Entry `place` (0 to 3) of the table in `block`.
inline void put_mbr_entry(Disk& disk, std::uint64_t block, std::size_t place,
                          const MbrEntry& entry, std::uint8_t flag = 0) {
  const std::uint64_t table = block * disk.block_bytes();
  const std::uint64_t at = table + kMbrEntriesAt + place * kMbrEntryBytes;
  disk.put<std::uint8_t>(at, flag);
  disk.put<std::uint8_t>(at + 4, entry.type);
  disk.put<std::uint32_t>(at + 8, entry.first_block);
  disk.put<std::uint32_t>(at + 12, entry.blocks);
  disk.put<std::uint16_t>(table + 510, kMbrSignature);
}

struct GptEntry {
  Guid type;
  std::uint64_t first;
  std::uint64_t last;
};

struct GptShape {
  std::uint32_t entries = 128;
  std::uint32_t entry_bytes = 128;
  std::uint32_t header_bytes = 92;
};

// Makes both sums of the header in block `header` right.
inline void mend_gpt(Disk& disk, std::uint64_t header) {
  const std::uint64_t at = header * disk.block_bytes();
  const auto list = disk.get<std::uint64_t>(at + 72) * disk.block_bytes();
  const std::uint64_t length = std::uint64_t{disk.get<std::uint32_t>(at + 80)} *
                               disk.get<std::uint32_t>(at + 84);
  if (list <= disk.bytes().size() && length <= disk.bytes().size() - list) {
    disk.put(at + 88, check::crc<check::Crc32Slice8>(
                          Bytes(disk.bytes()).subspan(list, length)));
  }
  const std::uint64_t size = std::min<std::uint64_t>(
      disk.get<std::uint32_t>(at + 12), disk.block_bytes());
  disk.put<std::uint32_t>(at + 16, 0);
  disk.put(at + 16, check::crc<check::Crc32Slice8>(
                        Bytes(disk.bytes()).subspan(at, size)));
}

// A protecting MBR and both copies.
inline void put_gpt(Disk& disk, std::initializer_list<GptEntry> entries,
                    const GptShape& shape = {}) {
  const std::uint64_t unit = disk.block_bytes();
  const std::uint64_t list_blocks =
      (std::uint64_t{shape.entries} * shape.entry_bytes + unit - 1) / unit;
  const std::uint64_t last = disk.blocks() - 1;
  put_mbr_entry(disk, 0, 0,
                {.first_block = 1,
                 .blocks = static_cast<std::uint32_t>(last),
                 .type = kMbrTypeGpt});
  const auto put_copy = [&](std::uint64_t header, std::uint64_t list) {
    const std::uint64_t at = header * unit;
    disk.put(at, kGptSignature);
    disk.put(at + 8, kGptRevision);
    disk.put(at + 12, shape.header_bytes);
    disk.put<std::uint64_t>(at + 24, header);
    disk.put<std::uint64_t>(at + 32, last + 1 - header);
    disk.put<std::uint64_t>(at + 40, 2 + list_blocks);
    disk.put<std::uint64_t>(at + 48, last - list_blocks - 1);
    disk.put<std::uint64_t>(at + 72, list);
    disk.put(at + 80, shape.entries);
    disk.put(at + 84, shape.entry_bytes);
    std::uint64_t entry_at = list * unit;
    for (const GptEntry& entry : entries) {
      std::ranges::copy(entry.type.bytes, disk.bytes().data() + entry_at);
      disk.put(entry_at + 32, entry.first);
      disk.put(entry_at + 40, entry.last);
      entry_at += shape.entry_bytes;
    }
    mend_gpt(disk, header);
  };
  put_copy(1, 2);
  put_copy(last, last - list_blocks);
}

struct LabelEntry {
  std::uint64_t begin_bytes;
  std::uint64_t size_bytes;
  std::uint8_t type;
};

// Makes the sum of the label at byte `at` right, if its count can be.
inline void mend_label(MutableBytes slice) {
  namespace fields = disklabel64;
  if (slice.size() < fields::kLabelBytes) return;
  const auto count = load_le<std::uint32_t>(slice.data() + fields::kCountAt);
  if (count > kMaxDisklabel64Partitions) return;
  store_le<std::uint32_t>(slice.data() + fields::kChecksumAt, 0);
  store_le(
      slice.data() + fields::kChecksumAt,
      check::crc<check::Crc32Slice8>(Bytes(slice).subspan(
          fields::kMagicAt, fields::kEntriesAt + count * fields::kEntryBytes -
                                fields::kMagicAt)));
}

// A label for a slice whose partitions begin at `base_bytes`.
inline void put_label(MutableBytes slice, std::uint64_t base_bytes,
                      std::initializer_list<LabelEntry> entries) {
  namespace fields = disklabel64;
  std::byte* const at = slice.data();
  store_le(at + fields::kMagicAt, kDisklabel64Magic);
  store_le<std::uint32_t>(at + fields::kAlignAt, 4096);
  store_le(at + fields::kCountAt, kMaxDisklabel64Partitions);
  store_le<std::uint64_t>(at + fields::kTotalBytesAt, slice.size());
  store_le<std::uint64_t>(at + fields::kBootBaseAt, 4096);
  store_le(at + fields::kPartitionsBaseAt, base_bytes);
  store_le<std::uint64_t>(at + fields::kPartitionsEndAt, slice.size());
  std::byte* entry_at = at + fields::kEntriesAt;
  for (const LabelEntry& entry : entries) {
    store_le(entry_at, entry.begin_bytes);
    store_le(entry_at + 8, entry.size_bytes);
    store_le(entry_at + fields::kEntryTypeAt, entry.type);
    entry_at += fields::kEntryBytes;
  }
  mend_label(slice);
}

}  // namespace odo::partition::testing
