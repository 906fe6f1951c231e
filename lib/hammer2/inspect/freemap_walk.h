// SPDX-License-Identifier: BSD-3-Clause
// What the freemap says of the space of all volumes: every 4 MiB in order, and
// how much there is of what.
//
//   FreemapWalk walk(medium.volumes(), medium.reader());
//   if (!walk.init(arena)) ...
//   FreemapTotals totals = walk.run(header, [](const FreemapSpan& span) {...});
//
// Contexts: thread, one at a time; reads block where the device does.
// Bounds: one call for each 4 MiB of the volumes, at most 4 Mi of them for the
//   longest stretched volume; the tree's bounds.
// Failure: totals name the first bad block and count all; the space that they
//   should speak of is kUnknown.
// Origin: hammer2_disk.h (freemap); hammer2_freemap.c, hammer2_freemap_init()
//   (space that is never given out).
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "lib/base/bytes.h"
#include "lib/hammer2/check/arena.h"
#include "lib/hammer2/check/freemap_tree.h"
#include "lib/hammer2/format/freemap.h"
#include "lib/hammer2/format/volume_header.h"

namespace odo::hammer2::inspect {

// Where what is said of a piece of space comes from.
enum class SpanKind : std::uint8_t {
  kFixed,    // never given out: reserves, boot and auxiliary areas
  kSpoken,   // by a leaf
  kUnmade,   // no leaf speaks of it: it is free, and never was used
  kUnknown,  // its leaf is bad
};

[[nodiscard]] constexpr std::string_view to_string(SpanKind kind) {
  using std::operator""sv;
  switch (kind) {
    case SpanKind::kFixed:
      return "fixed"sv;
    case SpanKind::kSpoken:
      return "leaf"sv;
    case SpanKind::kUnmade:
      return "unmade"sv;
    case SpanKind::kUnknown:
      break;
  }
  return "unknown"sv;
}

[[nodiscard]] constexpr std::string_view to_string(format::FreemapState state) {
  using std::operator""sv;
  switch (state) {
    case format::FreemapState::kFree:
      return "free"sv;
    case format::FreemapState::kReserved:
      return "reserved"sv;
    case format::FreemapState::kMaybeFree:
      return "possibly free"sv;
    case format::FreemapState::kAllocated:
      break;
  }
  return "used"sv;
}

// 4 MiB of space.
struct FreemapSpan {
  static constexpr std::uint64_t kBytes = std::uint64_t{1}
                                          << format::kFreemapEntryRadix;
  static constexpr unsigned kUnits =
      1U << (format::kFreemapEntryRadix - format::kFreemapUnitRadix);

  std::uint64_t offset = 0;
  SpanKind kind = SpanKind::kUnmade;
  std::array<std::uint16_t, 4> units = {};  // in each FreemapState; of 256
  format::BmapData entry = {};              // with kSpoken, and kFixed

  [[nodiscard]] unsigned in(format::FreemapState state) const {
    return units[static_cast<std::size_t>(state)];
  }
  // What blocks the space is given to, kEmpty if to none.
  [[nodiscard]] format::BlockType given_to() const {
    return static_cast<format::BlockType>(entry.alloc_class >> 8U);
  }
};

struct FreemapTotals {
  static constexpr std::size_t kTenths = 11;
  static constexpr std::size_t kRunRadixes = 64;

  std::array<std::uint64_t, 4> bytes =
      {};  // in each state, where space is given
  std::uint64_t fixed_bytes = 0;
  std::uint64_t unmade_bytes = 0;  // free as well
  std::uint64_t unknown_bytes = 0;
  // Spans of which so many tenths, rounded down, aren't free; 10: none is.
  std::array<std::uint64_t, kTenths> fill = {};
  // Runs of free space of at least 2^r bytes and less than 2^(r+1).
  std::array<std::uint64_t, kRunRadixes> runs = {};
  std::uint64_t longest_run_bytes = 0;
  // Spans by the type of block that they are given to.
  std::array<std::uint64_t, 8> classes = {};
  std::uint64_t leaves = 0;
  std::uint64_t bad_blocks = 0;
  std::optional<Error> first_bad = {};
};

template <class Reader>
class FreemapWalk {
 public:
  FreemapWalk(const typename Reader::Volumes& volumes, Reader& reader)
      : volumes_(volumes), tree_(volumes, reader) {}

  [[nodiscard]] bool init(audit::Arena& arena) { return tree_.init(arena); }

  // `header` is one whole volume header; visit(span) is called for all space.
  template <class Visit>
  FreemapTotals run(Bytes header, Visit&& visit) {
    using Header = format::VolumeHeader;
    totals_ = {};
    next_ = 0;
    run_ = 0;
    allocator_beg_ =
        load_le<std::uint64_t>(header.data() + offsetof(Header, allocator_beg));
    const RefArray roots(header.subspan(offsetof(Header, freemap_blockset),
                                        sizeof(format::Blockset)),
                         format::kBlocksetCount);
    Teller<Visit> teller{*this, visit};
    tree_.walk(roots, teller);
    fill_gap(volumes_.info().total_bytes, SpanKind::kUnmade, visit);
    end_run();
    return totals_;
  }

