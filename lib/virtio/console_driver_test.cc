// SPDX-License-Identifier: BSD-3-Clause
#include "lib/virtio/console_driver.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <random>
#include <vector>

#include "lib/virtio/testing.h"

namespace odo::virtio {
namespace {

struct SimMessage {
  std::uint32_t port;
  std::uint16_t event;
  std::uint16_t value;
};

// Takes one chain a step, and nothing while it is `stalled_steps` slow. With
// the multiport feature it also plays the host's part of the control messages.
class SimConsole {
 public:
  void work() {
    if (device.is_reset) return;
    if (stalled_steps != 0) {
      --stalled_steps;
      return;
    }
    if (device.queues.contains(3)) control();
    const unsigned index = has_ports() ? 5 : 1;
    if (!device.queues.contains(index)) return;
    SimQueue& queue = device.queues[index];
    const auto head = queue.next_head();
    if (!head) return;
    for (const SimSegment& segment : queue.chain(*head)) {
      EXPECT_FALSE(segment.device_writes);
      if (has_ports() && !is_open) continue;  // as hosts do
      received.insert(received.end(), segment.data,
                      segment.data + segment.length);
    }
    queue.put_used(forced_id.value_or(*head), 0);
  }

  void offer_ports() {
    device.offered |= 1u << 1;
    device.queue_sizes.assign(6, 64);
  }
  [[nodiscard]] bool has_ports() const {
    return (device.accepted & 1u << 1) != 0;
  }

  SimDevice device;
  std::vector<std::byte> received;
  unsigned stalled_steps = 0;
  std::optional<std::uint32_t> forced_id;
  std::vector<SimMessage> sent_to_us;
  bool is_open = false;
  bool has_port_1 = true;
  bool opens_ports = true;
  std::size_t cut_messages_to = 64;

 private:
  void control() {
    SimQueue& from_driver = device.queues[3];
    if (const auto head = from_driver.next_head()) {
      const auto message = read_struct<SimMessage>(
          Bytes(from_driver.chain(*head)[0].data, 8), 0);
      sent_to_us.push_back(*message);
      from_driver.put_used(*head, 0);
      if (message->event == 0) {
        waiting_.push_back({0, 1, 0});
        if (has_port_1) waiting_.push_back({1, 1, 0});
      } else if (message->event == 6 && message->port == 1 && opens_ports) {
        waiting_.push_back({1, 7, 1});  // its name
        waiting_.push_back({1, 6, 0});  // not open yet
        waiting_.push_back({0, 6, 1});  // another one is
        waiting_.push_back({1, 6, 1});
      }
    }
    if (waiting_.empty()) return;
    SimQueue& to_driver = device.queues[2];
    const auto head = to_driver.next_head();
    if (!head) return;
    const SimSegment buffer = to_driver.chain(*head)[0];
    const SimMessage message = waiting_.front();
    waiting_.erase(waiting_.begin());
    if (message.port == 1 && message.event == 6 && message.value == 1) {
      is_open = true;
    }
    std::memcpy(buffer.data, &message, 8);
    to_driver.put_used(*head, static_cast<std::uint32_t>(
                                  std::min<std::size_t>(cut_messages_to, 8)));
  }

  std::vector<SimMessage> waiting_;
};

class Ground : public SimAccess {
 public:
  explicit Ground(SimConsole& console) : console_(&console) {}
  [[nodiscard]] driver::DmaRun dma_run(const std::byte* p,
                                       std::size_t length) const {
    return {sim_physical(p), length};
  }
  void begin_wait(std::uint32_t) { steps_ = 0; }
  [[nodiscard]] bool wait() {
    console_->work();
    return ++steps_ < 100;
  }

 private:
  SimConsole* console_;
  unsigned steps_ = 0;
};

class ConsoleDriverTest : public testing::Test {
 protected:
  using Driver = ConsoleDriver<SimTransport, Ground>;

