// SPDX-License-Identifier: BSD-3-Clause
// The blocks of a container that references lead to from its volume headers,
// whatever state they are in, and the sealing of check codes from changed
// blocks up to the headers.
//
// Contexts: fuzzers, their tests, the maker of their seeds; hosted.
// Invariants:
//   T1. a block is one node however many references lead to it.
//   T2. order() has blocks before those that refer to them, where references
//       make no loops.
// Bounds: Limits; what lies beyond isn't seen. Iterative.
// Failure: none: a reference that leads nowhere has no child.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "fuzz/hammer2/container.h"
#include "fuzz/hammer2/host_checks.h"
#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/hammer2/check/examine.h"
#include "lib/hammer2/format/blockref.h"
#include "lib/hammer2/format/constants.h"
#include "lib/hammer2/format/inode.h"
#include "lib/hammer2/format/volume_header.h"

namespace odo::hammer2::fuzz {

using format::Blockref;
using format::BlockType;

// A range of bytes in a volume.
struct Place {
  std::size_t volume = 0;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;

  [[nodiscard]] bool touches(const Place& other) const {
    return volume == other.volume && offset < other.offset + other.length &&
           other.offset < offset + length;
  }
};

class Topology {
 public:
  static constexpr std::size_t kNone = ~std::size_t{0};

  struct Limits {
    std::size_t nodes = 4096;
    std::size_t refs = 16384;
  };
  struct Node {
    BlockType type = BlockType::kVolume;
    Place place;
    std::vector<std::size_t> refs;  // that stand in it
  };
  struct Ref {
    std::size_t parent = 0;
    std::size_t child = kNone;
    std::uint64_t offset = 0;  // in the parent
  };

  explicit Topology(Container& container) : Topology(container, Limits{}) {}
  Topology(Container& container, Limits limits)
      : container_(container), limits_(limits) {
    find_spaces();
    for (std::size_t v = 0; v < container_.volumes.size(); ++v) {
      for (unsigned i = 0; i < format::kVolumeHeaderCount; ++i) {
        add_header(v, i * format::kVolumeHeaderStride);
      }
    }
  }

  [[nodiscard]] const std::vector<Node>& nodes() const { return nodes_; }
  [[nodiscard]] const std::vector<Ref>& refs() const { return refs_; }
  [[nodiscard]] const std::vector<std::size_t>& order() const { return order_; }

  [[nodiscard]] Place place_of(const Ref& ref) const {
    const Place& parent = nodes_[ref.parent].place;
    return {parent.volume, parent.offset + ref.offset, sizeof(Blockref)};
  }
  [[nodiscard]] Blockref load(const Ref& ref) const {
    Blockref value;
    read(place_of(ref), mutable_bytes_of(value));
    return value;
  }
  // Of 64 KiB at most; shorter where it is larger or its volume ends.
  [[nodiscard]] std::vector<std::byte> content(const Node& node) const {
    std::vector<std::byte> bytes(static_cast<std::size_t>(node.place.length));
    read(node.place, bytes);
    return bytes;
  }

  // The last header found before `node`: one that leads to it.
  [[nodiscard]] const Node& header_of(const Node& node) const {
    const Node* at = &node;
    while (at->type != BlockType::kVolume) --at;
    return *at;
  }

  // Where a block of `length` bytes at `offset` of all volumes' space lies.
  [[nodiscard]] std::optional<Place> locate(std::uint64_t offset,
                                            std::uint64_t length) const {
    for (std::size_t v = 0; v < spaces_.size(); ++v) {
      if (spaces_[v].used && offset >= spaces_[v].begin &&
          range_inside(offset - spaces_[v].begin, length,
                       container_.volumes[v].size)) {
        return Place{v, offset - spaces_[v].begin, length};
      }
    }
    return std::nullopt;
  }
  // The opposite; nothing where no header says.
  [[nodiscard]] std::optional<std::uint64_t> offset_of(
      const Place& place) const {
    const Space& space = spaces_[place.volume];
    if (!space.used) return std::nullopt;
    return space.begin + place.offset;
  }

  // Computes anew the check codes of blocks that any of `changed` touches, of
  // those above them, and of references that stand in `changed`.
  void seal(const std::vector<Place>& changed) {
    std::vector<bool> dirty(nodes_.size());
    const auto was_changed = [&](const Place& place) {
      return std::any_of(changed.begin(), changed.end(),
                         [&](const Place& c) { return c.touches(place); });
    };
    for (const std::size_t n : order_) {
      const Node& node = nodes_[n];
      for (const std::size_t r : node.refs) {
        const Ref& ref = refs_[r];
        if (ref.child == kNone) continue;
        if (!dirty[ref.child] && !was_changed(place_of(ref))) continue;
        seal_ref(ref);
        dirty[n] = true;
      }
      if (!dirty[n]) dirty[n] = was_changed(node.place);
      if (dirty[n] && node.type == BlockType::kVolume) seal_header(node);
    }
  }

