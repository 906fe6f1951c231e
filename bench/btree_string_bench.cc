// SPDX-License-Identifier: BSD-3-Clause
// Maps of strings beside absl::btree_map<std::string, ...>: a million keys that
// look like URLs, of 30 to 90 bytes, from a thousand hosts, in random order.
//
// Trees that are only read are made once a process, by inserting in random
// order. Where a case changes its tree, only the change is timed. Both are
// asked with std::string_view. A `scan` has each element, and reads
// its key's length and its value; `scan-joined` wants each key as one
// std::string_view, which ours must put together, and reads its end.
#include <absl/container/btree_map.h>
#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "bench/tree_cases.h"
#include "lib/btree/string_map.h"

namespace odo::btree {
namespace {

constexpr std::size_t kMillion = 1'000'000;

// The n-th URL, no two the same: a few hosts have many of them.
std::string url(std::uint64_t n) {
  static constexpr std::string_view kWords[] = {
      "news",   "images", "archive",  "article", "user",   "products",
      "static", "forum",  "download", "wiki",    "search", "category",
      "blog",   "media",  "2024",     "2025"};
  std::uint64_t random = bench::mixed(n + 1);
  const auto draw = [&](std::uint64_t below) {
    const std::uint64_t drawn = random % below;
    random = bench::mixed(random + 0x9e3779b97f4a7c15);
    return drawn;
  };
  std::string text = "https://";
  if (draw(2) == 0) text += "www.";
  text += "host" + std::to_string(draw(1 + draw(1000))) + ".example.org/";
  for (std::uint64_t depth = draw(4); depth > 0; --depth) {
    text += kWords[draw(std::size(kWords))];
    text += '/';
  }
  if (draw(3) == 0) text += "index-of-everything-";
  text += std::to_string(n * 2'654'435'761 % 4'294'967'296);
  if (draw(2) == 0) text += ".html";
  return text;
}

const std::vector<std::string>& urls() {
  // The second million is never in a tree.
  static const std::vector<std::string> all = [] {
    std::vector<std::string> made;
    for (std::uint64_t n = 0; n < 2 * kMillion; ++n) made.push_back(url(n));
    return made;
  }();
  return all;
}

// --- contenders

// Of a key that lies in one piece, what tells it from its neighbours.
std::uint64_t read(std::string_view key) {
  std::uint64_t last;
  std::memcpy(&last, key.data() + key.size() - sizeof last, sizeof last);
  return last + key.size();
}

struct Ours {
  BTreeStringMap<std::uint64_t> map;

  void insert(std::string_view key, std::uint64_t value) {
    benchmark::DoNotOptimize(map.insert(key, value).has_value());
  }
  std::uint64_t scan() {
    std::uint64_t sum = 0;
    for (const auto [key, value] : map) sum += key.size() ^ value;
    return sum;
  }
  std::uint64_t scan_joined() {
    std::uint64_t sum = 0;
    decltype(map)::KeyBuffer buffer;
    const auto end = map.end();
    for (auto it = map.begin(); it != end; ++it) {
      sum += read(it.key(buffer)) ^ it.value();
    }
    return sum;
  }
  void build(const std::vector<std::pair<std::string, std::uint64_t>>& from) {
    map = *decltype(map)::build(from);
  }
  [[nodiscard]] std::size_t bytes() const { return map.bytes(); }
};

struct Absl {
  using Slot = std::pair<const std::string, std::uint64_t>;
  absl::btree_map<std::string, std::uint64_t, std::less<>, bench::Counted<Slot>>
      map;

  void insert(std::string_view key, std::uint64_t value) {
    benchmark::DoNotOptimize(map.try_emplace(key, value).second);
  }
  std::uint64_t scan() {
    std::uint64_t sum = 0;
    for (const auto& [key, value] : map) sum += key.size() ^ value;
    return sum;
  }
  std::uint64_t scan_joined() {
    std::uint64_t sum = 0;
    for (const auto& [key, value] : map) sum += read(key) ^ value;
    return sum;
  }
  void build(const std::vector<std::pair<std::string, std::uint64_t>>& from) {
    map = decltype(map)(from.begin(), from.end());
  }
  // What it asked for; what malloc adds is not counted, on either side.
  [[nodiscard]] std::size_t bytes() const {
    std::size_t all = bench::counted_bytes;
    const std::size_t inside = std::string().capacity();
    for (const auto& [key, value] : map) {
      if (key.capacity() > inside) all += key.capacity() + 1;
    }
    return all;
  }
};

template <class C>
C& tree_of_all() {
  static const std::unique_ptr<C> one = [] {
    auto made = std::make_unique<C>();
    for (std::uint64_t n = 0; n < kMillion; ++n) made->insert(urls()[n], n);
    return made;
  }();
  return *one;
}

// False, and the benchmark an error, unless both trees hold the same.
bool same(benchmark::State& state) {
  static const bool kSame =
      tree_of_all<Ours>().scan_joined() == tree_of_all<Absl>().scan_joined();
  if (!kSame) state.SkipWithError("the contenders differ");
  return kSame;
}

// Which to ask for, drawn beforehand.
const std::vector<std::uint32_t>& order() {
  static const std::vector<std::uint32_t> drawn = [] {
    std::vector<std::uint32_t> made;
    for (std::uint64_t n = 0; n < kMillion; ++n) {
      made.push_back(
          static_cast<std::uint32_t>(bench::mixed(n ^ 0x1234567) % kMillion));
    }
    return made;
  }();
  return drawn;
}

// Queries that lie side by side: reading them is not what is measured.
class Queries {
 public:
  explicit Queries(bool hit) {
    texts_.reserve(kQueries);
    for (std::size_t i = 0; i < kQueries; ++i) {
      texts_.push_back(urls()[order()[i] + (hit ? 0 : kMillion)]);
    }
  }
  std::string_view next() {
    const std::string_view text = texts_[at_];
    at_ = (at_ + 1) % kQueries;
    return text;
  }

