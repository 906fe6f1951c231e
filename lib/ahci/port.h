// SPDX-License-Identifier: BSD-3-Clause
// One port of an AHCI controller: commands to what hangs on it, of which many
// are under way at once where both sides queue, and what is done when something
// goes wrong. disk.h and cd_drive.h make block devices of it.
//
// Contexts: thread, one caller at a time. All that asks the device something
//   waits (ODO_MAY_BLOCK).
// Shapes: the port's memory is kMemoryBytes long, physically contiguous,
//   beginning on a page: the command list, where answers are received, a page
//   for answers, a page that data go through which no table can point at, one
//   table for each command.
// Ownership: memory stays with the caller and outlives the port.
// Failure: start() see Error. A command that the device refuses fails, and the
//   port runs again; with queues the device is reset for that, as it has
//   dropped what else it had. A device that does not answer in time, or answers
//   what cannot be, is reset too, so that it no longer reads or writes anyone's
//   buffer, and then used again. One that does not come back, or is reset
//   kMaxResets times without success between, answers kIo from then on.
// Complexity: linear in the bytes; one table a command.
// Origin: Serial ATA AHCI 1.3.1 §5.5 (building commands), §6.2 (errors),
// §10.4.2
//   (port reset).
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "lib/ahci/command.h"
#include "lib/ahci/error.h"
#include "lib/ahci/hba.h"
#include "lib/ahci/prdt.h"
#include "lib/ahci/registers.h"
#include "lib/base/annotations.h"
#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/block/device.h"
#include "lib/driver/ground.h"
#include "lib/driver/registers.h"
#include "lib/driver/transfer.h"

namespace odo::ahci {

// A kind of command over blocks of data, or over none.
struct CommandKind {
  // The command for `blocks` from `first` on; `slot` is what a queued one must
  // name.
  Command (*make)(std::uint64_t first, std::uint32_t blocks, unsigned slot);
  std::uint32_t block_bytes = 512;
  std::uint32_t max_blocks = 1;
  unsigned depth = 1;  // so many at once; 1 means that it is not queued
  std::uint32_t limit_ms = driver::kRequestLimitMs;
};

template <driver::Registers R, driver::DriverGround G>
class Port {
 public:
  static constexpr unsigned kMaxSlots = 32;
  static constexpr unsigned kMaxResets = 3;
  static constexpr std::size_t kMaxCommandBytes = std::size_t{256} * 1024;
  static constexpr std::size_t kPageBytes = 4096;
  static constexpr std::size_t kTableBytes = 1024;
  static constexpr std::size_t kMaxRegions =
      (kTableBytes - 0x80) / kRegionBytes;
  static constexpr std::size_t kMemoryBytes =
      3 * kPageBytes + kMaxSlots * kTableBytes;

  Port(R registers, G ground, unsigned number, const HbaShape& shape)
      : registers_(registers),
        ground_(ground),
        base_(port_base(number)),
        shape_(shape) {}
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;

  // After Hba::start(), with the link up: makes the port work; answers the
  // signature of what hangs on it.
  ODO_MAY_BLOCK [[nodiscard]] Result<std::uint32_t> start(MutableBytes memory) {
    ODO_CHECK(memory.size() >= kMemoryBytes);
    const driver::DmaRun run = ground_.dma_run(memory.data(), kMemoryBytes);
    ODO_CHECK(run.length == kMemoryBytes &&
              is_aligned(run.physical, kPageBytes));
    if (!range_inside(run.physical, kMemoryBytes, shape_.reach)) {
      return fail(Error::kOutOfReach);
    }
    memory_ = memory.data();
    physical_ = run.physical;
    zero_bytes(memory.first(kPageBytes));
    ODO_TRY_VOID(stop());
    write(reg::kInterruptEnable, 0);  // answers are looked for
    write64(reg::kCommandList, physical_);
    write64(reg::kReceived, physical_ + kReceivedAt);
    clear_events();
    write(reg::kCommand, read(reg::kCommand) | kCommandReceive);
    ODO_TRY_VOID(wait_until_idle());
    run_again();
    is_working_ = true;
    return read(reg::kSignature);
  }

  [[nodiscard]] bool is_working() const { return is_working_; }
  [[nodiscard]] unsigned command_slots() const {
    return std::min(shape_.command_slots, kMaxSlots);
  }
  [[nodiscard]] bool has_queues() const { return shape_.has_queues; }
  // Goes up whenever the device was reset: it may be another one then.
  [[nodiscard]] unsigned resets() const { return resets_; }
  [[nodiscard]] std::optional<Error> last_error() const { return last_error_; }
  // The device's error register, as the last command that it refused left it.
  [[nodiscard]] std::uint8_t last_refusal() const { return last_refusal_; }

