// SPDX-License-Identifier: BSD-3-Clause
// The pool by itself, and a check on it.
#include "tools/h2/thread_pool.h"

#include <atomic>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "lib/block/memory_device.h"
#include "lib/hammer2/testing/image_builder.h"
#include "lib/hammer2/testing/run_check.h"

namespace odo::h2 {
namespace {

using hammer2::testing::ImageBuilder;

static_assert(hammer2::audit::Executor<ThreadPool>);

TEST(ThreadPoolTest, DoesEachPieceOnce) {
  for (const std::size_t workers : {1U, 2U, 5U}) {
    ThreadPool pool(workers);
    EXPECT_EQ(pool.workers(), workers);
    for (std::size_t round = 0; round < 50; ++round) {
      std::vector<std::size_t> done(round * 3);
      std::vector<std::atomic<int>> inside(workers);
      int meanwhile = 0;
      pool.run(
          done.size(),
          [&](std::size_t piece, std::size_t worker) {
            EXPECT_EQ(inside[worker].fetch_add(1, std::memory_order_relaxed),
                      0);
            ++done[piece];
            inside[worker].fetch_sub(1, std::memory_order_relaxed);
          },
          [&] { ++meanwhile; });
      EXPECT_EQ(done, std::vector<std::size_t>(round * 3, 1));
      EXPECT_EQ(meanwhile, 1);
    }
  }
}

TEST(ThreadPoolTest, ChecksAsOneThreadDoes) {
  // Enough data for many pieces a batch.
  ImageBuilder image(std::size_t{32} << 20);
  hammer2::format::Inode root = ImageBuilder::directory(1);
  std::vector<hammer2::format::Blockref> refs;
  std::vector<std::uint64_t> damaged;
  const std::string content(30000, 'c');
  for (std::uint64_t file = 0; file < 64; ++file) {
    auto inode = ImageBuilder::file(1024 + file, 4 << 16);
    std::vector<hammer2::format::Blockref> data;
    for (std::uint64_t i = 0; i < 4; ++i) {
      data.push_back(image.put(hammer2::format::BlockType::kData,
                               hammer2::testing::as_bytes(content), i << 16,
                               16));
    }
    if (file % 8 == 0) damaged.push_back(data[2].offset());
    image.attach(inode, data);
    refs.push_back(image.indexed(inode));
    refs.push_back(image.dirent("f" + std::to_string(file), 1024 + file,
                                hammer2::ObjectType::kRegular));
  }
  image.attach(root, refs);
  image.make_freemap();
  image.finish(root);
  for (const std::uint64_t offset : damaged) {
    image.bytes()[offset] ^= std::byte{1};
  }
  block::MemoryDevice device(image.bytes(), 512);
  block::MemoryDevice* devices[] = {&device};
  using Checker = hammer2::audit::Checker<block::MemoryDevice>;
  auto checker = std::make_unique<Checker>();
  hammer2::testing::CheckObserver<block::MemoryDevice> observer(*checker);
  ThreadPool pool(3);
  const auto verdicts =
      checker->run(std::span<block::MemoryDevice* const>(devices),
                   hammer2::testing::check_memory(), pool, {}, observer);
  EXPECT_EQ(verdicts.errors, damaged.size());
  EXPECT_EQ(verdicts.totals.data, 256U);
  for (const auto& found : observer.result.findings) {
    EXPECT_EQ(found.finding.at.code, hammer2::Code::kCheckMismatch);
    EXPECT_EQ(found.path, "/f" + std::to_string(found.finding.at.inum - 1024));
  }
}

}  // namespace
}  // namespace odo::h2
