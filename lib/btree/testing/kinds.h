// SPDX-License-Identifier: BSD-3-Clause
// The kinds of tree that tests and the fuzzer drive: small nodes, so that a few
// hundred elements make several levels, and each way in which a key or a value
// can be awkward.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "lib/btree/map.h"
#include "lib/btree/testing/failing_nodes.h"
#include "lib/btree/testing/operations.h"

namespace odo::btree::testing {

template <class K, class Order = std::less<K>, std::uint32_t Spread = 3>
struct SmallNodes : Options<K, Order> {
  using Allocator = FailingNodes;
  static constexpr std::size_t kLeafBytes = 96;
  static constexpr std::size_t kInnerBytes = 80;
  static constexpr std::uint32_t kSpread = Spread;
};

// Keys that separators copy; values moved as bytes.
struct Numbers {
  static std::uint64_t key(std::uint16_t n) { return n; }
  static std::uint32_t value(std::uint32_t n) { return n; }
  static std::uint16_t number(std::uint64_t key) {
    return static_cast<std::uint16_t>(key);
  }
  static std::uint32_t value_number(std::uint32_t value) { return value; }
};

// Keys with memory of their own; values that cannot be copied.
struct Words {
  static std::string key(std::uint16_t n) {
    std::string digits = std::to_string(n);
    // Long enough to be on the heap, and in the numbers' order.
    return std::string(40 - digits.size(), '0') + digits;
  }
  static std::unique_ptr<std::uint32_t> value(std::uint32_t n) {
    return std::make_unique<std::uint32_t>(n);
  }
  static std::uint16_t number(const std::string& key) {
    return static_cast<std::uint16_t>(std::stoul(key));
  }
  static std::uint32_t value_number(
      const std::unique_ptr<std::uint32_t>& value) {
    return *value;
  }
};

// Keys that cannot be copied.
struct Owners {
  struct Order {
    using is_transparent = void;
    bool operator()(const std::unique_ptr<std::uint16_t>& a,
                    const std::unique_ptr<std::uint16_t>& b) const {
      return *a < *b;
    }
    bool operator()(const std::unique_ptr<std::uint16_t>& a,
                    std::uint16_t b) const {
      return *a < b;
    }
    bool operator()(std::uint16_t a,
                    const std::unique_ptr<std::uint16_t>& b) const {
      return a < *b;
    }
  };
  static std::unique_ptr<std::uint16_t> key(std::uint16_t n) {
    return std::make_unique<std::uint16_t>(n);
  }
  static std::uint64_t value(std::uint32_t n) { return n; }
  static std::uint16_t number(const std::unique_ptr<std::uint16_t>& key) {
    return *key;
  }
  static std::uint32_t value_number(std::uint64_t value) {
    return static_cast<std::uint32_t>(value);
  }
};

// Intervals from the key to an end that the value has.
struct Spans {
  static std::uint32_t end(std::uint32_t value) {
    return value * 2654435761U >> 20;
  }
  struct End {
    static std::uint32_t lowest() { return 0; }
    static std::uint32_t of(std::uint32_t value) { return end(value); }
  };
  static std::uint32_t key(std::uint16_t n) { return n; }
  static std::uint32_t value(std::uint32_t n) { return n; }
  static std::uint16_t number(std::uint32_t key) {
    return static_cast<std::uint16_t>(key);
  }
  static std::uint32_t value_number(std::uint32_t value) { return value; }
};

struct Counting : SmallNodes<std::uint64_t> {
  using Augment = CountAugment;
};
struct Reaching : SmallNodes<std::uint32_t> {
  using Augment = MaxEndAugment<Spans::End>;
};
// The least that nodes can be: four of everything.
struct Tiny : SmallNodes<std::uint64_t> {
  static constexpr std::size_t kLeafBytes = 8;
  static constexpr std::size_t kInnerBytes = 8;
};
struct Alone : SmallNodes<std::uint64_t, std::less<>, 1> {};
struct Linear : SmallNodes<std::uint64_t> {
  using Search = LinearSearch;
};

using NumberMap = Operations<
    BTreeMap<std::uint64_t, std::uint32_t, SmallNodes<std::uint64_t>>, Numbers,
    true>;
using NumberMultiMap = Operations<
    BTreeMultiMap<std::uint64_t, std::uint32_t, SmallNodes<std::uint64_t>>,
    Numbers, false>;
using TinyMap =
    Operations<BTreeMap<std::uint64_t, std::uint32_t, Tiny>, Numbers, true>;
using TinyMultiMap =
    Operations<BTreeMultiMap<std::uint64_t, std::uint32_t, Tiny>, Numbers,
               false>;
using AloneMap =
    Operations<BTreeMap<std::uint64_t, std::uint32_t, Alone>, Numbers, true>;
using LinearMap =
    Operations<BTreeMap<std::uint64_t, std::uint32_t, Linear>, Numbers, true>;
using WordMap = Operations<BTreeMap<std::string, std::unique_ptr<std::uint32_t>,
                                    SmallNodes<std::string, std::less<>>>,
                           Words, true>;
using WordMultiMap =
    Operations<BTreeMultiMap<std::string, std::unique_ptr<std::uint32_t>,
                             SmallNodes<std::string>>,
               Words, false>;
using OwnerMap = Operations<
    BTreeMap<std::unique_ptr<std::uint16_t>, std::uint64_t,
             SmallNodes<std::unique_ptr<std::uint16_t>, Owners::Order>>,
    Owners, true>;
using CountingMap =
    Operations<BTreeMap<std::uint64_t, std::uint32_t, Counting>, Numbers, true>;
using CountingMultiMap =
    Operations<BTreeMultiMap<std::uint64_t, std::uint32_t, Counting>, Numbers,
               false>;
using SpanMap =
    Operations<BTreeMap<std::uint32_t, std::uint32_t, Reaching>, Spans, true>;
using SpanMultiMap =
    Operations<BTreeMultiMap<std::uint32_t, std::uint32_t, Reaching>, Spans,
               false>;

}  // namespace odo::btree::testing
