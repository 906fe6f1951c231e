// SPDX-License-Identifier: BSD-3-Clause
// The GUID partition table: a header and a list of entries behind the first
// block, and a copy of both at the end of the device.
//
// Contexts: thread; waits for the device.
// Failure: total on any bytes. A copy counts only as a whole: header and list,
//   each with its check sum. With none that does, the table has no partitions;
//   what was wrong, and which copy was used, are in the table's problems.
// Shapes: of an entry the first 128 bytes are looked at, whatever its size. A
//   list is at most kMaxListBytes, 256 times what everyone makes.
// Complexity: linear in the list; at most two of them are read.
// Origin: UEFI specification 2.10 §5.3; the types from there, from DragonFly's
//   gpt(8) and from GRUB's manual (BIOS boot).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>

#include "lib/base/annotations.h"
#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/check/crc.h"
#include "lib/partition/block_reader.h"
#include "lib/partition/guid.h"
#include "lib/partition/partition.h"

namespace odo::partition {

inline constexpr std::uint64_t kGptSignature = 0x5452415020494645;
inline constexpr std::uint32_t kGptRevision = 0x00010000;
inline constexpr std::uint32_t kMinGptHeaderBytes = 92;
inline constexpr std::uint32_t kMinGptEntryBytes = 128;
inline constexpr std::uint64_t kMaxListBytes = std::uint64_t{4} << 20;

// On a device with larger blocks, a table may still count in these: an image
// that was made for a disk and burnt on a CD.
inline constexpr std::uint32_t kSmallUnitBytes = 512;

[[nodiscard]] inline Kind gpt_kind(const Guid& type) {
  struct Known {
    Guid type;
    Kind kind;
  };
  static constexpr std::array kKnown = {
      Known{guid("21686148-6449-6e6f-744e-656564454649"), Kind::kBiosBoot},
      Known{guid("c12a7328-f81f-11d2-ba4b-00a0c93ec93b"), Kind::kEfiSystem},
      Known{guid("0fc63daf-8483-4772-8e79-3d69d8477de4"), Kind::kLinux},
      Known{guid("0657fd6d-a4ab-43c4-84e5-0933c84b4f4f"), Kind::kSwap},
      Known{guid("9d58fdbd-1ca5-11dc-8817-01301bb8a9f5"), Kind::kSwap},
      Known{guid("9d94ce7c-1ca5-11dc-8817-01301bb8a9f5"), Kind::kUfs},
      Known{guid("3d48ce54-1d16-11dc-8696-01301bb8a9f5"), Kind::kDragonFly},
      Known{guid("9d087404-1ca5-11dc-8817-01301bb8a9f5"), Kind::kDragonFly},
      Known{guid("61dc63ac-6e38-11dc-8513-01301bb8a9f5"), Kind::kHammer},
      Known{guid("5cbb9ad1-862d-11dc-a94d-01301bb8a9f5"), Kind::kHammer2},
  };
  const auto* const found = std::ranges::find(kKnown, type, &Known::type);
  return found == kKnown.end() ? Kind::kOther : found->kind;
}

// The fields of a header that has been found to make sense. Blocks are of
// unit_bytes, which need not be the device's own.
struct GptHeader {
  std::uint64_t my_block = 0;
  std::uint64_t other_block = 0;
  std::uint64_t first_usable = 0;
  std::uint64_t last_usable = 0;
  std::uint64_t list_block = 0;
  std::uint32_t entries = 0;
  std::uint32_t entry_bytes = 0;
  std::uint32_t list_checksum = 0;
  std::uint32_t unit_bytes = 0;

  [[nodiscard]] std::uint64_t list_bytes() const {
    return std::uint64_t{entries} * entry_bytes;
  }
};

namespace detail {

// A bad copy's reason, or nothing where the copy is as it should be.
using Verdict = std::optional<Reason>;

template <block::BlockDevice D>
class GptReader {
 public:
  GptReader(BlockReader<D>& reader, std::uint32_t unit_bytes)
      : reader_(reader), unit_(unit_bytes) {}

  // The copy whose header is in `block`.
  ODO_MAY_BLOCK [[nodiscard]] Verdict read_copy(std::uint64_t block,
                                                Table& table) {
    table.begin(Scheme::kGpt);
    if (const Verdict bad = read_header(block)) return bad;
    return read_list(table);
  }

  [[nodiscard]] std::uint64_t last_block() const {
    return reader_.size_bytes() / unit_ - 1;
  }

