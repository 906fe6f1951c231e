// SPDX-License-Identifier: BSD-3-Clause
#include "lib/virtio/split_queue.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <random>
#include <vector>

#include "lib/virtio/testing.h"

namespace odo::virtio {
namespace {

constexpr std::uint16_t kSize = 8;

class SplitQueueTest : public testing::Test {
 protected:
  void SetUp() override {
    queue.init(memory, kSize);
    const std::uint64_t base = sim_physical(memory.data());
    device.enable(kSize, {base, base + queue.layout().available_at,
                          base + queue.layout().used_at});
  }

  [[nodiscard]] QueueResult<void> add(std::uint32_t token,
                                      std::size_t reads = 1,
                                      std::size_t writes = 1) {
    std::vector<Segment> segments;
    for (std::size_t i = 0; i < reads; ++i) {
      segments.push_back({sim_physical(&data[i]), 1, Access::kDeviceReads});
    }
    for (std::size_t i = 0; i < writes; ++i) {
      segments.push_back({sim_physical(&data[i]), 100, Access::kDeviceWrites});
    }
    return queue.add(segments, token);
  }
  [[nodiscard]] std::uint16_t offer(std::uint32_t token, std::size_t reads = 1,
                                    std::size_t writes = 1) {
    EXPECT_TRUE(add(token, reads, writes));
    queue.publish();
    return device.next_head().value();
  }
  void expect_broken() {
    const auto taken = queue.take();
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error(), QueueError::kBroken);
    EXPECT_TRUE(queue.is_broken());
    EXPECT_EQ(add(1).error(), QueueError::kBroken) << "and stays so";
    EXPECT_EQ(queue.take().error(), QueueError::kBroken);
  }

