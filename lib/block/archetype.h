// SPDX-License-Identifier: BSD-3-Clause
// The least that a block device may be, and one that can be written. A template
// that compiles over these types uses nothing beyond the concepts; they exist
// to be instantiated, not to run.
//
// Contexts: none. Members are defined so that an explicit instantiation links.
#pragma once

#include <cstdint>

#include "lib/base/bytes.h"
#include "lib/block/device.h"

namespace odo::block {

class ArchetypeDevice {
 public:
  ArchetypeDevice() = delete;
  ArchetypeDevice(const ArchetypeDevice&) = delete;
  ArchetypeDevice& operator=(const ArchetypeDevice&) = delete;

  [[nodiscard]] std::uint64_t size_bytes() const { return 0; }
  [[nodiscard]] std::uint32_t block_bytes() const { return kMinBlockBytes; }
  [[nodiscard]] Result<void> read(std::uint64_t, MutableBytes) {
    return fail(Error::kOutOfRange);
  }
};

class ArchetypeWritableDevice : public ArchetypeDevice {
 public:
  [[nodiscard]] Result<void> write(std::uint64_t, Bytes) {
    return fail(Error::kOutOfRange);
  }
  [[nodiscard]] Result<void> flush() { return fail(Error::kIo); }
};

static_assert(BlockDevice<ArchetypeDevice>);
static_assert(!WritableBlockDevice<ArchetypeDevice>);
static_assert(WritableBlockDevice<ArchetypeWritableDevice>);

}  // namespace odo::block
