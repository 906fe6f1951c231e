// SPDX-License-Identifier: BSD-3-Clause
// The simulated ground for the allocator: memory that may run out, and that is
// poisoned when it is given back; atomics that notice that; and plain fields
// that report races.
//
// Contexts: inside an execution, or in its set-up. One host thread.
// Ownership: a SimMemory belongs to one execution. What is mapped when it ends
//   is taken back without a destructor: a failed execution leaves threads in
//   the middle of things. The host's memory is kept for the next execution.
#pragma once

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <source_location>
#include <type_traits>
#include <utility>
#include <vector>

#include "lib/kmalloc/heap.h"
#include "lib/platform/sim/explore.h"
#include "lib/platform/sim/sim_platform.h"

namespace odo::kmalloc {

// A simulated atomic that knows whether the memory that it is in is still
// there. A chunk has more of the small ones than a program uses, so the engine
// hears of those when they are used first; the first relaxed store into a fresh
// one is its initial value.
template <class T>
class SimWord {
  using Real = sim::SimAtomic<T>;
  static constexpr bool kLate = std::unsigned_integral<T>;
  static constexpr std::uint32_t kFresh = 0x0f4e50;
  static constexpr std::uint32_t kStored = 0x0f4e51;
  static constexpr std::uint32_t kReal = 0x0f4e52;

 public:
  using Where = std::source_location;
  using Order = std::memory_order;

  SimWord() : SimWord(T{}) {}
  explicit SimWord(T value) {
    if constexpr (kLate) {
      first_.value = value;
    } else {
      std::construct_at(&real_, value);
      state_ = kReal;
    }
  }
  SimWord(const SimWord&) = delete;
  SimWord& operator=(const SimWord&) = delete;
  ~SimWord() { state_ = 0; }

  [[nodiscard]] T load(Order order,
                       const Where& where = Where::current()) const {
    return real(where).load(order, where);
  }
  void store(T value, Order order, const Where& where = Where::current()) {
    if constexpr (kLate) {
      if (state_ == kFresh && order == std::memory_order_relaxed) {
        first_.value = value;
        state_ = kStored;
        return;
      }
    }
    real(where).store(value, order, where);
  }
  T exchange(T value, Order order, const Where& where = Where::current()) {
    return real(where).exchange(value, order, where);
  }
  bool compare_exchange_weak(T& expected, T desired, Order success,
                             Order failure,
                             const Where& where = Where::current()) {
    return real(where).compare_exchange_weak(expected, desired, success,
                                             failure, where);
  }
  bool compare_exchange_strong(T& expected, T desired, Order success,
                               Order failure,
                               const Where& where = Where::current()) {
    return real(where).compare_exchange_strong(expected, desired, success,
                                               failure, where);
  }
  T fetch_add(T value, Order order, const Where& where = Where::current())
  requires platform::Countable<T>
  {
    return real(where).fetch_add(value, order, where);
  }
  T fetch_sub(T value, Order order, const Where& where = Where::current())
  requires platform::Countable<T>
  {
    return real(where).fetch_sub(value, order, where);
  }
  T fetch_and(T value, Order order, const Where& where = Where::current())
  requires platform::Countable<T>
  {
    return real(where).fetch_and(value, order, where);
  }
  T fetch_or(T value, Order order, const Where& where = Where::current())
  requires platform::Countable<T>
  {
    return real(where).fetch_or(value, order, where);
  }

 private:
  struct Nothing {};
  struct Value {
    T value;
  };

  Real& real(const Where& where) const {
    if (state_ == kReal) return real_;
    if constexpr (kLate) {
      if (state_ == kFresh || state_ == kStored) {
        std::construct_at(
            &real_,
            typename Real::At{sim::Engine::current().add_initial_location(
                std::uint64_t{first_.value})});
        state_ = kReal;
        return real_;
      }
    }
    sim::Engine::current().fail("an atomic is used that is not there", where);
    ODO_PANIC("an atomic is used that is not there");
  }

