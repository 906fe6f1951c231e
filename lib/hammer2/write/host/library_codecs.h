// SPDX-License-Identifier: BSD-3-Clause
// liblz4 and libdeflate for a hosted system's write path. Not the same bytes
// with every version of them; docs/decisions/0018 has how fast they are.
//
// Contexts: thread, one call at a time for each object.
// Bounds: 16 KiB, and about 1 MiB for each zlib level that is asked for.
// Failure: a level for which there is no memory compresses nothing.
#pragma once

#include <libdeflate.h>
#include <lz4.h>

#include <array>
#include <cstddef>
#include <memory>
#include <new>

#include "lib/base/bytes.h"
#include "lib/hammer2/error.h"
#include "lib/hammer2/write/memory.h"

namespace odo::hammer2::write {

class LibraryCodecs {
 public:
  template <class G>
  [[nodiscard]] Result<void> init(G& /*ground*/) {
    lz4_.reset(new (std::nothrow) LZ4_stream_t);
    if (lz4_ == nullptr) return fail(no_memory(sizeof(LZ4_stream_t)));
    return {};
  }
  void clear() {
    lz4_.reset();
    for (auto& level : zlib_) level.reset();
  }

  [[nodiscard]] std::size_t lz4(Bytes from, MutableBytes to) {
    constexpr int kUsualSpeed = 1;
    const int size = LZ4_compress_fast_extState(
        lz4_.get(), reinterpret_cast<const char*>(from.data()),
        reinterpret_cast<char*>(to.data()), static_cast<int>(from.size()),
        static_cast<int>(to.size()), kUsualSpeed);
    return static_cast<std::size_t>(size);
  }

  [[nodiscard]] std::size_t zlib(Bytes from, MutableBytes to, unsigned level) {
    std::unique_ptr<libdeflate_compressor, Free>& at = zlib_[level];
    if (at == nullptr) {
      at.reset(libdeflate_alloc_compressor(static_cast<int>(level)));
    }
    if (at == nullptr) return 0;
    return libdeflate_zlib_compress(at.get(), from.data(), from.size(),
                                    to.data(), to.size());
  }

 private:
  struct Free {
    void operator()(libdeflate_compressor* level) const {
      libdeflate_free_compressor(level);
    }
  };

  static constexpr std::size_t kLevels = 10;

  std::unique_ptr<LZ4_stream_t> lz4_;
  std::array<std::unique_ptr<libdeflate_compressor, Free>, kLevels> zlib_;
};

}  // namespace odo::hammer2::write
