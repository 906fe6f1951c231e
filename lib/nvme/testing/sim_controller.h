// SPDX-License-Identifier: BSD-3-Clause
// A simulated NVMe controller for tests: registers, queues and namespaces by
// the specification's words, and manners that an honest one does not have.
//
// Contexts: tests only, one thread. It fetches commands when it is rung, and
// answers one at each step(), so that tests see how many are under way.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/driver/registers.h"
#include "lib/driver/testing/sim_memory.h"
#include "lib/nvme/command.h"
#include "lib/nvme/registers.h"

namespace odo::nvme {

struct SimNamespace {
  std::vector<std::byte> content;
  std::uint8_t block_power = 9;
  std::uint16_t metadata_bytes = 0;
  std::uint8_t protection = 0;
  std::uint8_t formats = 0;  // numbers go up to this
  std::uint8_t format = 0;
  bool is_read_only = false;
  std::optional<std::uint64_t> claimed_blocks;
  std::optional<std::uint64_t> bad_block;
};

class SimController {
 public:
  explicit SimController(driver::SimMemory& memory) : memory_(memory) {}

  // What it is.
  std::map<std::uint32_t, SimNamespace> namespaces;
  std::string serial = "SIM1";
  std::string model = "Simulated NVMe";
  std::uint64_t capabilities =
      63 | std::uint64_t{4} << 24 | std::uint64_t{1} << 37;
  std::uint32_t version = 0x00010400;
  std::uint64_t register_bytes = 0x2000;
  std::uint32_t namespace_limit = 16;
  std::uint8_t transfer_power = 0;
  std::uint8_t submission_sizes = 0x66;
  bool has_cache = true;
  bool can_discard = true;

  // Manners.
  bool is_gone = false;
  std::uint32_t gone_value = driver::kGone;  // what it reads as then
  bool is_fatal = false;
  bool never_stops = false;
  bool never_ready = false;
  unsigned ready_after_looks = 2;
  bool answers_out_of_order = false;
  // These begin with an I/O command, after so many that were answered well.
  unsigned honest_answers = 0;
  bool is_stuck = false;
  bool answers_twice = false;
  bool is_rude_to_admin = false;  // the same for admin commands
  std::optional<std::uint16_t> wrong_id;
  std::optional<std::uint16_t> wrong_queue;
  std::optional<std::uint16_t> wrong_head;
  std::optional<std::uint16_t> status;
  bool flips_phase = false;  // of an entry that answers nothing
  bool is_mended_by_reset = true;
  std::optional<std::uint8_t> refused_admin;
  std::vector<std::uint32_t> active_list;  // instead of the truth

  // What it saw.
  unsigned resets = 0;
  unsigned requests = 0;
  unsigned malformed = 0;
  unsigned flushes = 0;
  unsigned unflushed = 0;
  std::size_t most_in_flight = 0;
  std::size_t largest_request = 0;
  std::vector<std::pair<std::uint64_t, std::uint32_t>> discarded;

  [[nodiscard]] bool is_enabled() const { return (configuration_ & 1) != 0; }

  [[nodiscard]] std::uint32_t read32(std::uint32_t offset) {
    if (is_gone) return gone_value;
    if (offset + 4 > register_bytes) return driver::kGone;
    switch (offset) {
      case 0x00:
        return static_cast<std::uint32_t>(capabilities);
      case 0x04:
        return static_cast<std::uint32_t>(capabilities >> 32);
      case 0x08:
        return version;
      case 0x14:
        return configuration_;
      case 0x1c:
        return status_register();
      default:
        return 0;
    }
  }

  void write32(std::uint32_t offset, std::uint32_t value) {
    if (is_gone) return;
    if (offset == 0x14) {
      if (is_enabled() && (value & 1) == 0) reset();
      if (!is_enabled() && (value & 1) != 0) enable(value);
      configuration_ = value;
    } else if (offset == 0x24) {
      admin_sizes_ = value;
    } else if (offset >= 0x28 && offset < 0x38) {
      bases_[(offset - 0x28) / 4] = value;
    } else if (offset >= 0x1000 && is_enabled()) {
      ring(offset - 0x1000, value);
    }
  }

