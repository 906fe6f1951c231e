// SPDX-License-Identifier: BSD-3-Clause
// An echo server of a million messages: one thread asks, another answers, on
// the same CPU or, with the argument 2, each on its own.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "lib/lwkt/host/system.h"
#include "lib/lwkt/thread_port.h"
#include "lib/lwkt/typed_port.h"

namespace {

using namespace odo::lwkt;
using Echo = TypedPort<HostGround, int, int>;
using OwnPort = ThreadPort<HostGround>;

constexpr int kMessages = 1'000'000;

void serve(HostThread& self, void* argument) {
  self.set_cpu(self.cpu().system().cpus() - 1);
  const Echo port(**static_cast<std::optional<OwnPort>*>(argument));
  for (int i = 0; i < kMessages; ++i) {
    Echo::MessageT& message = port.wait(self);
    Echo::answer(self, message, message.request);
  }
}

void ask(HostThread& self) {
  std::optional<OwnPort> port;
  auto server = self.cpu().create(&serve, &port, {.name = "server"});
  if (!server.has_value()) return;
  port.emplace(**server, "echo");
  self.cpu().start(**server);
  OwnPort replies(self, "replies");
  const auto begin = std::chrono::steady_clock::now();
  int wrong = 0;
  for (int i = 0; i < kMessages; ++i) {
    Echo::MessageT message(replies, i);
    if (Echo(*port).call(self, message) != 0 || message.reply != i) ++wrong;
  }
  const std::chrono::duration<double> took =
      std::chrono::steady_clock::now() - begin;
  self.join(**server);
  std::printf("%d messages, %d wrong, %.1f ns each\n", kMessages, wrong,
              took.count() * 1e9 / kMessages);
}

}  // namespace

int main(int argc, char** argv) {
  const int cpus = argc > 1 ? std::atoi(argv[1]) : 1;
  if (cpus < 1 || cpus > 2) {
    std::fprintf(stderr, "usage: echo [1|2]  (CPUs)\n");
    return 2;
  }
  run(static_cast<unsigned>(cpus), ask);
}
