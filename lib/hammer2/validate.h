// SPDX-License-Identifier: BSD-3-Clause
// What an inode and an array of block references must look like before anything
// follows them. Check codes prove that bytes are as written; this proves that
// what was written makes sense, on media made by anybody.
//
// Contexts: any; no state.
// Invariants that a validated array gives to its readers:
//   V1. entries in use are in strictly rising order of their keys, and the
//       ranges of keys they cover don't overlap;
//   V2. every entry's range lies inside the range of the block it stands in;
//   V3. an indirect block covers fewer key bits than the one it stands in, so
//       that no path down a tree is longer than 63 indirect blocks, and none
//       leads back to itself;
//   V4. every entry's type may stand in that kind of tree.
// Failure: hammer2::Error that names the block at fault.
// Complexity: linear in the number of references, once a block load.
// Origin: the assertions of hammer2_chain.c, hammer2_base_insert() ("overlap",
// "key_next"), hammer2_chain_create_indirect() and hammer2_disk.h's comments.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "lib/base/bytes.h"
#include "lib/hammer2/error.h"
#include "lib/hammer2/format/blockref.h"
#include "lib/hammer2/format/constants.h"
#include "lib/hammer2/format/inode.h"

namespace odo::hammer2 {

// What the leaves of a tree are, by where the tree hangs.
enum class Tree : std::uint8_t {
  kVolume,     // the volume header's set: the super-root inode
  kSuperRoot,  // PFS root inodes
  kDirectory,  // directory entries, and in a PFS's root the index of inodes
  kFile,       // data
  kNone,       // devices, FIFOs, sockets and embedded data have no tree
};

// The keys that a block may hold, both ends included.
struct KeyRange {
  std::uint64_t first = 0;
  std::uint64_t last = ~std::uint64_t{0};
  unsigned bits = format::kKeyBits;
};

// The range of a reference; nullopt unless its key is a multiple of its size.
[[nodiscard]] constexpr std::optional<KeyRange> key_range(std::uint64_t key,
                                                          unsigned bits) {
  if (bits >= format::kKeyBits) return std::nullopt;
  const std::uint64_t mask = (std::uint64_t{1} << bits) - 1;
  if ((key & mask) != 0) return std::nullopt;
  return KeyRange{.first = key, .last = key | mask, .bits = bits};
}

// The range of a reference that stands in a validated array.
[[nodiscard]] constexpr KeyRange range_of(const format::Blockref& ref) {
  const std::uint64_t mask = (std::uint64_t{1} << ref.keybits) - 1;
  return {.first = ref.key, .last = ref.key | mask, .bits = ref.keybits};
}

// References side by side in a cached block, at any alignment.
class RefArray {
 public:
  RefArray(Bytes bytes, std::size_t count) : bytes_(bytes), count_(count) {}

  [[nodiscard]] std::size_t size() const { return count_; }
  [[nodiscard]] format::BlockType type(std::size_t i) const {
    return static_cast<format::BlockType>(
        bytes_[at(i) + offsetof(format::Blockref, type)]);
  }
  [[nodiscard]] bool empty(std::size_t i) const {
    return type(i) == format::BlockType::kEmpty;
  }
  [[nodiscard]] std::uint64_t key(std::size_t i) const {
    return load_le<std::uint64_t>(bytes_.data() + at(i) +
                                  offsetof(format::Blockref, key));
  }
  [[nodiscard]] unsigned keybits(std::size_t i) const {
    return std::to_integer<unsigned>(
        bytes_[at(i) + offsetof(format::Blockref, keybits)]);
  }
  // The last key that entry `i`, validated, covers.
  [[nodiscard]] std::uint64_t last_key(std::size_t i) const {
    return key(i) | ((std::uint64_t{1} << keybits(i)) - 1);
  }
  void copy(std::size_t i, format::Blockref& to) const {
    copy_bytes(mutable_bytes_of(to),
               bytes_.subspan(at(i), sizeof(format::Blockref)));
  }

  // The first entry in use whose range ends at or after `key`; size() if none.
  // The array is validated (V1). Empty entries may lie anywhere.
  [[nodiscard]] std::size_t lower_bound(std::uint64_t key) const {
    std::size_t begin = 0;
    std::size_t end = count_;
    while (begin < end) {
      const std::size_t middle = begin + (end - begin) / 2;
      const std::size_t used = next_used(middle, end);
      if (used == end || last_key(used) >= key) {
        end = middle;
      } else {
        begin = used + 1;
      }
    }
    return next_used(begin, count_);
  }
  [[nodiscard]] std::size_t next_used(std::size_t i, std::size_t end) const {
    while (i < end && empty(i)) ++i;
    return i;
  }

 private:
  [[nodiscard]] static constexpr std::size_t at(std::size_t i) {
    return i * sizeof(format::Blockref);
  }

