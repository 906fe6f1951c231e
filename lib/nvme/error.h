// SPDX-License-Identifier: BSD-3-Clause
// What can be wrong with an NVMe controller or one of its namespaces.
//
// Contexts: any.
#pragma once

#include <cstdint>
#include <string_view>

#include "lib/base/result.h"

namespace odo::nvme {

enum class Error : std::uint8_t {
  kGone,          // its registers read as all ones: nobody is there
  kNoCommandSet,  // it has no NVM commands
  kNoPages,       // it wants pages of more than 4 KiB
  kBadConfig,     // its own description makes no sense
  kNotStopped,    // it never came to rest
  kNotReady,      // it never became ready
  kFatal,         // it says that it cannot go on
  kRefused,       // it failed a command that every controller takes
  kBroken,        // it answered what cannot be
  kTimeout,       // it did not answer in time
  kChanged,       // after a reset it is another one
  kMetadata,      // of a namespace: blocks with metadata or protection
  kBlockBytes,    // of a namespace: blocks of a size that we do not take
};

template <class T>
using Result = odo::Result<T, Error>;

[[nodiscard]] constexpr std::string_view describe(Error error) {
  switch (error) {
    case Error::kGone:
      return "the device is gone";
    case Error::kNoCommandSet:
      return "the controller has no NVM commands";
    case Error::kNoPages:
      return "the controller does not take pages of 4 KiB";
    case Error::kBadConfig:
      return "the device describes itself wrongly";
    case Error::kNotStopped:
      return "the controller does not stop";
    case Error::kNotReady:
      return "the controller does not become ready";
    case Error::kFatal:
      return "the controller reports a fatal fault";
    case Error::kRefused:
      return "the controller refuses a command that it must take";
    case Error::kBroken:
      return "the device gave an impossible answer";
    case Error::kTimeout:
      return "the device does not answer";
    case Error::kChanged:
      return "another device has taken its place";
    case Error::kMetadata:
      return "its blocks carry metadata or protection";
    case Error::kBlockBytes:
      return "its blocks are not of 512 to 4096 bytes";
  }
  return "unknown NVMe error";
}

}  // namespace odo::nvme
