// SPDX-License-Identifier: BSD-3-Clause
// A simulated virtio device for tests: its registers, its view of memory, and
// the device's side of a split queue, honest or not.
//
// Contexts: tests only, one thread. The device works when it is rung, or in
// wait(), as `SimDevice::Manners` say.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/virtio/device.h"
#include "lib/virtio/split_queue.h"

namespace odo::virtio {

// Physical memory of the simulation: pointers are their own addresses plus an
// offset, so that a driver that mixes them up is found out, in pages that are
// not contiguous beyond `run_bytes`.
inline constexpr std::uint64_t kSimOffset = 0x10000000000;

struct SimAccess {
  [[nodiscard]] std::uint16_t load_acquire(const std::uint16_t* from) const {
    return __atomic_load_n(from, __ATOMIC_ACQUIRE);
  }
  void store_release(std::uint16_t* to, std::uint16_t value) const {
    __atomic_store_n(to, value, __ATOMIC_RELEASE);
  }
  void full_fence() const { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
};

[[nodiscard]] inline std::uint64_t sim_physical(const void* p) {
  return reinterpret_cast<std::uint64_t>(p) + kSimOffset;
}
[[nodiscard]] inline std::byte* sim_pointer(std::uint64_t physical) {
  return reinterpret_cast<std::byte*>(physical - kSimOffset);
}

struct SimSegment {
  std::byte* data;
  std::uint32_t length;
  bool device_writes;
};

// The device's side of a queue, by the specification's own words.
class SimQueue {
 public:
  void enable(std::uint16_t size, const QueueAddresses& at) {
    size_ = size;
    descriptors_ = sim_pointer(at.descriptors);
    available_ = sim_pointer(at.available);
    used_ = sim_pointer(at.used);
    next_available_ = 0;
    used_index_ = 0;
  }
  [[nodiscard]] std::uint16_t size() const { return size_; }

  // The head of the next chain that the driver offers.
  [[nodiscard]] std::optional<std::uint16_t> next_head() {
    if (load_le<std::uint16_t>(available_ + 2) == next_available_) {
      return std::nullopt;
    }
    const std::size_t slot = next_available_++ % size_;
    return load_le<std::uint16_t>(available_ + 4 + 2 * slot);
  }

  [[nodiscard]] std::vector<SimSegment> chain(std::uint16_t head) const {
    std::vector<SimSegment> segments;
    for (std::uint16_t at = head; segments.size() <= size_;) {
      const std::byte* d = descriptors_ + 16 * std::size_t{at};
      const auto flags = load_le<std::uint16_t>(d + 12);
      segments.push_back({sim_pointer(load_le<std::uint64_t>(d)),
                          load_le<std::uint32_t>(d + 8), (flags & 2) != 0});
      if ((flags & 1) == 0) return segments;
      at = load_le<std::uint16_t>(d + 14);
    }
    return {};  // a loop: no honest driver makes one
  }

  // Answers, whether that makes sense or not.
  void put_used(std::uint32_t id, std::uint32_t written) {
    std::byte* element =
        used_ + 4 + 8 * static_cast<std::size_t>(used_index_ % size_);
    store_le(element, id);
    store_le(element + 4, written);
    ++used_index_;
    store_le(used_ + 2, used_index_);
  }
  void set_used_index(std::uint16_t index) {
    used_index_ = index;
    store_le(used_ + 2, index);
  }
  void set_no_notify(bool no) {
    store_le(used_, static_cast<std::uint16_t>(no ? 1 : 0));
  }
  [[nodiscard]] bool wants_interrupt() const {
    return (load_le<std::uint16_t>(available_) & 1) == 0;
  }

 private:
  std::uint16_t size_ = 0;
  std::byte* descriptors_ = nullptr;
  std::byte* available_ = nullptr;
  std::byte* used_ = nullptr;
  std::uint16_t next_available_ = 0;
  std::uint16_t used_index_ = 0;
};

// Registers and status of any device; one queue for each `queue_sizes`.
class SimDevice {
 public:
  std::uint64_t offered = kFeatureVersion1;
  std::uint64_t accepted = 0;
  std::vector<std::uint16_t> queue_sizes{256};
  std::vector<std::byte> config = std::vector<std::byte>(64);
  std::map<unsigned, SimQueue> queues;
  std::function<void(unsigned queue)> on_notify;
  bool refuses_features = false;
  bool never_resets = false;
  bool config_never_stable = false;
  bool is_reset = true;  // since the last status write of 0
  unsigned resets = 0;
  unsigned notifications = 0;

