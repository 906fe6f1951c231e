// SPDX-License-Identifier: BSD-3-Clause
// Power cuts: after every write of a workload, with every combination (or many
// of them) of the writes since the last flush lost, kept or torn, the old tree
// or the new one is found, whole.
#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "lib/btree/media/testing/media_model.h"
#include "lib/btree/media/testing/memory_page_store.h"
#include "lib/btree/media/writer.h"

namespace odo::btree::media {
namespace {

using testing::claim_pages;
using testing::compare;
using testing::Fate;
using testing::key_of;
using testing::MemoryPageStore;
using testing::Model;
using testing::value_of;

// A workload as the medium saw it: what was there first, what was written, and
// the tree after each commit: commits[i] is in force once ends[i] entries of
// the log are done, and may be as soon as commits[i - 1] is.
struct History {
  std::uint32_t page_bytes = 0;
  std::vector<std::byte> before;
  MemoryPageStore::Log log;
  std::vector<Model> commits;
  std::vector<std::size_t> ends;
};

struct Sweep {
  std::uint64_t cuts = 0;
  std::uint64_t old_found = 0;
  std::uint64_t new_found = 0;
  std::uint64_t broken = 0;
  std::string first;
};

History record(const Shape& shape, std::uint64_t pages, std::size_t frames,
               int transactions, int changes, std::uint64_t seed) {
  History history;
  history.page_bytes = shape.page_bytes;
  MemoryPageStore store(shape.page_bytes, pages);
  std::vector<std::byte> memory(frames * shape.page_bytes);
  Writer<MemoryPageStore> writer(store, memory);
  ODO_CHECK(writer.create(shape, 3));
  std::mt19937_64 random(seed);
  Model model;
  for (std::uint64_t key = 0; key < 200; key += 2) {
    ODO_CHECK(writer.assign(key_of(key, shape.key_bytes),
                            value_of(key, shape.value_bytes)));
    model[key] = key;
  }
  ODO_CHECK(writer.commit());
  history.before = store.image();
  history.commits.push_back(model);
  history.ends.push_back(0);
  store.start_log();
  for (int i = 0; i < transactions; ++i) {
    for (int j = 0; j < changes; ++j) {
      const std::uint64_t key = random() % 200;
      if (random() % 3 != 0) {
        ODO_CHECK(writer.assign(key_of(key, shape.key_bytes),
                                value_of(seed + key, shape.value_bytes)));
        model[key] = seed + key;
      } else {
        ODO_CHECK(writer.erase(key_of(key, shape.key_bytes)));
        model.erase(key);
      }
    }
    ODO_CHECK(writer.commit());
    history.commits.push_back(model);
    history.ends.push_back(store.log().size());
  }
  history.log = store.log();
  return history;
}

// What a medium may hold after a cut: each tree that is allowed then.
void examine(const History& history, std::size_t cut,
             const std::vector<std::byte>& image, Sweep& sweep) {
  ++sweep.cuts;
  std::size_t at = 0;
  while (at + 1 < history.ends.size() && history.ends[at + 1] <= cut) ++at;
  MemoryPageStore store(history.page_bytes, image);
  std::string wrong = compare(store, history.commits[at]);
  if (wrong.empty()) {
    ++sweep.old_found;
    return;
  }
  if (at + 1 < history.commits.size() &&
      compare(store, history.commits[at + 1]).empty()) {
    ++sweep.new_found;
    return;
  }
  if (sweep.broken++ == 0) {
    sweep.first = "cut " + std::to_string(cut) + ": " + wrong;
  }
}

// Every combination of fates for up to `most` pending writes; for more, the
// extremes and so many samples.
Sweep sweep_cuts(const History& history, std::size_t most, int samples) {
  Sweep sweep;
  std::mt19937_64 random(5);
  std::vector<std::byte> durable = history.before;
  std::vector<std::size_t> pending;
  for (std::size_t cut = 0; cut <= history.log.size(); ++cut) {
    const auto with = [&](const std::function<Fate(std::size_t)>& fate) {
      std::vector<std::byte> image = durable;
      for (std::size_t i = 0; i < pending.size(); ++i) {
        MemoryPageStore::apply(image, history.log[pending[i]], fate(i));
      }
      examine(history, cut, image, sweep);
    };
    constexpr Fate kFates[] = {Fate::kLost, Fate::kKept, Fate::kTornFirst,
                               Fate::kTornLast};
    if (pending.size() <= most) {
      std::size_t combinations = 1;
      for (std::size_t i = 0; i < pending.size(); ++i) combinations *= 4;
      for (std::size_t c = 0; c < combinations; ++c) {
        with([&](std::size_t i) { return kFates[(c >> (2 * i)) & 3]; });
      }
    } else {
      with([](std::size_t) { return Fate::kLost; });
      with([](std::size_t) { return Fate::kKept; });
      // Only the last came through, or only it did not.
      with([&](std::size_t i) {
        return i + 1 == pending.size() ? Fate::kKept : Fate::kLost;
      });
      with([&](std::size_t i) {
        return i + 1 == pending.size() ? Fate::kLost : Fate::kKept;
      });
      for (int i = 0; i < samples; ++i) {
        with([&](std::size_t) { return kFates[random() % 4]; });
      }
    }
    if (cut == history.log.size()) break;
    if (history.log[cut].bytes.empty()) {
      for (const std::size_t i : pending) {
        MemoryPageStore::apply(durable, history.log[i], Fate::kKept);
      }
      pending.clear();
    } else {
      pending.push_back(cut);
    }
  }
  return sweep;
}

void add(Sweep& all, const Sweep& sweep) {
  EXPECT_EQ(sweep.broken, 0U) << sweep.first;
  all.cuts += sweep.cuts;
  all.old_found += sweep.old_found;
  all.new_found += sweep.new_found;
}

void record_figures(const Sweep& sweep) {
  ::testing::Test::RecordProperty("cuts", std::to_string(sweep.cuts));
  ::testing::Test::RecordProperty("new", std::to_string(sweep.new_found));
}

TEST(BTreeMediaPowerTest, EveryCutOfSmallTransactions) {
  Sweep all;
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    // Enough frames: a transaction is one burst of few writes.
    const History history =
        record(*Shape::make(256, 8, 8), 200, 64, 8, 2, seed);
    add(all, sweep_cuts(history, 6, 64));
  }
  record_figures(all);
  EXPECT_GT(all.new_found, 0U);
  EXPECT_GT(all.old_found, all.new_found);
}

TEST(BTreeMediaPowerTest, CutsOfLargeTransactions) {
  Sweep all;
  for (std::uint64_t seed = 100; seed < 103; ++seed) {
    // Few frames: pages are written before the commit, some of them twice.
    const History history =
        record(*Shape::make(256, 16, 24), 400, 20, 6, 60, seed);
    add(all, sweep_cuts(history, 3, 12));
  }
  record_figures(all);
  EXPECT_GT(all.new_found, 0U);
}

// The sweep must see what it is for: without the flush before the header, or
// with a header that goes where the committed one is, trees are lost.
TEST(BTreeMediaPowerTest, SweepNoticesMissingFlush) {
  History history = record(*Shape::make(256, 8, 8), 200, 64, 4, 4, 1);
  // Of the two flushes of each commit the first goes.
  MemoryPageStore::Log log;
  std::vector<std::size_t> ends = {0};
  bool first = true;
  for (const auto& write : history.log) {
    if (write.bytes.empty()) {
      const bool keep = !first;
      first = !first;
      if (!keep) continue;
      log.push_back(write);
      ends.push_back(log.size());
      continue;
    }
    log.push_back(write);
  }
  history.log = log;
  history.ends = ends;
  EXPECT_GT(sweep_cuts(history, 6, 64).broken, 0U);
}

TEST(BTreeMediaPowerTest, SweepNoticesOneHeader) {
  History history = record(*Shape::make(256, 8, 8), 200, 64, 4, 4, 1);
  for (auto& write : history.log) {
    if (!write.bytes.empty() && write.page == 1) write.page = 0;
  }
  EXPECT_GT(sweep_cuts(history, 6, 64).broken, 0U);
}

// Cut, reopen, learn what is in use, go on; many times over.
TEST(BTreeMediaPowerTest, LifeWithManyCuts) {
  std::uint64_t cuts = 0;
  std::uint64_t went_through = 0;
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    const Shape shape = *Shape::make(256, 8, 16);
    const std::size_t frames = seed % 2 == 0 ? 18 : 64;
    MemoryPageStore store(256, 300);
    std::vector<std::byte> memory(frames * 256);
    auto writer = std::make_unique<Writer<MemoryPageStore>>(store, memory);
    ASSERT_TRUE(writer->create(shape, seed));
    std::mt19937_64 random(seed);
    Model committed;
    for (int round = 0; round < 400; ++round) {
      Model model = committed;
      const std::uint64_t changes = random() % 40;
      // The power goes at some call of this transaction, or not at all.
      store.fail_after(random() % (2 * changes + 12), 1000000);
      bool failed = false;
      for (std::uint64_t i = 0; i < changes && !failed; ++i) {
        const std::uint64_t key = random() % 400;
        if (random() % 2 == 0) {
          failed = !writer->assign(key_of(key, 8), value_of(i, 16));
          if (!failed) model[key] = i;
        } else {
          failed = !writer->erase(key_of(key, 8));
          if (!failed) model.erase(key);
        }
      }
      if (!failed && writer->commit()) {
        committed = model;
        store.fail_never();
        continue;
      }
      store.fail_never();
      ++cuts;
      store.cut([&](std::size_t) { return static_cast<Fate>(random() % 4); });
      if (!compare(store, committed).empty()) {
        ASSERT_EQ(compare(store, model), "");
        committed = model;
        ++went_through;
      }
      writer = std::make_unique<Writer<MemoryPageStore>>(store, memory);
      ASSERT_TRUE(claim_pages(store));
      ASSERT_TRUE(writer->open());
    }
  }
  RecordProperty("cuts", std::to_string(cuts));
  RecordProperty("went_through", std::to_string(went_through));
  EXPECT_GT(cuts, 300U);
  EXPECT_GT(went_through, 0U);
}

