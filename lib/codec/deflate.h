// SPDX-License-Identifier: BSD-3-Clause
// DEFLATE compression (RFC 1951) of up to 64 KiB, into an output that may be
// too small.
//
//   codec::DeflateWorkspace workspace;            // or a static one per lane
//   const auto size = codec::deflate(data, out, 6, workspace);
//   // none: it isn't worth it; store the data as they are.
//
// zlib_encode.h has the form with header and check value that HAMMER2 stores.
//
// Contexts: any that can wait for some milliseconds. About 1 KiB of stack.
// Sizes: the workspace is 370 KiB, needs no initialization and keeps nothing
//   between calls, so that the same data always make the same stream; one call
//   at a time uses it.
// Ownership: writes only inside `out` and the workspace. Bytes of `out` past
//   the result may be overwritten. The spans may not overlap.
// Failure: none exactly if the stream is longer than `out`, found out as soon
//   as the entropy of what was read tells it; none as well for data longer than
//   kDeflateLongestInput.
// Cost: linear at worst, times the places looked at for a match, which the
//   level bounds. Where no matches are found it looks ever more rarely.
// Origin: RFC 1951. Lazy matching is zlib's idea (deflate.c); blocks are split
//   where the entropy of both parts is less than that of the whole.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "lib/base/annotations.h"
#include "lib/base/bytes.h"
#include "lib/codec/deflate_block.h"
#include "lib/codec/match_finder.h"

namespace odo::codec {

// Every place in it has 16 bits.
inline constexpr std::size_t kDeflateLongestInput = 65536;

// Higher levels take more time and less room; others than these are taken for
// the nearest. The middle is HAMMER2's, as it is zlib's.
inline constexpr unsigned kDeflateFastest = 1;
inline constexpr unsigned kDeflateMiddle = 6;
inline constexpr unsigned kDeflateBest = 9;

// The tables of one call.
class DeflateWorkspace {
 private:
  friend class Deflater;

  // How much data, at least, it takes to decide whether a block goes on.
  static constexpr std::size_t kStretch = 4096;
  // The shortest matches make the most; each stretch and the end may add one.
  static constexpr std::size_t kSequences =
      kDeflateLongestInput / 3 + kDeflateLongestInput / kStretch + 1;

  detail::MatchTables places_;
  std::array<detail::Sequence, kSequences> sequences_;
  detail::SymbolCounts block_;
  detail::SymbolCounts stretch_;
  detail::SymbolCounts both_;
  detail::BlockScratch scratch_;
};
static_assert(sizeof(DeflateWorkspace) <= std::size_t{384} * 1024);

// One call of deflate().
class Deflater {
 public:
  Deflater(Bytes data, MutableBytes out, unsigned level,
           DeflateWorkspace& workspace)
      : w_(workspace),
        in_(data.data()),
        size_(data.size()),
        effort_(kEfforts[std::clamp(level, kDeflateFastest, kDeflateBest) - 1]),
        writer_(out, workspace.scratch_) {}

  [[nodiscard]] std::optional<std::size_t> run() {
    if (size_ > kDeflateLongestInput) return std::nullopt;
    w_.block_ = {};
    w_.stretch_ = {};
    if (!find_matches() || !end_stretch(size_) || !put_block(Place::kLast)) {
      return std::nullopt;
    }
    return writer_.written();
  }

 private:
  using Match = detail::Match;
  using MatchFinder = detail::MatchFinder;
  using Sequence = detail::Sequence;
  using Place = detail::BlockWriter::Place;

  static constexpr std::size_t kStretch = DeflateWorkspace::kStretch;
  // Without a match for so many bytes, one more place is left out each time.
  static constexpr std::size_t kPatience = 512;
  // What a split must save: a header, and a code's fit to few symbols that says
  // nothing about what follows.
  static constexpr std::uint64_t kSplitBits = 800;

  // How hard a level tries.
  struct Effort {
    std::uint16_t depth;  // places looked at for a match
    std::uint16_t nice;   // long enough to look no further
    // Shorter ones are compared with those of the next place.
    std::uint16_t lazy;
  };
  static constexpr std::array<Effort, kDeflateBest> kEfforts = {
      {{3, 16, 0},
       {6, 24, 0},
       {12, 32, 0},
       {8, 32, 16},
       {20, 64, 32},
       {64, 128, 128},
       {128, 200, 258},
       {300, 258, 258},
       {1000, 258, 258}}};

