// SPDX-License-Identifier: BSD-3-Clause
// The bits of a DEFLATE stream to be written, the lowest of each byte first.
//
// `bits` holds the `held` bits that no byte was written of yet; above them are
// zeros.
//
// Contexts: any. A plain value: loops copy it into registers and back.
// Failure: none; the caller knows that the room suffices.
// Origin: RFC 1951 section 3.1.1.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/base/annotations.h"
#include "lib/base/bytes.h"
#include "lib/base/check.h"

namespace odo::codec::detail {

struct BitWriter {
  std::byte* out;
  std::byte* end;
  std::uint64_t bits = 0;
  unsigned held = 0;

  // After a flush, kMost bits fit at least.
  static constexpr unsigned kMost = 56;

  // The `count` bits of `value`, which has no others.
  ODO_ALWAYS_INLINE void put(std::uint64_t value, unsigned count) {
    bits |= value << held;
    held += count;
    ODO_ASSERT(held < 64);
  }

  // Writes the whole bytes among the bits held.
  ODO_ALWAYS_INLINE void flush() {
    if (static_cast<std::size_t>(end - out) >= 8) [[likely]] {
      store_le(out, bits);
      out += held / 8;
      bits >>= held & ~7u;
      held &= 7;
      return;
    }
    for (; held >= 8; held -= 8) put_byte();
  }

  // The rest as well, filled up with zeros to a whole byte.
  void finish_byte() {
    flush();
    if (held == 0) return;
    put_byte();
    held = 0;
  }

 private:
  ODO_ALWAYS_INLINE void put_byte() {
    ODO_ASSERT(out != end);
    *out++ = static_cast<std::byte>(bits & 0xff);
    bits >>= 8;
  }
};

}  // namespace odo::codec::detail
