// SPDX-License-Identifier: BSD-3-Clause
// Partition tables: the input is a small disk, its first byte the size of its
// blocks. Check sums are made right first, for seven inputs of eight, so that
// what lies behind them is reached; what is found keeps a Table's promises, and
// is looked into for labels.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/block/memory_device.h"
#include "lib/partition/partition_device.h"
#include "lib/partition/read_table.h"
#include "lib/partition/testing/tables.h"

namespace {

using odo::MutableBytes;
using odo::block::MemoryDevice;
using Part = odo::partition::PartitionDevice<MemoryDevice>;
namespace partition = odo::partition;

template <class D>
void check(const D& device, const partition::Table& table) {
  ODO_CHECK(table.scheme() != partition::Scheme::kNone ||
            table.partitions().empty());
  ODO_CHECK(table.more_problems() == 0 ||
            table.problems().size() == partition::Table::kMaxProblems);
  const auto all = table.partitions();
  for (std::size_t i = 0; i < all.size(); ++i) {
    const partition::Partition& one = all[i];
    ODO_CHECK(one.number != 0 && one.size_bytes != 0);
    ODO_CHECK(odo::range_inside(one.begin_bytes, one.size_bytes,
                                device.size_bytes()));
    ODO_CHECK(odo::is_aligned(one.begin_bytes | one.size_bytes,
                              device.block_bytes()));
    for (std::size_t j = 0; j < i; ++j) {
      ODO_CHECK(all[j].number != one.number);
      ODO_CHECK(all[j].end_bytes() <= one.begin_bytes ||
                one.end_bytes() <= all[j].begin_bytes);
    }
  }
}

// Whatever the input has where a header would be is given a signature, a place
// and sums: a byte of the input says where it may stay as it is.
void mend(partition::testing::Disk& disk) {
  if (disk.blocks() < 3) return;
  for (const std::uint64_t header : {std::uint64_t{1}, disk.blocks() - 1}) {
    const std::uint64_t at = header * disk.block_bytes();
    if (disk.get<std::uint64_t>(at) != partition::kGptSignature) continue;
    disk.put(at + 24, header);
    partition::testing::mend_gpt(disk, header);
  }
  partition::testing::mend_label(disk.bytes());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  if (size == 0) return 0;
  constexpr std::array<std::uint32_t, 4> kBlocks = {512, 1024, 2048, 4096};
  const std::uint32_t block = kBlocks[data[0] % kBlocks.size()];
  const bool mends = data[0] / kBlocks.size() % 8 != 0;
  const auto input = std::as_bytes(std::span(data, size).subspan(1));
  partition::testing::Disk disk(
      std::min<std::size_t>(input.size(), 1 << 20) / block, block);
  odo::copy_bytes(disk.bytes(), input.first(disk.bytes().size()));
  if (mends) mend(disk);

  MemoryDevice device(disk.bytes(), block);
  partition::Table table;
  partition::read_table(device, table);
  check(device, table);
  const partition::Table found = table;
  for (const partition::Partition& one : found.partitions()) {
    if (mends) {
      partition::testing::mend_label(
          MutableBytes(disk.bytes()).subspan(one.begin_bytes, one.size_bytes));
    }
    Part part(device, one);
    partition::read_label(part, table);
    check(part, table);
  }
  return 0;
}
