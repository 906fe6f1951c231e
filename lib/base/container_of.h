// SPDX-License-Identifier: BSD-3-Clause
// From a member back to the object it lies in: what every intrusive container
// here stands on.
//
// Contexts: any.
// Origin: the Itanium C++ ABI (section 2.3), which both of our compilers
// follow, represents a pointer to a data member as its offset in bytes; so no
// object has to be invented to measure one.
#pragma once

#include <bit>
#include <cstddef>

namespace odo {

// The T whose member `pointer` is `*member`; the caller knows that it lies in
// one.
template <class T, class M>
[[nodiscard]] inline T* container_of(M* member, M T::* pointer) {
  static_assert(sizeof(pointer) == sizeof(std::ptrdiff_t));
  return reinterpret_cast<T*>(reinterpret_cast<std::byte*>(member) -
                              std::bit_cast<std::ptrdiff_t>(pointer));
}

}  // namespace odo
