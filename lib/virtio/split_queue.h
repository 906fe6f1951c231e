// SPDX-License-Identifier: BSD-3-Clause
// The driver's side of a split virtqueue: chains of descriptors offered to a
// device, and its answers taken back and checked.
//
// The device is not trusted. Everything that says which descriptors are free,
// which chains are out and how much each may be written is kept in memory that
// the device cannot reach; what it writes is copied once, then checked.
//
// Contexts: one caller at a time; nothing here sleeps.
// Shapes: the ring memory is `layout(size).total_bytes` long, physically
//   contiguous, 16-byte aligned. Lengths in bytes, addresses physical.
// Ownership: segments belong to the device from publish() until their chain is
//   taken; ring memory until the device is reset.
// Invariants:
//   I1. every descriptor is in the free list or in exactly one live chain;
//   I2. in_flight() is the number of live chains and never passes size().
// Ordering: three pairs, all with the device.
//   O1. publish() stores the available index with release: the device, which
//       acquires it, sees the descriptors and ring places before it.
//   O2. take() loads the used index with acquire, against the device's release:
//       the used element and the data are read after it.
//   O3. must_notify() and arm_interrupt() put a full fence between our store
//       (index, flag) and our load (the device's flag, index): the device does
//       the same the other way round, so that one of the two sees the other.
// Failure: see QueueError. After kBroken the queue answers nothing else until
//   it is initialised again, which needs the device reset first.
// Complexity: add() and take() are linear in the chain.
// Origin: Virtual I/O Device (VIRTIO) 1.1, §2.6 "Split Virtqueues".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/base/result.h"
#include "lib/driver/ground.h"

namespace odo::virtio {

enum class QueueError : std::uint8_t {
  kNoRoom,      // not enough free descriptors now
  kBadRequest,  // an empty chain or segment, or a read after a write in it
  kBroken,      // the device answered what cannot be
};

template <class T>
using QueueResult = odo::Result<T, QueueError>;

enum class Access : std::uint8_t { kDeviceReads, kDeviceWrites };

struct Segment {
  std::uint64_t physical;
  std::uint32_t length;
  Access access;
};

struct Completion {
  std::uint32_t token;          // what add() was given
  std::uint32_t written_bytes;  // by the device; never more than it may write
};

// Where the three parts lie in the ring memory.
struct QueueLayout {
  std::size_t available_at;
  std::size_t used_at;
  std::size_t total_bytes;
};

[[nodiscard]] constexpr QueueLayout queue_layout(std::size_t size) {
  const std::size_t available_at = 16 * size;
  const std::size_t used_at =
      align_up(available_at + 6 + 2 * size, std::size_t{4});
  return {available_at, used_at, used_at + 6 + 8 * size};
}

template <driver::RingAccess R, std::size_t MaxSize>
class SplitQueue {
 public:
  static_assert(is_power_of_two(MaxSize) && MaxSize <= 32768);

  explicit SplitQueue(R access = R()) : access_(access) {}
  SplitQueue(const SplitQueue&) = delete;
  SplitQueue& operator=(const SplitQueue&) = delete;

  // Begins anew on `memory`, with `size` descriptors, a power of two of at most
  // MaxSize. The device must not be using the memory.
  void init(MutableBytes memory, std::uint16_t size) {
    const QueueLayout layout = queue_layout(size);
    ODO_CHECK(is_power_of_two(size) && size <= MaxSize &&
              memory.size() >= layout.total_bytes &&
              is_aligned(reinterpret_cast<std::uintptr_t>(memory.data()), 16));
    memory_ = memory.data();
    layout_ = layout;
    size_ = size;
    zero_bytes(memory.first(layout.total_bytes));
    for (std::uint16_t i = 0; i < size; ++i) {
      states_[i] = {};
      states_[i].next = static_cast<std::uint16_t>(i + 1);
    }
    free_head_ = 0;
    free_count_ = size;
    in_flight_ = 0;
    available_index_ = 0;
    used_index_ = 0;
    is_broken_ = false;
  }

  [[nodiscard]] std::uint16_t size() const { return size_; }
  [[nodiscard]] std::uint16_t free_descriptors() const { return free_count_; }
  [[nodiscard]] std::uint16_t in_flight() const { return in_flight_; }
  [[nodiscard]] bool is_broken() const { return is_broken_; }
  [[nodiscard]] const QueueLayout& layout() const { return layout_; }

  // Builds a chain; the device sees it at the next publish(). Segments that the
  // device reads come before those that it writes.
  [[nodiscard]] QueueResult<void> add(std::span<const Segment> segments,
                                      std::uint32_t token) {
    if (is_broken_) return fail(QueueError::kBroken);
    ODO_TRY(const std::uint32_t writable_bytes, check_chain(segments));
    if (segments.size() > free_count_) return fail(QueueError::kNoRoom);

    const std::uint16_t head = free_head_;
    std::uint16_t at = head;
    for (std::size_t i = 0; i < segments.size(); ++i) {
      const bool is_last = i + 1 == segments.size();
      write_descriptor(
          at, segments[i],
          is_last ? std::optional<std::uint16_t>() : states_[at].next);
      if (is_last) free_head_ = states_[at].next;
      at = states_[at].next;
    }
    free_count_ = static_cast<std::uint16_t>(free_count_ - segments.size());
    states_[head].is_live_head = true;
    states_[head].length = static_cast<std::uint16_t>(segments.size());
    states_[head].writable_bytes = writable_bytes;
    states_[head].token = token;
    ++in_flight_;

    store_le<std::uint16_t>(memory_ + layout_.available_at + 4 +
                                2 * std::size_t{static_cast<std::uint16_t>(
                                        available_index_ & (size_ - 1))},
                            head);
    ++available_index_;
    return {};
  }

