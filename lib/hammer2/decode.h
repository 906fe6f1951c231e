// SPDX-License-Identifier: BSD-3-Clause
// Decompression of a data block.
//
// Contexts: any; the workspace serves one call at a time.
// Ownership: the workspace is the caller's memory.
// Failure: a Code; the output is unspecified then.
// Origin: hammer2_strategy.c, hammer2_decompress_LZ4_callback() (four bytes of
// payload size, the payload, zeros) and hammer2_decompress_ZLIB_callback() (a
// whole zlib stream, zeros).
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>

#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/codec/lz4.h"
#include "lib/codec/zlib.h"
#include "lib/hammer2/error.h"
#include "lib/hammer2/format/constants.h"

namespace odo::hammer2 {

class Decoder {
 public:
  // Room for the workspace at any alignment of the memory.
  static constexpr std::size_t kWorkspaceBytes =
      sizeof(codec::InflateWorkspace) + alignof(codec::InflateWorkspace);

  void use(MutableBytes memory) {
    ODO_CHECK(memory.size() >= kWorkspaceBytes);
    const auto address = reinterpret_cast<std::uintptr_t>(memory.data());
    const std::size_t skip =
        align_up(address, std::uintptr_t{alignof(codec::InflateWorkspace)}) -
        address;
    zlib_ = ::new (memory.data() + skip) codec::InflateWorkspace;
  }

  // Decompresses all of `raw`, a block as on media, into `to`, whose rest is
  // zeroed. nullopt where that went well.
  [[nodiscard]] std::optional<Code> decode(format::CompMethod method, Bytes raw,
                                           MutableBytes to) {
    codec::Result<std::size_t> size = std::size_t{0};
    switch (method) {
      case format::CompMethod::kLz4: {
        const auto length = read_le<std::uint32_t>(raw, 0);
        if (!length || *length > raw.size() - format::kLz4SizeBytes) {
          return Code::kBadCompression;
        }
        size = codec::lz4_decompress(
            raw.subspan(format::kLz4SizeBytes, *length), to);
        break;
      }
      case format::CompMethod::kZlib:
        if (const auto inflated = codec::zlib_decompress(raw, to, *zlib_)) {
          size = inflated->written;
        } else {
          size = fail(inflated.error());
        }
        break;
      default:
        return Code::kBadCompMethod;
    }
    if (!size) return Code::kBadCompression;
    zero_bytes(to.subspan(*size));
    return std::nullopt;
  }

 private:
  codec::InflateWorkspace* zlib_ = nullptr;
};

}  // namespace odo::hammer2
