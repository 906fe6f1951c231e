// SPDX-License-Identifier: BSD-3-Clause
// Walks every block that the super-root leads to and proves each, going on
// behind those that are bad.
//
//   static hammer2::Verifier verifier(fs.blocks());
//   hammer2::Error error;
//   for (;;) {
//     const hammer2::Step step = verifier.next(error);
//     if (step == hammer2::Step::kDone) break;
//     if (step == hammer2::Step::kBad) report(error);
//   }
//
// Contexts: thread, one at a time; next() may block where the device does.
// Sizes: about 24 KiB, for a stack of kMaxLevels nested blocks: an object of
//   the caller's, not on a kernel stack. next() itself is iterative.
// Bounds: the tree's size; kMaxLevels of nesting, kTooDeep beyond. A block that
//   several PFSs share is proven once for each, as each reaches it by a
//   reference of its own.
// Failure: every bad block is one kBad step; what hangs below it is skipped.
// The freemap isn't walked: reading depends on none of it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "lib/hammer2/error.h"
#include "lib/hammer2/format/inode.h"
#include "lib/hammer2/validate.h"

namespace odo::hammer2 {

enum class Step : std::uint8_t {
  kGood,  // one more block is proven
  kBad,   // one more block is bad
  kDone,
};

struct VerifyTotals {
  std::uint64_t inodes = 0;
  std::uint64_t indirects = 0;
  std::uint64_t data = 0;
  std::uint64_t dirents = 0;  // with and without a block of their own
  std::uint64_t bytes = 0;    // of blocks proven, as on media
  std::uint64_t bad = 0;
};

template <class Store>
class Verifier {
 public:
  static constexpr std::size_t kMaxLevels = 128;

  explicit Verifier(Store& store) : store_(store) {}
  Verifier(const Verifier&) = delete;
  Verifier& operator=(const Verifier&) = delete;

  [[nodiscard]] const VerifyTotals& totals() const { return totals_; }

  // Proves the next block. `error` is set on kBad.
  [[nodiscard]] Step next(Error& error) {
    if (!started_) {
      started_ = true;
      const format::Blockref& root = store_.super_root();
      return enter(root, Tree::kVolume, Error::kUnknown, error);
    }
    while (depth_ > 0) {
      Level& top = levels_[depth_ - 1];
      const auto pin =
          store_.fetch(top.ref, top.reached_in, top.range, top.inum);
      if (!pin) {  // it was good before: the device has gone bad meanwhile
        --depth_;
        error = pin.error();
        ++totals_.bad;
        return Step::kBad;
      }
      const RefArray refs = children(top, *pin);
      const std::size_t i = refs.next_used(top.next_index, refs.size());
      if (i == refs.size()) {
        --depth_;
        continue;
      }
      top.next_index = static_cast<std::uint32_t>(i + 1);
      refs.copy(i, child_);
      return enter(child_, top.below, top.inum, error);
    }
    return Step::kDone;
  }

 private:
  struct Level {
    format::Blockref ref;
    KeyRange range;
    std::uint64_t inum;
    std::uint32_t next_index;
    Tree reached_in;  // what the block was fetched as
    Tree below;       // the kind of tree that its references belong to
  };

  [[nodiscard]] static RefArray children(const Level& level,
                                         const typename Store::Pin& pin) {
    if (level.ref.type == format::BlockType::kIndirect) {
      return RefArray(pin.bytes(), pin.count());
    }
    return RefArray(pin.bytes().subspan(offsetof(format::Inode, payload)),
                    pin.count());
  }

  // Proves the block of `ref`, which stands in a tree of kind `tree` that
  // belongs to inode `inum`, and makes it the top level where it has children.
  Step enter(const format::Blockref& ref, Tree tree, std::uint64_t inum,
             Error& error) {
    const bool inode = ref.type == format::BlockType::kInode;
    const bool indirect = ref.type == format::BlockType::kIndirect;
    if (ref.type == format::BlockType::kDirent) {
      ++totals_.dirents;
      if (ref.embed.dirent.name_len <= format::kEmbeddedNameBytes) {
        return Step::kGood;
      }
    }
    // An inode of a PFS's index has its number for a key.
    const bool indexed =
        inode && tree == Tree::kDirectory && ref.key < format::kDirhashVisible;
    if (inode) inum = indexed ? ref.key : Error::kUnknown;
    const KeyRange range = indirect ? range_of(ref) : KeyRange{};
    const Tree reached_in =
        inode && tree != Tree::kVolume ? Tree::kDirectory : tree;
    const auto pin = store_.fetch(ref, reached_in, range, inum);
    if (!pin) return bad(pin.error(), error);
    if (inode) {
      const auto own = load_le<std::uint64_t>(
          pin->bytes().data() + offsetof(format::InodeMeta, inum));
      if (indexed && own != inum) {
        return bad(error_at(Code::kBadInode, ref, inum), error);
      }
      inum = own;
    }
    totals_.bytes += std::uint64_t{1} << ref.radix();
    totals_.inodes += inode ? 1 : 0;
    totals_.indirects += indirect ? 1 : 0;
    totals_.data += ref.type == format::BlockType::kData ? 1 : 0;
    const Tree below = inode ? Store::tree_below(reached_in, *pin) : tree;
    if (pin->count() == 0) return Step::kGood;
    if (depth_ == kMaxLevels) {
      return bad(error_at(Code::kTooDeep, ref, inum), error);
    }
    levels_[depth_++] = Level{.ref = ref,
                              .range = range,
                              .inum = inum,
                              .next_index = 0,
                              .reached_in = reached_in,
                              .below = below};
    return Step::kGood;
  }

  Step bad(const Error& what, Error& error) {
    ++totals_.bad;
    error = what;
    return Step::kBad;
  }

  Store& store_;
  VerifyTotals totals_;
  format::Blockref child_ = {};
  std::size_t depth_ = 0;
  bool started_ = false;
  std::array<Level, kMaxLevels> levels_;
};

}  // namespace odo::hammer2
