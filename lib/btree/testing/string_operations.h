// SPDX-License-Identifier: BSD-3-Clause
// Operations on a map of strings and on a std::map beside it, chosen by bytes:
// for tests that draw the bytes, and for the fuzzer that is given them.
//
// Keys are what is hard for such a tree: empty ones, runs of zeros and of 0xFF,
// keys that begin others, long shared prefixes, heads that are the same, keys
// of the greatest length and beyond. After each operation both must agree on
// its answer, and after each `check_every` of them on everything, with all
// invariants asked. Memory is refused as the bytes say; what failed must have
// changed nothing.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/check.h"
#include "lib/btree/search.h"
#include "lib/btree/string_map.h"
#include "lib/btree/testing/failing_nodes.h"
#include "lib/btree/testing/string_inspector.h"

namespace odo::btree::testing {

// Small pages: a few hundred keys make several levels.
struct SmallPages : StringOptions {
  using Allocator = FailingNodes;
  static constexpr std::size_t kLeafBytes = 200;
  static constexpr std::size_t kInnerBytes = 168;
  static constexpr std::size_t kMaxKeyBytes = 500;
};
struct UsualPages : StringOptions {
  using Allocator = FailingNodes;
};
struct LinearPages : SmallPages {
  using Search = LinearSearch;
};

// `Make` has values: static V value(std::uint32_t), and back: number(const V&).
template <class V, class Choice, class Make>
class StringOperations {
  using C = BTreeStringMap<V, Choice>;
  using Model = std::map<std::string, std::uint32_t>;

 public:
  StringOperations() : container_(FailingNodes(ledger_)) {}
  StringOperations(const StringOperations&) = delete;
  StringOperations& operator=(const StringOperations&) = delete;
  StringOperations(StringOperations&&) = delete;
  StringOperations& operator=(StringOperations&&) = delete;
  ~StringOperations() {
    container_.clear();
    ODO_CHECK(container_.bytes() == 0);
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
    for (const auto& element : model_) {
      ODO_CHECK(it != container_.end());
      ODO_CHECK(same(it, element));
      ++it;
    }
    ODO_CHECK(it == container_.end());
    for (auto back = model_.rbegin(); back != model_.rend(); ++back) {
      --it;
      ODO_CHECK(same(it, *back));
    }
    ODO_CHECK(it == container_.begin());
  }

  [[nodiscard]] std::size_t size() const { return model_.size(); }
  [[nodiscard]] std::size_t height() const {
    return StringInspector<V, Choice>::height(container_);
  }

 private:
  static constexpr std::size_t kMost = Choice::kMaxKeyBytes;

  std::uint8_t byte() {
    if (bytes_.empty()) return 0;
    const std::uint8_t first = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return first;
  }

  std::string letters(std::size_t count) {
    static constexpr std::string_view kLetters(
        "\0\x01"
        "ab\x7f\x80\xfe\xff",
        8);
    std::string text;
    for (std::size_t i = 0; i < count; ++i) text += kLetters[byte() % 8];
    return text;
  }

  std::string key() {
    const std::uint8_t kind = byte();
    const std::size_t size = kind >> 4;
    switch (kind & 15) {
      case 0:
        return letters(size % 4);
      case 1:
        return letters(size);
      case 2: {
        // Long prefixes, shared by many.
        static constexpr std::size_t kLengths[] = {
            1, 7, 8, 9, 15, 16, 17, 24, 31, 40, 64, 90, 99, 120, 160, 190};
        return std::string(kLengths[size], 'p') + letters(byte() % 4);
      }
      case 3:
        return std::string(size * 3, '\xff') + letters(byte() % 2);
      case 4:
        return std::string(size * 3, '\0') + letters(byte() % 2);
      case 5: {
        // A beginning of one that is there, or one that it begins.
        const auto at = model_.lower_bound(letters(2));
        if (at == model_.end()) return letters(size);
        if (size < 8) return at->first.substr(0, at->first.size() * size / 8);
        return (at->first + letters(size - 7)).substr(0, kMost);
      }
      case 6:
        // Of the greatest length, or beyond.
        if (byte() < 16) return std::string(kMost + 1 + size, 'q');
        // Not often where they are long: comparing them takes its time.
        if (kMost > 1000 && byte() >= 64) return letters(size);
        return std::string(kMost - 2, 'p' + static_cast<char>(size % 2)) +
               letters(size % 3);
      case 7:
        return (size < 8 ? "http://host/" : "http://other.host/page-") +
               std::to_string(byte() * 256 + byte());
      case 8: {
        // Changes one byte of one that is there.
        const auto at = model_.lower_bound(letters(2));
        if (at == model_.end() || at->first.empty()) return letters(size);
        std::string text = at->first;
        text[byte() % text.size()] = static_cast<char>(byte());
        return text;
      }
      default:
        return std::to_string((byte() * 256 + byte()) % 4096);
    }
  }

