// SPDX-License-Identifier: BSD-3-Clause
#include "lib/btree/media/writer.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "lib/btree/media/reader.h"
#include "lib/btree/media/testing/archetype.h"
#include "lib/btree/media/testing/media_model.h"
#include "lib/btree/media/testing/memory_page_store.h"

namespace odo::btree::media {

template class Writer<testing::ArchetypeStore>;

namespace {

using testing::check_fill;
using testing::claim_pages;
using testing::compare;
using testing::key_of;
using testing::MemoryPageStore;
using testing::Model;
using testing::number_of;
using testing::value_of;

// A store with a tree, and a writer with so many frames.
struct Rig {
  Rig(const Shape& shape, std::uint64_t pages, std::size_t frames)
      : store(shape.page_bytes, pages), memory(frames * shape.page_bytes) {
    make_writer();
    if (!writer->create(shape, 7)) ADD_FAILURE() << "no tree";
  }
  void make_writer() {
    writer = std::make_unique<Writer<MemoryPageStore>>(store, memory);
  }
  Result<bool> insert(std::uint64_t key, std::uint64_t value) {
    return writer->insert(key_of(key, writer->shape().key_bytes),
                          value_of(value, writer->shape().value_bytes));
  }
  Result<bool> assign(std::uint64_t key, std::uint64_t value) {
    return writer->assign(key_of(key, writer->shape().key_bytes),
                          value_of(value, writer->shape().value_bytes));
  }
  Result<bool> erase(std::uint64_t key) {
    return writer->erase(key_of(key, writer->shape().key_bytes));
  }
  // What the writer itself sees, compared with a model.
  std::string seen(const Model& model) {
    const Shape& shape = writer->shape();
    if (writer->entries() != model.size()) return "another size";
    std::vector<std::byte> key(shape.key_bytes);
    std::vector<std::byte> value(shape.value_bytes);
    std::uint64_t from = 0;
    for (const auto& [number, content] : model) {
      const auto there =
          writer->lower_bound(key_of(from, shape.key_bytes), key, value);
      if (!there || !*there) return "ends early";
      if (number_of(key) != number) return "another key";
      if (!equal_bytes(value, value_of(content, shape.value_bytes))) {
        return "another value";
      }
      from = number + 1;
    }
    const auto more =
        writer->lower_bound(key_of(from, shape.key_bytes), key, value);
    return more && !*more ? "" : "goes on";
  }

  MemoryPageStore store;
  std::vector<std::byte> memory;
  std::unique_ptr<Writer<MemoryPageStore>> writer;
};

Shape shape(std::uint32_t page, std::uint32_t key, std::uint32_t value) {
  const auto made = Shape::make(page, key, value);
  ODO_CHECK(made);
  return *made;
}

struct Step {
  enum class Kind : std::uint8_t { kInsert, kAssign, kErase } kind;
  std::uint64_t key;
  std::uint64_t value;
};

Result<bool> apply(Rig& rig, const Step& step) {
  switch (step.kind) {
    case Step::Kind::kInsert:
      return rig.insert(step.key, step.value);
    case Step::Kind::kAssign:
      return rig.assign(step.key, step.value);
    case Step::Kind::kErase:
      break;
  }
  return rig.erase(step.key);
}

// Answers what the operation should answer.
bool apply(Model& model, const Step& step) {
  switch (step.kind) {
    case Step::Kind::kInsert:
      return model.emplace(step.key, step.value).second;
    case Step::Kind::kAssign:
      return model.insert_or_assign(step.key, step.value).second;
    case Step::Kind::kErase:
      break;
  }
  return model.erase(step.key) > 0;
}

// Steps that let a tree grow, stay and shrink again, in turn.
class Steps {
 public:
  Steps(std::uint64_t seed, std::uint64_t keys) : random_(seed), keys_(keys) {}

  Step next() {
    const std::uint64_t phase = count_++ / (2 * keys_) % 3;
    const std::uint64_t roll = random_() % 100;
    const std::uint64_t erases = phase == 0 ? 20 : phase == 1 ? 50 : 80;
    Step step{Step::Kind::kErase, random_() % keys_, random_()};
    if (roll >= erases) {
      step.kind = roll % 2 == 0 ? Step::Kind::kInsert : Step::Kind::kAssign;
    }
    return step;
  }
  std::uint64_t roll(std::uint64_t below) { return random_() % below; }

