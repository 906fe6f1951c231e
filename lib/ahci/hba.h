// SPDX-License-Identifier: BSD-3-Clause
// An AHCI controller as a whole: taken over from firmware, reset, and asked
// which of its ports something hangs on.
//
// Contexts: thread, at boot. start() waits (ODO_MAY_BLOCK).
// Failure: see Error.
// Origin: Serial ATA AHCI 1.3.1 §10.1.2 (initialisation), §10.4.3 (controller
//   reset), §10.6.3 (hand-off).
#pragma once

#include <cstdint>
#include <limits>

#include "lib/ahci/error.h"
#include "lib/ahci/registers.h"
#include "lib/base/annotations.h"
#include "lib/base/bits.h"
#include "lib/driver/ground.h"
#include "lib/driver/registers.h"

namespace odo::ahci {

// What all ports of a controller have in common.
struct HbaShape {
  unsigned command_slots = 1;
  bool has_queues = false;
  std::uint64_t reach = std::numeric_limits<std::uint64_t>::max();
};

template <driver::Registers R, driver::DriverGround G>
class Hba {
 public:
  Hba(R registers, G ground) : registers_(registers), ground_(ground) {}

  // After it no port touches memory. A link that was up before, as firmware
  // left it, has a second to come up again; where ports spin up one by one,
  // firmware may have left some asleep, and all get a short while. So a
  // controller on which nothing hangs takes no time.
  ODO_MAY_BLOCK [[nodiscard]] Result<void> start() {
    constexpr std::uint32_t kLinkMs = 1000;
    constexpr std::uint32_t kSpinUpMs = 50;
    if (registers_.size_bytes() < port_base(1)) return fail(Error::kBadConfig);
    ports_ = registers_.read32(reg::kPorts);
    if (ports_ == driver::kGone &&
        registers_.read32(reg::kControl) == driver::kGone) {
      return fail(Error::kGone);
    }
    registers_.write32(reg::kControl, kControlAhci);
    take_over();
    drop_unreachable_ports();
    const std::uint32_t had_link = links();
    ODO_TRY_VOID(reset());
    const std::uint32_t capabilities = registers_.read32(reg::kCapabilities);
    shape_.command_slots = command_slots(capabilities);
    shape_.has_queues = (capabilities & kCapQueued) != 0;
    if ((capabilities & kCap64Bits) == 0) {
      shape_.reach = std::uint64_t{1} << 32;
    }
    for (unsigned port = 0; port < kMaxPorts; ++port) {
      if (!has(ports_, port)) continue;
      registers_.write32(port_base(port) + reg::kCommand,
                         kCommandSpinUp | kCommandPowerOn | kCommandAwake);
    }
    wait_for_links(had_link, kLinkMs);
    if ((capabilities & kCapStaggered) != 0) wait_for_links(ports_, kSpinUpMs);
    return {};
  }

  [[nodiscard]] const HbaShape& shape() const { return shape_; }

  // One bit for each port whose link is up.
  [[nodiscard]] std::uint32_t links() {
    std::uint32_t up = 0;
    for (unsigned port = 0; port < kMaxPorts; ++port) {
      if (!has(ports_, port)) continue;
      const std::uint32_t status =
          registers_.read32(port_base(port) + reg::kLinkStatus);
      if (status != driver::kGone && (status & kLinkMask) == kLinkUp) {
        up |= 1u << port;
      }
    }
    return up;
  }

 private:
  [[nodiscard]] static bool has(std::uint32_t ports, unsigned port) {
    return (ports >> port & 1) != 0;
  }

  void drop_unreachable_ports() {
    for (unsigned port = 0; port < kMaxPorts; ++port) {
      if (!range_inside(port_base(port), kPortBytes, registers_.size_bytes())) {
        ports_ &= ~(1u << port);
      }
    }
  }

  // Firmware that does not let go in time is not waited for.
  void take_over() {
    constexpr std::uint32_t kHandOffMs = 100;
    if ((registers_.read32(reg::kCapabilities2) & kCap2HandOff) == 0) return;
    const std::uint32_t state = registers_.read32(reg::kHandOff);
    registers_.write32(reg::kHandOff, state | kHandOffUs);
    ground_.begin_wait(kHandOffMs);
    while ((registers_.read32(reg::kHandOff) & kHandOffFirmware) != 0 &&
           ground_.wait()) {
    }
  }

  [[nodiscard]] Result<void> reset() {
    constexpr std::uint32_t kResetMs = 1000;
    registers_.write32(reg::kControl, kControlAhci | kControlReset);
    ground_.begin_wait(kResetMs);
    for (;;) {
      const std::uint32_t control = registers_.read32(reg::kControl);
      if (control == driver::kGone) return fail(Error::kGone);
      if ((control & kControlReset) == 0) break;
      if (!ground_.wait()) return fail(Error::kNoReset);
    }
    registers_.write32(reg::kControl, kControlAhci);
    return {};
  }

  void wait_for_links(std::uint32_t wanted, std::uint32_t limit_ms) {
    ground_.begin_wait(limit_ms);
    while ((links() & wanted) != wanted && ground_.wait()) {
    }
  }

  R registers_;
  G ground_;
  HbaShape shape_;
  std::uint32_t ports_ = 0;
};

}  // namespace odo::ahci
