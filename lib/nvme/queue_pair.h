// SPDX-License-Identifier: BSD-3-Clause
// A submission queue and the completion queue that answers it: ring arithmetic,
// command identifiers, phases, doorbells. A controller may have many such pairs
// and they share nothing, so that each CPU can have its own.
//
// Contexts: thread, one caller at a time for one pair.
// Ownership: the rings' memory and the ground stay with the caller.
// Invariants: (I1) a command's identifier names a slot, and which use of the
//   slot it is, so that an answer given twice is found out even when the slot
//   is in use again; (I2) fewer commands are under way than either ring has
//   entries, so that no ring runs full and the device's head need not be known.
// Failure: take() answers kBroken for what no honest controller says; the pair
//   must then be initialised again, which needs the controller reset first.
// Ordering: a completion's phase is read with acquire before the rest of it;
//   a full fence stands between the rings' memory and each doorbell.
// Origin: NVM Express Base Specification 1.4 §4.1 (queues), §4.6 (phase tag).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/driver/ground.h"
#include "lib/driver/registers.h"
#include "lib/nvme/command.h"
#include "lib/nvme/error.h"
#include "lib/nvme/registers.h"

namespace odo::nvme {

template <driver::Registers R, driver::RingAccess G, std::size_t Slots>
class QueuePair {
 public:
  static constexpr std::size_t kSlots = Slots;
  // Of each ring, unless the controller takes fewer.
  static constexpr std::uint32_t kEntries = 2 * Slots;

  // Both rings' memory is zeroed here. `entries` is at least 2.
  void init(std::uint16_t id, std::uint32_t entries,
            std::uint32_t doorbell_stride, std::byte* submissions,
            std::byte* completions) {
    ODO_CHECK(entries >= 2 && entries <= kEntries);
    id_ = id;
    entries_ = entries;
    submit_bell_ = reg::kDoorbells + 2u * id * doorbell_stride;
    complete_bell_ = submit_bell_ + doorbell_stride;
    submissions_ = submissions;
    completions_ = completions;
    tail_ = 0;
    head_ = 0;
    phase_ = 1;
    in_flight_ = 0;
    slots_ = {};
    zero_bytes(MutableBytes(submissions, entries * kCommandBytes));
    zero_bytes(MutableBytes(completions, entries * kCompletionBytes));
  }

  [[nodiscard]] std::size_t in_flight() const { return in_flight_; }

  // A slot that add() takes now.
  [[nodiscard]] std::optional<std::size_t> free_slot() const {
    if (in_flight_ + 1 >= entries_) return std::nullopt;  // I2
    for (std::size_t i = 0; i < Slots; ++i) {
      if (!slots_[i].is_busy) return i;
    }
    return std::nullopt;
  }

  // The device sees it after ring().
  void add(std::size_t slot, const Command& command) {
    Slot& used = slots_[slot];
    ODO_CHECK(!used.is_busy && in_flight_ + 1 < entries_);
    used.is_busy = true;
    ++used.turn;
    command.store(submissions_ + tail_ * kCommandBytes, id_of(slot));
    tail_ = next(tail_);
    ++in_flight_;
  }

  void ring(R& registers, const G& ground) {
    ground.full_fence();
    registers.write32(submit_bell_, tail_);
  }

  // The next answer, if there is one. The device may use its entry again after
  // acknowledge().
  [[nodiscard]] Result<std::optional<Completion>> take(const G& ground) {
    const std::byte* const entry = completions_ + head_ * kCompletionBytes;
    const std::uint16_t status = ground.load_acquire(
        reinterpret_cast<const std::uint16_t*>(entry + kStatusAt));
    if ((status & 1) != phase_) return std::optional<Completion>();
    const auto id = load_le<std::uint16_t>(entry + 12);
    const std::size_t slot = id & kSlotMask;
    if (load_le<std::uint16_t>(entry + 10) != id_ ||
        load_le<std::uint16_t>(entry + 8) >= entries_ || slot >= Slots ||
        !slots_[slot].is_busy || id != id_of(slot)) {
      return fail(Error::kBroken);
    }
    slots_[slot].is_busy = false;
    --in_flight_;
    head_ = next(head_);
    if (head_ == 0) phase_ ^= 1;
    return std::optional<Completion>({slot, load_le<std::uint32_t>(entry),
                                      static_cast<std::uint16_t>(status >> 1)});
  }

  void acknowledge(R& registers) { registers.write32(complete_bell_, head_); }

 private:
  static constexpr unsigned kSlotBits = 6;
  static constexpr std::size_t kSlotMask = (1u << kSlotBits) - 1;
  static constexpr std::size_t kStatusAt = 14;
  static_assert(Slots <= kSlotMask + 1);

  struct Slot {
    bool is_busy = false;
    std::uint16_t turn = 0;
  };

  [[nodiscard]] std::uint16_t id_of(std::size_t slot) const {
    // Identifier 0xffff names no command (§5.2), so the turns leave out the
    // highest bit.
    const std::uint32_t turn = slots_[slot].turn & 0x1ff;
    return static_cast<std::uint16_t>(turn << kSlotBits | slot);
  }
  [[nodiscard]] std::uint32_t next(std::uint32_t index) const {
    return index + 1 == entries_ ? 0 : index + 1;
  }

  std::uint16_t id_ = 0;
  std::uint32_t entries_ = 0;
  std::uint32_t submit_bell_ = 0;
  std::uint32_t complete_bell_ = 0;
  std::byte* submissions_ = nullptr;
  std::byte* completions_ = nullptr;
  std::uint32_t tail_ = 0;
  std::uint32_t head_ = 0;
  unsigned phase_ = 1;
  std::size_t in_flight_ = 0;
  std::array<Slot, Slots> slots_{};
};

}  // namespace odo::nvme
