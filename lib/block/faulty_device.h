// SPDX-License-Identifier: BSD-3-Clause
// A block device that refuses chosen reads of the device below it, to prove
// that errors travel upwards: a range of the medium may be unreadable, and
// every read after the first `n` may fail.
//
// Contexts: as the device below. Counters are plain: one thread.
// Ownership: refers to the device below, which outlives it.
#pragma once

#include <cstdint>
#include <limits>

#include "lib/base/bytes.h"
#include "lib/block/device.h"

namespace odo::block {

template <BlockDevice D>
class FaultyDevice {
 public:
  explicit FaultyDevice(D& below) : below_(below) {}

  // Reads that touch [offset, offset + length) fail with kIo from now on.
  void break_range(std::uint64_t offset_bytes, std::uint64_t length_bytes) {
    broken_begin_ = offset_bytes;
    broken_end_ = offset_bytes + length_bytes;
  }

  // The next `reads` requests may succeed, all later ones fail with kIo.
  void fail_after(std::uint64_t reads) { remaining_ = reads; }

  [[nodiscard]] std::uint64_t reads() const { return reads_; }
  [[nodiscard]] std::uint64_t read_bytes() const { return read_bytes_; }

  [[nodiscard]] std::uint64_t size_bytes() const { return below_.size_bytes(); }
  [[nodiscard]] std::uint32_t block_bytes() const {
    return below_.block_bytes();
  }

  [[nodiscard]] Result<void> read(std::uint64_t offset_bytes, MutableBytes to) {
    ++reads_;
    read_bytes_ += to.size();
    if (remaining_ == 0) return fail(Error::kIo);
    if (remaining_ != kUnlimited) --remaining_;
    if (offset_bytes < broken_end_ &&
        offset_bytes + to.size() > broken_begin_) {
      return fail(Error::kIo);
    }
    return below_.read(offset_bytes, to);
  }

 private:
  static constexpr std::uint64_t kUnlimited =
      std::numeric_limits<std::uint64_t>::max();

  D& below_;
  std::uint64_t broken_begin_ = 0;
  std::uint64_t broken_end_ = 0;
  std::uint64_t remaining_ = kUnlimited;
  std::uint64_t reads_ = 0;
  std::uint64_t read_bytes_ = 0;
};

}  // namespace odo::block
