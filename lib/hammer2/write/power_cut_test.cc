// SPDX-License-Identifier: BSD-3-Clause
// Cuts the power at every write of workloads, and looks at what is there then.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "lib/block/sim/crash_disk.h"
#include "lib/block/sim/cuts.h"
#include "lib/block/sim/zero_device.h"
#include "lib/hammer2/filesystem.h"
#include "lib/hammer2/testing/run_check.h"
#include "lib/hammer2/write/format_volume.h"
#include "lib/hammer2/write/host/ground.h"
#include "lib/hammer2/write/volume.h"

namespace odo::hammer2::write {
namespace {

using Disk = block::CrashDisk<block::ZeroDevice>;

// What a tree looks like: path to content, or to "/" for a directory.
using State = std::map<std::string, std::string>;

// With one volume header and with four.
constexpr std::uint64_t kSmallDisk = std::uint64_t{40} << 20;
constexpr std::uint64_t kLargeDisk = std::uint64_t{8} << 30;

std::string text_of(const Error& error) {
  std::array<char, 512> buffer;
  return std::string(error_text(error, buffer));
}

template <class Device>
class Look {
 public:
  explicit Look(Device& device) : device_(device) {}

  // Empty where the tree can't be read; `why` says so.
  State tree(std::string& why) {
    Device* devices[] = {&device_};
    static std::vector<std::byte> memory(FileSystem<Device>::kMinMemoryBytes);
    static auto fs = std::make_unique<FileSystem<Device>>();
    State state;
    Pfs pfs;
    Node root;
    const auto opened = fs->open(devices, memory);
    if (!opened) {
      why = text_of(opened.error());
      return state;
    }
    if (!fs->find_pfs("DATA", pfs) || !fs->root(pfs, root)) {
      why = "no PFS";
      return state;
    }
    add(*fs, root, "", state, why);
    return state;
  }

 private:
  void add(FileSystem<Device>& fs, const Node& folder, const std::string& path,
           State& state, std::string& why) {
    DirCursor cursor;
    DirEntry entry;
    for (;;) {
      const auto more = fs.read_directory(folder, cursor, entry);
      if (!more) {
        why = path + ": " + text_of(more.error());
        return;
      }
      if (!*more) return;
      const std::string below = path + "/" + std::string(entry.name());
      Node node;
      if (const auto found = fs.lookup(folder, entry.name(), node); !found) {
        why = below + ": " + text_of(found.error());
        return;
      }
      if (node.is(ObjectType::kDirectory)) {
        state[below] = "/";
        add(fs, node, below, state, why);
        continue;
      }
      std::string content(node.attributes.size, '\0');
      const auto read =
          fs.read(node, 0, std::as_writable_bytes(std::span(content)));
      if (!read) why = below + ": " + text_of(read.error());
      state[below] = content;
    }
  }

  Device& device_;
};

class Workload {
 public:
  explicit Workload(std::uint64_t seed)
      : random_(seed),
        zero_(seed % 2 == 0 ? kSmallDisk : kLargeDisk),
        disk_(zero_) {
    const std::array<std::string_view, 1> labels = {"DATA"};
    alignas(64) static std::array<std::byte, format::kVolumeHeaderBytes> memory;
    FormatOptions options;
    options.labels = labels;
    options.boot_bytes = 8 << 20;
    options.aux_bytes = 8 << 20;
    for (std::size_t i = 0; i < options.ids.size(); ++i) {
      options.ids[i].time_low = static_cast<std::uint32_t>(i + 1);
    }
    Disk* disks[] = {&disk_};
    EXPECT_TRUE(format_volume<Disk>(disks, options, memory, {}));
    EXPECT_TRUE(disk_.flush());
    disk_.start_log();
    EXPECT_TRUE(volume_.open(disks, limits_));
    root_ = *volume_.open_pfs("DATA");
    synced_.push_back({0, state_});
  }
  ~Workload() {
    volume_.release(*root_);
    volume_.forget();
  }

  void run(int steps) {
    for (int i = 0; i < steps; ++i) step();
    sync();
  }

  struct Synced {
    std::size_t flushes;  // of the disk, when the sync had been done
    State state;
  };
  [[nodiscard]] const std::vector<Synced>& synced() const { return synced_; }
  [[nodiscard]] Disk& disk() { return disk_; }

 private:
  std::uint64_t draw(std::uint64_t below) { return random_() % below; }
  std::string name() {
    return std::string(1, static_cast<char>('a' + draw(6)));
  }

  void sync() {
    ASSERT_TRUE(volume_.sync());
    synced_.push_back({disk_.flushes(), state_});
  }

