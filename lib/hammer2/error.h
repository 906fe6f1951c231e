// SPDX-License-Identifier: BSD-3-Clause
// What can go wrong when a HAMMER2 filesystem is read, with enough said to find
// the block that is to blame.
//
// Contexts: any. Plain data; nothing allocates.
// Shapes: an Error names a code and, where they are known, a block (type, size,
// offset in the space of all volumes, check method, key) and an inode.
// error_text() makes one line of it in the caller's buffer.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

#include "lib/base/result.h"
#include "lib/block/device.h"
#include "lib/hammer2/format/blockref.h"
#include "lib/hammer2/format/constants.h"

namespace odo::hammer2 {

enum class Code : std::uint8_t {
  // The caller's request; the media are fine.
  kNotFound,
  kNotDirectory,
  kIsDirectory,
  kNotSymlink,
  kNotRegular,
  kNameTooLong,
  kSymlinkLoop,
  kNoSuchPfs,
  kNoDefaultPfs,
  kExists,
  kNotEmpty,
  kInvalid,  // a name, a move or a number that can't be
  kFileTooLarge,
  kTooManyLinks,
  kBusy,
  kNoSpace,
  kReadOnly,  // or a write failed earlier, and nothing more is written
  kOutOfMemory,
  kNoMemory,  // the memory given to open() is too small
  // The devices.
  kDeviceError,
  kNoFilesystem,
  kByteSwapped,
  kNoUsableHeader,
  kBadVersion,
  kBadVolumeHeader,
  kDeviceTooSmall,
  kVolumeMissing,
  kVolumeMismatch,
  // The media: check code right or not, this block can't be what it claims.
  kCheckMismatch,
  kBadCheckMethod,
  kBadCompMethod,
  kBadCompression,
  kBadBlockSize,
  kBadBlockOffset,
  kBadBlockType,
  kBadKey,
  kBadInode,
  kBadDirent,
  kMissingInode,
  kTooDeep,
};

// What a caller does about an error: correct the request, look at the device,
// or distrust the media.
enum class ErrorKind : std::uint8_t { kRequest, kDevice, kCorrupt };

[[nodiscard]] constexpr ErrorKind kind_of(Code code) {
  if (code < Code::kDeviceError) return ErrorKind::kRequest;
  if (code < Code::kCheckMismatch) return ErrorKind::kDevice;
  return ErrorKind::kCorrupt;
}

struct Error {
  static constexpr std::uint64_t kUnknown =
      std::numeric_limits<std::uint64_t>::max();