  // Has every reference say what lies below it: statistics and leaf counts.
  // Answers where that changed anything.
  std::vector<Place> recount() {
    std::vector<audit::detail::Sum> sums(nodes_.size());
    std::vector<Place> changed;
    for (const std::size_t n : order_) {
      for (const std::size_t r : nodes_[n].refs) {
        const Ref& ref = refs_[r];
        Blockref value = load(ref);
        const bool counts =
            ref.child != kNone && (value.type == BlockType::kInode ||
                                   value.type == BlockType::kIndirect);
        if (counts) {
          const audit::detail::Sum& sum = sums[ref.child];
          const auto leaves = static_cast<std::uint16_t>(sum.leaf_count);
          if (value.embed.stats.data_count != sum.data_count ||
              value.embed.stats.inode_count != sum.inode_count ||
              value.leaf_count != leaves) {
            value.embed.stats = {.data_count = sum.data_count,
                                 .inode_count = sum.inode_count};
            value.leaf_count = leaves;
            write(place_of(ref), bytes_of(value));
            changed.push_back(place_of(ref));
          }
        }
        sums[n].add(value);
      }
    }
    return changed;
  }

  // The bytes of a check code, at the start of Blockref::check; none where the
  // method isn't known.
  [[nodiscard]] static std::vector<std::byte> code_of(std::uint8_t methods,
                                                      Bytes block) {
    const check::Checks& checks = host_checks();
    const auto bytes = [](const auto& value) {
      const Bytes all = bytes_of(value);
      return std::vector<std::byte>(all.begin(), all.end());
    };
    switch (format::check_method(methods)) {
      case format::CheckMethod::kIscsi32:
      case format::CheckMethod::kFreemap:
        return bytes(checks.crc32c(block));
      case format::CheckMethod::kXxhash64:
        return bytes(checks.xxh64(block, format::kXxhashSeed));
      case format::CheckMethod::kSha192:
        return bytes(checks.sha192(block));
      default:
        return {};
    }
  }

 private:
  using Header = format::VolumeHeader;

  struct Space {
    bool used = false;
    std::uint64_t begin = 0;
  };

  void read(const Place& place, MutableBytes to) const {
    container_.volumes[place.volume].bytes.read(place.offset, to);
  }
  void write(const Place& place, Bytes from) {
    container_.volumes[place.volume].bytes.write(place.offset, from);
  }
  template <class T>
  [[nodiscard]] T number(std::size_t volume, std::uint64_t offset) const {
    std::array<std::byte, sizeof(T)> bytes;
    read({volume, offset, sizeof(T)}, bytes);
    return load_le<T>(bytes.data());
  }

  // Where each volume's first header puts it.
  void find_spaces() {
    spaces_.resize(container_.volumes.size());
    for (std::size_t v = 0; v < spaces_.size(); ++v) {
      for (unsigned i = 0; i < format::kVolumeHeaderCount; ++i) {
        const std::uint64_t at = i * format::kVolumeHeaderStride;
        if (spaces_[v].used || !is_header(v, at)) continue;
        const auto id = number<std::uint8_t>(v, at + offsetof(Header, volu_id));
        spaces_[v].used = true;
        spaces_[v].begin = number<std::uint64_t>(
            v, at + offsetof(Header, volu_loff) +
                   std::uint64_t{id} % format::kMaxVolumes * 8);
        // Nothing lies at the end of numbers.
        if (spaces_[v].begin > std::uint64_t{1} << 60) spaces_[v].begin = 0;
      }
    }
  }
  [[nodiscard]] bool is_header(std::size_t volume, std::uint64_t at) const {
    return range_inside(at, format::kVolumeHeaderBytes,
                        container_.volumes[volume].size) &&
           number<std::uint64_t>(volume, at) == format::kVolumeMagic;
  }

  // --- Finding blocks -------------------------------------------------------

  void add_header(std::size_t volume, std::uint64_t at) {
    if (!is_header(volume, at)) return;
    const Place place{volume, at, format::kVolumeHeaderBytes};
    const std::size_t top = add_node(BlockType::kVolume, place);
    add_refs(top, offsetof(Header, sroot_blockset), format::kBlocksetCount);
    add_refs(top, offsetof(Header, freemap_blockset), format::kBlocksetCount);
    descend(top);
  }

