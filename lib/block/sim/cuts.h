// SPDX-License-Identifier: BSD-3-Clause
// Goes through the states in which a disk may be found after its power failed,
// one for each place in its log and each way that the writes which no flush had
// made durable may have gone.
//
// After each write of an epoch, the cuts are those in which this write reached
// the medium at least in part: where it didn't, the cut is one that was made a
// write earlier, when less was promised. Of few writes, all sets of kept ones
// are tried, and each write torn in several ways; of many, a sample.
//
// Contexts: tests.
// Invariants: the same log and options give the same cuts under the same
// numbers, so that one may be tried again, or the work be divided.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "lib/base/check.h"
#include "lib/block/device.h"
#include "lib/block/sim/crash_disk.h"
#include "lib/block/sim/cut.h"
#include "lib/block/sim/cut_device.h"
#include "lib/block/sim/random.h"
#include "lib/block/sim/write_log.h"

namespace odo::block {

struct CutOptions {
  std::uint64_t seed = 1;
  // Up to so many pending writes are tried in all combinations, at most 20.
  std::size_t exhaustive_bound = 10;
  // Combinations tried at each place where there are more.
  std::size_t samples = 16;
  // Ways to tear a write: lengths of a prefix, of a suffix, and random sets of
  // sectors. 127 lengths are every one of a write of 64 KiB.
  std::size_t tears = 3;
  std::size_t scatters = 2;
  // Only the cuts whose numbers lie in [first, first + count).
  std::size_t first = 0;
  std::size_t count = std::numeric_limits<std::size_t>::max();
};

struct CutInfo {
  std::size_t number;   // among all cuts of these options
  std::size_t flushes;  // that had succeeded before the power failed
  std::size_t writes;   // that had been issued, since start_log()
  const Cut& cut;
};

[[nodiscard]] inline std::string to_string(const CutInfo& info) {
  return "cut " + std::to_string(info.number) + " after " +
         std::to_string(info.flushes) + " flushes and " +
         std::to_string(info.writes) + " writes, " + to_string(info.cut);
}

enum class Walk : std::uint8_t { kOn, kStop };

// A set of a write's sectors that is neither none nor all.
[[nodiscard]] inline Fate scatter(std::size_t sectors, Random& random) {
  ODO_CHECK(sectors > 1);
  for (;;) {
    const Fate fate = Fate::scattered(random.next());
    for (std::size_t s = 1; s < sectors; ++s) {
      if (fate.keeps(s, sectors) != fate.keeps(0, sectors)) return fate;
    }
  }
}

// The ways to tear a write of `sectors`, none of them to keep or lose it all.
[[nodiscard]] inline std::vector<Fate> ways_to_tear(std::size_t sectors,
                                                    const CutOptions& options,
                                                    Random& random) {
  std::vector<Fate> ways;
  if (sectors < 2) return ways;
  const std::size_t lengths = std::min(options.tears, sectors - 1);
  for (std::size_t i = 0; i < lengths; ++i) {
    // Evenly from 1 to sectors - 1.
    const std::size_t length =
        lengths == 1 ? sectors / 2 : 1 + i * (sectors - 2) / (lengths - 1);
    ways.push_back(Fate::prefix(length));
    ways.push_back(Fate::suffix(length));
  }
  if (sectors > 2) {
    for (std::size_t i = 0; i < options.scatters; ++i) {
      ways.push_back(scatter(sectors, random));
    }
  }
  return ways;
}

// The cuts within one epoch, without the disk.
class EpochCuts {
 public:
  // Answers Walk::kStop to end it.
  using Emit = std::function<Walk(const Cut&)>;

  EpochCuts(const WriteLog& log, std::size_t epoch, const CutOptions& options)
      : log_(log),
        epoch_(log.epochs()[epoch]),
        number_(epoch),
        options_(options),
        disjoint_(log.disjoint(epoch_)) {
    ODO_CHECK(options.exhaustive_bound <= 20);
  }

  // Those with `issued` writes.
  Walk run(std::size_t issued, const Emit& emit) {
    cut_ =
        Cut{number_, Order::kAsIssued, std::vector<Fate>(issued, Fate::kept())};
    random_ =
        Random(mix(options_.seed, mix(number_, epoch_.first_write + issued)));
    if (issued == 0) return emit(cut_);
    return issued <= options_.exhaustive_bound ? combine(issued, emit)
                                               : sample(issued, emit);
  }

 private:
  // Every set of kept writes that holds the newest, then each write torn.
  Walk combine(std::size_t issued, const Emit& emit) {
    const std::uint64_t newest = std::uint64_t{1} << (issued - 1);
    for (std::uint64_t rest = 0; rest < newest; ++rest) {
      const std::uint64_t set = ~rest & (newest * 2 - 1);  // all kept is first
      keep(set);
      if (emit(cut_) == Walk::kStop) return Walk::kStop;
      if (!overlap_within(set)) continue;
      cut_.order = Order::kReversed;
      const Walk walk = emit(cut_);
      cut_.order = Order::kAsIssued;
      if (walk == Walk::kStop) return Walk::kStop;
    }
    for (std::size_t torn = 0; torn < issued; ++torn) {
      if (tear(torn, issued, emit) == Walk::kStop) return Walk::kStop;
    }
    return Walk::kOn;
  }

