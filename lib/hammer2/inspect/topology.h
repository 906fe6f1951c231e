// SPDX-License-Identifier: BSD-3-Clause
// Walks the topology below a volume header and tells of every reference in it:
// where it stands, whether its block is what the reference vouches for, and
// whether that block has been reached before.
//
//   TopologyWalk walk(medium.volumes(), medium.reader(), space);
//   if (!walk.init(arena)) ...
//   walk.run(header, visitor);
//
// A reference is told of with enter(); if its block is good, holds references
// and the visitor says kYes, those follow, in the order of their slots; leave()
// is called after them, and for every reference.
//
// Contexts: thread, one at a time; reads block where the device does.
// Ownership: refers to all that it is given. What a visitor is told is valid
//   during the call.
// Bounds: iterative; kMaxDepth levels of blocks in each other. A block of
//   references is read once in each PFS that reaches it, and at most
//   Limits::repeats of such repetitions are made, so that the work is bounded
//   by the distinct references and that limit. 8 MiB of the arena, of which
//   only what the depth takes is touched, and what remembers proven data.
// Failure: none of its own; what can't be read or can't be is told of.
// Origin: hammer2's `show` directive (sbin/hammer2/cmd_debug.c) tells the same
//   of the header in use.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "lib/base/bytes.h"
#include "lib/hammer2/check/arena.h"
#include "lib/hammer2/check/freemap_tree.h"
#include "lib/hammer2/check/seen_set.h"
#include "lib/hammer2/check/space.h"
#include "lib/hammer2/error.h"
#include "lib/hammer2/format/inode.h"
#include "lib/hammer2/format/volume_header.h"
#include "lib/hammer2/validate.h"

namespace odo::hammer2::inspect {

// What is known of a reference's block.
enum class State : std::uint8_t {
  kNoBlock,    // an entry whose name is in the reference
  kNotRead,    // data, where only the topology is asked for
  kGood,       // its check code is right
  kUnchecked,  // it was read, and there is no code to prove it by
  kBad,
};

// Whether the block has been reached before.
enum class Reach : std::uint8_t {
  kFirst,
  kShared,   // by another PFS, or it is data that another file has too
  kAgain,    // in the same tree, which can't be: not followed
  kOverlap,  // parts of it belong to another block
  kUnknown,  // it has no place, or nothing remembers
};

[[nodiscard]] constexpr std::string_view to_string(State state) {
  using std::operator""sv;
  switch (state) {
    case State::kNoBlock:
      return "no block"sv;
    case State::kNotRead:
      return "not read"sv;
    case State::kGood:
      return "good"sv;
    case State::kUnchecked:
      return "unchecked"sv;
    case State::kBad:
      break;
  }
  return "bad"sv;
}

[[nodiscard]] constexpr std::string_view to_string(Reach reach) {
  using std::operator""sv;
  switch (reach) {
    case Reach::kFirst:
      return "first"sv;
    case Reach::kShared:
      return "shared"sv;
    case Reach::kAgain:
      return "again"sv;
    case Reach::kOverlap:
      return "overlap"sv;
    case Reach::kUnknown:
      break;
  }
  return "unknown"sv;
}

struct Visit {
  const format::Blockref& ref;
  unsigned depth = 0;       // 0 in the volume header, or where the walk began
  std::size_t slot = 0;     // in the block that it stands in
  Tree tree = Tree::kNone;  // that it stands in; kNone in the freemap
  bool rooted = false;      // in the tree of a PFS's root
  std::uint64_t inum = Error::kUnknown;  // of the inode whose tree it is
  std::string_view pfs = {};             // label; empty outside any
  State state = State::kNoBlock;
  Reach reach = Reach::kUnknown;
  std::optional<Error> error = {};  // with kBad
  Bytes block = {};  // of inodes, references, freemap and names, unless bad
  Tree below = Tree::kNone;  // what kind of tree an inode has

