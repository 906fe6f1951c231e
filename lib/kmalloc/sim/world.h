// SPDX-License-Identifier: BSD-3-Clause
// One heap on the simulated ground, its lanes, and a model of what is
// allocated: who gets an object writes to it, and who frees it does so before.
// An object that two have is found by the model or as a race, and one that is
// lost by the counts at the end, when everything is free and nothing in use.
//
// Contexts: inside an execution, or in its set-up. One host thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <source_location>
#include <span>
#include <string>
#include <vector>

#include "lib/kmalloc/heap.h"
#include "lib/kmalloc/sim/ground.h"

namespace odo::kmalloc {

using sim::Engine;

// Sixteen to a slab of one unit; and 73, in two words of bits.
inline constexpr std::size_t kLarger = 2048;
inline constexpr std::size_t kSmaller = 448;

class SimObjects {
 public:
  void take(void* object) {
    if (object == nullptr) Engine::current().fail("an object was refused");
    Object& it = all_[object];
    if (it.taken) Engine::current().fail("an object was given out twice");
    it.taken = true;
    ++taken_;
    it.data.set(1);
  }
  void drop(void* object) {
    Object& it = all_[object];
    if (!it.taken) Engine::current().fail("a program frees what it has not");
    it.data.set(2);
    it.taken = false;
    --taken_;
  }
  // One that is taken; null if none is.
  [[nodiscard]] void* any() const {
    if (taken_ == 0) return nullptr;
    for (const auto& [object, it] : all_) {
      if (it.taken) return object;
    }
    return nullptr;
  }

 private:
  struct Object {
    sim::Plain<int> data{0};
    bool taken = false;
  };
  std::map<void*, Object> all_;
  std::size_t taken_ = 0;
};

class KmallocWorld {
 public:
  using HeapT = Heap<KmallocSimGround>;
  using LaneT = Lane<KmallocSimGround>;

  explicit KmallocWorld(unsigned lanes) {
    new (&room_.heap) HeapT(KmallocSimGround());
    for (unsigned i = 0; i < lanes; ++i) lanes_.push_back(heap().take_lane());
  }
  KmallocWorld(const KmallocWorld&) = delete;
  KmallocWorld& operator=(const KmallocWorld&) = delete;
  // The heap is not destroyed, but by finish().
  ~KmallocWorld() = default;

  [[nodiscard]] HeapT& heap() { return room_.heap; }
  [[nodiscard]] SimMemory& memory() { return memory_; }
  [[nodiscard]] LaneT& lane(unsigned i) { return *lanes_[i]; }

  // --- with the model --------------------------------------------------------
  [[nodiscard]] void* allocate(LaneT& lane, std::size_t bytes) {
    void* object = try_allocate(lane, bytes);
    if (object == nullptr) Engine::current().fail("an object was refused");
    return object;
  }
  [[nodiscard]] void* try_allocate(LaneT& lane, std::size_t bytes) {
    void* object = heap().allocate(lane, bytes, [&lane] { return &lane; });
    if (object != nullptr) objects_.take(object);
    return object;
  }
  void free(LaneT& lane, void* object) {
    objects_.drop(object);
    heap().free(lane, object, [&lane] { return &lane; });
  }
  [[nodiscard]] void* allocate(unsigned i, std::size_t bytes) {
    return allocate(lane(i), bytes);
  }
  void free(unsigned i, void* object) { free(lane(i), object); }
  // So many at once, in the order of their addresses.
  [[nodiscard]] std::vector<void*> allocate_some(unsigned i, std::size_t bytes,
                                                 std::size_t count) {
    std::vector<void*> some;
    some.reserve(count);
    for (std::size_t n = 0; n < count; ++n) some.push_back(allocate(i, bytes));
    std::sort(some.begin(), some.end());
    return some;
  }
  void free_all(unsigned i, std::span<void* const> objects) {
    for (void* object : objects) free(i, object);
  }
  // Freed, and sent home together with all that this lane has at hand.
  void send(unsigned i, void* object) {
    free(i, object);
    flush(i);
  }
  // Its stacks are empty, and what it had at hand is in its slabs.
  void flush(unsigned i) { lane(i).flush(); }

  // A lane that somebody made meanwhile; whose owner is gone or is at rest.
  void add(LaneT& lane) {
    for (LaneT* known : lanes_) {
      if (known == &lane) return;
    }
    lanes_.push_back(&lane);
  }
  void leave(LaneT& lane) { heap().leave_lane(lane); }
  void leave(unsigned i) { leave(lane(i)); }

  // --- the end ---------------------------------------------------------------
  // Runs the program, then `check` and what holds of every one. Misuse and
  // panics in there are the execution's failures, too.
  template <class Check>
  void finish(Engine& m, Check&& check) {
    memory_.allow_faults();
    if (m.run() != Engine::Outcome::kFinished) return;
    static sim::StackPool stacks;
    const PanicHook outer = panic_hook;
    panic_hook = [](const PanicSite& site) {
      Engine::current().fail_at(site.text, site.file, site.line);
      sim::Fiber::suspend();
    };
    {
      sim::Fiber judge(stacks, [&] {
        check();
        settle();
      });
      judge.resume();
    }
    panic_hook = outer;
  }
  void finish(Engine& m) {
    finish(m, [] {});
  }
  // Nobody has the lane, or looks after it, or has told it what it has not
  // heard of.
  void expect_left(unsigned i) {
    require(!lane(i).any_told(), "a lane was told and nobody looked");
    require(lane(i).adopt(), "a lane was left, but somebody has it");
  }
  static void require(bool condition, const char* text) {
    if (!condition) {
      Engine::current().fail(text);
      sim::Fiber::suspend();
    }
  }

 private:
  // Everything is freed and goes home, and all counts say so.
  void settle() {
    while (void* object = objects_.any()) free(0, object);
    // The second time, what the first sent.
    for (int round = 0; round < 2; ++round) {
      for (LaneT* lane : lanes_) lane->flush();
    }
    (void)heap().reclaim(lane(0), ~std::size_t{0});
    std::uint64_t made = 0;
    std::uint64_t unmade = 0;
    for (const LaneT* lane : lanes_) {
      made += lane->counts().made;
      unmade += lane->counts().unmade;
    }
    const ArenaCounts counts = heap().counts();
    require(made == unmade, "a slab was lost");
    require(counts.in_use == 0, "memory was lost");
    require(counts.kept == 0, "memory was kept in spite of reclaim()");
    const std::size_t lanes_bytes = memory_.mapped_bytes() - counts.mapped;
    require(lanes_bytes % lanes_.size() == 0 && lanes_bytes < kChunkBytes,
            "the count of what is mapped is wrong");
    std::destroy_at(&room_.heap);
    require(memory_.mapped_bytes() == 0, "something stayed mapped");
  }

  union Room {
    Room() {}
    ~Room() {}
    HeapT heap;
  };

  SimMemory memory_;
  Room room_;
  SimObjects objects_;
  std::vector<LaneT*> lanes_;
};

}  // namespace odo::kmalloc
