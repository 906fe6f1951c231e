// SPDX-License-Identifier: BSD-3-Clause
// How the state of a unit of space changes when it is known whether anything
// refers to it.
//
// Contexts: any; no state.
// Origin: hammer2_bulkfree.c, h2_bulkfree_sync_adjust().
#pragma once

#include "lib/hammer2/format/constants.h"
#include "lib/hammer2/write/ground.h"

namespace odo::hammer2::write {

enum class Reclaim : bool {
  kKeep,  // only what is in use and isn't marked so changes
  kFree,  // what nothing refers to comes nearer to being free
};

// `state` is a FreemapState, or the reserved one, which goes as staged does.
template <SpaceMutation Mutation = SpaceMutation::kNone>
[[nodiscard]] constexpr unsigned next_state(unsigned state, bool used,
                                            Reclaim reclaim) {
  using enum format::FreemapState;
  constexpr auto kAllocatedBits = static_cast<unsigned>(kAllocated);
  constexpr auto kStagedBits = static_cast<unsigned>(kMaybeFree);
  if (used) return kAllocatedBits;
  if (reclaim == Reclaim::kKeep || state == 0) return state;
  if constexpr (Mutation == SpaceMutation::kFreeUnstaged) return 0;
  return state == kAllocatedBits ? kStagedBits : 0U;
}

}  // namespace odo::hammer2::write
