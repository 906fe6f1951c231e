// SPDX-License-Identifier: BSD-3-Clause
// Nodes that run out when a test wants them to, and that are counted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "lib/btree/free_store.h"

namespace odo::btree::testing {

struct NodeLedger {
  std::size_t live = 0;  // nodes out
  // How many more are granted before the next is refused, once.
  std::uint64_t granted = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t refused = 0;
};

class FailingNodes {
 public:
  FailingNodes() = default;
  explicit FailingNodes(NodeLedger& ledger) : ledger_(&ledger) {}

  [[nodiscard]] void* allocate(std::size_t bytes, std::size_t align) {
    if (ledger_ != nullptr) {
      if (ledger_->granted == 0) {
        ledger_->granted = std::numeric_limits<std::uint64_t>::max();
        ++ledger_->refused;
        return nullptr;
      }
      --ledger_->granted;
      ++ledger_->live;
    }
    return FreeStore::allocate(bytes, align);
  }

  void deallocate(void* node, std::size_t bytes, std::size_t align) {
    if (ledger_ != nullptr) --ledger_->live;
    FreeStore::deallocate(node, bytes, align);
  }

 private:
  NodeLedger* ledger_ = nullptr;
};

}  // namespace odo::btree::testing
