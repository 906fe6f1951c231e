// SPDX-License-Identifier: BSD-3-Clause
// An NVMe controller: brought up and down, asked about itself and its
// namespaces, and given reads, writes, flushes and discards, of which many are
// under way at once. namespace.h makes a disk of each namespace.
//
// Contexts: thread, one caller at a time for all of a controller's namespaces.
//   All that asks the device something waits (ODO_MAY_BLOCK).
// Shapes: the device's memory is kMemoryBytes long, physically contiguous,
//   beginning on a page: rings, a page for answers, a page that data go through
//   which no command can point at, one list of pages for each request.
// Ownership: memory stays with the caller and outlives the driver.
// Failure: start() see Error. A request that the device refuses fails alone. A
//   device that does not answer in time, answers what cannot be, or says that
//   it cannot go on, is reset, so that it no longer reads or writes anyone's
//   buffer, and is brought up again: the request fails, the next one finds a
//   working device. One that does not come up, or is reset kMaxResets times
//   without an answer between, answers kIo from then on. There is no Abort
//   before the reset: as there is one caller, nothing else is under way that it
//   could spare.
// Complexity: linear in the bytes; one queue entry a request.
// Origin: NVM Express Base Specification 1.4 §7.6.1 (initialisation), §7.3.2
//   (reset), §5.3 to §5.21 (admin commands), §6 (NVM commands).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

#include "lib/base/annotations.h"
#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/block/device.h"
#include "lib/driver/ground.h"
#include "lib/driver/registers.h"
#include "lib/driver/transfer.h"
#include "lib/nvme/command.h"
#include "lib/nvme/error.h"
#include "lib/nvme/identify.h"
#include "lib/nvme/prp.h"
#include "lib/nvme/queue_pair.h"
#include "lib/nvme/registers.h"

namespace odo::nvme {

template <driver::Registers R, driver::DriverGround G>
class Controller {
 public:
  static constexpr std::size_t kMaxRequests = 32;
  static constexpr std::size_t kMaxRequestBytes = std::size_t{256} * 1024;
  static constexpr unsigned kMaxResets = 3;
  static constexpr std::size_t kListEntries = kMaxRequestBytes / kPageBytes;
  static constexpr std::size_t kListBytes = kListEntries * 8;
  static constexpr std::size_t kMemoryBytes =
      std::size_t{6} * kPageBytes + kMaxRequests * kListBytes;

  Controller(R registers, G ground) : registers_(registers), ground_(ground) {}
  Controller(const Controller&) = delete;
  Controller& operator=(const Controller&) = delete;

  // Brings the controller up and learns who it is.
  ODO_MAY_BLOCK [[nodiscard]] Result<void> start(MutableBytes memory) {
    ODO_CHECK(memory.size() >= kMemoryBytes);
    const driver::DmaRun run = ground_.dma_run(memory.data(), kMemoryBytes);
    ODO_CHECK(run.length == kMemoryBytes &&
              is_aligned(run.physical, kPageBytes));
    memory_ = memory.data();
    physical_ = run.physical;
    ODO_TRY_VOID(bring_up());
    is_working_ = true;
    return {};
  }

  [[nodiscard]] const ControllerIdentity& identity() const { return identity_; }
  [[nodiscard]] bool is_working() const { return is_working_; }
  [[nodiscard]] std::optional<Error> last_error() const { return last_error_; }
  // As the last command that failed was answered.
  [[nodiscard]] std::uint16_t last_status() const { return last_status_; }

  // Calls `visit(identifier, Result<NamespaceShape>)` for the namespaces that
  // there are, in order, until it answers false.
  template <class Visitor>
  ODO_MAY_BLOCK [[nodiscard]] Result<void> for_each_namespace(Visitor&& visit) {
    constexpr std::uint32_t kMaxAsked = 1024;
    const bool has_list = registers_.read32(reg::kVersion) >= kVersion11;
    if (!has_list) {
      const std::uint32_t count = std::min(identity_.namespaces, kMaxAsked);
      for (std::uint32_t id = 1; id <= count; ++id) {
        ODO_TRY(const bool goes_on, visit_namespace(id, visit));
        if (!goes_on) return {};
      }
      return {};
    }
    std::array<std::uint32_t, kMaxAsked> ids;
    ODO_TRY_VOID(identify(admin::kActiveNamespaces, 0));
    for (std::size_t i = 0; i < kMaxAsked; ++i) {
      ids[i] = load_le<std::uint32_t>(page(kAnswerPage) + 4 * i);
    }
    std::uint32_t last = 0;
    for (const std::uint32_t id : ids) {
      if (id == 0) return {};
      if (id <= last || id > identity_.namespaces) {
        return fail(Error::kBroken);
      }
      last = id;
      ODO_TRY(const bool goes_on, visit_namespace(id, visit));
      if (!goes_on) return {};
    }
    return {};
  }

