// SPDX-License-Identifier: BSD-3-Clause
// Very many threads at once: each parked on a stack of 4 KiB, thread included.
// 100,000 of them; a million with ODO_LONG=1, which takes 4 GiB.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <vector>

#include "lib/lwkt/host/system.h"
#include "lib/lwkt/sleep.h"

namespace odo::lwkt {
namespace {

std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t all_pages = 0;
  std::size_t resident_pages = 0;
  file >> all_pages >> resident_pages;
  return resident_pages * 4096;
}

TEST(ScaleTest, ParkedThreadsTakeWhatTheyTouch) {
  using Sleep = Sleepers<HostGround>;
  const bool all = std::getenv("ODO_LONG") != nullptr;
  const std::size_t count = all ? 1'000'000 : 100'000;
  run(1, [&](HostThread& self) {
    struct Parking {
      int address = 0;
      std::size_t parked = 0;
      std::size_t left = 0;
    } parking;
    std::vector<HostThread*> threads;
    threads.reserve(count);
    const std::size_t before = resident_bytes();
    while (threads.size() < count) {
      auto made = self.cpu().create(
          [](HostThread& thread, void* argument) {
            auto& the = *static_cast<Parking*>(argument);
            ++the.parked;
            Sleep::sleep(thread, &the.address);
            ++the.left;
          },
          &parking, {.name = "parked", .stack_bytes = 4096});
      ASSERT_TRUE(made.has_value()) << threads.size();
      self.cpu().start(**made);
      threads.push_back(*made);
    }
    self.yield();
    EXPECT_EQ(parking.parked, count);
    const std::size_t each = (resident_bytes() - before) / count;
    std::printf("%zu threads parked, %zu resident bytes each\n", count, each);
    // 5 GiB for a million.
    EXPECT_LE(each, std::size_t{5} * 1024 * 1024 * 1024 / 1'000'000);
    Sleep::wakeup(self, &parking.address);
    for (HostThread* thread : threads) self.join(*thread);
    EXPECT_EQ(parking.left, count);
  });
}

}  // namespace
}  // namespace odo::lwkt
