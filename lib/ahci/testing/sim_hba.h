// SPDX-License-Identifier: BSD-3-Clause
// A simulated AHCI controller for tests, with a disk or a CD drive on one of
// its ports: registers, command tables and devices by the specifications'
// words, and manners that honest ones do not have.
//
// Contexts: tests only, one thread. It takes commands when they are issued, and
// finishes one at each step(), so that tests see how many are under way.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "lib/ahci/command.h"
#include "lib/ahci/identify.h"
#include "lib/ahci/registers.h"
#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/driver/registers.h"
#include "lib/driver/testing/sim_memory.h"

namespace odo::ahci {

class SimHba {
 public:
  static constexpr unsigned kPort = 2;

  explicit SimHba(driver::SimMemory& memory) : memory_(memory) { set_names(); }

  // What it is.
  std::uint32_t capabilities =
      kCap64Bits | kCapQueued | 31u << 8 | 5u;  // 32 slots, 6 ports
  std::uint32_t capabilities2 = 0;
  std::uint32_t ports = 0x3f;
  std::uint64_t register_bytes = 0x1000;
  bool has_device = true;
  bool is_cd = false;
  std::optional<std::uint32_t> signature;
  std::vector<std::byte> content;
  std::uint32_t block_bytes = 512;
  std::array<std::uint16_t, 256> identify{};  // changes to it go last
  std::optional<std::uint64_t> bad_block;
  // Of a CD drive: told in this order before it works. A key and a code.
  std::vector<std::pair<std::uint8_t, std::uint8_t>> senses;

  // Manners.
  bool is_gone = false;                      // the controller
  std::uint32_t gone_value = driver::kGone;  // what it reads as then
  bool link_is_down = false;
  unsigned reset_looks = 2;  // until a reset of the controller is over
  unsigned link_looks = 2;
  bool never_resets = false;
  bool never_stops = false;
  bool stays_busy = false;
  bool firmware_holds_on = false;
  bool answers_out_of_order = false;
  // These begin after so many commands over data that were answered well.
  unsigned honest_answers = 0;
  bool is_stuck = false;
  std::uint32_t false_active = 0;  // bits of commands that nobody issued
  std::uint32_t event = 0;         // told instead of an answer
  int moved_error = 0;
  bool is_mended_by_reset = true;

  // What it saw.
  unsigned hba_resets = 0;
  unsigned port_resets = 0;
  unsigned requests = 0;
  unsigned malformed = 0;
  unsigned flushes = 0;
  unsigned unflushed = 0;
  std::size_t most_in_flight = 0;
  std::size_t largest_request = 0;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> discarded;

  [[nodiscard]] bool is_running() const {
    return (command_ & kCommandStart) != 0;
  }

  // Fills `content`, and the words of IDENTIFY that say how much that is.
  void set_disk(std::size_t bytes, std::uint32_t block) {
    content.resize(bytes);
    for (std::size_t i = 0; i < bytes; i += 4) {
      store_le(content.data() + i, static_cast<std::uint32_t>(random_()));
    }
    block_bytes = block;
    const std::uint64_t blocks = bytes / block;
    for (std::size_t i = 0; i < 4; ++i) {
      identify[100 + i] = static_cast<std::uint16_t>(blocks >> (16 * i));
    }
    identify[49] = 1u << 8;
    identify[75] = 31;
    identify[76] = 1u << 8;
    identify[83] = 1u << 14 | 1u << 13 | 1u << 10;
    identify[106] = 1u << 14;
    if (block != 512) {
      identify[106] |= 1u << 12;
      identify[117] = static_cast<std::uint16_t>(block / 2);
    }
    identify[169] = 1;
  }
  void set_cd(std::size_t bytes) {
    set_disk(bytes, 2048);
    is_cd = true;
    identify[0] = 0x8580;
  }
  void set_names(std::string serial = "  SIM1") {
    const auto text = [&](std::size_t at, std::string value, std::size_t size) {
      value.resize(size, ' ');
      for (std::size_t i = 0; i < size; i += 2) {
        identify[at + i / 2] = static_cast<std::uint16_t>(
            static_cast<unsigned char>(value[i]) << 8 |
            static_cast<unsigned char>(value[i + 1]));
      }
    };
    text(10, std::move(serial), 20);
    text(27, "Simulated SATA", 40);
  }

  [[nodiscard]] std::uint32_t read32(std::uint32_t offset) {
    if (is_gone) return gone_value;
    if (offset + 4 > register_bytes) return driver::kGone;
    switch (offset) {
      case reg::kCapabilities:
        return capabilities;
      case reg::kControl:
        return control();
      case reg::kPorts:
        return ports;
      case reg::kCapabilities2:
        return capabilities2;
      case reg::kHandOff:
        return firmware_holds_on ? hand_off_ | 1 : hand_off_ & ~1u;
      default:
        break;
    }
    if (offset < 0x100) return 0;
    if ((offset - 0x100) / kPortBytes != kPort || !has_device) return 0;
    return read_port((offset - 0x100) % kPortBytes);
  }

