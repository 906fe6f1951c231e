// SPDX-License-Identifier: BSD-3-Clause
// The concurrent tree beside what a C++ program would use otherwise: a
// std::shared_mutex around absl::btree_map. Two threads, each on a CPU of its
// own, a million keys of 64 bits: of two million possible ones, scattered over
// all of them, every other at first. Reads look for any of the two million, and
// find half; of the writes one half inserts and one half erases, so that the
// million stays.
#include <absl/container/btree_map.h>
#include <benchmark/benchmark.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>

#include "bench/race.h"
#include "lib/btree/concurrent.h"
#include "lib/btree/host/ground.h"

namespace odo::btree {
namespace {

constexpr std::uint64_t kKeys = 2'000'000;

// --- contenders

struct Ours {
  ConcurrentBTree<std::uint64_t, std::uint64_t, HostGround> tree;

  std::optional<std::uint64_t> find(std::uint64_t key) {
    return tree.find(key);
  }
  bool insert(std::uint64_t key, std::uint64_t value) {
    const Result<bool> inserted = tree.insert(key, value);
    return inserted.has_value() && *inserted;
  }
  bool erase(std::uint64_t key) { return tree.erase(key).has_value(); }
};

struct Peer {
  std::shared_mutex mutex;
  absl::btree_map<std::uint64_t, std::uint64_t> tree;

  std::optional<std::uint64_t> find(std::uint64_t key) {
    const std::shared_lock lock(mutex);
    const auto it = tree.find(key);
    if (it == tree.end()) return std::nullopt;
    return it->second;
  }
  bool insert(std::uint64_t key, std::uint64_t value) {
    const std::scoped_lock lock(mutex);
    return tree.emplace(key, value).second;
  }
  bool erase(std::uint64_t key) {
    const std::scoped_lock lock(mutex);
    return tree.erase(key) != 0;
  }
};

// --- the load

class Numbers {
 public:
  explicit Numbers(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
  }

 private:
  std::uint64_t state_;
};

// A different key for each index; neighbours lie far apart.
constexpr std::uint64_t key_of(std::uint64_t index) {
  return index * 0x9e37'79b9'7f4a'7c15;
}

template <class Contender>
void fill(Contender& contender) {
  for (std::uint64_t i = 0; i < kKeys; i += 2) {
    (void)contender.insert(key_of(i), i);
  }
}

// One operation; what it saw.
template <class Contender, unsigned kReadPercent>
std::uint64_t operate(Contender& contender, Numbers& numbers) {
  const std::uint64_t drawn = numbers.next();
  const std::uint64_t key =
      key_of(static_cast<std::uint64_t>((drawn >> 32) * kKeys >> 32));
  const auto what = static_cast<unsigned>(drawn % 200);
  if (what < 2 * kReadPercent) return contender.find(key).value_or(1);
  return (what & 1) != 0 ? (contender.insert(key, drawn) ? 2 : 3)
                         : (contender.erase(key) ? 4 : 5);
}

// Whether both see the same, operation for operation.
bool agree() {
  static const bool same = [] {
    const auto ours = std::make_unique<Ours>();
    const auto peer = std::make_unique<Peer>();
    fill(*ours);
    fill(*peer);
    Numbers for_ours(1);
    Numbers for_peer(1);
    for (int i = 0; i < 200'000; ++i) {
      if (operate<Ours, 50>(*ours, for_ours) !=
          operate<Peer, 50>(*peer, for_peer)) {
        return false;
      }
    }
    return ours->tree.size() == peer->tree.size();
  }();
  return same;
}

template <class Contender, unsigned kReadPercent, unsigned kThreads>
void mixed(benchmark::State& state) {
  if (!agree()) {
    state.SkipWithError("ours and the peer disagree");
    return;
  }
  const auto contender = std::make_unique<Contender>();
  fill(*contender);
  static constinit std::atomic<std::uint64_t> threads{0};
  bench::race(state, kThreads, [&] {
    static thread_local Numbers numbers(
        key_of(threads.fetch_add(1, std::memory_order_relaxed) + 1));
    benchmark::DoNotOptimize(
        operate<Contender, kReadPercent>(*contender, numbers));
  });
}

template <class Body>
void add(const char* name, Body body) {
  benchmark::RegisterBenchmark(name, body)->UseManualTime();
}

void add_all() {
  add("btree/concurrent-read-100/ours", mixed<Ours, 100, 2>);
  add("btree/concurrent-read-100/shared-mutex-absl-btree-map",
      mixed<Peer, 100, 2>);
  add("btree/concurrent-read-95/ours", mixed<Ours, 95, 2>);
  add("btree/concurrent-read-95/shared-mutex-absl-btree-map",
      mixed<Peer, 95, 2>);
  add("btree/concurrent-read-50/ours", mixed<Ours, 50, 2>);
  add("btree/concurrent-read-50/shared-mutex-absl-btree-map",
      mixed<Peer, 50, 2>);
  add("btree/concurrent-read-95-alone/ours", mixed<Ours, 95, 1>);
  add("btree/concurrent-read-95-alone/shared-mutex-absl-btree-map",
      mixed<Peer, 95, 1>);
}

}  // namespace
}  // namespace odo::btree

int main(int argc, char** argv) {
  odo::btree::add_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
