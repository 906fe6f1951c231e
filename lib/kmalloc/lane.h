// SPDX-License-Identifier: BSD-3-Clause
// What one CPU, or one host thread, allocates from and frees to.
//
// A lane owns slabs, and keeps of each class a stack of free objects at hand:
// to allocate is to pop, to free is to push, neither touches the object. It
// does not matter whose slab an object is from. Empty stacks are filled from
// the lane's own slabs, and full ones emptied, half a stack at a time: objects
// of own slabs into their bits, those of other lanes home to them, one atomic
// operation for all of a word of bits.
//
// Contexts: the lane's owner, one at a time; what other lanes send home: any.
// Ownership: a lane lives as long as its heap. When its owner ends it is left
//   (abandon()): its slabs stay in it until another owner adopts it, and who
//   sends something home meanwhile looks after it.
// Invariants:
//   L1. what is in a stack is out, to its slab;
//   L2. a slab with free bits is on its class's list;
//   L3. a slab that was told of is on `told_` until the owner harvests it.
// Ordering: KL: to put a slab on the list releases its link, to take the list
//   acquires all of them. KO: who puts a slab on the list and then looks at the
//   state, and who leaves and then looks at the list, both seq_cst: one of the
//   two sees the other, and looks after the list.
// Failure: null when the arena has nothing; misuse is a fault.
// Complexity: O(1); every half stack a batch of that many steps.
// Origin: magazines: Bonwick and Adams, "Magazines and Vmem", USENIX 2001;
//   slabs that belong to CPUs: DragonFly's sys/kern/kern_slaballoc.c. Frees
//   that go home in batches: Lietar et al., "snmalloc", ISMM 2019.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "lib/base/annotations.h"
#include "lib/base/check.h"
#include "lib/base/list.h"
#include "lib/kmalloc/arena.h"
#include "lib/kmalloc/depot.h"
#include "lib/kmalloc/slab.h"
#include "lib/kmalloc/stack.h"

namespace odo::kmalloc {

// Who has a lane.
enum class LaneState : std::uint32_t {
  kOwned,
  kLeft,   // nobody
  kMinded  // nobody, but somebody is looking after it just now
};

// Of one lane, by itself; they wrap. In events.
struct LaneCounts {
  std::uint64_t fills = 0;     // batches from slabs
  std::uint64_t drains = 0;    // batches to slabs
  std::uint64_t posts = 0;     // batches to other lanes' slabs
  std::uint64_t harvests = 0;  // slabs looked at for frees from afar
  std::uint64_t made = 0;      // slabs
  std::uint64_t unmade = 0;
};

template <KmallocPlatform P>
class Heap;

template <KmallocPlatform P>
class alignas(64) Lane {
 public:
  using Fields = SlabFields<P>;
  using SlabT = Slab<P>;
  // A lane that nobody has, from which everything has to be got elsewhere:
  // what a thread begins with.
  constexpr Lane() = default;
  // `entries` are kStackEntries, for as long as the lane lives; what they hold
  // does not matter, and they are touched as they are needed.
  Lane(Arena<P>& arena, Depot<P>& depot, void** entries, P ground)
      : ground_(ground), arena_(&arena), depot_(&depot) {
    for (std::uint32_t cls = 0; cls < kClasses; ++cls) {
      ++entries;  // the null in front
      stacks_[cls] = Stack(entries, kClassInfo[cls].first_entries);
      more_[cls].base = entries;
      entries += kClassInfo[cls].most_entries;
    }
    random_ |= reinterpret_cast<std::uintptr_t>(this);
  }
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  // The stacks are at its beginning, for code that the compiler does not see
  // through.
  [[nodiscard]] bool is_laid_out_so() const {
    return reinterpret_cast<const std::byte*>(stacks_) ==
           reinterpret_cast<const std::byte*>(this);
  }

  // --- the fast ways ---------------------------------------------------------
  [[nodiscard]] ODO_ALWAYS_INLINE void* pop(std::uint32_t cls) {
    return stacks_[cls].pop();
  }
  // False if there is no room, or it is no slab's.
  [[nodiscard]] ODO_ALWAYS_INLINE bool push(void* object) {
    const std::uint32_t cls = ChunkFront<P>::info_of(object);
    if (cls >= kClasses) [[unlikely]]
      return false;
    return stacks_[cls].push(object);
  }
  // The same where the class is known: false also if it is another.
  [[nodiscard]] ODO_ALWAYS_INLINE bool push(void* object, std::uint32_t cls) {
    if (ChunkFront<P>::info_of(object) != cls) [[unlikely]]
      return false;
    return stacks_[cls].push(object);
  }

