// SPDX-License-Identifier: BSD-3-Clause
// LZ4 block compression of up to 64 KiB, into an output that may be too small.
//
//   codec::Lz4Workspace workspace;                // or a static one per lane
//   const auto size = codec::lz4_compress(data, out.first(most), workspace);
//   // none: it isn't worth it; store the data as they are.
//
// Shapes: one raw block without a frame, as lz4.h reads it.
// Contexts: any. About 200 bytes of stack.
// Sizes: the workspace is 16 KiB, needs no initialization and keeps nothing
//   between calls, so that the same data always make the same block; one call
//   at a time uses it.
// Ownership: writes only inside `out` and the workspace. Bytes of `out` past
//   the result may be overwritten. The spans may not overlap.
// Failure: none exactly if the block is longer than `out`, found out as soon as
//   the literals that wait can't fit any more; none as well for data longer
//   than kLz4LongestInput.
// Cost: linear at worst. Clears two bytes of workspace per byte of data, 16 KiB
//   at most. Where no matches are found it looks ever more rarely: a block of
//   noise costs hundredths of one of text.
// Origin: the LZ4 Block Format Description (lz4_Block_format.md, Yann Collet),
//   with its end-of-block conditions. The search is greedy, through one hash
//   table without chains.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "lib/base/annotations.h"
#include "lib/base/bytes.h"
#include "lib/codec/match_copy.h"

namespace odo::codec {

// Every place and every distance within it has 16 bits.
inline constexpr std::size_t kLz4LongestInput = 65536;

namespace detail {
inline constexpr std::size_t kLz4Slots = 8192;
}

// The hash table of one call.
class Lz4Workspace {
 private:
  friend std::optional<std::size_t> lz4_compress(Bytes data, MutableBytes out,
                                                 Lz4Workspace& workspace);
  std::array<std::uint16_t, detail::kLz4Slots> slots_;
};

namespace detail {

class Lz4Encoder {
 public:
  Lz4Encoder(Bytes data, MutableBytes out,
             std::array<std::uint16_t, kLz4Slots>& slots)
      : in_(data.data()),
        size_(data.size()),
        slots_(slots.data()),
        out_begin_(out.data()),
        out_(out_begin_),
        out_end_(out_begin_ + out.size()) {}

  [[nodiscard]] std::optional<std::size_t> run() {
    if (size_ > kLz4LongestInput) return std::nullopt;
    if (size_ > kStartMargin) {
      const Outcome outcome =
          size_ > kFewBytes ? sequences<5, kLz4Slots>() : sequences<4, 0>();
      if (outcome == Outcome::kNoRoom) return std::nullopt;
    }
    return last_literals();
  }

 private:
  enum class Outcome : std::uint8_t { kAtEnd, kNoRoom };

  static constexpr std::size_t kLongLength = 15;  // more length bytes follow
  static constexpr std::size_t kMinMatch = 4;
  static constexpr std::size_t kLastLiterals = 5;
  // How far before the end the last match may start: the format asks for 12
  // bytes; these let the first word after the least match end before the last
  // literals, and 16 literals be copied loosely.
  static constexpr std::size_t kStartMargin = kMinMatch + 8 + kLastLiterals;
  static_assert(kStartMargin >= 16);
  // Up to here, matches of four bytes save more than the time that they take;
  // in longer data, the table serves better for what is longer.
  static constexpr std::size_t kFewBytes = 12288;
  // A match is continued backwards this far only, so that waiting literals are
  // known to stay when the search is this far past them.
  static constexpr std::size_t kMostBack = 256;
  // A sequence of a token, 16 literals copied for at most 14, and a distance.
  static constexpr std::size_t kShortSequence = 1 + 16;

  [[nodiscard]] static std::size_t between(const std::byte* a,
                                           const std::byte* b) {
    return static_cast<std::size_t>(b - a);
  }
  [[nodiscard]] ODO_ALWAYS_INLINE static std::uint64_t word_at(
      const std::byte* p) {
    return load_le<std::uint64_t>(p);
  }
  // Whether the first kMinMatch bytes agree.
  [[nodiscard]] ODO_ALWAYS_INLINE static bool match_at(const std::byte* p,
                                                       std::uint64_t word) {
    return load_le<std::uint32_t>(p) == static_cast<std::uint32_t>(word);
  }
  // How many first bytes two words with this difference share.
  [[nodiscard]] ODO_ALWAYS_INLINE static std::size_t same_bytes(
      std::uint64_t difference) {
    return static_cast<std::size_t>(std::countr_zero(difference)) / 8;
  }