  // Whole blocks of a namespace; the caller has checked the range. Fills
  // `data`.
  ODO_MAY_BLOCK [[nodiscard]] block::Result<void> read(
      std::uint32_t namespace_id, std::uint32_t block_bytes,
      std::uint64_t offset_bytes, MutableBytes data) {
    if (data.empty()) return {};
    Requests requests{*this,       {.opcode = io::kRead}, namespace_id,
                      block_bytes, data.data(),           offset_bytes};
    return run(requests, offset_bytes, data);
  }

  // The same for a write.
  ODO_MAY_BLOCK [[nodiscard]] block::Result<void> write(
      std::uint32_t namespace_id, std::uint32_t block_bytes,
      std::uint64_t offset_bytes, Bytes data) {
    if (data.empty()) return {};
    Requests requests{*this,        {.opcode = io::kWrite},
                      namespace_id, block_bytes,
                      nullptr,      offset_bytes};
    return run(requests, offset_bytes, data);
  }

  // What has no volatile cache keeps what it answered.
  ODO_MAY_BLOCK [[nodiscard]] block::Result<void> flush(
      std::uint32_t namespace_id) {
    if (!is_working_) return fail(block::Error::kIo);
    if (!identity_.has_volatile_cache) return {};
    Requests requests{*this, {.opcode = io::kFlush}, namespace_id, 1, nullptr,
                      0};
    return run(requests, 0, {});
  }

  // Whole blocks, as above.
  ODO_MAY_BLOCK [[nodiscard]] block::Result<void> discard(
      std::uint32_t namespace_id, std::uint32_t block_bytes,
      std::uint64_t offset_bytes, std::uint64_t length_bytes) {
    if (!identity_.can_discard) return fail(block::Error::kNotOffered);
    constexpr std::uint64_t kMaxBlocks = 0xffffffff;
    std::uint64_t first = offset_bytes / block_bytes;
    std::uint64_t blocks = length_bytes / block_bytes;
    while (blocks != 0) {
      const std::uint64_t now = std::min(blocks, kMaxBlocks);
      std::byte* const range = page(kAnswerPage);
      store_le(range, std::uint32_t{0});
      store_le(range + 4, static_cast<std::uint32_t>(now));
      store_le(range + 8, first);
      Requests requests{*this,
                        {.opcode = io::kManageData,
                         .data = page_physical(kAnswerPage),
                         .word11 = io::kDeallocate},
                        namespace_id,
                        block_bytes,
                        nullptr,
                        0};
      ODO_TRY_VOID(run(requests, 0, {}));
      first += now;
      blocks -= now;
    }
    return {};
  }

 private:
  static constexpr std::size_t kAdminSlots = 4;
  // Pages of the memory.
  static constexpr std::size_t kAdminSubmissionsPage = 0;
  static constexpr std::size_t kAdminCompletionsPage = 1;
  static constexpr std::size_t kSubmissionsPage = 2;
  static constexpr std::size_t kCompletionsPage = 3;
  static constexpr std::size_t kAnswerPage = 4;
  static constexpr std::size_t kBouncePage = 5;
  static constexpr std::size_t kListsPage = 6;
  static constexpr std::uint16_t kIoQueue = 1;

  using AdminQueue = QueuePair<R, G, kAdminSlots>;
  using IoQueue = QueuePair<R, G, kMaxRequests>;
  static_assert(IoQueue::kEntries * kCommandBytes <= kPageBytes);
  static_assert(kPageBytes % kListBytes == 0);

