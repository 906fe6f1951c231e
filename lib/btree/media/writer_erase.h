// SPDX-License-Identifier: BSD-3-Clause
// The parts of writer.h that erase, and what keeps pages full enough: two
// neighbours under one parent merge if they fit in one page with room to spare,
// and share evenly if not.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/btree/media/writer.h"

namespace odo::btree::media {

template <PageStore S, std::size_t MaxFrames>
Result<bool> Writer<S, MaxFrames>::erase(Bytes key) {
  ODO_TRY_VOID(ready());
  if (key.size() != shape_.key_bytes) return fail(Error{Code::kBadShape});
  if (tree_.root.page == 0) return false;
  const Pins pins(frames_);
  ODO_TRY_VOID(descend(key.data()));
  const std::uint32_t i = view(path_[0].frame).lower(key.data());
  if (!view(path_[0].frame).is_at(i, key.data())) return false;
  ODO_TRY_VOID(own_path());
  Mend mends[kMaxLevels];
  ODO_TRY(const std::uint32_t count, plan_mends(mends));

  edit(path_[0].frame).close_entry(i);
  if (tree_.entries > 1) --tree_.entries;
  for (std::uint32_t level = 0; level < count; ++level) mend(mends[level]);
  if (tree_.root_level > 0) {
    collapse_root();
  } else if (view(path_[0].frame).count() == 0) {
    forget_page(path_[0].frame);
    tree_ = {};
  }
  return true;
}

// Finds out what losing one entry of the path's leaf costs, and takes what that
// needs: the neighbours of the leaf and of each page that loses a child to a
// merge. Answers how many levels there are to mend.
template <PageStore S, std::size_t MaxFrames>
Result<std::uint32_t> Writer<S, MaxFrames>::plan_mends(Mend* mends) {
  for (std::uint32_t level = 0; level < tree_.root_level; ++level) {
    const std::uint32_t frame = path_[level].frame;
    const std::uint32_t slots = shape_.slots(level);
    const std::uint32_t count = view(frame).count() - 1;
    const std::uint32_t least = level == 0 ? policy::least_in_leaf(slots)
                                           : policy::least_in_inner(slots);
    if (count >= least) return level;
    const auto [parent, index] = path_[level + 1];
    const bool has_right = index + 1 < view(parent).count();
    const std::uint32_t sibling_index = has_right ? index + 1 : index - 1;
    ODO_TRY(const std::uint32_t sibling, fetch_child(parent, sibling_index));
    const bool merges = policy::merges(count + view(sibling).count(), slots);
    // The right one of two that merge is only read.
    if (!merges || !has_right) {
      ODO_TRY_VOID(own(sibling, parent, sibling_index));
    }
    mends[level] = {has_right ? frame : sibling, has_right ? sibling : frame,
                    parent, has_right ? index : sibling_index, merges};
    if (!merges) return level + 1;
  }
  return std::uint32_t{tree_.root_level};
}

template <PageStore S, std::size_t MaxFrames>
void Writer<S, MaxFrames>::mend(const Mend& plan) {
  PageEdit left = edit(plan.left);
  PageEdit right = edit(plan.right);
  PageEdit parent = edit(plan.parent);
  if (plan.merges) {
    left.append_from(right, right.count());
    left.set_high(right.high());
    parent.close_entry(plan.at + 1);
    forget_page(plan.right);
    return;
  }
  const std::uint32_t half = (left.count() + right.count()) / 2;
  if (left.count() < half) {
    left.pull_left(right, half - left.count());
  } else {
    left.push_right(right, left.count() - half);
  }
  right.set_low(right.key(0));
  left.set_high(right.low());
  parent.set_key(plan.at + 1, right.low());
}

// A root with one child gives way to it.
template <PageStore S, std::size_t MaxFrames>
void Writer<S, MaxFrames>::collapse_root() {
  const std::uint32_t frame = path_[tree_.root_level].frame;
  if (view(frame).count() > 1) return;
  const ChildRef child = view(frame).child(0);
  forget_page(frame);
  tree_.root = child;
  --tree_.root_level;
}

}  // namespace odo::btree::media
