// SPDX-License-Identifier: BSD-3-Clause
// Sixteen threads at one volume: each knows what its own files hold, all of
// them sync, store each other's data, and meet in one directory.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "lib/block/memory_device.h"
#include "lib/block/sim/random.h"
#include "lib/hammer2/write/group_sync.h"
#include "lib/hammer2/write/host/ground.h"
#include "lib/hammer2/write/host/volume_lock.h"
#include "lib/hammer2/write/testing/stage.h"
#include "lib/hammer2/write/write_behind.h"

namespace odo::hammer2::write::testing {
namespace {

using Disk = block::WritableMemoryDevice;
using Ground = HostGround<Disk>;
using Behind = WriteBehind<Ground>;
using Syncs = GroupSync<Volume<Ground>, Behind, VolumeLock>;
using Lock = std::scoped_lock<VolumeLock>;

constexpr unsigned kThreads = 16;
constexpr int kSteps = 150;
constexpr std::size_t kLargest = 300'000;  // of a file
// Little memory, so that blocks are on their way all the time.
constexpr Limits kLimits = {.cache_bytes = std::size_t{1} << 20,
                            .chain_bytes = std::size_t{512} << 10,
                            .data_bytes = std::size_t{1} << 20,
                            .dedup_entries = 1024};

struct Shared {
  explicit Shared(Disk& disk) {
    Disk* disks[] = {&disk};
    EXPECT_TRUE(volume.open(disks, kLimits));
    EXPECT_TRUE(sync_behind.init());
    root = *volume.open_pfs(kLabel);
  }
  ~Shared() {
    if (root != nullptr) volume.release(*root);
  }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;

  Ground ground;
  Volume<Ground> volume{ground};
  Behind sync_behind{volume};
  VolumeLock lock;
  Syncs syncs{volume, sync_behind};
  OpenInode* root = nullptr;
};

// One thread's files, all in the root, and what they hold.
class Worker {
 public:
  Worker(Shared& shared, unsigned number)
      : shared_(shared), random_(number), prefix_(std::to_string(number)) {
    const Lock lock(shared_.lock);
    EXPECT_TRUE(behind_.init());
  }

  void run() {
    for (int i = 0; i < kSteps && !::testing::Test::HasFailure(); ++i) {
      const Lock lock(shared_.lock);
      step();
      if (shared_.volume.is_behind()) {
        EXPECT_TRUE(behind_.store_one(shared_.lock));
      }
    }
  }

  void expect_all(Volume<Ground>& volume, OpenInode& root) const {
    for (const auto& [name, content] : files_) {
      const auto file = volume.lookup(root, name);
      ASSERT_TRUE(file) << name;
      std::vector<std::byte> found(content.size() + 1);
      const auto got = volume.read(**file, 0, found);
      volume.release(**file);
      ASSERT_TRUE(got) << name;
      found.resize(*got);
      ASSERT_TRUE(found == content) << name;
    }
  }
  [[nodiscard]] std::size_t count() const { return files_.size(); }

 private:
  using Content = std::vector<std::byte>;

  void step() {
    switch (random_.below(12)) {
      case 0:
        return remove();
      case 1:
        return rename();
      case 2:
        return truncate();
      case 3:
      case 4:
        return expect_one();
      case 5:
        EXPECT_TRUE(shared_.syncs.sync(shared_.lock));
        return;
      default:
        return write();
    }
  }

  [[nodiscard]] std::string any_name() {
    return prefix_ + "." + std::to_string(random_.below(6));
  }
  // Bytes that compress, and some that don't.
  void fill(MutableBytes to) {
    const bool plain = random_.below(2) == 0;
    for (std::byte& byte : to) {
      byte =
          static_cast<std::byte>(plain ? random_.below(4) : random_.below(256));
    }
  }
  // Null where the thread has no file of that name.
  [[nodiscard]] OpenInode* open(const std::string& name) {
    const auto found = shared_.volume.lookup(*shared_.root, name);
    EXPECT_EQ(found.has_value(), files_.contains(name)) << name;
    return found ? *found : nullptr;
  }