  union {
    mutable Real real_;
  };
  mutable std::uint32_t state_ = kFresh;
  [[no_unique_address]] std::conditional_t<kLate, Value, Nothing> first_{};
};

// What the page source has given out in one execution.
class SimMemory {
 public:
  SimMemory() { current_ = this; }
  SimMemory(const SimMemory&) = delete;
  SimMemory& operator=(const SimMemory&) = delete;
  ~SimMemory() { current_ = nullptr; }
  [[nodiscard]] static SimMemory& current() {
    ODO_CHECK(current_ != nullptr);
    return *current_;
  }

  // From now on map() always fails.
  void end() { is_at_end_ = true; }

  // --- who sleeps on which word
  // ------------------------------------------------ What futex(2) promises and
  // no more: the look at the word and the falling asleep are one step for
  // whoever wakes.
  void park(SimWord<std::uint32_t>& word, std::uint32_t seen) {
    sim::Engine& engine = sim::Engine::current();
    if (word.fetch_add(0, std::memory_order_relaxed) != seen) return;
    sleepers_.push_back({&word, engine.self()});
    call_idle();
    engine.block();
  }
  // This thread blocks, and is to run whenever another one falls asleep.
  void add_idle() { idle_.push_back(sim::Engine::current().self()); }
  void call_idle() {
    for (std::size_t i = 0; i < idle_.size(); ++i) {
      sim::Engine::current().wake(idle_[i]);
    }
  }
  void unpark_all(const SimWord<std::uint32_t>& word) {
    // wake() lets others run, who may fall asleep here anew: once more for them
    // does no harm.
    for (std::size_t i = 0; i < sleepers_.size();) {
      const Sleeper sleeper = sleepers_[i];
      if (sleeper.word != &word) {
        ++i;
        continue;
      }
      sleepers_.erase(sleepers_.begin() + static_cast<std::ptrdiff_t>(i));
      sim::Engine::current().wake(sleeper.thread);
      i = 0;
    }
  }

  // From now on map() fails when the engine says so.
  void allow_faults() { may_fail_ = true; }

  [[nodiscard]] void* map(std::size_t bytes, std::size_t alignment) {
    if (is_at_end_) return nullptr;
    if (may_fail_ && sim::Engine::current().inject_fault()) return nullptr;
    void* memory = pool().take(bytes, alignment, used_[bytes]++);
    mapped_.emplace_back(memory, bytes);
    mapped_bytes_ += bytes;
    ++maps_;
    return memory;
  }
  // Nobody gets it again in this execution, so that who uses it is found.
  void unmap(void* memory, std::size_t bytes) {
    for (auto it = mapped_.begin(); it != mapped_.end(); ++it) {
      if (it->first != memory || it->second != bytes) continue;
      mapped_.erase(it);
      mapped_bytes_ -= bytes;
      std::memset(memory, 0xee, Pool::dirty_bytes(bytes));
      return;
    }
    sim::Engine::current().fail("unmapped what is not mapped");
  }
  [[nodiscard]] bool release(void* memory, std::size_t bytes) {
    std::memset(memory, 0, bytes);
    return true;
  }

  [[nodiscard]] sim::Memory::PlainState& add_field() {
    return fields_.emplace_back();
  }

  [[nodiscard]] std::size_t mapped_bytes() const { return mapped_bytes_; }
  [[nodiscard]] std::size_t maps() const { return maps_; }

 private:
  using Block = std::pair<void*, std::size_t>;
  struct Sleeper {
    const SimWord<std::uint32_t>* word;
    sim::ThreadId thread;
  };

  // The programs keep what they write outside of the objects: of a chunk only
  // its header, and the bits of slabs that have them in front, are not zero.
  // In every execution the first block of a size is the same one, and so on.
  class Pool {
   public:
    static std::size_t dirty_bytes(std::size_t bytes);
    void* take(std::size_t bytes, std::size_t alignment, std::size_t index);
    ~Pool() {
      for (const auto& [bytes, blocks] : blocks_) {
        for (void* memory : blocks) std::free(memory);
      }
    }

