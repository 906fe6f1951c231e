// SPDX-License-Identifier: BSD-3-Clause
// The physical page-frame allocator: contiguous runs of frames out of the
// memory that the machine has.
//
// Free memory is kept as maximal runs in an address-ordered tree whose nodes
// lie in the free frames themselves, one cache line at the head of each run.
// So there is no table of frames to carve or to clear: handing 8 GiB to the
// allocator writes one line per range, and an allocated frame costs nothing.
// The price is that a single frame costs O(log runs) instead of a list pop;
// per-CPU caches above take that off the fast path.
//
// A request takes the highest run that fits under its limit, from that run's
// upper end: memory below 4 GiB and below 1 MiB stays for those who need it,
// and address order keeps free runs long.
//
// Contexts: any; no locking of its own: the caller serialises all calls.
// Ownership: the allocator owns every byte of its free frames, and writes to
// them; an allocated frame belongs to the caller until it is freed. Contents
// of allocated frames are whatever was there.
// Units: addresses are physical, in bytes; counts are in frames of 4,096.
// Invariants:
//   I1. the tree holds disjoint runs, never touching each other, all inside
//       the managed ranges; `free_frames` is their sum;
//   I2. every node's `guard` matches its address (a write to freed memory is
//       found when the node is next used, and stops the machine);
//   I3. the managed ranges are sorted, disjoint and not touching.
// Complexity: add O(ranges + log runs); allocate and free O(log runs); an
// allocation aligned to more than a frame looks, only when no run is long
// enough for any alignment, at each run that is long enough for its size.
// Failure: exhaustion and bad requests return an Error. Freeing what is not
// allocated, wholly or in part, is our own mistake and panics.
// Origin: address-ordered fit over a balanced tree with subtree maxima; see
// Wilson et al., "Dynamic Storage Allocation: A Survey", 1995, section 3.5.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>

#include "lib/base/bits.h"
#include "lib/base/check.h"
#include "lib/base/result.h"
#include "lib/base/tree.h"
#include "lib/frames/ranges.h"

namespace odo::frames {

// How to reach physical memory: `at` gives a pointer to the byte at a physical
// address inside a managed range, writable, valid for as long as the range is
// managed.
template <class M>
concept PhysicalMap = requires(const M& map, std::uint64_t physical) {
  { map.at(physical) } -> std::same_as<std::byte*>;
};

inline constexpr std::uint64_t kBelow1MiB = std::uint64_t{1} << 20;
inline constexpr std::uint64_t kBelow4GiB = std::uint64_t{1} << 32;
inline constexpr std::uint64_t kAnywhere = detail::kTop;

struct Request {
  std::uint64_t frames = 1;
  std::uint64_t align_frames = 1;         // a power of two
  std::uint64_t below_bytes = kAnywhere;  // the run ends at or below this
};

struct Stats {
  std::uint64_t managed_frames;
  std::uint64_t free_frames;
  std::uint64_t free_runs;
  std::uint64_t largest_run_frames;
};

template <PhysicalMap Map>
class FrameAllocator {
 public:
  // Separate ranges of memory that fit in the table.
  static constexpr std::size_t kMaxRanges = 128;

  explicit FrameAllocator(Map map = Map()) : map_(map) {}
  FrameAllocator(const FrameAllocator&) = delete;
  FrameAllocator& operator=(const FrameAllocator&) = delete;
  ~FrameAllocator() { runs_.clear(); }

  // Takes a range of free memory into management; it must be frame-aligned
  // (`normalize` makes it so). Errors: kBadRequest, kOverlap, kTooManyRanges.
  [[nodiscard]] Result<void> add(Range range) {
    auto end = checked_add(range.base_bytes, range.size_bytes);
    if (range.size_bytes == 0 || !end || *end > detail::kTop ||
        !is_aligned(range.base_bytes, kFrameBytes) ||
        !is_aligned(range.size_bytes, kFrameBytes)) {
      return fail(Error::kBadRequest);
    }
    ODO_TRY_VOID(manage(range));
    managed_frames_ += range.size_bytes / kFrameBytes;
    put(range.base_bytes, *end);
    return {};
  }

