// SPDX-License-Identifier: BSD-3-Clause
// Object caches in an ordinary program: two threads borrow buffers 200,000
// times; at most eight are ever made, and whoever finds none left waits.
#include <cstdio>
#include <cstring>
#include <thread>

#include "lib/objcache/host/ground.h"
#include "lib/objcache/host/heap_backing.h"
#include "lib/objcache/objcache.h"

namespace objcache = odo::objcache;

struct Buffer {
  Buffer() noexcept { std::memset(bytes, 0, sizeof bytes); }  // done 8 times
  char bytes[4096];
};
using Buffers =
    objcache::ObjCache<Buffer, objcache::HostGround, objcache::HeapBacking>;

int main() {
  Buffers buffers("buffer", {.limit = 8});
  const auto work = [&] {
    for (int i = 0; i < 100000; ++i) {
      const auto buffer = buffers.get_or_wait();  // goes back by itself
      if (!buffer) return;
      std::snprintf(buffer->bytes, sizeof buffer->bytes, "round %d", i);
    }
  };
  std::thread one(work);
  std::thread two(work);
  one.join();
  two.join();
  const objcache::Statistics all = buffers.statistics();
  std::printf("%zu loans of %zu buffers\n", static_cast<std::size_t>(all.gets),
              static_cast<std::size_t>(all.constructed));
  return all.in_use == 0 && all.constructed <= 8 ? 0 : 1;
}