  template <class It>
  bool same(It it, const Model::value_type& element) {
    const StringKey key = it.key();
    const std::string_view text = it.key(buffer_);
    ODO_CHECK(text == element.first);
    ODO_CHECK(key == element.first && key.size() == text.size());
    return Make::number(it.value()) == element.second;
  }
  template <class It>
  void agree(It it, Model::const_iterator at) {
    if (at == model_.end()) {
      ODO_CHECK(it == container_.end());
    } else {
      ODO_CHECK(it != container_.end() && same(it, *at));
    }
  }

  void step() {
    const std::uint8_t operation = byte();
    // Now and then memory runs out after a few pages.
    if (operation >= 224) ledger_.granted = (operation >> 3) & 3;
    switch (operation & 15) {
      case 0:
      case 1:
      case 2:
      case 3:
        insert(key());
        break;
      case 4:
        insert_run(key(), byte());
        break;
      case 5:
        assign(key());
        break;
      case 6:
      case 7:
        erase_at(key());
        break;
      case 8:
        erase_key(key());
        break;
      case 9:
        erase_run(key(), byte());
        break;
      case 10:
      case 11:
        look_up(key());
        break;
      case 12:
        prefix(key());
        break;
      case 13:
        if (byte() < 32) build();
        break;
      case 14:
        move_around();
        break;
      default:
        if (byte() < 4) {
          container_.clear();
          model_.clear();
        }
        break;
    }
    ledger_.granted = NodeLedger().granted;
  }

  bool insert(const std::string& key) {
    const std::uint32_t value = ++values_;
    const std::uint64_t refused = ledger_.refused;
    const std::size_t live = ledger_.live;
    auto result = container_.insert(key, Make::value(value));
    if (!result) {
      if (key.size() > kMost) {
        ODO_CHECK(result.error() == Error::kTooLong);
      } else {
        ODO_CHECK(result.error() == Error::kNoMemory);
        ODO_CHECK(ledger_.refused == refused + 1 && ledger_.live == live);
      }
      return false;
    }
    const bool fresh = model_.emplace(key, value).second;
    ODO_CHECK(result->second == fresh);
    ODO_CHECK(result->first.key() == key);
    if (fresh) ODO_CHECK(Make::number(result->first.value()) == value);
    return true;
  }

  // Keys that count up, or down.
  void insert_run(const std::string& key, std::uint8_t how) {
    for (int i = 0; i < (how & 63) + 1; ++i) {
      const int number = (how & 128) != 0 ? i : 999 - i;
      std::string digits = std::to_string(number);
      digits.insert(0, 3 - digits.size(), '0');
      std::string text = key;
      text += digits;
      if ((how & 64) != 0) text += key;
      if (!insert(text)) return;
    }
  }

  void assign(const std::string& key) {
    const std::uint32_t value = ++values_;
    auto result = container_.insert_or_assign(key, Make::value(value));
    if (!result) return;
    ODO_CHECK(result->second == !model_.contains(key));
    model_[key] = value;
    agree(result->first, model_.find(key));
  }