 private:
  static constexpr std::uint64_t kUnitBytes = std::uint64_t{1}
                                              << format::kFreemapUnitRadix;

  template <class Visit>
  struct Teller {
    FreemapWalk& walk;
    Visit& visit;

    void enter(const format::Blockref& ref, const audit::FreemapPlace&,
               const Result<Bytes>& block) {
      if (!block) {
        walk.bad(ref, block.error(), visit);
      } else if (ref.type == format::BlockType::kFreemapLeaf) {
        walk.leaf(ref, *block, visit);
      }
    }
    void leave(const format::Blockref&, const audit::FreemapPlace&) {}
  };

  template <class Visit>
  void bad(const format::Blockref& ref, const Error& error, Visit& visit) {
    ++totals_.bad_blocks;
    if (!totals_.first_bad) totals_.first_bad = error;
    // A reference that isn't one says nothing about any space.
    if (!audit::freemap_level(ref)) return;
    const auto range = key_range(ref.key, ref.keybits);
    if (!range || range->first < next_) return;
    fill_gap(range->first, SpanKind::kUnmade, visit);
    fill_gap(std::min(range->last, volumes_.info().total_bytes),
             SpanKind::kUnknown, visit);
  }

  template <class Visit>
  void leaf(const format::Blockref& ref, Bytes bytes, Visit& visit) {
    ++totals_.leaves;
    fill_gap(ref.key, SpanKind::kUnmade, visit);
    for (std::size_t i = 0; i < format::kFreemapEntries; ++i) {
      if (next_ >= volumes_.info().total_bytes) return;
      FreemapSpan span = {.offset = next_, .kind = SpanKind::kSpoken};
      copy_bytes(mutable_bytes_of(span.entry),
                 bytes.subspan(i * sizeof span.entry, sizeof span.entry));
      for (unsigned unit = 0; unit < FreemapSpan::kUnits; ++unit) {
        ++span.units[static_cast<std::size_t>(
            format::unit_state(span.entry, unit))];
      }
      tell(span, visit);
    }
  }

  // Space up to `end` of which no entry speaks.
  template <class Visit>
  void fill_gap(std::uint64_t end, SpanKind kind, Visit& visit) {
    end = std::min(end, volumes_.info().total_bytes);
    while (next_ < end) {
      FreemapSpan span = {.offset = next_, .kind = kind};
      if (kind == SpanKind::kUnmade) span.units[0] = FreemapSpan::kUnits;
      tell(span, visit);
    }
  }

  template <class Visit>
  void tell(FreemapSpan& span, Visit& visit) {
    next_ = span.offset + FreemapSpan::kBytes;
    if (audit::never_given_out(span.offset, allocator_beg_,
                               volumes_.info().total_bytes)) {
      span.kind = SpanKind::kFixed;
    }
    count(span);
    visit(std::as_const(span));
  }

  void count(const FreemapSpan& span) {
    switch (span.kind) {
      case SpanKind::kFixed:
        totals_.fixed_bytes += FreemapSpan::kBytes;
        end_run();
        return;
      case SpanKind::kUnknown:
        totals_.unknown_bytes += FreemapSpan::kBytes;
        end_run();
        return;
      case SpanKind::kUnmade:
        totals_.unmade_bytes += FreemapSpan::kBytes;
        break;
      case SpanKind::kSpoken:
        ++totals_.classes[(span.entry.alloc_class >> 8U) & 7];
        break;
    }
    for (std::size_t state = 0; state < span.units.size(); ++state) {
      totals_.bytes[state] += span.units[state] * kUnitBytes;
    }
    const unsigned taken =
        FreemapSpan::kUnits - span.in(format::FreemapState::kFree);
    ++totals_.fill[taken * 10 / FreemapSpan::kUnits];
    if (taken == 0) {
      run_ += FreemapSpan::kBytes;
      return;
    }
    for (unsigned unit = 0; unit < FreemapSpan::kUnits; ++unit) {
      if (format::unit_state(span.entry, unit) == format::FreemapState::kFree) {
        run_ += kUnitBytes;
      } else {
        end_run();
      }
    }
  }

  void end_run() {
    if (run_ == 0) return;
    ++totals_.runs[static_cast<std::size_t>(std::bit_width(run_) - 1)];
    totals_.longest_run_bytes = std::max(totals_.longest_run_bytes, run_);
    run_ = 0;
  }

  const typename Reader::Volumes& volumes_;
  audit::FreemapTree<Reader> tree_;
  FreemapTotals totals_;
  std::uint64_t allocator_beg_ = 0;
  std::uint64_t next_ = 0;  // where the next span begins
  std::uint64_t run_ = 0;   // free bytes up to there
};

}  // namespace odo::hammer2::inspect