  alignas(16) std::array<std::byte, 4096> memory{};
  std::array<std::byte, 16> data{};
  SplitQueue<SimAccess, 16> queue;
  SimQueue device;
};

TEST_F(SplitQueueTest, LayoutIsTheSpecifications) {
  const QueueLayout layout = queue_layout(256);
  EXPECT_EQ(layout.available_at, 4096u);
  EXPECT_EQ(layout.used_at, 4096u + 6 + 512 + 2);  // on a multiple of 4
  EXPECT_EQ(layout.total_bytes, layout.used_at + 6 + 2048);
}

TEST_F(SplitQueueTest, TheDeviceSeesTheChainAsItWasBuilt) {
  const std::array<Segment, 3> segments{
      Segment{sim_physical(&data[0]), 7, Access::kDeviceReads},
      Segment{sim_physical(&data[1]), 5, Access::kDeviceReads},
      Segment{sim_physical(&data[2]), 9, Access::kDeviceWrites}};
  ASSERT_TRUE(queue.add(segments, 1));
  EXPECT_FALSE(device.next_head()) << "not before it is published";
  queue.publish();
  const auto seen = device.chain(device.next_head().value());
  ASSERT_EQ(seen.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(seen[i].data, &data[i]);
    EXPECT_EQ(seen[i].length, segments[i].length);
    EXPECT_EQ(seen[i].device_writes, i == 2);
  }
}

TEST_F(SplitQueueTest, AnswersComeInTheDevicesOrder) {
  const auto first = offer(11);
  const auto second = offer(22, 1, 2);
  EXPECT_FALSE(queue.take()->has_value());
  device.put_used(second, 200);
  device.put_used(first, 0);
  EXPECT_EQ((**queue.take()).token, 22u);
  const auto last = queue.take();
  EXPECT_EQ((**last).token, 11u);
  EXPECT_EQ((**last).written_bytes, 0u);
  EXPECT_FALSE(queue.take()->has_value());
  EXPECT_EQ(queue.free_descriptors(), kSize);
}

TEST_F(SplitQueueTest, AFullQueueRefusesAndRecovers) {
  const auto head = offer(1, 2, 2);
  ASSERT_TRUE(add(2, 2, 2));
  EXPECT_EQ(queue.free_descriptors(), 0);
  EXPECT_EQ(add(3, 1, 0).error(), QueueError::kNoRoom);
  device.put_used(head, 1);
  ASSERT_TRUE(queue.take()->has_value());
  EXPECT_EQ(add(3, 2, 3).error(), QueueError::kNoRoom) << "five do not fit";
  EXPECT_TRUE(add(3, 2, 2));
}

TEST_F(SplitQueueTest, RefusesChainsThatCannotBe) {
  EXPECT_EQ(queue.add({}, 1).error(), QueueError::kBadRequest);
  const Segment reads{sim_physical(&data[0]), 1, Access::kDeviceReads};
  const Segment writes{sim_physical(&data[0]), 1, Access::kDeviceWrites};
  const Segment empty{sim_physical(&data[0]), 0, Access::kDeviceReads};
  const Segment huge{sim_physical(&data[0]), 0xffffffff, Access::kDeviceWrites};
  EXPECT_EQ(queue.add(std::array{writes, reads}, 1).error(),
            QueueError::kBadRequest);
  EXPECT_EQ(queue.add(std::array{empty}, 1).error(), QueueError::kBadRequest);
  EXPECT_EQ(queue.add(std::array{huge, writes}, 1).error(),
            QueueError::kBadRequest);
  EXPECT_EQ(queue.in_flight(), 0);
  EXPECT_EQ(queue.free_descriptors(), kSize);
}

TEST_F(SplitQueueTest, ADeviceThatAnswersWhatItWasNotAskedIsBroken) {
  const auto head = offer(1);
  device.put_used(head == 0 ? 1 : 0, 0);  // a descriptor that is no live head
  expect_broken();
}

TEST_F(SplitQueueTest, AnIdBeyondTheQueueIsBroken) {
  static_cast<void>(offer(1));
  device.put_used(kSize, 0);
  expect_broken();
}

TEST_F(SplitQueueTest, AnIdThatIsOnlyRightModuloTheQueueIsBroken) {
  const auto head = offer(1);
  device.put_used(0x10000u + head, 0);
  expect_broken();
}

TEST_F(SplitQueueTest, TheMiddleOfAChainIsNoAnswer) {
  const auto head = offer(1, 2, 2);
  device.put_used(head + 1u, 0);
  expect_broken();
}

TEST_F(SplitQueueTest, AnsweringTwiceIsBroken) {
  const auto head = offer(1);
  static_cast<void>(offer(2));
  device.put_used(head, 0);
  device.put_used(head, 0);
  EXPECT_TRUE(queue.take());
  expect_broken();
}

TEST_F(SplitQueueTest, MoreAnswersThanRequestsIsBroken) {
  const auto head = offer(1);
  device.put_used(head, 0);
  device.set_used_index(2);
  expect_broken();
}

TEST_F(SplitQueueTest, AnIndexThatGoesBackIsBroken) {
  const auto head = offer(1);
  device.put_used(head, 0);
  EXPECT_TRUE(queue.take());
  device.set_used_index(0);
  expect_broken();
}

TEST_F(SplitQueueTest, MoreWrittenThanTheChainHoldsIsBroken) {
  const auto exact = offer(1);
  device.put_used(exact, 100);
  EXPECT_EQ((**queue.take()).written_bytes, 100u);
  const auto head = offer(1);
  device.put_used(head, 101);
  expect_broken();
}

TEST_F(SplitQueueTest, InitialisingRepairsABrokenQueue) {
  const auto head = offer(1);
  device.put_used(head + kSize, 0);
  EXPECT_FALSE(queue.take());
  SetUp();
  EXPECT_FALSE(queue.is_broken());
  device.put_used(offer(2), 0);
  EXPECT_EQ((**queue.take()).token, 2u);
}

TEST_F(SplitQueueTest, NotifiesUnlessTheDeviceWantsNone) {
  EXPECT_TRUE(queue.must_notify());
  device.set_no_notify(true);
  EXPECT_FALSE(queue.must_notify());
}

TEST_F(SplitQueueTest, ArmingTellsWhatCameMeanwhile) {
  queue.disarm_interrupt();
  EXPECT_FALSE(device.wants_interrupt());
  const auto head = offer(1);
  EXPECT_FALSE(queue.arm_interrupt());
  EXPECT_TRUE(device.wants_interrupt());
  device.put_used(head, 0);
  EXPECT_TRUE(queue.arm_interrupt());
}

// Long random traffic against a model, past the wrap of both 16-bit indices.
TEST_F(SplitQueueTest, TrafficAgreesWithAModel) {
  std::mt19937 random(7);
  std::map<std::uint16_t, std::pair<std::uint32_t, std::uint32_t>> out;
  std::uint32_t token = 0;
  std::uint64_t answered = 0;
  while (answered < 200'000) {
    if (random() % 2 == 0) {
      const std::size_t reads = random() % 3;
      const std::size_t writes = random() % 3;
      const auto added = add(++token, reads, writes);
      if (reads + writes == 0) {
        ASSERT_EQ(added.error(), QueueError::kBadRequest);
        continue;
      }
      if (!added) {
        ASSERT_EQ(added.error(), QueueError::kNoRoom);
        continue;
      }
      queue.publish();
      const auto head = device.next_head().value();
      ASSERT_FALSE(out.contains(head));
      ASSERT_EQ(device.chain(head).size(), reads + writes);
      out[head] = {token, static_cast<std::uint32_t>(100 * writes)};
    } else if (!out.empty()) {
      auto it = out.begin();
      std::advance(it, static_cast<long>(random() % out.size()));
      const auto [want_token, writable] = it->second;
      const auto written =
          static_cast<std::uint32_t>(random() % (writable + 1));
      device.put_used(it->first, written);
      out.erase(it);
      const auto taken = queue.take();
      ASSERT_TRUE(taken && taken->has_value());
      ASSERT_EQ((**taken).token, want_token);
      ASSERT_EQ((**taken).written_bytes, written);
      ++answered;
    }
    ASSERT_EQ(queue.in_flight(), out.size());
  }
}

// A device that writes anything anywhere in the rings: no crash, no endless
// loop, and no more chains than there were.
TEST_F(SplitQueueTest, AnyRingContentGivesAnAnswer) {
  for (unsigned seed = 0; seed < 3000; ++seed) {
    SetUp();
    std::mt19937 random(seed);
    for (std::uint32_t i = 0; i < 3; ++i) {
      static_cast<void>(add(i, 1 + random() % 2, random() % 2));
    }
    queue.publish();
    const std::size_t total = queue.layout().total_bytes;
    for (std::size_t i = 0; i < total; ++i) {
      if (random() % 3 == 0) memory[i] = static_cast<std::byte>(random());
    }
    device.set_used_index(static_cast<std::uint16_t>(random() % 5));
    unsigned taken = 0;
    while (true) {
      const auto answer = queue.take();
      if (!answer || !answer->has_value()) break;
      ASSERT_LT((**answer).token, 3u);
      ASSERT_LE(++taken, 3u);
    }
    static_cast<void>(queue.must_notify());
  }
}

}  // namespace
}  // namespace odo::virtio
