// SPDX-License-Identifier: BSD-3-Clause
// Operations on a container and on a std::multimap beside it, chosen by bytes:
// for tests that draw the bytes, and for the fuzzer that is given them.
//
// After each operation the two must agree on its answer, and after each
// `check_every` of them on everything, with all invariants asked. Memory is
// refused as the bytes say; what failed must have changed nothing.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/check.h"
#include "lib/btree/testing/failing_nodes.h"
#include "lib/btree/testing/inspector.h"

namespace odo::btree::testing {

// `Make` gives keys and values for small numbers, in the numbers' order:
//   static K key(std::uint16_t); static V value(std::uint32_t);
//   static std::uint16_t number(const K&); static std::uint32_t number(const
//   V&)
template <class C, class Make, bool Unique>
class Operations {
  using K = C::key_type;
  using Model = std::multimap<std::uint16_t, std::uint32_t>;

 public:
  Operations() : container_(FailingNodes(ledger_)) {}
  Operations(const Operations&) = delete;
  Operations& operator=(const Operations&) = delete;
  Operations(Operations&&) = delete;
  Operations& operator=(Operations&&) = delete;
  ~Operations() {
    container_.clear();
    ODO_CHECK(ledger_.live == 0);
  }

  void run(std::span<const std::uint8_t> bytes, std::size_t check_every) {
    bytes_ = bytes;
    for (std::size_t done = 1; !bytes_.empty(); ++done) {
      step();
      if (done % check_every == 0) check();
    }
    check();
  }

  void check() {
    const std::string faults = faults_of(container_);
    if (!faults.empty()) {
      std::fprintf(stderr, "%s\n", faults.c_str());
      ODO_PANIC("a tree's invariants do not hold");
    }
    ODO_CHECK(container_.size() == model_.size());
    auto it = container_.begin();
    for (const auto& [key, value] : model_) {
      ODO_CHECK(it != container_.end());
      ODO_CHECK(same(it, key, value));
      ++it;
    }
    ODO_CHECK(it == container_.end());
    for (auto back = model_.rbegin(); back != model_.rend(); ++back) {
      --it;
      ODO_CHECK(same(it, back->first, back->second));
    }
    ODO_CHECK(it == container_.begin());
  }

  [[nodiscard]] std::size_t size() const { return model_.size(); }

 private:
  std::uint8_t byte() {
    if (bytes_.empty()) return 0;
    const std::uint8_t first = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return first;
  }
  std::uint16_t number() {
    const std::uint16_t high = byte();
    return static_cast<std::uint16_t>((high << 8 | byte()) % 4096);
  }

  template <class It>
  bool same(It it, std::uint16_t key, std::uint32_t value) const {
    return Make::number(it.key()) == key &&
           Make::value_number(it.value()) == value;
  }
  template <class It>
  void agree(It it, Model::const_iterator at) {
    if (at == model_.end()) {
      ODO_CHECK(it == container_.end());
    } else {
      ODO_CHECK(it != container_.end() && same(it, at->first, at->second));
    }
  }

  void step() {
    const std::uint8_t what = byte();
    // An eighth of all operations meet a refusal, sooner or later.
    if ((what & 7) == 7) ledger_.granted = byte() % 4;
    switch (what >> 3 & 15) {
      case 0:
      case 1:
      case 2:
        insert(number());
        break;
      case 3:
        // A run, upwards or downwards.
        insert_run(number(), byte());
        break;
      case 4:
        insert_near(number());
        break;
      case 5:
      case 6:
        erase_at(number());
        break;
      case 7:
        erase_key(number());
        break;
      case 8:
        erase_range(number(), byte());
        break;
      case 9:
        split_and_join(number(), byte());
        break;
      case 10:
        look_up(number());
        break;
      case 11:
        build();
        break;
      case 12:
        move_around();
        break;
      case 13:
        find_many(number());
        break;
      case 14:
        update(number());
        break;
      default:
        if (byte() < 8) {
          container_.clear();
          model_.clear();
        }
        break;
    }
    ledger_.granted = NodeLedger().granted;
  }

