// SPDX-License-Identifier: BSD-3-Clause
// Blocks by reference: proven, decompressed, validated, cached.
//
// Contexts: thread, one at a time; fetch() may block where the device does.
// Invariants:
//   B1. nothing enters the cache whose check code was wrong, whose reference
//       pointed outside the space for blocks, or whose content failed
//       validation for the kind of tree it was reached in.
// Cache: one of the store's own, in the memory given to open(); or, where
//   `Cache` is a reference, one that stores of other threads use too.
// Ownership: refers to devices and memory given to open(), and to a shared
//   cache, which holds blocks of these devices alone.
// Failure: hammer2::Error naming the block; nothing is cached then.
// Complexity: a fetch that misses reads the device once: whole 16 KiB clusters
//   for small blocks, whose neighbours tend to be wanted next, falling back to
//   the least cover of the block where the cluster can't be read.
// Origin: hammer2_chain.c, hammer2_chain_load_data(); hammer2_io.c (clusters);
//   hammer2_strategy.c (decompression).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/block/device.h"
#include "lib/hammer2/block_cache.h"
#include "lib/hammer2/check_codes.h"
#include "lib/hammer2/decode.h"
#include "lib/hammer2/error.h"
#include "lib/hammer2/format/inode.h"
#include "lib/hammer2/validate.h"
#include "lib/hammer2/volume_set.h"

namespace odo::hammer2 {

template <block::BlockDevice Device, CheckPolicy Checks,
          class Cache = BlockCache>
requires BlockCaching<std::remove_reference_t<Cache>>
class BlockStore {
  static constexpr bool kOwnsCache = !std::is_reference_v<Cache>;
  using CacheType = std::remove_reference_t<Cache>;

 public:
  using Pin = typename CacheType::Pin;

  static constexpr std::size_t kMinMemoryBytes = [] {
    std::size_t bytes = format::kMaxAllocBytes + Decoder::kWorkspaceBytes;
    if constexpr (kOwnsCache) bytes += Cache::bytes_for(Cache::kMinFrames);
    return bytes;
  }();

  explicit BlockStore(Checks checks)
  requires kOwnsCache
      : checks_(checks) {}
  BlockStore(Checks checks, CacheType& cache)
  requires(!kOwnsCache)
      : checks_(checks), cache_(cache) {}

  [[nodiscard]] Result<void> open(std::span<Device* const> devices,
                                  MutableBytes memory) {
    if (memory.size() < kMinMemoryBytes) {
      Error error{.code = Code::kNoMemory};
      error.found = memory.size();
      error.expected = kMinMemoryBytes;
      return fail(error);
    }
    raw_ = memory.first(format::kMaxAllocBytes);
    raw_length_ = 0;
    memory = memory.subspan(raw_.size());
    decoder_.use(memory.first(Decoder::kWorkspaceBytes));
    memory = memory.subspan(Decoder::kWorkspaceBytes);
    if constexpr (kOwnsCache) ODO_CHECK(cache_.init(memory));
    return volumes_.open(devices, checks_, raw_);
  }

  [[nodiscard]] const VolumeInfo& info() const { return volumes_.info(); }
  // The reference to the super-root's inode, reached in Tree::kVolume.
  [[nodiscard]] const format::Blockref& super_root() const {
    return volumes_.super_root();
  }
  [[nodiscard]] std::size_t cache_frames() const { return cache_.frames(); }
  [[nodiscard]] const VolumeSet<Device>& volumes() const { return volumes_; }

  // For who writes to the devices: what was read around the last block may not
  // serve the next, and neither may what is cached of blocks whose check code
  // doesn't tell them from others that were in their place.
  void note_write() {
    raw_length_ = 0;
    ++writes_;
  }

  // What the cache knows that block by.
  [[nodiscard]] BlockId identify(const format::Blockref& ref, Tree tree) const {
    BlockId id;
    id.data_off = ref.data_off;
    // Identical data may be shared under different keys.
    id.key = ref.type == format::BlockType::kData ? 0 : ref.key;
    copy_bytes(id.check, Bytes(ref.check.bytes).first(id.check.size()));
    if (!has_telling_code(ref)) {
      store_le(id.check.data() + (id.check.size() - sizeof(writes_)), writes_);
    }
    id.type = ref.type;
    id.methods = ref.methods;
    id.keybits = ref.keybits;
    id.tree = static_cast<std::uint8_t>(tree);
    return id;
  }