  // Shows all chains added so far to the device (O1).
  void publish() {
    access_.store_release(word(layout_.available_at + 2), available_index_);
  }

  // After publish(): whether the device wants to be told (O3).
  [[nodiscard]] bool must_notify() {
    constexpr std::uint16_t kNoNotify = 1;
    access_.full_fence();
    return (access_.load_acquire(word(layout_.used_at)) & kNoNotify) == 0;
  }

  // A hint: without it the device need not interrupt.
  void disarm_interrupt() {
    access_.store_release(word(layout_.available_at), 1);
  }

  // Asks for interrupts; true when an answer is there already, which may then
  // bring none (O3).
  [[nodiscard]] bool arm_interrupt() {
    access_.store_release(word(layout_.available_at), 0);
    access_.full_fence();
    return access_.load_acquire(word(layout_.used_at + 2)) != used_index_;
  }

  // The next answer; nullopt when there is none yet (O2).
  [[nodiscard]] QueueResult<std::optional<Completion>> take() {
    if (is_broken_) return fail(QueueError::kBroken);
    const std::uint16_t index = access_.load_acquire(word(layout_.used_at + 2));
    const auto pending = static_cast<std::uint16_t>(index - used_index_);
    if (pending == 0) return std::optional<Completion>();
    if (pending > in_flight_) return broken();

    const std::size_t slot = used_index_ & (size_ - 1u);
    const std::byte* element = memory_ + layout_.used_at + 4 + 8 * slot;
    const auto id = load_le<std::uint32_t>(element);
    const auto written = load_le<std::uint32_t>(element + 4);
    if (id >= size_ || !states_[id].is_live_head ||
        written > states_[id].writable_bytes) {
      return broken();
    }
    ++used_index_;
    const auto head = static_cast<std::uint16_t>(id);
    const Completion completion{states_[head].token, written};
    release_chain(head);
    return std::optional<Completion>(completion);
  }

 private:
  // One per descriptor, out of the device's reach. The last four are about the
  // chain that begins there, while it is live.
  struct State {
    std::uint16_t next = 0;  // in the free list or in the chain
    std::uint16_t length = 0;
    std::uint32_t writable_bytes = 0;
    std::uint32_t token = 0;
    bool is_live_head = false;
  };

  [[nodiscard]] std::uint16_t* word(std::size_t at) {
    return reinterpret_cast<std::uint16_t*>(memory_ + at);
  }

  // What the device may write in all.
  [[nodiscard]] static QueueResult<std::uint32_t> check_chain(
      std::span<const Segment> segments) {
    if (segments.empty()) return fail(QueueError::kBadRequest);
    std::uint32_t writable = 0;
    bool has_writable = false;
    for (const Segment& segment : segments) {
      if (segment.length == 0) return fail(QueueError::kBadRequest);
      if (segment.access == Access::kDeviceReads) {
        if (has_writable) return fail(QueueError::kBadRequest);
        continue;
      }
      has_writable = true;
      const auto sum = checked_add(writable, segment.length);
      if (!sum) return fail(QueueError::kBadRequest);
      writable = *sum;
    }
    return writable;
  }

  void write_descriptor(std::uint16_t at, const Segment& segment,
                        std::optional<std::uint16_t> next) {
    constexpr unsigned kNext = 1;
    constexpr unsigned kWrite = 2;
    const unsigned flags =
        (next ? kNext : 0u) |
        (segment.access == Access::kDeviceWrites ? kWrite : 0u);
    std::byte* descriptor = memory_ + 16 * std::size_t{at};
    store_le(descriptor, segment.physical);
    store_le(descriptor + 8, segment.length);
    store_le(descriptor + 12, static_cast<std::uint16_t>(flags));
    store_le(descriptor + 14, next.value_or(0));
  }

  void release_chain(std::uint16_t head) {
    std::uint16_t last = head;
    for (std::uint16_t i = 1; i < states_[head].length; ++i) {
      last = states_[last].next;
    }
    free_count_ =
        static_cast<std::uint16_t>(free_count_ + states_[head].length);
    states_[head].is_live_head = false;
    states_[last].next = free_head_;
    free_head_ = head;
    --in_flight_;
  }

  [[nodiscard]] std::unexpected<QueueError> broken() {
    is_broken_ = true;
    return fail(QueueError::kBroken);
  }

  [[no_unique_address]] R access_;
  std::byte* memory_ = nullptr;
  QueueLayout layout_{};
  std::array<State, MaxSize> states_{};
  std::uint16_t size_ = 0;
  std::uint16_t free_head_ = 0;
  std::uint16_t free_count_ = 0;
  std::uint16_t in_flight_ = 0;
  std::uint16_t available_index_ = 0;
  std::uint16_t used_index_ = 0;
  bool is_broken_ = false;
};

}  // namespace odo::virtio