  void erase_at(const std::string& key) {
    const auto it = container_.lower_bound(key);
    const auto at = model_.lower_bound(key);
    agree(it, at);
    if (at == model_.end()) return;
    const auto next = container_.erase(it);
    agree(next, model_.erase(at));
  }
  void erase_key(const std::string& key) {
    ODO_CHECK(container_.erase(key) == model_.erase(key));
  }
  void erase_run(const std::string& key, std::uint8_t count) {
    auto it = container_.lower_bound(key);
    auto at = model_.lower_bound(key);
    for (int i = 0; i < (count & 63) && at != model_.end(); ++i) {
      it = container_.erase(it);
      at = model_.erase(at);
      agree(it, at);
    }
  }

  void look_up(const std::string& key) {
    const C& container = container_;
    agree(container.find(key), model_.find(key));
    agree(container.lower_bound(key), model_.lower_bound(key));
    agree(container.upper_bound(key), model_.upper_bound(key));
    ODO_CHECK(container.contains(key) == model_.contains(key));
  }

  void prefix(const std::string& key) {
    auto at = model_.lower_bound(key);
    for (auto [found, value] : container_.with_prefix(key)) {
      ODO_CHECK(at != model_.end() && found == at->first);
      ODO_CHECK(Make::number(value) == at->second);
      ODO_CHECK(found.starts_with(std::string_view(key)));
      ++at;
    }
    ODO_CHECK(at == model_.end() || !at->first.starts_with(key));
  }

  void build() {
    std::vector<std::pair<std::string, V>> sorted;
    for (const auto& [key, value] : model_) {
      sorted.emplace_back(key, Make::value(value));
    }
    const bool wrong = sorted.size() > 1 && byte() < 64;
    if (wrong) std::swap(sorted.front(), sorted.back());
    using It = std::move_iterator<
        typename std::vector<std::pair<std::string, V>>::iterator>;
    struct Range {
      It first;
      It last;
      [[nodiscard]] It begin() const { return first; }
      [[nodiscard]] It end() const { return last; }
    };
    auto built = C::build(Range{It(sorted.begin()), It(sorted.end())},
                          FailingNodes(ledger_));
    if (!built) return;
    ODO_CHECK(!wrong);
    container_ = *std::move(built);
    ODO_CHECK(faults_of(container_).empty());
  }

  void move_around() {
    C other = std::move(container_);
    ODO_CHECK(container_.empty() && container_.begin() == container_.end());
    container_ = std::move(other);
  }

  NodeLedger ledger_;
  C container_;
  Model model_;
  C::KeyBuffer buffer_;
  std::uint32_t values_ = 0;
  std::span<const std::uint8_t> bytes_;
};

struct PlainValues {
  static std::uint64_t value(std::uint32_t n) { return n; }
  static std::uint32_t number(std::uint64_t value) {
    return static_cast<std::uint32_t>(value);
  }
};
// Values that cannot be copied, nor moved as bytes.
struct OwnedValues {
  static std::unique_ptr<std::uint32_t> value(std::uint32_t n) {
    return std::make_unique<std::uint32_t>(n);
  }
  static std::uint32_t number(const std::unique_ptr<std::uint32_t>& value) {
    return *value;
  }
};
// A value that spots must be aligned behind.
struct ByteValues {
  struct alignas(1) Three {
    std::uint8_t bytes[3];
  };
  static Three value(std::uint32_t n) {
    return {{static_cast<std::uint8_t>(n), static_cast<std::uint8_t>(n >> 8),
             static_cast<std::uint8_t>(n >> 16)}};
  }
  static std::uint32_t number(const Three& value) {
    return value.bytes[0] | std::uint32_t{value.bytes[1]} << 8 |
           std::uint32_t{value.bytes[2]} << 16;
  }
};

using SmallStringMap = StringOperations<std::uint64_t, SmallPages, PlainValues>;
using UsualStringMap = StringOperations<std::uint64_t, UsualPages, PlainValues>;
using LinearStringMap =
    StringOperations<std::uint64_t, LinearPages, PlainValues>;
using OwnerStringMap =
    StringOperations<std::unique_ptr<std::uint32_t>, SmallPages, OwnedValues>;
using ByteStringMap =
    StringOperations<ByteValues::Three, SmallPages, ByteValues>;

}  // namespace odo::btree::testing