  // The physical address of the first of `request.frames` contiguous frames.
  // Errors: kNoMemory, kBadRequest.
  [[nodiscard]] Result<std::uint64_t> allocate(const Request& request) {
    if (request.frames == 0 || !is_power_of_two(request.align_frames)) {
      return fail(Error::kBadRequest);
    }
    if (request.frames > free_frames_) return fail(Error::kNoMemory);
    std::uint64_t below = align_down(request.below_bytes, kFrameBytes);
    std::uint64_t enough = request.frames;
    std::uint64_t align_bytes = kFrameBytes;
    if (request.align_frames > 1) {
      // A run this long holds an aligned part wherever it lies, so the first
      // that is found will do.
      auto bytes = checked_mul(request.align_frames, kFrameBytes);
      auto sure = checked_add(request.frames, request.align_frames - 1);
      if (!bytes || !sure) return fail(Error::kNoMemory);
      align_bytes = *bytes;
      enough = *sure;
    }
    for (std::uint64_t length = enough;; length = request.frames) {
      for (Run* run = last_fitting(below, length); run != nullptr;
           run = previous_fitting(*run, length)) {
        std::uint64_t end = std::min(run->end(), below);
        std::uint64_t size = request.frames * kFrameBytes;
        if (end - run->base < size) continue;
        std::uint64_t base = align_down(end - size, align_bytes);
        if (base < run->base) continue;
        carve(*run, base, base + size);
        return base;
      }
      if (length == request.frames) return fail(Error::kNoMemory);
    }
  }

  // Gives back `frames` frames from `base` on: any part of what was allocated,
  // or several neighbouring allocations at once.
  void free(std::uint64_t base, std::uint64_t frames) {
    auto size = checked_mul(frames, kFrameBytes);
    ODO_CHECK(frames != 0 && size && is_aligned(base, kFrameBytes));
    ODO_CHECK(is_managed(base, *size));
    put(base, base + *size);
  }

  [[nodiscard]] Stats stats() const {
    return {managed_frames_, free_frames_, free_runs_,
            runs_.empty() ? 0 : runs_.root()->longest_frames};
  }

  // Sorted, disjoint, not touching; what `add` was given.
  [[nodiscard]] std::span<const Range> managed() const {
    return std::span(ranges_).first(range_count_);
  }

  // Checks I1 to I3, for tests: O(runs).
  [[nodiscard]] bool is_valid() const {
    if (!runs_.is_valid()) return false;
    std::uint64_t sum = 0;
    std::uint64_t count = 0;
    std::uint64_t before = 0;
    for (Run* run = runs_.first(); run != nullptr; run = runs_.next(*run)) {
      if (run->guard != guard_of(run->base) || run->frames == 0) return false;
      if (count != 0 && run->base <= before) return false;
      if (!is_managed(run->base, run->frames * kFrameBytes)) return false;
      if (run->longest_frames !=
          longest(*run, runs_.left(*run), runs_.right(*run))) {
        return false;
      }
      before = run->end();
      sum += run->frames;
      ++count;
    }
    for (std::size_t i = 1; i < range_count_; ++i) {
      if (end_of(ranges_[i - 1]) >= ranges_[i].base_bytes) return false;
    }
    return sum == free_frames_ && count == free_runs_;
  }

 private:
  // A maximal run of free frames. Lies in the run's first frame.
  struct Run {
    Run(std::uint64_t base_bytes, std::uint64_t frame_count)
        : base(base_bytes),
          frames(frame_count),
          longest_frames(frame_count),
          guard(guard_of(base_bytes)) {}
    [[nodiscard]] std::uint64_t end() const {
      return base + frames * kFrameBytes;
    }

