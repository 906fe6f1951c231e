// SPDX-License-Identifier: BSD-3-Clause
// What address spaces ask of the ground they stand on.
//
// Contexts and meaning, each:
// cpu(): the number of this CPU. Asked only where the caller stays on it.
// Critical: an object while which this CPU takes no calls from others, and the
//   thread stays on it. They nest.
// call(mask, function, argument): each CPU of the mask makes the call, with
//   calls from others held off; returns when all have. Threads, outside
//   Critical; this CPU is not in the mask. Calls that others make to this CPU
//   are made meanwhile: two that call each other do not wait for ever.
// load(root, context, keep): this CPU translates by the tables at `root` from
//   now on; what it remembers goes under `context`, and what it remembers under
//   that from before is kept, or forgotten. In Critical.
// load_kernel(): the same with the kernel's own tables, which stay for good.
// forget_page(address), forget_context(): this CPU forgets what it remembers of
//   one page, with every table on the way to it, or of all, under the context
//   that is loaded. In Critical.
// contexts(): how many contexts there are; the same at all times, at least 1.
// cpus(): how many CPUs there may be. 256 at most.
//
// make_table(): the physical address of a table, a whole page of zeros; none
//   without memory. make_root(): the same for a root, with the kernel's half.
//   free_table(): either back.
// table(physical): its entries, for as long as it isn't freed.
//   All of these: threads, in Critical or not.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>

#include "lib/lwkt/cpu_mask.h"
#include "lib/platform/concepts.h"

namespace odo::pmap {

// What others are called with.
using Call = void (*)(unsigned cpu, void* argument);

template <class G>
concept TlbGround =
    platform::HasAtomics<G> &&
    requires(G& ground, const lwkt::CpuMask& mask, Call function,
             void* argument, std::uint64_t address, unsigned context,
             bool keep) {
      typename G::Critical;
      requires std::constructible_from<typename G::Critical, G&>;
      { G::kMaxContexts } -> std::convertible_to<unsigned>;
      { ground.cpu() } -> std::same_as<unsigned>;
      { ground.cpus() } -> std::same_as<unsigned>;
      { ground.contexts() } -> std::same_as<unsigned>;
      { ground.call(mask, function, argument) } -> std::same_as<void>;
      { ground.load(address, context, keep) } -> std::same_as<void>;
      { ground.load_kernel() } -> std::same_as<void>;
      { ground.forget_page(address) } -> std::same_as<void>;
      { ground.forget_context() } -> std::same_as<void>;
    };

template <class G>
concept PmapGround =
    TlbGround<G> && platform::CanRelax<G> &&
    requires(G& ground, std::uint64_t physical) {
      { ground.make_root() } -> std::same_as<std::optional<std::uint64_t>>;
      { ground.make_table() } -> std::same_as<std::optional<std::uint64_t>>;
      { ground.free_table(physical) } -> std::same_as<void>;
      {
        ground.table(physical)
      } -> std::same_as<typename G::template Atomic<std::uint64_t>*>;
    };

}  // namespace odo::pmap
