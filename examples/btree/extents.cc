// SPDX-License-Identifier: BSD-3-Clause
// Free extents of a disk, as an allocator keeps them: first fit at or after a
// hint, neighbours merged when space comes back, and which extents meet a
// range.
#include <cstdint>
#include <cstdio>

#include "lib/btree/map.h"

namespace {

using Block = std::uint64_t;
struct End {  // extents are [key, value)
  static Block lowest() { return 0; }
  static Block of(Block end) { return end; }
};
struct Choice : odo::btree::Options<Block> {
  using Augment = odo::btree::MaxEndAugment<End>;
};
using Extents = odo::btree::BTreeMap<Block, Block, Choice>;

bool give_back(Extents& free, Block first, Block end) {
  const auto next = free.lower_bound(first);
  if (next != free.end() && next.key() == end) {
    end = next.value();
    free.erase(next);
  }
  auto before = free.lower_bound(first);
  if (before != free.begin() && (--before).value() == first) {
    free.update(before, [end](Block& last) { last = end; });
    return true;
  }
  return free.insert(first, end).has_value();
}

}  // namespace

int main() {
  Extents free;
  for (Block at = 0; at < 1'000'000; at += 20) {
    if (!give_back(free, at, at + 10)) return 1;
  }
  std::printf("%zu extents in %zu bytes\n", free.size(), free.bytes());
  for (Block at = 10; at < 500'000; at += 20) {
    if (!give_back(free, at, at + 10)) return 1;
  }
  std::printf("%zu after merging; those that meet [499990, 500045):",
              free.size());
  free.overlapping(Block{499'990}, Block{500'045}, [](auto extent) {
    std::printf(" [%llu, %llu)", static_cast<unsigned long long>(extent.key()),
                static_cast<unsigned long long>(extent.value()));
    return true;
  });
  std::printf("\n");
}
