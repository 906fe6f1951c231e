// SPDX-License-Identifier: BSD-3-Clause
// What was written to a disk and where the flushes stood between: epochs of
// writes, each ended by a flush, the last one open.
//
// Contexts: tests.
// Invariants: bytes once logged stay where they are in memory, so that maps of
// sectors may point at them; epochs cover the writes without gaps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <utility>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/block/sim/cut.h"
#include "lib/block/sim/overlay.h"

namespace odo::block {

struct LoggedWrite {
  std::uint64_t offset_bytes;
  std::vector<std::byte> bytes;

  [[nodiscard]] std::uint64_t sector() const {
    return offset_bytes / kSectorBytes;
  }
  [[nodiscard]] std::size_t sectors() const {
    return bytes.size() / kSectorBytes;
  }
};

struct Epoch {
  enum class Ending : std::uint8_t {
    kOpen,
    kFlushed,  // everything is durable
    kFailed,   // the flush failed, and of each write remains what `fates` says
  };

  std::size_t first_write = 0;
  std::size_t end_write = 0;
  std::size_t flushes = 0;  // that had succeeded when it began
  Ending ending = Ending::kOpen;
  std::vector<Fate> fates;

  [[nodiscard]] std::size_t writes() const { return end_write - first_write; }
  // What became of the write `i` of this epoch when the epoch was over.
  [[nodiscard]] Fate fate(std::size_t i) const {
    return ending == Ending::kFailed ? fates[i] : Fate::kept();
  }
};

class WriteLog {
 public:
  WriteLog() : epochs_(1) {}

  void add(std::uint64_t offset_bytes, Bytes bytes) {
    writes_.push_back({offset_bytes, {bytes.begin(), bytes.end()}});
    epochs_.back().end_write = writes_.size();
  }

  void end_flushed() { end(Epoch::Ending::kFlushed, {}); }

  void end_failed(std::vector<Fate> fates) {
    ODO_CHECK(fates.size() == pending());
    end(Epoch::Ending::kFailed, std::move(fates));
  }

  [[nodiscard]] const std::vector<LoggedWrite>& writes() const {
    return writes_;
  }
  [[nodiscard]] const std::vector<Epoch>& epochs() const { return epochs_; }
  [[nodiscard]] std::size_t flushes() const { return epochs_.back().flushes; }
  // Writes that no flush has followed.
  [[nodiscard]] std::size_t pending() const { return epochs_.back().writes(); }

  [[nodiscard]] const LoggedWrite& write(const Epoch& epoch,
                                         std::size_t i) const {
    return writes_[epoch.first_write + i];
  }

  // How many of an epoch's first writes touch no sector twice.
  [[nodiscard]] std::size_t disjoint(const Epoch& epoch) const {
    std::map<std::uint64_t, std::uint64_t> ends;  // by the first sector
    for (std::size_t i = 0; i < epoch.writes(); ++i) {
      const std::uint64_t begin = write(epoch, i).sector();
      const std::uint64_t end = begin + write(epoch, i).sectors();
      const auto next = ends.lower_bound(begin);
      if (next != ends.end() && next->first < end) return i;
      if (next != ends.begin() && std::prev(next)->second > begin) return i;
      ends.emplace_hint(next, begin, end);
    }
    return epoch.writes();
  }

 private:
  void end(Epoch::Ending ending, std::vector<Fate> fates) {
    epochs_.back().ending = ending;
    epochs_.back().fates = std::move(fates);
    Epoch next;
    next.first_write = next.end_write = writes_.size();
    next.flushes = epochs_.back().flushes;
    if (ending == Epoch::Ending::kFlushed) ++next.flushes;
    epochs_.push_back(std::move(next));
  }

  std::vector<LoggedWrite> writes_;
  std::vector<Epoch> epochs_;
};

}  // namespace odo::block
