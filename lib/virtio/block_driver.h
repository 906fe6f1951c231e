// SPDX-License-Identifier: BSD-3-Clause
// A driver for virtio block devices: reads and writes of any length, cut into
// requests of which many are under way at once, and flushes. Satisfies
// block::WritableBlockDevice.
//
// Contexts: thread, one caller at a time. read(), write() and flush() wait
//   (ODO_MAY_BLOCK).
// Shapes: the device's memory is kMemoryBytes long, physically contiguous,
//   16-byte aligned: the ring, then one header and status for each request.
// Ownership: memory and ground stay with the caller and outlive the driver.
// Failure: start() see virtio::Error. The rest see block::Error; a device that
//   does not answer in time, or answers what cannot be, is reset so that it no
//   longer reads or writes anyone's buffer, and answers kIo from then on.
//   `last_error` and `last_status` say more about the last kIo.
// Durability: a device that has no flush of its own promises that what it
//   answered is durable (§5.2.6.2), and flush() has nothing to do.
// Complexity: linear in the bytes; one queue operation a request.
// Origin: VIRTIO 1.1 §5.2 (block device).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "lib/base/annotations.h"
#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/block/device.h"
#include "lib/driver/ground.h"
#include "lib/driver/transfer.h"
#include "lib/virtio/device.h"
#include "lib/virtio/split_queue.h"

namespace odo::virtio {

enum class BlockStatus : std::uint8_t {
  kOk = 0,
  kIoError = 1,
  kUnsupported = 2,
  kNotWritten = 0xff,  // ours, before the device writes its own
};

template <Transport T, driver::DriverGround G>
class BlockDriver {
 public:
  static constexpr std::uint16_t kQueueSize = 128;
  static constexpr std::size_t kMaxRequests = 32;
  static constexpr std::size_t kMaxSegments = 16;  // of data, in one request
  static constexpr std::uint32_t kMaxRequestBytes = 128 * 1024;
  static constexpr std::size_t kSerialBytes = 20;
  static constexpr std::size_t kSlotBytes = 48;
  static constexpr std::size_t kSlotsAt =
      align_up(queue_layout(kQueueSize).total_bytes, std::size_t{16});
  static constexpr std::size_t kMemoryBytes =
      kSlotsAt + kMaxRequests * kSlotBytes;

  BlockDriver(T transport, G ground)
      : transport_(transport), ground_(ground), queue_(ground) {}
  BlockDriver(const BlockDriver&) = delete;
  BlockDriver& operator=(const BlockDriver&) = delete;

  // Brings the device up and learns its size and serial.
  [[nodiscard]] Result<void> start(MutableBytes memory) {
    ODO_CHECK(memory.size() >= kMemoryBytes &&
              ground_.dma_run(memory.data(), kMemoryBytes).length ==
                  kMemoryBytes);
    memory_ = memory.data();
    ODO_TRY(const std::uint64_t features,
            negotiate(transport_, kFeatureVersion1,
                      kFeatureAccessPlatform | kFeatureSizeMax |
                          kFeatureSegmentMax | kFeatureReadOnly |
                          kFeatureBlockSize | kFeatureFlush));
    is_read_only_ = (features & kFeatureReadOnly) != 0;
    can_flush_ = (features & kFeatureFlush) != 0;
    ODO_TRY_VOID(read_config(features));
    const std::uint16_t largest = max_queue_size(transport_, 0);
    // A request needs a header, a status and one segment at the least.
    if (largest < 4) return fail(Error::kNoQueue);
    const std::uint16_t size = std::bit_floor(std::min(largest, kQueueSize));
    queue_.init(memory.first(kSlotsAt), size);
    max_segments_ = std::min<std::size_t>(max_segments_, size - 2u);
    const std::uint64_t base = ground_.dma_run(memory_, kMemoryBytes).physical;
    notify_offset_ = enable_queue(transport_, 0, size,
                                  {base, base + queue_.layout().available_at,
                                   base + queue_.layout().used_at});
    queue_.disarm_interrupt();
    for (std::size_t i = 0; i < kMaxRequests; ++i) slots_[i] = {};
    begin_work(transport_);
    is_working_ = true;
    return learn_serial();
  }

