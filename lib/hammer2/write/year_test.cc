// SPDX-License-Identifier: BSD-3-Clause
// A year in the life of a volume: work, a sync, a snapshot named by its date, a
// bulkfree, every day, and snapshots deleted as people do. What is kept stays
// what it was, and space comes back: neither is lost little by little.
//
// Space, by what the checker finds: a unit of 16 KiB is free, or something lies
// in it, or it waits for bulkfree. After a pass the last are what has become
// useless since the pass before, all of them staged, and at most one unit of
// the old super-root, which the pass' own commit replaced. After two passes in
// a row there is only such a unit of each. So free space is the volume's, less
// the units in which something lies, less what is staged; the next pass frees
// just that. The units in turn are held against the bytes that lie in them:
// those that a small block keeps alone must not become more and more.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lib/block/memory_device.h"
#include "lib/block/sim/random.h"
#include "lib/hammer2/testing/model/workload.h"
#include "lib/hammer2/write/testing/stage.h"

namespace odo::hammer2::write::testing {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
constexpr std::uint64_t kUnit = std::uint64_t{1} << format::kFreemapUnitRadix;

bool is_long() { return std::getenv("ODO_LONG") != nullptr; }
bool is_sanitized() { return std::getenv("ODO_SANITIZER") != nullptr; }

// --- Dates -------------------------------------------------------------------

using Date = std::chrono::sys_days;

constexpr Date kFirstDay = std::chrono::year_month_day(
    std::chrono::year(2025), std::chrono::January, std::chrono::day(1));

std::string label_of(Date date) {
  const std::chrono::year_month_day at(date);
  std::array<char, 32> text;
  (void)std::snprintf(
      text.data(), text.size(), "%d-%02u-%02u", static_cast<int>(at.year()),
      static_cast<unsigned>(at.month()), static_cast<unsigned>(at.day()));
  return text.data();
}

// 7 daily ones, 4 of Sundays, 12 of the first of a month.
bool is_kept(Date date, Date today) {
  const std::chrono::days age = today - date;
  if (age.count() < 7) return true;
  if (std::chrono::weekday(date) == std::chrono::Sunday && age.count() < 28) {
    return true;
  }
  const std::chrono::year_month_day then(date);
  const std::chrono::year_month_day now(today);
  const auto months = (now.year() / now.month()) - (then.year() / then.month());
  return then.day() == std::chrono::day(1) && months.count() < 12;
}

// --- A disk whose power goes -------------------------------------------------

// Every write is durable at once, until the power goes in the middle of one:
// its first sectors are there, and of what follows nothing. Nobody is told.
class Disk {
 public:
  explicit Disk(std::size_t bytes) : storage_(bytes), device_(storage_) {}

  [[nodiscard]] std::uint64_t size_bytes() const {
    return device_.size_bytes();
  }
  [[nodiscard]] std::uint32_t block_bytes() const {
    return device_.block_bytes();
  }
  [[nodiscard]] block::Result<void> read(std::uint64_t offset,
                                         MutableBytes to) const {
    return device_.read(offset, to);
  }
  [[nodiscard]] block::Result<void> write(std::uint64_t offset, Bytes from) {
    if (is_off()) return {};
    ++writes_;
    if (writes_ != last_write_) return device_.write(offset, from);
    const std::size_t sectors = from.size() / block_bytes();
    return device_.write(offset,
                         from.first(tear_ % (sectors + 1) * block_bytes()));
  }
  [[nodiscard]] block::Result<void> flush() {
    ++flushes_;
    return device_.flush();
  }

  // In the write after `more` others.
  void cut_after(std::uint64_t more, std::uint64_t tear) {
    last_write_ = writes_ + more + 1;
    tear_ = tear;
  }
  void switch_on() { last_write_ = kNever; }
  [[nodiscard]] bool is_off() const { return writes_ >= last_write_; }
  [[nodiscard]] std::uint64_t writes() const { return writes_; }
  [[nodiscard]] std::uint64_t flushes() const { return flushes_; }

 private:
  static constexpr auto kNever = std::numeric_limits<std::uint64_t>::max();

  std::vector<std::byte> storage_;
  block::WritableMemoryDevice device_;
  std::uint64_t writes_ = 0;
  std::uint64_t flushes_ = 0;
  std::uint64_t last_write_ = kNever;
  std::uint64_t tear_ = 0;
};

// --- The year ----------------------------------------------------------------

enum class Cuts : std::uint8_t { kNone, kSome };

int days() { return is_long() ? 365 : is_sanitized() ? 30 : 60; }

// Of what may be given out three quarters are taken at most; a year's monthly
// snapshots need more than two months'.
std::size_t disk_bytes() { return (is_long() ? 96 : 60) * kMiB; }

class Year {
 public:
  Year(std::uint64_t seed, Cuts cuts)
      : random_(seed),
        generator_(seed, {.names = 12,
                          .max_depth = 2,
                          .max_file_bytes = 400'000,
                          .persists = 0}),
        cuts_(cuts) {}

