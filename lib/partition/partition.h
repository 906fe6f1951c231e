// SPDX-License-Identifier: BSD-3-Clause
// What a partition table says, whichever its format: partitions that can be
// used, and for each entry that cannot, why not.
//
// Contexts: any; one owner at a time. No allocation.
// Units: bytes from the beginning of the device that the table is on.
// Shapes: a Table is about 5 KiB: keep it static or on a heap. At most
//   kMaxPartitions are kept and kMaxProblems told one by one.
// Invariants: partitions of a Table are not empty, lie in the device, begin and
//   end on its blocks, and no two share a byte: of two that would, the one that
//   comes first in the table stays.
// Complexity: add() is linear in the partitions that there are already.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "lib/base/bits.h"

namespace odo::partition {

enum class Scheme : std::uint8_t {
  kNone,  // no table that we know
  kGpt,
  kMbr,
  kDisklabel64,
};

[[nodiscard]] constexpr std::string_view to_string(Scheme scheme) {
  switch (scheme) {
    case Scheme::kNone:
      return "no table";
    case Scheme::kGpt:
      return "GPT";
    case Scheme::kMbr:
      return "MBR";
    case Scheme::kDisklabel64:
      return "disklabel64";
  }
  return "";
}

// What the table claims is in a partition. Nobody has looked.
enum class Kind : std::uint8_t {
  kOther,
  kBiosBoot,
  kEfiSystem,
  kFat,
  kLinux,
  kSwap,
  kUfs,
  kDragonFly,  // a slice for a disklabel
  kHammer,
  kHammer2,
};

[[nodiscard]] constexpr std::string_view to_string(Kind kind) {
  switch (kind) {
    case Kind::kOther:
      return "other";
    case Kind::kBiosBoot:
      return "BIOS boot";
    case Kind::kEfiSystem:
      return "EFI system";
    case Kind::kFat:
      return "FAT";
    case Kind::kLinux:
      return "Linux";
    case Kind::kSwap:
      return "swap";
    case Kind::kUfs:
      return "UFS";
    case Kind::kDragonFly:
      return "DragonFly";
    case Kind::kHammer:
      return "HAMMER";
    case Kind::kHammer2:
      return "HAMMER2";
  }
  return "";
}

struct Partition {
  std::uint64_t begin_bytes = 0;
  std::uint64_t size_bytes = 0;
  std::uint32_t number = 0;  // its place in the table, from 1
  Kind kind = Kind::kOther;

  [[nodiscard]] constexpr std::uint64_t end_bytes() const {
    return begin_bytes + size_bytes;
  }
  friend constexpr bool operator==(const Partition&,
                                   const Partition&) = default;
};

enum class Reason : std::uint8_t {
  // About a table, or a part of it.
  kUnreadable,      // the device failed
  kBadChecksum,     // of a header, a list of entries, a label
  kBadHeader,       // fields that cannot be
  kTooLarge,        // a list of entries beyond what is looked at
  kNoSignature,     // a link of the chain of extended partitions
  kLoop,            // that chain comes back to itself
  kTooMany,         // more entries than are kept, or links than are followed
  kFromBackup,      // the first copy is bad, this is from the other
  kBackupDamaged,   // the other copy is bad; the first one is used
  kSecondExtended,  // only the first extended partition is followed
  // About one entry.
  kEmpty,        // has a type and no size, or ends before it begins
  kOutOfRange,   // reaches beyond the device
  kOffLimits,    // lies where the table keeps partitions out
  kMisaligned,   // begins or ends inside a block of the device
  kOverlapping,  // shares blocks with partition `other`
};

[[nodiscard]] constexpr std::string_view describe(Reason reason) {
  switch (reason) {
    case Reason::kUnreadable:
      return "cannot be read";
    case Reason::kBadChecksum:
      return "has a wrong check sum";
    case Reason::kBadHeader:
      return "has a header that cannot be";
    case Reason::kTooLarge:
      return "is larger than anyone needs";
    case Reason::kNoSignature:
      return "ends in a block that is no table";
    case Reason::kLoop:
      return "leads back to itself";
    case Reason::kTooMany:
      return "has more entries than there is room for";
    case Reason::kFromBackup:
      return "is damaged, its backup at the end of the disk is used";
    case Reason::kBackupDamaged:
      return "has a damaged backup at the end of the disk";
    case Reason::kSecondExtended:
      return "is a second extended partition";
    case Reason::kEmpty:
      return "is empty";
    case Reason::kOutOfRange:
      return "reaches past the end of the disk";
    case Reason::kOffLimits:
      return "lies where the table allows no partition";
    case Reason::kMisaligned:
      return "is not made of whole blocks";
    case Reason::kOverlapping:
      return "overlaps with partition ";
  }
  return "";
}

struct Problem {
  std::uint32_t number = 0;  // of the entry; 0: the table itself
  Reason reason = Reason::kBadHeader;
  std::uint32_t other = 0;  // for kOverlapping

