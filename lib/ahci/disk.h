// SPDX-License-Identifier: BSD-3-Clause
// A SATA disk on a port: reads, writes, flushes, discards. Satisfies
// block::DiscardingDevice.
//
// Contexts: thread, one caller at a time; all but the simple questions wait
//   (ODO_MAY_BLOCK).
// Ownership: refers to the port, which outlives it.
// Failure: start() see Error. The rest see block::Error; the port says more
//   about the last kIo.
// Complexity: where disk and controller queue, up to 32 commands are under way
//   at once, else one.
// Origin: ATA/ATAPI Command Set 2 (ACS-2) §7.5 (DATA SET MANAGEMENT), §7.15
//   (FLUSH CACHE EXT), §7.24 to §7.27 and §7.65 (READ, WRITE).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "lib/ahci/command.h"
#include "lib/ahci/identify.h"
#include "lib/ahci/port.h"
#include "lib/base/annotations.h"
#include "lib/base/bytes.h"
#include "lib/block/device.h"

namespace odo::ahci {

template <driver::Registers R, driver::DriverGround G>
class Disk {
 public:
  explicit Disk(Port<R, G>& port) : port_(port) {}

  // The port works, and has a disk's signature.
  ODO_MAY_BLOCK [[nodiscard]] Result<void> start() {
    ODO_TRY(identity_, identify());
    const unsigned depth = port_.has_queues() ? std::min(identity_.queue_depth,
                                                         port_.command_slots())
                                              : 1;
    read_ = {depth > 1 ? read_queued : read_long, identity_.block_bytes,
             kMostBlocks, depth};
    write_ = {depth > 1 ? write_queued : write_long, identity_.block_bytes,
              kMostBlocks, depth};
    return {};
  }

  [[nodiscard]] const DiskIdentity& identity() const { return identity_; }
  [[nodiscard]] std::uint64_t size_bytes() const {
    return identity_.size_bytes;
  }
  [[nodiscard]] std::uint32_t block_bytes() const {
    return identity_.block_bytes;
  }

  ODO_MAY_BLOCK [[nodiscard]] block::Result<void> read(
      std::uint64_t offset_bytes, MutableBytes to) {
    ODO_TRY_VOID(check(offset_bytes, to.size()));
    return told(port_.read(read_, offset_bytes, to));
  }

  ODO_MAY_BLOCK [[nodiscard]] block::Result<void> write(
      std::uint64_t offset_bytes, Bytes from) {
    ODO_TRY_VOID(check(offset_bytes, from.size()));
    return told(port_.write(write_, offset_bytes, from));
  }

  ODO_MAY_BLOCK [[nodiscard]] block::Result<void> flush() {
    // The standard lets it take longer than anything else.
    constexpr CommandKind kFlush{[](std::uint64_t, std::uint32_t, unsigned) {
                                   return Command{.opcode = ata::kFlushLong};
                                 },
                                 512, 1, 1, 30'000};
    return told(port_.command(kFlush));
  }

  ODO_MAY_BLOCK [[nodiscard]] block::Result<void> discard(
      std::uint64_t offset_bytes, std::uint64_t length_bytes) {
    ODO_TRY_VOID(check(offset_bytes, length_bytes));
    if (!identity_.can_discard) return fail(block::Error::kNotOffered);
    constexpr CommandKind kTrim{
        [](std::uint64_t, std::uint32_t blocks, unsigned) {
          return Command{.opcode = ata::kManageData,
                         .device = ata::kByBlock,
                         .features = ata::kTrim,
                         .count = static_cast<std::uint16_t>(blocks)};
        }};
    constexpr std::uint64_t kMostInRange = 0xffff;
    constexpr std::size_t kListBytes = 512;
    std::uint64_t first = offset_bytes / identity_.block_bytes;
    std::uint64_t blocks = length_bytes / identity_.block_bytes;
    while (blocks != 0) {
      // Ranges of 48 bits for the first block and 16 for their number; those
      // of no blocks are nothing.
      const MutableBytes list = port_.answer_page().first(kListBytes);
      zero_bytes(list);
      for (std::size_t at = 0; at < kListBytes && blocks != 0; at += 8) {
        const std::uint64_t now = std::min(blocks, kMostInRange);
        store_le(list.data() + at, first | now << 48);
        first += now;
        blocks -= now;
      }
      ODO_TRY_VOID(told(port_.write(kTrim, 0, list)));
    }
    return {};
  }

 private:
  static constexpr std::uint32_t kMostBlocks = 0xffff;

  static Command read_long(std::uint64_t first, std::uint32_t blocks,
                           unsigned) {
    return {.opcode = ata::kReadLong,
            .device = ata::kByBlock,
            .count = static_cast<std::uint16_t>(blocks),
            .block = first};
  }
  static Command write_long(std::uint64_t first, std::uint32_t blocks,
                            unsigned) {
    Command command = read_long(first, blocks, 0);
    command.opcode = ata::kWriteLong;
    return command;
  }
  static Command read_queued(std::uint64_t first, std::uint32_t blocks,
                             unsigned slot) {
    return {.opcode = ata::kReadQueued,
            .device = ata::kByBlock,
            .features = static_cast<std::uint16_t>(blocks),
            .count = static_cast<std::uint16_t>(slot << 3),
            .block = first};
  }
  static Command write_queued(std::uint64_t first, std::uint32_t blocks,
                              unsigned slot) {
    Command command = read_queued(first, blocks, slot);
    command.opcode = ata::kWriteQueued;
    return command;
  }

  [[nodiscard]] Result<DiskIdentity> identify() {
    constexpr CommandKind kIdentify{[](std::uint64_t, std::uint32_t, unsigned) {
      return Command{.opcode = ata::kIdentify};
    }};
    const MutableBytes answer = port_.answer_page().first(kIdentifyBytes);
    ODO_TRY_VOID(port_.read(kIdentify, 0, answer));
    return parse_disk(answer);
  }

  [[nodiscard]] block::Result<void> check(std::uint64_t offset_bytes,
                                          std::uint64_t length_bytes) const {
    return block::check_request(offset_bytes, length_bytes,
                                identity_.size_bytes, identity_.block_bytes);
  }

  // A device that was reset may not be the one it was.
  [[nodiscard]] block::Result<void> told(const Result<void>& done) {
    if (done) return {};
    if (port_.is_working() && port_.resets() != resets_seen_) {
      resets_seen_ = port_.resets();
      const auto now = identify();
      if (now && (now->names.serial.view() != identity_.names.serial.view() ||
                  now->size_bytes != identity_.size_bytes)) {
        port_.give_up(Error::kChanged);
      }
    }
    return fail(block::Error::kIo);
  }

  Port<R, G>& port_;
  DiskIdentity identity_;
  CommandKind read_{};
  CommandKind write_{};
  unsigned resets_seen_ = 0;
};

}  // namespace odo::ahci