  [[nodiscard]] std::uint32_t read(Part part, std::uint32_t offset,
                                   std::size_t width) {
    if (part == Part::kDevice) {
      std::uint32_t value = 0;
      if (offset + width <= config.size()) {
        std::memcpy(&value, config.data() + offset, width);
      }
      return value;
    }
    switch (offset) {
      case detail::kDeviceFeature:
        return static_cast<std::uint32_t>(offered >> (32 * feature_select_));
      case detail::kStatus:
        return never_resets ? 1 : status_;
      case detail::kConfigGeneration:
        return config_never_stable ? (++generation_ & 0xff) : generation_;
      case detail::kQueueSize:
        return queue_select_ < queue_sizes.size() ? queue_sizes[queue_select_]
                                                  : 0;
      case detail::kQueueNotifyOffset:
        return queue_select_ + 3u;
      default:
        return 0;
    }
  }

  void write(Part part, std::uint32_t offset, std::uint32_t value) {
    if (part == Part::kDevice) return;
    switch (offset) {
      case detail::kDeviceFeatureSelect:
      case detail::kDriverFeatureSelect:
        feature_select_ = value;
        break;
      case detail::kDriverFeature:
        accepted |= std::uint64_t{value} << (32 * feature_select_);
        break;
      case detail::kStatus:
        if (value == 0) {
          ++resets;
          is_reset = true;
          accepted = 0;
          queues.clear();
        } else {
          is_reset = false;
        }
        status_ = value;
        if (refuses_features) status_ &= ~8u;
        break;
      case detail::kQueueSelect:
        queue_select_ = value;
        break;
      case detail::kQueueSize:
        size_ = static_cast<std::uint16_t>(value);
        break;
      case detail::kQueueEnable:
        queues[queue_select_].enable(size_,
                                     {address(0), address(1), address(2)});
        break;
      default:
        if (offset >= detail::kQueueDescriptors && offset < 56) {
          addresses_[(offset - detail::kQueueDescriptors) / 4] = value;
        }
    }
  }

  void notify(std::uint16_t queue, std::uint16_t notify_offset) {
    ++notifications;
    if (notify_offset == queue + 3 && on_notify) on_notify(queue);
  }

 private:
  [[nodiscard]] std::uint64_t address(std::size_t i) const {
    return std::uint64_t{addresses_[2 * i + 1]} << 32 | addresses_[2 * i];
  }

  std::uint32_t feature_select_ = 0;
  std::uint32_t queue_select_ = 0;
  std::uint32_t status_ = 0;
  std::uint32_t generation_ = 0;
  std::uint16_t size_ = 0;
  std::array<std::uint32_t, 6> addresses_{};
};

// Satisfies virtio::Transport.
class SimTransport {
 public:
  explicit SimTransport(SimDevice& device) : device_(&device) {}
  std::uint8_t read8(Part part, std::uint32_t offset) {
    return static_cast<std::uint8_t>(device_->read(part, offset, 1));
  }
  std::uint16_t read16(Part part, std::uint32_t offset) {
    return static_cast<std::uint16_t>(device_->read(part, offset, 2));
  }
  std::uint32_t read32(Part part, std::uint32_t offset) {
    return device_->read(part, offset, 4);
  }
  void write8(Part part, std::uint32_t offset, std::uint8_t value) {
    device_->write(part, offset, value);
  }
  void write16(Part part, std::uint32_t offset, std::uint16_t value) {
    device_->write(part, offset, value);
  }
  void write32(Part part, std::uint32_t offset, std::uint32_t value) {
    device_->write(part, offset, value);
  }
  void notify(std::uint16_t queue, std::uint16_t notify_offset) {
    device_->notify(queue, notify_offset);
  }

 private:
  SimDevice* device_;
};

static_assert(Transport<SimTransport>);

}  // namespace odo::virtio
