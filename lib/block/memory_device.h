// SPDX-License-Identifier: BSD-3-Clause
// Block devices over bytes in memory, which can only be read and which can be
// written: for tests, fuzzers and images that a boot loader left in RAM.
//
// Contexts: any; never blocks. Reads may run at the same time, writes alone.
// Ownership: the caller keeps the bytes alive, and unchanged during reads. A
// tail shorter than a block isn't part of the device.
#pragma once

#include <cstdint>

#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/block/device.h"

namespace odo::block {

class MemoryDevice {
 public:
  explicit MemoryDevice(Bytes bytes, std::uint32_t block_bytes = kMinBlockBytes)
      : bytes_(bytes.first(align_down(bytes.size(), block_bytes))),
        block_bytes_(block_bytes) {
    ODO_CHECK(is_power_of_two(block_bytes) && block_bytes >= kMinBlockBytes &&
              block_bytes <= kMaxBlockBytes);
  }

  [[nodiscard]] std::uint64_t size_bytes() const { return bytes_.size(); }
  [[nodiscard]] std::uint32_t block_bytes() const { return block_bytes_; }

  [[nodiscard]] Result<void> read(std::uint64_t offset_bytes,
                                  MutableBytes to) const {
    ODO_TRY_VOID(
        check_request(offset_bytes, to.size(), size_bytes(), block_bytes_));
    copy_bytes(to, bytes_.subspan(offset_bytes, to.size()));
    return {};
  }

 private:
  Bytes bytes_;
  std::uint32_t block_bytes_;
};

// Every write is as durable as the bytes are, at once.
class WritableMemoryDevice {
 public:
  explicit WritableMemoryDevice(MutableBytes bytes,
                                std::uint32_t block_bytes = kMinBlockBytes)
      : bytes_(bytes), reader_(bytes, block_bytes) {}

  [[nodiscard]] std::uint64_t size_bytes() const {
    return reader_.size_bytes();
  }
  [[nodiscard]] std::uint32_t block_bytes() const {
    return reader_.block_bytes();
  }

  [[nodiscard]] Result<void> read(std::uint64_t offset_bytes,
                                  MutableBytes to) const {
    return reader_.read(offset_bytes, to);
  }

  [[nodiscard]] Result<void> write(std::uint64_t offset_bytes, Bytes from) {
    ODO_TRY_VOID(
        check_request(offset_bytes, from.size(), size_bytes(), block_bytes()));
    copy_bytes(bytes_.subspan(offset_bytes, from.size()), from);
    return {};
  }

  [[nodiscard]] Result<void> flush() { return {}; }

 private:
  MutableBytes bytes_;
  MemoryDevice reader_;
};

static_assert(BlockDevice<MemoryDevice>);
static_assert(!WritableBlockDevice<MemoryDevice>);
static_assert(WritableBlockDevice<WritableMemoryDevice>);

}  // namespace odo::block