  // One step of the device's own time.
  void step() {
    if (is_gone || !is_enabled() || is_fatal) return;
    if (waiting_.empty()) return;
    std::size_t pick = 0;
    if (answers_out_of_order) pick = random_() % waiting_.size();
    const Fetched fetched = waiting_[pick];
    const bool may_lie =
        fetched.queue != 0 ? requests >= honest_answers : is_rude_to_admin;
    if (may_lie && is_stuck) return;
    waiting_.erase(waiting_.begin() + static_cast<long>(pick));
    if (fetched.queue != 0) ++requests;
    answer(fetched, may_lie);
  }

 private:
  struct Ring {
    std::uint64_t submissions = 0;
    std::uint64_t completions = 0;
    std::uint32_t submission_entries = 0;
    std::uint32_t completion_entries = 0;
    std::uint32_t fetched = 0;  // head of the submissions
    std::uint32_t tail = 0;     // of the completions
    std::uint16_t phase = 1;
  };
  struct Fetched {
    std::uint16_t queue;
    std::array<std::byte, kCommandBytes> command;
    [[nodiscard]] std::uint32_t word(std::size_t n) const {
      return load_le<std::uint32_t>(command.data() + 4 * n);
    }
    [[nodiscard]] std::uint64_t pair(std::size_t n) const {
      return load_le<std::uint64_t>(command.data() + 4 * n);
    }
  };

  [[nodiscard]] std::uint32_t status_register() {
    if (is_fatal) return 3;
    if (never_stops) return 1;
    if (!is_enabled() || never_ready) return 0;
    if (looks_until_ready_ != 0) {
      --looks_until_ready_;
      return 0;
    }
    return 1;
  }

  void reset() {
    ++resets;
    rings_.clear();
    waiting_.clear();
    if (is_mended_by_reset) {
      is_stuck = answers_twice = flips_phase = is_fatal = false;
      wrong_id.reset();
      wrong_queue.reset();
      wrong_head.reset();
      status.reset();
    }
  }

  void enable(std::uint32_t value) {
    if (value != kConfigurationOn) ++malformed;
    looks_until_ready_ = ready_after_looks;
    Ring ring;
    ring.submissions = std::uint64_t{bases_[1]} << 32 | bases_[0];
    ring.completions = std::uint64_t{bases_[3]} << 32 | bases_[2];
    ring.submission_entries = (admin_sizes_ & 0xfff) + 1;
    ring.completion_entries = (admin_sizes_ >> 16 & 0xfff) + 1;
    if (!is_aligned(ring.submissions, kPageBytes) ||
        !is_aligned(ring.completions, kPageBytes)) {
      ++malformed;
    }
    rings_[0] = ring;
  }

  void ring(std::uint32_t at, std::uint32_t value) {
    const auto stride = static_cast<std::uint32_t>(4)
                        << (capabilities >> 32 & 0xf);
    const auto queue = static_cast<std::uint16_t>(at / (2 * stride));
    if (at % stride != 0 || !rings_.contains(queue)) {
      ++malformed;
      return;
    }
    if (at % (2 * stride) != 0) return;  // the completions' head
    Ring& ring = rings_[queue];
    if (value >= ring.submission_entries) {
      ++malformed;
      return;
    }
    while (ring.fetched != value) {
      Fetched fetched{queue, {}};
      const std::byte* from = memory_.at(
          ring.submissions + ring.fetched * kCommandBytes, kCommandBytes);
      ring.fetched = (ring.fetched + 1) % ring.submission_entries;
      if (from == nullptr) continue;
      std::memcpy(fetched.command.data(), from, kCommandBytes);
      waiting_.push_back(fetched);
    }
    if (queue != 0) most_in_flight = std::max(most_in_flight, waiting_.size());
  }

  void answer(const Fetched& fetched, bool may_lie) {
    const auto id = static_cast<std::uint16_t>(fetched.word(0) >> 16);
    const std::uint16_t honest_status =
        fetched.queue == 0 ? do_admin(fetched) : do_io(fetched);
    if (!rings_.contains(fetched.queue)) return;
    if (!may_lie) {
      put(fetched.queue, id, honest_status, {}, {});
      return;
    }
    if (flips_phase) {
      put(fetched.queue, 0xffff, 0, {}, {});
      return;
    }
    put(fetched.queue, wrong_id.value_or(id), status.value_or(honest_status),
        wrong_queue, wrong_head);
    if (answers_twice) put(fetched.queue, id, honest_status, {}, {});
  }