  [[nodiscard]] std::uint64_t size_bytes() const { return size_bytes_; }
  [[nodiscard]] std::uint32_t block_bytes() const { return block_bytes_; }
  // As the device tells it; may be empty, may hold any bytes.
  [[nodiscard]] std::string_view serial() const {
    return {serial_.data(), serial_size_};
  }
  [[nodiscard]] bool is_working() const { return is_working_; }
  // Every write() is refused.
  [[nodiscard]] bool is_read_only() const { return is_read_only_; }
  [[nodiscard]] std::optional<Error> last_error() const { return last_error_; }
  [[nodiscard]] BlockStatus last_status() const { return last_status_; }

  ODO_MAY_BLOCK [[nodiscard]] block::Result<void> read(
      std::uint64_t offset_bytes, MutableBytes to) {
    ODO_TRY_VOID(block::check_request(offset_bytes, to.size(), size_bytes_,
                                      block_bytes_));
    if (!is_working_) return fail(block::Error::kIo);
    return run(Operation::kRead, offset_bytes, to);
  }

  ODO_MAY_BLOCK [[nodiscard]] block::Result<void> write(
      std::uint64_t offset_bytes, Bytes from) {
    ODO_TRY_VOID(block::check_request(offset_bytes, from.size(), size_bytes_,
                                      block_bytes_));
    if (is_read_only_) return fail(block::Error::kReadOnly);
    if (!is_working_) return fail(block::Error::kIo);
    return run(Operation::kWrite, offset_bytes, from);
  }

  ODO_MAY_BLOCK [[nodiscard]] block::Result<void> flush() {
    if (!is_working_) return fail(block::Error::kIo);
    if (!can_flush_) return {};
    return run(Operation::kFlush, 0, {});
  }

 private:
  enum class Operation : std::uint32_t {
    kRead = 0,
    kWrite = 1,
    kFlush = 4,
    kGetId = 8,
  };

  static constexpr std::uint64_t kFeatureSizeMax = 1u << 1;
  static constexpr std::uint64_t kFeatureSegmentMax = 1u << 2;
  static constexpr std::uint64_t kFeatureReadOnly = 1u << 5;
  static constexpr std::uint64_t kFeatureBlockSize = 1u << 6;
  static constexpr std::uint64_t kFeatureFlush = 1u << 9;
  static constexpr std::uint32_t kSectorBytes = 512;
  static constexpr std::uint32_t kHeaderBytes = 16;
  static constexpr std::size_t kStatusAt = kHeaderBytes;  // in a slot
  static constexpr std::size_t kIdAt = 24;                // in slot 0

  struct Slot {
    bool is_busy = false;
    std::uint32_t written_bytes = 0;  // that the device must say it wrote
  };

  [[nodiscard]] Result<void> read_config(std::uint64_t features) {
    std::uint64_t sectors = 0;
    std::uint32_t size_max = 0;
    std::uint32_t segment_max = 0;
    std::uint32_t block_size = 0;
    const bool is_stable = read_stable_config(transport_, [&] {
      sectors = transport_.read32(Part::kDevice, 0);
      sectors |= std::uint64_t{transport_.read32(Part::kDevice, 4)} << 32;
      size_max = transport_.read32(Part::kDevice, 8);
      segment_max = transport_.read32(Part::kDevice, 12);
      block_size = transport_.read32(Part::kDevice, 20);
    });
    const auto bytes = checked_mul(sectors, kSectorBytes);
    if (!is_stable || !bytes) return fail(Error::kBadConfig);
    block_bytes_ = kSectorBytes;
    if ((features & kFeatureBlockSize) != 0) {
      if (!is_power_of_two(block_size) || block_size < block::kMinBlockBytes ||
          block_size > block::kMaxBlockBytes) {
        return fail(Error::kBadConfig);
      }
      block_bytes_ = block_size;
    }
    size_bytes_ = align_down(*bytes, block_bytes_);
    max_segments_ = kMaxSegments;
    if ((features & kFeatureSegmentMax) != 0) {
      max_segments_ = std::clamp<std::size_t>(segment_max, 1, kMaxSegments);
    }
    max_segment_bytes_ = kMaxRequestBytes;
    if ((features & kFeatureSizeMax) != 0) {
      // Whole blocks in each segment, so that any cut falls on a block.
      const std::uint32_t limit =
          align_down(std::min(size_max, kMaxRequestBytes), block_bytes_);
      if (limit == 0) return fail(Error::kBadConfig);
      max_segment_bytes_ = limit;
    }
    return {};
  }