  // The table of one call: maps the first `Hashed` bytes of a word to the last
  // place where they were seen. It has `Slots` slots, or as many as the data
  // have use for if that is 0.
  template <unsigned Hashed, std::size_t Slots>
  class Table {
   public:
    // A slot that nothing was put into holds the place 0, as good as any.
    Table(std::uint16_t* slots, std::size_t data_size)
        : slots_(slots),
          count_(Slots != 0 ? Slots
                            : std::clamp<std::size_t>(std::bit_ceil(data_size),
                                                      64, kMost)) {
      __builtin_memset(slots_, 0, count_ * sizeof slots_[0]);
    }
    ODO_ALWAYS_INLINE void put(std::uint64_t word, std::size_t at) {
      slots_[slot(word)] = static_cast<std::uint16_t>(at);
    }
    // The place that `at` takes the slot from.
    [[nodiscard]] ODO_ALWAYS_INLINE std::size_t swap(std::uint64_t word,
                                                     std::size_t at) {
      return std::exchange(slots_[slot(word)], static_cast<std::uint16_t>(at));
    }

   private:
    static constexpr std::size_t kMost = kLz4Slots;

    [[nodiscard]] ODO_ALWAYS_INLINE std::size_t slot(std::uint64_t word) const {
      constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15;
      const std::uint64_t hash = (word << (64 - 8 * Hashed)) * kGolden;
      const std::size_t slot = hash >> (64 - std::countr_zero(kMost));
      return Slots == kMost ? slot : slot & (count_ - 1);
    }

    std::uint16_t* slots_;
    std::size_t count_;
  };

  // Writes all sequences but the last, and leaves to that what follows anchor_.
  template <unsigned Hashed, std::size_t Slots>
  [[nodiscard]] Outcome sequences() {
    Table<Hashed, Slots> table(slots_, size_);
    // Copies: a store through `out` might alias the members.
    const std::byte* const in = in_;
    std::byte* out = out_;
    std::byte* const out_end = out_end_;
    const std::size_t stop = size_ - kStartMargin;

    std::size_t anchor = 0;  // literals wait from here on
    std::size_t at = 1;
    for (;;) {
      // Two places a turn, in one word; ever more are left out between turns.
      const std::size_t hopeless = anchor + between(out, out_end) + kMostBack;
      const std::size_t limit = std::min(stop, hopeless);
      std::size_t from = 0;
      for (std::size_t misses = 0;; ++misses) {
        if (at >= limit) {
          anchor_ = anchor;
          out_ = out;
          return at >= hopeless ? Outcome::kNoRoom : Outcome::kAtEnd;
        }
        const std::uint64_t word = word_at(in + at);
        from = table.swap(word, at);
        if (match_at(in + from, word)) break;
        from = table.swap(word >> 8, at + 1);
        if (match_at(in + from, word >> 8)) {
          ++at;
          break;
        }
        at += 2 + misses / 16;
      }

      std::size_t literals = at - anchor;
      const std::size_t back = bytes_back(at, from, literals);
      literals -= back;
      const std::uint64_t after =
          word_at(in + at + kMinMatch) ^ word_at(in + from + kMinMatch);
      if (after != 0 && back < 8 && literals < kLongLength &&
          between(out, out_end) >= kShortSequence) [[likely]] {
        const std::size_t length = same_bytes(after);
        *out++ = static_cast<std::byte>(literals << 4 | (length + back));
        copy_16(out, in + anchor);
        out += literals;
        store_le(out, static_cast<std::uint16_t>(at - from));
        out += 2;
        at += kMinMatch + length;
      } else {
        const std::size_t end = match_end(at, from);
        out = put_sequence(out, Bytes(in + anchor, literals), at - from,
                           end - at + back);
        if (out == nullptr) return Outcome::kNoRoom;
        at = end;
      }

      // Matches that follow at once.
      for (;;) {
        anchor = at;
        if (at > stop) {
          anchor_ = anchor;
          out_ = out;
          return Outcome::kAtEnd;
        }
        table.put(word_at(in + at - 2), at - 2);
        const std::uint64_t word = word_at(in + at);
        const std::size_t next = table.swap(word, at);
        if (!match_at(in + next, word)) break;
        const std::uint64_t more =
            word_at(in + at + kMinMatch) ^ word_at(in + next + kMinMatch);
        if (more != 0 && between(out, out_end) >= 3) [[likely]] {
          const std::size_t length = same_bytes(more);
          *out++ = static_cast<std::byte>(length);
          store_le(out, static_cast<std::uint16_t>(at - next));
          out += 2;
          at += kMinMatch + length;
        } else {
          const std::size_t end = match_end(at, next);
          out = put_sequence(out, Bytes(in + at, 0), at - next, end - at);
          if (out == nullptr) return Outcome::kNoRoom;
          at = end;
        }
      }
      ++at;
    }
  }