  // The block that `ref` refers to, which stands in a tree of kind `tree`. For
  // an indirect block, `range` is what it covers. A data block comes
  // decompressed, of up to 2^keybits bytes; what is missing reads as zeros.
  // `inum` is for errors.
  [[nodiscard]] Result<Pin> fetch(const format::Blockref& ref, Tree tree,
                                  const KeyRange& range, std::uint64_t inum) {
    const BlockId id = identify(ref, tree);
    if (Pin pin = cache_.find(id); pin.held()) return pin;
    ODO_TRY(const Volume* volume, volumes_.locate(ref, inum));
    ODO_TRY(const unsigned radix, cached_radix(ref, inum));
    const typename CacheType::Room room = cache_.reserve(id, radix);
    if (!room.held()) {
      Error error{.code = Code::kNoMemory};
      error.found = cache_.frames() * cache::kFrameBytes;
      error.expected = error.found + cache::kFrameBytes;
      return fail(error);
    }
    const Result<std::uint32_t> count =
        load(ref, tree, range, *volume, inum, room.space());
    if (!count) {
      cache_.discard(room, id);
      return fail(count.error());
    }
    return cache_.publish(room, id, *count);
  }

  // All that a file's block holds, put into `to`, which has room for the keys
  // that `ref` covers. A block that isn't cached is read and decompressed right
  // there and stays out of the cache: who takes whole blocks has a place for
  // them, and a long file would only drive out what others look for.
  [[nodiscard]] Result<void> fetch_into(const format::Blockref& ref,
                                        std::uint64_t inum, MutableBytes to) {
    ODO_TRY(const unsigned radix, cached_radix(ref, inum));
    const std::size_t held = std::size_t{1} << radix;
    ODO_ASSERT(held <= to.size());
    const BlockId id = identify(ref, Tree::kFile);
    if (const Pin pin = cache_.find(id); pin.held()) {
      copy_bytes(to, pin.bytes());
    } else {
      ODO_TRY(const Volume* volume, volumes_.locate(ref, inum));
      ODO_TRY_VOID(
          load(ref, Tree::kFile, KeyRange{}, *volume, inum, to.first(held)));
    }
    zero_bytes(to.subspan(held));
    return {};
  }

  // Tells `hints` of a block that fetch() will want, unless it is there already
  // or can't be right.
  template <class Hints>
  void will_fetch(const format::Blockref& ref, Tree tree, Hints& hints) {
    if (cache_.find(identify(ref, tree)).held()) return;
    const Result<const Volume*> volume = volumes_.locate(ref, Error::kUnknown);
    if (!volume) return;
    hints.add(*(*volume)->device, ref.offset() - (*volume)->offset,
              std::uint64_t{1} << ref.radix());
  }

  // The kind of tree below a fetched inode that was reached in `in`.
  [[nodiscard]] static Tree tree_below(Tree in, const Pin& inode) {
    const Bytes bytes = inode.bytes();
    return hammer2::tree_below(
        in,
        static_cast<format::ObjectType>(
            bytes[offsetof(format::InodeMeta, type)]),
        std::to_integer<std::uint8_t>(
            bytes[offsetof(format::InodeMeta, op_flags)]));
  }

 private:
  using Volume = typename VolumeSet<Device>::Volume;

  static constexpr std::uint64_t kClusterBytes = 16384;

  [[nodiscard]] static bool has_telling_code(const format::Blockref& ref) {
    const format::CheckMethod method = format::check_method(ref.methods);
    return method == format::CheckMethod::kXxhash64 ||
           method == format::CheckMethod::kSha192;
  }

  [[nodiscard]] static bool is_compressed(const format::Blockref& ref) {
    return ref.type == format::BlockType::kData &&
           format::comp_method(ref.methods) > format::CompMethod::kAutozero;
  }

  // log2 of the room that the block takes when ready for use.
  [[nodiscard]] static Result<unsigned> cached_radix(
      const format::Blockref& ref, std::uint64_t inum) {
    if (ref.type != format::BlockType::kData) return ref.radix();
    if (ref.radix() > ref.keybits) {
      return fail(error_at(Code::kBadBlockSize, ref, inum));
    }
    return is_compressed(ref) ? ref.keybits : ref.radix();
  }

