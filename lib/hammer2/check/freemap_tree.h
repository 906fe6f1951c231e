// SPDX-License-Identifier: BSD-3-Clause
// Walks the freemap's blocks, from the references in a volume header down to
// the leaves, and proves that each is where it may be and what it must be.
//
// Contexts: thread, one at a time; reads block where the device does.
// Bounds: five levels of blocks; V3 holds here too, by key bits that go down,
//   and siblings don't overlap. Iterative.
// Failure: the visitor is told of each bad block; what lies below it is left
//   out.
// Origin: hammer2_freemap.c, hammer2_freemap_reserve() (places).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/hammer2/check/arena.h"
#include "lib/hammer2/error.h"
#include "lib/hammer2/format/freemap.h"
#include "lib/hammer2/validate.h"

namespace odo::hammer2::audit {

// Where in the freemap a reference stands.
struct FreemapPlace {
  unsigned depth = 0;  // 0 in the volume header
  std::size_t slot = 0;
};

// Which level a block is of, 0 for leaves, by its type and key bits.
[[nodiscard]] constexpr std::optional<unsigned> freemap_level(
    const format::Blockref& ref) {
  constexpr unsigned kLevelBits = 8;
  const unsigned bits = ref.keybits;
  if (bits < format::kFreemapLeafRadix ||
      (bits - format::kFreemapLeafRadix) % kLevelBits != 0) {
    return std::nullopt;
  }
  const unsigned level = (bits - format::kFreemapLeafRadix) / kLevelBits;
  const bool leaf = ref.type == format::BlockType::kFreemapLeaf;
  if (level >= format::kFreemapLevels || leaf != (level == 0) ||
      (!leaf && ref.type != format::BlockType::kFreemapNode)) {
    return std::nullopt;
  }
  return level;
}

// Whether the freemap never gives out the 4 MiB at `offset`: they lie before
// the allocator's first byte, in a zone's reserve, or behind the volumes' end.
[[nodiscard]] constexpr bool never_given_out(std::uint64_t offset,
                                             std::uint64_t allocator_beg,
                                             std::uint64_t total_bytes) {
  constexpr std::uint64_t kSpan = std::uint64_t{1}
                                  << format::kFreemapEntryRadix;
  return offset / kSpan * kSpan < allocator_beg || offset >= total_bytes ||
         offset % format::kZoneBytes < format::kZoneReserveBytes;
}

template <class Reader>
class FreemapTree {
 public:
  FreemapTree(const typename Reader::Volumes& volumes, Reader& reader)
      : volumes_(volumes), reader_(reader) {}

  [[nodiscard]] bool init(Arena& arena) {
    for (Level& level : levels_) {
      level.bytes = arena.take<std::byte>(format::kFreemapBlockBytes);
      if (level.bytes.empty()) return false;
    }
    return true;
  }

  // Depth first, from the references in a header down. For each,
  // visitor.enter(ref, place, block), where `block` is a Result of its bytes,
  // and after all below it visitor.leave(ref, place).
  template <class Visitor>
  void walk(const RefArray& roots, Visitor&& visitor) {
    depth_ = 0;
    LastKey last;
    std::size_t next = 0;
    format::Blockref ref;
    for (;;) {
      if (depth_ == 0) {
        next = roots.next_used(next, roots.size());
        if (next == roots.size()) return;
        const std::size_t slot = next++;
        roots.copy(slot, ref);
        enter(ref, slot, last, format::kKeyBits, visitor);
        continue;
      }
      Level& top = levels_[depth_ - 1];
      const RefArray refs(top.bytes, format::kFreemapEntries);
      const std::size_t i = refs.next_used(top.next, refs.size());
      if (i == refs.size()) {
        --depth_;
        visitor.leave(top.ref, {.depth = depth_, .slot = top.slot});
        continue;
      }
      top.next = i + 1;
      refs.copy(i, ref);
      enter(ref, i, top.last, top.ref.keybits, visitor);
    }
  }

 private:
  struct Level {
    MutableBytes bytes;
    format::Blockref ref = {};
    std::size_t slot = 0;
    std::size_t next = 0;
    LastKey last;
  };

  // `last` is of the entry's siblings, `bits` of the block it stands in.
  template <class Visitor>
  void enter(const format::Blockref& ref, std::size_t slot, LastKey& last,
             unsigned bits, Visitor& visitor) {
    const FreemapPlace place = {.depth = depth_, .slot = slot};
    const Result<Bytes> block = prove(ref, last, bits);
    visitor.enter(ref, place, block);
    if (!block || ref.type == format::BlockType::kFreemapLeaf) {
      visitor.leave(ref, place);
      return;
    }
    Level& down = levels_[depth_];
    down.ref = ref;
    down.slot = slot;
    down.next = 0;
    down.last = {};
    ++depth_;
  }

  [[nodiscard]] Result<Bytes> prove(const format::Blockref& ref, LastKey& last,
                                    unsigned bits) {
    const std::optional<unsigned> level = freemap_level(ref);
    if (!level) return fail(error_at(Code::kBadBlockType, ref));
    const std::optional<KeyRange> range = key_range(ref.key, ref.keybits);
    if (!range || ref.keybits >= bits ||
        (depth_ > 0 &&
         (ref.key >> bits) != (levels_[depth_ - 1].ref.key >> bits)) ||
        (last.any && range->first <= last.key)) {
      return fail(error_at(Code::kBadKey, ref));
    }
    last = {.key = range->last, .any = true};
    if (std::uint64_t{1} << ref.radix() != format::kFreemapBlockBytes) {
      return fail(error_at(Code::kBadBlockSize, ref));
    }
    const std::uint64_t offset = ref.offset();
    const std::uint64_t slot = (offset - ref.key) / format::kMaxAllocBytes;
    const auto* volume = volumes_.find(offset, format::kFreemapBlockBytes);
    if (volume == nullptr || offset < ref.key ||
        !is_aligned(offset, format::kMaxAllocBytes) || slot == 0 ||
        slot >
            std::uint64_t{format::kFreemapLevels} * format::kFreemapRotation ||
        (slot - 1) % format::kFreemapLevels != *level) {
      return fail(error_at(Code::kBadBlockOffset, ref));
    }
    Level& down = levels_[depth_];
    ODO_TRY_VOID(reader_.read_one(ref, *volume, down.bytes));
    return Bytes(down.bytes);
  }

  const typename Reader::Volumes& volumes_;
  Reader& reader_;
  std::array<Level, format::kFreemapLevels> levels_ = {};
  unsigned depth_ = 0;
};

}  // namespace odo::hammer2::audit