  void run() {
    ASSERT_TRUE(format_disk(disk_));
    ASSERT_TRUE(stage_.enter());
    stage_.wait(static_cast<std::uint64_t>(
        std::chrono::microseconds(kFirstDay.time_since_epoch()).count()));
    ASSERT_TRUE(stage_.volume().sync());
    durable_ = now();
    for (int day = 1; day <= days(); ++day) {
      SCOPED_TRACE(label_of(today_));
      live_through_day();
      if (::testing::Test::HasFatalFailure()) return;
      count_space();
      if (::testing::Test::HasFatalFailure()) return;
      if (day % 30 == 0 || day == days()) look_at_all();
      if (::testing::Test::HasFailure()) return;
      stage_.wait(kDayUs);
      today_ += std::chrono::days(1);
    }
    std::printf(
        "%zu snapshots at the end, %d power cuts; at most %.1f MiB of %.1f "
        "held something, at most %.2f times the bytes in it\n",
        labels_.size(), times_cut_, static_cast<double>(most_held_) / kMiB,
        static_cast<double>(disk_.size_bytes()) / kMiB, most_waste_);
  }

  [[nodiscard]] int times_cut() const { return times_cut_; }

 private:
  static constexpr std::uint64_t kDayUs = 86'400'000'000;
  static constexpr int kOperations = 200;  // a day

  // What a power cut may bring back.
  struct State {
    model::FileTree tree;
    std::set<std::string> labels;
  };

  [[nodiscard]] State now() const { return {stage_.tree(), labels_}; }

  // --- A day ----------------------------------------------------------------

  void live_through_day() {
    bool cut_today = cuts_ == Cuts::kSome && random_.chance(128);
    for (;;) {
      if (cut_today) {
        // Somewhere in what a day writes.
        disk_.cut_after(random_.below(day_writes_ + 1), random_.next());
      }
      const std::uint64_t before = disk_.writes();
      const bool through = day();
      if (::testing::Test::HasFatalFailure()) return;
      day_writes_ = std::max(day_writes_, disk_.writes() - before);
      if (!disk_.is_off()) {
        disk_.switch_on();
        ASSERT_TRUE(through);
        return;
      }
      come_back();
      if (::testing::Test::HasFatalFailure()) return;
      cut_today = random_.chance(40);
    }
  }

  // False where the power went.
  bool day() {
    if (!work()) return false;
    if (!perform(model::Sync{})) return false;
    const std::string label = label_of(today_);
    if (!labels_.contains(label)) {
      // The state that it takes is durable; it is not yet.
      if (!perform(model::Snapshot{label})) return false;
      labels_.insert(label);
      descriptions_[label] = stage_.tree().describe();
    }
    for (Date date = kFirstDay; date < today_; date += std::chrono::days(1)) {
      const std::string old = label_of(date);
      if (is_kept(date, today_) || !labels_.contains(old)) continue;
      const auto gone = stage_.volume().delete_pfs(old);
      if (disk_.is_off()) return false;
      EXPECT_TRUE(gone) << old;
      labels_.erase(old);
    }
    return bulkfree();
  }

  bool work() {
    for (int i = 0; i < kOperations; ++i) {
      if (!perform(generator_.next(stage_.tree()))) return false;
    }
    for (const model::Operation& operation : large_files()) {
      if (!perform(operation)) return false;
    }
    // A file without a name is in use while somebody holds it.
    for (const unsigned handle : stage_.tree().open_handles()) {
      if (!perform(model::Close{handle})) return false;
    }
    return true;
  }

