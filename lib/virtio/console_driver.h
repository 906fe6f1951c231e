// SPDX-License-Identifier: BSD-3-Clause
// A driver for the sending half of one port of a virtio console: bytes in bulk
// to the host, where a serial port would take one at a time.
//
// A device with several ports is asked for its port 1 and nothing else (QEMU:
// virtserialport; port 0, a virtconsole, drops what its reader is too slow
// for). A device without that feature has one port, which is used.
//
// Contexts: thread, one caller at a time. write() waits (ODO_MAY_BLOCK) for as
//   long as the host does not take the bytes: a reader there may be slow.
// Shapes: the device's memory is kMemoryBytes long, physically contiguous,
//   16-byte aligned: rings and control messages; data goes from where it lies.
// Ownership: memory and ground stay with the caller and outlive the driver.
// Failure: start() see virtio::Error; kNoQueue also where there is no port 1. A
//   device that answers what cannot be is reset; write() is kBroken then.
// Origin: VIRTIO 1.1 §5.3 (console device), §5.3.6.2 (control messages).
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "lib/base/annotations.h"
#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/driver/ground.h"
#include "lib/virtio/device.h"
#include "lib/virtio/split_queue.h"

namespace odo::virtio {

template <Transport T, driver::DriverGround G>
class ConsoleDriver {
 public:
  static constexpr std::uint16_t kQueueSize = 32;
  static constexpr std::uint16_t kControlSize = 8;
  static constexpr std::uint32_t kMaxSegmentBytes = 128 * 1024;

 private:
  static constexpr std::size_t kDataRingBytes =
      align_up(queue_layout(kQueueSize).total_bytes, std::size_t{16});
  static constexpr std::size_t kControlRingBytes =
      align_up(queue_layout(kControlSize).total_bytes, std::size_t{16});
  static constexpr std::size_t kMessageBytes = 64;
  static constexpr std::size_t kReceiveRingAt = kDataRingBytes;
  static constexpr std::size_t kSendRingAt = kReceiveRingAt + kControlRingBytes;
  static constexpr std::size_t kReceivedAt = kSendRingAt + kControlRingBytes;
  static constexpr std::size_t kSentAt =
      kReceivedAt + kControlSize * kMessageBytes;

 public:
  static constexpr std::size_t kMemoryBytes = kSentAt + kMessageBytes;

  ConsoleDriver(T transport, G ground)
      : transport_(transport),
        ground_(ground),
        data_(ground),
        receive_(ground),
        send_(ground) {}
  ConsoleDriver(const ConsoleDriver&) = delete;
  ConsoleDriver& operator=(const ConsoleDriver&) = delete;

  [[nodiscard]] Result<void> start(MutableBytes memory) {
    const driver::DmaRun run = ground_.dma_run(memory.data(), kMemoryBytes);
    ODO_CHECK(memory.size() >= kMemoryBytes && run.length == kMemoryBytes);
    memory_ = memory;
    physical_ = run.physical;
    ODO_TRY(const std::uint64_t features,
            negotiate(transport_, kFeatureVersion1,
                      kFeatureAccessPlatform | kFeatureMultiport));
    const bool has_ports = (features & kFeatureMultiport) != 0;
    data_queue_ = has_ports ? kPortSendQueue : kOnlySendQueue;
    ODO_TRY(data_notify_, set_up(data_, data_queue_, 0, kQueueSize));
    if (!has_ports) {
      begin_work(transport_);
      return {};
    }
    ODO_TRY(receive_notify_, set_up(receive_, kControlReceiveQueue,
                                    kReceiveRingAt, kControlSize));
    ODO_TRY(send_notify_,
            set_up(send_, kControlSendQueue, kSendRingAt, kControlSize));
    begin_work(transport_);
    return open_port();
  }

  // Returns when the device has taken all of `bytes`.
  ODO_MAY_BLOCK [[nodiscard]] Result<void> write(Bytes bytes) {
    while (!bytes.empty() || data_.in_flight() != 0) {
      bool has_added = false;
      while (!bytes.empty()) {
        const std::size_t want =
            std::min<std::size_t>(bytes.size(), kMaxSegmentBytes);
        const driver::DmaRun run = ground_.dma_run(bytes.data(), want);
        const std::size_t length = std::min(run.length, want);
        const std::array<Segment, 1> chain{
            Segment{run.physical, static_cast<std::uint32_t>(length),
                    Access::kDeviceReads}};
        if (!data_.add(chain, 0)) break;
        has_added = true;
        bytes = bytes.subspan(length);
      }
      if (has_added) publish(data_, data_queue_, data_notify_);
      const auto answer = data_.take();
      if (!answer) return give_up(Error::kBroken);
      if (!answer->has_value()) static_cast<void>(ground_.wait());
    }
    return {};
  }

