// SPDX-License-Identifier: BSD-3-Clause
// A device that fails on request: one chosen read, write or flush, everything
// from some point on, a range of the medium, or all beyond a new end.
//
// Contexts: tests; one thread.
// Ownership: refers to the device below, which outlives it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/block/device.h"
#include "lib/block/sim/random.h"

namespace odo::block {

// What a write that fails leaves.
enum class FailedWrite : std::uint8_t { kOldBytes, kNewBytes, kMixture };

// What a flush that fails has done: nothing yet; all that it should; or the
// worst, that writes are gone for good (CrashDisk alone knows how).
enum class FailedFlush : std::uint8_t { kStillPending, kDurable, kSomeLost };

template <WritableBlockDevice D>
class FaultDisk {
 public:
  explicit FaultDisk(D& below) : below_(below), size_(below.size_bytes()) {}

  // The n-th request of its kind from now on fails once; 0 is the next.
  void fail_read(std::uint64_t n) { failing_read_ = reads_ + n; }
  void fail_write(std::uint64_t n, FailedWrite how = FailedWrite::kOldBytes) {
    failing_write_ = writes_ + n;
    failed_write_ = how;
  }
  void fail_flush(std::uint64_t n,
                  FailedFlush how = FailedFlush::kStillPending) {
    failing_flush_ = flushes_ + n;
    failed_flush_ = how;
  }

  // After `n` more requests of any kind the device is gone.
  void vanish_after(std::uint64_t n) { gone_at_ = requests() + n; }

  // Reads and writes that touch the range fail from now on.
  void break_range(std::uint64_t offset_bytes, std::uint64_t length_bytes) {
    broken_begin_ = offset_bytes;
    broken_end_ = offset_bytes + length_bytes;
  }

  // The device ends here, as when a partition was made too small.
  void shorten(std::uint64_t size_bytes) {
    ODO_CHECK(size_bytes <= size_ && is_aligned(size_bytes, block_bytes()));
    size_ = size_bytes;
  }

  // Forgets all failures that were asked for.
  void heal() {
    failing_read_ = failing_write_ = failing_flush_ = gone_at_ = kNever;
    broken_begin_ = broken_end_ = 0;
    size_ = below_.size_bytes();
  }

  // For the mixtures that failed writes and flushes leave.
  void seed(std::uint64_t seed) { seed_ = seed; }

  // Requests that were made, failed ones too.
  [[nodiscard]] std::uint64_t reads() const { return reads_; }
  [[nodiscard]] std::uint64_t writes() const { return writes_; }
  [[nodiscard]] std::uint64_t flushes() const { return flushes_; }
  [[nodiscard]] std::uint64_t requests() const {
    return reads_ + writes_ + flushes_;
  }

  [[nodiscard]] std::uint64_t size_bytes() const { return size_; }
  [[nodiscard]] std::uint32_t block_bytes() const {
    return below_.block_bytes();
  }

  [[nodiscard]] Result<void> read(std::uint64_t offset_bytes, MutableBytes to) {
    const bool gone = requests() >= gone_at_;
    const bool chosen = reads_++ == failing_read_;
    ODO_TRY_VOID(check_request(offset_bytes, to.size(), size_, block_bytes()));
    if (gone || chosen || is_broken(offset_bytes, to.size())) {
      return fail(Error::kIo);
    }
    return below_.read(offset_bytes, to);
  }

  [[nodiscard]] Result<void> write(std::uint64_t offset_bytes, Bytes from) {
    const bool gone = requests() >= gone_at_;
    const bool chosen = writes_++ == failing_write_;
    ODO_TRY_VOID(
        check_request(offset_bytes, from.size(), size_, block_bytes()));
    if (gone || is_broken(offset_bytes, from.size())) return fail(Error::kIo);
    if (!chosen) return below_.write(offset_bytes, from);
    if (failed_write_ == FailedWrite::kNewBytes) {
      ODO_TRY_VOID(below_.write(offset_bytes, from));
    } else if (failed_write_ == FailedWrite::kMixture) {
      ODO_TRY_VOID(write_some(offset_bytes, from));
    }
    return fail(Error::kIo);
  }

  [[nodiscard]] Result<void> flush() {
    const bool gone = requests() >= gone_at_;
    const bool chosen = flushes_++ == failing_flush_;
    if (gone) return fail(Error::kIo);
    if (!chosen) return below_.flush();
    if (failed_flush_ == FailedFlush::kDurable) {
      ODO_TRY_VOID(below_.flush());
    } else if (failed_flush_ == FailedFlush::kSomeLost) {
      if constexpr (requires { below_.lose_pending(seed_); }) {
        below_.lose_pending(mix(seed_, flushes_));
      } else {
        ODO_CHECK(false && "the device below can't lose writes");
      }
    }
    return fail(Error::kIo);
  }

 private:
  static constexpr std::uint64_t kNever =
      std::numeric_limits<std::uint64_t>::max();

  [[nodiscard]] bool is_broken(std::uint64_t offset, std::size_t bytes) const {
    return offset < broken_end_ && offset + bytes > broken_begin_;
  }

  // About half of the blocks.
  Result<void> write_some(std::uint64_t offset_bytes, Bytes from) {
    for (std::size_t at = 0; at < from.size(); at += block_bytes()) {
      if ((mix(seed_ + writes_, at) & 1) == 0) continue;
      ODO_TRY_VOID(
          below_.write(offset_bytes + at, from.subspan(at, block_bytes())));
    }
    return {};
  }

  D& below_;
  std::uint64_t size_;
  std::uint64_t seed_ = 1;
  std::uint64_t reads_ = 0;
  std::uint64_t writes_ = 0;
  std::uint64_t flushes_ = 0;
  std::uint64_t failing_read_ = kNever;
  std::uint64_t failing_write_ = kNever;
  std::uint64_t failing_flush_ = kNever;
  std::uint64_t gone_at_ = kNever;
  std::uint64_t broken_begin_ = 0;
  std::uint64_t broken_end_ = 0;
  FailedWrite failed_write_ = FailedWrite::kOldBytes;
  FailedFlush failed_flush_ = FailedFlush::kStillPending;
};

}  // namespace odo::block
