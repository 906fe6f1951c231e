// SPDX-License-Identifier: BSD-3-Clause
// What the allocator asks of the ground it stands on, and what it tells it when
// it is misused.
//
// Contexts: each function says its own.
// Failure: map() may; nothing else does. kmalloc_fault() does not return.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <source_location>

#include "lib/platform/concepts.h"
#include "lib/platform/spinlock.h"

namespace odo::kmalloc {

enum class Misuse : std::uint8_t {
  kDoubleFree,  // what is free already
  kNotOurs,     // an address that was never given out
  kInterior,    // not the beginning of an object
  kWrongSize,   // a sized free with another size
  kOverrun,     // written behind the end of an object
  kWrittenFree  // written after it was freed
};

[[nodiscard]] constexpr const char* misuse_text(Misuse what) {
  switch (what) {
    case Misuse::kDoubleFree:
      return "freed twice";
    case Misuse::kNotOurs:
      return "freed, but never allocated";
    case Misuse::kInterior:
      return "freed, but not the beginning of an object";
    case Misuse::kWrongSize:
      return "freed with another size than its own";
    case Misuse::kOverrun:
      return "written to behind its end";
    case Misuse::kWrittenFree:
      return "written to after it was freed";
  }
  return "memory was misused";
}

struct MemoryFault {
  Misuse what;
  const void* address;
  // Of the object, if it has one; else 0.
  std::size_t bytes;
  // What a hardened heap knows more: the malloc type, if it has one, where the
  // misuse was found, and where the object was allocated, or freed first.
  const char* type = nullptr;
  std::source_location here = {};
  std::source_location there = {};
};

// map(bytes, alignment): zeroed memory, both multiples of kPageBytes, the
// alignment a power of two; null if there is none. unmap() takes all of it
// back. release() says that the contents of whole pages are no longer wanted,
// and that they may read as zeros; true if they will, false if nothing comes of
// it.
//
// If it has remap(memory, bytes, new_bytes, alignment), as HostGround, very
// large allocations grow without a copy.
//
// If it has protect(memory, bytes) and unprotect(memory, bytes), also of whole
// pages, and says `static constexpr bool kGuards = true`, there are guard
// pages: see guards.h. Who touches pages between the two is stopped by the
// processor; they have their contents, or zeros, afterwards. protect() is false
// if it can't be done, as when the system has no more mappings to give;
// unprotect() is told just what protect() was, and does not fail. To say
// kGuards without having the two does not compile.
//
// Contexts: lanes' owners, without locks held.
template <class P>
concept PageSource = requires(P& ground, void* memory, std::size_t bytes) {
  { ground.map(bytes, bytes) } -> std::same_as<void*>;
  { ground.unmap(memory, bytes) } -> std::same_as<void>;
  { ground.release(memory, bytes) } -> std::same_as<bool>;
};

// A ground that checks memory orders may offer Plain<T>, which converts to T
// and is assigned from it, for fields that more than one lane touches; others
// need not, and have the T itself.
namespace detail {

template <class P, class T>
struct PlainOn {
  using Type = T;
};
template <class P, class T>
requires requires { typename P::template Plain<T>; }
struct PlainOn<P, T> {
  using Type = typename P::template Plain<T>;
};
template <class P>
inline constexpr std::size_t kDepotSlots = 16;
template <class P>
requires requires { P::kDepotSlots; }
inline constexpr std::size_t kDepotSlots<P> = P::kDepotSlots;

}  // namespace detail

template <class P, class T>
using PlainOn = typename detail::PlainOn<P, T>::Type;

// Fewer only where all executions are tried.
template <class P>
inline constexpr std::size_t kDepotSlots = detail::kDepotSlots<P>;

// A ground whose memory comes as it is says `kMapsZeros = false`; then what is
// to be zeroed is so when it is allocated.
template <class P>
inline constexpr bool kMapsZeros = [] {
  if constexpr (requires { P::kMapsZeros; }) {
    return P::kMapsZeros;
  } else {
    return true;
  }
}();

template <class P>
concept CanGuard = requires(P& ground, void* memory, std::size_t bytes) {
  { ground.protect(memory, bytes) } -> std::same_as<bool>;
  { ground.unprotect(memory, bytes) } -> std::same_as<void>;
};
template <class P>
inline constexpr bool kIsGuarded = requires { requires P::kGuards; };

template <class P>
concept KmallocPlatform =
    platform::SpinLockPlatform<P> && PageSource<P> &&
    (!kIsGuarded<P> || CanGuard<P>) && std::default_initializable<P> &&
    std::copyable<P> && requires(P& ground, const MemoryFault& fault) {
      { ground.kmalloc_fault(fault) } -> std::same_as<void>;
    };

}  // namespace odo::kmalloc