 private:
  std::mt19937_64 random_;
  std::uint64_t keys_;
  std::uint64_t count_ = 0;
};

TEST(BTreeMediaWriterTest, EmptyTreeIsFoundAgain) {
  Rig rig(shape(256, 8, 8), 16, 8);
  EXPECT_EQ(compare(rig.store, {}), "");
  EXPECT_TRUE(rig.writer->commit());
  EXPECT_EQ(rig.writer->header().generation, 2U);
  EXPECT_FALSE(*rig.erase(1));
  EXPECT_EQ(rig.seen({}), "");
  EXPECT_EQ(rig.store.used(), 0U);
}

TEST(BTreeMediaWriterTest, AnswersAsAMapDoes) {
  Rig rig(shape(256, 8, 8), 64, 16);
  EXPECT_TRUE(*rig.insert(5, 50));
  EXPECT_FALSE(*rig.insert(5, 51));
  EXPECT_TRUE(*rig.assign(6, 60));
  EXPECT_FALSE(*rig.assign(6, 61));
  EXPECT_EQ(rig.seen({{5, 50}, {6, 61}}), "");
  EXPECT_EQ(compare(rig.store, {}), "");
  ASSERT_TRUE(rig.writer->commit());
  EXPECT_EQ(compare(rig.store, {{5, 50}, {6, 61}}), "");
  EXPECT_TRUE(*rig.erase(5));
  EXPECT_TRUE(*rig.erase(6));
  ASSERT_TRUE(rig.writer->commit());
  EXPECT_EQ(compare(rig.store, {}), "");
  EXPECT_EQ(rig.store.used(), 0U);
}

TEST(BTreeMediaWriterTest, AbortForgetsAll) {
  Rig rig(shape(256, 8, 8), 64, 16);
  Model committed;
  for (std::uint64_t i = 0; i < 100; ++i) {
    ASSERT_TRUE(*rig.insert(i, i));
    committed[i] = i;
  }
  ASSERT_TRUE(rig.writer->commit());
  const std::uint64_t used = rig.store.used();
  for (std::uint64_t i = 0; i < 100; i += 2) ASSERT_TRUE(*rig.erase(i));
  for (std::uint64_t i = 200; i < 250; ++i) ASSERT_TRUE(*rig.insert(i, i));
  ASSERT_TRUE(rig.writer->abort());
  EXPECT_EQ(rig.seen(committed), "");
  EXPECT_EQ(rig.store.used(), used);
  EXPECT_EQ(compare(rig.store, committed), "");
}

TEST(BTreeMediaWriterTest, KeysInOrderFillPages) {
  for (const bool ascending : {true, false}) {
    Rig rig(shape(512, 8, 8), 4096, 64);
    Model model;
    for (std::uint64_t i = 0; i < 20000; ++i) {
      const std::uint64_t key = ascending ? i : 20000 - i;
      ASSERT_TRUE(*rig.insert(key, i));
      model[key] = i;
    }
    ASSERT_TRUE(rig.writer->commit());
    ASSERT_EQ(compare(rig.store, model), "");
    EXPECT_EQ(check_fill(rig.store), "");
    // 28 entries a leaf, 14 children an inner page.
    EXPECT_LE(rig.writer->pages(), 20000U / 28 * 14 / 13 + 16);
  }
}

TEST(BTreeMediaWriterTest, RandomGrowthFillsPagesAsInMemory) {
  Rig rig(shape(512, 8, 8), 4096, 64);
  std::mt19937_64 random(1);
  for (std::uint64_t i = 0; i < 20000; ++i)
    ASSERT_TRUE(rig.insert(random(), i));
  ASSERT_TRUE(rig.writer->commit());
  EXPECT_EQ(check_fill(rig.store), "");
  // Sharing among three: 86 % of 28, and inner pages 69 % of 14.
  EXPECT_LE(rig.writer->pages(), 20000 / 23 * 9 / 8);
}

// The model for many shapes and few frames, with commits, aborts and reopening.
class BTreeMediaModelTest
    : public ::testing::TestWithParam<std::pair<Shape, std::size_t>> {};

TEST_P(BTreeMediaModelTest, FollowsAMap) {
  const auto& [sizes, frames] = GetParam();
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    Rig rig(sizes, 2000, frames);
    Steps steps(seed, seed == 0 ? 40 : 600);
    Model committed;
    Model model;
    for (int i = 0; i < 6000; ++i) {
      const Step step = steps.next();
      const auto answer = apply(rig, step);
      ASSERT_TRUE(answer) << static_cast<int>(answer.error().code);
      ASSERT_EQ(*answer, apply(model, step));
      const std::uint64_t roll = steps.roll(200);
      if (roll < 3) {
        ASSERT_TRUE(rig.writer->commit());
        committed = model;
        ASSERT_EQ(compare(rig.store, committed), "");
        ASSERT_EQ(check_fill(rig.store), "");
        ASSERT_EQ(rig.store.used(), rig.writer->pages());
      } else if (roll == 3) {
        ASSERT_EQ(compare(rig.store, committed), "");
        ASSERT_TRUE(rig.writer->abort());
        model = committed;
      } else if (roll == 4) {
        rig.make_writer();
        ASSERT_TRUE(claim_pages(rig.store));
        ASSERT_TRUE(rig.writer->open());
        model = committed;
      } else if (roll == 5) {
        ASSERT_EQ(rig.seen(model), "");
      }
    }
    ASSERT_EQ(rig.seen(model), "");
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, BTreeMediaModelTest,
    ::testing::Values(std::pair(shape(256, 8, 8), std::size_t{64}),
                      std::pair(shape(256, 8, 8), std::size_t{18}),
                      std::pair(shape(256, 8, 32), std::size_t{24}),
                      std::pair(shape(256, 8, 0), std::size_t{20}),
                      std::pair(shape(512, 40, 13), std::size_t{24}),
                      std::pair(shape(1024, 64, 20), std::size_t{24}),
                      std::pair(shape(4096, 8, 100), std::size_t{12})));

TEST(BTreeMediaWriterTest, FewFramesAreAnErrorAndNoMore) {
  Rig rig(shape(256, 8, 8), 2000, 64);
  Model model;
  for (std::uint64_t i = 0; i < 2000; ++i) {
    ASSERT_TRUE(*rig.insert(i * 7919 % 10007, i));
    model[i * 7919 % 10007] = i;
  }
  ASSERT_TRUE(rig.writer->commit());
  const std::size_t levels = rig.writer->header().root_level + 1U;
  ASSERT_GE(levels, 4U);
  for (std::size_t frames = 1; frames < 24; ++frames) {
    std::vector<std::byte> memory(frames * 256);
    Writer<MemoryPageStore> writer(rig.store, memory);
    ASSERT_TRUE(writer.open());
    std::uint64_t refused = 0;
    for (std::uint64_t i = 0; i < 200; ++i) {
      const auto done = i % 2 == 0
                            ? writer.erase(key_of(i * 7919 % 10007, 8))
                            : writer.assign(key_of(i * 31, 8), value_of(i, 8));
      if (!done) {
        ASSERT_EQ(done.error().code, Code::kNoFrames);
        ++refused;
      }
    }
    EXPECT_EQ(refused == 200, frames < levels) << frames;
    if (frames >= 2 * levels + 6) EXPECT_EQ(refused, 0U);
    ASSERT_TRUE(writer.abort());
    ASSERT_EQ(compare(rig.store, model), "");
  }
}

TEST(BTreeMediaWriterTest, FullStoreKeepsTheTree) {
  Rig rig(shape(256, 8, 8), 40, 32);
  Model committed;
  Model model;
  std::uint64_t key = 0;
  for (int round = 0; round < 4; ++round) {
    while (true) {
      const auto done = rig.insert(key * 7919 % 10007, key);
      if (!done) {
        ASSERT_EQ(done.error().code, Code::kNoSpace);
        break;
      }
      model[key * 7919 % 10007] = key;
      ++key;
    }
    ASSERT_EQ(rig.seen(model), "");
    ASSERT_EQ(compare(rig.store, committed), "");
    // What was done before may be kept, or not.
    if (round % 2 == 0) {
      ASSERT_TRUE(rig.writer->commit());
      committed = model;
    } else {
      ASSERT_TRUE(rig.writer->abort());
      model = committed;
    }
    ASSERT_EQ(compare(rig.store, committed), "");
  }
}

// Every call to the store fails once, in every operation of a workload that
// splits, shares, merges and evicts.
TEST(BTreeMediaFailureTest, EachFailureLeavesTheTreeAsItWas) {
  std::uint64_t failures = 0;
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    const std::size_t frames = seed % 2 == 0 ? 16 : 48;
    Rig rig(shape(256, 8, seed < 3 ? 8 : 32), 1500, frames);
    Steps steps(seed, 300);
    Model committed;
    Model model;
    for (int i = 0; i < 1500; ++i) {
      const Step step = steps.next();
      for (std::uint64_t n = 0;; ++n) {
        rig.store.fail_after(n);
        const auto answer = apply(rig, step);
        if (answer) {
          ASSERT_EQ(*answer, apply(model, step));
          break;
        }
        ++failures;
        ASSERT_FALSE(rig.store.failure_waits());
        ASSERT_TRUE(answer.error().code == Code::kReadFailed ||
                    answer.error().code == Code::kWriteFailed ||
                    answer.error().code == Code::kNoSpace);
        if (steps.roll(16) == 0) ASSERT_EQ(rig.seen(model), "");
      }
      rig.store.fail_never();
      ASSERT_EQ(rig.writer->entries(), model.size());
      if (steps.roll(60) == 0) {
        ASSERT_TRUE(rig.writer->commit());
        committed = model;
        ASSERT_EQ(rig.store.used(), rig.writer->pages());
      }
      if (steps.roll(40) == 0) ASSERT_EQ(compare(rig.store, committed), "");
    }
    ASSERT_TRUE(rig.writer->commit());
    ASSERT_EQ(compare(rig.store, model), "");
    ASSERT_EQ(check_fill(rig.store), "");
  }
  RecordProperty("failures", std::to_string(failures));
  EXPECT_GT(failures, 2000U);
}

// Every call within a commit fails, once or from then on.
TEST(BTreeMediaFailureTest, EachFailureOfACommitKeepsOldOrNew) {
  std::uint64_t in_doubt = 0;
  std::uint64_t must_abort = 0;
  for (const std::uint64_t times : {1U, 1000000U}) {
    for (std::uint64_t n = 0;; ++n) {
      Rig rig(shape(256, 8, 8), 500, 24);
      Model old;
      for (std::uint64_t i = 0; i < 200; ++i) {
        ASSERT_TRUE(*rig.insert(i * 3, i));
        old[i * 3] = i;
      }
      ASSERT_TRUE(rig.writer->commit());
      Model fresh = old;
      for (std::uint64_t i = 0; i < 200; i += 9) {
        ASSERT_TRUE(*rig.insert(i * 3 + 1, i));
        fresh[i * 3 + 1] = i;
        ASSERT_TRUE(*rig.erase(i * 3));
        fresh.erase(i * 3);
      }
      rig.store.fail_after(n, times);
      const auto done = rig.writer->commit();
      const bool failed = !rig.store.failure_waits() || times > 1;
      rig.store.fail_never();
      if (done) {
        ASSERT_EQ(compare(rig.store, fresh), "");
        if (!failed || times > 1) break;
        continue;
      }
      const auto next = rig.insert(100000, 1);
      if (done.error().code == Code::kWriteFailed && next) {
        // A page's write: the same commit may be tried again.
        ASSERT_EQ(compare(rig.store, old), "");
        ASSERT_TRUE(*rig.erase(100000));
        ASSERT_TRUE(rig.writer->commit());
      } else if (!next && next.error().code == Code::kMustAbort) {
        ++must_abort;
        ASSERT_EQ(compare(rig.store, old), "");
        ASSERT_EQ(rig.writer->commit().error().code, Code::kMustAbort);
        ASSERT_TRUE(rig.writer->abort());
        ASSERT_EQ(rig.seen(old), "");
        continue;
      } else {
        ++in_doubt;
        ASSERT_EQ(next.error().code, Code::kInDoubt);
        ASSERT_EQ(rig.writer->abort().error().code, Code::kInDoubt);
        ASSERT_TRUE(compare(rig.store, old).empty() ||
                    compare(rig.store, fresh).empty());
        ASSERT_TRUE(rig.writer->commit());
      }
      ASSERT_EQ(compare(rig.store, fresh), "");
      ASSERT_EQ(rig.store.used(), rig.writer->pages());
    }
  }
  // The header's write, and its flush; the flush before.
  EXPECT_EQ(in_doubt, 4U);
  EXPECT_EQ(must_abort, 2U);
}

TEST(BTreeMediaFailureTest, CreateAndOpenReportWhatFails) {
  Rig rig(shape(256, 8, 8), 100, 8);
  ASSERT_TRUE(*rig.insert(1, 1));
  ASSERT_TRUE(rig.writer->commit());
  for (std::uint64_t n = 0; n < 3; ++n) {
    rig.store.fail_after(n);
    rig.make_writer();
    EXPECT_FALSE(rig.writer->open());
    EXPECT_EQ(rig.insert(2, 2).error().code, Code::kClosed);
    EXPECT_EQ(rig.writer->commit().error().code, Code::kClosed);
    EXPECT_EQ(rig.writer->abort().error().code, Code::kClosed);
  }
  for (std::uint64_t n = 0; n < 3; ++n) {
    rig.store.fail_after(n);
    EXPECT_FALSE(rig.writer->create(shape(256, 8, 8), 9));
    EXPECT_EQ(compare(rig.store, {{1, 1}}), "") << n;
  }
  rig.store.fail_never();
  EXPECT_EQ(rig.writer->create(shape(512, 8, 8), 9).error().code,
            Code::kBadShape);
  Writer<MemoryPageStore> frameless(rig.store, {});
  EXPECT_EQ(frameless.open().error().code, Code::kNoFrames);
  EXPECT_EQ(frameless.create(shape(256, 8, 8), 9).error().code,
            Code::kNoFrames);
  ASSERT_TRUE(rig.writer->open());
  EXPECT_EQ(rig.writer->insert(key_of(1, 16), value_of(1, 8)).error().code,
            Code::kBadShape);
  EXPECT_EQ(rig.writer->insert(key_of(1, 8), value_of(1, 9)).error().code,
            Code::kBadShape);
  EXPECT_EQ(rig.writer->erase(key_of(1, 16)).error().code, Code::kBadShape);
  EXPECT_TRUE(rig.writer->create(shape(256, 16, 4), 9));
  EXPECT_EQ(compare(rig.store, {}), "");
}

// A store whose map of free pages is wrong gives out a page that is in use.
class WrongStore : public MemoryPageStore {
 public:
  using MemoryPageStore::MemoryPageStore;
  [[nodiscard]] Result<std::uint64_t> allocate() {
    if (wrong != kNone) return wrong;
    return MemoryPageStore::allocate();
  }
  static constexpr std::uint64_t kNone = ~std::uint64_t{0};
  std::uint64_t wrong = kNone;
};

TEST(BTreeMediaFailureTest, PageThatIsInUseIsRefused) {
  WrongStore store(256, 100);
  std::vector<std::byte> memory(32 * 256);
  Writer<WrongStore> writer(store, memory);
  ASSERT_TRUE(writer.create(shape(256, 8, 8), 1));
  for (std::uint64_t i = 0; i < 50; ++i) {
    ASSERT_TRUE(writer.insert(key_of(i, 8), value_of(i, 8)));
  }
  ASSERT_TRUE(writer.commit());
  for (const std::uint64_t page :
       {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{100},
        writer.header().root.page}) {
    store.wrong = page;
    const auto done = writer.insert(key_of(1000, 8), value_of(1, 8));
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error(), (Error{Code::kCorrupt, Fault::kAllocation, page}));
  }
  store.wrong = WrongStore::kNone;
  ASSERT_TRUE(*writer.insert(key_of(1000, 8), value_of(1, 8)));
  ASSERT_TRUE(writer.commit());
}

}  // namespace
}  // namespace odo::btree::media