  Code code;
  format::BlockType type = format::BlockType::kEmpty;  // kEmpty: no block named
  format::CheckMethod check = format::CheckMethod::kNone;
  std::uint8_t volume = 0;
  block::Error device = block::Error::kIo;  // with kDeviceError
  std::uint32_t bytes = 0;                  // size of the block, 0 if unknown
  std::uint64_t offset = kUnknown;          // of the block, all volumes' space
  std::uint64_t key = kUnknown;
  std::uint64_t inum = kUnknown;
  // Two numbers that should have agreed: sizes, counts or versions; the code
  // says which. For kBadKey and kBadDirent, `found` is the offending key.
  std::uint64_t found = 0;
  std::uint64_t expected = 0;
};

template <class T>
using Result = odo::Result<T, Error>;

// An error about the block that `ref` refers to, belonging to inode `inum`.
[[nodiscard]] constexpr Error error_at(Code code, const format::Blockref& ref,
                                       std::uint64_t inum = Error::kUnknown) {
  Error error{.code = code};
  error.type = ref.type;
  error.check = format::check_method(ref.methods);
  error.bytes = ref.radix() < 32 && ref.radix() != 0
                    ? std::uint32_t{1} << ref.radix()
                    : 0;
  error.offset = ref.offset();
  error.key = ref.key;
  error.inum = inum;
  return error;
}

[[nodiscard]] constexpr std::string_view to_string(Code code) {
  using std::operator""sv;
  switch (code) {
    case Code::kNotFound:
      return "no such file or directory"sv;
    case Code::kNotDirectory:
      return "not a directory"sv;
    case Code::kIsDirectory:
      return "is a directory"sv;
    case Code::kNotSymlink:
      return "not a symbolic link"sv;
    case Code::kNotRegular:
      return "not a regular file"sv;
    case Code::kNameTooLong:
      return "name or path is too long"sv;
    case Code::kSymlinkLoop:
      return "too many symbolic links"sv;
    case Code::kNoSuchPfs:
      return "no PFS of that label"sv;
    case Code::kNoDefaultPfs:
      return "several PFSs and none is an obvious default: name one"sv;
    case Code::kExists:
      return "exists already"sv;
    case Code::kNotEmpty:
      return "directory isn't empty"sv;
    case Code::kInvalid:
      return "invalid name, number or move"sv;
    case Code::kFileTooLarge:
      return "file would be too large"sv;
    case Code::kTooManyLinks:
      return "too many links"sv;
    case Code::kBusy:
      return "is in use"sv;
    case Code::kNoSpace:
      return "no space left on the volume"sv;
    case Code::kReadOnly:
      return "volume is read-only"sv;
    case Code::kOutOfMemory:
      return "not enough memory"sv;
    case Code::kNoMemory:
      return "not enough memory for the block cache"sv;
    case Code::kDeviceError:
      return "device error"sv;
    case Code::kNoFilesystem:
      return "no HAMMER2 filesystem here, magic number is missing"sv;
    case Code::kByteSwapped:
      return "HAMMER2 filesystem of the other byte order: not supported"sv;
    case Code::kNoUsableHeader:
      return "no usable volume header: every one found is damaged"sv;
    case Code::kBadVersion:
      return "unsupported volume version"sv;
    case Code::kBadVolumeHeader:
      return "volume header has an impossible field"sv;
    case Code::kDeviceTooSmall:
      return "device is smaller than its volume (truncated image?)"sv;
    case Code::kVolumeMissing:
      return "wrong number of volumes"sv;
    case Code::kVolumeMismatch:
      return "volumes don't belong together"sv;
    case Code::kCheckMismatch:
      return "check code mismatch"sv;
    case Code::kBadCheckMethod:
      return "unknown check method"sv;
    case Code::kBadCompMethod:
      return "unknown compression method"sv;
    case Code::kBadCompression:
      return "compressed data are damaged"sv;
    case Code::kBadBlockSize:
      return "impossible block size"sv;
    case Code::kBadBlockOffset:
      return "impossible block offset"sv;
    case Code::kBadBlockType:
      return "block of a type that can't stand here"sv;
    case Code::kBadKey:
      return "keys out of order or out of range"sv;
    case Code::kBadInode:
      return "impossible inode"sv;
    case Code::kBadDirent:
      return "impossible directory entry"sv;
    case Code::kMissingInode:
      return "directory entry names an inode that isn't there"sv;
    case Code::kTooDeep:
      break;
  }
  return "too many levels of indirect blocks"sv;
}

[[nodiscard]] constexpr std::string_view to_string(format::BlockType type) {
  using std::operator""sv;
  switch (type) {
    case format::BlockType::kEmpty:
      return "empty"sv;
    case format::BlockType::kInode:
      return "inode"sv;
    case format::BlockType::kIndirect:
      return "indirect block"sv;
    case format::BlockType::kData:
      return "data block"sv;
    case format::BlockType::kDirent:
      return "directory entry"sv;
    case format::BlockType::kFreemapNode:
      return "freemap node"sv;
    case format::BlockType::kFreemapLeaf:
      return "freemap leaf"sv;
    case format::BlockType::kFreemap:
      return "freemap"sv;
    case format::BlockType::kVolume:
      return "volume header"sv;
    case format::BlockType::kInvalid:
      break;
  }
  return "block of unknown type"sv;
}

[[nodiscard]] constexpr std::string_view to_string(format::CheckMethod method) {
  using std::operator""sv;
  switch (method) {
    case format::CheckMethod::kNone:
      return "none"sv;
    case format::CheckMethod::kDisabled:
      return "disabled"sv;
    case format::CheckMethod::kIscsi32:
      return "iscsi32"sv;
    case format::CheckMethod::kXxhash64:
      return "xxhash64"sv;
    case format::CheckMethod::kSha192:
      return "sha192"sv;
    case format::CheckMethod::kFreemap:
      return "freemap"sv;
  }
  return "unknown"sv;
}

[[nodiscard]] constexpr std::string_view to_string(format::CompMethod method) {
  using std::operator""sv;
  switch (method) {
    case format::CompMethod::kNone:
      return "none"sv;
    case format::CompMethod::kAutozero:
      return "autozero"sv;
    case format::CompMethod::kLz4:
      return "lz4"sv;
    case format::CompMethod::kZlib:
      return "zlib"sv;
  }
  return "unknown"sv;
}

namespace detail {

// Appends to a caller's buffer and drops what doesn't fit.
class Line {
 public:
  explicit constexpr Line(std::span<char> to) : to_(to) {}

