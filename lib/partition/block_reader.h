// SPDX-License-Identifier: BSD-3-Clause
// Short pieces of a block device, wherever they begin: what readers of tables
// ask for, one at a time.
//
// Contexts: thread; read() waits for the device (ODO_MAY_BLOCK).
// Shapes: a reader holds one buffer of kBufferBytes.
// Ownership: refers to the device, which outlives it. What read() answers with
//   is valid until the next read().
// Failure: block::Error, of which kOutOfRange is for what the device has not.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "lib/base/annotations.h"
#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/base/result.h"
#include "lib/block/device.h"

namespace odo::partition {

template <block::BlockDevice D>
class BlockReader {
 public:
  // At any offset; more where the offset is a multiple of a block.
  static constexpr std::size_t kMaxReadBytes = block::kMaxBlockBytes;

  explicit BlockReader(D& device) : device_(device) {}
  BlockReader(const BlockReader&) = delete;
  BlockReader& operator=(const BlockReader&) = delete;

  [[nodiscard]] std::uint64_t size_bytes() const {
    return device_.size_bytes();
  }
  [[nodiscard]] std::uint32_t block_bytes() const {
    return device_.block_bytes();
  }

  // Up to kMaxReadBytes from `offset_bytes` on.
  ODO_MAY_BLOCK [[nodiscard]] block::Result<Bytes> read(
      std::uint64_t offset_bytes, std::size_t length) {
    ODO_ASSERT(length <= kMaxReadBytes);
    if (!range_inside(offset_bytes, length, size_bytes())) {
      return fail(block::Error::kOutOfRange);
    }
    const std::uint32_t block = block_bytes();
    const std::uint64_t begin = align_down(offset_bytes, block);
    // The device ends on a block, so this does as well.
    const std::uint64_t end = align_up(offset_bytes + length, block);
    const MutableBytes whole = MutableBytes(buffer_).first(end - begin);
    ODO_TRY_VOID(device_.read(begin, whole));
    return Bytes(whole).subspan(offset_bytes - begin, length);
  }

 private:
  D& device_;
  // A block before and one behind what was asked for, at most.
  alignas(
      64) std::array<std::byte, kMaxReadBytes + block::kMaxBlockBytes> buffer_;
};

}  // namespace odo::partition