// A header that is visible but not durable is taken up by a new writer, which
// goes on from it and reuses what only its predecessor needed. Then the power
// goes, and the header, had it not been flushed since, would be lost.
TEST(BTreeMediaPowerTest, HeaderInDoubtIsDurableBeforeItIsBuiltUpon) {
  const Shape shape = *Shape::make(256, 8, 8);
  MemoryPageStore store(256, 24);
  std::vector<std::byte> memory(std::size_t{16} * 256);
  auto writer = std::make_unique<Writer<MemoryPageStore>>(store, memory);
  ASSERT_TRUE(writer->create(shape, 1));
  Model model;
  const auto change = [&](std::uint64_t value) {
    for (std::uint64_t key = 0; key < 60; key += 5) {
      ODO_CHECK(writer->assign(key_of(key, 8), value_of(value, 8)));
      model[key] = value;
    }
  };
  change(1);
  ASSERT_TRUE(writer->commit());
  change(2);
  store.fail_flushes_after(1);
  ASSERT_FALSE(writer->commit());
  ASSERT_EQ(writer->abort().error().code, Code::kInDoubt);
  ASSERT_EQ(compare(store, model), "");
  const Model committed = model;
  store.fail_never();

  writer = std::make_unique<Writer<MemoryPageStore>>(store, memory);
  ASSERT_TRUE(claim_pages(store));
  ASSERT_TRUE(writer->open());
  store.fail_flushes_after(0);
  for (std::uint64_t i = 3; i < 20; ++i) {
    // Every free page gets its turn.
    change(i);
    ASSERT_EQ(writer->commit().error().code, Code::kFlushFailed);
    ASSERT_TRUE(writer->abort());
  }
  store.fail_never();
  store.cut([](std::size_t i) { return i == 0 ? Fate::kLost : Fate::kKept; });
  EXPECT_EQ(compare(store, committed), "");
}