  // One kind of request for one namespace, as driver::transfer() sees it.
  struct Requests {
    Controller& controller;
    Command command;
    std::uint32_t namespace_id;
    std::uint32_t block_bytes;
    std::byte* read_to;  // where `begin_bytes` goes, for a read
    std::uint64_t begin_bytes;

    [[nodiscard]] driver::Submitted submit(std::uint64_t offset_bytes,
                                           Bytes data) {
      return controller.submit(*this, offset_bytes, data);
    }
    void publish() {
      controller.queue_.ring(controller.registers_, controller.ground_);
    }
    [[nodiscard]] driver::Collected collect() { return controller.collect(); }
    [[nodiscard]] std::size_t in_flight() const {
      return controller.queue_.in_flight();
    }
  };

  [[nodiscard]] std::byte* page(std::size_t index) {
    return memory_ + index * kPageBytes;
  }
  [[nodiscard]] std::uint64_t page_physical(std::size_t index) const {
    return physical_ + index * kPageBytes;
  }

  // --- Up and down ---

  [[nodiscard]] Result<void> bring_up() {
    capabilities_.raw = read64(registers_, reg::kCapabilities);
    if (capabilities_.raw == ~std::uint64_t{0}) return fail(Error::kGone);
    if (!capabilities_.has_nvm_commands()) return fail(Error::kNoCommandSet);
    if (!capabilities_.takes_small_pages()) return fail(Error::kNoPages);
    const std::uint32_t stride = capabilities_.doorbell_stride();
    if (capabilities_.max_queue_entries() < 2 ||
        !range_inside(reg::kDoorbells, std::uint64_t{4} * stride,
                      registers_.size_bytes())) {
      return fail(Error::kBadConfig);
    }
    ODO_TRY_VOID(stop());
    // Nobody listens: answers are looked for.
    registers_.write32(reg::kMaskInterrupts, 0xffffffff);
    const std::uint32_t admin_entries =
        std::min(AdminQueue::kEntries, capabilities_.max_queue_entries());
    admin_.init(0, admin_entries, stride, page(kAdminSubmissionsPage),
                page(kAdminCompletionsPage));
    registers_.write32(reg::kAdminSizes,
                       (admin_entries - 1) << 16 | (admin_entries - 1));
    write64(registers_, reg::kAdminSubmissions,
            page_physical(kAdminSubmissionsPage));
    write64(registers_, reg::kAdminCompletions,
            page_physical(kAdminCompletionsPage));
    ground_.full_fence();
    registers_.write32(reg::kConfiguration, kConfigurationOn);
    ODO_TRY_VOID(wait_until_ready());
    ODO_TRY_VOID(learn_identity());
    return make_queue();
  }

  // After success the device touches no memory of ours.
  [[nodiscard]] Result<void> stop() {
    registers_.write32(reg::kConfiguration, 0);
    ground_.begin_wait(capabilities_.limit_ms());
    do {
      const std::uint32_t status = registers_.read32(reg::kStatus);
      if (status == driver::kGone) return fail(Error::kGone);
      if ((status & kStatusReady) == 0) return {};
    } while (ground_.wait());
    return fail(Error::kNotStopped);
  }

  [[nodiscard]] Result<void> wait_until_ready() {
    ground_.begin_wait(capabilities_.limit_ms());
    do {
      const std::uint32_t status = registers_.read32(reg::kStatus);
      if (status == driver::kGone) return fail(Error::kGone);
      if ((status & kStatusFatal) != 0) return fail(Error::kFatal);
      if ((status & kStatusReady) != 0) return {};
    } while (ground_.wait());
    return fail(Error::kNotReady);
  }

  [[nodiscard]] Result<void> learn_identity() {
    ODO_TRY_VOID(identify(admin::kController, 0));
    ODO_TRY(const ControllerIdentity identity,
            parse_controller(Bytes(page(kAnswerPage), kIdentifyBytes)));
    if (is_working_ && identity.serial.view() != identity_.serial.view()) {
      return fail(Error::kChanged);
    }
    identity_ = identity;
    return {};
  }

