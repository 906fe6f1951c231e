// SPDX-License-Identifier: BSD-3-Clause
#include "lib/btree/media/reader.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "lib/btree/media/testing/archetype.h"
#include "lib/btree/media/testing/exercise.h"
#include "lib/btree/media/testing/media_model.h"
#include "lib/btree/media/testing/memory_page_store.h"
#include "lib/btree/media/testing/reseal.h"
#include "lib/btree/media/writer.h"

namespace odo::btree::media {

template class Reader<testing::ArchetypeSource>;

namespace {

using testing::exercise;
using testing::Generations;
using testing::key_of;
using testing::MemoryPageStore;
using testing::number_of;
using testing::reseal;
using testing::value_of;

constexpr std::uint32_t kPageBytes = 256;
const Shape kShape = *Shape::make(kPageBytes, 8, 8);

using Image = std::vector<std::byte>;

// Three levels: keys 0, 3, 6 ... and four transactions.
Image built(std::uint64_t entries = 150, std::uint64_t pages = 60) {
  MemoryPageStore store(kPageBytes, pages);
  std::vector<std::byte> memory(std::size_t{48} * kPageBytes);
  Writer<MemoryPageStore> writer(store, memory);
  ODO_CHECK(writer.create(kShape, 0x1234));
  for (std::uint64_t i = 0; i < entries; ++i) {
    const std::uint64_t key = i * 37 % entries * 3;
    ODO_CHECK(writer.insert(key_of(key, 8), value_of(key + 1, 8)));
    if (i % 50 == 49) ODO_CHECK(writer.commit());
  }
  ODO_CHECK(writer.commit());
  return store.image();
}

struct Opened {
  explicit Opened(Image image)
      : store(kPageBytes, std::move(image)),
        workspace(std::size_t{8} * kPageBytes),
        reader(store, workspace),
        opened(reader.open()) {}
  std::vector<Finding> findings() {
    std::vector<Finding> all;
    (void)reader.verify([&](const Finding& one) { all.push_back(one); },
                        [](std::uint64_t) {});
    return all;
  }
  MemoryPageStore store;
  Image workspace;
  Reader<MemoryPageStore> reader;
  Result<void> opened;
};

TEST(BTreeMediaReaderTest, WalksBothWaysFromAnywhere) {
  Opened tree(built());
  ASSERT_TRUE(tree.opened);
  ASSERT_EQ(tree.reader.header().root_level, 2);
  Reader<MemoryPageStore>& reader = tree.reader;
  std::vector<std::byte> value(8);
  for (std::uint64_t key = 0; key < 460; ++key) {
    const bool there = key % 3 == 0 && key < 450;
    EXPECT_EQ(*reader.find(key_of(key, 8), value), there);
    if (there) EXPECT_EQ(value, value_of(key + 1, 8));
    const bool above = key < 448;
    ASSERT_EQ(*reader.seek(key_of(key, 8)), above);
    EXPECT_EQ(reader.at_entry(), above);
    if (above) EXPECT_EQ(number_of(reader.key()), (key + 2) / 3 * 3);
    ASSERT_EQ(*reader.seek_before(key_of(key, 8)), key > 0);
    if (key > 0) {
      const std::uint64_t before = key > 447 ? 447 : (key - 1) / 3 * 3;
      EXPECT_EQ(number_of(reader.key()), before);
      ASSERT_EQ(*reader.next(), before < 447);
      if (before < 447) {
        EXPECT_EQ(number_of(reader.key()), before + 3);
        ASSERT_TRUE(*reader.prev());
        EXPECT_EQ(number_of(reader.key()), before);
      }
    }
  }
  ASSERT_TRUE(*reader.seek_first());
  EXPECT_FALSE(*reader.prev());
  EXPECT_FALSE(*reader.next());
  ASSERT_TRUE(*reader.seek_last());
  EXPECT_EQ(number_of(reader.key()), 447U);
  EXPECT_FALSE(*reader.next());
}

TEST(BTreeMediaReaderTest, WalkReadsEachPageOnce) {
  Opened tree(built());
  const std::uint64_t before = tree.store.reads();
  std::uint64_t entries = 0;
  for (auto there = tree.reader.seek_first(); *there;
       there = tree.reader.next()) {
    ++entries;
  }
  EXPECT_EQ(entries, 150U);
  EXPECT_EQ(tree.store.reads() - before, tree.reader.header().pages);
  const std::uint64_t again = tree.store.reads();
  for (auto there = tree.reader.seek_last(); *there;
       there = tree.reader.prev()) {
  }
  // The last path was still there.
  EXPECT_EQ(tree.store.reads() - again, tree.reader.header().pages - 3);
}

TEST(BTreeMediaReaderTest, SaysWhatItLacks) {
  MemoryPageStore store(kPageBytes, built());
  Image workspace(std::size_t{2} * kPageBytes);
  Reader<MemoryPageStore> small(store, workspace);
  EXPECT_EQ(small.seek_first().error().code, Code::kClosed);
  EXPECT_EQ(small.find(key_of(1, 8), {}).error().code, Code::kClosed);
  EXPECT_EQ(small.open().error().code, Code::kNoFrames);
  Reader<MemoryPageStore> none(store, {});
  EXPECT_EQ(none.open().error().code, Code::kNoFrames);
  MemoryPageStore tiny(kPageBytes, 1);
  EXPECT_EQ((Reader<MemoryPageStore>(tiny, workspace).open().error().code),
            Code::kBadShape);
  MemoryPageStore odd(128, 8);
  EXPECT_EQ((Reader<MemoryPageStore>(odd, workspace).open().error().code),
            Code::kBadShape);
  MemoryPageStore blank(kPageBytes, 8);
  EXPECT_EQ((Reader<MemoryPageStore>(blank, workspace).open().error()),
            (Error{Code::kNoTree, Fault::kMagic, 1}));
  Opened tree(built());
  EXPECT_EQ(tree.reader.seek(key_of(1, 16)).error().code, Code::kBadShape);
}

TEST(BTreeMediaReaderTest, ReadErrorsTravelUpwards) {
  Opened tree(built());
  std::uint64_t errors = 0;
  for (std::uint64_t n = 0;; ++n) {
    Reader<MemoryPageStore> reader(tree.store, tree.workspace);
    tree.store.fail_after(n);
    if (!reader.open()) {
      EXPECT_LT(n, 2U);
      ++errors;
      continue;
    }
    auto there = reader.seek_first();
    std::uint64_t walked = 0;
    while (there && *there) {
      ++walked;
      there = reader.next();
    }
    if (there) {
      EXPECT_EQ(walked, 150U);
      break;
    }
    ++errors;
    EXPECT_EQ(there.error().code, Code::kReadFailed);
    EXPECT_FALSE(reader.at_entry());
    EXPECT_FALSE(*reader.next());
    // And it recovers.
    std::uint64_t again = 0;
    for (there = reader.seek_first(); there && *there; there = reader.next()) {
      ++again;
    }
    EXPECT_EQ(again, 150U);
  }
  EXPECT_EQ(errors, 2 + tree.reader.header().pages);
}

// --- damage -----------------------------------------------------------------

std::byte* page_of(Image& image, std::uint64_t page) {
  return image.data() + page * kPageBytes;
}
RootHeader newest(const Image& image) {
  MemoryPageStore store(kPageBytes, image);
  Image buffer(kPageBytes);
  return *newest_header(store, buffer);
}
template <class T>
void put(Image& image, std::uint64_t page, std::size_t offset, T value) {
  store_le(page_of(image, page) + offset, value);
}

const std::byte* root_low(const Image& image, std::uint64_t page) {
  return PageView(kShape, image.data() + page * kPageBytes).low();
}

struct Damage {
  const char* name;
  Fault fault;
  // Changes the page; `inner` and `leaf` are the root's first child and its.
  std::function<void(Image&, std::uint64_t inner, std::uint64_t leaf)> apply;
  bool at_leaf;
  bool sealed = true;
};

const Damage kDamages[] = {
    {"magic", Fault::kMagic,
     [](Image& i, std::uint64_t, std::uint64_t leaf) { put(i, leaf, 8, 1); },
     true},
    {"version", Fault::kVersion,
     [](Image& i, std::uint64_t, std::uint64_t leaf) {
       put(i, leaf, 12, std::uint16_t{2});
     },
     true},
    {"unsealed", Fault::kCheck,
     [](Image& i, std::uint64_t, std::uint64_t leaf) {
       put(i, leaf, 100, std::uint8_t{0xee});
     },
     true, false},
    {"number", Fault::kMisplaced,
     [](Image& i, std::uint64_t, std::uint64_t leaf) {
       put(i, leaf, 0x18, leaf + 1);
     },
     true},
    {"tree", Fault::kForeign,
     [](Image& i, std::uint64_t, std::uint64_t leaf) {
       put(i, leaf, 0x28, std::uint64_t{0x4321});
     },
     true},
    {"generation", Fault::kStale,
     [](Image& i, std::uint64_t, std::uint64_t leaf) {
       put(i, leaf, 0x20, std::uint64_t{1});
     },
     true},
    {"reserved0f", Fault::kReserved,
     [](Image& i, std::uint64_t, std::uint64_t leaf) {
       put(i, leaf, 0x0f, std::uint8_t{1});
     },
     true},
    {"reserved14", Fault::kReserved,
     [](Image& i, std::uint64_t, std::uint64_t leaf) { put(i, leaf, 0x14, 1); },
     true},
    {"no entries", Fault::kCount,
     [](Image& i, std::uint64_t, std::uint64_t leaf) { put(i, leaf, 0x10, 0); },
     true},
    {"one entry more than slots", Fault::kCount,
     [](Image& i, std::uint64_t, std::uint64_t leaf) {
       put(i, leaf, 0x10, kShape.leaf_slots + 1);
     },
     true},
    {"very many entries", Fault::kCount,
     [](Image& i, std::uint64_t, std::uint64_t leaf) {
       put(i, leaf, 0x10, ~std::uint32_t{0});
     },
     true},
    {"one child", Fault::kCount,
     [](Image& i, std::uint64_t inner, std::uint64_t) {
       put(i, inner, 0x10, 1);
     },
     false},
    {"low", Fault::kRange,
     [](Image& i, std::uint64_t, std::uint64_t leaf) {
       put(i, leaf, 0x30, std::uint64_t{1});
     },
     true},
    {"high", Fault::kRange,
     [](Image& i, std::uint64_t, std::uint64_t leaf) {
       put(i, leaf, 0x38, std::uint64_t{0});
     },
     true},
    {"order", Fault::kOrder,
     [](Image& i, std::uint64_t, std::uint64_t leaf) {
       put(i, leaf, 0x48, std::uint64_t{0});
     },
     true},
    {"last key beyond", Fault::kOutside,
     [](Image& i, std::uint64_t, std::uint64_t leaf) {
       const PageView view(kShape, page_of(i, leaf));
       put(i, leaf, 0x40 + 8 * (view.count() - 1), std::uint64_t{1} << 60);
     },
     true},
    {"first separator", Fault::kFirstKey,
     [](Image& i, std::uint64_t inner, std::uint64_t) {
       put(i, inner, 0x40, std::uint64_t{1});
     },
     false},
    {"child is a header", Fault::kChildPage,
     [](Image& i, std::uint64_t inner, std::uint64_t) {
       put(i, inner, kShape.payloads_at(1), std::uint64_t{1});
     },
     false},
    {"child is beyond the medium", Fault::kChildPage,
     [](Image& i, std::uint64_t inner, std::uint64_t) {
       put(i, inner, kShape.payloads_at(1), std::uint64_t{60});
     },
     false},
    {"child is newer", Fault::kChildGeneration,
     [](Image& i, std::uint64_t inner, std::uint64_t) {
       put(i, inner, kShape.payloads_at(1) + 16, std::uint64_t{100});
     },
     false},
    {"child was never written", Fault::kChildGeneration,
     [](Image& i, std::uint64_t inner, std::uint64_t) {
       put(i, inner, kShape.payloads_at(1) + 16, std::uint64_t{0});
     },
     false},
};

TEST(BTreeMediaHostileTest, EachFaultIsNamedWithItsPage) {
  const Image good = built();
  const RootHeader header = newest(good);
  Opened tree(good);
  ASSERT_TRUE(tree.findings().empty());
  const PageView root(kShape, good.data() + header.root.page * kPageBytes);
  const std::uint64_t inner = root.child(0).page;
  const PageView below(kShape, good.data() + inner * kPageBytes);
  const std::uint64_t leaf = below.child(0).page;
  ASSERT_EQ(below.level(), 1);
  for (const Damage& damage : kDamages) {
    SCOPED_TRACE(damage.name);
    Image image = good;
    damage.apply(image, inner, leaf);
    if (damage.sealed) reseal(image, kPageBytes);
    Opened bad(image);
    ASSERT_TRUE(bad.opened);
    const std::vector<Finding> findings = bad.findings();
    ASSERT_EQ(findings.size(), 1U);
    EXPECT_EQ(findings[0].fault, damage.fault) << to_string(findings[0].fault);
    EXPECT_EQ(findings[0].page, damage.at_leaf ? leaf : inner);
    EXPECT_EQ(findings[0].level, damage.at_leaf ? 0U : 1U);
    // Elsewhere, the tree can be used.
    const auto first = bad.reader.seek_first();
    ASSERT_FALSE(first);
    EXPECT_EQ(first.error(),
              (Error{Code::kCorrupt, damage.fault, findings[0].page}));
    EXPECT_TRUE(*bad.reader.seek_last());
    (void)exercise(bad.store);
  }
}

// An old version of a page, whole and with a right check code, in its place.
TEST(BTreeMediaHostileTest, StalePageIsNoticed) {
  MemoryPageStore store(kPageBytes, 60);
  std::vector<std::byte> memory(std::size_t{16} * kPageBytes);
  Writer<MemoryPageStore> writer(store, memory);
  ASSERT_TRUE(writer.create(kShape, 1));
  ASSERT_TRUE(writer.insert(key_of(1, 8), value_of(1, 8)));
  ASSERT_TRUE(writer.commit());
  const std::uint64_t page = writer.header().root.page;
  Image old = store.image();
  // Go on until the same page is used again.
  do {
    ASSERT_TRUE(writer.assign(key_of(1, 8), value_of(2, 8)));
    ASSERT_TRUE(writer.commit());
  } while (writer.header().root.page != page);
  Image image = store.image();
  std::copy_n(page_of(old, page), kPageBytes, page_of(image, page));
  Opened bad(image);
  ASSERT_TRUE(bad.opened);
  ASSERT_EQ(bad.findings().size(), 1U);
  EXPECT_EQ(bad.findings()[0].fault, Fault::kStale);
}

TEST(BTreeMediaHostileTest, CyclesAndSharedSubtreesAreNotFollowed) {
  const Image good = built();
  const RootHeader header = newest(good);
  const std::uint64_t root = header.root.page;
  const PageView top(kShape, good.data() + root * kPageBytes);
  const std::size_t refs = kShape.payloads_at(1);
  struct Case {
    const char* name;
    std::uint64_t page;
    std::uint64_t child;
    Fault fault;
  };
  const std::uint64_t inner = top.child(1).page;
  const PageView below(kShape, good.data() + inner * kPageBytes);
  // A page above itself would have to hold its own check code.
  const Case cases[] = {
      {"the root as its own child", root, root, Fault::kStale},
      {"the root as its grandchild", inner, root, Fault::kStale},
      {"a page as its own child", inner, inner, Fault::kStale},
      {"a sibling's subtree", root, inner, Fault::kRange},
      {"a sibling leaf", inner, below.child(1).page, Fault::kRange},
      {"a page two levels down", root, below.child(0).page, Fault::kLevel},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.name);
    Image image = good;
    put(image, one.page, refs, one.child);
    reseal(image, kPageBytes, Generations::kCopy);
    Opened bad(image);
    ASSERT_TRUE(bad.opened);
    const std::vector<Finding> findings = exercise(bad.store);
    ASSERT_EQ(findings.size(), 1U);
    EXPECT_EQ(findings[0].fault, one.fault) << to_string(findings[0].fault);
    EXPECT_EQ(findings[0].page, one.child);
  }
  // And if it did, its level would tell.
  const Expected itself{header.root,          1,           root_low(good, root),
                        root_low(good, root), header.tree, 60};
  EXPECT_EQ(
      check_page(kShape, Bytes(good).subspan(root * kPageBytes, kPageBytes),
                 itself),
      Fault::kLevel);
}

// A writer that holds a page already must not take it for another place's.
TEST(BTreeMediaHostileTest, WriterNoticesSharedLeafThatItHolds) {
  Image image = built();
  const RootHeader header = newest(image);
  const PageView top(kShape, page_of(image, header.root.page));
  const std::uint64_t inner = top.child(1).page;
  const PageView below(kShape, page_of(image, inner));
  const std::uint64_t shared = below.child(1).page;
  const auto there = number_of({below.key(1), 8});
  const auto here = number_of({below.key(0), 8});
  put(image, inner, kShape.payloads_at(1), shared);
  reseal(image, kPageBytes, Generations::kCopy);
  MemoryPageStore store(kPageBytes, image);
  std::vector<std::byte> memory(std::size_t{16} * kPageBytes);
  Writer<MemoryPageStore> writer(store, memory);
  ASSERT_TRUE(writer.open());
  std::vector<std::byte> value(8);
  ASSERT_TRUE(writer.find(key_of(there, 8), value));
  EXPECT_EQ(writer.find(key_of(here, 8), value).error(),
            (Error{Code::kCorrupt, Fault::kRange, shared}));
  EXPECT_EQ(writer.erase(key_of(here, 8)).error(),
            (Error{Code::kCorrupt, Fault::kRange, shared}));
}

TEST(BTreeMediaHostileTest, HeadersAreJudged) {
  const Image good = built();
  const RootHeader header = newest(good);
  struct Case {
    const char* name;
    std::size_t offset;
    std::uint64_t value;
    std::size_t size;
    Fault fault;
  };
  const Case cases[] = {
      {"magic", 0x08, 1, 4, Fault::kMagic},
      {"version", 0x0c, 2, 2, Fault::kVersion},
      {"reserved0e", 0x0e, 1, 2, Fault::kReserved},
      {"page_bytes", 0x10, 512, 4, Fault::kShape},
      {"page_bytes 0", 0x10, 0, 4, Fault::kShape},
      {"key_bytes 0", 0x14, 0, 2, Fault::kShape},
      {"key_bytes 9", 0x14, 9, 2, Fault::kShape},
      {"key_bytes 72", 0x14, 72, 2, Fault::kShape},
      {"value_bytes", 0x16, 250, 2, Fault::kShape},
      {"page", 0x18, 1 - header.page, 8, Fault::kMisplaced},
      {"generation 0", 0x20, 0, 8, Fault::kGeneration},
      {"generation + 1", 0x20, header.generation + 1, 8, Fault::kGeneration},
      {"generation too high", 0x20, kMaxGeneration + 2 + header.page, 8,
       Fault::kGeneration},
      {"root 0", 0x30, 0, 8, Fault::kRoot},
      {"root is a header", 0x30, 1, 8, Fault::kRoot},
      {"root beyond", 0x30, 60, 8, Fault::kRoot},
      {"root generation", 0x40, header.generation + 1, 8, Fault::kRoot},
      {"root generation 0", 0x40, 0, 8, Fault::kRoot},
      {"root level", 0x48, kMaxLevels, 1, Fault::kRoot},
      {"reserved49", 0x49, 1, 1, Fault::kReserved},
      {"reserved4f", 0x4f, 1, 1, Fault::kReserved},
      {"entries 0", 0x50, 0, 8, Fault::kTotals},
      {"entries", 0x50, kMaxTotal + 1, 8, Fault::kTotals},
      {"pages 0", 0x58, 0, 8, Fault::kTotals},
      {"pages", 0x58, kMaxTotal + 1, 8, Fault::kTotals},
      {"page_count", 0x60, 61, 8, Fault::kTotals},
      {"page_count 1", 0x60, 1, 8, Fault::kTotals},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.name);
    Image image = good;
    std::byte* page = page_of(image, header.page);
    for (std::size_t i = 0; i < one.size; ++i) {
      page[one.offset + i] =
          static_cast<std::byte>((one.value >> (8 * i)) & 0xff);
    }
    reseal(image, kPageBytes);
    const Bytes bytes(page, kPageBytes);
    EXPECT_EQ(check_header(bytes, header.page, 60), one.fault)
        << to_string(check_header(bytes, header.page, 60));
    // The other header's tree counts then, as after a power cut.
    Opened other(image);
    ASSERT_TRUE(other.opened);
    EXPECT_EQ(other.reader.header().generation, header.generation - 1);
    (void)exercise(other.store);
  }
  // Wrong totals are found by counting.
  for (const std::size_t offset : {0x50U, 0x58U}) {
    Image image = good;
    put(image, header.page, offset, std::uint64_t{3});
    reseal(image, kPageBytes);
    Opened bad(image);
    const std::vector<Finding> findings = exercise(bad.store);
    ASSERT_EQ(findings.size(), 1U);
    EXPECT_EQ(findings[0].fault, Fault::kTotals);
    EXPECT_EQ(findings[0].page, header.page);
  }
  // A root on another level than it says.
  for (const unsigned level : {0U, 1U, 3U, 31U}) {
    Image image = good;
    put(image, header.page, 0x48, static_cast<std::uint8_t>(level));
    reseal(image, kPageBytes);
    MemoryPageStore store(kPageBytes, image);
    const std::vector<Finding> findings = exercise(store);
    ASSERT_EQ(findings.size(), 1U);
    EXPECT_EQ(findings[0].fault, Fault::kLevel);
  }
}

