// SPDX-License-Identifier: BSD-3-Clause
// Which CPUs share a core, a cache and a memory node.
//
// Contexts: built once at boot; any afterwards, as it does not change.
// Invariants: the groups nest: CPUs of one core share a cache, CPUs of one
//   cache a node (checked by build()).
// Size: 26 KB; it belongs in static storage.
// Failure: build() refuses what does not nest or has no CPU.
#pragma once

#include <cstdint>
#include <span>

#include "lib/base/check.h"
#include "lib/usched/cpu_set.h"
#include "lib/usched/error.h"

namespace odo::usched {

// Near to far. Everything of a level is also of the next.
enum class Level : std::uint8_t { kCore, kCache, kNode, kMachine };
inline constexpr Level kLevels[] = {Level::kCore, Level::kCache, Level::kNode,
                                    Level::kMachine};

// Where one CPU is: numbers of groups, each below kMaxCpus, in any order.
struct CpuPlace {
  std::uint16_t core = 0;
  std::uint16_t cache = 0;
  std::uint16_t node = 0;
};

class Topology {
 public:
  constexpr Topology() = default;
  Topology(const Topology&) = delete;
  Topology& operator=(const Topology&) = delete;

  // One place a CPU. On failure the topology is empty.
  [[nodiscard]] Result<void> build(std::span<const CpuPlace> places) {
    cpus_ = 0;
    for (unsigned i = 0; i < kMaxCpus; ++i) {
      cores_[i] = caches_[i] = nodes_[i] = CpuSet();
    }
    if (places.empty() || places.size() > kMaxCpus) {
      return fail(Error::kBadTopology);
    }
    for (std::size_t i = 0; i < places.size(); ++i) {
      const CpuPlace& place = places[i];
      if (place.core >= kMaxCpus || place.cache >= kMaxCpus ||
          place.node >= kMaxCpus) {
        return fail(Error::kBadTopology);
      }
      const CpuId cpu = static_cast<CpuId>(i);
      places_[i] = place;
      cores_[place.core].add(cpu);
      caches_[place.cache].add(cpu);
      nodes_[place.node].add(cpu);
    }
    for (const CpuPlace& place : places) {
      if (!caches_[place.cache].contains(cores_[place.core]) ||
          !nodes_[place.node].contains(caches_[place.cache])) {
        return fail(Error::kBadTopology);
      }
    }
    cpus_ = static_cast<unsigned>(places.size());
    all_ = CpuSet::first_n(cpus_);
    return {};
  }

  [[nodiscard]] unsigned cpus() const { return cpus_; }
  [[nodiscard]] const CpuSet& all() const { return all_; }
  // The CPUs near `cpu`, itself included.
  [[nodiscard]] const CpuSet& around(CpuId cpu, Level level) const {
    ODO_CHECK(cpu < cpus_);
    const CpuPlace& place = places_[cpu];
    switch (level) {
      case Level::kCore:
        return cores_[place.core];
      case Level::kCache:
        return caches_[place.cache];
      case Level::kNode:
        return nodes_[place.node];
      case Level::kMachine:
        break;
    }
    return all_;
  }

 private:
  unsigned cpus_ = 0;
  CpuSet all_;
  CpuPlace places_[kMaxCpus] = {};
  CpuSet cores_[kMaxCpus];
  CpuSet caches_[kMaxCpus];
  CpuSet nodes_[kMaxCpus];
};

}  // namespace odo::usched
