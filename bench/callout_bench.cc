// SPDX-License-Identifier: BSD-3-Clause
// The timer wheel beneath callouts beside ordered maps from deadlines to
// timers: std::multimap, where a timer keeps its iterator, and
// absl::btree_multimap, whose iterators don't last, so that a timer is found
// again by its deadline. (A heap such as std::priority_queue can't cancel.)
//
// The deadlines of all contenders come from one generator with one seed.
#include <absl/container/btree_map.h>
#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include "lib/lwkt/timer_wheel.h"

namespace odo::lwkt {
namespace {

constexpr std::uint64_t kSecondNs = 1'000'000'000;
constexpr std::size_t kMillion = 1'000'000;

std::uint64_t fired_count = 0;
std::uint64_t fired_sum = 0;  // of deadlines: did each timer fire?
std::uint64_t fired_late = 0;
std::uint64_t last_ns = 0;

// What each timer does in the cases that fire.
void note(std::uint64_t deadline_ns) {
  ++fired_count;
  fired_sum += deadline_ns;
  // A tick may put its own timers in another order than their nanoseconds.
  if (deadline_ns + TimerWheel::kTickNs < last_ns) ++fired_late;
  last_ns = deadline_ns;
}

// --- contenders: one face for all of them

class Ours {
 public:
  explicit Ours(std::size_t count)
      : count_(count), timers_(std::make_unique<Client[]>(count)) {}
  ~Ours() {
    for (std::size_t i = 0; i < count_; ++i) cancel(i);
  }
  void arm(std::size_t which, std::uint64_t deadline_ns) {
    wheel_.arm(timers_[which].timer, deadline_ns);
  }
  bool cancel(std::size_t which) { return wheel_.cancel(timers_[which].timer); }
  void advance(std::uint64_t now_ns) { wheel_.advance(now_ns); }

 private:
  struct Client {
    Timer timer{[](Timer& timer) { note(timer.deadline_ns()); }};
  };
  TimerWheel wheel_;
  std::size_t count_;
  std::unique_ptr<Client[]> timers_;
};

// What a timer is where a map keeps the deadlines.
struct MapTimer {
  void (*function)(MapTimer&) = [](MapTimer& timer) {
    timer.is_armed = false;
    note(timer.deadline_ns);
  };
  std::uint64_t deadline_ns = 0;
  bool is_armed = false;
};

class StdMultimap {
 public:
  explicit StdMultimap(std::size_t count) : timers_(count) {}
  void arm(std::size_t which, std::uint64_t deadline_ns) {
    Client& client = timers_[which];
    client.timer.deadline_ns = deadline_ns;
    client.timer.is_armed = true;
    client.place = queue_.emplace(deadline_ns, &client.timer);
  }
  bool cancel(std::size_t which) {
    Client& client = timers_[which];
    if (!client.timer.is_armed) return false;
    queue_.erase(client.place);
    client.timer.is_armed = false;
    return true;
  }
  void advance(std::uint64_t now_ns) {
    while (!queue_.empty() && queue_.begin()->first <= now_ns) {
      MapTimer* timer = queue_.begin()->second;
      queue_.erase(queue_.begin());
      timer->function(*timer);
    }
  }

 private:
  using Queue = std::multimap<std::uint64_t, MapTimer*>;
  struct Client {
    MapTimer timer;
    Queue::iterator place;
  };
  Queue queue_;
  std::vector<Client> timers_;
};

class AbslBtree {
 public:
  explicit AbslBtree(std::size_t count) : timers_(count) {}
  void arm(std::size_t which, std::uint64_t deadline_ns) {
    MapTimer& timer = timers_[which];
    timer.deadline_ns = deadline_ns;
    timer.is_armed = true;
    queue_.emplace(deadline_ns, &timer);
  }
  bool cancel(std::size_t which) {
    MapTimer& timer = timers_[which];
    if (!timer.is_armed) return false;
    auto place = queue_.lower_bound(timer.deadline_ns);
    while (place->second != &timer) ++place;
    queue_.erase(place);
    timer.is_armed = false;
    return true;
  }
  void advance(std::uint64_t now_ns) {
    while (!queue_.empty() && queue_.begin()->first <= now_ns) {
      MapTimer* timer = queue_.begin()->second;
      queue_.erase(queue_.begin());
      timer->function(*timer);
    }
  }

