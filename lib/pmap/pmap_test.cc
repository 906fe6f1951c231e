// SPDX-License-Identifier: BSD-3-Clause
// Address spaces of full shape against a plain map of what ought to be there,
// on one CPU that counts what it is made to forget.
#include "lib/pmap/pmap.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <vector>

#include "lib/platform/host/atomic.h"

namespace odo::pmap {
namespace {

constexpr std::uint64_t kPageBytes = kX86Shape.page_bytes();

class Ground {
 public:
  template <class T>
  using Atomic = platform::HostAtomic<T>;
  static constexpr Shape kShape = kX86Shape;
  static constexpr unsigned kMaxContexts = 3;
  struct Critical {
    explicit Critical(Ground& /*ground*/) {}
  };

  [[nodiscard]] unsigned cpu() { return 0; }
  [[nodiscard]] unsigned cpus() { return 1; }
  [[nodiscard]] unsigned contexts() { return kMaxContexts; }
  void call(const lwkt::CpuMask& mask, Call /*function*/, void* /*argument*/) {
    EXPECT_FALSE(mask.any());
  }
  void load(std::uint64_t root, unsigned context, bool keep) {
    loads.push_back({root, context, keep});
  }
  void load_kernel() { loads.push_back({}); }
  void forget_page(std::uint64_t address) { forgotten.insert(address); }
  void forget_context() { ++contexts_forgotten; }
  void relax() {}

  [[nodiscard]] std::optional<std::uint64_t> make_root() {
    return make_table();
  }
  [[nodiscard]] std::optional<std::uint64_t> make_table() {
    if (tables_left == 0) return std::nullopt;
    --tables_left;
    next_ += kPageBytes;
    tables_[next_] = std::make_unique<Table>();
    return next_;
  }
  void free_table(std::uint64_t physical) {
    EXPECT_EQ(tables_.erase(physical), 1U);
    ++tables_left;
  }
  [[nodiscard]] Atomic<std::uint64_t>* table(std::uint64_t physical) {
    return tables_.at(physical)->data();
  }
  [[nodiscard]] std::size_t tables() const { return tables_.size(); }

  struct Load {
    std::uint64_t root;
    unsigned context;
    bool keep;
  };
  std::vector<Load> loads;
  std::set<std::uint64_t> forgotten;
  unsigned contexts_forgotten = 0;
  unsigned tables_left = 1000;

 private:
  using Table = std::array<Atomic<std::uint64_t>, kX86Shape.entries()>;
  std::map<std::uint64_t, std::unique_ptr<Table>> tables_;
  std::uint64_t next_ = std::uint64_t{1} << 30;
};

// Addresses close together and far apart, at both ends.
[[nodiscard]] std::uint64_t any_address(std::mt19937_64& random) {
  constexpr std::uint64_t kEnd = kX86Shape.end();
  constexpr std::array<std::uint64_t, 5> kBases{
      0, std::uint64_t{1} << 21, std::uint64_t{1} << 30, std::uint64_t{5} << 39,
      kEnd - 8 * kPageBytes};
  return kBases[random() % kBases.size()] + random() % 8 * kPageBytes;
}
[[nodiscard]] Page any_page(std::mt19937_64& random) {
  return {.physical = random() % 64 * kPageBytes,
          .rights = {.writable = random() % 2 == 0,
                     .executable = random() % 2 == 0,
                     .user = random() % 4 != 0},
          .caching = random() % 8 == 0 ? Caching::kUncached : Caching::kNormal};
}

class PmapTest : public ::testing::Test {
 protected:
  PmapTest() { EXPECT_TRUE(space_.init()); }
  ~PmapTest() override {
    space_.destroy([](std::uint64_t, const Mapped&) {});
    EXPECT_EQ(ground_.tables(), 0U);
  }

  // That what is there is what is said to be, and tables are those it takes.
  void expect(const std::map<std::uint64_t, Page>& pages) {
    std::set<std::pair<unsigned, std::uint64_t>> tables;
    for (const auto& [address, page] : pages) {
      const auto found = space_.find(address);
      ASSERT_TRUE(found) << address;
      EXPECT_EQ(found->page, page);
      for (unsigned level = 1; level < kX86Shape.levels; ++level) {
        tables.emplace(level, address / kX86Shape.span_bytes(level));
      }
    }
    EXPECT_EQ(ground_.tables(), 1 + tables.size());
  }