  [[nodiscard]] bool freemap() const { return tree == Tree::kNone; }
  // Of a directory entry, if it is known.
  [[nodiscard]] std::string_view entry_name() const {
    if (ref.type != format::BlockType::kDirent) return {};
    const std::size_t length = ref.embed.dirent.name_len;
    if (length <= format::kEmbeddedNameBytes) {
      return {ref.check.name.data(), length};
    }
    if (length > block.size() || length > format::kInodeNameBytes) return {};
    return {reinterpret_cast<const char*>(block.data()), length};
  }
  // An inode's fields, if its block is good.
  [[nodiscard]] std::optional<format::InodeMeta> inode() const {
    if (ref.type != format::BlockType::kInode) return std::nullopt;
    return read_struct<format::InodeMeta>(block, 0);
  }
  // An inode's own name: a PFS's label, or one made of the number.
  [[nodiscard]] std::string_view inode_name() const {
    const auto meta = inode();
    if (!meta || meta->name_len > format::kInodeNameBytes) return {};
    return {reinterpret_cast<const char*>(block.data()) +
                offsetof(format::Inode, filename),
            meta->name_len};
  }
};

enum class Follow : std::uint8_t { kYes, kNo };

struct TopologyLimits {
  std::uint64_t repeats = std::uint64_t{1} << 22;
  // Whether data blocks are read, to prove them.
  bool read_data = true;
};

template <class Reader>
class TopologyWalk {
 public:
  static constexpr unsigned kMaxDepth = 128;

  using Volumes = typename Reader::Volumes;

  TopologyWalk(const Volumes& volumes, Reader& reader, audit::SpaceMap& space)
      : volumes_(volumes),
        reader_(reader),
        space_(space),
        freemap_(volumes, reader) {}

  // `arena` is kept, for what remembers proven data.
  [[nodiscard]] bool init(audit::Arena& arena) {
    blocks_ =
        arena.take<std::byte>(std::size_t{kMaxDepth} * format::kMaxAllocBytes);
    scratch_ = arena.take<std::byte>(format::kMaxAllocBytes);
    frames_ = arena.take<Frame>(kMaxDepth);
    if (blocks_.empty() || scratch_.empty() || frames_.empty() ||
        !freemap_.init(arena)) {
      return false;
    }
    proven_.init(arena);
    bad_.init(arena);
    return true;
  }
  void limit(const TopologyLimits& limits) { limits_ = limits; }

  // All below `header`, one whole volume header.
  template <class Visitor>
  void run(Bytes header, Visitor& visitor) {
    using Header = format::VolumeHeader;
    run_blockset(header.subspan(offsetof(Header, sroot_blockset),
                                sizeof(format::Blockset)),
                 visitor);
    run_freemap(header, visitor);
  }

  // The super-root's tree, below a volume header's references.
  template <class Visitor>
  void run_blockset(Bytes blockset, Visitor& visitor) {
    begin();
    const RefArray refs(blockset, format::kBlocksetCount);
    LastKey last;
    format::Blockref ref;
    for (std::size_t i = 0; i < refs.size(); ++i) {
      if (refs.empty(i)) continue;
      const auto bad = validate_ref(refs, i, Tree::kVolume, KeyRange{}, last);
      refs.copy(i, ref);
      enter({.ref = ref, .slot = i, .tree = Tree::kVolume}, bad, visitor);
      drain(visitor);
    }
  }

  template <class Visitor>
  void run_freemap(Bytes header, Visitor& visitor) {
    const RefArray roots(
        header.subspan(offsetof(format::VolumeHeader, freemap_blockset),
                       sizeof(format::Blockset)),
        format::kBlocksetCount);
    freemap_.walk(roots, FreemapTeller<Visitor>{visitor});
  }

  // One inode, reached in a tree of kind `in`, and all below it: with
  // Tree::kSuperRoot the root of a PFS.
  template <class Visitor>
  void run_inode(const format::Blockref& ref, Tree in, Visitor& visitor) {
    begin();
    const format::Blockref copy = ref;
    enter({.ref = copy, .tree = in}, std::nullopt, visitor);
    drain(visitor);
  }

 private:
  using Claim = audit::Claim;