 private:
  absl::btree_multimap<std::uint64_t, MapTimer*> queue_;
  std::vector<MapTimer> timers_;
};

// --- cases

// A million timers are armed for the next ten seconds; one of them, anyone, is
// cancelled and armed anew. Nothing of it is in a near cache.
template <class Queue>
void arm_cancel_any(benchmark::State& state) {
  std::mt19937_64 random(1);
  const auto queue = std::make_unique<Queue>(kMillion);
  for (std::size_t i = 0; i < kMillion; ++i) {
    queue->arm(i, random() % (10 * kSecondNs));
  }
  // Drawn beforehand: the generator costs as much as a near cache miss.
  struct Move {
    std::uint32_t which;
    std::uint64_t deadline_ns;
  };
  std::vector<Move> moves(kMillion);
  for (Move& move : moves) {
    move = {static_cast<std::uint32_t>(random() % kMillion),
            random() % (10 * kSecondNs)};
  }
  std::size_t at = 0;
  bool all_were_armed = true;
  for (auto _ : state) {
    const Move& move = moves[at];
    if (++at == moves.size()) at = 0;
    all_were_armed &= queue->cancel(move.which);
    queue->arm(move.which, move.deadline_ns);
  }
  if (!all_were_armed) state.SkipWithError("a timer was lost");
}

// The same population; but what is armed is a new timer, of the sixteen of a
// caller who cancels each when what it waited for has come: a time limit that
// is not reached. A quarter of a second ahead, give or take.
template <class Queue>
void arm_cancel_limit(benchmark::State& state) {
  constexpr std::size_t kOpen = 16;
  std::mt19937_64 random(1);
  const auto queue = std::make_unique<Queue>(kMillion + kOpen);
  for (std::size_t i = 0; i < kMillion; ++i) {
    queue->arm(i, random() % (10 * kSecondNs));
  }
  std::vector<std::uint64_t> limits_ns(4096);
  for (std::uint64_t& limit_ns : limits_ns) {
    limit_ns = kSecondNs / 4 + random() % kSecondNs / 16;
  }
  for (std::size_t i = 0; i < kOpen; ++i) {
    queue->arm(kMillion + i, limits_ns[i]);
  }
  std::size_t at = 0;
  bool all_were_armed = true;
  for (auto _ : state) {
    const std::size_t which = kMillion + at % kOpen;
    all_were_armed &= queue->cancel(which);
    queue->arm(which, limits_ns[at % limits_ns.size()]);
    ++at;
  }
  if (!all_were_armed) state.SkipWithError("a timer was lost");
}

// Arms timers at random over a second and goes through it in steps, as a clock
// that interrupts every `step_ns` does. Items are timers.
template <class Queue>
void fire(benchmark::State& state, std::size_t count, std::uint64_t step_ns) {
  std::mt19937_64 random(1);
  std::vector<std::uint64_t> deadlines_ns(count);
  std::uint64_t sum = 0;
  for (std::uint64_t& deadline_ns : deadlines_ns) {
    deadline_ns = random() % kSecondNs;
  }
  fired_count = 0;
  fired_sum = 0;
  fired_late = 0;
  last_ns = 0;
  const auto queue = std::make_unique<Queue>(count);
  std::uint64_t start_ns = 0;
  for (auto _ : state) {
    for (std::size_t i = 0; i < count; ++i) {
      queue->arm(i, start_ns + deadlines_ns[i]);
      sum += start_ns + deadlines_ns[i];
    }
    const std::uint64_t end_ns = start_ns + kSecondNs + step_ns;
    for (; start_ns < end_ns; start_ns += step_ns) queue->advance(start_ns);
  }
  const auto total = static_cast<std::uint64_t>(state.iterations()) * count;
  if (fired_count != total || fired_sum != sum || fired_late != 0) {
    state.SkipWithError("timers did not fire as armed");
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(total));
}

template <class Body>
void add(const char* name, Body body) {
  benchmark::RegisterBenchmark(name, body);
}

template <class Queue, std::size_t kCount, std::uint64_t kStepNs>
void add_fire(const char* name) {
  benchmark::RegisterBenchmark(name, [](benchmark::State& state) {
    fire<Queue>(state, kCount, kStepNs);
  })->Unit(benchmark::kMillisecond);
}

void add_all() {
  add("lwkt/callout-arm-cancel-1M/ours", arm_cancel_any<Ours>);
  add("lwkt/callout-arm-cancel-1M/std-multimap", arm_cancel_any<StdMultimap>);
  add("lwkt/callout-arm-cancel-1M/absl-btree_multimap",
      arm_cancel_any<AbslBtree>);
  add("lwkt/callout-limit-1M/ours", arm_cancel_limit<Ours>);
  add("lwkt/callout-limit-1M/std-multimap", arm_cancel_limit<StdMultimap>);
  add("lwkt/callout-limit-1M/absl-btree_multimap", arm_cancel_limit<AbslBtree>);

  constexpr std::uint64_t kMsNs = 1'000'000;
  add_fire<Ours, 1000, kMsNs>("lwkt/callout-fire-1k/ours");
  add_fire<StdMultimap, 1000, kMsNs>("lwkt/callout-fire-1k/std-multimap");
  add_fire<AbslBtree, 1000, kMsNs>("lwkt/callout-fire-1k/absl-btree_multimap");
  add_fire<Ours, 100'000, kMsNs>("lwkt/callout-fire-100k/ours");
  add_fire<StdMultimap, 100'000, kMsNs>("lwkt/callout-fire-100k/std-multimap");
  add_fire<AbslBtree, 100'000, kMsNs>(
      "lwkt/callout-fire-100k/absl-btree_multimap");
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
