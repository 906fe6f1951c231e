// SPDX-License-Identifier: BSD-3-Clause
// Space that is given out too early, in each of the three ways that there are,
// must be noticed: by the cuts of power_cut_test.cc, or by looking at what the
// headers before the last refer to.
//
//   kRetireCommitted, kFreemapInPlace: blocks of the last header's are written
//     over before the next one is durable, which a cut shows.
//   kFreeUnstaged: no cut can show it. bulkfree() commits, marks all that this
//     header, p, refers to, with nothing changed in between, frees the rest
//     and commits p + 1. So what it frees p doesn't refer to, nor does anything
//     in memory; and a cut brings back p or what comes later. What staging is
//     for is the headers before, which are used where the last can't be read:
//     what a pass frees, the pass before has found unused two headers ago, and
//     nothing has come to refer to it since. So the last three headers are
//     whole whenever none is being written, with the mutation only two. The
//     fourth needn't be: the commit of the second of two passes in a row may
//     take what that pass has freed.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/block/sim/crash_disk.h"
#include "lib/block/sim/cuts.h"
#include "lib/block/sim/zero_device.h"
#include "lib/hammer2/testing/model/workload.h"
#include "lib/hammer2/write/testing/power_cuts.h"
#include "lib/hammer2/write/testing/stage.h"

namespace odo::hammer2::write::testing {
namespace {

bool is_sanitized() { return std::getenv("ODO_SANITIZER") != nullptr; }

using Disk = block::CrashDisk<block::ZeroDevice>;

template <SpaceMutation kMutation>
class MutantGround : public HostGround<Disk> {
 public:
  static constexpr SpaceMutation kSpaceMutation = kMutation;
};

// --- Headers before the last -------------------------------------------------

struct Header {
  std::uint64_t mirror_tid = 0;
  std::uint64_t offset = 0;
};

// From the newest on.
std::vector<Header> headers_of(Disk& disk) {
  std::vector<Header> headers;
  for (std::uint64_t i = 0; i < format::kVolumeHeaderCount; ++i) {
    const std::uint64_t offset = i * format::kVolumeHeaderStride;
    if (offset + format::kZoneReserveBytes > disk.size_bytes()) break;
    std::vector<std::byte> bytes(format::kVolumeHeaderBytes);
    EXPECT_TRUE(disk.read(offset, bytes));
    headers.push_back(
        {load_le<std::uint64_t>(bytes.data() +
                                offsetof(format::VolumeHeader, mirror_tid)),
         offset});
  }
  std::ranges::sort(headers, std::greater(), &Header::mirror_tid);
  return headers;
}

// The disk with some headers damaged.
class WithoutHeaders {
 public:
  WithoutHeaders(Disk& base, std::span<const Header> without)
      : base_(base), without_(without) {}

  [[nodiscard]] std::uint64_t size_bytes() const { return base_.size_bytes(); }
  [[nodiscard]] std::uint32_t block_bytes() const {
    return base_.block_bytes();
  }
  [[nodiscard]] block::Result<void> read(std::uint64_t offset,
                                         MutableBytes to) {
    ODO_TRY_VOID(base_.read(offset, to));
    for (const Header& header : without_) {
      const std::uint64_t at =
          header.offset + offsetof(format::VolumeHeader, mirror_tid);
      if (at >= offset && at - offset < to.size()) {
        to[at - offset] ^= std::byte{0xff};
      }
    }
    return {};
  }

 private:
  Disk& base_;
  std::span<const Header> without_;
};

// --- Proofs ------------------------------------------------------------------

template <SpaceMutation kMutation>
class Proof {
 public:
  explicit Proof(std::uint64_t disk_bytes) : zero_(disk_bytes), disk_(zero_) {
    EXPECT_TRUE(format_disk(disk_));
    EXPECT_TRUE(stage_.enter());
    EXPECT_TRUE(stage_.volume().sync());
    disk_.start_log();
    note(stage_.tree());
  }

  const model::FileTree& tree() const { return stage_.tree(); }

  // False where the volume has noticed by itself.
  bool step(const model::Operation& operation) {
    const std::size_t flushes = disk_.flushes();
    const model::FileTree before = stage_.tree();
    const auto done = stage_.perform(operation);
    if (done.fault || !done.disagreement.empty()) return false;
    if (disk_.flushes() == flushes) return true;
    // It has synced: by itself, or first, to have room.
    note(before);
    return true;
  }

  // The first complaint about a cut, or nothing.
  std::string cut(std::uint64_t seed, std::size_t& cuts) {
    std::string complaint;
    block::for_each_cut(
        disk_, usual_cuts(seed), [&](auto& device, const block::CutInfo& info) {
          ++cuts;
          complaint = look_at(device, info);
          return complaint.empty() ? block::Walk::kOn : block::Walk::kStop;
        });
    return complaint;
  }

  // The first complaint about what the last `count` headers refer to.
  std::string look_back(std::size_t count) {
    const std::vector<Header> headers = headers_of(disk_);
    for (std::size_t i = 0; i < count; ++i) {
      const auto state = by_tid_.find(headers[i].mirror_tid);
      if (state == by_tid_.end()) return {};  // before the beginning
      WithoutHeaders device(disk_, std::span(headers).first(i));
      const std::string complaint =
          complaint_at(device, state->second, state->second);
      if (!complaint.empty()) {
        return "header " + std::to_string(i) + " before the last: " + complaint;
      }
    }
    return {};
  }

