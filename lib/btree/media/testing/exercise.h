// SPDX-License-Identifier: BSD-3-Clause
// Everything that can be asked of a tree, asked of an image that may hold any
// bytes: whatever it is, each call ends, within its bounds, in answers that
// agree with each other, or in an error.
//
// Contexts: tests and fuzzers; hosted. A broken promise is an ODO_CHECK.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <utility>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/btree/media/error.h"
#include "lib/btree/media/format.h"
#include "lib/btree/media/page.h"
#include "lib/btree/media/reader.h"
#include "lib/btree/media/testing/memory_page_store.h"
#include "lib/btree/media/writer.h"

namespace odo::btree::media::testing {

using Key = std::vector<std::byte>;

// What verify() finds, and its promises: no page counts twice, and no reference
// costs more than a read.
inline std::pair<Verified, std::vector<Finding>> exercise_verify(
    Reader<MemoryPageStore>& reader, MemoryPageStore& store) {
  std::vector<Finding> findings;
  std::set<std::uint64_t> counted;
  const Shape& shape = reader.shape();
  std::uint64_t references = 1;
  const std::uint64_t before = store.reads();
  const Verified sum = reader.verify(
      [&](const Finding& finding) { findings.push_back(finding); },
      [&](std::uint64_t page) {
        ODO_CHECK(page >= kHeaderPages && page < store.page_count());
        ODO_CHECK(counted.insert(page).second);
        const PageView view(shape,
                            store.image().data() + page * shape.page_bytes);
        if (view.level() > 0) references += view.count();
      });
  ODO_CHECK(store.reads() - before <= references);
  ODO_CHECK(sum.pages == counted.size());
  ODO_CHECK(sum.faults == findings.size());
  for (const Finding& finding : findings) {
    ODO_CHECK(finding.fault != Fault::kNone);
  }
  return {sum, findings};
}

// Keys in order until the walk ends.
inline std::vector<Key> exercise_walk(Reader<MemoryPageStore>& reader,
                                      const Verified& sum) {
  const std::uint32_t key_bytes = reader.shape().key_bytes;
  std::vector<Key> keys;
  auto there = reader.seek_first();
  while (there && *there) {
    const Bytes key = reader.key();
    ODO_CHECK(reader.value().size() == reader.shape().value_bytes);
    ODO_CHECK(keys.empty() ||
              compare_keys(keys.back().data(), key.data(), key_bytes) < 0);
    keys.emplace_back(key.begin(), key.end());
    // A walk meets pages that count and no others, each once.
    ODO_CHECK(keys.size() <= sum.entries);
    there = reader.next();
  }
  ODO_CHECK(there || !sum.clean());
  ODO_CHECK(!there || keys.size() == sum.entries);
  std::size_t backward = 0;
  auto back = reader.seek_last();
  while (back && *back) {
    ++backward;
    ODO_CHECK(backward <= sum.entries);
    if (sum.clean()) {
      ODO_CHECK(equal_bytes(reader.key(), keys[keys.size() - backward]));
    }
    back = reader.prev();
  }
  ODO_CHECK(back || !sum.clean());
  ODO_CHECK(!back || backward == sum.entries);
  return keys;
}

inline void exercise_look_ups(Reader<MemoryPageStore>& reader,
                              const Verified& sum,
                              const std::vector<Key>& keys) {
  const Shape& shape = reader.shape();
  Key value(shape.value_bytes);
  const std::size_t step = keys.size() / 64 + 1;
  for (std::size_t i = 0; i < keys.size(); i += step) {
    const auto found = reader.find(keys[i], value);
    ODO_CHECK(found || !sum.clean());
    ODO_CHECK(!found || *found);
    const auto before = reader.seek_before(keys[i]);
    ODO_CHECK(before || !sum.clean());
    if (before && i > 0 && sum.clean()) {
      ODO_CHECK(*before && equal_bytes(reader.key(), keys[i - 1]));
    }
    Key next = keys[i];
    next[0] = static_cast<std::byte>(std::to_integer<unsigned>(next[0]) ^ 1U);
    const auto sought = reader.seek(next);
    ODO_CHECK(sought || !sum.clean());
    if (sought && *sought) {
      ODO_CHECK(
          compare_keys(reader.key().data(), next.data(), shape.key_bytes) >= 0);
    }
  }
  for (const unsigned fill : {0x00U, 0x7fU, 0xffU}) {
    const Key key(shape.key_bytes, static_cast<std::byte>(fill));
    for (int i = 0; i < 3; ++i) {
      const auto found = i == 0   ? reader.find(key, value)
                         : i == 1 ? reader.seek(key)
                                  : reader.seek_before(key);
      ODO_CHECK(found || !sum.clean());
    }
  }
}

// A writer over the same image: a clean tree stays one; any other gives answers
// or errors, and never a page that isn't free.
inline void exercise_writer(MemoryPageStore& store, const Verified& sum,
                            const std::set<std::uint64_t>& used,
                            const std::vector<Key>& keys) {
  store.forget_uses();
  for (const std::uint64_t page : used) store.mark_used(page);
  std::vector<std::byte> memory(std::size_t{24} * store.page_bytes());
  Writer<MemoryPageStore> writer(store, memory);
  ODO_CHECK(writer.open());
  const Shape shape = writer.shape();
  Key value(shape.value_bytes);
  const std::size_t step = keys.size() / 48 + 1;
  for (std::size_t i = 0; i < keys.size(); i += step) {
    Key other = keys[i];
    const auto low = std::to_integer<unsigned>(other[0]) ^ 0x5aU;
    other[0] = static_cast<std::byte>(low);
    const auto assigned = writer.assign(other, value);
    const auto erased = writer.erase(keys[i]);
    if (!sum.clean()) continue;
    // Room may lack; what is there isn't wrong.
    ODO_CHECK(assigned || assigned.error().code == Code::kNoSpace ||
              assigned.error().code == Code::kNoFrames);
    ODO_CHECK(erased || erased.error().code == Code::kNoSpace ||
              erased.error().code == Code::kNoFrames);
  }
  const auto committed = writer.commit();
  ODO_CHECK(committed || committed.error().code == Code::kTooDeep);
  std::vector<std::byte> workspace(std::size_t{kMaxLevels} *
                                   store.page_bytes());
  Reader<MemoryPageStore> reader(store, workspace);
  ODO_CHECK(reader.open());
  const Verified after =
      reader.verify([](const Finding&) {}, [](std::uint64_t) {});
  ODO_CHECK(after.clean() || !sum.clean());
}

// All of it. Answers what verify() found, or nothing if there is no tree.
inline std::vector<Finding> exercise(MemoryPageStore& store) {
  std::vector<std::byte> workspace(std::size_t{kMaxLevels} *
                                   store.page_bytes());
  Reader<MemoryPageStore> reader(store, workspace);
  if (const auto opened = reader.open(); !opened) {
    ODO_CHECK(opened.error().code == Code::kNoTree ||
              opened.error().code == Code::kBadShape);
    return {};
  }
  auto [sum, findings] = exercise_verify(reader, store);
  std::vector<Key> keys = exercise_walk(reader, sum);
  exercise_look_ups(reader, sum, keys);
  std::set<std::uint64_t> used;
  (void)reader.verify([](const Finding&) {},
                      [&](std::uint64_t page) { used.insert(page); });
  exercise_writer(store, sum, used, keys);
  return std::move(findings);
}

}  // namespace odo::btree::media::testing