  std::size_t add_node(BlockType type, const Place& place) {
    nodes_.push_back({.type = type, .place = place, .refs = {}});
    return nodes_.size() - 1;
  }

  // References in use among the `count` at `offset` of a node.
  void add_refs(std::size_t node, std::uint64_t offset, std::size_t count) {
    const Place& place = nodes_[node].place;
    for (std::size_t i = 0; i < count; ++i) {
      if (refs_.size() >= limits_.refs) return;
      const std::uint64_t at = offset + i * sizeof(Blockref);
      if (number<std::uint8_t>(place.volume, place.offset + at) == 0) continue;
      nodes_[node].refs.push_back(refs_.size());
      refs_.push_back({.parent = node, .child = kNone, .offset = at});
    }
  }

  // Depth first below `top`, whose references are known.
  void descend(std::size_t top) {
    struct Step {
      std::size_t node;
      std::size_t next = 0;  // of its references
    };
    std::vector<Step> stack = {{top}};
    while (!stack.empty()) {
      Step& step = stack.back();
      if (step.next == nodes_[step.node].refs.size()) {
        order_.push_back(step.node);
        stack.pop_back();
        continue;
      }
      if (const auto made = follow(nodes_[step.node].refs[step.next++])) {
        stack.push_back({*made});
      }
    }
  }

  // Finds or makes the node that reference `r` leads to; answers it if made.
  std::optional<std::size_t> follow(std::size_t r) {
    const Blockref value = load(refs_[r]);
    if (value.radix() < format::kMinRadix ||
        value.radix() > format::kMaxRadix) {
      return std::nullopt;
    }
    const auto place =
        locate(value.offset(), std::uint64_t{1} << value.radix());
    if (!place) return std::nullopt;
    const Key key{place->volume, place->offset, place->length, value.type};
    if (const auto found = known_.find(key); found != known_.end()) {
      refs_[r].child = found->second;
      return std::nullopt;
    }
    if (nodes_.size() >= limits_.nodes) return std::nullopt;
    // Only a header is a volume's node.
    const std::size_t node = add_node(
        value.type == BlockType::kVolume ? BlockType::kInvalid : value.type,
        *place);
    refs_[r].child = node;
    known_.emplace(key, node);
    switch (value.type) {
      case BlockType::kInode:
        if (has_tree(*place)) {
          add_refs(node, offsetof(format::Inode, payload),
                   format::kBlocksetCount);
        }
        break;
      case BlockType::kIndirect:
      case BlockType::kFreemapNode:
        add_refs(node, 0,
                 static_cast<std::size_t>(place->length / sizeof(Blockref)));
        break;
      default:
        break;
    }
    return node;
  }

  [[nodiscard]] bool has_tree(const Place& inode) const {
    using format::InodeMeta;
    if (inode.length < sizeof(format::Inode)) return false;
    const auto flags = number<std::uint8_t>(
        inode.volume, inode.offset + offsetof(InodeMeta, op_flags));
    return (flags & format::kInodeDirectData) == 0;
  }

  // --- Sealing --------------------------------------------------------------

  void seal_ref(const Ref& ref) {
    const Place at = place_of(ref);
    const auto methods = number<std::uint8_t>(
        at.volume, at.offset + offsetof(Blockref, methods));
    const std::vector<std::byte> code =
        code_of(methods, content(nodes_[ref.child]));
    write({at.volume, at.offset + offsetof(Blockref, check), code.size()},
          code);
  }

  void seal_header(const Node& node) {
    std::vector<std::byte> header = content(node);
    for (const format::HeaderCrc& crc : format::kHeaderCrcs) {
      const std::uint32_t code =
          check::Checks().crc32c(Bytes(header).subspan(crc.begin, crc.length));
      store_le(header.data() + crc.stored_at, code);
      write({node.place.volume, node.place.offset + crc.stored_at, sizeof code},
            bytes_of(code));
    }
  }

  using Key = std::tuple<std::size_t, std::uint64_t, std::uint64_t, BlockType>;

  Container& container_;
  Limits limits_;
  std::vector<Space> spaces_;  // of each volume
  std::vector<Node> nodes_;
  std::vector<Ref> refs_;
  std::vector<std::size_t> order_;
  std::map<Key, std::size_t> known_;
};

}  // namespace odo::hammer2::fuzz
