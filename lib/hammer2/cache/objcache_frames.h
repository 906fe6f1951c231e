// SPDX-License-Identifier: BSD-3-Clause
// Frames from an object cache: no more at once than the caller allows, in
// memory of whatever stands behind the object cache.
//
// Contexts: threads, any number of them; as objcache.h.
// Ownership: every frame is given back before this goes.
// Failure: null when the limit is reached or the backing has no memory.
#pragma once

#include <cstdint>
#include <utility>

#include "lib/hammer2/cache/frame.h"
#include "lib/objcache/objcache.h"
#include "lib/objcache/platform.h"

namespace odo::hammer2::cache {

// Frames lie idle between release_idle() and the next take() only: short
// magazines.
inline constexpr objcache::Tuning kFrameTuning = {
    .min_capacity = 4, .max_capacity = 4, .checks = objcache::Tuning{}.checks};

template <objcache::ObjCachePlatform P, objcache::Backing B>
class ObjcacheFrames {
 public:
  explicit ObjcacheFrames(std::uint64_t limit, P platform = P(),
                          B backing = B())
      : frames_("HAMMER2 frames", {.limit = limit}, platform,
                std::move(backing)) {}

  [[nodiscard]] FrameMemory* take() { return frames_.get_raw(); }
  void give(FrameMemory& memory) { frames_.put(memory); }
  void release_idle() { (void)frames_.reclaim(~std::uint64_t{0}); }

  // Frames that exist. Exact while no call is under way.
  [[nodiscard]] std::uint64_t existing() {
    return frames_.statistics().existing;
  }

 private:
  objcache::ObjCache<FrameMemory, P, B, objcache::DefaultLife<FrameMemory>,
                     kFrameTuning>
      frames_;
};

}  // namespace odo::hammer2::cache
