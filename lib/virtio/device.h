// SPDX-License-Identifier: BSD-3-Clause
// Bringing a modern virtio device up and down: status, features, queues.
//
// Contexts: thread; nothing here sleeps, every wait is bounded.
// Failure: see Error; after any of them the device is to be reset.
// Origin: VIRTIO 1.1 §2.1 (status), §2.2 (features), §3.1.1 (initialisation),
//   §4.1.4.3 (common configuration).
#pragma once

#include <concepts>
#include <cstdint>
#include <string_view>

#include "lib/base/result.h"

namespace odo::virtio {

enum class Error : std::uint8_t {
  kNoReset,    // the device never came back from a reset
  kNoFeature,  // it lacks a feature that we cannot do without, or refuses ours
  kNoQueue,    // it has no such queue
  kBadConfig,  // its own description makes no sense
  kBroken,     // it answered what cannot be
  kTimeout,    // it did not answer in time
};

template <class T>
using Result = odo::Result<T, Error>;

[[nodiscard]] constexpr std::string_view describe(Error error) {
  switch (error) {
    case Error::kNoReset:
      return "the device does not come back from reset";
    case Error::kNoFeature:
      return "the device lacks a needed feature (is it a legacy one?)";
    case Error::kNoQueue:
      return "the device has no request queue";
    case Error::kBadConfig:
      return "the device describes itself wrongly";
    case Error::kBroken:
      return "the device gave an impossible answer";
    case Error::kTimeout:
      return "the device does not answer";
  }
  return "unknown virtio error";
}

// The parts of a device that have registers.
enum class Part : std::uint8_t { kCommon, kDevice };

// Access to a device's registers, wherever its bus puts them. Offsets beyond a
// part's end read as zero and are not written. `notify` rings for a queue whose
// notify offset is given.
template <class T>
concept Transport =
    requires(T& transport, Part part, std::uint32_t offset, std::uint16_t half,
             std::uint8_t byte, std::uint32_t word) {
      { transport.read8(part, offset) } -> std::same_as<std::uint8_t>;
      { transport.read16(part, offset) } -> std::same_as<std::uint16_t>;
      { transport.read32(part, offset) } -> std::same_as<std::uint32_t>;
      { transport.write8(part, offset, byte) } -> std::same_as<void>;
      { transport.write16(part, offset, half) } -> std::same_as<void>;
      { transport.write32(part, offset, word) } -> std::same_as<void>;
      { transport.notify(half, half) } -> std::same_as<void>;
    };

// Feature bits of any device.
inline constexpr std::uint64_t kFeatureVersion1 = std::uint64_t{1} << 32;
// The device reaches memory as the platform lets it: on our grounds, whose
// IOMMUs are off, at physical addresses like any other.
inline constexpr std::uint64_t kFeatureAccessPlatform = std::uint64_t{1} << 33;

namespace detail {

// Offsets in the common part.
inline constexpr std::uint32_t kDeviceFeatureSelect = 0;
inline constexpr std::uint32_t kDeviceFeature = 4;
inline constexpr std::uint32_t kDriverFeatureSelect = 8;
inline constexpr std::uint32_t kDriverFeature = 12;
inline constexpr std::uint32_t kConfigMsixVector = 16;
inline constexpr std::uint32_t kStatus = 20;
inline constexpr std::uint32_t kConfigGeneration = 21;
inline constexpr std::uint32_t kQueueSelect = 22;
inline constexpr std::uint32_t kQueueSize = 24;
inline constexpr std::uint32_t kQueueMsixVector = 26;
inline constexpr std::uint32_t kQueueEnable = 28;
inline constexpr std::uint32_t kQueueNotifyOffset = 30;
inline constexpr std::uint32_t kQueueDescriptors = 32;
inline constexpr std::uint32_t kQueueDriver = 40;
inline constexpr std::uint32_t kQueueDevice = 48;

inline constexpr std::uint8_t kStatusAcknowledge = 1;
inline constexpr std::uint8_t kStatusDriver = 2;
inline constexpr std::uint8_t kStatusDriverOk = 4;
inline constexpr std::uint8_t kStatusFeaturesOk = 8;

// Reads of a register that an emulator answers at once and hardware within
// microseconds: seconds in all.
inline constexpr unsigned kMaxResetReads = 1'000'000;

template <Transport T>
void write64(T& transport, std::uint32_t offset, std::uint64_t value) {
  transport.write32(Part::kCommon, offset, static_cast<std::uint32_t>(value));
  transport.write32(Part::kCommon, offset + 4,
                    static_cast<std::uint32_t>(value >> 32));
}

template <Transport T>
void add_status(T& transport, std::uint8_t bits) {
  const std::uint8_t old = transport.read8(Part::kCommon, kStatus);
  transport.write8(Part::kCommon, kStatus,
                   static_cast<std::uint8_t>(old | bits));
}

}  // namespace detail

// Stops the device: after success it touches no memory of ours.
template <Transport T>
[[nodiscard]] Result<void> reset(T& transport) {
  transport.write8(Part::kCommon, detail::kStatus, 0);
  for (unsigned i = 0; i < detail::kMaxResetReads; ++i) {
    if (transport.read8(Part::kCommon, detail::kStatus) == 0) return {};
  }
  return fail(Error::kNoReset);
}

// Resets, then agrees on those of `wanted` and `needed` that the device has.
template <Transport T>
[[nodiscard]] Result<std::uint64_t> negotiate(T& transport,
                                              std::uint64_t needed,
                                              std::uint64_t wanted) {
  ODO_TRY_VOID(reset(transport));
  detail::add_status(transport, detail::kStatusAcknowledge);
  detail::add_status(transport, detail::kStatusDriver);
  std::uint64_t offered = 0;
  for (std::uint32_t half = 0; half < 2; ++half) {
    transport.write32(Part::kCommon, detail::kDeviceFeatureSelect, half);
    offered |=
        std::uint64_t{transport.read32(Part::kCommon, detail::kDeviceFeature)}
        << (32 * half);
  }
  if ((offered & needed) != needed) return fail(Error::kNoFeature);
  const std::uint64_t agreed = offered & (needed | wanted);
  for (std::uint32_t half = 0; half < 2; ++half) {
    transport.write32(Part::kCommon, detail::kDriverFeatureSelect, half);
    transport.write32(Part::kCommon, detail::kDriverFeature,
                      static_cast<std::uint32_t>(agreed >> (32 * half)));
  }
  detail::add_status(transport, detail::kStatusFeaturesOk);
  const std::uint8_t status = transport.read8(Part::kCommon, detail::kStatus);
  if ((status & detail::kStatusFeaturesOk) == 0) {
    return fail(Error::kNoFeature);
  }
  return agreed;
}

// The largest size that queue `index` may have; 0 where there is none.
template <Transport T>
[[nodiscard]] std::uint16_t max_queue_size(T& transport, std::uint16_t index) {
  transport.write16(Part::kCommon, detail::kQueueSelect, index);
  return transport.read16(Part::kCommon, detail::kQueueSize);
}

struct QueueAddresses {
  std::uint64_t descriptors;
  std::uint64_t available;
  std::uint64_t used;
};

// Hands the ring memory over; the answer is the queue's notify offset.
template <Transport T>
[[nodiscard]] std::uint16_t enable_queue(T& transport, std::uint16_t index,
                                         std::uint16_t size,
                                         const QueueAddresses& at) {
  constexpr std::uint16_t kNoVector = 0xffff;
  transport.write16(Part::kCommon, detail::kConfigMsixVector, kNoVector);
  transport.write16(Part::kCommon, detail::kQueueSelect, index);
  transport.write16(Part::kCommon, detail::kQueueSize, size);
  transport.write16(Part::kCommon, detail::kQueueMsixVector, kNoVector);
  detail::write64(transport, detail::kQueueDescriptors, at.descriptors);
  detail::write64(transport, detail::kQueueDriver, at.available);
  detail::write64(transport, detail::kQueueDevice, at.used);
  const std::uint16_t notify_offset =
      transport.read16(Part::kCommon, detail::kQueueNotifyOffset);
  transport.write16(Part::kCommon, detail::kQueueEnable, 1);
  return notify_offset;
}

// Queues are enabled: the device may work.
template <Transport T>
void begin_work(T& transport) {
  detail::add_status(transport, detail::kStatusDriverOk);
}

// Calls `read` until the device's own part did not change meanwhile; false when
// it never holds still.
template <Transport T, class Reader>
[[nodiscard]] bool read_stable_config(T& transport, Reader&& read) {
  for (unsigned i = 0; i < 100; ++i) {
    const auto before =
        transport.read8(Part::kCommon, detail::kConfigGeneration);
    read();
    if (transport.read8(Part::kCommon, detail::kConfigGeneration) == before) {
      return true;
    }
  }
  return false;
}

}  // namespace odo::virtio
