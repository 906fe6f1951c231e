// SPDX-License-Identifier: BSD-3-Clause
// The least that a block device may be. A template that compiles over this type
// uses nothing beyond the concept; it exists to be instantiated, not to run.
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

static_assert(BlockDevice<ArchetypeDevice>);

}  // namespace odo::block
