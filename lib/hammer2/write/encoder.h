// SPDX-License-Identifier: BSD-3-Clause
// File data as they go to the medium: compressed where that is worth it, padded
// to a power of two, with their check code.
//
// Contexts: thread, one call at a time for each Encoder; no I/O. Several
//   threads may prepare blocks for one volume, each with an Encoder.
// Bounds: the codecs' workspaces, from the ground.
// Complexity: linear in the block.
// Origin: hammer2_strategy.c (what precedes LZ4 data, limits, zero blocks).
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "lib/base/bytes.h"
#include "lib/check/checks.h"
#include "lib/hammer2/format/constants.h"
#include "lib/hammer2/format/inode.h"
#include "lib/hammer2/seal.h"
#include "lib/hammer2/write/codecs.h"

namespace odo::hammer2::write {

// Bytes of the smallest block that holds `length`, which is 64 KiB at most.
[[nodiscard]] constexpr std::uint32_t data_block_bytes(std::uint64_t length) {
  return std::max(format::kMinAllocBytes,
                  std::bit_ceil(static_cast<std::uint32_t>(length)));
}

// How an inode wants its data stored.
struct DataMethods {
  format::CompMethod comp = format::CompMethod::kNone;
  unsigned level = 0;  // 0: the method's usual one
  format::CheckMethod check = format::CheckMethod::kXxhash64;
  // LZ4 where it is the smallest, and zlib where that halves the block once
  // more: for images that are read more often than made. Only with kLz4.
  bool dense = false;

  [[nodiscard]] static DataMethods of(const format::InodeMeta& meta) {
    return {.comp = static_cast<format::CompMethod>(meta.comp_algo & 15),
            .level = static_cast<unsigned>(meta.comp_algo >> 4),
            .check = static_cast<format::CheckMethod>(meta.check_algo & 15)};
  }
};

// A block without a place yet.
struct PreparedBlock {
  format::Blockref ref = {};  // type, methods, key bits and check code
  Bytes bytes = {};           // of a power of two; empty: a hole
};

template <class G>
requires DataCodecs<CodecsOf<G>, G>
class Encoder {
 public:
  explicit Encoder(check::Checks checks) : checks_(checks) {}

  [[nodiscard]] Result<void> init(G& ground) { return codecs_.init(ground); }
  void clear() { codecs_.clear(); }

  // `content` is of a power of two from 1 to 64 KiB, zero behind the file's
  // end; `room` is for what it is compressed to, half as much at least. The
  // result refers to one of them.
  [[nodiscard]] PreparedBlock prepare(const DataMethods& methods, Bytes content,
                                      MutableBytes room) {
    PreparedBlock block;
    block.ref.type = format::BlockType::kData;
    block.ref.keybits = format::kLogicalRadix;
    if (methods.comp != format::CompMethod::kNone && all_zero(content)) {
      return block;
    }
    const Packed packed = pack(methods, content, room);
    block.bytes = content;
    if (packed.method != format::CompMethod::kNone) {
      const std::uint32_t size = data_block_bytes(packed.bytes);
      zero_bytes(room.subspan(packed.bytes, size - packed.bytes));
      block.bytes = Bytes(room).first(size);
    }
    block.ref.methods = format::encode_methods(methods.check, packed.method);
    seal(block.ref, block.bytes, checks_);
    return block;
  }

 private:
  struct Packed {
    format::CompMethod method = format::CompMethod::kNone;
    std::size_t bytes = 0;  // of `room`
  };

  [[nodiscard]] Packed pack(const DataMethods& methods, Bytes content,
                            MutableBytes room) {
    using enum format::CompMethod;
    // More than half of it isn't worth unpacking, and less than the smallest
    // block can't be had.
    const std::size_t half = content.size() / 2;
    if (half < format::kMinAllocBytes) return {};
    const auto once = [&](format::CompMethod method, unsigned level,
                          std::size_t most) {
      return encode(method, level, content, room.first(most));
    };
    const std::size_t packed = once(methods.comp, methods.level, half);
    if (methods.dense && methods.comp == kLz4) {
      const std::size_t most =
          packed == 0 ? half : data_block_bytes(packed) / 2;
      if (most >= format::kMinAllocBytes && packed <= most / 3 * 4) {
        const std::size_t denser = once(kZlib, kDenseLevel, most);
        if (denser != 0) return {kZlib, denser};
        // That went over it, and it is cheaper to make anew than to keep.
        if (packed != 0) return {kLz4, once(kLz4, methods.level, half)};
      }
    }
    return packed == 0 ? Packed() : Packed{methods.comp, packed};
  }

  // 0 if it doesn't fit, or for a method that doesn't compress.
  [[nodiscard]] std::size_t encode(format::CompMethod method, unsigned level,
                                   Bytes content, MutableBytes to) {
    switch (method) {
      case format::CompMethod::kLz4: {
        // The length before it, and as much room again, as others have it.
        constexpr std::size_t kAround = std::size_t{2} * format::kLz4SizeBytes;
        const std::size_t size = codecs_.lz4(
            content, to.subspan(format::kLz4SizeBytes, to.size() - kAround));
        if (size == 0) return 0;
        store_le(to.data(), static_cast<std::uint32_t>(size));
        return format::kLz4SizeBytes + size;
      }
      case format::CompMethod::kZlib:
        return codecs_.zlib(
            content, to, std::min(level == 0 ? kUsualLevel : level, kMaxLevel));
      default:
        return 0;
    }
  }

  static constexpr unsigned kUsualLevel = 6;
  // Blocks are of powers of two, so that the last percents of a higher level
  // rarely make one smaller. What LZ4 leaves shrinks by a quarter, mostly.
  static constexpr unsigned kDenseLevel = 1;
  static constexpr unsigned kMaxLevel = 9;  // an inode has room for 15

  check::Checks checks_;
  CodecsOf<G> codecs_;
};

}  // namespace odo::hammer2::write