    TreeHook hook;
    std::uint64_t base;
    std::uint64_t frames;
    std::uint64_t longest_frames;  // in the subtree of this node
    std::uint64_t guard;           // I2
  };
  static_assert(sizeof(Run) == 64, "a node is one cache line");

  struct ByBase {
    static const std::uint64_t& key(const Run& run) { return run.base; }
  };
  struct LongestRun {
    static bool update(Run& run, const Run* left, const Run* right) {
      std::uint64_t fresh = longest(run, left, right);
      bool changed = fresh != run.longest_frames;
      run.longest_frames = fresh;
      return changed;
    }
  };
  using Runs = Tree<Run, &Run::hook, ByBase, LongestRun>;

  static std::uint64_t guard_of(std::uint64_t base) {
    return base ^ 0x6f646f6e61746121;  // "odonata!"
  }
  static std::uint64_t longest(const Run& run, const Run* left,
                               const Run* right) {
    std::uint64_t most = run.frames;
    if (left != nullptr) most = std::max(most, left->longest_frames);
    if (right != nullptr) most = std::max(most, right->longest_frames);
    return most;
  }
  static std::uint64_t end_of(const Range& range) {
    return range.base_bytes + range.size_bytes;
  }

  // Where a run's node lies. The line in the frame varies with the address:
  // nodes all at the same offset would share one set of the first-level cache.
  [[nodiscard]] Run* slot(std::uint64_t base) const {
    std::uint64_t frame = base / kFrameBytes;
    std::uint64_t line = (frame ^ (frame >> 6)) % (kFrameBytes / sizeof(Run));
    return reinterpret_cast<Run*>(map_.at(base) + line * sizeof(Run));
  }

  static Run* checked(Run* run) {
    ODO_CHECK(run == nullptr || run->guard == guard_of(run->base));
    return run;
  }

  // Ends the life of a node that is out of the tree.
  static void retire(Run& run) {
    run.guard = 0;
    run.~Run();
  }

  // The last run that starts below `below` and, unless it is cut by it, is at
  // least `frames` long.
  [[nodiscard]] Run* last_fitting(std::uint64_t below,
                                  std::uint64_t frames) const {
    if (below == 0) return nullptr;
    Run* run = checked(runs_.floor(below - 1));
    if (run == nullptr) return nullptr;
    if ((std::min(run->end(), below) - run->base) / kFrameBytes >= frames) {
      return run;
    }
    return previous_fitting(*run, frames);
  }

  // The last run before `run` that is at least `frames` long.
  [[nodiscard]] Run* previous_fitting(Run& run, std::uint64_t frames) const {
    Run* at = &run;
    Run* below = runs_.left(*at);
    while (below == nullptr || checked(below)->longest_frames < frames) {
      // Nothing under `at`: climb to the first node that lies before it.
      Run* from = at;
      at = checked(runs_.parent(*at));
      if (at == nullptr) return nullptr;
      if (runs_.right(*at) == from) {
        if (at->frames >= frames) return at;
        below = runs_.left(*at);
      } else {
        below = nullptr;
      }
    }
    for (at = below;;) {
      Run* right = checked(runs_.right(*at));
      if (right != nullptr && right->longest_frames >= frames) {
        at = right;
      } else if (at->frames >= frames) {
        return at;
      } else {
        at = checked(runs_.left(*at));
        ODO_CHECK(at != nullptr);
      }
    }
  }

  // Takes [base, end) out of `run`.
  void carve(Run& run, std::uint64_t base, std::uint64_t end) {
    std::uint64_t run_end = run.end();
    free_frames_ -= (end - base) / kFrameBytes;
    if (run.base < base) {
      run.frames = (base - run.base) / kFrameBytes;
      runs_.refresh(run);
      if (end < run_end) link(end, run_end);
    } else if (end < run_end) {
      // The node's own frame goes: the rest gets a node in the same place.
      Run* rest = new (slot(end)) Run(end, (run_end - end) / kFrameBytes);
      runs_.replace(run, *rest);
      retire(run);
    } else {
      unlink(run);
    }
  }