 private:
  static constexpr std::size_t kQueries = 1 << 18;
  std::vector<std::string> texts_;
  std::size_t at_ = 0;
};

// --- cases

template <class C, bool Hit>
void find(benchmark::State& state) {
  if (!same(state)) return;
  Queries queries(Hit);
  bench::find_all<Hit>(state, tree_of_all<C>().map, queries);
}

template <class C>
void scan(benchmark::State& state) {
  C& tree = tree_of_all<C>();
  for (auto _ : state) benchmark::DoNotOptimize(tree.scan());
  state.SetItemsProcessed(state.iterations() * std::int64_t{kMillion});
}
template <class C>
void scan_joined(benchmark::State& state) {
  C& tree = tree_of_all<C>();
  for (auto _ : state) benchmark::DoNotOptimize(tree.scan_joined());
  state.SetItemsProcessed(state.iterations() * std::int64_t{kMillion});
}

template <class C>
void range(benchmark::State& state) {
  Queries queries(false);
  bench::range_100(state, tree_of_all<C>().map, queries);
}

template <class C>
void insert_random(benchmark::State& state) {
  const auto& keys = urls();
  C tree;
  bench::timed(
      state, kMillion, [&] { tree.map.clear(); },
      [&] {
        for (std::uint64_t n = 0; n < kMillion; ++n) tree.insert(keys[n], n);
      });
}

template <class C>
void erase_random(benchmark::State& state) {
  const auto& keys = urls();
  // Not in the order in which they came.
  std::vector<std::uint32_t> turn(kMillion);
  for (std::uint32_t n = 0; n < kMillion; ++n) {
    turn[n] =
        static_cast<std::uint32_t>(n * std::uint64_t{7'368'787} % kMillion);
  }
  C tree;
  bench::timed(
      state, kMillion,
      [&] {
        for (std::uint64_t n = 0; n < kMillion; ++n) tree.insert(keys[n], n);
      },
      [&] {
        for (const std::uint32_t n : turn) {
          benchmark::DoNotOptimize(tree.map.erase(std::string_view(keys[n])));
        }
      });
}

template <class C>
void build(benchmark::State& state) {
  std::vector<std::pair<std::string, std::uint64_t>> sorted;
  for (const auto& [key, value] : tree_of_all<Absl>().map) {
    sorted.emplace_back(key, value);
  }
  C tree;
  bench::timed(
      state, kMillion, [&] { tree.map.clear(); }, [&] { tree.build(sorted); });
}

template <class C>
void bytes(benchmark::State& state) {
  bench::bytes_each<C, !std::is_same_v<C, Ours>>(state, kMillion, [](C& tree) {
    for (std::uint64_t n = 0; n < kMillion; ++n) tree.insert(urls()[n], n);
  });
}

// --- the table

using bench::add;
using bench::add_timed;

template <class C>
void add_contender(const std::string& who) {
  const std::string end = "-1M/" + who;
  add("btree/strings-find-hit" + end, find<C, true>);
  add("btree/strings-find-miss" + end, find<C, false>);
  add("btree/strings-range-100" + end, range<C>);
  add("btree/strings-scan" + end, scan<C>);
  add("btree/strings-scan-joined" + end, scan_joined<C>);
  add_timed("btree/strings-insert-random" + end, insert_random<C>);
  add_timed("btree/strings-erase-random" + end, erase_random<C>);
  add_timed("btree/strings-build" + end, build<C>);
  add("btree/strings-bytes" + end, bytes<C>);
}

}  // namespace
}  // namespace odo::btree

int main(int argc, char** argv) {
  odo::btree::add_contender<odo::btree::Ours>("ours");
  odo::btree::add_contender<odo::btree::Absl>("absl");
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