// As many levels as there can be; of each page only the last child is real.
Image deepest() {
  Image image(std::size_t{kHeaderPages + 3 * kMaxLevels} * kPageBytes);
  std::vector<std::byte> low(8);
  for (std::uint32_t level = kMaxLevels; level-- > 0;) {
    const std::uint64_t number = kHeaderPages + level;
    PageEdit page(kShape, page_of(image, number));
    page.init(static_cast<std::uint8_t>(level), number, 1, 9);
    page.set_low(low.data());
    const auto first = number_of(low);
    for (std::uint32_t i = 0; i < page.slots(); ++i) {
      page.open_entry(i);
      page.set_key(i, key_of(first + i, 8).data());
      if (level > 0) page.set_child(i, {number - 1, 0, 1});
    }
    low = key_of(first + page.slots() - 1, 8);
  }
  RootHeader header{};
  header.magic = kHeaderMagic;
  header.version = kVersion;
  header.page_bytes = kPageBytes;
  header.key_bytes = 8;
  header.value_bytes = 8;
  header.page = 1;
  header.generation = 1;
  header.tree = 9;
  header.root = {kHeaderPages + kMaxLevels - 1, 0, 1};
  header.root_level = kMaxLevels - 1;
  header.entries = kShape.leaf_slots;
  header.pages = kMaxLevels;
  header.page_count = image.size() / kPageBytes;
  copy_bytes({page_of(image, 1), sizeof header}, bytes_of(header));
  reseal(image, kPageBytes);
  return image;
}

