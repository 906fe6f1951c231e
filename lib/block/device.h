// SPDX-License-Identifier: BSD-3-Clause
// What a filesystem asks of the thing that stores its bytes: a size, a block
// size, and reads of whole blocks; for one that changes them, writes and
// flushes as well.
//
// Contexts: thread. A device serves one caller at a time unless its own header
// says otherwise; read() may put the caller to sleep (ODO_MAY_BLOCK).
// Units: bytes everywhere. Offsets and lengths are multiples of block_bytes().
// Ownership: the caller owns the device and the buffer; a device keeps no
// reference to the buffer after read() or write() has returned.
// Failure: block::Error. A failed read leaves the buffer's content unspecified.
#pragma once

#include <concepts>
#include <cstdint>
#include <string_view>

#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/base/result.h"

namespace odo::block {

enum class Error : std::uint8_t {
  kMisaligned,  // offset or length isn't a multiple of block_bytes()
  kOutOfRange,  // the range doesn't lie inside [0, size_bytes())
  kReadOnly,    // a write, where there can be none
  kNotOffered,  // the device doesn't do that
  kIo,          // the medium or the way to it failed
};

template <class T>
using Result = odo::Result<T, Error>;

[[nodiscard]] constexpr std::string_view to_string(Error error) {
  using std::operator""sv;
  switch (error) {
    case Error::kMisaligned:
      return "request isn't aligned to the device's blocks"sv;
    case Error::kOutOfRange:
      return "request reaches past the end of the device"sv;
    case Error::kReadOnly:
      return "device can't be written to"sv;
    case Error::kNotOffered:
      return "device doesn't offer that"sv;
    case Error::kIo:
      break;
  }
  return "the transfer failed"sv;
}

// Bounds on block_bytes(), which is a power of two between them.
inline constexpr std::uint32_t kMinBlockBytes = 512;
inline constexpr std::uint32_t kMaxBlockBytes = 4096;

template <class D>
concept BlockDevice = requires(D& device, const D& constant,
                               std::uint64_t offset_bytes, MutableBytes to) {
  // Constant over the device's life; a multiple of block_bytes().
  { constant.size_bytes() } -> std::same_as<std::uint64_t>;
  { constant.block_bytes() } -> std::same_as<std::uint32_t>;
  // Fills `to` from the medium. ODO_MAY_BLOCK.
  { device.read(offset_bytes, to) } -> std::same_as<Result<void>>;
};

// A device whose bytes can be changed. A read answers what the last write that
// succeeded put there, but what a loss of power leaves is another matter:
// flush() alone keeps order between writes. Until a flush() that began after it
// has succeeded, a write may be on the medium, or not, or in part, whatever
// became of the writes before and after it.
template <class D>
concept WritableBlockDevice =
    BlockDevice<D> &&
    requires(D& device, std::uint64_t offset_bytes, Bytes from) {
      // Changes whole blocks. A write that failed leaves the old bytes, the
      // new ones, or a mixture. ODO_MAY_BLOCK.
      { device.write(offset_bytes, from) } -> std::same_as<Result<void>>;
      // Waits until all writes that succeeded before are durable. Whether they
      // are after a flush that failed is unknown, and no later flush that
      // succeeds makes it known: the data must be written again. ODO_MAY_BLOCK.
      { device.flush() } -> std::same_as<Result<void>>;
    };

// A device that can use word of what will be read: will_read() sets about
// fetching the range and doesn't wait for it, or does nothing. The range lies
// in the device, and needn't be of whole blocks. Never fails.
template <class D>
concept PrefetchingDevice =
    BlockDevice<D> && requires(D& device, std::uint64_t offset_bytes,
                               std::uint64_t length_bytes) {
      { device.will_read(offset_bytes, length_bytes) } -> std::same_as<void>;
    };

// A device that can use word of what nobody needs any more: until it is written
// again, a read of the range may answer anything. Whole blocks. When this takes
// effect, nothing orders: it may be at once, or never.
template <class D>
concept DiscardingDevice =
    WritableBlockDevice<D> && requires(D& device, std::uint64_t offset_bytes,
                                       std::uint64_t length_bytes) {
      {
        device.discard(offset_bytes, length_bytes)
      } -> std::same_as<Result<void>>;
    };

// The check that every device makes of a request before it touches the medium.
[[nodiscard]] constexpr Result<void> check_request(std::uint64_t offset_bytes,
                                                   std::uint64_t length_bytes,
                                                   std::uint64_t size_bytes,
                                                   std::uint32_t block_bytes) {
  if (!is_aligned(offset_bytes, block_bytes) ||
      !is_aligned(length_bytes, block_bytes)) {
    return fail(Error::kMisaligned);
  }
  if (!range_inside(offset_bytes, length_bytes, size_bytes)) {
    return fail(Error::kOutOfRange);
  }
  return {};
}

}  // namespace odo::block