  [[nodiscard]] Result<void> make_queue() {
    const std::uint32_t entries =
        std::min(IoQueue::kEntries, capabilities_.max_queue_entries());
    queue_.init(kIoQueue, entries, capabilities_.doorbell_stride(),
                page(kSubmissionsPage), page(kCompletionsPage));
    slots_ = {};
    bounced_.reset();
    // One of each kind; numbers begin at 0.
    ODO_TRY_VOID(ask({.opcode = admin::kSetFeatures,
                      .word10 = admin::kFeatureQueues,
                      .word11 = 0}));
    constexpr std::uint32_t kContiguous = 1;
    const std::uint32_t size_and_id = (entries - 1) << 16 | kIoQueue;
    ODO_TRY_VOID(ask({.opcode = admin::kCreateCompletions,
                      .data = page_physical(kCompletionsPage),
                      .word10 = size_and_id,
                      .word11 = kContiguous}));
    return ask({.opcode = admin::kCreateSubmissions,
                .data = page_physical(kSubmissionsPage),
                .word10 = size_and_id,
                .word11 = std::uint32_t{kIoQueue} << 16 | kContiguous});
  }

  // --- Admin commands ---

  [[nodiscard]] Result<void> identify(std::uint32_t what,
                                      std::uint32_t namespace_id) {
    zero_bytes(MutableBytes(page(kAnswerPage), kPageBytes));
    return ask({.opcode = admin::kIdentify,
                .namespace_id = namespace_id,
                .data = page_physical(kAnswerPage),
                .word10 = what});
  }

  // One command, to its end.
  [[nodiscard]] Result<void> ask(const Command& command) {
    const auto slot = admin_.free_slot();
    if (!slot) return fail(Error::kTimeout);  // others were never answered
    admin_.add(*slot, command);
    admin_.ring(registers_, ground_);
    ground_.begin_wait(driver::kRequestLimitMs);
    for (;;) {
      ODO_TRY(const auto answer, admin_.take(ground_));
      if (answer) {
        admin_.acknowledge(registers_);
        if (answer->slot != *slot) return fail(Error::kBroken);
        if (answer->status == 0) return {};
        last_status_ = answer->status;
        return fail(Error::kRefused);
      }
      ODO_TRY_VOID(look_at_health());
      if (!ground_.wait()) return fail(Error::kTimeout);
    }
  }

  template <class Visitor>
  [[nodiscard]] Result<bool> visit_namespace(std::uint32_t id, Visitor& visit) {
    ODO_TRY_VOID(identify(admin::kNamespace, id));
    const auto shape =
        parse_namespace(Bytes(page(kAnswerPage), kIdentifyBytes));
    if (!shape) {
      return static_cast<bool>(
          visit(id, Result<NamespaceShape>(fail(shape.error()))));
    }
    if (!*shape) return true;
    return static_cast<bool>(visit(id, Result<NamespaceShape>(**shape)));
  }

  // --- Requests ---

  [[nodiscard]] block::Result<void> run(Requests& requests,
                                        std::uint64_t offset_bytes,
                                        Bytes data) {
    if (!is_working_) return fail(block::Error::kIo);
    health_.reset();
    switch (driver::transfer(requests, ground_, offset_bytes, data,
                             driver::kRequestLimitMs)) {
      case driver::Outcome::kDone:
        return {};
      case driver::Outcome::kFailed:
        return fail(block::Error::kIo);
      case driver::Outcome::kTimeout:
        return recover(Error::kTimeout);
      case driver::Outcome::kLie:
        break;
    }
    return recover(health_.value_or(Error::kBroken));
  }