// Making a new tree over an old one.
TEST(BTreeMediaPowerTest, CreateKeepsOldTreeUntilItHasAnother) {
  for (const bool second_generation : {false, true}) {
    MemoryPageStore store(256, 100);
    std::vector<std::byte> memory(16 * 256);
    Writer<MemoryPageStore> writer(store, memory);
    ASSERT_TRUE(writer.create(*Shape::make(256, 8, 8), 1));
    ASSERT_TRUE(writer.insert(key_of(1, 8), value_of(1, 8)));
    ASSERT_TRUE(writer.commit());
    if (second_generation) {
      ASSERT_TRUE(writer.insert(key_of(2, 8), value_of(2, 8)));
      ASSERT_TRUE(writer.commit());
    }
    History history;
    history.page_bytes = 256;
    history.before = store.image();
    Model old = {{1, 1}};
    if (second_generation) old[2] = 2;
    history.commits = {old, {}};
    store.start_log();
    ASSERT_TRUE(writer.create(*Shape::make(256, 16, 4), 2));
    history.log = store.log();
    history.ends = {0, history.log.size()};
    const Sweep sweep = sweep_cuts(history, 6, 0);
    EXPECT_EQ(sweep.broken, 0U) << sweep.first;
    EXPECT_GT(sweep.new_found, 0U);
  }
}

}  // namespace
}  // namespace odo::btree::media
