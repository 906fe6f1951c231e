// SPDX-License-Identifier: BSD-3-Clause
// Reads a tree on media that anybody may have written: looks up, walks both
// ways, and verifies whole trees.
//
//   Reader reader(source, workspace);          // workspace: a page a level
//   ODO_TRY_VOID(reader.open());
//   ODO_TRY(bool there, reader.seek(key));     // the first entry from `key` on
//   while (there) {
//     use(reader.key(), reader.value());
//     ODO_TRY(there, reader.next());
//   }
//
// A reader is one cursor: any of its calls moves it.
//
// Invariants:
//   R1. A page counts only if it is the one that its parent names, by number,
//       check code and generation, at the level and over the key range that its
//       parent gives it (check_page()).
//   R2. So levels fall by one with each step down: no cycle can be followed,
//       and no way is longer than kMaxLevels.
//   R3. So ranges of one level are disjoint, and a page, which states its own,
//       counts in one place only: no subtree is entered twice.
//
// Contexts: as the source's. No recursion, no memory but the workspace and
//   about 1 KiB of its own.
// Failure: Error, with the page and its fault; the cursor is then nowhere. Any
//   bytes give an answer or an error.
// Complexity: look-ups one read a level at most; pages on the way that were
//   read last time are not read again. A walk reads each page once. verify()
//   reads once for each reference in pages that counted, and one root.
// Life: the tree that was newest at open(). Once the commit after it has ended,
//   a further transaction may overwrite its pages; R1 tells.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/base/bytes.h"
#include "lib/btree/media/error.h"
#include "lib/btree/media/format.h"
#include "lib/btree/media/header.h"
#include "lib/btree/media/page.h"
#include "lib/btree/media/page_store.h"

namespace odo::btree::media {

// What verify() found wrong in one place.
struct Finding {
  Fault fault;
  std::uint64_t page;
  std::uint32_t level;
};

struct Verified {
  std::uint64_t pages = 0;    // that counted
  std::uint64_t entries = 0;  // in them
  std::uint64_t faults = 0;

  [[nodiscard]] bool clean() const { return faults == 0; }
};

template <PageSource S>
class Reader {
 public:
  // Both outlive the reader. `workspace` holds root_level + 1 pages.
  Reader(S& source, MutableBytes workspace)
      : source_(source), workspace_(workspace) {}

  [[nodiscard]] Result<void> open() {
    forget();
    shape_ = {};
    if (!can_hold_tree(source_)) return fail(Error{Code::kBadShape});
    const std::size_t page_bytes = source_.page_bytes();
    if (workspace_.size() < page_bytes) return fail(Error{Code::kNoFrames});
    ODO_TRY(header_, newest_header(source_, workspace_.first(page_bytes)));
    if (workspace_.size() / page_bytes <= header_.root_level) {
      return fail(Error{Code::kNoFrames});
    }
    shape_ = *Shape::make(header_.page_bytes, header_.key_bytes,
                          header_.value_bytes);
    return {};
  }

  // After open().
  [[nodiscard]] const RootHeader& header() const { return header_; }
  [[nodiscard]] const Shape& shape() const { return shape_; }
  [[nodiscard]] bool empty() const { return header_.root.page == 0; }

  // Copies the value of `key` to `value`, if there is one.
  [[nodiscard]] Result<bool> find(Bytes key, MutableBytes value) {
    if (value.size() != shape_.value_bytes) {
      return fail(Error{Code::kBadShape});
    }
    ODO_TRY(const bool there, descend(key));
    if (!there) return false;
    const PageView leaf = view(0);
    const std::uint32_t i = leaf.lower(key.data());
    if (!leaf.is_at(i, key.data())) return false;
    copy_bytes(value, leaf.value(i));
    return settle(i);
  }

  // To the first entry whose key is not less than `key`; false if none is.
  [[nodiscard]] Result<bool> seek(Bytes key) {
    ODO_TRY(const bool there, descend(key));
    if (!there) return false;
    const PageView leaf = view(0);
    const std::uint32_t i = leaf.lower(key.data());
    if (i < leaf.count()) return settle(i);
    return step_leaf(Way::kForward);
  }

  // To the last entry whose key is less than `key`; false if none is.
  [[nodiscard]] Result<bool> seek_before(Bytes key) {
    ODO_TRY(const bool there, descend(key));
    if (!there) return false;
    const std::uint32_t i = view(0).lower(key.data());
    if (i > 0) return settle(i - 1);
    return step_leaf(Way::kBackward);
  }

  [[nodiscard]] Result<bool> seek_first() { return seek_end(Way::kForward); }
  [[nodiscard]] Result<bool> seek_last() { return seek_end(Way::kBackward); }

  // To the neighbour; false, and nowhere, past the last.
  [[nodiscard]] Result<bool> next() {
    if (!at_entry_) return false;
    if (steps_[0].index + 1 < view(0).count()) {
      return settle(steps_[0].index + 1);
    }
    return step_leaf(Way::kForward);
  }
  [[nodiscard]] Result<bool> prev() {
    if (!at_entry_) return false;
    if (steps_[0].index > 0) return settle(steps_[0].index - 1);
    return step_leaf(Way::kBackward);
  }

  // The entry that the cursor is at, until it moves. It is at one.
  [[nodiscard]] bool at_entry() const { return at_entry_; }
  [[nodiscard]] Bytes key() const {
    ODO_ASSERT(at_entry_);
    return {view(0).key(steps_[0].index), shape_.key_bytes};
  }
  [[nodiscard]] Bytes value() const {
    ODO_ASSERT(at_entry_);
    return view(0).value(steps_[0].index);
  }

