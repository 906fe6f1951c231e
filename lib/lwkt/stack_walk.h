// SPDX-License-Identifier: BSD-3-Clause
// Who called whom, by frame pointers: each function keeps its caller's, and
// above it the address that it returns to.
//
// Contexts: any; the stack's thread does not run meanwhile, or is the caller.
// Failure: total on any stack. A frame is read only where `holds` says that so
//   many bytes may be, each lies above the one before, and there are no more
//   than kMaxFrames: what is broken ends the walk.
// Origin: System V x86-64 ABI, section 3.2.2.
#pragma once

#include <cstddef>
#include <cstdint>

namespace odo::lwkt {

inline constexpr unsigned kMaxFrames = 64;

// visit(address) -> bool is called for each return address, youngest first,
// and false ends the walk; holds(address, bytes) -> bool.
template <class Holds, class Visit>
void walk_frames(std::uintptr_t frame, Holds holds, Visit visit) {
  constexpr std::size_t kFrameBytes = 2 * sizeof(std::uintptr_t);
  for (unsigned i = 0; i < kMaxFrames; ++i) {
    if (frame % alignof(std::uintptr_t) != 0 || !holds(frame, kFrameBytes)) {
      return;
    }
    const auto* words = reinterpret_cast<const std::uintptr_t*>(frame);
    const std::uintptr_t older = words[0];
    // Where a thread begins, there is nothing to return to.
    if (words[1] == 0 || !visit(words[1]) || older <= frame) return;
    frame = older;
  }
}

}  // namespace odo::lwkt