  void put(std::uint16_t queue, std::uint16_t id, std::uint16_t code,
           std::optional<std::uint16_t> other_queue,
           std::optional<std::uint16_t> other_head) {
    Ring& ring = rings_[queue];
    std::byte* entry = memory_.at(
        ring.completions + ring.tail * kCompletionBytes, kCompletionBytes);
    if (entry == nullptr) return;
    store_le(entry, std::uint64_t{0});
    store_le(entry + 8,
             other_head.value_or(static_cast<std::uint16_t>(ring.fetched)));
    store_le(entry + 10, other_queue.value_or(queue));
    store_le(entry + 12, id);
    store_le(entry + 14, static_cast<std::uint16_t>(code << 1 | ring.phase));
    if (++ring.tail == ring.completion_entries) {
      ring.tail = 0;
      ring.phase ^= 1;
    }
  }

  static constexpr std::uint16_t kInvalid = 0x02;
  static constexpr std::uint16_t kInternal = 0x06;
  static constexpr std::uint16_t kOutOfRange = 0x80;
  static constexpr std::uint16_t kUnreadable = 0x281;

  [[nodiscard]] std::uint16_t do_admin(const Fetched& fetched) {
    const std::uint32_t opcode = fetched.word(0) & 0xff;
    if (refused_admin && *refused_admin == opcode) return kInternal;
    switch (opcode) {
      case admin::kIdentify:
        return identify(fetched);
      case admin::kSetFeatures:
        return (fetched.word(10) & 0xff) == 7 ? 0 : kInvalid;
      case admin::kCreateCompletions: {
        Ring& ring = rings_[static_cast<std::uint16_t>(fetched.word(10))];
        ring.completions = fetched.pair(6);
        ring.completion_entries = (fetched.word(10) >> 16) + 1;
        if ((fetched.word(11) & 3) != 1) ++malformed;
        return 0;
      }
      case admin::kCreateSubmissions: {
        const auto queue = static_cast<std::uint16_t>(fetched.word(10));
        if (!rings_.contains(queue) || fetched.word(11) >> 16 != queue) {
          return kInvalid;
        }
        Ring& ring = rings_[queue];
        ring.submissions = fetched.pair(6);
        ring.submission_entries = (fetched.word(10) >> 16) + 1;
        if (ring.submission_entries > (capabilities & 0xffff) + 1) ++malformed;
        return 0;
      }
      default:
        ++malformed;
        return 0x01;
    }
  }

  [[nodiscard]] std::uint16_t identify(const Fetched& fetched) {
    std::byte* to = memory_.at(fetched.pair(6), 4096);
    if (to == nullptr) return kInternal;
    std::memset(to, 0, 4096);
    const auto text = [&](std::size_t at, std::string value, std::size_t size) {
      value.resize(size, ' ');
      std::memcpy(to + at, value.data(), size);
    };
    switch (fetched.word(10) & 0xff) {
      case admin::kController:
        text(4, serial, 20);
        text(24, model, 40);
        to[77] = std::byte{transfer_power};
        to[512] = std::byte{submission_sizes};
        to[513] = std::byte{0x44};
        store_le(to + 516, namespace_limit);
        store_le(to + 520, static_cast<std::uint16_t>(can_discard ? 4 : 0));
        to[525] = std::byte{static_cast<std::uint8_t>(has_cache ? 1 : 0)};
        return 0;
      case admin::kActiveNamespaces: {
        std::vector<std::uint32_t> ids = active_list;
        if (ids.empty()) {
          for (const auto& [id, space] : namespaces) ids.push_back(id);
        }
        for (std::size_t i = 0; i < ids.size(); ++i) {
          store_le(to + 4 * i, ids[i]);
        }
        return 0;
      }
      case admin::kNamespace: {
        const auto found = namespaces.find(fetched.word(1));
        if (found == namespaces.end()) return 0;
        const SimNamespace& space = found->second;
        store_le(
            to, space.claimed_blocks
                    ? *space.claimed_blocks
                    : std::uint64_t{space.content.size()} >> space.block_power);
        to[25] = std::byte{space.formats};
        to[26] = std::byte{space.format};
        to[29] = std::byte{space.protection};
        to[99] =
            std::byte{static_cast<std::uint8_t>(space.is_read_only ? 1 : 0)};
        std::byte* format = to + 128 + 4 * std::size_t{space.format};
        store_le(format, space.metadata_bytes);
        format[2] = std::byte{space.block_power};
        return 0;
      }
      default:
        ++malformed;
        return kInvalid;
    }
  }