  // Makes sequences of all the data. False once they can't fit.
  [[nodiscard]] bool find_matches() {
    MatchFinder finder(Bytes(in_, size_), w_.places_);
    const std::size_t stop =
        size_ < MatchFinder::kMargin ? 0 : size_ - MatchFinder::kMargin + 1;
    std::size_t at = 0;
    std::size_t quiet = 0;  // since here, nothing matched
    while (at < stop) {
      Match match =
          finder.find(at, MatchFinder::kAny, effort_.depth, effort_.nice);
      if (match.length == 0) {
        at = std::min(at + 1 + (at - quiet) / kPatience, size_);
        if (at - anchor_ >= kStretch) {
          add_sequence(at, {});
          if (!end_stretch(at)) return false;
        }
        continue;
      }
      std::size_t next = at + 1;
      while (match.length < effort_.lazy && next < stop) {
        const Match other = finder.find(next++, match.length - 1,
                                        effort_.depth / 2, effort_.nice);
        if (!better(other, match)) break;
        match = other;
        at = next - 1;
      }
      add_sequence(at, match);
      at = quiet = anchor_;
      finder.skip(next, at);
      if (at - stretch_begin_ >= kStretch && !end_stretch(at)) return false;
    }
    add_sequence(size_, {});
    return true;
  }

  // Whether to leave a byte as a literal for the match that begins behind it,
  // rather than take the one that begins with it.
  [[nodiscard]] static bool better(const Match& other, const Match& match) {
    if (other.length == 0) return false;
    const auto bits = [](std::size_t distance) {
      return static_cast<int>(std::bit_width(distance));
    };
    const auto gain = static_cast<int>(other.length - match.length);
    const int nearer = bits(match.distance) - bits(other.distance);
    return 4 * gain + nearer > 2;
  }

  // The literals that wait, and a match at `at` or none.
  ODO_ALWAYS_INLINE void add_sequence(std::size_t at, Match match) {
    w_.stretch_.add_literals(Bytes(in_ + anchor_, at - anchor_));
    if (match.length != 0) w_.stretch_.add_match(match.length, match.distance);
    w_.sequences_[count_++] = {
        .literals = static_cast<std::uint16_t>(at - anchor_),
        .length = static_cast<std::uint16_t>(match.length),
        .distance = static_cast<std::uint16_t>(match.distance)};
    anchor_ = at + match.length;
  }

  // Adds what was read since the last stretch to the block, or to a new one if
  // both are shorter so. False if the block can't fit.
  [[nodiscard]] bool end_stretch(std::size_t end) {
    const std::uint64_t stretch_bits = w_.stretch_.least_bits();
    std::uint64_t bits = stretch_bits;
    if (stretch_begin_ != block_begin_) {
      w_.both_ = w_.block_;
      w_.both_.add(w_.stretch_);
      bits = w_.both_.least_bits();
      if (bits > block_bits_ + stretch_bits + kSplitBits) {
        if (!put_block(Place::kAmongOthers)) return false;
        w_.block_ = w_.stretch_;
        bits = stretch_bits;
      } else {
        w_.block_ = w_.both_;
      }
    } else {
      w_.block_ = w_.stretch_;
    }
    w_.stretch_ = {};
    stretch_begin_ = end;
    stretch_first_ = count_;
    block_bits_ = bits;
    return std::min<std::uint64_t>(bits, 8 * (end - block_begin_)) <=
           writer_.room();
  }

  // Writes the block up to the stretch.
  [[nodiscard]] bool put_block(Place place) {
    const Bytes data(in_ + block_begin_, stretch_begin_ - block_begin_);
    const std::span<const Sequence> all(w_.sequences_);
    const bool ok = writer_.put(
        data, all.subspan(block_first_, stretch_first_ - block_first_),
        w_.block_, place);
    block_begin_ = stretch_begin_;
    block_first_ = stretch_first_;
    return ok;
  }

  DeflateWorkspace& w_;
  const std::byte* in_;
  std::size_t size_;
  Effort effort_;
  detail::BlockWriter writer_;
  // The block, then the stretch that is being read, then literals that wait.
  std::size_t block_begin_ = 0;
  std::size_t block_first_ = 0;   // its first sequence
  std::uint64_t block_bits_ = 0;  // at least
  std::size_t stretch_begin_ = 0;
  std::size_t stretch_first_ = 0;
  std::size_t anchor_ = 0;
  std::size_t count_ = 0;  // sequences
};

// Compresses `data` into the front of `out`; answers how many bytes that made.
[[nodiscard]] inline std::optional<std::size_t> deflate(
    Bytes data, MutableBytes out, unsigned level, DeflateWorkspace& workspace) {
  return Deflater(data, out, level, workspace).run();
}

}  // namespace odo::codec