  // Makes [base, end), which is managed, free, joining it to its neighbours.
  void put(std::uint64_t base, std::uint64_t end) {
    Run* before = checked(runs_.floor(base));
    Run* after =
        checked(before != nullptr ? runs_.next(*before) : runs_.first());
    ODO_CHECK(before == nullptr || before->end() <= base);  // else freed twice
    ODO_CHECK(after == nullptr || end <= after->base);      // else freed twice
    free_frames_ += (end - base) / kFrameBytes;
    if (after != nullptr && after->base == end) {
      end = after->end();
      if (before == nullptr || before->end() != base) {
        Run* joined = new (slot(base)) Run(base, (end - base) / kFrameBytes);
        runs_.replace(*after, *joined);
        retire(*after);
        return;
      }
      unlink(*after);
    }
    if (before != nullptr && before->end() == base) {
      before->frames = (end - before->base) / kFrameBytes;
      runs_.refresh(*before);
    } else {
      link(base, end);
    }
  }

  void link(std::uint64_t base, std::uint64_t end) {
    Run* run = new (slot(base)) Run(base, (end - base) / kFrameBytes);
    ODO_CHECK(runs_.insert(*run));
    ++free_runs_;
  }
  void unlink(Run& run) {
    runs_.erase(run);
    retire(run);
    --free_runs_;
  }

  [[nodiscard]] bool is_managed(std::uint64_t base, std::uint64_t size) const {
    const Range* first = ranges_.data();
    const Range* after = std::upper_bound(
        first, first + range_count_, base,
        [](std::uint64_t at, const Range& r) { return at < r.base_bytes; });
    if (after == first) return false;
    const Range& range = after[-1];
    return range_inside(base - range.base_bytes, size, range.size_bytes);
  }

  // Enters a range in the table, joined to neighbours that it touches.
  [[nodiscard]] Result<void> manage(Range range) {
    std::size_t at = 0;
    while (at < range_count_ && ranges_[at].base_bytes < range.base_bytes) {
      ++at;
    }
    bool joins_before = false;
    if (at > 0) {
      if (end_of(ranges_[at - 1]) > range.base_bytes) {
        return fail(Error::kOverlap);
      }
      joins_before = end_of(ranges_[at - 1]) == range.base_bytes;
    }
    bool joins_after = false;
    if (at < range_count_) {
      if (end_of(range) > ranges_[at].base_bytes) return fail(Error::kOverlap);
      joins_after = end_of(range) == ranges_[at].base_bytes;
    }
    if (joins_before && joins_after) {
      ranges_[at - 1].size_bytes += range.size_bytes + ranges_[at].size_bytes;
      for (std::size_t i = at + 1; i < range_count_; ++i) {
        ranges_[i - 1] = ranges_[i];
      }
      --range_count_;
    } else if (joins_before) {
      ranges_[at - 1].size_bytes += range.size_bytes;
    } else if (joins_after) {
      ranges_[at].base_bytes = range.base_bytes;
      ranges_[at].size_bytes += range.size_bytes;
    } else {
      if (range_count_ == kMaxRanges) return fail(Error::kTooManyRanges);
      for (std::size_t i = range_count_; i > at; --i) {
        ranges_[i] = ranges_[i - 1];
      }
      ranges_[at] = range;
      ++range_count_;
    }
    return {};
  }

  [[no_unique_address]] Map map_;
  Runs runs_;
  std::uint64_t managed_frames_ = 0;
  std::uint64_t free_frames_ = 0;
  std::uint64_t free_runs_ = 0;
  std::size_t range_count_ = 0;
  std::array<Range, kMaxRanges> ranges_{};
};

}  // namespace odo::frames