  // Reads the whole tree. report(Finding) is told what is wrong with which
  // page, and what is below it is left out; visit(page) is told each page that
  // counts, which is how a store learns what is in use.
  template <class Report, class Visit>
  [[nodiscard]] Verified verify(const Report& report, const Visit& visit) {
    forget();
    Verified sum;
    if (shape_.page_bytes == 0 || empty()) return sum;
    const auto enter = [&](const Expected& expected) {
      if (const auto loaded = load(expected); !loaded) {
        ++sum.faults;
        report(Finding{loaded.error().code == Code::kCorrupt
                           ? loaded.error().fault
                           : Fault::kUnreadable,
                       expected.ref.page, expected.level});
        return false;
      }
      steps_[expected.level].index = 0;
      ++sum.pages;
      if (expected.level == 0) sum.entries += view(0).count();
      visit(expected.ref.page);
      return true;
    };
    if (!enter(root())) return sum;
    for (std::uint32_t level = header_.root_level;;) {
      const std::uint32_t i = steps_[level].index;
      if (level == 0 || i == view(level).count()) {
        if (level == header_.root_level) break;
        ++level;
        continue;
      }
      ++steps_[level].index;
      if (enter(child(level, i))) --level;
    }
    if (sum.faults == 0 &&
        (sum.pages != header_.pages || sum.entries != header_.entries)) {
      ++sum.faults;
      report(Finding{Fault::kTotals, header_.page, 0});
    }
    forget();
    return sum;
  }

 private:
  enum class Way : std::uint8_t { kForward, kBackward };

  struct Step {
    ChildRef loaded;      // which page the workspace holds at this level
    std::uint32_t index;  // of the entry that is the way down
  };

  [[nodiscard]] std::byte* bytes(std::uint32_t level) const {
    return workspace_.data() + std::size_t{level} * shape_.page_bytes;
  }
  [[nodiscard]] PageView view(std::uint32_t level) const {
    return {shape_, bytes(level)};
  }

  void forget() {
    at_entry_ = false;
    for (Step& step : steps_) step = {};
  }

  [[nodiscard]] bool settle(std::uint32_t index) {
    steps_[0].index = index;
    at_entry_ = true;
    return true;
  }

  [[nodiscard]] Expected root() const {
    static constexpr std::byte kWhole[kMaxKeyBytes] = {};
    return {header_.root, header_.root_level, kWhole,
            kWhole,       header_.tree,       source_.page_count()};
  }
  [[nodiscard]] Expected child(std::uint32_t level, std::uint32_t i) const {
    const PageView parent = view(level);
    return {parent.child(i), static_cast<std::uint8_t>(level - 1),
            parent.key(i),   parent.child_high(i),
            header_.tree,    source_.page_count()};
  }

  // Brings the page expected into its level of the workspace.
  [[nodiscard]] Result<void> load(const Expected& expected) {
    Step& step = steps_[expected.level];
    Fault fault;
    if (step.loaded == expected.ref) {
      fault = check_place(view(expected.level), expected);
    } else {
      step.loaded = {};
      const MutableBytes to(bytes(expected.level), shape_.page_bytes);
      ODO_TRY_VOID(source_.read(expected.ref.page, to));
      fault = check_page(shape_, to, expected);
    }
    if (fault != Fault::kNone) {
      step.loaded = {};
      return fail(Error{Code::kCorrupt, fault, expected.ref.page});
    }
    step.loaded = expected.ref;
    return {};
  }

  // To the leaf whose range holds `key`; false in an empty tree.
  [[nodiscard]] Result<bool> descend(Bytes key) {
    at_entry_ = false;
    if (shape_.page_bytes == 0) return fail(Error{Code::kClosed});
    if (key.size() != shape_.key_bytes) return fail(Error{Code::kBadShape});
    if (empty()) return false;
    ODO_TRY_VOID(load(root()));
    for (std::uint32_t level = header_.root_level; level > 0; --level) {
      steps_[level].index = view(level).child_for(key.data());
      ODO_TRY_VOID(load(child(level, steps_[level].index)));
    }
    return true;
  }

  // Down from `level`, whose page is loaded, by the first or the last children.
  [[nodiscard]] Result<bool> descend_edge(std::uint32_t level, Way way) {
    for (; level > 0; --level) {
      ODO_TRY_VOID(load(child(level, steps_[level].index)));
      steps_[level - 1].index =
          way == Way::kForward ? 0 : view(level - 1).count() - 1;
    }
    return settle(steps_[0].index);
  }

  [[nodiscard]] Result<bool> seek_end(Way way) {
    at_entry_ = false;
    if (shape_.page_bytes == 0) return fail(Error{Code::kClosed});
    if (empty()) return false;
    ODO_TRY_VOID(load(root()));
    const std::uint32_t top = header_.root_level;
    steps_[top].index = way == Way::kForward ? 0 : view(top).count() - 1;
    return descend_edge(top, way);
  }

  // To the nearest entry in the neighbour of the leaf that is loaded.
  [[nodiscard]] Result<bool> step_leaf(Way way) {
    at_entry_ = false;
    for (std::uint32_t level = 1; level <= header_.root_level; ++level) {
      std::uint32_t& index = steps_[level].index;
      if (way == Way::kForward && index + 1 < view(level).count()) {
        ++index;
        return descend_edge(level, way);
      }
      if (way == Way::kBackward && index > 0) {
        --index;
        return descend_edge(level, way);
      }
    }
    return false;
  }

  S& source_;
  MutableBytes workspace_;
  RootHeader header_{};
  Shape shape_;
  bool at_entry_ = false;
  Step steps_[kMaxLevels]{};
};

}  // namespace odo::btree::media