  constexpr Line& text(std::string_view text) {
    const std::size_t n = std::min(text.size(), to_.size() - size_);
    std::copy_n(text.begin(), n, to_.data() + size_);
    size_ += n;
    return *this;
  }
  // A literal knows its length: no strlen() in a freestanding build.
  template <std::size_t N>
  constexpr Line& text(const char (&literal)[N]) {
    return text(std::string_view(literal, N - 1));
  }
  constexpr Line& decimal(std::uint64_t value) { return digits(value, 10); }
  constexpr Line& hex(std::uint64_t value) {
    text("0x");
    return digits(value, 16);
  }
  // "1 KiB", "64 KiB", "40 MiB", or plain bytes where it isn't whole.
  constexpr Line& size(std::uint64_t bytes) {
    if (bytes != 0 && bytes % (1U << 20) == 0) {
      return decimal(bytes >> 20).text(" MiB");
    }
    if (bytes != 0 && bytes % 1024 == 0) {
      return decimal(bytes >> 10).text(" KiB");
    }
    return decimal(bytes).text(" bytes");
  }

  [[nodiscard]] constexpr std::string_view view() const {
    return {to_.data(), size_};
  }

 private:
  constexpr Line& digits(std::uint64_t value, unsigned base) {
    char reversed[20] = {};
    std::size_t n = 0;
    do {
      reversed[n++] = "0123456789abcdef"[value % base];
      value /= base;
    } while (value != 0);
    while (n > 0) text(std::string_view(&reversed[--n], 1));
    return *this;
  }

  std::span<char> to_;
  std::size_t size_ = 0;
};

}  // namespace detail

// Room for any error_text().
inline constexpr std::size_t kErrorTextBytes = 256;

// One line about `error`, without a newline, in `to`:
//   check code mismatch: data block at 0x9060000 (1 KiB, sha192) of inode 1936
//   key 0x0
// (on one line). Text that doesn't fit in `to` is cut.
[[nodiscard]] constexpr std::string_view error_text(const Error& error,
                                                    std::span<char> to) {
  detail::Line line(to);
  line.text(to_string(error.code));
  if (error.code == Code::kDeviceError) {
    line.text(" (").text(block::to_string(error.device)).text(")");
  }
  if (error.type != format::BlockType::kEmpty) {
    line.text(": ").text(to_string(error.type));
    if (error.offset != Error::kUnknown) {
      line.text(" at ").hex(error.offset);
    }
    if (error.type != format::BlockType::kVolume && error.bytes != 0) {
      line.text(" (").size(error.bytes).text(", ").text(to_string(error.check));
      line.text(")");
    }
  }
  if (error.inum != Error::kUnknown)
    line.text(" of inode ").decimal(error.inum);
  if (error.key != Error::kUnknown) line.text(" key ").hex(error.key);
  switch (error.code) {
    case Code::kNoMemory:
    case Code::kDeviceTooSmall:
      line.text(": ").size(error.found).text(", needs ");
      line.size(error.expected);
      break;
    case Code::kBadVersion:
      line.text(" ").decimal(error.found);
      break;
    case Code::kVolumeMissing:
      line.text(": ").decimal(error.found).text(" given, filesystem has ");
      line.decimal(error.expected);
      break;
    case Code::kBadKey:
    case Code::kBadDirent:
    case Code::kMissingInode:
      line.text(" (").hex(error.found).text(")");
      break;
    default:
      break;
  }
  if (error.volume != 0) line.text(" on volume ").decimal(error.volume);
  return line.view();
}

}  // namespace odo::hammer2
