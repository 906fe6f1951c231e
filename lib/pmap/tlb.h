// SPDX-License-Identifier: BSD-3-Clause
// What processors remember of address spaces, and how they are made to forget:
// who changes a table and then returns from forget() may give away the pages
// that the table no longer leads to.
//
// A processor is interrupted only if it uses the space just then. One that has
// gone on to another space, or that runs the kernel alone, finds out when it
// comes back: each forget() gives the space a new generation, and a processor
// notes, for each context in which it remembers a space, which generation that
// is from. So an idle processor is left asleep, and memories outlive a visit to
// another space where nothing has changed.
//
// Contexts: use(), rest() and leave(): in Critical, on the CPU. forget() and
//   abandon(): threads outside Critical, holding no lock that others spin for,
//   which stay on their CPU meanwhile.
// Ownership: a TlbSpace outlives its use on any CPU; abandon() ends that.
// Invariants:
//   L1. a CPU that isn't in `active` of a space uses none of its addresses; one
//       that isn't in `near` has nothing to do with its tables: it neither
//       translates by them nor walks them;
//   L2. a CPU in `active` remembers nothing older than its slot's generation,
//       or has a call coming;
//   L3. `id` is never used again, so a slot of a space that is gone fits none.
// Ordering: TA: forget() makes a generation and then looks who is active (or
//   near); a CPU becomes active (near) and then looks at the generation, or at
//   the tables: one of them sees the other's, for which all four are seq_cst.
//   TB: a CPU leaves `active` or `near`, release; forget() finds it gone,
//   acquire (its seq_cst load): what it did with pages and tables is over. TC:
//   changes to tables, then the generation, release (its seq_cst addition); who
//   arrives and reads it, acquire (its seq_cst load), walks the new tables.
// Failure: none.
// Complexity: use() of the space that is loaded already: a comparison. One
//   call to each CPU that uses the space for forget().
// Origin: generations as in Linux's arch/x86/mm/tlb.c since 4.14; contexts are
//   PCIDs, Intel SDM vol. 3 §4.10.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <span>

#include "lib/base/check.h"
#include "lib/lwkt/cpu_mask.h"
#include "lib/pmap/ground.h"

namespace odo::pmap {

// Pages of one space that are to be forgotten.
class Batch {
 public:
  // From about here on it would take less time to forget everything.
  static constexpr unsigned kMaxPages = 32;

  // Not when it is full.
  void add(std::uint64_t address) {
    ODO_CHECK(count_ < kMaxPages);
    pages_[count_++] = address;
  }
  // A table on the way to a page that was added is about to be freed.
  void free_tables() { frees_tables_ = true; }

  [[nodiscard]] bool is_empty() const { return count_ == 0; }
  [[nodiscard]] bool is_full() const { return count_ == kMaxPages; }
  [[nodiscard]] bool frees_tables() const { return frees_tables_; }
  [[nodiscard]] std::span<const std::uint64_t> pages() const {
    return std::span(pages_).first(count_);
  }

 private:
  std::array<std::uint64_t, kMaxPages> pages_;
  unsigned count_ = 0;
  bool frees_tables_ = false;
};

// Of an address space, what processors have to do with.
template <TlbGround G>
struct TlbSpace {
  std::uint64_t id = 0;
  std::uint64_t root = 0;
  typename G::template Atomic<std::uint64_t> generation{std::uint64_t{1}};
  lwkt::AtomicCpuMask<G> near;
  lwkt::AtomicCpuMask<G> active;
};

// One for the machine.
template <TlbGround G>
class Tlb {
 public:
  using Space = TlbSpace<G>;

  explicit Tlb(G& ground) : ground_(&ground) {}
  Tlb(const Tlb&) = delete;
  Tlb& operator=(const Tlb&) = delete;

  // A space with these tables. Any context.
  void introduce(Space& space, std::uint64_t root) {
    // Relaxed: all that it has to be is another one each time.
    space.id = last_id_.fetch_add(1, std::memory_order_relaxed) + 1;
    space.root = root;
  }

  // --- this CPU -------------------------------------------------------------
  // From now on what runs here uses the space's addresses.
  void use(unsigned cpu, Space& space) {
    PerCpu& here = cpus_[cpu];
    if (here.loaded == &space) {
      if (!here.rests) return;
      here.rests = false;
      Slot& slot = here.slots[here.context];
      const std::uint64_t now = arrive(space, cpu);
      if (slot.generation == now) return;
      ground_->forget_context();
      slot.generation = now;
      return;
    }
    Space* const before = here.loaded;
    // TA: seq_cst, before any look at its generation or tables.
    space.near.set(cpu, std::memory_order_seq_cst);
    const std::uint64_t now = arrive(space, cpu);
    const unsigned context = context_for(here, space);
    Slot& slot = here.slots[context];
    const bool keep = slot.id == space.id && slot.generation == now;
    slot = {space.id, now};
    here.loaded = &space;
    here.context = context;
    ground_->load(space.root, context, keep);
    if (before != nullptr) depart(*before, cpu, here.rests);
    here.rests = false;
  }