  void write32(std::uint32_t offset, std::uint32_t value) {
    if (is_gone) return;
    if (offset == reg::kControl) {
      if ((value & kControlReset) != 0) {
        ++hba_resets;
        control_ = kControlReset;
        reset_looks_ = reset_looks;
        link_looks_ = link_looks;
        reset_port();
        command_ = 0;
      } else {
        control_ = (control_ & kControlReset) | value;
      }
    } else if (offset == reg::kHandOff) {
      hand_off_ = value;
    } else if (offset >= 0x100 && (offset - 0x100) / kPortBytes == kPort) {
      write_port((offset - 0x100) % kPortBytes, value);
    }
  }

  // One step of the device's own time.
  void step() {
    if (is_gone || !has_device || !is_running() || link_is_down) return;
    if (issued_ == 0 || has_halted_) return;
    unsigned slot = static_cast<unsigned>(std::countr_zero(issued_));
    if (answers_out_of_order) {
      do {
        slot = static_cast<unsigned>(random_() % 32);
      } while ((issued_ >> slot & 1) == 0);
    }
    finish(slot);
  }

 private:
  [[nodiscard]] std::uint32_t control() {
    if ((control_ & kControlReset) != 0 && !never_resets) {
      if (reset_looks_ == 0) {
        control_ = 0;
      } else {
        --reset_looks_;
      }
    }
    return control_;
  }

  [[nodiscard]] std::uint32_t read_port(std::uint32_t offset) {
    switch (offset) {
      case reg::kInterruptStatus:
        return events_;
      case reg::kCommand:
        return command_ | (is_running() || never_stops ? kCommandRunning : 0u);
      case reg::kTaskFile:
        if (stays_busy || (command_ & kCommandReceive) == 0) return 0x80;
        return task_;
      case reg::kSignature:
        return signature.value_or(is_cd ? kSignaturePacket : kSignatureDisk);
      case reg::kLinkStatus:
        if (link_is_down || link_control_ == kLinkReset) return 0;
        if (link_looks_ != 0) {
          --link_looks_;
          return 1;
        }
        return 0x113;
      case reg::kLinkControl:
        return link_control_;
      case reg::kActive:
        return active_ | false_active_now_;
      case reg::kIssue:
        return issued_ | false_active_now_;
      default:
        return 0;
    }
  }

  void write_port(std::uint32_t offset, std::uint32_t value) {
    switch (offset) {
      case reg::kCommandList:
        list_ = (list_ & ~std::uint64_t{0xffffffff}) | value;
        break;
      case reg::kCommandList + 4:
        list_ = (list_ & 0xffffffff) | std::uint64_t{value} << 32;
        break;
      case reg::kInterruptStatus:
        events_ &= ~value;
        break;
      case reg::kCommand:
        if ((value & kCommandStart) == 0) {
          issued_ = 0;
          active_ = 0;
          has_halted_ = false;
        }
        command_ = value & ~(kCommandRunning | kCommandReceiving);
        break;
      case reg::kLinkControl:
        if ((value & kLinkMask) == kLinkReset) {
          ++port_resets;
          if (is_running()) ++malformed;
          reset_port();
          link_looks_ = link_looks;
        }
        link_control_ = value & kLinkMask;
        break;
      case reg::kActive:
        active_ |= value;
        break;
      case reg::kIssue:
        if (!is_running() || list_ % 1024 != 0) ++malformed;
        issued_ |= value;
        most_in_flight = std::max(
            most_in_flight, static_cast<std::size_t>(std::popcount(issued_)));
        break;
      default:
        break;
    }
  }

  void reset_port() {
    issued_ = 0;
    active_ = 0;
    task_ = 0x50;
    has_halted_ = false;
    if (is_mended_by_reset) {
      is_stuck = false;
      false_active = 0;
      false_active_now_ = 0;
      event = 0;
      moved_error = 0;
    }
  }

  struct Table {
    const std::byte* frame = nullptr;
    std::byte* header = nullptr;
    std::uint32_t flags = 0;
    std::uint64_t at = 0;
    [[nodiscard]] std::uint8_t byte(std::size_t i) const {
      return std::to_integer<std::uint8_t>(frame[i]);
    }
    [[nodiscard]] std::uint64_t block() const {
      return std::uint64_t{byte(4)} | std::uint64_t{byte(5)} << 8 |
             std::uint64_t{byte(6)} << 16 | std::uint64_t{byte(8)} << 24 |
             std::uint64_t{byte(9)} << 32 | std::uint64_t{byte(10)} << 40;
    }
    [[nodiscard]] std::uint16_t features() const {
      return static_cast<std::uint16_t>(byte(3) | byte(11) << 8);
    }
    [[nodiscard]] std::uint16_t count() const {
      return static_cast<std::uint16_t>(byte(12) | byte(13) << 8);
    }
  };