  Bytes bytes_;
  std::size_t count_;
};

namespace detail {

[[nodiscard]] constexpr bool type_allowed(Tree tree, format::BlockType type) {
  using format::BlockType;
  switch (tree) {
    case Tree::kVolume:
      return type == BlockType::kInode;
    case Tree::kSuperRoot:
      return type == BlockType::kInode || type == BlockType::kIndirect;
    case Tree::kDirectory:
      return type == BlockType::kInode || type == BlockType::kDirent ||
             type == BlockType::kIndirect;
    case Tree::kFile:
      return type == BlockType::kData || type == BlockType::kIndirect;
    case Tree::kNone:
      break;
  }
  return false;
}

[[nodiscard]] constexpr bool keybits_allowed(format::BlockType type,
                                             unsigned bits,
                                             unsigned parent_bits) {
  switch (type) {
    case format::BlockType::kIndirect:
      return bits > 0 && bits < parent_bits;
    case format::BlockType::kData:
      return bits >= format::kMinRadix && bits <= format::kLogicalRadix;
    default:
      return bits == 0;
  }
}

}  // namespace detail

// What an entry has to follow: the last key of the one before it.
struct LastKey {
  std::uint64_t key = 0;
  bool any = false;
};

// Proves V1 to V4 of entry `i`, which is in use, in a block that covers
// `range`, and moves `last` past it. nullopt where all is well.
[[nodiscard]] inline std::optional<Code> validate_ref(const RefArray& refs,
                                                      std::size_t i, Tree tree,
                                                      const KeyRange& range,
                                                      LastKey& last) {
  const format::BlockType type = refs.type(i);
  if (!detail::type_allowed(tree, type)) return Code::kBadBlockType;
  const std::optional<KeyRange> covered =
      key_range(refs.key(i), refs.keybits(i));
  if (!covered || !detail::keybits_allowed(type, covered->bits, range.bits) ||
      covered->first < range.first || covered->last > range.last ||
      (last.any && covered->first <= last.key)) {
    return Code::kBadKey;
  }
  last = {.key = covered->last, .any = true};
  return std::nullopt;
}

// Proves V1 to V4 of the references in `bytes`, which stand in a block that
// covers `range`. Answers how many leading slots hold all entries in use.
// Errors name `at`, the reference to that block, and the offending key.
[[nodiscard]] inline Result<std::uint32_t> validate_refs(
    Bytes bytes, Tree tree, const KeyRange& range, const format::Blockref& at,
    std::uint64_t inum) {
  const RefArray refs(bytes, bytes.size() / sizeof(format::Blockref));
  std::uint32_t used = 0;
  LastKey last;
  for (std::size_t i = 0; i < refs.size(); ++i) {
    if (refs.empty(i)) continue;
    if (const auto code = validate_ref(refs, i, tree, range, last)) {
      Error error = error_at(*code, at, inum);
      error.found = refs.key(i);
      return fail(error);
    }
    used = static_cast<std::uint32_t>(i + 1);
  }
  return used;
}

// The kind of tree below an inode that was reached in a tree of kind `in`.
[[nodiscard]] constexpr Tree tree_below(Tree in, format::ObjectType type,
                                        std::uint8_t op_flags) {
  if (in == Tree::kVolume) return Tree::kSuperRoot;
  switch (type) {
    case format::ObjectType::kDirectory:
      return Tree::kDirectory;
    case format::ObjectType::kRegular:
    case format::ObjectType::kSymlink:
      return (op_flags & format::kInodeDirectData) != 0 ? Tree::kNone
                                                        : Tree::kFile;
    default:
      return Tree::kNone;
  }
}

// Proves an inode's fields; answers the kind of tree below it.
[[nodiscard]] inline Result<Tree> validate_inode_fields(
    Bytes bytes, Tree in, const format::Blockref& at, std::uint64_t inum) {
  using format::InodeMeta;
  const std::byte* p = bytes.data();
  const auto type =
      static_cast<format::ObjectType>(p[offsetof(InodeMeta, type)]);
  const auto op_flags =
      std::to_integer<std::uint8_t>(p[offsetof(InodeMeta, op_flags)]);
  const auto size = load_le<std::uint64_t>(p + offsetof(InodeMeta, size));
  const auto name_len =
      load_le<std::uint16_t>(p + offsetof(InodeMeta, name_len));
  const bool embeds = (op_flags & format::kInodeDirectData) != 0;
  const bool directory = type == format::ObjectType::kDirectory;
  if (load_le<std::uint16_t>(p + offsetof(InodeMeta, version)) !=
          format::kInodeVersion ||
      name_len > format::kInodeNameBytes || size >> 63 != 0 ||
      (embeds && (directory || size > format::kEmbeddedBytes)) ||
      (in != Tree::kDirectory && !directory)) {
    return fail(error_at(Code::kBadInode, at, inum));
  }
  return tree_below(in, type, op_flags);
}

// The references in an inode that has a tree.
[[nodiscard]] inline Bytes inode_refs(Bytes inode) {
  return inode.subspan(offsetof(format::Inode, payload),
                       format::kEmbeddedBytes);
}

// Proves an inode's fields and the references in it. Answers as
// validate_refs() does, 0 for an inode without a tree.
[[nodiscard]] inline Result<std::uint32_t> validate_inode(
    Bytes bytes, Tree in, const format::Blockref& at, std::uint64_t inum) {
  ODO_TRY(const Tree tree, validate_inode_fields(bytes, in, at, inum));
  if (tree == Tree::kNone) return 0U;
  return validate_refs(inode_refs(bytes), tree, KeyRange{}, at, inum);
}

}  // namespace odo::hammer2
