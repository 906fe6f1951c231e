// SPDX-License-Identifier: BSD-3-Clause
// What compresses blocks of file data: a policy of the ground, which may have
// libraries to do it. A ground that names no Codecs gets this project's.
//
// Contexts: thread, one call at a time for each object; no I/O.
// Failure: init() says when there is no memory. What doesn't fit, or couldn't
//   be compressed for want of anything, is 0 bytes; the block is then stored as
//   it is.
#pragma once

#include <concepts>
#include <cstddef>

#include "lib/base/bytes.h"
#include "lib/codec/lz4_encode.h"
#include "lib/codec/zlib_encode.h"
#include "lib/hammer2/error.h"
#include "lib/hammer2/write/memory.h"

namespace odo::hammer2::write {

template <class C, class G>
concept DataCodecs =
    requires(C& codecs, G& ground, Bytes from, MutableBytes to, unsigned n) {
      { codecs.init(ground) } -> std::same_as<Result<void>>;
      { codecs.clear() } -> std::same_as<void>;
      // Bytes of `to` that are an LZ4 block, or a zlib stream of level `n` from
      // 1 to 9, of all of `from`, which is 64 KiB at most.
      { codecs.lz4(from, to) } -> std::same_as<std::size_t>;
      { codecs.zlib(from, to, n) } -> std::same_as<std::size_t>;
    };

// The project's own, freestanding: the same bytes on any machine.
template <class G>
class OwnCodecs {
 public:
  [[nodiscard]] Result<void> init(G& ground) {
    ODO_TRY_VOID(lz4_.init(ground, 1));
    return zlib_.init(ground, 1);
  }
  void clear() {
    lz4_.clear();
    zlib_.clear();
  }
  [[nodiscard]] std::size_t lz4(Bytes from, MutableBytes to) {
    return codec::lz4_compress(from, to, lz4_[0]).value_or(0);
  }
  [[nodiscard]] std::size_t zlib(Bytes from, MutableBytes to, unsigned level) {
    return codec::zlib_compress(from, to, level, zlib_[0]).value_or(0);
  }

 private:
  Array<G, codec::Lz4Workspace> lz4_;
  Array<G, codec::DeflateWorkspace> zlib_;
};

namespace detail {

template <class G>
struct CodecsOf {
  using Type = OwnCodecs<G>;
};
template <class G>
requires requires { typename G::Codecs; }
struct CodecsOf<G> {
  using Type = typename G::Codecs;
};

}  // namespace detail

template <class G>
using CodecsOf = typename detail::CodecsOf<G>::Type;

}  // namespace odo::hammer2::write