  // A header alone, for a look at the copy that is not used.
  ODO_MAY_BLOCK [[nodiscard]] Verdict read_header(std::uint64_t block) {
    if (block > last_block()) return Reason::kBadHeader;
    const auto bytes = reader_.read(block * unit_, unit_);
    if (!bytes) return Reason::kUnreadable;
    const std::byte* const at = bytes->data();
    const auto size = load_le<std::uint32_t>(at + 12);
    if (load_le<std::uint64_t>(at) != kGptSignature ||
        load_le<std::uint32_t>(at + 8) < kGptRevision ||
        size < kMinGptHeaderBytes || size > unit_) {
      return Reason::kBadHeader;
    }
    // Of the header with zeroes where the sum itself is.
    constexpr std::size_t kSumAt = 16;
    constexpr std::array<std::byte, 4> kZeroes{};
    const std::uint32_t sum =
        check::Crc<check::Crc32Slice1>()
            .update(bytes->first(kSumAt))
            .update(kZeroes)
            .update(bytes->subspan(kSumAt + 4, size - kSumAt - 4))
            .value();
    if (sum != load_le<std::uint32_t>(at + kSumAt)) {
      return Reason::kBadChecksum;
    }
    header_ = {.my_block = load_le<std::uint64_t>(at + 24),
               .other_block = load_le<std::uint64_t>(at + 32),
               .first_usable = load_le<std::uint64_t>(at + 40),
               .last_usable = load_le<std::uint64_t>(at + 48),
               .list_block = load_le<std::uint64_t>(at + 72),
               .entries = load_le<std::uint32_t>(at + 80),
               .entry_bytes = load_le<std::uint32_t>(at + 84),
               .list_checksum = load_le<std::uint32_t>(at + 88),
               .unit_bytes = unit_};
    if (header_.my_block != block ||
        header_.first_usable > header_.last_usable ||
        header_.last_usable > last_block() ||
        header_.entry_bytes < kMinGptEntryBytes ||
        !is_power_of_two(header_.entry_bytes) ||
        header_.list_block > last_block() || header_.list_block == 0 ||
        is_list_usable()) {
      return Reason::kBadHeader;
    }
    if (header_.list_bytes() > kMaxListBytes) return Reason::kTooLarge;
    return std::nullopt;
  }

  // Adds the entries as they come: they count once the sum is known.
  ODO_MAY_BLOCK [[nodiscard]] Verdict read_list(Table& table) {
    check::Crc<check::Crc32Slice1> sum;
    const std::uint64_t begin = header_.list_block * unit_;
    const std::uint64_t length = header_.list_bytes();
    for (std::uint64_t at = 0; at < length;) {
      const auto step = static_cast<std::size_t>(
          std::min<std::uint64_t>(length - at, BlockReader<D>::kMaxReadBytes));
      const auto bytes = reader_.read(begin + at, step);
      if (!bytes) return Reason::kUnreadable;
      sum.update(*bytes);
      // Entries and pieces are powers of two from 128 on: none is cut before
      // its 128th byte.
      for (std::size_t in = 0; in < step; in += kMinGptEntryBytes) {
        const std::uint64_t entry = (at + in) / header_.entry_bytes;
        if ((at + in) % header_.entry_bytes != 0) continue;
        add_entry(static_cast<std::uint32_t>(entry) + 1,
                  bytes->subspan(in, kMinGptEntryBytes), table);
      }
      at += step;
    }
    if (sum.value() != header_.list_checksum) return Reason::kBadChecksum;
    return std::nullopt;
  }

  [[nodiscard]] const GptHeader& header() const { return header_; }

 private:
  // The list's first or last byte where partitions may be.
  [[nodiscard]] bool is_list_usable() const {
    if (header_.list_bytes() == 0) return false;
    const std::uint64_t last =
        header_.list_block + (header_.list_bytes() - 1) / unit_;
    return last >= header_.first_usable &&
           header_.list_block <= header_.last_usable;
  }

  void add_entry(std::uint32_t number, Bytes entry, Table& table) const {
    const Guid type = load_guid(entry);
    if (type == Guid{}) return;
    const auto first = load_le<std::uint64_t>(entry.data() + 32);
    const auto last = load_le<std::uint64_t>(entry.data() + 40);
    if (first > last) {
      return table.complain({.number = number, .reason = Reason::kEmpty});
    }
    if (last > last_block()) {
      return table.complain({.number = number, .reason = Reason::kOutOfRange});
    }
    table.add({.begin_bytes = first * unit_,
               .size_bytes = (last - first + 1) * unit_,
               .number = number,
               .kind = gpt_kind(type)},
              {.begin_bytes = header_.first_usable * unit_,
               .end_bytes = (header_.last_usable + 1) * unit_,
               .device_bytes = reader_.size_bytes(),
               .block_bytes = reader_.block_bytes()});
  }

  BlockReader<D>& reader_;
  std::uint32_t unit_;
  GptHeader header_;
};

}  // namespace detail

// Reads the table whose blocks are of `unit_bytes`: 512 or more, a power of
// two, no larger than what the reader reads at once.
template <block::BlockDevice D>
ODO_MAY_BLOCK void read_gpt(BlockReader<D>& reader, std::uint32_t unit_bytes,
                            Table& table) {
  detail::GptReader<D> gpt(reader, unit_bytes);
  table.begin(Scheme::kGpt);
  if (reader.size_bytes() / unit_bytes < 3) {
    return table.complain({.reason = Reason::kBadHeader});
  }
  const detail::Verdict first = gpt.read_copy(1, table);
  if (!first) {
    // The copy is where the header says; a disk that was made larger since has
    // it in its middle.
    if (gpt.read_header(gpt.header().other_block)) {
      table.complain({.reason = Reason::kBackupDamaged});
    }
    return;
  }
  const detail::Verdict second = gpt.read_copy(gpt.last_block(), table);
  if (!second) {
    return table.complain({.reason = Reason::kFromBackup});
  }
  table.begin(Scheme::kGpt);
  table.complain({.reason = *first});
  table.complain({.reason = Reason::kBackupDamaged});
}

}  // namespace odo::partition
