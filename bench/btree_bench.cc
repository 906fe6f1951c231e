// SPDX-License-Identifier: BSD-3-Clause
// The B+tree beside absl::btree_map and std::map: 64-bit keys and values,
// random or ascending, all built with the same flags.
//
// Trees that are only read are made once a process, by inserting in random
// order: what a tree looks like after that is part of the comparison. Where a
// case changes its tree, only the change is timed. At 10 million, insertions
// and erasures are those of 100,000 keys that come and go.
#include <absl/container/btree_map.h>
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <boost/container/flat_map.hpp>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "bench/tree_cases.h"
#include "lib/btree/map.h"

namespace odo::btree {
namespace {

constexpr std::size_t kThousand = 1000;
constexpr std::size_t kMillion = 1'000'000;
constexpr std::size_t kTenMillion = 10 * kMillion;
constexpr std::size_t kBatch = 256;

// The n-th key.
std::uint64_t key_of(std::uint64_t n) { return bench::mixed(n); }

std::uint64_t random_below(std::uint64_t& state, std::uint64_t bound) {
  state = state * 6364136223846793005 + 1442695040888963407;
  return static_cast<std::uint64_t>(
      (static_cast<unsigned __int128>(state) * bound) >> 64);
}

// --- contenders: one face for all of them

struct Ours {
  BTreeMap<std::uint64_t, std::uint64_t> map;

  void insert(std::uint64_t key, std::uint64_t value) {
    benchmark::DoNotOptimize(map.insert(key, value).has_value());
  }
  void append(std::uint64_t key, std::uint64_t value) {
    benchmark::DoNotOptimize(
        map.insert_near(map.end(), key, value).has_value());
  }
  void find_each(std::span<const std::uint64_t> keys, std::uint64_t& sum) {
    map.find_each(keys, [&](std::size_t /*i*/, auto at) { sum += at.value(); });
  }
  void build(const std::vector<std::pair<std::uint64_t, std::uint64_t>>& from) {
    map = *decltype(map)::build(from);
  }
  std::size_t bytes() const { return map.bytes(); }
};

template <class Map>
struct Standard {
  Map map;

  void insert(std::uint64_t key, std::uint64_t value) {
    benchmark::DoNotOptimize(map.emplace(key, value).second);
  }
  void append(std::uint64_t key, std::uint64_t value) {
    map.emplace_hint(map.end(), key, value);
  }
  void find_each(std::span<const std::uint64_t> keys, std::uint64_t& sum) {
    for (const std::uint64_t key : keys) sum += map.find(key)->second;
  }
  void build(const std::vector<std::pair<std::uint64_t, std::uint64_t>>& from) {
    map = Map(from.begin(), from.end());
  }
  std::size_t bytes() const { return bench::counted_bytes; }
};
using Slot = std::pair<const std::uint64_t, std::uint64_t>;
using Absl =
    Standard<absl::btree_map<std::uint64_t, std::uint64_t,
                             std::less<std::uint64_t>, bench::Counted<Slot>>>;
using Std = Standard<std::map<std::uint64_t, std::uint64_t,
                              std::less<std::uint64_t>, bench::Counted<Slot>>>;
using Flat = Standard<boost::container::flat_map<std::uint64_t, std::uint64_t>>;

// A tree of the first `size` keys, made once.
template <class C>
C& tree_of(std::size_t size) {
  static std::map<std::size_t, std::unique_ptr<C>> made;
  std::unique_ptr<C>& one = made[size];
  if (one == nullptr) {
    one = std::make_unique<C>();
    if constexpr (std::is_same_v<C, Flat>) {
      std::vector<std::pair<std::uint64_t, std::uint64_t>> all;
      for (std::uint64_t n = 0; n < size; ++n) all.emplace_back(key_of(n), n);
      one->build(all);
    } else {
      for (std::uint64_t n = 0; n < size; ++n) one->insert(key_of(n), n);
    }
  }
  return *one;
}

// --- look-ups

// Keys to ask for, drawn beforehand: so many that no processor remembers how
// their branches went. With Hit, of those in a tree of `size`.
class Queries {
 public:
  Queries(std::size_t size, bool hit) : keys_(kQueries) {
    std::uint64_t random = 1;
    for (auto& key : keys_) {
      key = key_of(random_below(random, size) + (hit ? 0 : size));
    }
  }
  std::uint64_t next() {
    const std::uint64_t key = keys_[at_];
    at_ = (at_ + 1) % kQueries;
    return key;
  }
  // The next kBatch.
  std::span<const std::uint64_t> batch() {
    const std::span<const std::uint64_t> keys(&keys_[at_], kBatch);
    at_ = (at_ + kBatch) % kQueries;
    return keys;
  }