  [[nodiscard]] driver::Submitted submit(Requests& requests,
                                         std::uint64_t offset_bytes,
                                         Bytes data) {
    using driver::Submitted;
    const auto slot = queue_.free_slot();
    if (!slot) return {Submitted::kNoRoom};
    Command command = requests.command;
    command.namespace_id = requests.namespace_id;
    if (data.empty()) {
      queue_.add(*slot, command);
      return {Submitted::kAdded};
    }
    const std::size_t list_at = kListsPage * kPageBytes + *slot * kListBytes;
    const std::span<std::uint64_t> list(
        reinterpret_cast<std::uint64_t*>(memory_ + list_at), kListEntries);
    DataPointer pointer = describe_data(
        ground_, data,
        std::min<std::uint64_t>(kMaxRequestBytes, identity_.max_transfer_bytes),
        requests.block_bytes, list, physical_ + list_at);
    if (pointer.bytes == 0) {
      // No command can point at it: it goes through a page.
      if (bounced_) return {Submitted::kNoRoom};
      bounced_ = *slot;
      pointer = {page_physical(kBouncePage), 0,
                 std::min<std::size_t>(data.size(), kPageBytes)};
      const MutableBytes bounce(page(kBouncePage), pointer.bytes);
      if (requests.read_to == nullptr) {
        copy_bytes(bounce, data.first(pointer.bytes));
      } else {
        slots_[*slot].copy_to = MutableBytes(
            requests.read_to + (offset_bytes - requests.begin_bytes),
            pointer.bytes);
      }
    }
    const std::uint64_t first_block = offset_bytes / requests.block_bytes;
    command.data = pointer.first;
    command.more = pointer.second;
    command.word10 = static_cast<std::uint32_t>(first_block);
    command.word11 = static_cast<std::uint32_t>(first_block >> 32);
    command.word12 =
        static_cast<std::uint32_t>(pointer.bytes / requests.block_bytes - 1);
    queue_.add(*slot, command);
    return {Submitted::kAdded, pointer.bytes};
  }

  // Takes all answers that are there.
  [[nodiscard]] driver::Collected collect() {
    using driver::Collected;
    Collected result = Collected::kNothing;
    for (;;) {
      const auto answer = queue_.take(ground_);
      if (!answer) return Collected::kLie;
      if (!answer->has_value()) break;
      if (result == Collected::kNothing) result = Collected::kSome;
      if (!finish(**answer)) result = Collected::kFailure;
    }
    if (result != Collected::kNothing) {
      queue_.acknowledge(registers_);
      resets_without_answer_ = 0;
    } else if (const auto health = look_at_health(); !health) {
      health_ = health.error();
      return Collected::kLie;
    }
    return result;
  }

  // True when the request did what it was to do.
  [[nodiscard]] bool finish(const Completion& completion) {
    Slot& slot = slots_[completion.slot];
    const MutableBytes copy_to = slot.copy_to;
    slot = {};
    if (bounced_ == completion.slot) bounced_.reset();
    if (completion.status != 0) {
      last_status_ = completion.status;
      return false;
    }
    if (!copy_to.empty()) {
      copy_bytes(copy_to, Bytes(page(kBouncePage), copy_to.size()));
    }
    return true;
  }

  // A look at a register costs more than many looks at a ring.
  [[nodiscard]] Result<void> look_at_health() {
    constexpr unsigned kLooksBetween = 1024;
    if (++looks_ % kLooksBetween != 0) return {};
    const std::uint32_t status = registers_.read32(reg::kStatus);
    if (status == driver::kGone) return fail(Error::kGone);
    if ((status & kStatusFatal) != 0) return fail(Error::kFatal);
    // Who is not ready any more has lost our queues.
    if ((status & kStatusReady) == 0) return fail(Error::kNotReady);
    return {};
  }

  // After a fault: the device is stopped, and comes up again if it can.
  [[nodiscard]] std::unexpected<block::Error> recover(Error why) {
    last_error_ = why;
    ++resets_without_answer_;
    Result<void> up = fail(why);
    if (why == Error::kGone) {
      // There is nobody to talk to.
    } else if (resets_without_answer_ >= kMaxResets) {
      // A device that does not even stop cannot be stopped from here; there is
      // nothing left to tell the caller beyond the error it gets anyway.
      if (const auto stopped = stop(); !stopped) up = stopped;
    } else {
      up = bring_up();
    }
    if (!up) {
      last_error_ = up.error();
      is_working_ = false;
    }
    return fail(block::Error::kIo);
  }

  struct Slot {
    MutableBytes copy_to;  // what came through the bounce page
  };

  R registers_;
  G ground_;
  Capabilities capabilities_{};
  AdminQueue admin_;
  IoQueue queue_;
  std::byte* memory_ = nullptr;
  std::uint64_t physical_ = 0;
  ControllerIdentity identity_;
  std::array<Slot, kMaxRequests> slots_{};
  std::optional<std::size_t> bounced_;  // the slot that has the bounce page
  unsigned looks_ = 0;
  unsigned resets_without_answer_ = 0;
  bool is_working_ = false;
  std::optional<Error> health_;
  std::optional<Error> last_error_;
  std::uint16_t last_status_ = 0;
};

}  // namespace odo::nvme