  friend constexpr bool operator==(const Problem&, const Problem&) = default;
};

// Where a table may put partitions: the device's blocks from `begin` to `end`,
// both multiples of a block.
struct Limits {
  std::uint64_t begin_bytes = 0;
  std::uint64_t end_bytes = 0;
  std::uint64_t device_bytes = 0;
  std::uint32_t block_bytes = 0;
};

class Table {
 public:
  static constexpr std::size_t kMaxPartitions = 128;
  static constexpr std::size_t kMaxProblems = 32;

  [[nodiscard]] constexpr Scheme scheme() const { return scheme_; }
  // In the order of the table.
  [[nodiscard]] constexpr std::span<const Partition> partitions() const {
    return {partitions_.data(), partition_count_};
  }
  [[nodiscard]] constexpr std::span<const Problem> problems() const {
    return {problems_.data(), problem_count_};
  }
  // Beyond those that problems() has room for.
  [[nodiscard]] constexpr std::size_t more_problems() const {
    return more_problems_;
  }

  constexpr void begin(Scheme scheme) {
    scheme_ = scheme;
    partition_count_ = 0;
    problem_count_ = 0;
    more_problems_ = 0;
  }

  constexpr void complain(const Problem& problem) {
    if (problem_count_ == kMaxProblems) {
      ++more_problems_;
    } else {
      problems_[problem_count_++] = problem;
    }
  }

  // Keeps `one` if it can be, else says why not. Its end fits in 64 bits.
  constexpr void add(const Partition& one, const Limits& limits) {
    if (const auto problem = find_problem(one, limits)) {
      complain(*problem);
    } else if (partition_count_ == kMaxPartitions) {
      complain({.number = one.number, .reason = Reason::kTooMany});
    } else {
      partitions_[partition_count_++] = one;
    }
  }

 private:
  [[nodiscard]] constexpr std::optional<Problem> find_problem(
      const Partition& one, const Limits& limits) const {
    const auto because = [&](Reason reason, std::uint32_t other = 0) {
      return Problem{.number = one.number, .reason = reason, .other = other};
    };
    if (one.size_bytes == 0) return because(Reason::kEmpty);
    if (!range_inside(one.begin_bytes, one.size_bytes, limits.device_bytes)) {
      return because(Reason::kOutOfRange);
    }
    if (one.begin_bytes < limits.begin_bytes ||
        one.end_bytes() > limits.end_bytes) {
      return because(Reason::kOffLimits);
    }
    if (!is_aligned(one.begin_bytes | one.size_bytes, limits.block_bytes)) {
      return because(Reason::kMisaligned);
    }
    for (const Partition& other : partitions()) {
      if (one.begin_bytes < other.end_bytes() &&
          other.begin_bytes < one.end_bytes()) {
        return because(Reason::kOverlapping, other.number);
      }
    }
    return std::nullopt;
  }

  std::array<Partition, kMaxPartitions> partitions_{};
  std::array<Problem, kMaxProblems> problems_{};
  std::size_t partition_count_ = 0;
  std::size_t problem_count_ = 0;
  std::size_t more_problems_ = 0;
  Scheme scheme_ = Scheme::kNone;
};

}  // namespace odo::partition