  // One write torn while the others are kept, all lost, or at random.
  Walk tear(std::size_t torn, std::size_t issued, const Emit& emit) {
    const std::uint64_t all = (std::uint64_t{1} << issued) - 1;
    const std::uint64_t newest = std::uint64_t{1} << (issued - 1);
    for (const Fate fate :
         ways_to_tear(log_.write(epoch_, torn).sectors(), options_, random_)) {
      std::vector<std::uint64_t> sets = {all};
      if (issued > 1) sets.push_back(newest);
      if (issued > 2) sets.push_back(newest | (random_.next() & all));
      for (const std::uint64_t set : sets) {
        keep(set);
        cut_.fates[torn] = fate;
        if (emit(cut_) == Walk::kStop) return Walk::kStop;
      }
    }
    return Walk::kOn;
  }

  Walk sample(std::size_t issued, const Emit& emit) {
    if (emit(cut_) == Walk::kStop) return Walk::kStop;  // all kept
    cut_.fates[random_.below(issued - 1)] = Fate::lost();
    if (emit(cut_) == Walk::kStop) return Walk::kStop;  // all but one
    std::ranges::fill(cut_.fates, Fate::lost());
    cut_.fates.back() = Fate::kept();
    if (emit(cut_) == Walk::kStop) return Walk::kStop;  // the newest alone
    for (std::size_t i = 0; i < options_.samples; ++i) {
      randomize(issued);
      const Walk walk = emit(cut_);
      cut_.order = Order::kAsIssued;
      if (walk == Walk::kStop) return Walk::kStop;
    }
    return Walk::kOn;
  }

  // Few, half or most writes kept; those before some point often are all.
  void randomize(std::size_t issued) {
    static constexpr std::array<unsigned, 3> kDensities = {24, 128, 232};
    const unsigned density = kDensities[random_.below(kDensities.size())];
    const std::size_t settled =
        random_.chance(85) ? static_cast<std::size_t>(random_.below(issued))
                           : 0;
    for (std::size_t i = 0; i < issued; ++i) {
      Fate& fate = cut_.fates[i];
      fate = i < settled || i + 1 == issued || random_.chance(density)
                 ? Fate::kept()
                 : Fate::lost();
      if (i < settled || fate == Fate::lost() || !random_.chance(32)) continue;
      const std::vector<Fate> ways =
          ways_to_tear(log_.write(epoch_, i).sectors(), options_, random_);
      if (!ways.empty()) fate = ways[random_.below(ways.size())];
    }
    if (issued > disjoint_ && random_.chance(64)) {
      cut_.order = Order::kReversed;
    }
  }

  void keep(std::uint64_t set) {
    for (std::size_t i = 0; i < cut_.fates.size(); ++i) {
      cut_.fates[i] = ((set >> i) & 1) != 0 ? Fate::kept() : Fate::lost();
    }
  }

  // Whether two writes of the set touch the same sector.
  [[nodiscard]] bool overlap_within(std::uint64_t set) const {
    const std::size_t issued = cut_.fates.size();
    if (issued <= disjoint_) return false;
    for (std::size_t i = 0; i < issued; ++i) {
      for (std::size_t j = i + 1; j < issued; ++j) {
        if (((set >> i) & (set >> j) & 1) == 0) continue;
        const LoggedWrite& a = log_.write(epoch_, i);
        const LoggedWrite& b = log_.write(epoch_, j);
        if (a.sector() < b.sector() + b.sectors() &&
            b.sector() < a.sector() + a.sectors()) {
          return true;
        }
      }
    }
    return false;
  }

  const WriteLog& log_;
  const Epoch& epoch_;
  std::size_t number_;
  const CutOptions& options_;
  std::size_t disjoint_;  // writes before the first that overlaps another
  Cut cut_;
  Random random_{0};
};

// Calls callback(CutDevice<Base>&, const CutInfo&) for every cut; a callback
// that answers a Walk may stop. Answers how many cuts it was called for.
template <BlockDevice Base, class Callback>
std::size_t for_each_cut(CrashDisk<Base>& disk, const CutOptions& options,
                         Callback&& callback) {
  const WriteLog& log = disk.log();
  Cutter<Base> cutter(disk);
  std::size_t number = 0;
  std::size_t calls = 0;
  for (std::size_t e = 0; e < log.epochs().size(); ++e) {
    const Epoch& epoch = log.epochs()[e];
    EpochCuts cuts(log, e, options);
    for (std::size_t issued = 0; issued <= epoch.writes(); ++issued) {
      const Walk walk = cuts.run(issued, [&](const Cut& cut) {
        const std::size_t mine = number++;
        if (mine < options.first) return Walk::kOn;
        if (mine - options.first >= options.count) return Walk::kStop;
        ++calls;
        CutDevice<Base> device = cutter.cut(cut);
        const CutInfo info{mine, epoch.flushes, epoch.first_write + issued,
                           device.cut()};
        if constexpr (std::is_void_v<decltype(callback(device, info))>) {
          callback(device, info);
          return Walk::kOn;
        } else {
          return callback(device, info);
        }
      });
      if (walk == Walk::kStop) return calls;
    }
  }
  return calls;
}

}  // namespace odo::block