  [[nodiscard]] Result<void> learn_serial() {
    serial_size_ = 0;
    std::byte* id = slot_memory(0) + kIdAt;
    const auto read = run(Operation::kGetId, 0, Bytes(id, kSerialBytes));
    // Not every device has one; a device that stopped working is another
    // matter.
    if (!is_working_) return fail(last_error_.value_or(Error::kBroken));
    if (!read) return {};
    while (serial_size_ < kSerialBytes && id[serial_size_] != std::byte{0}) {
      serial_[serial_size_] =
          static_cast<char>(std::to_integer<unsigned char>(id[serial_size_]));
      ++serial_size_;
    }
    return {};
  }

  [[nodiscard]] std::byte* slot_memory(std::size_t slot) {
    return memory_ + kSlotsAt + slot * kSlotBytes;
  }

  [[nodiscard]] std::uint64_t physical(const std::byte* p) {
    return ground_.dma_run(p, 1).physical;
  }

  // The driver as driver::transfer() sees it, for one kind of operation.
  struct Requests {
    BlockDriver& driver;
    Operation operation;

    [[nodiscard]] driver::Submitted submit(std::uint64_t offset_bytes,
                                           Bytes data) {
      return driver.submit(operation, offset_bytes, data);
    }
    void publish() { driver.publish(); }
    [[nodiscard]] driver::Collected collect() { return driver.collect(); }
    [[nodiscard]] std::size_t in_flight() const {
      return driver.queue_.in_flight();
    }
  };

  // Without data it is one request, which only a flush may be.
  [[nodiscard]] block::Result<void> run(Operation operation,
                                        std::uint64_t offset_bytes,
                                        Bytes data) {
    if (data.empty() && operation != Operation::kFlush) return {};
    Requests requests{*this, operation};
    switch (driver::transfer(requests, ground_, offset_bytes, data,
                             driver::kRequestLimitMs)) {
      case driver::Outcome::kDone:
        return {};
      case driver::Outcome::kFailed:
        return fail(block::Error::kIo);
      case driver::Outcome::kTimeout:
        return stop_device(Error::kTimeout);
      case driver::Outcome::kLie:
        break;
    }
    return stop_device(Error::kBroken);
  }

  void publish() {
    queue_.publish();
    if (queue_.must_notify()) transport_.notify(0, notify_offset_);
  }

  // Adds one request for the front of `data`. Impossible where the device takes
  // too few segments for one block.
  [[nodiscard]] driver::Submitted submit(Operation operation,
                                         std::uint64_t offset_bytes,
                                         Bytes data) {
    using driver::Submitted;
    const auto free_slot =
        std::find_if(slots_.begin(), slots_.end(),
                     [](const Slot& slot) { return !slot.is_busy; });
    if (free_slot == slots_.end()) return {Submitted::kNoRoom};
    const auto index = static_cast<std::size_t>(free_slot - slots_.begin());
    const Access access = operation == Operation::kWrite
                              ? Access::kDeviceReads
                              : Access::kDeviceWrites;

    std::array<Segment, kMaxSegments + 2> segments;
    std::byte* const slot = slot_memory(index);
    store_le(slot, static_cast<std::uint32_t>(operation));
    store_le(slot + 4, std::uint32_t{0});
    store_le(slot + 8, offset_bytes / kSectorBytes);
    slot[kStatusAt] =
        std::byte{static_cast<std::uint8_t>(BlockStatus::kNotWritten)};
    segments[0] = {physical(slot), kHeaderBytes, Access::kDeviceReads};
    std::size_t count = 1;
    const std::size_t data_bytes = add_data(
        data, access, std::span(segments).subspan(1, kMaxSegments), count);
    if (data_bytes == 0 && !data.empty()) return {Submitted::kImpossible};
    segments[count++] = {physical(slot + kStatusAt), 1, Access::kDeviceWrites};
    if (!queue_.add(std::span(segments).first(count),
                    static_cast<std::uint32_t>(index))) {
      return {Submitted::kNoRoom};
    }
    const std::size_t written =
        access == Access::kDeviceWrites ? data_bytes + 1 : 1;
    *free_slot = {true, static_cast<std::uint32_t>(written)};
    return {Submitted::kAdded, data_bytes};
  }

