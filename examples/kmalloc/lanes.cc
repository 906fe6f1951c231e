// SPDX-License-Identifier: BSD-3-Clause
// A heap with a lane for each of four threads. Each allocates a batch of cells
// and a table of zeros, and frees what its neighbour has allocated.
#include <array>
#include <barrier>
#include <cstdio>
#include <thread>
#include <vector>

#include "lib/kmalloc/heap.h"
#include "lib/kmalloc/host/ground.h"

using namespace odo::kmalloc;

int main() {
  constexpr unsigned kThreads = 4;
  Heap<HostGround> heap{HostGround()};
  std::array<std::array<void*, 10'000>, kThreads> cells{};
  std::barrier all_have(kThreads);
  std::vector<std::jthread> threads;
  for (unsigned t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      Lane<HostGround>* lane = heap.take_lane();
      if (lane == nullptr) return all_have.arrive_and_drop();
      const auto own = [lane] { return lane; };
      void* table = heap.allocate_zeroed(*lane, 4096, own);
      (void)heap.allocate_batch(*lane, 48, cells[t], own);
      all_have.arrive_and_wait();
      heap.free_batch(*lane, cells[(t + 1) % kThreads], own);
      heap.free_sized(*lane, table, 4096, own);
      const LaneCounts& did = lane->counts();
      std::printf("lane %u: %llu fills, %llu posts, %llu slabs made\n", t,
                  did.fills + 0ULL, did.posts + 0ULL, did.made + 0ULL);
      heap.leave_lane(*lane);
    });
  }
  threads.clear();
  std::printf("%zu KiB are in use\n", heap.counts().in_use / 1024);
}