  // What runs here now uses the kernel's addresses only. The tables stay.
  void rest(unsigned cpu) {
    PerCpu& here = cpus_[cpu];
    if (here.loaded == nullptr || here.rests) return;
    here.rests = true;
    // TB: release.
    here.loaded->active.clear(cpu, std::memory_order_release);
  }

  // The same, and the space's tables are left behind: before this CPU goes to
  // sleep for long, or for good.
  void leave(unsigned cpu) {
    PerCpu& here = cpus_[cpu];
    if (here.loaded == nullptr) return;
    Space& before = *here.loaded;
    here.loaded = nullptr;
    ground_->load_kernel();
    depart(before, cpu, here.rests);
    here.rests = false;
  }

  // Whether the space's tables may be walked here without a Walk's mark.
  [[nodiscard]] bool has_loaded(unsigned cpu, const Space& space) const {
    return cpus_[cpu].loaded == &space;
  }

  // --- all CPUs -------------------------------------------------------------
  // Returns when no CPU remembers what the batch says of the space as it was
  // before the call.
  void forget(Space& space, const Batch& batch) {
    Request request{this, &space, &batch, 0};
    lwkt::CpuMask others;
    {
      const typename G::Critical critical(*ground_);
      // TA: seq_cst. TC: release.
      request.generation =
          space.generation.fetch_add(1, std::memory_order_seq_cst) + 1;
      others = answer_here(batch.frees_tables() ? space.near : space.active,
                           request);
    }
    ask(others, request);
  }

  // Returns when no CPU has to do with the space's tables. Nobody uses the
  // space any more.
  void abandon(Space& space) {
    Request request{this, &space, nullptr, 0};
    lwkt::CpuMask others;
    {
      const typename G::Critical critical(*ground_);
      others = answer_here(space.near, request);
    }
    ask(others, request);
  }

 private:
  // What a CPU remembers under a context.
  struct Slot {
    std::uint64_t id = 0;
    std::uint64_t generation = 0;
  };
  // Only the CPU itself, in Critical or in a call, touches its own.
  struct alignas(64) PerCpu {
    Space* loaded = nullptr;  // null: the kernel's tables
    bool rests = false;
    unsigned context = 0;
    unsigned next_victim = 0;
    std::array<Slot, G::kMaxContexts> slots{};
  };

  struct Request {
    Tlb* tlb;
    Space* space;
    const Batch* batch;  // null: leave the tables
    std::uint64_t generation;
  };

  // The generation that what is remembered has to be from.
  [[nodiscard]] std::uint64_t arrive(Space& space, unsigned cpu) {
    // TA: both seq_cst. TC: acquire.
    space.active.set(cpu, std::memory_order_seq_cst);
    return space.generation.load(std::memory_order_seq_cst);
  }
  void depart(Space& space, unsigned cpu, bool rested) {
    // TB: release, both.
    if (!rested) space.active.clear(cpu, std::memory_order_release);
    space.near.clear(cpu, std::memory_order_release);
  }

  // Where the space is remembered, or else a context that loses what it has.
  [[nodiscard]] unsigned context_for(PerCpu& here, const Space& space) {
    const unsigned contexts = ground_->contexts();
    for (unsigned i = 0; i < contexts; ++i) {
      if (here.slots[i].id == space.id) return i;
    }
    const unsigned victim = here.next_victim;
    here.next_victim = (victim + 1) % contexts;
    return victim;
  }

  // Those of the mask that are still to be asked.
  [[nodiscard]] lwkt::CpuMask answer_here(const lwkt::AtomicCpuMask<G>& whom,
                                          const Request& request) {
    const unsigned here = ground_->cpu();
    answer(here, request);
    // TA: seq_cst. TB: acquire.
    lwkt::CpuMask others =
        whom.load(std::memory_order_seq_cst, ground_->cpus());
    others.clear(here);
    return others;
  }

  void ask(const lwkt::CpuMask& others, Request& request) {
    if (!others.any()) return;
    ground_->call(
        others,
        [](unsigned cpu, void* argument) {
          const auto& asked = *static_cast<const Request*>(argument);
          asked.tlb->answer(cpu, asked);
        },
        &request);
  }

  void answer(unsigned cpu, const Request& request) {
    PerCpu& here = cpus_[cpu];
    if (here.loaded != request.space) return;
    if (request.batch == nullptr) return leave(cpu);
    if (here.rests) {
      // Its slot stays behind. But processors may look at tables on their own.
      if (request.batch->frees_tables()) leave(cpu);
      return;
    }
    Slot& slot = here.slots[here.context];
    if (slot.generation >= request.generation) return;
    if (slot.generation + 1 == request.generation) {
      for (const std::uint64_t page : request.batch->pages()) {
        ground_->forget_page(page);
      }
    } else {
      // What other calls that are on their way would say comes in with it.
      ground_->forget_context();
    }
    slot.generation = request.generation;
  }

  G* ground_;
  typename G::template Atomic<std::uint64_t> last_id_{std::uint64_t{0}};
  std::array<PerCpu, lwkt::CpuMask::kMaxCpus> cpus_{};
};

}  // namespace odo::pmap
