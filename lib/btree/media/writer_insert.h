// SPDX-License-Identifier: BSD-3-Clause
// The parts of writer.h that insert: into a leaf that has room, or after making
// some among its neighbours or by a new leaf.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/btree/media/writer.h"

namespace odo::btree::media {

template <PageStore S, std::size_t MaxFrames>
Result<bool> Writer<S, MaxFrames>::put(Bytes key, Bytes value,
                                       IfThere if_there) {
  ODO_TRY_VOID(ready());
  if (key.size() != shape_.key_bytes || value.size() != shape_.value_bytes) {
    return fail(Error{Code::kBadShape});
  }
  const Pins pins(frames_);
  if (tree_.root.page == 0) ODO_TRY_VOID(plant());
  ODO_TRY_VOID(descend(key.data()));
  const PageView leaf = view(path_[0].frame);
  const std::uint32_t i = leaf.lower(key.data());
  if (leaf.is_at(i, key.data())) {
    if (if_there == IfThere::kReplace) {
      ODO_TRY_VOID(own_path());
      edit(path_[0].frame).set_value(i, value);
    }
    return false;
  }
  ODO_TRY_VOID(own_path());
  Place place{path_[0].frame, i};
  if (leaf.count() == leaf.slots()) [[unlikely]] {
    ODO_TRY(place, make_room(key.data(), i));
  }
  PageEdit page = edit(place.frame);
  page.open_entry(place.index);
  page.set_key(place.index, key.data());
  page.set_value(place.index, value);
  ++tree_.entries;
  return true;
}

// Gives an empty tree a leaf, which is about to get its first entry: nothing
// can be refused from here on, as the leaf is in a frame.
template <PageStore S, std::size_t MaxFrames>
Result<void> Writer<S, MaxFrames>::plant() {
  Spares spares(*this);
  ODO_TRY_VOID(spares.take());
  const PageView leaf = view(spares.use(0));
  tree_.root = {leaf.page(), 0, leaf.generation()};
  tree_.root_level = 0;
  changed_ = true;
  return {};
}

// Makes room for `key` at index `at` of the path's leaf, which is full, and
// answers where it goes now. The path is good for nothing afterwards.
template <PageStore S, std::size_t MaxFrames>
auto Writer<S, MaxFrames>::make_room(const std::byte* key, std::uint32_t at)
    -> Result<Place> {
  const PageView leaf = view(path_[0].frame);
  Spares spares(*this);
  if ((leaf.rightmost() && at == leaf.count()) ||
      (leaf.leftmost() && at == 0)) {
    ODO_TRY_VOID(take_inners(spares));
    ODO_TRY_VOID(spares.take());
    return grow_edge(key, at, spares);
  }
  std::uint32_t list[kSpread + 1] = {path_[0].frame};
  policy::Window window{0, 1};
  if (tree_.root_level > 0) {
    const auto [parent, index] = path_[1];
    window = policy::spread_window(index, view(parent).count(), kSpread);
    std::uint32_t elements = 0;
    for (std::uint32_t i = 0; i < window.count; ++i) {
      ODO_TRY(list[i], fetch_child(parent, window.first + i));
      elements += view(list[i]).count();
    }
    for (std::uint32_t i = 0; i < window.count; ++i) {
      ODO_TRY_VOID(own(list[i], parent, window.first + i));
    }
    if (policy::sharing_gains(elements, window.count, leaf.slots())) {
      return spread(list, window.count, kNoFrame, window.first, key, at);
    }
  }
  ODO_TRY_VOID(take_inners(spares));
  ODO_TRY_VOID(spares.take());
  const std::uint32_t fresh = spares.use(0);
  const std::uint32_t middle = (window.count + 1) / 2;
  for (std::uint32_t i = window.count; i > middle; --i) list[i] = list[i - 1];
  list[middle] = fresh;
  // If it is the last of them, it ends where they ended.
  edit(fresh).set_high(view(list[middle - 1]).high());
  const Place place =
      spread(list, window.count + 1, fresh, window.first, key, at);
  add_child(1, window.first + middle, Newcomer(view(fresh), view(fresh).low()),
            spares);
  return place;
}

// Keys that come in order leave full leaves behind: `key` gets a leaf alone, at
// the tree's end (or beginning).
template <PageStore S, std::size_t MaxFrames>
auto Writer<S, MaxFrames>::grow_edge(const std::byte* key, std::uint32_t at,
                                     Spares& spares) -> Place {
  PageEdit leaf = edit(path_[0].frame);
  const std::uint32_t frame = spares.use(0);
  PageEdit fresh = edit(frame);
  if (at > 0) {
    leaf.set_high(key);
    fresh.set_low(key);
    add_child(1, tree_.root_level == 0 ? 1 : path_[1].index + 1,
              Newcomer(fresh, key), spares);
  } else {
    const Newcomer newcomer(fresh, leaf.key(0));
    leaf.set_low(newcomer.border);
    fresh.set_high(newcomer.border);
    add_child(1, 0, newcomer, spares);
  }
  return {frame, 0};
}

// Shares the elements of `leaves` leaves evenly, counting the one that will
// come at index `at` of the path's leaf, and gives them their ranges. They are
// the children from `first` on of the path's parent, if there is one, but for
// `fresh`, which it doesn't know yet.
template <PageStore S, std::size_t MaxFrames>
auto Writer<S, MaxFrames>::spread(const std::uint32_t* list,
                                  std::uint32_t leaves, std::uint32_t fresh,
                                  std::uint32_t first, const std::byte* key,
                                  std::uint32_t at) -> Place {
  std::uint32_t have[kSpread + 1] = {};
  std::uint32_t want[kSpread + 1] = {};
  std::uint32_t elements = 0;
  std::uint32_t place = 0;  // of the one to come, in all
  for (std::uint32_t i = 0; i < leaves; ++i) {
    if (list[i] == path_[0].frame) place = elements + at;
    have[i] = view(list[i]).count();
    elements += have[i];
  }
  const policy::Landing landing =
      policy::share_out(elements, place, leaves, want);
  policy::even_out(
      have, want, leaves,
      [&](std::uint32_t i, std::uint32_t n) {
        PageEdit right = edit(list[i + 1]);
        edit(list[i]).push_right(right, n);
      },
      [&](std::uint32_t i, std::uint32_t n) {
        PageEdit right = edit(list[i + 1]);
        edit(list[i]).pull_left(right, n);
      });
  std::uint32_t child = first;
  for (std::uint32_t i = 0; i < leaves; ++i) {
    const bool begins = landing.node == i && landing.index == 0;
    const std::byte* border = begins ? key : view(list[i]).key(0);
    if (i > 0) {
      edit(list[i]).set_low(border);
      edit(list[i - 1]).set_high(border);
    }
    if (list[i] == fresh) continue;
    if (i > 0) edit(path_[1].frame).set_key(child, border);
    ++child;
  }
  return {list[landing.node], landing.index};
}

// Takes the inner pages that a new leaf costs: one for each full page on its
// way up, and a root.
template <PageStore S, std::size_t MaxFrames>
Result<void> Writer<S, MaxFrames>::take_inners(Spares& spares) {
  std::uint32_t level = 1;
  for (; level <= tree_.root_level; ++level) {
    if (view(path_[level].frame).count() < shape_.inner_slots) return {};
    ODO_TRY_VOID(spares.take());
  }
  if (level == kMaxLevels) return fail(Error{Code::kTooDeep});
  return spares.take();
}

// Puts `newcomer` at child index `at` of the path's page on `level`, splitting
// full pages on the way up, and making a root above if there is none.
template <PageStore S, std::size_t MaxFrames>
void Writer<S, MaxFrames>::add_child(std::uint32_t level, std::uint32_t at,
                                     Newcomer newcomer, Spares& spares) {
  for (; level <= tree_.root_level; ++level) {
    const std::uint32_t frame = path_[level].frame;
    PageEdit inner = edit(frame);
    if (inner.count() < shape_.inner_slots) {
      insert_child(frame, at, newcomer);
      return;
    }
    const std::uint32_t right_frame = spares.use(level);
    PageEdit right = edit(right_frame);
    const std::uint32_t keep =
        policy::split_keeps(shape_.inner_slots, at, inner.edge());
    inner.push_right(right, inner.count() - keep);
    right.set_low(right.key(0));
    right.set_high(inner.high());
    inner.set_high(right.low());
    if (at <= keep) {
      insert_child(frame, at, newcomer);
    } else {
      insert_child(right_frame, at - keep, newcomer);
    }
    newcomer = Newcomer(right, right.low());
    at = level == tree_.root_level ? 1 : path_[level + 1].index + 1;
  }
  const std::uint32_t frame = spares.use(level);
  PageEdit root = edit(frame);
  root.open_entry(0);
  root.set_key(0, kWhole);
  root.set_child(0, tree_.root);
  insert_child(frame, at, newcomer);
  tree_.root = {root.page(), 0, root.generation()};
  tree_.root_level = static_cast<std::uint8_t>(level);
}

template <PageStore S, std::size_t MaxFrames>
void Writer<S, MaxFrames>::insert_child(std::uint32_t frame, std::uint32_t at,
                                        const Newcomer& newcomer) {
  PageEdit inner = edit(frame);
  if (at > 0) {
    inner.open_entry(at);
    inner.set_key(at, newcomer.border);
    inner.set_child(at, newcomer.ref);
    return;
  }
  // A new first child takes the beginning of the range from the old one.
  inner.open_entry(1);
  inner.set_key(1, newcomer.border);
  inner.set_child(1, inner.child(0));
  inner.set_child(0, newcomer.ref);
}

}  // namespace odo::btree::media
