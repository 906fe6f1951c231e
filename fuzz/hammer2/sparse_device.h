// SPDX-License-Identifier: BSD-3-Clause
// A volume of a container as a block device that counts what is read of it and
// fails when told to. What it hears of reads to come must lie in it.
//
// Contexts: fuzzers and tests; hosted, one thread.
// Ownership: refers to the volume and to the meter, which all devices of a
//   container share.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "fuzz/hammer2/container.h"
#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/block/device.h"

namespace odo::hammer2::fuzz {

struct Meter {
  std::uint64_t reads = 0;
  std::uint64_t bytes = 0;
  // Reads and bytes after which nothing can be read any more.
  std::uint64_t max_reads = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t max_bytes = std::numeric_limits<std::uint64_t>::max();

  [[nodiscard]] bool exhausted() const {
    return reads >= max_reads || bytes >= max_bytes;
  }
};

class SparseDevice {
 public:
  SparseDevice(const Volume& volume, std::uint32_t block_bytes, Meter& meter)
      : volume_(&volume), block_bytes_(block_bytes), meter_(&meter) {}

  [[nodiscard]] std::uint64_t size_bytes() const {
    return align_down(volume_->size, std::uint64_t{block_bytes_});
  }
  [[nodiscard]] std::uint32_t block_bytes() const { return block_bytes_; }

  [[nodiscard]] block::Result<void> read(std::uint64_t offset_bytes,
                                         MutableBytes to) {
    ODO_TRY_VOID(block::check_request(offset_bytes, to.size(), size_bytes(),
                                      block_bytes_));
    if (meter_->exhausted()) return fail(block::Error::kIo);
    ++meter_->reads;
    meter_->bytes += to.size();
    volume_->bytes.read(offset_bytes, to);
    return {};
  }

  void will_read(std::uint64_t offset_bytes, std::uint64_t length_bytes) const {
    ODO_CHECK(length_bytes != 0 &&
              range_inside(offset_bytes, length_bytes, size_bytes()));
  }

 private:
  const Volume* volume_;
  std::uint32_t block_bytes_;
  Meter* meter_;
};
static_assert(block::PrefetchingDevice<SparseDevice>);

// All devices of a container, and pointers to them as open() wants them.
class Devices {
 public:
  Devices(const Container& container, Meter& meter) {
    devices_.reserve(container.volumes.size());
    for (const Volume& volume : container.volumes) {
      devices_.emplace_back(volume, container.block_bytes(), meter);
      pointers_.push_back(&devices_.back());
    }
  }
  Devices(const Devices&) = delete;
  Devices& operator=(const Devices&) = delete;

  [[nodiscard]] std::span<SparseDevice* const> all() const { return pointers_; }

 private:
  std::vector<SparseDevice> devices_;
  std::vector<SparseDevice*> pointers_;
};

}  // namespace odo::hammer2::fuzz
