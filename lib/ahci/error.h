// SPDX-License-Identifier: BSD-3-Clause
// What can be wrong with a SATA controller or what hangs on one of its ports.
//
// Contexts: any.
#pragma once

#include <cstdint>
#include <string_view>

#include "lib/base/result.h"

namespace odo::ahci {

enum class Error : std::uint8_t {
  kGone,          // registers read as all ones, or the link is down
  kNoReset,       // the controller never came back from its reset
  kBadConfig,     // something describes itself in a way that makes no sense
  kOutOfReach,    // our memory lies where the controller has no addresses
  kNotStopped,    // the port never came to rest
  kNotReady,      // what hangs on the port stayed busy
  kOtherDevice,   // neither a disk nor a packet device
  kNoLongBlocks,  // a disk without 48-bit block addresses
  kNoDma,         // a device that does not move data by itself
  kBlockBytes,    // blocks of a size that we do not take
  kNotCd,         // a packet device that is no CD drive
  kNoMedium,      // a drive with nothing in it
  kRefused,       // the device failed a command
  kLink,          // the way to the device or to memory failed
  kBroken,        // an answer that cannot be
  kTimeout,       // no answer in time
  kChanged,       // after a reset it is another one
};

template <class T>
using Result = odo::Result<T, Error>;

[[nodiscard]] constexpr std::string_view describe(Error error) {
  switch (error) {
    case Error::kGone:
      return "the device is gone";
    case Error::kNoReset:
      return "the controller does not come back from reset";
    case Error::kBadConfig:
      return "the device describes itself wrongly";
    case Error::kOutOfReach:
      return "the controller does not reach memory beyond 4 GiB";
    case Error::kNotStopped:
      return "the port does not stop";
    case Error::kNotReady:
      return "the device does not become ready";
    case Error::kOtherDevice:
      return "the device is neither a disk nor a CD drive";
    case Error::kNoLongBlocks:
      return "the disk has no 48-bit addresses";
    case Error::kNoDma:
      return "the device has no DMA";
    case Error::kBlockBytes:
      return "its blocks are not of 512 to 4096 bytes";
    case Error::kNotCd:
      return "the packet device is no CD drive";
    case Error::kNoMedium:
      return "the drive is empty";
    case Error::kRefused:
      return "the device refuses a command that it must take";
    case Error::kLink:
      return "the way to the device failed";
    case Error::kBroken:
      return "the device gave an impossible answer";
    case Error::kTimeout:
      return "the device does not answer";
    case Error::kChanged:
      return "another device has taken its place";
  }
  return "unknown AHCI error";
}

}  // namespace odo::ahci
