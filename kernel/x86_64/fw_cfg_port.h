// SPDX-License-Identifier: BSD-3-Clause
// QEMU's fw_cfg device at its ports. Satisfies boot::FwCfgDevice.
//
// Contexts: boot, one thread; only where a hypervisor is.
#pragma once

#include <cstdint>

#include "kernel/x86_64/cpu.h"
#include "lib/base/bytes.h"
#include "lib/boot/fw_cfg.h"

namespace odo::x86 {

class FwCfgPort {
 public:
  void select(std::uint16_t item) { out16(0x510, item); }
  void read(MutableBytes bytes) { in_bytes(0x511, bytes); }
};

static_assert(boot::FwCfgDevice<FwCfgPort>);

}  // namespace odo::x86