  // --- the slow ways ---------------------------------------------------------
  // Fills the stack and pops one; null if there is no memory.
  [[nodiscard]] ODO_NOINLINE void* fill_and_pop(std::uint32_t cls) {
    if (any_told()) harvest();
    if (void* object = pop(cls)) return object;
    void** base = more_[cls].base;
    const std::uint32_t want = next_batch(cls);
    const std::uint32_t have = fetch(cls, base + want, want);
    if (have == 0) return nullptr;
    if (have != want) std::copy(base + (want - have), base + want, base);
    if constexpr (kIsHardened<P>) shuffle(base, have);
    stacks_[cls].set_count(base, have);
    return pop(cls);
  }
  // Where push() said no, of a slab's object: there is no room.
  ODO_NOINLINE void push_slowly(void* object) {
    const std::uint32_t cls = ChunkFront<P>::info_of(object);
    drain(cls, half_of(cls));
    more_[cls].drained = true;
    (void)stacks_[cls].push(object);
  }

  // --- for who keeps the stacks in another way -------------------------------
  // How many objects the next fill is to take, and the one after that.
  [[nodiscard]] std::uint32_t next_batch(std::uint32_t cls) {
    More& more = more_[cls];
    if (more.drained) widen(cls);
    const std::uint32_t want = more.batch;
    more.batch = std::min(want * 2, half_of(cls));
    return want;
  }
  [[nodiscard]] void** base_of(std::uint32_t cls) const {
    return more_[cls].base;
  }
  void note_drained(std::uint32_t cls) { more_[cls].drained = true; }
  [[nodiscard]] std::uint32_t half_of(std::uint32_t cls) const {
    return stacks_[cls].capacity(more_[cls].base) / 2;
  }
  // Up to `want` objects out of the slabs, that of the lowest address into
  // end[-1]; how many, 0 if there is no memory.
  [[nodiscard]] std::uint32_t fetch(std::uint32_t cls, void** end,
                                    std::uint32_t want) {
    std::uint32_t have = 0;
    while (have < want) {
      if (partial_[cls].empty()) {
        // A new one is more than the batch is worth if it has some already.
        if (have != 0 || !add_slab(cls)) break;
      }
      const SlabT slab(partial_[cls].front());
      have += static_cast<std::uint32_t>(slab.take(end - have, want - have));
      if (slab.is_spent()) partial_[cls].erase(slab.fields());
    }
    if (have != 0) ++counts_.fills;
    return have;
  }
  // Objects of one class go back to their slabs.
  void take_home(void* const* objects, std::uint32_t count) {
    if (count == 0) return;
    ++counts_.drains;
    void* others[kSlice];
    std::uint32_t other_count = 0;
    for (std::uint32_t done = 0; done < count;) {
      const SlabT slab = SlabT::of(objects[done]);
      if (slab.fields().owner != this) {
        // What follows is often of the same slab, and need not ask for it.
        const SlabPlaces places = slab.places();
        do {
          others[other_count++] = objects[done++];
          if (other_count == kSlice) {
            send_home(others, other_count);
            other_count = 0;
          }
        } while (done < count && places.holds(objects[done]));
        continue;
      }
      const bool was_spent = slab.is_spent();
      const void* wrong = nullptr;
      done += static_cast<std::uint32_t>(
          slab.give_back(objects + done, count - done, wrong));
      if (wrong != nullptr) [[unlikely]]
        fault_of(slab, wrong);
      settle(slab, was_spent);
    }
    if (other_count != 0) send_home(others, other_count);
  }
  // What is handled at once, so that little of a stack will do.
  static constexpr std::uint32_t kSlice = 128;
  // One object of the slabs that are there; null if none is free.
  [[nodiscard]] void* take_partial(std::uint32_t cls) {
    if (partial_[cls].empty()) return nullptr;
    void* object = nullptr;
    (void)fetch(cls, &object + 1, 1);
    return object;
  }
  // What others freed is free, and what is empty the arena's.
  void tidy() {
    harvest();
    for (std::uint32_t cls = 0; cls < kClasses; ++cls) drop_empty(cls);
  }
  [[nodiscard]] bool any_told() const {
    return told_.load(std::memory_order_relaxed) != nullptr;
  }
  void harvest() {
    Fields* at = told_.exchange(nullptr, std::memory_order_acquire);  // KL
    while (at != nullptr) {
      Fields* next_one = at->next_told;
      const SlabT slab(*at);
      const bool was_spent = slab.is_spent();
      ++counts_.harvests;
      slab.harvest();
      settle(slab, was_spent);
      at = next_one;
    }
  }