  // A block whose references are being told of.
  struct Frame {
    format::Blockref ref;
    RefArray refs;
    Tree tree;  // that the references stand in
    KeyRange range;
    std::uint64_t inum;
    std::size_t slot;
    std::size_t next;
    LastKey last;
    bool rooted;
    bool begins_pfs;
  };

  template <class Visitor>
  struct FreemapTeller {
    Visitor& visitor;

    void enter(const format::Blockref& ref, const audit::FreemapPlace& place,
               const Result<Bytes>& block) {
      Visit visit = {.ref = ref, .depth = place.depth, .slot = place.slot};
      if (block) {
        visit.state = State::kGood;
        visit.block = *block;
      } else {
        visit.state = State::kBad;
        visit.error = block.error();
      }
      // Five levels at most: always followed.
      (void)visitor.enter(visit);
    }
    void leave(const format::Blockref& ref, const audit::FreemapPlace& place) {
      visitor.leave(ref, place.depth);
    }
  };

  void begin() {
    depth_ = 0;
    label_length_ = 0;
    ++epoch_;
  }
  [[nodiscard]] std::string_view label() const {
    return {label_.data(), label_length_};
  }

  // Tells of all references in the blocks that have been entered.
  template <class Visitor>
  void drain(Visitor& visitor) {
    format::Blockref ref;
    while (depth_ > 0) {
      Frame& top = frames_[depth_ - 1];
      const std::size_t i = top.refs.next_used(top.next, top.refs.size());
      if (i == top.refs.size()) {
        --depth_;
        visitor.leave(top.ref, depth_);
        if (top.begins_pfs) label_length_ = 0;
        continue;
      }
      top.next = i + 1;
      const auto bad = validate_ref(top.refs, i, top.tree, top.range, top.last);
      top.refs.copy(i, ref);
      enter({.ref = ref,
             .depth = depth_,
             .slot = i,
             .tree = top.tree,
             .rooted = top.rooted,
             .inum = top.inum},
            bad, visitor);
    }
  }

  // Tells of one reference, and makes a frame for what it leads to.
  template <class Visitor>
  void enter(Visit visit, std::optional<Code> misplaced, Visitor& visitor) {
    const format::Blockref& ref = visit.ref;
    const bool container = ref.type == format::BlockType::kInode ||
                           ref.type == format::BlockType::kIndirect;
    const bool begins_pfs =
        visit.tree == Tree::kSuperRoot && ref.type == format::BlockType::kInode;
    if (begins_pfs) ++epoch_;
    // As deep as this, a block has no frame.
    const MutableBytes place =
        container && depth_ < kMaxDepth
            ? blocks_.subspan(depth_ * std::size_t{format::kMaxAllocBytes},
                              format::kMaxAllocBytes)
            : scratch_;
    if (misplaced) {
      visit.state = State::kBad;
      visit.error = error_at(*misplaced, ref, visit.inum);
    } else {
      look(visit, place);
    }
    if (begins_pfs && visit.state != State::kBad) take_label(visit);
    visit.pfs = label();
    const bool open = container && visit.state != State::kBad &&
                      visit.reach != Reach::kAgain &&
                      (ref.type == format::BlockType::kIndirect ||
                       visit.below != Tree::kNone);
    if (visitor.enter(visit) == Follow::kNo || !open) {
      visitor.leave(ref, visit.depth);
      if (begins_pfs) label_length_ = 0;
      return;
    }
    push(visit, begins_pfs);
  }

  void push(const Visit& visit, bool begins_pfs) {
    const bool inode = visit.ref.type == format::BlockType::kInode;
    const Bytes refs = inode ? inode_refs(visit.block) : visit.block;
    const auto meta = visit.inode();
    frames_[depth_++] = {
        .ref = visit.ref,
        .refs = RefArray(refs, refs.size() / sizeof(format::Blockref)),
        .tree = inode ? visit.below : visit.tree,
        .range = inode ? KeyRange{} : range_of(visit.ref),
        .inum = meta ? meta->inum : visit.inum,
        .slot = visit.slot,
        .next = 0,
        .last = {},
        .rooted = inode ? begins_pfs : visit.rooted,
        .begins_pfs = begins_pfs};
  }