  // Cuts the front of `data` into segments: whole blocks in all, within the
  // device's limits. Answers the bytes, 0 where not one block fits, and raises
  // `count` by the segments.
  [[nodiscard]] std::size_t add_data(Bytes data, Access access,
                                     std::span<Segment> segments,
                                     std::size_t& count) {
    std::size_t bytes = 0;
    std::size_t used = 0;
    while (bytes < data.size() && bytes < kMaxRequestBytes &&
           used < max_segments_) {
      const std::size_t want = std::min<std::size_t>(
          {data.size() - bytes, kMaxRequestBytes - bytes, max_segment_bytes_});
      const driver::DmaRun run = ground_.dma_run(data.data() + bytes, want);
      ODO_CHECK(run.length != 0);
      const std::size_t length = std::min(run.length, want);
      segments[used++] = {run.physical, static_cast<std::uint32_t>(length),
                          access};
      bytes += length;
    }
    // Runs of memory need not end where blocks do: give back the piece of a
    // block at the end, unless it is all there is.
    std::size_t excess = bytes == data.size() ? 0 : bytes % block_bytes_;
    bytes -= excess;
    while (excess != 0) {
      Segment& last = segments[used - 1];
      const auto cut = static_cast<std::uint32_t>(
          std::min<std::size_t>(excess, last.length));
      last.length -= cut;
      excess -= cut;
      if (last.length == 0) --used;
    }
    count += used;
    return bytes;
  }

  // Takes all answers that are there.
  [[nodiscard]] driver::Collected collect() {
    using driver::Collected;
    Collected result = Collected::kNothing;
    for (;;) {
      const auto answer = queue_.take();
      if (!answer) return Collected::kLie;
      if (!answer->has_value()) return result;
      if (result == Collected::kNothing) result = Collected::kSome;
      if (!finish(**answer)) result = Collected::kFailure;
    }
  }

  // True when the request did what it was to do.
  [[nodiscard]] bool finish(const Completion& completion) {
    Slot& slot = slots_[completion.token];
    const std::uint32_t written_bytes = slot.written_bytes;
    slot = {};
    const auto status = static_cast<BlockStatus>(std::to_integer<std::uint8_t>(
        slot_memory(completion.token)[kStatusAt]));
    if (status == BlockStatus::kOk &&
        completion.written_bytes == written_bytes) {
      return true;
    }
    last_status_ = status;
    return false;
  }

  [[nodiscard]] std::unexpected<block::Error> stop_device(Error why) {
    last_error_ = why;
    is_working_ = false;
    // A device that does not even reset cannot be stopped from here; there is
    // nothing left to tell the caller beyond the error it gets anyway.
    static_cast<void>(reset(transport_));
    return fail(block::Error::kIo);
  }

  T transport_;
  G ground_;
  SplitQueue<G, kQueueSize> queue_;
  std::byte* memory_ = nullptr;
  std::array<Slot, kMaxRequests> slots_{};
  std::uint64_t size_bytes_ = 0;
  std::uint32_t block_bytes_ = kSectorBytes;
  std::uint32_t max_segment_bytes_ = kMaxRequestBytes;
  std::size_t max_segments_ = kMaxSegments;
  std::uint16_t notify_offset_ = 0;
  std::array<char, kSerialBytes> serial_{};
  std::size_t serial_size_ = 0;
  bool is_working_ = false;
  bool is_read_only_ = false;
  bool can_flush_ = false;
  std::optional<Error> last_error_;
  BlockStatus last_status_ = BlockStatus::kOk;
};

}  // namespace odo::virtio