  // --- all of it -------------------------------------------------------------
  // Everything at hand goes home, and slabs that are empty to the arena.
  void flush() {
    harvest();
    for (std::uint32_t cls = 0; cls < kClasses; ++cls) {
      More& more = more_[cls];
      drain(cls, stacks_[cls].count(more.base));
      more.batch = kFirstBatch;
      stacks_[cls].set_capacity(more.base, kClassInfo[cls].first_entries);
      drop_empty(cls);
    }
  }
  // The owner ends. What is at hand stays so for the next one.
  void abandon() {
    harvest();
    state_.store(std::uint32_t(LaneState::kLeft), std::memory_order_seq_cst);
    mind();  // KO
  }
  // Somebody else becomes the owner; false if it has one.
  [[nodiscard]] bool adopt() {
    auto left = std::uint32_t(LaneState::kLeft);
    return state_.load(std::memory_order_relaxed) == left &&
           state_.compare_exchange_strong(
               left, std::uint32_t(LaneState::kOwned),
               std::memory_order_acquire,  // KO: all that was done in it
               std::memory_order_relaxed);
  }

  [[nodiscard]] const LaneCounts& counts() const { return counts_; }
  // True of the one that a thread begins with.
  [[nodiscard]] bool is_nobodys() const { return arena_ == nullptr; }

 private:
  friend class Heap<P>;
  static constexpr std::uint32_t kFirstBatch = 4;
  static constexpr std::uint16_t kEnd = 0xffff;  // of a chain

  // What the slow ways know of a stack.
  struct More {
    void** base = nullptr;
    std::uint32_t batch = kFirstBatch;  // how many the next fill takes
    bool drained = false;               // since the last fill
  };
  using Slabs = List<Fields, &Fields::hook>;

  // --- slabs -----------------------------------------------------------------
  [[nodiscard]] bool add_slab(std::uint32_t cls) {
    const ClassInfo& info = kClassInfo[cls];
    UnitRun<P> run;
    if (info.units == 1) {
      Fields* unit = depot_->take();
      if (unit != nullptr) {
        run.chunk = &static_cast<SlabChunk<P>&>(ChunkFront<P>::of(unit));
        run.first = unit->unit;
      }
    }
    if (run.chunk == nullptr) run = arena_->take_units(info.units);
    if (run.chunk == nullptr) return false;
    ++counts_.made;
    const SlabT slab = SlabT::make(*run.chunk, run.first, cls, *this);
    if constexpr (kIsGuarded<P>) {
      slab.fields().has_guard[0] =
          arena_->guard(slab.guard(), slab.guard_bytes());
    }
    partial_[cls].push_back(slab.fields());
    return true;
  }
  // Fisher and Yates', by xorshift: who frees and allocates does not know what
  // comes next to what. Nobody's secrets depend on it.
  void shuffle(void** objects, std::uint32_t count) {
    for (std::uint32_t i = count; i > 1; --i) {
      random_ ^= random_ << 13;
      random_ ^= random_ >> 7;
      random_ ^= random_ << 17;
      std::swap(objects[i - 1], objects[random_ % i]);
    }
  }
  // A stack that is filled and drained in turns is too small for what it is
  // used for.
  void widen(std::uint32_t cls) {
    More& more = more_[cls];
    more.drained = false;
    stacks_[cls].set_capacity(
        more.base, std::min<std::uint32_t>(stacks_[cls].capacity(more.base) * 2,
                                           kClassInfo[cls].most_entries));
  }
  // The oldest `count` of a stack go back to their slabs.
  void drain(std::uint32_t cls, std::uint32_t count) {
    void** base = more_[cls].base;
    take_home(base, count);
    stacks_[cls].drop_oldest(base, count);
  }
  // After some of its objects came back. Mostly it stays as it is.
  ODO_ALWAYS_INLINE void settle(const SlabT& slab, bool was_spent) {
    if (was_spent || slab.fields().out == 0) move_or_drop(slab, was_spent);
  }
  ODO_NOINLINE void move_or_drop(const SlabT& slab, bool was_spent) {
    Fields& fields = slab.fields();
    if (was_spent && !slab.is_spent()) partial_[fields.cls].push_front(fields);
    if (fields.out != 0) return;
    // One empty slab of a class stays: the next request comes soon.
    Slabs& list = partial_[fields.cls];
    if (&list.front() == &list.back()) return;
    list.erase(fields);
    drop(slab);
  }
  void drop(const SlabT& slab) {
    ++counts_.unmade;
    Fields& fields = slab.fields();
    const unsigned units = slab.info().units;
    if constexpr (kIsGuarded<P>) {
      if (fields.has_guard[0]) {
        arena_->unguard(slab.guard(), slab.guard_bytes());
      }
    }
    slab.unmake();
    if (units == 1 && depot_->give(fields)) return;
    arena_->give_units(slab.chunk(), fields.unit, units);
  }
  void drop_empty(std::uint32_t cls) {
    Slabs& list = partial_[cls];
    for (auto it = list.begin(); it != list.end();) {
      Fields& fields = *it++;
      if (fields.out != 0) continue;
      list.erase(fields);
      drop(SlabT(fields));
    }
  }
  [[noreturn]] ODO_NOINLINE void fault_of(const SlabT& slab,
                                          const void* object) {
    std::size_t index = 0;
    const bool begins = slab.index_of(object, index);
    ground_.kmalloc_fault(
        MemoryFault{begins ? Misuse::kDoubleFree : Misuse::kInterior, object,
                    slab.info().bytes});
    ODO_PANIC("memory was misused");
  }