  // Whole blocks; the caller has checked the range. Fills `data`.
  ODO_MAY_BLOCK [[nodiscard]] Result<void> read(const CommandKind& kind,
                                                std::uint64_t offset_bytes,
                                                MutableBytes data) {
    if (data.empty()) return {};
    Requests requests{*this, kind, Direction::kFromDevice, data.data(),
                      offset_bytes};
    return run(requests, offset_bytes, data);
  }
  // The same for a write.
  ODO_MAY_BLOCK [[nodiscard]] Result<void> write(const CommandKind& kind,
                                                 std::uint64_t offset_bytes,
                                                 Bytes data) {
    if (data.empty()) return {};
    Requests requests{*this, kind, Direction::kToDevice, nullptr, offset_bytes};
    return run(requests, offset_bytes, data);
  }
  // One command without data.
  ODO_MAY_BLOCK [[nodiscard]] Result<void> command(const CommandKind& kind) {
    Requests requests{*this, kind, Direction::kToDevice, nullptr, 0};
    return run(requests, 0, {});
  }

  // A page for answers to, and the data of, single commands; goes with read()
  // and write() at offset 0.
  [[nodiscard]] MutableBytes answer_page() {
    return {memory_ + kAnswerAt, kPageBytes};
  }

  // For a device that has turned out to be another one.
  void give_up(Error why) {
    last_error_ = why;
    is_working_ = false;
    if (const auto stopped = stop(); !stopped) last_error_ = stopped.error();
  }

 private:
  static constexpr std::size_t kReceivedAt = 1024;
  static constexpr std::size_t kAnswerAt = kPageBytes;
  static constexpr std::size_t kBounceAt = 2 * kPageBytes;
  static constexpr std::size_t kTablesAt = 3 * kPageBytes;
  static constexpr std::size_t kHeaderBytes = 32;
  static constexpr std::size_t kRegionsAt = 0x80;  // in a table
  static constexpr std::uint32_t kStopMs = 500;
  static constexpr std::uint32_t kLinkMs = 1000;
  // Disks that spin up take most of it.
  static constexpr std::uint32_t kReadyMs = 10'000;

  enum class Direction : std::uint8_t { kFromDevice, kToDevice };

  // One kind of command, as driver::transfer() sees it.
  struct Requests {
    Port& port;
    const CommandKind& kind;
    Direction direction;
    std::byte* read_to;  // where `begin_bytes` goes, for a read
    std::uint64_t begin_bytes;

    [[nodiscard]] driver::Submitted submit(std::uint64_t offset_bytes,
                                           Bytes data) {
      return port.submit(*this, offset_bytes, data);
    }
    void publish() { port.publish(kind.depth > 1); }
    [[nodiscard]] driver::Collected collect() {
      return port.collect(kind.depth > 1);
    }
    [[nodiscard]] std::size_t in_flight() const {
      return static_cast<std::size_t>(std::popcount(port.issued_));
    }
  };

  struct Slot {
    std::uint32_t bytes = 0;  // that must be moved, where the port counts them
    MutableBytes copy_to;     // what came through the bounce page
  };

  [[nodiscard]] std::uint32_t read(std::uint32_t offset) {
    return registers_.read32(base_ + offset);
  }
  void write(std::uint32_t offset, std::uint32_t value) {
    registers_.write32(base_ + offset, value);
  }
  void write64(std::uint32_t offset, std::uint64_t value) {
    write(offset, static_cast<std::uint32_t>(value));
    write(offset + 4, static_cast<std::uint32_t>(value >> 32));
  }

  // --- Up and down ---

  // Waits until none of `bits` is set.
  [[nodiscard]] Result<void> wait_for_clear(std::uint32_t offset,
                                            std::uint32_t bits,
                                            std::uint32_t limit_ms,
                                            Error otherwise) {
    ground_.begin_wait(limit_ms);
    do {
      const std::uint32_t value = read(offset);
      if (value == driver::kGone) return fail(Error::kGone);
      if ((value & bits) == 0) return {};
    } while (ground_.wait());
    return fail(otherwise);
  }

  // After success the port touches no buffer, though it may still receive.
  [[nodiscard]] Result<void> stop() {
    write(reg::kCommand, read(reg::kCommand) & ~kCommandStart);
    return wait_for_clear(reg::kCommand, kCommandRunning, kStopMs,
                          Error::kNotStopped);
  }