  void finish(unsigned slot) {
    Table table;
    table.header = memory_.at(list_ + std::uint64_t{32} * slot, 32);
    if (table.header == nullptr) return;
    table.flags = load_le<std::uint32_t>(table.header);
    table.at = load_le<std::uint64_t>(table.header + 8);
    table.frame = memory_.at(table.at, 0x80);
    if (table.frame == nullptr || table.at % 128 != 0 ||
        (table.flags & 0x1f) != 5 || table.byte(0) != 0x27 ||
        table.byte(1) != 0x80) {
      ++malformed;
      return;
    }
    const bool is_queued =
        table.byte(2) == ata::kReadQueued || table.byte(2) == ata::kWriteQueued;
    const bool is_packet = table.byte(2) == ata::kPacket;
    if (is_queued != ((active_ >> slot & 1) != 0)) ++malformed;
    if (!is_queued && std::popcount(issued_) != 1) ++malformed;
    if (is_packet != ((table.flags & 1u << 5) != 0)) ++malformed;
    const bool is_data = is_queued || table.byte(2) == ata::kReadLong ||
                         table.byte(2) == ata::kWriteLong ||
                         (is_packet && table.byte(kPacketAt) == scsi::kRead);
    bool may_lie = false;
    if (is_data) may_lie = requests >= honest_answers;
    if (may_lie && is_stuck) return;
    if (is_data) ++requests;
    if (may_lie && event != 0) {
      events_ |= event;
      has_halted_ = true;
      return;
    }
    const std::optional<std::size_t> moved = do_command(table, is_queued, slot);
    if (!moved) {
      task_ = 0x51 | static_cast<std::uint32_t>(error_) << 8;
      events_ |= kEventRefused;
      has_halted_ = true;  // until it is started again
      return;
    }
    auto told = static_cast<std::uint32_t>(*moved);
    if (may_lie) told += static_cast<std::uint32_t>(moved_error);
    if (!is_queued) store_le(table.header + 4, told);
    if (may_lie) false_active_now_ = false_active;
    task_ = 0x50;
    issued_ &= ~(1u << slot);
    active_ &= ~(1u << slot);
  }

  // The bytes it moved; nothing where it refuses.
  [[nodiscard]] std::optional<std::size_t> do_command(const Table& table,
                                                      bool is_queued,
                                                      unsigned slot) {
    error_ = 4;
    if (table.byte(2) == ata::kPacket) return do_packet(table);
    if (table.byte(2) == (is_cd ? ata::kIdentifyPacket : ata::kIdentify)) {
      return move(table, mutable_bytes_of(identify), true);
    }
    if (is_cd) {
      ++malformed;
      return std::nullopt;
    }
    switch (table.byte(2)) {
      case ata::kFlushLong:
        ++flushes;
        unflushed = 0;
        return 0;
      case ata::kManageData:
        return trim(table);
      case ata::kReadLong:
      case ata::kWriteLong:
      case ata::kReadQueued:
      case ata::kWriteQueued:
        break;
      default:
        ++malformed;
        return std::nullopt;
    }
    if ((table.byte(7) & ata::kByBlock) == 0) ++malformed;
    if (is_queued && table.count() != slot << 3) ++malformed;
    const bool is_read =
        table.byte(2) == ata::kReadLong || table.byte(2) == ata::kReadQueued;
    const std::uint64_t blocks = is_queued ? table.features() : table.count();
    if (!is_read) ++unflushed;
    return move_blocks(table, table.block(), blocks, is_read);
  }

  [[nodiscard]] std::optional<std::size_t> move_blocks(const Table& table,
                                                       std::uint64_t first,
                                                       std::uint64_t blocks,
                                                       bool is_read) {
    const std::uint64_t length = blocks * block_bytes;
    largest_request = std::max<std::size_t>(largest_request, length);
    if (blocks == 0) ++malformed;
    if (!range_inside(first * block_bytes, length, content.size())) {
      error_ = 0x10;
      return std::nullopt;
    }
    if (bad_block && *bad_block >= first && *bad_block < first + blocks) {
      error_ = 0x40;
      return std::nullopt;
    }
    return move(table,
                MutableBytes(content).subspan(first * block_bytes, length),
                is_read);
  }

