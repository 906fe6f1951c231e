// SPDX-License-Identifier: BSD-3-Clause
// The parts of string_tree.h that insert: into a leaf that has room, or after
// building new pages in place of one or two full ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "lib/btree/string_tree.h"

namespace odo::btree::detail {

template <class V, class O>
template <class Fill>
auto StringTree<V, O>::insert(std::string_view key, Fill&& fill)
    -> Result<Inserted> {
  if (key.size() > kMaxKeyBytes) return fail(Error::kTooLong);
  PositionT at;
  if (root_ == nullptr) {
    ODO_TRY(at, make_first(key));
  } else {
    PathT path;
    descend(key, path);
    const auto place = path.leaf->template locate<Bound::kLower>(key);
    if (place.found) return Inserted{{path.leaf, place.index}, false};
    path.index = place.index;
    at = {path.leaf, path.index};
    if (at.leaf->has_room_for(key)) [[likely]] {
      at.leaf->put(at.index, key);
    } else {
      ODO_TRY(at, make_room(path, key));
    }
  }
  if constexpr (kHasValues) {
    fill(at.leaf->value(at.index));
  } else {
    fill(static_cast<V*>(nullptr));
  }
  ++size_;
  return Inserted{at, true};
}

template <class V, class O>
template <class Fill>
Result<void> StringTree<V, O>::append(std::string_view key, Fill&& fill) {
  if (LeafT* leaf = tail_; leaf != nullptr) {
    const bool fits = leaf->continues_with(key) && key.size() <= kMaxKeyBytes &&
                      leaf->has_room_behind_prefix(key.size());
    if (fits) [[likely]] {
      const std::uint32_t at = leaf->count();
      leaf->put(at, key);
      if constexpr (kHasValues) fill(leaf->value(at));
      ++size_;
      return {};
    }
    const auto place = leaf->template locate<Bound::kUpper>(key);
    if (place.found || place.index < leaf->count()) {
      return fail(Error::kUnsorted);
    }
  }
  ODO_TRY_VOID(insert(key, std::forward<Fill>(fill)));
  return {};
}

template <class V, class O>
auto StringTree<V, O>::make_first(std::string_view key) -> Result<PositionT> {
  StringRun<LeafT> run;
  run.add(key, nullptr);
  const auto shape = run.shape(0, 1);
  auto* leaf = new_page<LeafT>(shape, kLeafBytes);
  if (leaf == nullptr) return fail(Error::kNoMemory);
  run.fill(shape, leaf);
  root_ = head_ = tail_ = leaf;
  return PositionT{leaf, 0};
}

// Builds what has room for `key` at path.index, and answers where it is. First
// choice is the leaf itself anew: without dead bytes, by a better prefix, or
// with more slots. Then it shares with a neighbour, if both stay a little
// empty; else two become three.
template <class V, class O>
auto StringTree<V, O>::make_room(PathT& path, std::string_view key)
    -> Result<PositionT> {
  using Shape = LeafT::Shape;
  // Building anew is worth it while some room comes of it.
  constexpr std::uint32_t kFull = kLeafBytes - kLeafBytes / 8;
  LeafT* leaf = path.leaf;
  const bool appends = leaf == tail_ && path.index == leaf->count();
  const bool prepends = leaf == head_ && path.index == 0;
  Children children;
  std::uint32_t place = path.index;
  Shape shapes[3];
  LeafT* olds[2] = {leaf, nullptr};
  if (path.height > 0) children.first = path.steps[path.height - 1].index;

  const auto add_leaf = [&](StringRun<LeafT>& run) {
    run.add(leaf, 0, path.index);
    run.add(key, nullptr);
    run.add(leaf, path.index, leaf->count() - path.index);
  };
  const auto cut_at = [&](const StringRun<LeafT>& run, std::uint32_t border) {
    const StringKey right = run.key(border);
    return right.first(right.common(run.key(border - 1)) + 1);
  };
  // Into children.count parts of about equal size; true if all are usual ones.
  const auto divide = [&](const StringRun<LeafT>& run, std::uint32_t most) {
    std::uint32_t from = 0;
    bool small = true;
    for (std::uint32_t i = 0; i < children.count; ++i) {
      std::uint32_t to = run.count();
      if (i + 1 < children.count) {
        to = best_border(run, run.divide(i + 1, children.count));
        if (to <= from) return false;
        children.separators[i + 1] = cut_at(run, to);
      }
      if (to <= from) return false;
      shapes[i] = run.shape(from, to - from);
      small = small && shapes[i].bytes() <= most;
      from = to;
    }
    return small;
  };

  StringRun<LeafT> run;
  add_leaf(run);
  shapes[0] = run.shape(0, run.count());
  bool keeps = false;  // the leaf stays as it is beside a new one
  if (shapes[0].bytes() <= kFull) {
    children.count = 1;
  } else if (appends || prepends) {
    // Keys that come in order leave full leaves behind.
    keeps = true;
    children.count = 2;
    const std::uint32_t border = appends ? run.count() - 1 : 1;
    children.separators[1] = cut_at(run, border);
    shapes[0] = run.shape(place, 1);
  } else {
    bool done = false;
    if (path.height > 0) {
      const auto [parent, index] = path.steps[path.height - 1];
      LeafT* before =
          index > 0 ? static_cast<LeafT*>(parent->child(index - 1)) : nullptr;
      LeafT* after = index < parent->count()
                         ? static_cast<LeafT*>(parent->child(index + 1))
                         : nullptr;
      if (before != nullptr && after != nullptr) {
        // The emptier one.
        (before->used() < after->used() ? after : before) = nullptr;
      }
      if (before != nullptr || after != nullptr) {
        StringRun<LeafT> both;
        if (before != nullptr) both.add(before, 0, before->count());
        add_leaf(both);
        if (after != nullptr) both.add(after, 0, after->count());
        children.gone = 2;
        children.count = 2;
        // Both would be full soon again if they had no more room than this.
        const std::uint32_t used =
            leaf->used() + (before != nullptr ? before : after)->used();
        done = used < 2 * kFull && divide(both, kFull);
        if (!done) {
          children.count = 3;
          done = divide(both, kLeafBytes);
        }
        if (done) {
          run = both;
          if (before != nullptr) {
            --children.first;
            place += before->count();
            olds[0] = before;
            olds[1] = leaf;
          } else {
            olds[1] = after;
          }
        }
      }
    }
    if (!done) {
      children.gone = 1;
      children.count = 2;
      if (!divide(run, kLeafBytes)) {
        // Keys of very different length, or one that has not the others'
        // prefix.
        const std::uint32_t border = smallest_border(run, 0);
        children.separators[1] = cut_at(run, border);
        shapes[0] = run.shape(0, border);
        shapes[1] = run.shape(border, run.count() - border);
      }
    }
  }

  Work work(*this);
  LeafT* fresh[3] = {};
  const std::uint32_t made = keeps ? 1 : children.count;
  for (std::uint32_t i = 0; i < made; ++i) {
    fresh[i] = work.take_leaf(shapes[i]);
    if (fresh[i] == nullptr) return fail(Error::kNoMemory);
    children.pages[i] = fresh[i];
  }
  if (keeps) {
    children.pages[appends ? 0 : 1] = leaf;
    children.pages[appends ? 1 : 0] = fresh[0];
  }
  Edit edit;
  if (!plan(path, children, appends, prepends, work, edit)) {
    return fail(Error::kNoMemory);
  }
  // From here on nothing fails. Separators lie in the old leaves.
  carry_out(edit);
  PositionT at;
  for (std::uint32_t i = 0; i < made; ++i) {
    run.fill(shapes[i], fresh[i]);
    if (place >= shapes[i].first && place < shapes[i].first + shapes[i].count) {
      at = {fresh[i], place - shapes[i].first};
    }
  }
  if (keeps) {
    if (appends) {
      link(leaf, fresh[0], *this);
      link(fresh[0], nullptr, *this);
    } else {
      link(fresh[0], leaf, *this);
      link(nullptr, fresh[0], *this);
    }
  } else {
    LeafT* before = olds[0]->prev;
    LeafT* after = (children.gone == 2 ? olds[1] : olds[0])->next;
    for (std::uint32_t i = 0; i < made; ++i) {
      link(before, fresh[i], *this);
      before = fresh[i];
    }
    link(before, after, *this);
    for (std::uint32_t i = 0; i < children.gone; ++i) free_page(olds[i]);
  }
  work.commit();
  return at;
}

// Around the `ideal` border, the one whose separator is shortest.
template <class V, class O>
template <class PageT>
std::uint32_t StringTree<V, O>::best_border(const StringRun<PageT>& run,
                                            std::uint32_t ideal) {
  const std::uint32_t reach = run.count() / 16 + 1;
  if (ideal >= run.count()) ideal = run.count() - 1;
  const std::uint32_t from = ideal > reach ? ideal - reach : 1;
  const std::uint32_t to =
      ideal + reach < run.count() ? ideal + reach : run.count() - 1;
  std::uint32_t best = ideal;
  std::size_t least = kMaxKeyBytes + 1;
  StringKey before = run.key(from - 1);
  for (std::uint32_t at = from; at <= to; ++at) {
    const StringKey key = run.key(at);
    const std::size_t size = key.common(before);
    before = key;
    const auto distance = [&](std::uint32_t border) {
      return border < ideal ? ideal - border : border - ideal;
    };
    if (size < least || (size == least && distance(at) < distance(best))) {
      least = size;
      best = at;
    }
  }
  return best;
}

// Around the middle of an inner page's run, the shortest separator.
template <class V, class O>
std::uint32_t StringTree<V, O>::shortest_separator(
    const StringRun<InnerT>& run) {
  const std::uint32_t ideal = run.divide(1, 2);
  const std::uint32_t reach = run.count() / 6 + 1;
  std::uint32_t best = 1;
  std::size_t least = kMaxKeyBytes + 1;
  for (std::uint32_t at = ideal > reach ? ideal - reach : 1;
       at <= ideal + reach && at + 1 < run.count(); ++at) {
    const std::size_t size = run.key(at).size();
    if (size < least) {
      least = size;
      best = at;
    }
  }
  return best;
}

// The border that makes the larger side as small as can be; `up` keys behind it
// (one, of inner pages) are on neither side.
template <class V, class O>
template <class PageT>
std::uint32_t StringTree<V, O>::smallest_border(const StringRun<PageT>& run,
                                                std::uint32_t up) {
  std::uint32_t best = 1;
  std::uint32_t least = ~std::uint32_t{0};
  for (std::uint32_t at = 1; at + up < run.count(); ++at) {
    const std::uint32_t left = run.shape(0, at).bytes();
    const std::uint32_t right =
        run.shape(at + up, run.count() - at - up).bytes();
    const std::uint32_t larger = left < right ? right : left;
    if (larger < least) {
      least = larger;
      best = at;
    }
  }
  return best;
}

// Whether `children` can take their places in `inner` as it is.
template <class V, class O>
bool StringTree<V, O>::fits(const InnerT* inner, const Children& children) {
  std::uint32_t tails = 0;
  for (std::uint32_t i = 1; i < children.count; ++i) {
    const StringKey& separator = children.separators[i];
    if (!separator.starts_with(inner->prefix())) return false;
    tails += InnerT::tail_bytes(separator.size() - inner->prefix().size());
  }
  return inner->count() + children.count - children.gone <= inner->slots() &&
         tails <= inner->free_bytes();
}

template <class V, class O>
void StringTree<V, O>::apply(InnerT* inner, const Children& children) {
  inner->set_child(children.first, children.pages[0]);
  inner->remove(children.first, children.gone - 1);
  for (std::uint32_t i = 1; i < children.count; ++i) {
    const std::uint32_t at = children.first + i - 1;
    inner->put(at, children.separators[i]);
    *inner->value(at) = children.pages[i];
  }
}

// Finds how the inner pages above take `children`: on the way up, pages that
// have no room are built anew, or as two, up to where `edit` says what remains
// to be done. False if memory ran out.
template <class V, class O>
bool StringTree<V, O>::plan(const PathT& path, Children children, bool appends,
                            bool prepends, Work& work, Edit& edit) {
  constexpr std::uint32_t kFull = kInnerBytes - kInnerBytes / 8;
  std::uint32_t level = path.height;
  for (; level > 0; --level) {
    InnerT* inner = path.steps[level - 1].node;
    if (fits(inner, children)) {
      edit = {inner, children};
      return true;
    }
    StringRun<InnerT> run;
    const std::uint32_t first = children.first;
    if (first > 0) {
      run.add(inner, 0, first - 1);
      run.add(inner->key(first - 1), children.pages[0]);
    }
    for (std::uint32_t i = 1; i < children.count; ++i) {
      run.add(children.separators[i], children.pages[i]);
    }
    const std::uint32_t rest = first + children.gone - 1;
    run.add(inner, rest, inner->count() - rest);
    void* leftmost = first == 0 ? children.pages[0] : inner->child(0);

    Children above;
    if (level > 1) above.first = path.steps[level - 2].index;
    auto shape = run.shape(0, run.count());
    if (shape.bytes() <= kFull || run.count() < 3) {
      InnerT* page = work.take_inner(shape);
      if (page == nullptr) return false;
      run.fill(shape, page);
      page->set_child(0, leftmost);
      above.count = 1;
      above.pages[0] = page;
    } else {
      std::uint32_t border = shortest_separator(run);
      // Keys in order leave full pages behind; the new one has a separator.
      if (appends) border = run.count() - 2;
      if (prepends) border = 1;
      typename InnerT::Shape left;
      typename InnerT::Shape right;
      const auto cut = [&] {
        left = run.shape(0, border);
        right = run.shape(border + 1, run.count() - border - 1);
        return left.bytes() <= kInnerBytes && right.bytes() <= kInnerBytes;
      };
      if (!cut()) {
        border = smallest_border(run, 1);
        cut();
      }
      InnerT* pages[2] = {work.take_inner(left), nullptr};
      if (pages[0] == nullptr) return false;
      pages[1] = work.take_inner(right);
      if (pages[1] == nullptr) return false;
      run.fill(left, pages[0]);
      run.fill(right, pages[1]);
      pages[0]->set_child(0, leftmost);
      pages[1]->set_child(0, run.child(border));
      above.count = 2;
      above.pages[0] = pages[0];
      above.pages[1] = pages[1];
      above.separators[1] = run.key(border);
    }
    work.old[work.olds++] = inner;
    children = above;
  }
  edit = {nullptr, children};
  if (children.count == 1) return true;
  StringRun<InnerT> run;
  for (std::uint32_t i = 1; i < children.count; ++i) {
    run.add(children.separators[i], children.pages[i]);
  }
  const auto shape = run.shape(0, run.count());
  InnerT* root = work.take_inner(shape);
  if (root == nullptr) return false;
  run.fill(shape, root);
  root->set_child(0, children.pages[0]);
  edit.children.pages[0] = root;
  return true;
}

template <class V, class O>
void StringTree<V, O>::carry_out(const Edit& edit) {
  if (edit.inner != nullptr) {
    apply(edit.inner, edit.children);
    return;
  }
  root_ = edit.children.pages[0];
  if (edit.children.count > 1) ++height_;
}

}  // namespace odo::btree::detail
