// SPDX-License-Identifier: BSD-3-Clause
// What the debugger's test looks at: threads parked in functions of known
// names, and a process that stops.
#include <csignal>
#include <cstdio>

#include "lib/lwkt/host/system.h"
#include "lib/lwkt/sleep.h"

namespace {

using namespace odo::lwkt;

int bed = 0;

[[gnu::noinline]] void sleep_in_the_cellar(HostThread& self) {
  Sleepers<HostGround>::sleep(self, &bed);
  std::puts("woken");
}
[[gnu::noinline]] void go_downstairs(HostThread& self) {
  sleep_in_the_cellar(self);
  std::puts("back upstairs");
}

}  // namespace

int main() {
  run(1, [](HostThread& self) {
    auto entry = [](HostThread& thread, void*) { go_downstairs(thread); };
    for (const char* name : {"alice", "bob", "twin", "twin"}) {
      auto made = self.cpu().create(entry, nullptr, {.name = name});
      if (!made.has_value()) return;
      self.cpu().start(**made);
    }
    self.yield();
    auto waiting = self.cpu().create(entry, nullptr,
                                     {.name = "carol", .priority = kIdleWork});
    if (!waiting.has_value()) return;
    self.cpu().start(**waiting);
    std::raise(SIGTRAP);
  });
}
