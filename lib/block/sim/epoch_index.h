// SPDX-License-Identifier: BSD-3-Clause
// Which writes of one epoch touch a sector: what makes a cut cost no more than
// its list of fates, since nothing is applied before it is read.
//
// Contexts: tests.
// Ownership: points into the log, which outlives it.
// Complexity: built once an epoch, a node per sector written.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/block/sim/cut.h"
#include "lib/block/sim/overlay.h"
#include "lib/block/sim/write_log.h"

namespace odo::block {

class EpochIndex {
 public:
  void build(const WriteLog& log, const Epoch& epoch) {
    chunks_.clear();
    nodes_.assign(1, Node{});  // number 0 stands for none
    for (std::size_t i = 0; i < epoch.writes(); ++i) {
      const LoggedWrite& write = log.write(epoch, i);
      for (std::size_t s = 0; s < write.sectors(); ++s) {
        const std::uint64_t sector = write.sector() + s;
        std::uint32_t& newest =
            chunks_.at(sector / kChunkSectors).newest[sector % kChunkSectors];
        nodes_.push_back({write.bytes.data() + s * kSectorBytes,
                          static_cast<std::uint32_t>(i),
                          static_cast<std::uint32_t>(s),
                          static_cast<std::uint32_t>(write.sectors()), newest});
        newest = static_cast<std::uint32_t>(nodes_.size() - 1);
      }
    }
  }

  // Replaces in `to` what the cut's writes left on the medium.
  void paint(const Cut& cut, std::uint64_t offset_bytes,
             MutableBytes to) const {
    for_each_piece(offset_bytes, to.size(),
                   [&](std::uint64_t number, std::size_t first,
                       std::size_t count, std::size_t done) {
                     const Chunk* chunk = chunks_.find(number);
                     if (chunk == nullptr) return;
                     for (std::size_t i = 0; i < count; ++i) {
                       const std::byte* at =
                           survivor(cut, chunk->newest[first + i]);
                       if (at == nullptr) continue;
                       copy_bytes(to.subspan(done + i * kSectorBytes),
                                  Bytes(at, kSectorBytes));
                     }
                   });
  }

 private:
  // A sector of a write.
  struct Node {
    const std::byte* at = nullptr;
    std::uint32_t write = 0;
    std::uint32_t sector = 0;
    std::uint32_t sectors = 0;
    std::uint32_t older = 0;  // the node of the write before to this sector
  };
  struct Chunk {
    std::array<std::uint32_t, kChunkSectors> newest{};
  };

  [[nodiscard]] const std::byte* survivor(const Cut& cut,
                                          std::uint32_t number) const {
    const std::byte* found = nullptr;
    for (; number != 0; number = nodes_[number].older) {
      const Node& node = nodes_[number];
      if (node.write >= cut.fates.size() ||
          !cut.fates[node.write].keeps(node.sector, node.sectors)) {
        continue;
      }
      found = node.at;
      if (cut.order == Order::kAsIssued) break;
    }
    return found;
  }

  ChunkMap<Chunk> chunks_;
  std::vector<Node> nodes_;
};

}  // namespace odo::block