  // --- to others -------------------------------------------------------------
  // At most kSlice; those of one slab together, whatever the order: by a
  // chain for each of some buckets of slabs.
  void send_home(void* const* objects, std::uint32_t count) {
    ++counts_.posts;
    constexpr std::size_t kBuckets = 64;
    std::uint16_t first[kBuckets];
    std::uint16_t next[kSlice];
    std::fill(first, first + kBuckets, kEnd);
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto unit =
          reinterpret_cast<std::uintptr_t>(objects[i]) / kUnitBytes;
      std::uint16_t& head = first[(unit ^ unit / kUnits) % kBuckets];
      next[i] = head;
      head = static_cast<std::uint16_t>(i);
    }
    for (std::uint16_t chain : first) {
      while (chain != kEnd) chain = send_chain(objects, chain, next);
    }
  }
  // Those of the chain's first one's slab go home; the chain of the others.
  std::uint16_t send_chain(void* const* objects, std::uint16_t at,
                           std::uint16_t* next) {
    const SlabT slab = SlabT::of(objects[at]);
    const SlabPlaces places = slab.places();
    std::uint64_t bits[kBitWordsInFront];
    std::uint64_t words = 0;  // those of `bits` that mean something
    std::uint32_t count = 0;
    std::uint16_t others = kEnd;
    while (at != kEnd) {
      const std::uint16_t after = next[at];
      std::size_t index = 0;
      if (!places.index_of(objects[at], index)) {
        if (places.holds(objects[at])) [[unlikely]]
          fault_of(slab, objects[at]);
        next[at] = others;
        others = at;
      } else {
        const std::uint64_t word = std::uint64_t{1} << (index / 64);
        const std::uint64_t bit = std::uint64_t{1} << (index % 64);
        if ((words & word) == 0) bits[index / 64] = 0;
        words |= word;
        if ((bits[index / 64] & bit) != 0) [[unlikely]]
          fault_of(slab, objects[at]);
        bits[index / 64] |= bit;
        ++count;
      }
      at = after;
    }
    for (; words != 0; words &= words - 1) {
      send(slab, static_cast<std::size_t>(std::countr_zero(words)), bits);
    }
    tell_owner(slab, count);
    return others;
  }
  void send(const SlabT& slab, std::size_t word, const std::uint64_t* bits) {
    if (const std::uint64_t twice = slab.free_from_afar(word, bits[word]);
        twice != 0) [[unlikely]] {
      fault_of(slab, slab.object_at(word, twice));
    }
  }
  void tell_owner(const SlabT& slab, std::uint32_t count) {
    if (slab.is_first_to_tell(count)) slab.fields().owner->tell(slab.fields());
  }
  // By anybody: there is something to harvest. KL, KO.
  void tell(Fields& fields) {
    Fields* head = told_.load(std::memory_order_relaxed);
    do {
      fields.next_told = head;
    } while (!told_.compare_exchange_weak(
        head, &fields, std::memory_order_seq_cst, std::memory_order_relaxed));
    if (state_.load(std::memory_order_seq_cst) !=
        std::uint32_t(LaneState::kOwned)) [[unlikely]] {
      mind();
    }
  }
  // Looks after a lane that nobody has, until nobody has told it anything. KO.
  void mind() {
    while (told_.load(std::memory_order_seq_cst) != nullptr) {
      auto left = std::uint32_t(LaneState::kLeft);
      if (!state_.compare_exchange_strong(
              left, std::uint32_t(LaneState::kMinded),
              std::memory_order_acquire, std::memory_order_relaxed)) {
        return;  // it has an owner, or another minder, who looks again
      }
      tidy();
      state_.store(std::uint32_t(LaneState::kLeft), std::memory_order_seq_cst);
    }
  }

  // Beside each other what the fast ways use.
  Stack stacks_[kClasses];
  [[no_unique_address]] P ground_;
  Arena<P>* arena_ = nullptr;
  Depot<P>* depot_ = nullptr;
  LaneCounts counts_;
  More more_[kClasses];
  Slabs partial_[kClasses];
  std::uint64_t random_ = 1;  // not 0
  // Of the heap's list.
  PlainOn<P, Lane*> next_{};
  // Other lanes write to these.
  alignas(64) typename P::template Atomic<Fields*> told_{nullptr};
  typename P::template Atomic<std::uint32_t> state_{
      std::uint32_t(LaneState::kOwned)};
};

}  // namespace odo::kmalloc