  Ground ground_;
  std::unique_ptr<Tlb<Ground>> tlb_ = std::make_unique<Tlb<Ground>>(ground_);
  Pmap<Ground> space_{ground_, *tlb_};
};

TEST_F(PmapTest, AgreesWithAMap) {
  tlb_->use(0, space_.space());
  std::mt19937_64 random(7);
  std::map<std::uint64_t, Page> pages;
  for (int step = 0; step < 3000; ++step) {
    const std::uint64_t at = any_address(random);
    const std::uint64_t end =
        std::min(kX86Shape.end(), at + (1 + random() % 4) * kPageBytes);
    switch (random() % 4) {
      case 0:
      case 1: {
        const Page page = any_page(random);
        const auto entered = space_.enter(at, page);
        ASSERT_TRUE(entered);
        const auto before = pages.find(at);
        ASSERT_EQ(entered->has_value(), before != pages.end());
        if (*entered) EXPECT_EQ((*entered)->page, before->second);
        pages[at] = page;
        break;
      }
      case 2: {
        std::map<std::uint64_t, Page> told;
        ground_.forgotten.clear();
        space_.remove({at, end}, [&](std::uint64_t where, const Mapped& old) {
          told[where] = old.page;
          EXPECT_TRUE(ground_.forgotten.contains(where));
        });
        const auto first = pages.lower_bound(at);
        const auto last = pages.lower_bound(end);
        EXPECT_EQ(told, (std::map<std::uint64_t, Page>(first, last)));
        pages.erase(first, last);
        break;
      }
      default: {
        const Rights rights = any_page(random).rights;
        unsigned told = 0;
        space_.protect({at, end}, rights,
                       [&](std::uint64_t, const Mapped&) { ++told; });
        for (auto it = pages.lower_bound(at);
             it != pages.end() && it->first < end; ++it) {
          Rights& now = it->second.rights;
          told -= now.within(rights) ? 0 : 1;
          now = {now.writable && rights.writable,
                 now.executable && rights.executable, now.user && rights.user};
        }
        EXPECT_EQ(told, 0U);
      }
    }
    expect(pages);
    if (HasFatalFailure()) return;
  }
}

// Also where nothing is for 128 TiB.
TEST_F(PmapTest, RemovesEverythingAtOnce) {
  std::mt19937_64 random(9);
  std::set<std::uint64_t> addresses;
  for (int i = 0; i < 100; ++i) {
    const std::uint64_t at =
        random() % kX86Shape.end() / kPageBytes * kPageBytes;
    addresses.insert(at);
    ASSERT_TRUE(space_.enter(at, any_page(random)));
  }
  std::set<std::uint64_t> told;
  space_.remove({0, kX86Shape.end()}, [&](std::uint64_t at, const Mapped&) {
    EXPECT_TRUE(told.insert(at).second);
  });
  EXPECT_EQ(told, addresses);
  EXPECT_EQ(space_.top_entries(), 0U);
  EXPECT_EQ(ground_.tables(), 1U);
}

TEST_F(PmapTest, ChangesNothingWithoutMemory) {
  for (unsigned left = 0; left < 3; ++left) {
    ground_.tables_left = left;
    const auto entered = space_.enter(kPageBytes, Page{});
    ASSERT_FALSE(entered);
    EXPECT_EQ(entered.error(), Error::kNoMemory);
    EXPECT_FALSE(space_.find(kPageBytes));
    // What it made it keeps for the next time.
    EXPECT_EQ(ground_.tables_left, 0U);
    ground_.tables_left = 1000;
    ASSERT_TRUE(space_.enter(kPageBytes, Page{}));
    space_.remove({kPageBytes, 2 * kPageBytes},
                  [](std::uint64_t, const Mapped&) {});
    EXPECT_EQ(ground_.tables(), 1U);
  }
}

TEST_F(PmapTest, RefusesWhatIsNotForPrograms) {
  for (const std::uint64_t at :
       {kX86Shape.end(), kX86Shape.end() - 1, std::uint64_t{1},
        0xffff'8000'0000'0000, ~std::uint64_t{0} - kPageBytes + 1}) {
    const auto entered = space_.enter(at, Page{});
    ASSERT_FALSE(entered) << at;
    EXPECT_EQ(entered.error(), Error::kOutOfRange);
  }
  EXPECT_FALSE(space_.find(kX86Shape.end()));
  EXPECT_FALSE(space_.find(~std::uint64_t{0}));
}

// The use that was noted goes on with the page, and ends with it.
TEST_F(PmapTest, KeepsTheUseOfAPage) {
  const Page page{.physical = 5 * kPageBytes, .rights = {.writable = true}};
  ASSERT_TRUE(space_.enter(0, page));
  const auto touch = [this] {
    std::uint64_t at = space_.space().root;
    for (unsigned level = 3; level > 0; --level) {
      at =
          entry::physical(ground_.table(at)[0].load(std::memory_order_relaxed));
    }
    (void)ground_.table(at)[0].fetch_or(entry::kAccessed | entry::kDirty,
                                        std::memory_order_relaxed);
  };
  touch();
  const auto again = space_.enter(0, page);
  ASSERT_TRUE(again && *again);
  EXPECT_EQ((*again)->use, Use{});
  EXPECT_EQ(space_.find(0)->use, (Use{.accessed = true, .dirty = true}));
  unsigned told = 0;
  const auto take = [&] {
    space_.take_use({0, kPageBytes}, [&](std::uint64_t, const Mapped& mapped) {
      ++told;
      EXPECT_TRUE(mapped.use.dirty);
    });
  };
  take();
  take();
  EXPECT_EQ(told, 1U);
  touch();
  const auto other = space_.enter(0, Page{.physical = 6 * kPageBytes});
  ASSERT_TRUE(other && *other);
  EXPECT_TRUE((*other)->use.dirty);
  EXPECT_EQ(space_.find(0)->use, Use{});
}

// What a CPU remembers is kept over a visit to another space, if nothing has
// changed, and lost to the fourth space of three contexts.
TEST_F(PmapTest, RemembersAsManySpacesAsThereAreContexts) {
  using Space = Pmap<Ground>;
  std::vector<std::unique_ptr<Space>> more;
  for (int i = 0; i < 3; ++i) {
    more.push_back(std::make_unique<Space>(ground_, *tlb_));
    ASSERT_TRUE(more.back()->init());
  }
  const auto keeps = [this](Space& space) {
    tlb_->use(0, space.space());
    return ground_.loads.back().keep;
  };
  ASSERT_TRUE(space_.enter(0, Page{}));
  EXPECT_FALSE(keeps(space_));
  EXPECT_FALSE(keeps(*more[0]));
  EXPECT_TRUE(keeps(space_));
  EXPECT_TRUE(keeps(*more[0]));
  space_.remove({0, kPageBytes}, [](std::uint64_t, const Mapped&) {});
  EXPECT_FALSE(keeps(space_));
  EXPECT_FALSE(keeps(*more[1]));
  EXPECT_TRUE(keeps(space_));
  EXPECT_FALSE(keeps(*more[2]));  // in the place of the first
  EXPECT_FALSE(keeps(space_));
  for (auto& space : more) space->destroy([](std::uint64_t, const Mapped&) {});
}

// Where it rests it need not forget until it comes back.
TEST_F(PmapTest, ForgetsWhenItComesBack) {
  ASSERT_TRUE(space_.enter(0, Page{}));
  tlb_->use(0, space_.space());
  tlb_->rest(0);
  space_.protect({0, kPageBytes}, Rights{.user = false},
                 [](std::uint64_t, const Mapped&) {});
  EXPECT_TRUE(ground_.forgotten.empty());
  EXPECT_EQ(ground_.contexts_forgotten, 0U);
  tlb_->use(0, space_.space());
  EXPECT_EQ(ground_.contexts_forgotten, 1U);
  EXPECT_EQ(ground_.loads.size(), 1U);
}

}  // namespace
}  // namespace odo::pmap