 private:
  static constexpr std::size_t kQueries = 1 << 20;
  std::vector<std::uint64_t> keys_;
  std::size_t at_ = 0;
};

template <class C, bool Hit>
void find(benchmark::State& state, std::size_t size) {
  Queries queries(size, Hit);
  bench::find_all<Hit>(state, tree_of<C>(size).map, queries);
}

template <class C>
void find_batch(benchmark::State& state, std::size_t size) {
  C& tree = tree_of<C>(size);
  Queries queries(size, true);
  std::uint64_t sum = 0;
  for (auto _ : state) tree.find_each(queries.batch(), sum);
  benchmark::DoNotOptimize(sum);
  state.SetItemsProcessed(state.iterations() *
                          static_cast<std::int64_t>(kBatch));
}

template <class C>
void scan(benchmark::State& state, std::size_t size) {
  C& tree = tree_of<C>(size);
  for (auto _ : state) {
    std::uint64_t sum = 0;
    for (const auto& [key, value] : tree.map) sum += key ^ value;
    benchmark::DoNotOptimize(sum);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(size));
}

template <class C>
void range(benchmark::State& state, std::size_t size) {
  Queries queries(size, false);
  bench::range_100(state, tree_of<C>(size).map, queries);
}

// --- changes

// Small trees often enough that the clock's reading doesn't count.
std::size_t rounds_for(std::size_t size) {
  return size < kMillion ? kMillion / 10 / size : 1;
}

// Many trees from empty: fill(tree) for each.
template <class C, class Fill>
void fill_all(benchmark::State& state, std::size_t size, const Fill& fill) {
  std::vector<C> trees(rounds_for(size));
  bench::timed(
      state, size * trees.size(),
      [&] {
        for (C& tree : trees) tree.map.clear();
      },
      [&] {
        for (C& tree : trees) fill(tree);
      });
}

template <class C>
void insert_random(benchmark::State& state, std::size_t size) {
  // Other keys each time: no processor learns them by heart.
  std::uint64_t next = 0;
  fill_all<C>(state, size, [&](C& tree) {
    const std::uint64_t end = next + size;
    for (; next < end; ++next) tree.insert(key_of(next), next);
  });
}

template <class C>
void insert_ascending(benchmark::State& state, std::size_t size) {
  fill_all<C>(state, size, [&](C& tree) {
    for (std::uint64_t n = 0; n < size; ++n) tree.insert(n, n);
  });
}

template <class C>
void append(benchmark::State& state, std::size_t size) {
  fill_all<C>(state, size, [&](C& tree) {
    for (std::uint64_t n = 0; n < size; ++n) tree.append(n, n);
  });
}

template <class C>
void erase_random(benchmark::State& state, std::size_t size) {
  std::vector<C> trees(rounds_for(size));
  std::uint64_t first = 0;
  std::uint64_t next = 0;
  bench::timed(
      state, size * trees.size(),
      [&] {
        for (C& tree : trees) {
          const std::uint64_t end = next + size;
          for (; next < end; ++next) tree.insert(key_of(next), next);
        }
      },
      [&] {
        for (C& tree : trees) {
          const std::uint64_t end = first + size;
          for (; first < end; ++first) {
            benchmark::DoNotOptimize(tree.map.erase(key_of(first)));
          }
        }
      });
}

constexpr std::uint64_t kGuests = 100'000;

template <class C>
void come(C& tree, std::uint64_t first) {
  for (std::uint64_t n = first; n < first + kGuests; ++n) {
    tree.insert(key_of(n), n);
  }
}
template <class C>
void go(C& tree, std::uint64_t first) {
  for (std::uint64_t n = first; n < first + kGuests; ++n) {
    benchmark::DoNotOptimize(tree.map.erase(key_of(n)));
  }
}

template <class C, bool Coming>
void guests(benchmark::State& state, std::size_t size) {
  C& tree = tree_of<C>(size);
  std::uint64_t first = size;
  if constexpr (Coming) {
    bench::timed(
        state, kGuests,
        [&] {
          if (first > size) go(tree, first - kGuests);
        },
        [&] {
          come(tree, first);
          first += kGuests;
        });
    go(tree, first - kGuests);
  } else {
    bench::timed(
        state, kGuests, [&] { come(tree, first); },
        [&] {
          go(tree, first);
          first += kGuests;
        });
  }
}

template <class C>
void build(benchmark::State& state, std::size_t size) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> sorted;
  for (std::uint64_t n = 0; n < size; ++n) sorted.emplace_back(n, n);
  C tree;
  bench::timed(
      state, size, [&] { tree.map.clear(); }, [&] { tree.build(sorted); });
}

template <class C>
void bytes(benchmark::State& state, std::size_t size, bool ascending) {
  bench::bytes_each<C, !std::is_same_v<C, Ours>>(state, size, [&](C& tree) {
    for (std::uint64_t n = 0; n < size; ++n) {
      tree.insert(ascending ? n : key_of(n), n);
    }
  });
}

// --- the table

using bench::add;
using bench::add_timed;

template <class C>
void add_contender(const std::string& who, std::size_t largest) {
  const std::array<std::pair<const char*, std::size_t>, 3> sizes = {
      {{"-1K", kThousand}, {"-1M", kMillion}, {"-10M", kTenMillion}}};
  for (const auto& [suffix, size] : sizes) {
    if (size > largest) continue;
    const std::string end = suffix + who;
    add("btree/find-hit" + end, [size](auto& s) { find<C, true>(s, size); });
    add("btree/find-miss" + end, [size](auto& s) { find<C, false>(s, size); });
    add("btree/range-100" + end, [size](auto& s) { range<C>(s, size); });
    add("btree/scan" + end, [size](auto& s) { scan<C>(s, size); });
    if (size == kTenMillion) {
      add("btree/find-batch" + end,
          [size](auto& s) { find_batch<C>(s, size); });
      add_timed("btree/insert-random" + end,
                [size](auto& s) { guests<C, true>(s, size); });
      add_timed("btree/erase-random" + end,
                [size](auto& s) { guests<C, false>(s, size); });
      continue;
    }
    add_timed("btree/insert-random" + end,
              [size](auto& s) { insert_random<C>(s, size); });
    add_timed("btree/insert-ascending" + end,
              [size](auto& s) { insert_ascending<C>(s, size); });
    add_timed("btree/append" + end, [size](auto& s) { append<C>(s, size); });
    add_timed("btree/erase-random" + end,
              [size](auto& s) { erase_random<C>(s, size); });
    add_timed("btree/build" + end, [size](auto& s) { build<C>(s, size); });
    if (size == kMillion) {
      add("btree/bytes-random" + end,
          [size](auto& s) { bytes<C>(s, size, false); });
      add("btree/bytes-ascending" + end,
          [size](auto& s) { bytes<C>(s, size, true); });
    }
  }
}

void add_all() {
  add_contender<Ours>("/ours", kTenMillion);
  add_contender<Absl>("/absl", kTenMillion);
  // At ten million it takes half a minute to make, and is nowhere near.
  add_contender<Std>("/std-map", kMillion);
  // Where the whole map is one sorted array: fair for look-ups.
  for (const auto& [suffix, size] :
       {std::pair{"-1K", kThousand}, std::pair{"-1M", kMillion}}) {
    add(std::string("btree/find-hit-flat") + suffix + "/ours",
        [size](auto& s) { find<Ours, true>(s, size); });
    add(std::string("btree/find-hit-flat") + suffix + "/flat-map",
        [size](auto& s) { find<Flat, true>(s, size); });
  }
}

}  // namespace
}  // namespace odo::btree

int main(int argc, char** argv) {
  odo::btree::add_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