  void clear_events() {
    write(reg::kLinkErrors, 0xffffffff);
    write(reg::kInterruptStatus, 0xffffffff);
  }

  [[nodiscard]] Result<void> wait_until_idle() {
    return wait_for_clear(reg::kTaskFile, kTaskBusy | kTaskData, kReadyMs,
                          Error::kNotReady);
  }

  void run_again() {
    issued_ = 0;
    to_issue_ = 0;
    bounced_.reset();
    slots_ = {};
    clear_events();
    write(reg::kCommand, read(reg::kCommand) | kCommandStart);
  }

  [[nodiscard]] Result<void> reset_device() {
    ++resets_;
    const std::uint32_t control = read(reg::kLinkControl) & ~kLinkMask;
    write(reg::kLinkControl, control | kLinkReset);
    // The signal must be there for a millisecond.
    ground_.begin_wait(2);
    while (ground_.wait()) {
    }
    write(reg::kLinkControl, control);
    ground_.begin_wait(kLinkMs);
    while ((read(reg::kLinkStatus) & kLinkMask) != kLinkUp) {
      if (!ground_.wait()) return fail(Error::kGone);
    }
    clear_events();
    return wait_until_idle();
  }

  // --- Commands ---

  [[nodiscard]] Result<void> run(Requests& requests, std::uint64_t offset_bytes,
                                 Bytes data) {
    if (!is_working_) return fail(last_error_.value_or(Error::kGone));
    fault_.reset();
    switch (driver::transfer(requests, ground_, offset_bytes, data,
                             requests.kind.limit_ms)) {
      case driver::Outcome::kDone:
        // To tell who it is, a device need not be able to work.
        if (data.data() != answer_page().data()) resets_without_success_ = 0;
        return {};
      case driver::Outcome::kFailed:
        return fail(Error::kBroken);
      case driver::Outcome::kTimeout:
        return recover(Error::kTimeout, requests.kind.depth > 1);
      case driver::Outcome::kLie:
        break;
    }
    return recover(fault_.value_or(Error::kBroken), requests.kind.depth > 1);
  }

  [[nodiscard]] driver::Submitted submit(Requests& requests,
                                         std::uint64_t offset_bytes,
                                         Bytes data) {
    using driver::Submitted;
    const CommandKind& kind = requests.kind;
    const auto index = static_cast<unsigned>(std::countr_one(issued_));
    if (index >= std::min(kind.depth, command_slots())) {
      return {Submitted::kNoRoom};
    }
    std::byte* const table = memory_ + kTablesAt + index * kTableBytes;
    Regions regions;
    slots_[index] = {};
    if (!data.empty()) {
      const std::size_t most = std::min<std::size_t>(
          kMaxCommandBytes, std::size_t{kind.max_blocks} * kind.block_bytes);
      regions = describe_data(ground_, data, most, kind.block_bytes,
                              table + kRegionsAt, kMaxRegions, shape_.reach);
      if (regions.bytes == 0) {
        // No table can point at it: it goes through a page.
        if (bounced_) return {Submitted::kNoRoom};
        bounced_ = index;
        const MutableBytes bounce(memory_ + kBounceAt,
                                  std::min(data.size(), kPageBytes));
        regions =
            describe_data(ground_, bounce, bounce.size(), kind.block_bytes,
                          table + kRegionsAt, kMaxRegions, shape_.reach);
        if (requests.direction == Direction::kToDevice) {
          copy_bytes(bounce, data.first(bounce.size()));
        } else {
          slots_[index].copy_to = MutableBytes(
              requests.read_to + (offset_bytes - requests.begin_bytes),
              bounce.size());
        }
      }
    }
    if (kind.depth == 1) {
      slots_[index].bytes = static_cast<std::uint32_t>(regions.bytes);
    }
    const Command command = kind.make(
        offset_bytes / kind.block_bytes,
        static_cast<std::uint32_t>(regions.bytes / kind.block_bytes), index);
    command.store(table);
    store_header(index, command, requests.direction, regions.count);
    issued_ |= 1u << index;
    to_issue_ |= 1u << index;
    return {Submitted::kAdded, regions.bytes};
  }

  void store_header(unsigned index, const Command& command, Direction direction,
                    std::size_t regions) {
    constexpr std::uint32_t kPacket = 1u << 5;
    constexpr std::uint32_t kWrite = 1u << 6;
    std::byte* const header = memory_ + index * kHeaderBytes;
    std::uint32_t flags = Command::kFrameWords;
    if (command.has_packet) flags |= kPacket;
    if (direction == Direction::kToDevice && regions != 0) flags |= kWrite;
    store_le(header, flags | static_cast<std::uint32_t>(regions) << 16);
    store_le(header + 4, std::uint32_t{0});
    store_le(header + 8, physical_ + kTablesAt + index * kTableBytes);
  }

