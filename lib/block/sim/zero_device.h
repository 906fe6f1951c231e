// SPDX-License-Identifier: BSD-3-Clause
// A blank disk of any size that takes no memory: the base of simulated ones.
//
// Contexts: any; never blocks.
#pragma once

#include <cstdint>

#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/block/device.h"

namespace odo::block {

class ZeroDevice {
 public:
  explicit ZeroDevice(std::uint64_t size_bytes,
                      std::uint32_t block_bytes = kMinBlockBytes)
      : size_bytes_(size_bytes), block_bytes_(block_bytes) {
    ODO_CHECK(is_power_of_two(block_bytes) && block_bytes >= kMinBlockBytes &&
              block_bytes <= kMaxBlockBytes &&
              is_aligned(size_bytes, block_bytes));
  }

  [[nodiscard]] std::uint64_t size_bytes() const { return size_bytes_; }
  [[nodiscard]] std::uint32_t block_bytes() const { return block_bytes_; }

  [[nodiscard]] Result<void> read(std::uint64_t offset_bytes,
                                  MutableBytes to) const {
    ODO_TRY_VOID(
        check_request(offset_bytes, to.size(), size_bytes_, block_bytes_));
    zero_bytes(to);
    return {};
  }

 private:
  std::uint64_t size_bytes_;
  std::uint32_t block_bytes_;
};

static_assert(BlockDevice<ZeroDevice>);

}  // namespace odo::block
