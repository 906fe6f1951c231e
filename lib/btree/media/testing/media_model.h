// SPDX-License-Identifier: BSD-3-Clause
// What tests and fuzzers of trees on media share: keys and values by number, a
// store with an opened writer, and the comparison of an image with a map.
//
// Contexts: tests; hosted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/btree/media/error.h"
#include "lib/btree/media/format.h"
#include "lib/btree/media/page.h"
#include "lib/btree/media/page_store.h"
#include "lib/btree/media/reader.h"
#include "lib/btree/media/writer.h"
#include "lib/btree/policy.h"

namespace odo::btree::media::testing {

using Model = std::map<std::uint64_t, std::uint64_t>;

// A key of any size: the number in its highest word, so that the order is the
// numbers', and something that depends on it below.
inline std::vector<std::byte> key_of(std::uint64_t number,
                                     std::uint32_t key_bytes) {
  std::vector<std::byte> key(key_bytes);
  for (std::uint32_t at = 0; at < key_bytes; at += 8) {
    store_le(key.data() + at, number * (at + 8 == key_bytes ? 1 : 77));
  }
  return key;
}
inline std::uint64_t number_of(Bytes key) {
  return load_le<std::uint64_t>(key.data() + key.size() - 8);
}

// A value of any size: as many of the number's bytes as there is room for,
// repeated. value_number() gives back what fits.
inline std::vector<std::byte> value_of(std::uint64_t number,
                                       std::uint32_t value_bytes) {
  std::vector<std::byte> value(value_bytes);
  for (std::uint32_t i = 0; i < value_bytes; ++i) {
    value[i] = static_cast<std::byte>((number >> (8 * (i % 8))) & 0xff);
  }
  return value;
}

// A store's contents compared with a model's: empty text if they agree.
template <PageSource S>
std::string compare(S& store, const Model& model) {
  std::vector<std::byte> workspace(std::size_t{kMaxLevels} *
                                   store.page_bytes());
  Reader<S> reader(store, workspace);
  if (const auto opened = reader.open(); !opened) return "does not open";
  std::string found;
  const Verified sum = reader.verify(
      [&](const Finding& finding) {
        found += "page " + std::to_string(finding.page) + ": " +
                 std::string(to_string(finding.fault)) + "; ";
      },
      [](std::uint64_t) {});
  if (!sum.clean()) return found;
  if (reader.header().entries != model.size()) return "another size";
  const Shape& shape = reader.shape();
  auto there = reader.seek_first();
  for (const auto& [key, value] : model) {
    if (!there || !*there) return "ends early";
    if (!equal_bytes(reader.key(), key_of(key, shape.key_bytes)) ||
        !equal_bytes(reader.value(), value_of(value, shape.value_bytes))) {
      return "another entry at " + std::to_string(key);
    }
    there = reader.next();
  }
  if (!there || *there) return "goes on";
  return {};
}

// Whether pages off the tree's edges are as full as policy.h wants, and those
// at the edges as W4 in writer.h says. Empty text if so.
template <PageSource S>
std::string check_fill(S& store) {
  std::vector<std::byte> workspace(std::size_t{kMaxLevels} *
                                   store.page_bytes());
  Reader<S> reader(store, workspace);
  if (!reader.open()) return "does not open";
  const Shape& shape = reader.shape();
  std::string wrong;
  std::vector<std::byte> bytes(shape.page_bytes);
  const Verified sum = reader.verify(
      [&](const Finding& finding) { wrong = to_string(finding.fault); },
      [&](std::uint64_t number) {
        if (!store.read(number, bytes)) {
          wrong = "unreadable";
          return;
        }
        const PageView page(shape, bytes.data());
        const std::uint32_t least =
            page.edge() != policy::Edge::kNone
                ? (page.level() == 0 ? 1 : 2)
                : (page.level() == 0
                       ? policy::least_in_leaf(shape.leaf_slots)
                       : policy::least_in_inner(shape.inner_slots));
        if (page.count() < least) {
          wrong = "page " + std::to_string(number) + " of level " +
                  std::to_string(page.level()) + " holds " +
                  std::to_string(page.count());
        }
      });
  if (!sum.clean() && wrong.empty()) wrong = "does not verify";
  return wrong;
}

// Tells the store which pages its newest tree uses.
template <PageStore S>
bool claim_pages(S& store) {
  std::vector<std::byte> workspace(std::size_t{kMaxLevels} *
                                   store.page_bytes());
  Reader<S> reader(store, workspace);
  store.forget_uses();
  if (!reader.open()) return false;
  return reader
      .verify([](const Finding&) {},
              [&](std::uint64_t page) { store.mark_used(page); })
      .clean();
}

}  // namespace odo::btree::media::testing