   private:
    std::map<std::size_t, std::vector<void*>> blocks_;
  };
  static Pool& pool() {
    static Pool all;
    return all;
  }

  inline static SimMemory* current_ = nullptr;

  std::vector<Block> mapped_;
  std::map<std::size_t, std::size_t> used_;  // blocks, by their size
  std::deque<sim::Memory::PlainState> fields_;
  std::size_t mapped_bytes_ = 0;
  std::size_t maps_ = 0;
  bool may_fail_ = false;
  bool is_at_end_ = false;
  std::vector<Sleeper> sleepers_;
  std::vector<sim::ThreadId> idle_;
};

// A field that isn't atomic, and may not be raced for. What is known of it is
// the SimMemory's, as its own memory may go without a destructor.
template <class T>
class SimField {
 public:
  using Where = std::source_location;

  // NOLINTNEXTLINE(google-explicit-constructor): in the place of a T
  operator T() const {
    touch(sim::PlainAccess::kRead);
    return value_;
  }
  T operator->() const
  requires std::is_pointer_v<T>
  {
    touch(sim::PlainAccess::kRead);
    return value_;
  }
  SimField& operator=(T value) {
    touch(sim::PlainAccess::kWrite);
    value_ = value;
    return *this;
  }

 private:
  void touch(sim::PlainAccess access) const {
    if (reinterpret_cast<std::uintptr_t>(state_) == kUnmapped) {
      sim::Engine::current().fail("a field is used that is not there");
      ODO_PANIC("a field is used that is not there");
    }
    if (state_ == nullptr) state_ = &SimMemory::current().add_field();
    sim::Engine::current().plain_access(*state_, access, Where::current());
  }

  // What SimMemory::unmap() leaves.
  static constexpr std::uintptr_t kUnmapped = 0xeeee'eeee'eeee'eeee;

  mutable sim::Memory::PlainState* state_ = nullptr;
  T value_{};
};

class KmallocSimGround : public sim::SimPlatform {
 public:
  template <class T>
  using Atomic = SimWord<T>;
  template <class T>
  using Plain = SimField<T>;
  static constexpr std::size_t kDepotSlots = 2;

  [[nodiscard]] void* map(std::size_t bytes, std::size_t alignment) const {
    return SimMemory::current().map(bytes, alignment);
  }
  void unmap(void* memory, std::size_t bytes) const {
    SimMemory::current().unmap(memory, bytes);
  }
  [[nodiscard]] bool release(void* memory, std::size_t bytes) const {
    return SimMemory::current().release(memory, bytes);
  }
  void park(SimWord<std::uint32_t>& word, std::uint32_t seen) const {
    SimMemory::current().park(word, seen);
  }
  void unpark_all(SimWord<std::uint32_t>& word) const {
    SimMemory::current().unpark_all(word);
  }
  void kmalloc_fault(const MemoryFault& fault) const {
    sim::Engine::current().fail(misuse_text(fault.what));
  }
};

static_assert(KmallocPlatform<KmallocSimGround>);

inline std::size_t SimMemory::Pool::dirty_bytes(std::size_t bytes) {
  return bytes == kChunkBytes ? sizeof(SlabChunk<KmallocSimGround>) : 0;
}
inline void* SimMemory::Pool::take(std::size_t bytes, std::size_t alignment,
                                   std::size_t index) {
  std::vector<void*>& blocks = blocks_[bytes];
  if (index < blocks.size()) {
    std::memset(blocks[index], 0, dirty_bytes(bytes));
    return blocks[index];
  }
  if (bytes >= kChunkBytes && alignment < kChunkBytes) alignment = kChunkBytes;
  void* memory = std::aligned_alloc(alignment, bytes);
  ODO_CHECK(memory != nullptr);
  std::memset(memory, 0, bytes);
  blocks.push_back(memory);
  return memory;
}

}  // namespace odo::kmalloc