TEST(BTreeMediaHostileTest, DeepestTreeIsReadAndNotGrown) {
  MemoryPageStore store(kPageBytes, deepest());
  Image workspace(std::size_t{kMaxLevels} * kPageBytes);
  Reader<MemoryPageStore> reader(store, workspace);
  ASSERT_TRUE(reader.open());
  ASSERT_TRUE(*reader.seek_last());
  const auto last = number_of(reader.key());
  Reader<MemoryPageStore> smaller(
      store, MutableBytes(workspace).first(workspace.size() - 1));
  EXPECT_EQ(smaller.open().error().code, Code::kNoFrames);

  for (std::uint64_t page = 0; page < kMaxLevels; ++page) {
    store.mark_used(kHeaderPages + page);
  }
  std::vector<std::byte> memory(std::size_t{2 * kMaxLevels + 6} * kPageBytes);
  Writer<MemoryPageStore, 2 * kMaxLevels + 6> writer(store, memory);
  ASSERT_TRUE(writer.open());
  const std::uint64_t used = store.used();
  EXPECT_EQ(writer.insert(key_of(last + 1, 8), value_of(1, 8)).error().code,
            Code::kTooDeep);
  ASSERT_TRUE(writer.abort());
  EXPECT_EQ(store.used(), used);
  EXPECT_TRUE(*writer.erase(key_of(last, 8)));
  ASSERT_TRUE(writer.commit());
  (void)exercise(store);
}

