// SPDX-License-Identifier: BSD-3-Clause
// Whatever partition table a device has.
//
//   partition::Table table;
//   partition::read_table(device, table);
//   for (const partition::Partition& one : table.partitions()) ...
//
// Contexts: thread; waits for the device. The stack needs about 10 KiB.
// Rules: block 0 with a protecting entry means a GPT, and nothing but the GPT
//   counts, however damaged. Any other table in block 0 is an MBR: what lies
//   where a GPT would is a leftover. With no table in block 0 there may be a
//   disklabel64, which is also what a slice holds.
// Failure: total on any bytes, see Reason; a device that cannot be read gives
//   an empty table with that as its problem.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "lib/base/annotations.h"
#include "lib/block/device.h"
#include "lib/partition/block_reader.h"
#include "lib/partition/disklabel64.h"
#include "lib/partition/gpt.h"
#include "lib/partition/mbr.h"
#include "lib/partition/partition.h"

namespace odo::partition {

namespace detail {

// Blocks of the device, unless there is a header only for smaller ones.
template <block::BlockDevice D>
ODO_MAY_BLOCK [[nodiscard]] std::uint32_t gpt_unit(BlockReader<D>& reader) {
  for (const std::uint32_t unit : {reader.block_bytes(), kSmallUnitBytes}) {
    const auto bytes = reader.read(unit, sizeof kGptSignature);
    if (bytes && load_le<std::uint64_t>(bytes->data()) == kGptSignature) {
      return unit;
    }
  }
  return reader.block_bytes();
}

}  // namespace detail

template <block::BlockDevice D>
ODO_MAY_BLOCK void read_table(D& device, Table& table) {
  BlockReader<D> reader(device);
  table.begin(Scheme::kNone);
  const auto block = reader.read(0, kMbrBytes);
  if (!block) {
    if (block.error() != block::Error::kOutOfRange) {
      table.complain({.reason = Reason::kUnreadable});
    }
    return;
  }
  const std::optional<MbrEntries> entries = parse_mbr(*block);
  if (!entries) return read_disklabel64(reader, table);
  const auto has_type = [&](auto wanted) {
    return std::ranges::any_of(*entries, wanted, &MbrEntry::type);
  };
  if (has_type([](std::uint8_t type) { return type == kMbrTypeGpt; })) {
    read_gpt(reader, detail::gpt_unit(reader), table);
  } else if (has_type([](std::uint8_t type) { return type != 0; })) {
    read_mbr(reader, *entries, table);
  } else {
    read_disklabel64(reader, table);
  }
}

// The disklabel64 of a slice.
template <block::BlockDevice D>
ODO_MAY_BLOCK void read_label(D& slice, Table& table) {
  BlockReader<D> reader(slice);
  read_disklabel64(reader, table);
}

}  // namespace odo::partition
