// SPDX-License-Identifier: BSD-3-Clause
// How a concurrent tree is read: the templates of concurrent.h.
//
// Contexts: as there; each header includes the other, so that either may come
//   first.
#pragma once

#include <cstddef>
#include <optional>
#include <type_traits>

#include "lib/base/annotations.h"
#include "lib/base/check.h"
#include "lib/btree/concurrent.h"

namespace odo::btree {

// Lets look(walk, go) read the leaf that may hold `key`, until it says that
// what it read holds. go(other_walk, other_key) leads on to another leaf, or is
// false.
template <WordSized Key, WordSized Value, ConcurrentPlatform P, class Options>
template <class Look>
ODO_ALWAYS_INLINE void ConcurrentBTree<Key, Value, P, Options>::look(
    Key key, Look&& look) const {
  for (unsigned tries = 0; tries < Options::kTries; ++tries) {
    const detail::Section<P> section(platform_);
    detail::Walk<Kit> walk(platform_);
    const auto go = [this](detail::Walk<Kit>& other, Key other_key) {
      return other.to_leaf(anchor_, other_key, less_);
    };
    if (go(walk, key) && look(walk, go)) return;
  }
  look_locked(key, look);
}

// The same by locks. Apart: what it needs of the stack, others need not.
template <WordSized Key, WordSized Value, ConcurrentPlatform P, class Options>
template <class Look>
ODO_NOINLINE void ConcurrentBTree<Key, Value, P, Options>::look_locked(
    Key key, Look& look) const {
  const detail::Section<P> section(platform_);
  detail::LockedPath<Kit> path(platform_);
  detail::Walk<Kit> walk(platform_);
  const auto go = [this, &path](detail::Walk<Kit>& other, Key other_key) {
    path.to_leaf(other, anchor_, other_key, less_);
    return true;
  };
  (void)go(walk, key);
  const bool holds = look(walk, go);
  ODO_CHECK(holds);
}

template <WordSized Key, WordSized Value, ConcurrentPlatform P, class Options>
std::optional<Value> ConcurrentBTree<Key, Value, P, Options>::find(
    Key key) const {
  std::optional<Value> found;
  look(key, [&](detail::Walk<Kit>& walk, const auto&) {
    found.reset();
    if (walk.node != nullptr) {
      const Leaf& leaf = Kit::leaf(*walk.node);
      const std::size_t n = leaf.size();
      const std::size_t at = leaf.lower(n, key, less_);
      if (leaf.is_at(at, n, key, less_)) found = leaf.values[at].get();
    }
    return walk.holds();
  });
  return found;
}

template <WordSized Key, WordSized Value, ConcurrentPlatform P, class Options>
auto ConcurrentBTree<Key, Value, P, Options>::first_at_or_after(Key key) const
    -> std::optional<Entry> {
  std::optional<Entry> found;
  // What a leaf has from `from` on.
  const auto first_of = [&](const Leaf& leaf, Key from) {
    const std::size_t n = leaf.size();
    const std::size_t at = leaf.lower(n, from, less_);
    if (at < n) found = Entry{leaf.keys[at].get(), leaf.values[at].get()};
  };
  look(key, [&](detail::Walk<Kit>& walk, const auto& go) {
    found.reset();
    if (walk.node == nullptr) return walk.holds();
    first_of(Kit::leaf(*walk.node), key);
    if (found.has_value() || !walk.is_bounded) return walk.holds();
    // Nothing in this leaf; the next one begins at its bound and is not empty
    // (T2). Both must have been so at one moment: that of the second.
    detail::Walk<Kit> next(platform_);
    if (!go(next, walk.bound) || next.node == nullptr) return false;
    first_of(Kit::leaf(*next.node), walk.bound);
    return found.has_value() && next.holds() && walk.holds_now();
  });
  return found;
}

template <WordSized Key, WordSized Value, ConcurrentPlatform P, class Options>
void ConcurrentBTree<Key, Value, P, Options>::read_page(Key from,
                                                        Page& page) const {
  look(from, [&](detail::Walk<Kit>& walk, const auto&) {
    page.count = 0;
    page.is_bounded = walk.is_bounded;
    page.bound = walk.bound;
    if (walk.node != nullptr) {
      const Leaf& leaf = Kit::leaf(*walk.node);
      const std::size_t n = leaf.size();
      for (std::size_t i = leaf.lower(n, from, less_); i < n; ++i) {
        page.entries[page.count++] = {leaf.keys[i].get(), leaf.values[i].get()};
      }
    }
    return walk.holds();
  });
}

template <WordSized Key, WordSized Value, ConcurrentPlatform P, class Options>
template <class Visit>
std::size_t ConcurrentBTree<Key, Value, P, Options>::scan(Key from,
                                                          std::size_t limit,
                                                          Visit&& visit) const {
  Page page;
  std::size_t visited = 0;
  while (visited < limit) {
    read_page(from, page);
    for (std::size_t i = 0; i < page.count && visited < limit; ++i) {
      const Entry& entry = page.entries[i];
      ++visited;
      if constexpr (std::is_void_v<decltype(visit(entry.key, entry.value))>) {
        visit(entry.key, entry.value);
      } else {
        if (!visit(entry.key, entry.value)) return visited;
      }
    }
    if (!page.is_bounded) break;
    // Pages adjoin: the next begins where this one's keys end.
    from = page.bound;
  }
  return visited;
}

template <WordSized Key, WordSized Value, ConcurrentPlatform P, class Options>
std::size_t ConcurrentBTree<Key, Value, P, Options>::size() const {
  // Single counts may have wrapped below 0; their sum has not.
  std::uint64_t all = 0;
  for (const Count& count : counts_) {
    all += count.elements.load(std::memory_order_relaxed);
  }
  return all;
}

}  // namespace odo::btree