  // Finds out about a reference that may stand where it does.
  void look(Visit& visit, MutableBytes to) {
    const format::Blockref& ref = visit.ref;
    if (ref.type == format::BlockType::kDirent &&
        ref.embed.dirent.name_len <= format::kEmbeddedNameBytes) {
      return;  // kNoBlock
    }
    const auto bad = [&](const Error& error) {
      visit.state = State::kBad;
      visit.error = error;
    };
    const auto volume = volumes_.locate(ref, visit.inum);
    if (!volume) return bad(volume.error());
    if (depth_ >= kMaxDepth) {
      return bad(error_at(Code::kTooDeep, ref, visit.inum));
    }
    visit.reach = reach(visit);
    const bool data = ref.type == format::BlockType::kData;
    if (visit.reach == Reach::kAgain || (data && !limits_.read_data)) {
      visit.state = State::kNotRead;
      return;
    }
    if (visit.reach != Reach::kFirst && !may_repeat(data, ref)) {
      visit.state = State::kNotRead;
      if (!data) visit.reach = Reach::kAgain;
      return;
    }
    if (data && !proven_.insert(ref)) {
      if (bad_.contains(ref, 0)) {
        return bad(error_at(Code::kCheckMismatch, ref, visit.inum));
      }
    } else if (const auto read = reader_.read_one(ref, **volume, to); !read) {
      if (data) bad_.insert(ref);
      Error error = read.error();
      error.inum = visit.inum;
      return bad(error);
    }
    const format::CheckMethod method = format::check_method(ref.methods);
    visit.state = method == format::CheckMethod::kNone ||
                          method == format::CheckMethod::kDisabled
                      ? State::kUnchecked
                      : State::kGood;
    if (data) return;
    visit.block = to.first(std::size_t{1} << ref.radix());
    if (ref.type != format::BlockType::kInode) return;
    const auto below = validate_inode_fields(
        visit.block,
        visit.tree == Tree::kVolume ? visit.tree : Tree::kDirectory, ref,
        visit.inum);
    if (!below) return bad(below.error());
    visit.below = *below;
  }

  // Claims the block.
  [[nodiscard]] Reach reach(const Visit& visit) {
    const format::Blockref& ref = visit.ref;
    const bool data = ref.type == format::BlockType::kData;
    const Claim claim = space_.claim(
        ref.offset(), ref.radix(),
        data ? audit::Content::kData : audit::Content::kMeta, true);
    if (!data && claim != Claim::kNoMemory &&
        !space_.first_in(epoch_, ref.offset())) {
      return Reach::kAgain;
    }
    switch (claim) {
      case Claim::kNew:
        return Reach::kFirst;
      case Claim::kShared:
        return Reach::kShared;
      case Claim::kOverlap:
        return Reach::kOverlap;
      case Claim::kNoMemory:
        break;
    }
    return Reach::kUnknown;
  }

  // Data that are remembered aren't read again.
  [[nodiscard]] bool may_repeat(bool data, const format::Blockref& ref) {
    if (data && !proven_.full() && proven_.contains(ref, 0)) return true;
    if (repeats_ >= limits_.repeats) return false;
    ++repeats_;
    return true;
  }

  void take_label(const Visit& visit) {
    const std::string_view name = visit.inode_name();
    label_length_ = name.size();
    for (std::size_t i = 0; i < name.size(); ++i) label_[i] = name[i];
  }

  const Volumes& volumes_;
  Reader& reader_;
  audit::SpaceMap& space_;
  audit::FreemapTree<Reader> freemap_;
  audit::SeenSet proven_;  // data that have been read
  audit::SeenSet bad_;     // of these, the bad ones
  TopologyLimits limits_;
  MutableBytes blocks_;   // one for each frame
  MutableBytes scratch_;  // for what has no frame
  std::span<Frame> frames_;
  unsigned depth_ = 0;
  std::uint32_t epoch_ = 0;  // number of the tree
  std::uint64_t repeats_ = 0;
  std::array<char, format::kInodeNameBytes> label_ = {};
  std::size_t label_length_ = 0;
};

}  // namespace odo::hammer2::inspect