  void step() {
    const std::string one = name();
    const std::string path = "/" + one;
    const bool there = state_.contains(path);
    switch (draw(8)) {
      case 0:
      case 1: {
        const auto made = there ? volume_.lookup(*root_, one)
                                : volume_.make(*root_, one, {.mode = 0644});
        ASSERT_TRUE(made);
        std::string& content = state_[path];
        const std::uint64_t offset = draw(4) == 0   ? draw(200000)
                                     : draw(3) == 0 ? 0
                                                    : draw(3000);
        std::string text(draw(3) == 0 ? draw(150000) : draw(2000), '\0');
        // Often what was written before, so that blocks are shared.
        std::mt19937_64 content_of(draw(2) == 0 ? draw(3) : random_());
        for (char& c : text) c = static_cast<char>(content_of());
        ASSERT_TRUE(
            volume_.write(**made, offset,
                          std::as_bytes(std::span(text.data(), text.size()))));
        if (!text.empty()) {
          if (content.size() < offset + text.size()) {
            content.resize(offset + text.size());
          }
          std::copy(text.begin(), text.end(),
                    content.begin() + static_cast<std::ptrdiff_t>(offset));
        }
        volume_.release(**made);
        break;
      }
      case 2:
        if (there) {
          ASSERT_TRUE(volume_.unlink(*root_, one));
          state_.erase(path);
        }
        break;
      case 3: {
        const std::string other = name();
        if (there && other != one) {
          ASSERT_TRUE(
              volume_.rename(*root_, one, *root_, other, RenameMode::kReplace));
          state_["/" + other] = state_[path];
          state_.erase(path);
        }
        break;
      }
      case 4:
        if (there) {
          const auto file = volume_.lookup(*root_, one);
          ASSERT_TRUE(file);
          const std::uint64_t size = draw(2) == 0 ? draw(600) : draw(200000);
          ASSERT_TRUE(volume_.truncate(**file, size));
          state_[path].resize(size);
          volume_.release(**file);
        }
        break;
      case 5:
        sync();
        break;
      case 6:
        if (draw(6) == 0) {
          ASSERT_TRUE(volume_.bulkfree());
          synced_.push_back({disk_.flushes(), state_});
        }
        break;
      default:
        break;
    }
  }

  std::mt19937_64 random_;
  block::ZeroDevice zero_;
  Disk disk_;
  HostGround<Disk> ground_;
  Limits limits_ = {
      .cache_bytes = 1 << 20, .chain_bytes = 64 << 10, .data_bytes = 128 << 10};
  Volume<HostGround<Disk>> volume_{ground_};
  OpenInode* root_ = nullptr;
  State state_;
  std::vector<Synced> synced_;
};

TEST(PowerCutTest, EveryCutLeavesAStateThatWasSynced) {
  const bool thorough = std::getenv("ODO_LONG") != nullptr;
  std::size_t cuts = 0;
  for (std::uint64_t seed = 1; seed <= (thorough ? 2000U : 8U); ++seed) {
    Workload workload(seed);
    workload.run(60);
    const auto& synced = workload.synced();
    for_each_cut(
        workload.disk(),
        {.seed = seed,
         .exhaustive_bound = 6,
         .samples = 3,
         .tears = 2,
         .scatters = 1},
        [&](auto& device, const block::CutInfo& info) {
          ++cuts;
          using Device = std::remove_reference_t<decltype(device)>;
          // The last sync that was done, or one that had begun after it.
          std::size_t last = 0;
          while (last + 1 < synced.size() &&
                 synced[last + 1].flushes <= info.flushes) {
            ++last;
          }
          std::string why;
          const State found = Look<Device>(device).tree(why);
          const bool as_synced =
              found == synced[last].state ||
              (last + 1 < synced.size() && found == synced[last + 1].state);
          EXPECT_EQ(why, "") << "seed " << seed << ", " << to_string(info);
          EXPECT_TRUE(as_synced) << "seed " << seed << ", " << to_string(info);
          Device* devices[] = {&device};
          const auto result =
              hammer2::testing::run_check<Device>(devices, audit::Limits{});
          for (const auto& finding : result.findings) {
            // A header that was being written may be damaged.
            if (finding.finding.rule == audit::Rule::kVolumeHeader) continue;
            ADD_FAILURE() << "seed " << seed << ", " << to_string(info) << ": "
                          << finding.text;
          }
          return ::testing::Test::HasFailure() ? block::Walk::kStop
                                               : block::Walk::kOn;
        });
    if (::testing::Test::HasFailure()) return;
  }
  std::printf("%zu cuts\n", cuts);
  EXPECT_GT(cuts, 1000U);
}

}  // namespace
}  // namespace odo::hammer2::write
