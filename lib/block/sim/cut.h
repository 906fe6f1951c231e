// SPDX-License-Identifier: BSD-3-Clause
// What becomes of the writes that no flush had made durable when the power
// went: a fate for each, and words for it.
//
// Contexts: tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "lib/block/sim/random.h"

namespace odo::block {

// Which sectors of one write reached the medium. Sectors are never torn.
struct Fate {
  enum class Kind : std::uint8_t {
    kLost,
    kKept,
    kPrefix,     // the first `value` sectors
    kSuffix,     // the last `value` sectors
    kScattered,  // about half of the sectors, picked by the seed `value`
  };

  Kind kind = Kind::kKept;
  std::uint64_t value = 0;

  static constexpr Fate lost() { return {Kind::kLost, 0}; }
  static constexpr Fate kept() { return {Kind::kKept, 0}; }
  static constexpr Fate prefix(std::uint64_t n) { return {Kind::kPrefix, n}; }
  static constexpr Fate suffix(std::uint64_t n) { return {Kind::kSuffix, n}; }
  static constexpr Fate scattered(std::uint64_t seed) {
    return {Kind::kScattered, seed};
  }

  // Whether sector `sector` of a write of `sectors` is on the medium.
  [[nodiscard]] constexpr bool keeps(std::uint64_t sector,
                                     std::uint64_t sectors) const {
    switch (kind) {
      case Kind::kLost:
        return false;
      case Kind::kKept:
        return true;
      case Kind::kPrefix:
        return sector < value;
      case Kind::kSuffix:
        return sector + value >= sectors;
      case Kind::kScattered:
        return (mix(value, sector) & 1) != 0;
    }
    return false;
  }

  friend bool operator==(const Fate&, const Fate&) = default;
};

[[nodiscard]] inline std::string to_string(const Fate& fate) {
  switch (fate.kind) {
    case Fate::Kind::kLost:
      return "lost";
    case Fate::Kind::kKept:
      return "kept";
    case Fate::Kind::kPrefix:
      return "first " + std::to_string(fate.value) + " sectors";
    case Fate::Kind::kSuffix:
      return "last " + std::to_string(fate.value) + " sectors";
    case Fate::Kind::kScattered:
      return "sectors of seed " + std::to_string(fate.value);
  }
  return "?";
}

// Where writes of one epoch overlap, the sector that a disk ends up with is the
// last one it wrote: that of the newest write, unless it took them in another
// order.
enum class Order : std::uint8_t { kAsIssued, kReversed };

// One state of the medium: all of the epochs before `epoch`, and of this one
// the first fates.size() writes, each as its fate says.
struct Cut {
  std::size_t epoch = 0;
  Order order = Order::kAsIssued;
  std::vector<Fate> fates = {};

  friend bool operator==(const Cut&, const Cut&) = default;
};

// Runs of the same fate are told once: "epoch 3: 0-6 kept, 7 lost".
[[nodiscard]] inline std::string to_string(const Cut& cut) {
  std::string text = "epoch " + std::to_string(cut.epoch) + ":";
  if (cut.fates.empty()) text += " no writes";
  for (std::size_t i = 0; i < cut.fates.size();) {
    std::size_t end = i + 1;
    while (end < cut.fates.size() && cut.fates[end] == cut.fates[i]) ++end;
    if (i > 0) text += ',';
    text += ' ' + std::to_string(i);
    if (end - i > 1) text += '-' + std::to_string(end - 1);
    text += ' ' + to_string(cut.fates[i]);
    i = end;
  }
  if (cut.order == Order::kReversed) text += " (in reversed order)";
  return text;
}

}  // namespace odo::block