  // A database, of which a part is written over each day, and a log that grows
  // and begins anew. Where the random work has left something else of their
  // names they fail, as they should.
  model::Workload large_files() {
    model::Workload work;
    const std::uint64_t seed = random_.next() | 3;  // noise
    work.push_back(model::Create{"/database"});
    for (std::uint64_t i = 0; i < 8; ++i) {
      work.push_back(model::Write{"/database", random_.below(6 * kMiB),
                                  random_.below(250'000), seed + 4 * i});
    }
    work.push_back(model::Create{"/log"});
    work.push_back(model::Append{"/log", random_.below(60'000), seed});
    if (random_.chance(16)) work.push_back(model::Truncate{"/log", 0});
    if (random_.chance(16)) work.push_back(model::Unlink{"/database"});
    return work;
  }

  // False where the power went. Nothing but what persists may have synced: who
  // looks for room is short of it.
  bool perform(const model::Operation& operation) {
    std::optional<State> before;
    if (model::only_persists(operation)) before = now();
    const std::uint64_t flushes = disk_.flushes();
    const auto step = stage_.perform(operation);
    if (!before) EXPECT_EQ(disk_.flushes(), flushes) << "no room";
    if (!is_on_after(std::move(before))) return false;
    EXPECT_FALSE(step.fault) << text_of(*step.fault);
    EXPECT_EQ(step.disagreement, "");
    return !::testing::Test::HasFailure();
  }

  // What the last pass staged, and nothing else, is free now.
  bool bulkfree() {
    State before = now();
    const auto done = stage_.volume().bulkfree();
    if (!is_on_after(std::move(before))) return false;
    EXPECT_TRUE(done);
    if (done && waiting_) EXPECT_EQ(done->freed_bytes, *waiting_);
    return !::testing::Test::HasFailure();
  }

  // After something that should have made `state` durable, if any: where the
  // power went nobody hears what it answered.
  bool is_on_after(std::optional<State> state) {
    if (disk_.is_off()) {
      underway_ = std::move(state);
      return false;
    }
    if (state) durable_ = *std::move(state);
    return true;
  }

  // --- After the power went -------------------------------------------------

  void come_back() {
    ++times_cut_;
    waiting_.reset();
    stage_.leave();
    disk_.switch_on();
    ASSERT_TRUE(stage_.enter());
    std::string why;
    const std::string tree = describe_device(disk_, kLabel, why).text();
    ASSERT_EQ(why, "");
    const std::set<std::string> labels = labels_there();
    if (underway_ && labels == underway_->labels &&
        tree == underway_->tree.describe().text()) {
      durable_ = *underway_;
    }
    underway_.reset();
    ASSERT_EQ(labels, durable_.labels);
    ASSERT_EQ(tree, durable_.tree.describe().text());
    ASSERT_EQ(complaint_about(disk_), "");
    stage_.set_tree(durable_.tree);
    labels_ = durable_.labels;
  }

  std::set<std::string> labels_there() {
    std::set<std::string> labels;
    DirCursor cursor;
    Pfs pfs;
    for (;;) {
      const auto more = stage_.volume().next_pfs(cursor, pfs);
      EXPECT_TRUE(more);
      if (!more || !*more) return labels;
      if (pfs.label().starts_with("20")) labels.emplace(pfs.label());
    }
  }

  // --- What is there --------------------------------------------------------

  void look_at_all() {
    ASSERT_TRUE(bulkfree());
    const audit::Totals space = totals();
    waiting_ = space.staged_bytes;
    ASSERT_LE(space.leaked_bytes, kUnit);
    ASSERT_LE(space.staged_bytes, kUnit);
    std::string why;
    ASSERT_EQ(model::differences(stage_.tree().describe(),
                                 describe_device(disk_, kLabel, why)),
              "");
    ASSERT_EQ(labels_there(), labels_);
    for (const std::string& label : labels_) {
      const model::Description found = describe_device(disk_, label, why);
      ASSERT_EQ(why, "") << label;
      ASSERT_EQ(model::differences(descriptions_.at(label), found,
                                   model::Times::kShown),
                "")
          << label;
    }
  }

  // What a check counts, where it has nothing to complain of.
  audit::Totals totals() {
    Disk* disks[] = {&disk_};
    const auto result =
        hammer2::testing::run_check<Disk>(disks, audit::Limits{});
    for (const auto& found : result.findings) {
      // A header that was torn, until the next is written over it.
      if (found.finding.rule == audit::Rule::kVolumeHeader) continue;
      ADD_FAILURE() << found.text << " " << found.path;
    }
    return result.verdicts.totals;
  }

  // After the day's pass.
  void count_space() {
    const audit::Totals found = totals();
    const Space space = stage_.volume().space(stage_.root());
    // Part of the volume's size by the format, and never given out.
    ASSERT_EQ(space.free_bytes, found.free_bytes + format::kZoneReserveBytes);
    ASSERT_LE(found.leaked_bytes, kUnit);
    waiting_ = found.staged_bytes;
    const std::uint64_t held = space.total_bytes - space.free_bytes -
                               found.staged_bytes - found.leaked_bytes;
    ASSERT_GE(held, found.used_bytes);
    ASSERT_LE(held, found.used_bytes * 5 / 4 + 16 * kUnit);
    most_held_ = std::max(most_held_, held);
    most_waste_ =
        std::max(most_waste_, static_cast<double>(held) /
                                  static_cast<double>(found.used_bytes));
  }

  block::Random random_;
  model::WorkloadGenerator generator_;
  Cuts cuts_;
  Disk disk_{disk_bytes()};
  Stage<Disk> stage_{disk_};
  Date today_ = kFirstDay;
  std::set<std::string> labels_;  // of the snapshots that there are
  std::map<std::string, model::Description> descriptions_;
  State durable_;
  std::optional<State> underway_;         // what was being made durable
  std::optional<std::uint64_t> waiting_;  // what the next pass must free
  std::uint64_t day_writes_ = 0;          // the most that a day took
  std::uint64_t most_held_ = 0;
  double most_waste_ = 0;
  int times_cut_ = 0;
};

TEST(YearTest, SnapshotsStayAndSpaceComesBack) {
  Year year(1, Cuts::kNone);
  year.run();
}

TEST(YearTest, ThePowerGoesNowAndThen) {
  Year year(2, Cuts::kSome);
  year.run();
  EXPECT_GT(year.times_cut(), days() / 10);
}

}  // namespace
}  // namespace odo::hammer2::write::testing