  void publish(bool is_queued) {
    ground_.full_fence();
    if (is_queued) write(reg::kActive, to_issue_);
    write(reg::kIssue, to_issue_);
    to_issue_ = 0;
  }

  // Takes all answers that are there.
  [[nodiscard]] driver::Collected collect(bool is_queued) {
    using driver::Collected;
    constexpr unsigned kLooksBetween = 64;
    std::uint32_t active = read(reg::kIssue);
    if (is_queued) active |= read(reg::kActive);
    const std::uint32_t done = issued_ & ~active;
    ++looks_;
    // Looks at registers are slow: at events only with an answer, or sometimes.
    if (done != 0 || (active & ~issued_) != 0 || looks_ % kLooksBetween == 0) {
      if (const auto fault = find_fault()) {
        fault_ = fault;
        return Collected::kLie;
      }
    }
    if ((active & ~issued_) != 0) return Collected::kLie;
    if (done == 0) return Collected::kNothing;
    // What the device wrote before it said so is read after this.
    ground_.full_fence();
    Collected result = Collected::kSome;
    for (std::uint32_t left = done; left != 0; left &= left - 1) {
      if (!finish(static_cast<unsigned>(std::countr_zero(left)))) {
        result = Collected::kFailure;
      }
    }
    issued_ &= ~done;
    return result;
  }

  // True when the command moved what it was to move.
  [[nodiscard]] bool finish(unsigned index) {
    const Slot slot = slots_[index];
    slots_[index] = {};
    if (bounced_ == index) bounced_.reset();
    const auto moved =
        load_le<std::uint32_t>(memory_ + index * kHeaderBytes + 4);
    if (slot.bytes != 0 && moved != slot.bytes) return false;
    if (!slot.copy_to.empty()) {
      copy_bytes(slot.copy_to, Bytes(memory_ + kBounceAt, slot.copy_to.size()));
    }
    return true;
  }

  [[nodiscard]] std::optional<Error> find_fault() {
    const std::uint32_t events = read(reg::kInterruptStatus);
    if (events == driver::kGone) return Error::kGone;
    // Registers that nobody answers for may read as zeros, too, which would
    // look like commands that are done.
    if ((read(reg::kLinkStatus) & kLinkMask) != kLinkUp) return Error::kGone;
    if ((events & (kEventLink | kEventFaults)) != 0) return Error::kLink;
    if ((events & kEventRefused) != 0) {
      last_refusal_ = static_cast<std::uint8_t>(read(reg::kTaskFile) >> 8);
      return Error::kRefused;
    }
    return std::nullopt;
  }

  // After a fault: the port is stopped, and runs again if it can.
  [[nodiscard]] std::unexpected<Error> recover(Error why, bool was_queued) {
    last_error_ = why;
    if (why != Error::kRefused) ++resets_without_success_;
    if (const auto up = make_usable(why, was_queued); !up) {
      last_error_ = up.error();
      is_working_ = false;
    }
    return fail(why);
  }

  [[nodiscard]] Result<void> make_usable(Error why, bool was_queued) {
    ODO_TRY_VOID(stop());
    if (why == Error::kGone) return fail(why);
    if (resets_without_success_ >= kMaxResets) return fail(why);
    const bool is_idle = (read(reg::kTaskFile) & (kTaskBusy | kTaskData)) == 0;
    if (why != Error::kRefused || was_queued || !is_idle) {
      ODO_TRY_VOID(reset_device());
    }
    run_again();
    return {};
  }

  R registers_;
  G ground_;
  std::uint32_t base_;
  HbaShape shape_;
  std::byte* memory_ = nullptr;
  std::uint64_t physical_ = 0;
  std::uint32_t issued_ = 0;    // one bit for each command under way
  std::uint32_t to_issue_ = 0;  // of those, not yet told
  std::array<Slot, kMaxSlots> slots_{};
  std::optional<unsigned> bounced_;  // the slot that has the bounce page
  unsigned looks_ = 0;
  unsigned resets_ = 0;
  unsigned resets_without_success_ = 0;
  bool is_working_ = false;
  std::optional<Error> fault_;
  std::optional<Error> last_error_;
  std::uint8_t last_refusal_ = 0;
};

}  // namespace odo::ahci