  [[nodiscard]] std::uint16_t do_io(const Fetched& fetched) {
    const auto found = namespaces.find(fetched.word(1));
    if (found == namespaces.end()) {
      ++malformed;
      return 0x0b;
    }
    SimNamespace& space = found->second;
    const std::uint32_t opcode = fetched.word(0) & 0xff;
    if (opcode == io::kFlush) {
      ++flushes;
      unflushed = 0;
      return 0;
    }
    if (opcode == io::kManageData) {
      const std::byte* range = memory_.at(fetched.pair(6), io::kRangeBytes);
      if (fetched.word(10) != 0 || fetched.word(11) != io::kDeallocate ||
          !can_discard || range == nullptr) {
        ++malformed;
        return kInvalid;
      }
      discarded.emplace_back(load_le<std::uint64_t>(range + 8),
                             load_le<std::uint32_t>(range + 4));
      return 0;
    }
    if (opcode != io::kRead && opcode != io::kWrite) {
      ++malformed;
      return 0x01;
    }
    const std::uint64_t first = fetched.pair(10);
    const std::uint64_t blocks = (fetched.word(12) & 0xffff) + 1;
    const std::uint64_t at = first << space.block_power;
    const std::uint64_t length = blocks << space.block_power;
    largest_request = std::max<std::size_t>(largest_request, length);
    if (transfer_power != 0 && length > std::uint64_t{4096} << transfer_power) {
      ++malformed;
      return kInvalid;
    }
    if (!range_inside(at, length, space.content.size())) return kOutOfRange;
    if (space.bad_block && *space.bad_block >= first &&
        *space.bad_block < first + blocks) {
      return kUnreadable;
    }
    if (opcode == io::kWrite) {
      if (space.is_read_only) ++malformed;
      ++unflushed;
    }
    return move_data(fetched, opcode,
                     MutableBytes(space.content).subspan(at, length));
  }

  // Goes through the pages as PRP entries name them.
  [[nodiscard]] std::uint16_t move_data(const Fetched& fetched,
                                        std::uint32_t opcode,
                                        MutableBytes medium) {
    const std::uint64_t first = fetched.pair(6);
    const std::uint64_t second = fetched.pair(8);
    if (first % 4 != 0) ++malformed;
    const std::size_t head =
        std::min<std::size_t>(medium.size(), 4096 - first % 4096);
    const std::size_t rest = medium.size() - head;
    std::uint64_t page = first;
    std::size_t length = head;
    for (std::size_t i = 0; !medium.empty(); ++i) {
      if (i > 0 && page % 4096 != 0) ++malformed;
      std::byte* p = memory_.at(page, length);
      if (p == nullptr) return kInternal;
      if (opcode == io::kRead) {
        std::memcpy(p, medium.data(), length);
      } else {
        std::memcpy(medium.data(), p, length);
      }
      medium = medium.subspan(length);
      if (medium.empty()) break;
      length = std::min<std::size_t>(medium.size(), 4096);
      if (rest <= 4096) {
        page = second;
      } else {
        const std::uint64_t at = second + 8 * i;
        if (second % 8 != 0 || at / 4096 != second / 4096) ++malformed;
        const std::byte* entry = memory_.at(at, 8);
        if (entry == nullptr) return kInternal;
        page = load_le<std::uint64_t>(entry);
      }
    }
    return 0;
  }

  driver::SimMemory& memory_;
  std::uint32_t configuration_ = 0;
  std::uint32_t admin_sizes_ = 0;
  std::array<std::uint32_t, 4> bases_{};
  std::map<std::uint16_t, Ring> rings_;
  std::deque<Fetched> waiting_;
  unsigned looks_until_ready_ = 0;
  std::mt19937 random_{7};
};

// Satisfies driver::Registers.
class SimRegisters {
 public:
  explicit SimRegisters(SimController& controller) : controller_(&controller) {}
  [[nodiscard]] std::uint32_t read32(std::uint32_t offset) {
    return controller_->read32(offset);
  }
  void write32(std::uint32_t offset, std::uint32_t value) {
    controller_->write32(offset, value);
  }
  [[nodiscard]] std::uint64_t size_bytes() const {
    return controller_->register_bytes;
  }

 private:
  SimController* controller_;
};

static_assert(driver::Registers<SimRegisters>);

}  // namespace odo::nvme
