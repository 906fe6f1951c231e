// SPDX-License-Identifier: BSD-3-Clause
// The allocator: which space is free, by the freemap on the media, and which
// blocks a transaction takes.
//
// Blocks of one type fill 4 MiB entries of their own for as long as there are
// any to begin, so that inodes lie beside inodes; when there are none, any
// entry will do. Blocks below 16 KiB are packed into units of 16 KiB, which the
// freemap can't divide: what is left of a unit when its entry is left, is lost
// until bulkfree. The freemap's own blocks rotate through eight places in each
// zone's reserve, so that what an older volume header refers to stays.
//
// Contexts: thread, one at a time; may block where devices do.
// Invariants:
//   F1. no block is given out that the last committed volume header, or this
//       transaction, refers to: blocks return by bulkfree, or by drop_fresh()
//       of the transaction that took them;
//   F2. allocator_free is allocator_size less the units in use outside the
//       space that is never given out;
//   F3. quads() is at most the aligned 64 KiB extents that are free.
// Bounds: memory for a 32 KiB leaf a zone (1 GiB) that changed since the last
//   commit, kMaxCleanLeaves others, and 144 bytes a zone.
// Failure: kNoSpace where no free extent is large enough; errors of devices.
// Complexity: allocate() is amortized O(1) until space runs short, then linear
//   in the entries.
// Origin: hammer2_freemap.c (classes, linear, rotation, what never is free).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <span>

#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/hammer2/check/arena.h"
#include "lib/hammer2/check/freemap_tree.h"
#include "lib/hammer2/error.h"
#include "lib/hammer2/format/freemap.h"
#include "lib/hammer2/seal.h"
#include "lib/hammer2/write/bitmap.h"
#include "lib/hammer2/write/freemap_leaf.h"
#include "lib/hammer2/write/media.h"
#include "lib/hammer2/write/memory.h"

namespace odo::hammer2::write {

template <Ground G>
class Freemap {
 public:
  static constexpr std::size_t kMaxCleanLeaves = 64;

  Freemap(G& ground, Media<G>& media, check::Checks checks)
      : ground_(ground), media_(media), checks_(checks) {}
  Freemap(const Freemap&) = delete;
  Freemap& operator=(const Freemap&) = delete;
  ~Freemap() { close(); }

  // Reads the freemap that `blockset` of a volume header refers to. A damaged
  // one is an error: who can't tell what is free can't write.
  [[nodiscard]] Result<void> open(Bytes blockset, std::uint64_t allocator_beg,
                                  std::uint64_t free_bytes);
  void close();

  // Blocks of all types go into the same entries from now on.
  void use_any_class() { compact_ = true; }

  // The offset of a free block of 2^radix bytes, radix 10 to 16, now taken.
  [[nodiscard]] Result<std::uint64_t> allocate(format::BlockType type,
                                               unsigned radix);

  // Gives back a block that this transaction took and that nothing refers to.
  // What is smaller than a unit stays lost until bulkfree.
  [[nodiscard]] Result<void> drop_fresh(std::uint64_t offset, unsigned radix);

  // A block of a unit or more that the freemap may not know of.
  [[nodiscard]] Result<void> mark_taken(std::uint64_t offset, unsigned radix);

  // Writes what changed; `blockset` is the header's, brought up to date.
  [[nodiscard]] Result<void> write_out(std::uint64_t mirror_tid,
                                       std::uint64_t modify_tid,
                                       MutableBytes blockset);
  // After the header is durable: blocks smaller than a device's share none with
  // what was committed.
  void begin_transaction() { fresh_cursors_ = 0; }

  [[nodiscard]] bool dirty() const {
    return std::ranges::any_of(zones_.span(),
                               [](const Zone& zone) { return zone.dirty; });
  }
  [[nodiscard]] std::uint64_t free_bytes() const { return free_bytes_; }
  [[nodiscard]] std::uint64_t quads() const { return quads_; }
  [[nodiscard]] std::uint64_t zones() const { return zones_.size(); }

  // A zone's leaf for bulkfree to compare and, when it asks `for_change`, to
  // change; note_change() must follow. Valid until the next call of anything.
  [[nodiscard]] Result<FreemapLeaf*> leaf_of(std::uint64_t zone);
  void note_change(std::uint64_t zone, std::int64_t freed_bytes);
  // The end of the last 4 MiB of which anything is in use.
  [[nodiscard]] Result<std::uint64_t> used_end();
  // Has it end at `end`, from which on nothing is in use.
  [[nodiscard]] Result<void> cut(std::uint64_t end);
  [[nodiscard]] std::uint64_t allocator_beg() const { return allocator_beg_; }