  // How many of the literals before `at` belong to its match as well.
  [[nodiscard]] ODO_ALWAYS_INLINE std::size_t bytes_back(
      std::size_t at, std::size_t from, std::size_t literals) const {
    if (from >= 8) [[likely]] {
      const std::uint64_t before =
          word_at(in_ + at - 8) ^ word_at(in_ + from - 8);
      if (before != 0) [[likely]] {
        return std::min(static_cast<std::size_t>(std::countl_zero(before)) / 8,
                        literals);
      }
    }
    return many_bytes_back(at, from, literals);
  }

  [[nodiscard]] ODO_NOINLINE std::size_t many_bytes_back(
      std::size_t at, std::size_t from, std::size_t literals) const {
    const std::size_t most = std::min({literals, from, kMostBack});
    std::size_t back = 0;
    while (back < most && in_[at - back - 1] == in_[from - back - 1]) ++back;
    return back;
  }

  // Where the match of `at` and `from` ends; its first kMinMatch bytes agree.
  [[nodiscard]] ODO_NOINLINE std::size_t match_end(std::size_t at,
                                                   std::size_t from) const {
    const std::size_t end = size_ - kLastLiterals;
    const std::size_t distance = at - from;
    const auto difference = [this, distance](std::size_t place) {
      return word_at(in_ + place) ^ word_at(in_ + place - distance);
    };
    at += kMinMatch;
    while (end - at >= 8) {
      // Most matches end within some words; others may be very long.
      for (int word = 0; word < 4 && end - at >= 8; ++word, at += 8) {
        const std::uint64_t here = difference(at);
        if (here != 0) return at + same_bytes(here);
      }
      while (end - at >= 32 &&
             (difference(at) | difference(at + 8) | difference(at + 16) |
              difference(at + 24)) == 0) {
        at += 32;
      }
    }
    while (at < end && in_[at] == in_[at - distance]) ++at;
    return at;
  }

  // How many bytes a length needs beyond its part of the token.
  [[nodiscard]] static std::size_t length_bytes(std::size_t length) {
    return length < kLongLength ? 0 : (length - kLongLength) / 255 + 1;
  }

  [[nodiscard]] static std::byte* put_length(std::byte* out,
                                             std::size_t length) {
    if (length < kLongLength) return out;
    for (length -= kLongLength; length >= 255; length -= 255) {
      *out++ = std::byte{255};
    }
    *out++ = static_cast<std::byte>(length);
    return out;
  }

  // Writes any sequence whose bytes, and those of the shortest that may still
  // follow, have room; null if they haven't.
  [[nodiscard]] ODO_NOINLINE std::byte* put_sequence(std::byte* out,
                                                     Bytes literals,
                                                     std::size_t distance,
                                                     std::size_t match) const {
    const std::size_t count = literals.size();
    const std::size_t length = match - kMinMatch;
    const std::size_t size =
        1 + length_bytes(count) + count + 2 + length_bytes(length);
    if (between(out, out_end_) < size + 1 + kLastLiterals) return nullptr;
    *out++ = token(count, length);
    out = put_length(out, count);
    if (between(out, out_end_) >= count + kLooseSlack &&
        between(literals.data(), in_ + size_) >= count + kLooseSlack) {
      copy_words_loosely(out, literals.data(), count);
    } else if (count != 0) {
      __builtin_memcpy(out, literals.data(), count);
    }
    out += count;
    store_le(out, static_cast<std::uint16_t>(distance));
    return put_length(out + 2, length);
  }

  [[nodiscard]] static std::byte token(std::size_t literals,
                                       std::size_t length) {
    return static_cast<std::byte>(std::min(literals, kLongLength) << 4 |
                                  std::min(length, kLongLength));
  }

  [[nodiscard]] std::optional<std::size_t> last_literals() {
    const std::size_t count = size_ - anchor_;
    if (between(out_, out_end_) < 1 + length_bytes(count) + count) {
      return std::nullopt;
    }
    *out_++ = token(count, 0);
    out_ = put_length(out_, count);
    if (count != 0) __builtin_memcpy(out_, in_ + anchor_, count);
    return between(out_begin_, out_ + count);
  }

  const std::byte* in_;
  std::size_t size_;
  std::uint16_t* slots_;
  std::byte* out_begin_;
  std::byte* out_;
  std::byte* out_end_;
  std::size_t anchor_ = 0;  // literals not yet written begin here
};

}  // namespace detail

// Compresses `data` into the front of `out`; answers how many bytes that made.
[[nodiscard]] inline std::optional<std::size_t> lz4_compress(
    Bytes data, MutableBytes out, Lz4Workspace& workspace) {
  return detail::Lz4Encoder(data, out, workspace.slots_).run();
}

}  // namespace odo::codec