 private:
  enum class Event : std::uint16_t {
    kDeviceReady = 0,
    kPortAdd = 1,
    kPortReady = 3,
    kPortOpen = 6,
  };
  struct Message {
    std::uint32_t port;
    Event event;
    std::uint16_t value;
  };
  static_assert(sizeof(Message) == 8);

  static constexpr std::uint64_t kFeatureMultiport = 1u << 1;
  static constexpr std::uint32_t kPort = 1;
  static constexpr std::uint16_t kOnlySendQueue = 1;
  static constexpr std::uint16_t kControlReceiveQueue = 2;
  static constexpr std::uint16_t kControlSendQueue = 3;
  static constexpr std::uint16_t kPortSendQueue = 5;

  template <class Queue>
  [[nodiscard]] Result<std::uint16_t> set_up(Queue& queue, std::uint16_t index,
                                             std::size_t at,
                                             std::uint16_t most) {
    const std::uint16_t largest = max_queue_size(transport_, index);
    if (largest == 0) return fail(Error::kNoQueue);
    const std::uint16_t size = std::bit_floor(std::min(largest, most));
    queue.init(memory_.subspan(at), size);
    queue.disarm_interrupt();
    const std::uint64_t base = physical_ + at;
    return enable_queue(transport_, index, size,
                        {base, base + queue.layout().available_at,
                         base + queue.layout().used_at});
  }

  template <class Queue>
  void publish(Queue& queue, std::uint16_t index, std::uint16_t notify) {
    queue.publish();
    if (queue.must_notify()) transport_.notify(index, notify);
  }

  [[nodiscard]] std::unexpected<Error> give_up(Error why) {
    // Nothing is left to be done with a device that does not even reset.
    static_cast<void>(reset(transport_));
    return fail(why);
  }

  // Says that we are here, waits for the port to be named, opens it, and waits
  // for its other side to be open: before that the host drops data.
  [[nodiscard]] Result<void> open_port() {
    for (std::uint32_t i = 0; i < receive_.size(); ++i) {
      if (!offer_buffer(i)) return give_up(Error::kBroken);
    }
    publish(receive_, kControlReceiveQueue, receive_notify_);
    ODO_TRY_VOID(send({0, Event::kDeviceReady, 1}));
    ODO_TRY_VOID(await(Event::kPortAdd));
    ODO_TRY_VOID(send({kPort, Event::kPortReady, 1}));
    ODO_TRY_VOID(send({kPort, Event::kPortOpen, 1}));
    return await(Event::kPortOpen);
  }

  [[nodiscard]] bool offer_buffer(std::uint32_t slot) {
    const std::array<Segment, 1> chain{
        Segment{physical_ + kReceivedAt + slot * kMessageBytes, kMessageBytes,
                Access::kDeviceWrites}};
    return receive_.add(chain, slot).has_value();
  }

  [[nodiscard]] Result<void> send(const Message& message) {
    copy_bytes(memory_.subspan(kSentAt), bytes_of(message));
    const std::array<Segment, 1> chain{
        Segment{physical_ + kSentAt, sizeof(Message), Access::kDeviceReads}};
    if (!send_.add(chain, 0)) return give_up(Error::kBroken);
    publish(send_, kControlSendQueue, send_notify_);
    ground_.begin_wait(driver::kRequestLimitMs);
    for (;;) {
      const auto answer = send_.take();
      if (!answer) return give_up(Error::kBroken);
      if (answer->has_value()) return {};
      if (!ground_.wait()) return give_up(Error::kTimeout);
    }
  }

  // Takes messages until `event` comes for our port with a value other than 0
  // (kPortAdd has none).
  [[nodiscard]] Result<void> await(Event event) {
    ground_.begin_wait(driver::kRequestLimitMs);
    for (;;) {
      const auto answer = receive_.take();
      if (!answer) return give_up(Error::kBroken);
      if (!answer->has_value()) {
        if (!ground_.wait()) {
          return give_up(event == Event::kPortAdd ? Error::kNoQueue
                                                  : Error::kTimeout);
        }
        continue;
      }
      const std::uint32_t slot = (**answer).token;
      const auto message = read_struct<Message>(
          memory_.subspan(kReceivedAt + slot * kMessageBytes,
                          (**answer).written_bytes),
          0);
      if (!offer_buffer(slot)) return give_up(Error::kBroken);
      publish(receive_, kControlReceiveQueue, receive_notify_);
      if (message && message->port == kPort && message->event == event &&
          (event == Event::kPortAdd || message->value != 0)) {
        return {};
      }
    }
  }

  T transport_;
  G ground_;
  SplitQueue<G, kQueueSize> data_;
  SplitQueue<G, kControlSize> receive_;
  SplitQueue<G, kControlSize> send_;
  MutableBytes memory_;
  std::uint64_t physical_ = 0;
  std::uint16_t data_queue_ = 0;
  std::uint16_t data_notify_ = 0;
  std::uint16_t receive_notify_ = 0;
  std::uint16_t send_notify_ = 0;
};

}  // namespace odo::virtio
