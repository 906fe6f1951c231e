// SPDX-License-Identifier: BSD-3-Clause
// Threads beside what a C++ program would use otherwise: Boost.Context's raw
// switch, Boost.Fiber, ucontext, C++20 coroutines, std::thread.
//
// Ours run on a machine of host threads; each case makes its machine and its
// threads outside the timed loop, which is the body of one of them.
#include <benchmark/benchmark.h>
#include <pthread.h>
#include <sched.h>
#include <ucontext.h>

#include <array>
#include <atomic>
#include <boost/context/detail/fcontext.hpp>
#include <boost/fiber/all.hpp>
#include <condition_variable>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "bench/fixed_iterations.h"
#include "lib/lwkt/host/system.h"
#include "lib/lwkt/port.h"
#include "lib/lwkt/sleep.h"
#include "lib/lwkt/thread_port.h"

namespace odo::lwkt {
namespace {

template <class Body>
HostThread& start(HostThread& self, Body& body,
                  const ThreadOptions& options = {}) {
  auto made = self.cpu().create(
      [](HostThread& thread, void* argument) {
        (*static_cast<Body*>(argument))(thread);
      },
      &body, options);
  ODO_CHECK(made.has_value());
  self.cpu().start(**made);
  return **made;
}

// --- switch: an item is one switch, so a round trip counts two

void switch_ours(benchmark::State& state) {
  run(1, [&](HostThread& self) {
    bool stop = false;
    auto other = [&](HostThread& thread) {
      while (!stop) thread.yield();
    };
    HostThread& thread = start(self, other);
    for (auto _ : state) {
      self.yield();
      benchmark::ClobberMemory();
    }
    stop = true;
    self.join(thread);
  });
  state.SetItemsProcessed(2 * state.iterations());
}

// A switch there and one back, `Rounds` times. One round counts its switches;
// several stand beside something else, in its unit.
template <int Rounds>
void switch_fcontext(benchmark::State& state) {
  namespace ctx = boost::context::detail;
  std::vector<std::byte> stack(64 * 1024);
  ctx::fcontext_t other = ctx::make_fcontext(
      stack.data() + stack.size(), stack.size(), [](ctx::transfer_t from) {
        while (true) from = ctx::jump_fcontext(from.fctx, nullptr);
      });
  for (auto _ : state) {
    for (int i = 0; i < Rounds; ++i) {
      other = ctx::jump_fcontext(other, nullptr).fctx;
      benchmark::ClobberMemory();
    }
  }
  if (Rounds == 1) state.SetItemsProcessed(2 * state.iterations());
}

void switch_fiber(benchmark::State& state) {
  bool stop = false;
  boost::fibers::fiber other([&] {
    while (!stop) boost::this_fiber::yield();
  });
  for (auto _ : state) {
    boost::this_fiber::yield();
    benchmark::ClobberMemory();
  }
  stop = true;
  other.join();
  state.SetItemsProcessed(2 * state.iterations());
}

void switch_ucontext(benchmark::State& state) {
  struct Pair {
    ucontext_t main;
    ucontext_t other;
  };
  static Pair pair;
  std::vector<std::byte> stack(64 * 1024);
  getcontext(&pair.other);
  pair.other.uc_stack.ss_sp = stack.data();
  pair.other.uc_stack.ss_size = stack.size();
  pair.other.uc_link = nullptr;
  makecontext(
      &pair.other,
      [] {
        while (true) swapcontext(&pair.other, &pair.main);
      },
      0);
  for (auto _ : state) {
    swapcontext(&pair.main, &pair.other);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(2 * state.iterations());
}

// A stackless coroutine, resumed through its handle as a scheduler would.
struct Generator {
  struct promise_type {
    Generator get_return_object() {
      return {std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
  std::coroutine_handle<promise_type> handle;
};

Generator suspend_for_ever() {
  while (true) co_await std::suspend_always{};
}

void switch_coroutine(benchmark::State& state) {
  const Generator other = suspend_for_ever();
  std::coroutine_handle<> handle = other.handle;
  for (auto _ : state) {
    benchmark::DoNotOptimize(handle);
    handle.resume();
    benchmark::ClobberMemory();
  }
  other.handle.destroy();
  state.SetItemsProcessed(2 * state.iterations());
}

// --- a thread's life: made, run, ended, joined

void life_ours(benchmark::State& state) {
  run(1, [&](HostThread& self) {
    auto body = [](HostThread& /*thread*/) { benchmark::ClobberMemory(); };
    for (auto _ : state) self.join(start(self, body));
  });
}

void life_fiber(benchmark::State& state) {
  for (auto _ : state) {
    boost::fibers::fiber([] { benchmark::ClobberMemory(); }).join();
  }
}

// Fibers whose stacks are kept and handed out again, as ours are.
void life_fiber_pooled(benchmark::State& state) {
  boost::fibers::pooled_fixedsize_stack stacks;
  for (auto _ : state) {
    boost::fibers::fiber(std::allocator_arg, stacks, [] {
      benchmark::ClobberMemory();
    }).join();
  }
}

void life_thread(benchmark::State& state) {
  for (auto _ : state) std::thread([] { benchmark::ClobberMemory(); }).join();
}

// --- sleep and wake-up between two threads of one CPU: an item is a round trip

void wake_ours(benchmark::State& state) {
  run(1, [&](HostThread& self) {
    using Sleep = Sleepers<HostGround>;
    bool stop = false;
    int ping = 0;
    int pong = 0;
    auto other = [&](HostThread& thread) {
      while (!stop) {
        Sleep::sleep(thread, &ping);
        Sleep::wakeup(thread, &pong);
      }
    };
    HostThread& thread = start(self, other);
    self.yield();
    for (auto _ : state) {
      Sleep::interlock(self, &pong);
      Sleep::wakeup(self, &ping);
      Sleep::sleep(self, &pong);
    }
    stop = true;
    Sleep::wakeup(self, &ping);
    self.join(thread);
  });
  state.SetItemsProcessed(state.iterations());
}

void wake_fiber(benchmark::State& state) {
  boost::fibers::mutex mutex;
  boost::fibers::condition_variable changed;
  bool mine = true;
  bool stop = false;
  boost::fibers::fiber other([&] {
    std::unique_lock lock(mutex);
    while (!stop) {
      changed.wait(lock, [&] { return !mine; });
      mine = true;
      changed.notify_one();
    }
  });
  {
    std::unique_lock lock(mutex);
    for (auto _ : state) {
      mine = false;
      changed.notify_one();
      changed.wait(lock, [&] { return mine; });
    }
    stop = true;
    mine = false;
    changed.notify_one();
  }
  other.join();
  state.SetItemsProcessed(state.iterations());
}

// --- messages: an item is a question with its answer

// Handled in place: what a virtual call costs, and the message's bookkeeping.
void in_place_ours(benchmark::State& state) {
  run(1, [&](HostThread& self) {
    NullPort<HostGround> nobody;
    HandlerPort<HostGround> port(
        "handler",
        [](HostThread&, Message<HostGround>&, void* argument) {
          return ++*static_cast<Answer*>(argument) & 0xff;
        },
        [] {
          static Answer count = 0;
          return &count;
        }());
    Message<HostGround> message(nobody);
    Port<HostGround>* target = &port;
    for (auto _ : state) {
      benchmark::DoNotOptimize(target);
      benchmark::DoNotOptimize(Port<HostGround>::send(self, *target, message));
    }
  });
}

void in_place_function(benchmark::State& state) {
  Answer count = 0;
  std::function<Answer()> handler = [&] { return ++count & 0xff; };
  for (auto _ : state) {
    benchmark::DoNotOptimize(handler);
    benchmark::DoNotOptimize(handler());
  }
}

enum class Serves : std::uint8_t { kOneByOne, kAtOnce };

// Queued, to another thread; on CPU `Server`, the asker being on CPU 0. The
// server answers and then waits, or does both in one.
template <unsigned Server, Serves How = Serves::kOneByOne>
void queued_ours(benchmark::State& state) {
  run(
      Server + 1,
      [&](HostThread& self) {
        std::atomic<Port<HostGround>*> port{nullptr};
        auto server = [&](HostThread& thread) {
          thread.set_cpu(Server);
          ThreadPort<HostGround> own(thread, "server");
          port = &own;
          Message<HostGround>* message = &own.wait(thread);
          while (message->urgency() != Urgency::kHigh) {
            if constexpr (How == Serves::kAtOnce) {
              message =
                  &Port<HostGround>::reply_and_wait(thread, *message, 0, own);
            } else {
              Port<HostGround>::reply(thread, *message, 0);
              message = &own.wait(thread);
            }
          }
          Port<HostGround>::reply(thread, *message, 0);
        };
        HostThread& thread = start(self, server);
        while (port == nullptr) self.yield();
        ThreadPort<HostGround> replies(self, "replies");
        Message<HostGround> message(replies);
        for (auto _ : state) {
          benchmark::DoNotOptimize(
              Port<HostGround>::call(self, *port, message));
        }
        Message<HostGround> last(replies, Urgency::kHigh);
        Port<HostGround>::call(self, *port, last);
        self.join(thread);
      },
      Placement::kPinned);
}

void queued_fiber(benchmark::State& state) {
  boost::fibers::buffered_channel<int> questions(2);
  boost::fibers::buffered_channel<int> answers(2);
  boost::fibers::fiber server([&] {
    int question = 0;
    while (questions.pop(question) ==
           boost::fibers::channel_op_status::success) {
      answers.push(question);
    }
  });
  for (auto _ : state) {
    questions.push(1);
    int answer = 0;
    answers.pop(answer);
    benchmark::DoNotOptimize(answer);
  }
  questions.close();
  server.join();
}

// Keeps the calling thread on one of two processors, as ours are kept.
void stay_on(int cpu) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  (void)sched_setaffinity(0, sizeof one, &one);
}

// Between two host threads, as C++ has it.
void queued_condvar(benchmark::State& state) {
  cpu_set_t before;
  CPU_ZERO(&before);
  (void)sched_getaffinity(0, sizeof before, &before);
  std::mutex mutex;
  std::condition_variable changed;
  bool mine = true;
  bool stop = false;
  std::thread server([&] {
    stay_on(1);
    std::unique_lock lock(mutex);
    while (!stop) {
      changed.wait(lock, [&] { return !mine; });
      mine = true;
      changed.notify_one();
    }
  });
  stay_on(0);
  {
    std::unique_lock lock(mutex);
    for (auto _ : state) {
      mine = false;
      changed.notify_one();
      changed.wait(lock, [&] { return mine; });
    }
    stop = true;
    mine = false;
    changed.notify_one();
  }
  server.join();
  (void)sched_setaffinity(0, sizeof before, &before);
}

// --- 100,000 threads alive at once: made, parked, woken, joined; an item is
// one

constexpr std::size_t kMany = 100'000;

void many_ours(benchmark::State& state) {
  run(1, [&](HostThread& self) {
    using Sleep = Sleepers<HostGround>;
    int address = 0;
    auto body = [&](HostThread& thread) { Sleep::sleep(thread, &address); };
    std::vector<HostThread*> threads;
    for (auto _ : state) {
      for (std::size_t i = 0; i < kMany; ++i) {
        threads.push_back(&start(self, body, {.stack_bytes = 4096}));
      }
      self.yield();
      Sleep::wakeup(self, &address);
      for (HostThread* thread : threads) self.join(*thread);
      threads.clear();
    }
  });
  state.SetItemsProcessed(state.iterations() * std::int64_t{kMany});
}

void many_fibers(benchmark::State& state) {
  boost::fibers::pooled_fixedsize_stack stacks(8192);
  boost::fibers::mutex mutex;
  boost::fibers::condition_variable changed;
  std::vector<boost::fibers::fiber> fibers;
  for (auto _ : state) {
    bool go = false;
    for (std::size_t i = 0; i < kMany; ++i) {
      fibers.emplace_back(std::allocator_arg, stacks, [&] {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return go; });
      });
    }
    boost::this_fiber::yield();
    {
      const std::unique_lock lock(mutex);
      go = true;
    }
    changed.notify_all();
    for (auto& fiber : fibers) fiber.join();
    fibers.clear();
  }
  state.SetItemsProcessed(state.iterations() * std::int64_t{kMany});
}

void add_all() {
  const struct {
    const char* name;
    void (*body)(benchmark::State&);
  } cases[] = {
      {"lwkt/switch/ours", switch_ours},
      {"lwkt/switch/fcontext", switch_fcontext<1>},
      {"lwkt/switch-fiber/ours", switch_ours},
      {"lwkt/switch-fiber/boost-fiber", switch_fiber},
      {"lwkt/switch-fiber/ucontext", switch_ucontext},
      {"lwkt/switch-stackless/ours", switch_ours},
      {"lwkt/switch-stackless/coroutine", switch_coroutine},
      {"lwkt/life/ours", life_ours},
      {"lwkt/life/boost-fiber", life_fiber},
      {"lwkt/life/boost-fiber-pooled", life_fiber_pooled},
      {"lwkt/life/std-thread", life_thread},
      {"lwkt/wake/ours", wake_ours},
      {"lwkt/wake/boost-fiber", wake_fiber},
      {"lwkt/message-in-place/ours", in_place_ours},
      {"lwkt/message-in-place/std-function", in_place_function},
      {"lwkt/message-queued/ours", queued_ours<0>},
      {"lwkt/message-queued/boost-fiber-channel", queued_fiber},
      {"lwkt/message-switches/ours", queued_ours<0>},
      {"lwkt/message-switches/fcontext-four-times", switch_fcontext<2>},
      {"lwkt/message-served/ours", queued_ours<0, Serves::kAtOnce>},
      {"lwkt/message-served/boost-fiber-channel", queued_fiber},
      {"lwkt/park-100k/ours", many_ours},
      {"lwkt/park-100k/boost-fiber", many_fibers},
  };
  // Two CPUs, so by the clock on the wall.
  const std::pair<const char*, void (*)(benchmark::State&)> across[] = {
      {"lwkt/message-cross-cpu/ours", queued_ours<1>},
      {"lwkt/message-cross-cpu/std-condvar", queued_condvar},
  };
  for (const auto& [name, body] : across) {
    bench::fix_iterations(benchmark::RegisterBenchmark(name, body))
        ->UseRealTime();
  }
  for (const auto& one : cases) {
    bench::fix_iterations(benchmark::RegisterBenchmark(one.name, one.body));
  }
}

}  // namespace
}  // namespace odo::lwkt

int main(int argc, char** argv) {
  odo::lwkt::add_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
