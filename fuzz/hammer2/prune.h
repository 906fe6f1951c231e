// SPDX-License-Identifier: BSD-3-Clause
// Makes a genuine image small: of each directory a few entries, of each file a
// few blocks, and nothing that no reference leads to.
//
// Contexts: the maker of seeds; hosted.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "fuzz/hammer2/container.h"
#include "fuzz/hammer2/topology.h"
#include "lib/base/bytes.h"

namespace odo::hammer2::fuzz {

struct PruneLimits {
  std::size_t entries = 8;          // of a directory
  std::size_t blocks = 4;           // of a file
  std::size_t block_bytes = 65536;  // larger ones become holes
  std::size_t headers = 4;          // of each volume
  bool keep_freemap = true;
};

class Pruner {
 public:
  Pruner(Container& container, const PruneLimits& limits)
      : container_(container), limits_(limits) {}

  // What is left of the container.
  [[nodiscard]] Container prune() {
    {
      Topology topology(container_, kAll);
      topology_ = &topology;
      mark();
      erase();
    }
    Topology topology(container_, kAll);
    std::vector<Place> changed = topology.recount();
    changed.insert(changed.end(), erased_.begin(), erased_.end());
    topology.seal(changed);
    return copy_reachable(topology);
  }

 private:
  static constexpr Topology::Limits kAll = {.nodes = 4'000'000,
                                            .refs = 16'000'000};

  // Leaves below a node, in the order of their keys.
  void leaves(std::size_t node, std::vector<std::size_t>& to) const {
    for (const std::size_t r : topology_->nodes()[node].refs) {
      const Topology::Ref& ref = topology_->refs()[r];
      if (topology_->load(ref).type != BlockType::kIndirect) {
        to.push_back(r);
      } else if (ref.child != Topology::kNone) {
        leaves(ref.child, to);
      }
    }
  }

  void mark() {
    for (std::size_t n = 0; n < topology_->nodes().size(); ++n) {
      if (topology_->nodes()[n].type != BlockType::kVolume) continue;
      for (const std::size_t r : topology_->nodes()[n].refs) {
        const Topology::Ref& ref = topology_->refs()[r];
        if (topology_->load(ref).type == BlockType::kInode) {
          if (ref.child == Topology::kNone) continue;
          kept_.insert(r);
          mark_pfss(ref.child);
        } else if (limits_.keep_freemap) {
          mark_freemap(r);
        }
      }
    }
  }
  void mark_freemap(std::size_t r) {
    kept_.insert(r);
    const std::size_t child = topology_->refs()[r].child;
    if (child == Topology::kNone) return;
    for (const std::size_t below : topology_->nodes()[child].refs) {
      mark_freemap(below);
    }
  }
  void mark_pfss(std::size_t super_root) {
    std::vector<std::size_t> pfss;
    leaves(super_root, pfss);
    pfss.resize(std::min(pfss.size(), limits_.entries));
    for (const std::size_t r : pfss) {
      kept_.insert(r);
      if (topology_->refs()[r].child != Topology::kNone) {
        mark_pfs(topology_->refs()[r].child);
      }
    }
  }

  // From the root's entries to the inodes that they name, and so on.
  void mark_pfs(std::size_t root) {
    std::vector<std::size_t> all;
    leaves(root, all);
    std::map<std::uint64_t, std::size_t> index;
    for (const std::size_t r : all) {
      const Blockref ref = topology_->load(topology_->refs()[r]);
      if (ref.key < format::kDirhashVisible) index[ref.key] = r;
    }
    std::vector<std::size_t> left = {root};
    std::set<std::size_t> seen;
    while (!left.empty()) {
      const std::size_t node = left.back();
      left.pop_back();
      if (!seen.insert(node).second) continue;
      std::vector<std::size_t> below;
      leaves(node, below);
      std::size_t count = 0;
      for (const std::size_t r : below) {
        const Topology::Ref& ref = topology_->refs()[r];
        const Blockref value = topology_->load(ref);
        const bool data = value.type == BlockType::kData;
        if (!data && value.key < format::kDirhashVisible) continue;
        if (data && std::uint64_t{1} << value.radix() > limits_.block_bytes) {
          continue;
        }
        if (++count > (data ? limits_.blocks : limits_.entries)) break;
        kept_.insert(r);
        if (value.type == BlockType::kInode) left.push_back(ref.child);
        if (value.type != BlockType::kDirent) continue;
        const auto inode = index.find(value.embed.dirent.inum);
        if (inode == index.end()) continue;
        kept_.insert(inode->second);
        left.push_back(topology_->refs()[inode->second].child);
      }
    }
  }

  // Whether anything below reference `r` is kept.
  bool any_kept(std::size_t r) {
    if (kept_.contains(r)) return true;
    const Topology::Ref& ref = topology_->refs()[r];
    if (ref.child == Topology::kNone ||
        topology_->load(ref).type != BlockType::kIndirect) {
      return false;
    }
    for (const std::size_t below : topology_->nodes()[ref.child].refs) {
      if (any_kept(below)) return true;
    }
    return false;
  }
  void erase() {
    for (std::size_t r = 0; r < topology_->refs().size(); ++r) {
      const Topology::Ref& ref = topology_->refs()[r];
      if (any_kept(r)) continue;
      const Place place = topology_->place_of(ref);
      container_.volumes[place.volume].bytes.clear(place.offset, place.length);
      erased_.push_back(place);
    }
  }

  [[nodiscard]] Container copy_reachable(const Topology& topology) const {
    Container small;
    small.knobs = container_.knobs;
    for (const Volume& volume : container_.volumes) {
      small.volumes.push_back({.size = volume.size, .bytes = {}});
    }
    for (const Topology::Node& node : topology.nodes()) {
      if (node.type == BlockType::kVolume &&
          node.place.offset / format::kVolumeHeaderStride >= limits_.headers) {
        continue;
      }
      const std::vector<std::byte> bytes = topology.content(node);
      small.volumes[node.place.volume].bytes.write(node.place.offset, bytes);
    }
    return small;
  }

  Container& container_;
  PruneLimits limits_;
  const Topology* topology_ = nullptr;
  std::set<std::size_t> kept_;
  std::vector<Place> erased_;
};

}  // namespace odo::hammer2::fuzz