  [[nodiscard]] Result<std::uint32_t> load(const format::Blockref& ref,
                                           Tree tree, const KeyRange& range,
                                           const Volume& volume,
                                           std::uint64_t inum,
                                           MutableBytes to) {
    if (is_compressed(ref)) {
      ODO_TRY(const Bytes raw, read_raw(ref, volume, inum));
      ODO_TRY_VOID(verify(ref, raw, inum));
      if (const auto code =
              decoder_.decode(format::comp_method(ref.methods), raw, to)) {
        return fail(error_at(*code, ref, inum));
      }
      return 0U;
    }
    ODO_TRY_VOID(read_into(ref, volume, inum, to));
    ODO_TRY_VOID(verify(ref, to, inum));
    switch (ref.type) {
      case format::BlockType::kInode:
        return validate_inode(to, tree, ref, inum);
      case format::BlockType::kIndirect:
        return validate_refs(to, tree, range, ref, inum);
      default:
        return 0U;
    }
  }

  [[nodiscard]] Result<void> verify(const format::Blockref& ref, Bytes block,
                                    std::uint64_t inum) const {
    switch (checks_.block(ref, block)) {
      case Verdict::kMatch:
        return {};
      case Verdict::kMismatch:
        return fail(error_at(Code::kCheckMismatch, ref, inum));
      case Verdict::kUnknownMethod:
        break;
    }
    return fail(error_at(Code::kBadCheckMethod, ref, inum));
  }

  // Large blocks go straight to their place where the device's blocks allow.
  [[nodiscard]] Result<void> read_into(const format::Blockref& ref,
                                       const Volume& volume, std::uint64_t inum,
                                       MutableBytes to) {
    const std::uint64_t inside = ref.offset() - volume.offset;
    if (to.size() >= kClusterBytes &&
        is_aligned(inside, volume.device->block_bytes())) {
      if (const auto read = volume.device->read(inside, to); !read) {
        return fail(device_error(ref, volume, inum, read.error()));
      }
      return {};
    }
    ODO_TRY(const Bytes raw, read_raw(ref, volume, inum));
    copy_bytes(to, raw);
    return {};
  }

  // The block's bytes as on media, in raw_ until the next call. What was read
  // around the block stays there and serves the next call if it can. Around a
  // block that is far from the last it is not worth its copy: inodes in the
  // order of their names lie anywhere.
  [[nodiscard]] Result<Bytes> read_raw(const format::Blockref& ref,
                                       const Volume& volume,
                                       std::uint64_t inum) {
    const std::uint64_t offset = ref.offset();
    const std::uint64_t bytes = std::uint64_t{1} << ref.radix();
    if (offset < raw_offset_ ||
        !range_inside(offset - raw_offset_, bytes, raw_length_)) {
      const std::uint64_t cluster = align_down(offset, kClusterBytes);
      const bool is_near = cluster - last_cluster_ <= kClusterBytes;
      last_cluster_ = cluster;
      // A block lies in one 64 KiB buffer and a volume is made of whole ones,
      // so that neither cover leaves raw_ or the volume.
      const auto read_around = [&](std::uint64_t granule) {
        const std::uint64_t begin = align_down(offset, granule);
        const std::uint64_t end = align_up(offset + bytes, granule);
        raw_length_ = 0;
        const block::Result<void> read =
            volume.device->read(begin - volume.offset, raw_.first(end - begin));
        if (read) {
          raw_offset_ = begin;
          raw_length_ = end - begin;
        }
        return read;
      };
      const std::uint64_t alone = volume.device->block_bytes();
      block::Result<void> read = read_around(is_near ? kClusterBytes : alone);
      if (!read && is_near) read = read_around(alone);
      if (!read) return fail(device_error(ref, volume, inum, read.error()));
    }
    return Bytes(raw_).subspan(offset - raw_offset_, bytes);
  }

  [[nodiscard]] Error device_error(const format::Blockref& ref,
                                   const Volume& volume, std::uint64_t inum,
                                   block::Error cause) const {
    Error error = error_at(Code::kDeviceError, ref, inum);
    error.device = cause;
    error.volume = volumes_.index_of(volume);
    return error;
  }

  [[no_unique_address]] Checks checks_;
  VolumeSet<Device> volumes_;
  Cache cache_;
  Decoder decoder_;
  MutableBytes raw_;              // kMaxAllocBytes
  std::uint64_t raw_offset_ = 0;  // of what raw_ holds, all volumes' space
  std::uint64_t raw_length_ = 0;
  std::uint64_t last_cluster_ = 0;  // the one that was read from last
  std::uint64_t writes_ = 0;        // that it was told of
};

}  // namespace odo::hammer2