  bool insert(std::uint16_t key) {
    const std::uint32_t value = ++values_;
    const std::uint64_t refused = ledger_.refused;
    auto result = container_.insert(Make::key(key), Make::value(value));
    if (!result) {
      ODO_CHECK(result.error() == Error::kNoMemory &&
                ledger_.refused == refused + 1);
      return false;
    }
    const bool fresh = !Unique || !model_.contains(key);
    ODO_CHECK(result->second == fresh);
    if (fresh) model_.emplace(key, value);
    ODO_CHECK(Make::number(result->first.key()) == key);
    if (fresh) ODO_CHECK(Make::value_number(result->first.value()) == value);
    return true;
  }

  void insert_run(std::uint16_t key, std::uint8_t how) {
    for (int i = 0; i < (how & 127) + 1; ++i) {
      if (!insert(key)) return;
      key = static_cast<std::uint16_t>(((how & 128) != 0 ? key + 1 : key - 1) &
                                       4095);
    }
  }

  void insert_near(std::uint16_t key) {
    // Often the right place, sometimes one beside it.
    auto hint = container_.lower_bound(Make::key(key));
    if ((byte() & 3) == 0 && hint != container_.begin()) --hint;
    const std::uint32_t value = ++values_;
    auto result =
        container_.insert_near(hint, Make::key(key), Make::value(value));
    if (!result) return;
    const bool fresh = !Unique || !model_.contains(key);
    ODO_CHECK(result->second == fresh);
    if (fresh) model_.emplace(key, value);
  }

  void erase_at(std::uint16_t key) {
    const auto it = container_.find(Make::key(key));
    const auto at = model_.find(key) == model_.end() ? model_.end()
                                                     : model_.lower_bound(key);
    agree(it, at);
    if (at == model_.end()) return;
    const auto next = container_.erase(it);
    agree(next, model_.erase(at));
  }

  void erase_key(std::uint16_t key) {
    ODO_CHECK(container_.erase(Make::key(key)) == model_.erase(key));
  }

  void erase_range(std::uint16_t from, std::uint8_t width) {
    const auto to = static_cast<std::uint16_t>(from + width * 4);
    const auto first = model_.lower_bound(from);
    const auto last = model_.lower_bound(to);
    const auto gone = static_cast<std::size_t>(std::distance(first, last));
    if ((width & 1) != 0) {
      ODO_CHECK(container_.erase_range(Make::key(from), Make::key(to)) == gone);
      model_.erase(first, last);
    } else {
      const auto next =
          container_.erase(container_.lower_bound(Make::key(from)),
                           container_.lower_bound(Make::key(to)));
      agree(next, model_.erase(first, last));
    }
  }

  void split_and_join(std::uint16_t key, std::uint8_t how) {
    auto result = container_.split(Make::key(key));
    if (!result) return;
    C right = *std::move(result);
    const auto cut = model_.lower_bound(key);
    const auto left =
        static_cast<std::size_t>(std::distance(model_.begin(), cut));
    ODO_CHECK(container_.size() == left);
    ODO_CHECK(right.size() == model_.size() - left);
    ODO_CHECK(faults_of(container_).empty() && faults_of(right).empty());
    if (how < 16) {
      model_.erase(cut, model_.end());
      return;
    }
    if (how < 32) {
      // The wrong way round is refused, unless one is empty.
      auto wrong = right.concatenate(container_);
      if (left != 0 && left != model_.size()) {
        ODO_CHECK(!wrong && wrong.error() == Error::kUnsorted);
      } else if (left != 0) {
        container_ = std::move(right);
        return;
      }
    }
    if (!container_.concatenate(right)) {
      ODO_CHECK(faults_of(container_).empty() && faults_of(right).empty());
      ODO_CHECK(container_.size() == left);
      ledger_.granted = NodeLedger().granted;
      ODO_CHECK(container_.concatenate(right).has_value());
    }
    ODO_CHECK(right.empty());
  }