  void SetUp() override { console.device.queue_sizes = {64, 64}; }

  SimConsole console;
  alignas(16) std::array<std::byte, Driver::kMemoryBytes> memory{};
  Driver driver{SimTransport(console.device), Ground(console)};
};

TEST_F(ConsoleDriverTest, SendsEverythingInOrder) {
  ASSERT_TRUE(driver.start(memory));
  std::vector<std::byte> all;
  std::mt19937 random(1);
  for (std::size_t size :
       std::array<std::size_t, 6>{0, 1, 511, 131072, 131073, 10 << 20}) {
    std::vector<std::byte> piece(size);
    for (std::byte& b : piece) b = static_cast<std::byte>(random());
    ASSERT_TRUE(driver.write(piece));
    all.insert(all.end(), piece.begin(), piece.end());
    ASSERT_EQ(console.received, all) << "taken when write() returns";
  }
}

TEST_F(ConsoleDriverTest, AQueueOfOneDoes) {
  console.device.queue_sizes = {64, 1};
  ASSERT_TRUE(driver.start(memory));
  const std::vector<std::byte> bytes(1 << 20, std::byte{7});
  ASSERT_TRUE(driver.write(bytes));
  EXPECT_EQ(console.received, bytes);
}

TEST_F(ConsoleDriverTest, ASlowReaderLosesNothing) {
  ASSERT_TRUE(driver.start(memory));
  console.stalled_steps = 100'000;
  const std::vector<std::byte> bytes(1000, std::byte{7});
  ASSERT_TRUE(driver.write(bytes));
  EXPECT_EQ(console.received, bytes);
}

TEST_F(ConsoleDriverTest, AnImpossibleAnswerStopsTheDevice) {
  ASSERT_TRUE(driver.start(memory));
  console.forced_id = 31;
  const std::vector<std::byte> bytes(1000, std::byte{7});
  EXPECT_EQ(driver.write(bytes).error(), Error::kBroken);
  EXPECT_TRUE(console.device.is_reset);
  EXPECT_EQ(driver.write(bytes).error(), Error::kBroken);
}

TEST_F(ConsoleDriverTest, OpensPortOneOfSeveral) {
  console.offer_ports();
  ASSERT_TRUE(driver.start(memory));
  ASSERT_EQ(console.sent_to_us.size(), 3u);
  EXPECT_EQ(console.sent_to_us[0].event, 0) << "device ready";
  EXPECT_EQ(console.sent_to_us[1].event, 3) << "port ready";
  EXPECT_EQ(console.sent_to_us[1].port, 1u);
  EXPECT_EQ(console.sent_to_us[2].event, 6) << "port open";
  EXPECT_EQ(console.sent_to_us[2].value, 1);
  const std::vector<std::byte> bytes(1 << 20, std::byte{7});
  ASSERT_TRUE(driver.write(bytes));
  EXPECT_EQ(console.received, bytes) << "sent when the other side was open";
}

TEST_F(ConsoleDriverTest, NoPortOneIsTold) {
  console.offer_ports();
  console.has_port_1 = false;
  EXPECT_EQ(driver.start(memory).error(), Error::kNoQueue);
  EXPECT_TRUE(console.device.is_reset);
}

TEST_F(ConsoleDriverTest, APortThatNeverOpensIsTold) {
  console.offer_ports();
  console.opens_ports = false;
  EXPECT_EQ(driver.start(memory).error(), Error::kTimeout);
}

TEST_F(ConsoleDriverTest, MessagesThatAreCutAreNoMessages) {
  console.offer_ports();
  console.cut_messages_to = 7;
  EXPECT_EQ(driver.start(memory).error(), Error::kNoQueue);
}

TEST_F(ConsoleDriverTest, RefusesADeviceWithoutATransmitQueue) {
  console.device.queue_sizes = {64};
  EXPECT_EQ(driver.start(memory).error(), Error::kNoQueue);
}

}  // namespace
}  // namespace odo::virtio