TEST(BTreeMediaHostileTest, TransactionsCanRunOut) {
  Image image = built(20, 20);
  const RootHeader header = newest(image);
  const std::uint64_t last = kMaxGeneration - (header.page == 0 ? 0 : 1);
  put(image, header.page, 0x20, last);
  reseal(image, kPageBytes);
  MemoryPageStore store(kPageBytes, image);
  std::vector<std::byte> memory(std::size_t{16} * kPageBytes);
  Writer<MemoryPageStore> writer(store, memory);
  ASSERT_TRUE(testing::claim_pages(store));
  ASSERT_TRUE(writer.open());
  for (std::uint64_t i = last; i < kMaxGeneration; ++i) {
    ASSERT_TRUE(writer.assign(key_of(i, 8), value_of(1, 8)));
    ASSERT_TRUE(writer.commit());
  }
  ASSERT_TRUE(writer.assign(key_of(7, 8), value_of(1, 8)));
  EXPECT_EQ(writer.commit().error().code, Code::kTooDeep);
  ASSERT_TRUE(writer.abort());
  EXPECT_EQ(writer.create(kShape, 8).error().code, Code::kTooDeep);
  (void)exercise(store);
}

// Each byte of each page in use, changed in several ways and sealed again.
TEST(BTreeMediaHostileTest, EveryByteOfASmallTree) {
  const Image good = built(60, 24);
  std::uint64_t noticed = 0;
  std::uint64_t tried = 0;
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (const unsigned flip : {0x01U, 0x80U, 0xffU}) {
      Image image = good;
      image[at] =
          static_cast<std::byte>(std::to_integer<unsigned>(image[at]) ^ flip);
      reseal(image, kPageBytes,
             flip == 1 ? Generations::kCopy : Generations::kLeave);
      MemoryPageStore store(kPageBytes, std::move(image));
      ++tried;
      noticed += exercise(store).empty() ? 0 : 1;
    }
  }
  RecordProperty("images", std::to_string(tried));
  RecordProperty("with_faults", std::to_string(noticed));
  EXPECT_GT(noticed, 500U);
}

// Without new check codes, any changed byte of a page in use is noticed.
TEST(BTreeMediaHostileTest, EveryFlippedBitIsNoticed) {
  const Image good = built(60, 24);
  Opened tree(good);
  std::vector<std::uint64_t> used;
  ASSERT_TRUE(tree.reader
                  .verify([](const Finding&) {},
                          [&](std::uint64_t page) { used.push_back(page); })
                  .clean());
  for (const std::uint64_t page : used) {
    for (std::size_t bit = 0; bit < kPageBytes * 8; ++bit) {
      Image image = good;
      std::byte& byte = page_of(image, page)[bit / 8];
      byte = static_cast<std::byte>(std::to_integer<unsigned>(byte) ^
                                    (1U << (bit % 8)));
      Opened bad(std::move(image));
      ASSERT_TRUE(bad.opened);
      const std::vector<Finding> findings = bad.findings();
      ASSERT_EQ(findings.size(), 1U);
      ASSERT_EQ(findings[0].page, page);
    }
  }
}

}  // namespace
}  // namespace odo::btree::media