  void look_up(std::uint16_t key) {
    const C& container = container_;
    agree(container.lower_bound(Make::key(key)), model_.lower_bound(key));
    agree(container.upper_bound(Make::key(key)), model_.upper_bound(key));
    ODO_CHECK(container.count(Make::key(key)) == model_.count(key));
    ODO_CHECK(container.contains(Make::key(key)) == model_.contains(key));
    if constexpr (requires { container.rank(Make::key(key)); }) {
      const auto before = static_cast<std::size_t>(
          std::distance(model_.begin(), model_.lower_bound(key)));
      ODO_CHECK(container.rank(Make::key(key)) == before);
      agree(container.nth(before), model_.lower_bound(key));
      ODO_CHECK(container.summary() == model_.size());
    }
    if constexpr (requires { typename C::Augment::EndOf; }) {
      overlaps(key, byte());
    }
  }

  void overlaps(std::uint16_t from, std::uint8_t width)
  requires requires { typename C::Augment::EndOf; }
  {
    const std::uint32_t to = from + std::uint32_t{width} + 1;
    std::vector<std::pair<std::uint16_t, std::uint32_t>> want;
    for (const auto& [key, value] : model_) {
      if (key < to && Make::end(value) > from) want.emplace_back(key, value);
    }
    std::size_t found = 0;
    container_.overlapping(std::uint32_t{from}, to, [&](auto it) {
      ODO_CHECK(found < want.size());
      ODO_CHECK(same(it, want[found].first, want[found].second));
      ++found;
      return true;
    });
    ODO_CHECK(found == want.size());
  }

  void build() {
    std::vector<std::pair<K, typename C::mapped_type>> sorted;
    for (const auto& [key, value] : model_) {
      sorted.emplace_back(Make::key(key), Make::value(value));
    }
    if (sorted.size() > 1 && byte() < 16) {
      std::swap(sorted.front(), sorted.back());
      const bool differ = model_.begin()->first != model_.rbegin()->first;
      auto wrong = C::build(moving(sorted), typename C::key_compare(),
                            FailingNodes(ledger_));
      if (differ) ODO_CHECK(!wrong);
      return;
    }
    auto built = C::build(moving(sorted), typename C::key_compare(),
                          FailingNodes(ledger_));
    if (!built) return;
    container_ = *std::move(built);
    ODO_CHECK(faults_of(container_).empty());
  }

  // Elements that are moved from, for keys that cannot be copied.
  template <class Sorted>
  static auto moving(Sorted& sorted) {
    using It = std::move_iterator<typename Sorted::iterator>;
    struct Range {
      It first;
      It last;
      [[nodiscard]] It begin() const { return first; }
      [[nodiscard]] It end() const { return last; }
    };
    return Range{It(sorted.begin()), It(sorted.end())};
  }

  void move_around() {
    C other = std::move(container_);
    ODO_CHECK(container_.empty() && container_.begin() == container_.end());
    container_ = std::move(other);
  }

  void find_many(std::uint16_t key) {
    std::vector<K> keys;
    const std::size_t count = byte() % 40U;
    for (std::size_t i = 0; i < count; ++i) {
      keys.push_back(Make::key(static_cast<std::uint16_t>(key + i)));
    }
    std::size_t answers = 0;
    container_.find_each(keys, [&](std::size_t i, auto it) {
      const auto want = static_cast<std::uint16_t>(key + i);
      ++answers;
      ODO_CHECK((it != std::as_const(container_).end()) ==
                model_.contains(want));
      if (model_.contains(want)) {
        const auto at = model_.lower_bound(want);
        ODO_CHECK(same(it, at->first, at->second));
      }
    });
    ODO_CHECK(answers == count);
  }

  void update(std::uint16_t key) {
    const auto it = container_.lower_bound(Make::key(key));
    const auto at = model_.lower_bound(key);
    if (at == model_.end()) return;
    at->second = ++values_;
    container_.update(it, [&](auto& value) { value = Make::value(values_); });
  }

  NodeLedger ledger_;
  C container_;
  Model model_;
  std::uint32_t values_ = 0;
  std::span<const std::uint8_t> bytes_;
};

}  // namespace odo::btree::testing
