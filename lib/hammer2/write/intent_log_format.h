// SPDX-License-Identifier: BSD-3-Clause
// The intent log as it lies on the media: what was fsynced since the last
// volume header, so that an fsync need not write one.
//
// A root names 64 KiB blocks of space that no header refers to; groups of
// records follow one another in these as if they were one piece. A group counts
// if it is whole, belongs to the root, has the number that is due, and was
// written upon the header that is the newest: so what other writers have left
// behind, or we ourselves, is never taken for more than it is.
//
// This is ours alone. Who doesn't know of it finds what the last header has,
// whole, and by writing one of its own makes the log count for nothing.
//
// Contexts: any. Plain data, little-endian, naturally aligned.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "lib/hammer2/format/constants.h"
#include "lib/hammer2/format/uuid.h"

namespace odo::hammer2::write {

// A block of the first zone's reserve that the format leaves unused
// (hammer2_disk.h, ZONE_UNUSED61).
inline constexpr std::uint64_t kLogRootOffset =
    std::uint64_t{61} * format::kMaxAllocBytes;
inline constexpr std::uint64_t kLogRootMagic = 0x3147'4f4c'4f44'4f01;
inline constexpr std::uint64_t kLogGroupMagic = 0x3147'4f4c'4f44'4f02;

struct LogRoot {
  static constexpr std::size_t kMostBlocks = 508;

  std::uint64_t magic;
  std::uint64_t check;  // XXH64 of all of it with zero in this place
  std::uint64_t nonce;  // unlike that of any other root
  std::uint64_t count;
  std::array<std::uint64_t, kMostBlocks> blocks;  // offsets
};
static_assert(sizeof(LogRoot) == 4096);

struct LogGroup {
  std::uint64_t magic;
  std::uint64_t check;     // XXH64 of all of it with zero in this place
  std::uint64_t nonce;     // of its root
  std::uint64_t base_tid;  // of the header that it was written upon
  std::uint32_t base_crc;
  std::uint32_t records;
  std::uint64_t number;  // 0 for the first upon that header
  std::uint64_t bytes;   // with this
  std::uint64_t reserved;
};
static_assert(sizeof(LogGroup) == 64);

enum class LogKind : std::uint32_t { kData = 1, kAttributes = 2 };

// Followed by `bytes` of data and zeros up to a multiple of 8, or by
// LogAttributes.
struct LogRecord {
  LogKind kind;
  std::uint32_t bytes;
  std::uint64_t pfs;  // the key of its root in the super-root
  std::uint64_t inum;
  std::uint64_t offset;
};
static_assert(sizeof(LogRecord) == 32);

struct LogAttributes {
  std::uint64_t ctime_us;
  std::uint64_t mtime_us;
  std::uint64_t atime_us;
  std::uint64_t btime_us;
  format::Uuid uid;
  format::Uuid gid;
  std::uint32_t mode;
  std::uint32_t uflags;
};
static_assert(sizeof(LogAttributes) == 72);

}  // namespace odo::hammer2::write