 private:
  struct Zone {
    format::Blockref ref = {};  // empty: no leaf on the media yet
    FreemapLeaf* leaf = nullptr;
    std::uint32_t quads = 0;
    std::uint32_t last_use = 0;
    std::uint8_t full_radixes = 0;  // bit radix - 10: none was found
    bool dirty = false;
  };
  struct Node {
    format::Blockref ref = {};
    bool dirty = false;
  };

  static constexpr std::size_t kTypes = 5;  // BlockType 1 to 4 allocate
  static constexpr unsigned kLevelBits = 8;
  static constexpr std::uint64_t kEntryBytes = std::uint64_t{1}
                                               << format::kFreemapEntryRadix;

  // What a freemap walk reads with.
  struct WalkReader {
    using Volumes = VolumeSet<typename Media<G>::Buffered>;
    Freemap& map;

    [[nodiscard]] Result<void> read_one(const format::Blockref& ref,
                                        const auto& /*volume*/,
                                        MutableBytes to) {
      return map.read_block(ref, to);
    }
  };
  struct Loader {
    Freemap& map;
    std::optional<Error> error = {};

    void enter(const format::Blockref& ref, const audit::FreemapPlace&,
               const Result<Bytes>& block) {
      if (!block) {
        if (!error) error = block.error();
      } else {
        map.take_block(ref, *block);
      }
    }
    void leave(const format::Blockref&, const audit::FreemapPlace&) {}
  };

  [[nodiscard]] static std::uint16_t class_of(format::BlockType type) {
    return static_cast<std::uint16_t>(static_cast<unsigned>(type) << 8U |
                                      format::kMaxRadix);
  }
  [[nodiscard]] std::uint64_t total_bytes() const {
    return media_.volumes().info().total_bytes;
  }
  [[nodiscard]] Result<void> read_block(const format::Blockref& ref,
                                        MutableBytes to);
  void take_block(const format::Blockref& ref, Bytes block);
  void init_leaf(std::uint64_t zone, FreemapLeaf& leaf) const;
  void shed_clean_leaf();
  [[nodiscard]] Result<std::optional<std::uint64_t>> search(
      format::BlockType type, unsigned radix, bool any_class);
  [[nodiscard]] Result<std::optional<std::uint64_t>> search_zone(
      std::uint64_t zone, std::size_t first, std::size_t count,
      std::uint16_t alloc_class, unsigned radix, bool any_class);
  // Where the last transaction ended inside a device's block, this one begins
  // behind it: no block of the committed state is rewritten, not even as it is.
  [[nodiscard]] std::uint32_t align_for(std::size_t type,
                                        std::uint64_t entry) const {
    const bool begun =
        entry == cursors_[type] && (fresh_cursors_ >> type & 1U) != 0;
    return begun ? format::kMinAllocBytes : device_block_bytes_;
  }
  [[nodiscard]] static std::uint64_t place(const format::Blockref& ref,
                                           unsigned level);
  [[nodiscard]] Result<void> write_block(format::Blockref& ref, unsigned level,
                                         std::uint64_t key, Bytes bytes,
                                         std::uint64_t avail,
                                         std::uint64_t mirror_tid,
                                         std::uint64_t modify_tid);

  G& ground_;
  Media<G>& media_;
  check::Checks checks_;
  Array<G, Zone> zones_;
  // Nodes of each level above the leaves, up to the one that a header holds.
  std::array<Array<G, Node>, format::kFreemapLevels> nodes_;
  Array<G, std::byte> scratch_;  // a freemap block
  unsigned top_ = 0;             // level of the header's references
  std::uint64_t allocator_beg_ = 0;
  std::uint64_t free_bytes_ = 0;
  std::uint64_t quads_ = 0;
  std::array<std::uint64_t, kTypes> cursors_ = {};  // entries, by block type
  std::uint32_t fresh_cursors_ = 0;       // bit type: used in this transaction
  std::uint32_t device_block_bytes_ = 0;  // of the coarsest device
  std::uint32_t clock_ = 0;
  std::size_t clean_leaves_ = 0;
  bool any_class_ = false;  // no entry is left to begin
  bool compact_ = false;
};

}  // namespace odo::hammer2::write

#include "lib/hammer2/write/freemap_impl.h"
