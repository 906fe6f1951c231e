// SPDX-License-Identifier: BSD-3-Clause
// Moves the objects in a node's slots: uninitialised arrays whose live part is
// known to the node alone.
//
// Contexts: any. Never allocates; calls the move constructor and destructor of
//   T, or neither of them if T may be moved as bytes.
// Complexity: O(n); one memmove for types that may be moved as bytes.
#pragma once

#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

namespace odo::btree {

// Whether an object of T is moved by copying its bytes and forgetting the
// original. Specialise it for types of your own of which that is true though
// they are not trivially copyable (owning handles, most strings).
template <class T>
inline constexpr bool kTriviallyRelocatable = std::is_trivially_copyable_v<T>;

// The value of a set: none, and no room for it.
struct NoValue {};

// Room for N objects, none of them alive at first.
template <class T, std::size_t N>
union Slots {
  Slots() {}
  ~Slots() {}
  Slots(const Slots&) = delete;
  Slots& operator=(const Slots&) = delete;

  T items[N];
};

// Moves `count` objects from `from` to `to`; the ranges may overlap. Where they
// don't, `to` holds no objects before and `from` none after.
template <class T>
void relocate(T* to, T* from, std::size_t count) {
  if constexpr (kTriviallyRelocatable<T>) {
    // The compiler's own declaration: bytes move whatever T's class says.
    __builtin_memmove(static_cast<void*>(to), static_cast<void*>(from),
                      count * sizeof(T));
  } else if (to < from) {
    for (std::size_t i = 0; i < count; ++i) {
      std::construct_at(to + i, std::move(from[i]));
      std::destroy_at(from + i);
    }
  } else if (to > from) {
    for (std::size_t i = count; i-- > 0;) {
      std::construct_at(to + i, std::move(from[i]));
      std::destroy_at(from + i);
    }
  }
}

// Opens a hole of one slot at `at` in the `count` live objects of `items`.
template <class T>
void open_slot(T* items, std::size_t count, std::size_t at) {
  // Keys that come in order move nothing: spare them the call.
  if (at < count) relocate(items + at + 1, items + at, count - at);
}

// Ends the object at `at` and closes the hole; `count` are alive before.
template <class T>
void close_slots(T* items, std::size_t count, std::size_t at,
                 std::size_t gone) {
  std::destroy_n(items + at, gone);
  relocate(items + at, items + at + gone, count - at - gone);
}

}  // namespace odo::btree