  void write() {
    const std::string name = any_name();
    OpenInode* file = open(name);
    if (file == nullptr) {
      const auto made =
          shared_.volume.make(*shared_.root, name, {.mode = 0644});
      ASSERT_TRUE(made);
      file = *made;
    }
    Content& content = files_[name];
    const std::size_t offset = random_.below(kLargest / 2);
    std::vector<std::byte> bytes(1 + random_.below(kLargest / 2));
    fill(bytes);
    const auto written = shared_.volume.write(*file, offset, bytes);
    shared_.volume.release(*file);
    ASSERT_TRUE(written) << text_of(written.error());
    content.resize(std::max(content.size(), offset + bytes.size()));
    std::ranges::copy(bytes,
                      content.begin() + static_cast<std::ptrdiff_t>(offset));
  }
  void truncate() {
    const std::string name = any_name();
    OpenInode* const file = open(name);
    if (file == nullptr) return;
    const std::size_t size = random_.below(kLargest);
    const auto done = shared_.volume.truncate(*file, size);
    shared_.volume.release(*file);
    ASSERT_TRUE(done);
    files_[name].resize(size);
  }
  void remove() {
    const std::string name = any_name();
    const auto done = shared_.volume.unlink(*shared_.root, name);
    ASSERT_EQ(done.has_value(), files_.erase(name) != 0);
  }
  void rename() {
    const std::string from = any_name();
    const std::string to = any_name();
    const auto done = shared_.volume.rename(*shared_.root, from, *shared_.root,
                                            to, RenameMode::kReplace);
    ASSERT_EQ(done.has_value(), files_.contains(from));
    if (done && from != to) {
      files_[to] = std::move(files_[from]);
      files_.erase(from);
    }
  }
  void expect_one() {
    const std::string name = any_name();
    OpenInode* const file = open(name);
    if (file == nullptr) return;
    std::vector<std::byte> found(kLargest);
    const auto got = shared_.volume.read(*file, 0, found);
    shared_.volume.release(*file);
    ASSERT_TRUE(got);
    found.resize(*got);
    ASSERT_TRUE(found == files_[name]) << name;
  }

  Shared& shared_;
  block::Random random_;
  std::string prefix_;
  Behind behind_{shared_.volume};
  std::map<std::string, Content> files_;
};

TEST(ThreadsTest, EachFindsWhatItWrote) {
  std::vector<std::byte> storage(std::size_t{512} << 20);
  Disk disk(storage, 4096);
  ASSERT_TRUE(format_disk(disk));
  Shared shared(disk);
  std::vector<std::unique_ptr<Worker>> workers;
  for (unsigned i = 0; i < kThreads; ++i) {
    workers.push_back(std::make_unique<Worker>(shared, i + 1));
  }
  {
    std::vector<std::jthread> threads;
    threads.reserve(kThreads);
    for (auto& worker : workers) {
      threads.emplace_back([&worker] { worker->run(); });
    }
  }
  ASSERT_TRUE(shared.volume.sync());

  // By somebody who comes later.
  Ground ground;
  Volume<Ground> later(ground);
  Disk* disks[] = {&disk};
  ASSERT_TRUE(later.open(disks, kLimits));
  const auto root = later.open_pfs(kLabel);
  ASSERT_TRUE(root);
  std::size_t files = 0;
  for (auto& worker : workers) {
    worker->expect_all(later, **root);
    files += worker->count();
  }
  std::size_t names = 0;
  DirCursor cursor;
  DirEntry entry;
  for (auto more = later.read_directory(**root, cursor, entry); more && *more;
       more = later.read_directory(**root, cursor, entry)) {
    ++names;
  }
  later.release(**root);
  EXPECT_EQ(names, files);
  EXPECT_EQ(complaint_about(disk), "");
}

}  // namespace
}  // namespace odo::hammer2::write::testing