  // Goes through the regions of the table.
  [[nodiscard]] std::optional<std::size_t> move(const Table& table,
                                                MutableBytes medium,
                                                bool is_read) {
    if (is_read == ((table.flags & 1u << 6) != 0)) ++malformed;
    const std::size_t count = table.flags >> 16;
    std::size_t moved = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const std::byte* region = memory_.at(table.at + 0x80 + 16 * i, 16);
      if (region == nullptr) return std::nullopt;
      const auto at = load_le<std::uint64_t>(region);
      const std::size_t length =
          (load_le<std::uint32_t>(region + 12) & 0x3fffff) + 1;
      if (at % 2 != 0 || length % 2 != 0) ++malformed;
      if (at + length > std::uint64_t{1} << 32 &&
          (capabilities & kCap64Bits) == 0) {
        ++malformed;
      }
      const std::size_t now = std::min(length, medium.size() - moved);
      std::byte* p = memory_.at(at, now);
      if (p == nullptr) return std::nullopt;
      if (is_read) {
        std::memcpy(p, medium.data() + moved, now);
      } else {
        std::memcpy(medium.data() + moved, p, now);
      }
      moved += now;
    }
    if (moved != medium.size()) ++malformed;
    return moved;
  }

  [[nodiscard]] std::optional<std::size_t> trim(const Table& table) {
    if (table.features() != ata::kTrim || table.count() != 1 ||
        identify[169] == 0) {
      ++malformed;
      return std::nullopt;
    }
    std::array<std::byte, 512> list;
    const auto moved = move(table, list, false);
    for (std::size_t i = 0; i < list.size(); i += 8) {
      const auto range = load_le<std::uint64_t>(list.data() + i);
      const std::uint64_t blocks = range >> 48;
      if (blocks == 0) continue;
      discarded.emplace_back(range & 0xffffffffffff, blocks);
    }
    return moved;
  }

  [[nodiscard]] std::optional<std::size_t> do_packet(const Table& table) {
    const auto packet = [&](std::size_t i) {
      return table.byte(kPacketAt + i);
    };
    if (!is_cd || (table.features() & 1) == 0) ++malformed;
    if (packet(0) == scsi::kRequestSense) {
      std::array<std::byte, 18> sense{};
      sense[0] = std::byte{0x70};
      sense[2] = std::byte{sense_.first};
      sense[12] = std::byte{sense_.second};
      sense_ = {};
      return move(
          table,
          MutableBytes(sense).first(std::min<std::size_t>(packet(4), 18)),
          true);
    }
    if (!senses.empty()) {
      sense_ = senses.front();
      senses.erase(senses.begin());
      error_ = static_cast<std::uint8_t>(sense_.first << 4);
      return std::nullopt;
    }
    const auto number = [&](std::size_t at, std::size_t bytes) {
      std::uint64_t value = 0;
      for (std::size_t i = 0; i < bytes; ++i) {
        value = value << 8 | packet(at + i);
      }
      return value;
    };
    switch (packet(0)) {
      case scsi::kReadCapacity: {
        std::array<std::byte, 8> answer;
        store_be(answer.data(),
                 static_cast<std::uint32_t>(content.size() / block_bytes - 1));
        store_be(answer.data() + 4, block_bytes);
        return move(table, answer, true);
      }
      case scsi::kRead: {
        const auto moved = move_blocks(table, number(2, 4), number(7, 2), true);
        if (!moved) sense_ = {3, 0x11};
        return moved;
      }
      default:
        ++malformed;
        return std::nullopt;
    }
  }

  driver::SimMemory& memory_;
  std::uint32_t control_ = 0;
  std::uint32_t hand_off_ = 0;
  unsigned reset_looks_ = 0;
  unsigned link_looks_ = 0;
  std::uint64_t list_ = 0;
  std::uint32_t command_ = 0;
  std::uint32_t task_ = 0x50;
  std::uint32_t events_ = 0;
  std::uint32_t link_control_ = 0;
  std::uint32_t active_ = 0;
  std::uint32_t issued_ = 0;
  std::uint32_t false_active_now_ = 0;
  bool has_halted_ = false;
  std::uint8_t error_ = 0;
  std::pair<std::uint8_t, std::uint8_t> sense_{};
  std::mt19937 random_{7};
};

// Satisfies driver::Registers.
class SimRegisters {
 public:
  explicit SimRegisters(SimHba& hba) : hba_(&hba) {}
  [[nodiscard]] std::uint32_t read32(std::uint32_t offset) {
    return hba_->read32(offset);
  }
  void write32(std::uint32_t offset, std::uint32_t value) {
    hba_->write32(offset, value);
  }
  [[nodiscard]] std::uint64_t size_bytes() const {
    return hba_->register_bytes;
  }

 private:
  SimHba* hba_;
};

static_assert(driver::Registers<SimRegisters>);

}  // namespace odo::ahci