 private:
  void note(const model::FileTree& tree) {
    synced_.note(disk_.flushes(), tree.describe().text());
    for (const Header& header : headers_of(disk_)) {
      by_tid_.try_emplace(header.mirror_tid, synced_.last());
    }
  }

  // Where it shows neither of the trees, or isn't clean.
  template <class Device>
  static std::string complaint_at(Device& device, std::string_view tree,
                                  std::string_view other) {
    std::string why;
    const std::string found = describe_device(device, kLabel, why).text();
    if (!why.empty()) return why;
    if (found != tree && found != other) return "not a state that was synced";
    return complaint_about(device);
  }

  template <class Device>
  std::string look_at(Device& device, const block::CutInfo& info) {
    const auto [last, next] = synced_.after(info.flushes);
    return complaint_at(device, last, next);
  }

  block::ZeroDevice zero_;
  Disk disk_;
  Stage<Disk, MutantGround<kMutation>> stage_{disk_};
  SyncedStates synced_;
  std::map<std::uint64_t, std::string> by_tid_;  // trees, by headers
};

// Random work, cut everywhere.
template <SpaceMutation kMutation>
std::string cuts_of(std::uint64_t seed, std::size_t& cuts) {
  Proof<kMutation> proof(disk_for(seed));
  model::WorkloadGenerator generator(seed, kShort);
  for (int i = 0; i < 50; ++i) {
    if (!proof.step(generator.next(proof.tree()))) return "noticed at once";
  }
  if (!proof.step(model::Sync{})) return "noticed at once";
  return proof.cut(seed, cuts);
}

template <SpaceMutation kMutation>
std::string cuts_of_all(std::uint64_t seeds) {
  std::size_t cuts = 0;
  std::string complaint;
  for (std::uint64_t seed = 1; seed <= seeds && complaint.empty(); ++seed) {
    complaint = cuts_of<kMutation>(seed, cuts);
  }
  std::printf("%zu cuts %s\n", cuts, complaint.c_str());
  return complaint;
}

// Files that come and go, with `more` syncs between: at some number of them the
// super-root, which each commit writes anew, begins a unit just after bulkfree
// has freed those of the files' inodes.
template <SpaceMutation kMutation>
std::string headers_of_files(int more, std::size_t count) {
  Proof<kMutation> proof(kLargeDisk);
  model::Workload work;
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 40; ++i) {
      const std::string path = "/file" + std::to_string(i);
      work.push_back(model::Create{path});
      work.push_back(model::Write{path, 0, i % 2 == 0 ? 100U : 20'000U, 2});
    }
    for (int i = 0; i <= more; ++i) {
      work.push_back(model::Chmod{"/file0", static_cast<std::uint32_t>(i)});
      work.push_back(model::Sync{});
    }
    for (int i = 0; i < 40; ++i) {
      work.push_back(model::Unlink{"/file" + std::to_string(i)});
    }
    work.push_back(model::Bulkfree{});
    work.push_back(model::Bulkfree{});
  }
  for (const model::Operation& operation : work) {
    if (!proof.step(operation)) return "noticed at once";
    if (!model::only_persists(operation)) continue;
    const std::string complaint = proof.look_back(count);
    if (!complaint.empty()) return complaint;
  }
  return {};
}

template <SpaceMutation kMutation>
std::string headers_of_all(std::size_t count) {
  std::string complaint;
  for (int more = 0; more < 16 && complaint.empty(); ++more) {
    complaint = headers_of_files<kMutation>(more, count);
    if (!complaint.empty()) std::printf("%d: %s\n", more, complaint.c_str());
  }
  return complaint;
}

// Of random work.
std::string headers_of_any(std::uint64_t seed) {
  Proof<SpaceMutation::kNone> proof(kLargeDisk);
  model::WorkloadGenerator generator(seed, kShort);
  for (int i = 0; i < 200; ++i) {
    const model::Operation operation = generator.next(proof.tree());
    if (!proof.step(operation)) return "noticed at once";
    if (!model::only_persists(operation)) continue;
    const std::string complaint = proof.look_back(3);
    if (!complaint.empty()) return complaint;
  }
  return {};
}

TEST(FreemapMutationTest, NothingIsNoticedWhereNothingIsWrong) {
  for (std::uint64_t seed = 1; seed <= (is_sanitized() ? 1 : 10); ++seed) {
    EXPECT_EQ(headers_of_any(seed), "") << seed;
  }
  EXPECT_EQ(cuts_of_all<SpaceMutation::kNone>(is_sanitized() ? 1 : 4), "");
  EXPECT_EQ(headers_of_all<SpaceMutation::kNone>(3), "");
}

TEST(FreemapMutationTest, BlocksThatAreFreeAtOnceAreNoticed) {
  EXPECT_NE(cuts_of_all<SpaceMutation::kRetireCommitted>(12), "");
}

TEST(FreemapMutationTest, AFreemapThatIsWrittenInPlaceIsNoticed) {
  EXPECT_NE(cuts_of_all<SpaceMutation::kFreemapInPlace>(12), "");
}

TEST(FreemapMutationTest, FreeingWithoutStagingIsNoticed) {
  EXPECT_EQ(cuts_of_all<SpaceMutation::kFreeUnstaged>(is_sanitized() ? 1 : 4),
            "");
  EXPECT_EQ(headers_of_all<SpaceMutation::kFreeUnstaged>(2), "");
  EXPECT_NE(headers_of_all<SpaceMutation::kFreeUnstaged>(3), "");
}

}  // namespace
}  // namespace odo::hammer2::write::testing
