// SPDX-License-Identifier: BSD-3-Clause
// A machine of many CPUs for runs that are too long for the engine: it changes
// from one CPU to another before any atomic operation, by chance, and memory is
// what it is in the order of the steps. What orders allow beyond that, the
// small programs show.
//
// Every object is marked while it has an owner, at its beginning and its end:
// who gets one that is marked, or frees one that is not, ends the run.
//
// Contexts: one host thread.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/check.h"
#include "lib/kmalloc/heap.h"
#include "lib/platform/sim/fiber.h"

namespace odo::kmalloc {

// The CPUs' turns, and what they have mapped.
class Machine {
 public:
  explicit Machine(std::uint64_t seed) : random_(seed) { current_ = this; }
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;
  ~Machine() {
    for (const auto& [memory, bytes] : mapped_) std::free(memory);
    current_ = nullptr;
  }
  [[nodiscard]] static Machine& current() { return *current_; }

  template <class Body>
  void add_cpu(Body&& body) {
    cpus_.push_back(
        std::make_unique<sim::Fiber>(stacks_, std::forward<Body>(body)));
  }
  // Until all have ended, or something is wrong: the failure, or empty.
  std::string run() {
    const PanicHook outer = panic_hook;
    panic_hook = [](const PanicSite& site) { current().fail(site.text); };
    std::vector<sim::Fiber*> left;
    left.reserve(cpus_.size());
    for (const auto& cpu : cpus_) left.push_back(cpu.get());
    while (!left.empty() && failure_.empty()) {
      const std::size_t pick = random_() % left.size();
      left[pick]->resume();
      ++turns_;
      if (!left[pick]->done()) continue;
      std::swap(left[pick], left.back());
      left.pop_back();
    }
    cpus_.clear();
    panic_hook = outer;
    return failure_;
  }

  // --- on a CPU --------------------------------------------------------------
  void step() {
    ++steps_;
    if (random_() % 4 == 0) sim::Fiber::suspend();
  }
  void rest() { sim::Fiber::suspend(); }
  [[noreturn]] void fail(const char* text) {
    if (failure_.empty()) failure_ = text;
    while (true) sim::Fiber::suspend();
  }
  void require(bool condition, const char* text) {
    if (!condition) fail(text);
  }
  [[nodiscard]] std::uint64_t draw(std::uint64_t below) {
    return random_() % below;
  }

  [[nodiscard]] void* map(std::size_t bytes, std::size_t alignment) {
    step();
    void* memory = std::aligned_alloc(alignment, bytes);
    ODO_CHECK(memory != nullptr);
    std::memset(memory, 0, bytes);
    mapped_[memory] = bytes;
    return memory;
  }
  void unmap(void* memory, std::size_t bytes) {
    const auto it = mapped_.find(memory);
    require(it != mapped_.end() && it->second == bytes,
            "unmapped what is not mapped");
    mapped_.erase(it);
    std::free(memory);
  }
  [[nodiscard]] bool has_memory() const { return !mapped_.empty(); }

  [[nodiscard]] std::uint64_t steps() const { return steps_; }
  [[nodiscard]] std::uint64_t turns() const { return turns_; }

 private:
  inline static Machine* current_ = nullptr;

  std::mt19937_64 random_;
  sim::StackPool stacks_;
  std::vector<std::unique_ptr<sim::Fiber>> cpus_;
  std::map<void*, std::size_t> mapped_;
  std::string failure_;
  std::uint64_t steps_ = 0;
  std::uint64_t turns_ = 0;
};

template <class T>
class MachineAtomic {
 public:
  using Order = std::memory_order;

  constexpr MachineAtomic() = default;
  constexpr explicit MachineAtomic(T value) : value_(value) {}
  MachineAtomic(const MachineAtomic&) = delete;
  MachineAtomic& operator=(const MachineAtomic&) = delete;

  [[nodiscard]] T load(Order /*order*/) const {
    Machine::current().step();
    return value_;
  }
  void store(T value, Order order) { (void)exchange(value, order); }
  T exchange(T value, Order /*order*/) {
    Machine::current().step();
    return std::exchange(value_, value);
  }
  bool compare_exchange_weak(T& expected, T desired, Order success,
                             Order failure) {
    if (Machine::current().draw(8) == 0) {
      expected = load(failure);
      return false;
    }
    return compare_exchange_strong(expected, desired, success, failure);
  }
  bool compare_exchange_strong(T& expected, T desired, Order /*success*/,
                               Order /*failure*/) {
    Machine::current().step();
    if (value_ != expected) {
      expected = value_;
      return false;
    }
    value_ = desired;
    return true;
  }
  T fetch_add(T value, Order order) {
    return update(order, [value](T old) { return old + value; });
  }
  T fetch_sub(T value, Order order) {
    return update(order, [value](T old) { return old - value; });
  }
  T fetch_and(T value, Order order) {
    return update(order, [value](T old) { return old & value; });
  }
  T fetch_or(T value, Order order) {
    return update(order, [value](T old) { return old | value; });
  }

 private:
  template <class Change>
  T update(Order /*order*/, Change change) {
    Machine::current().step();
    return std::exchange(value_, static_cast<T>(change(value_)));
  }

  T value_{};
};

template <bool Hardened>
struct MachineGround {
  template <class T>
  using Atomic = MachineAtomic<T>;
  static constexpr bool kHardened = Hardened;

  void relax() { Machine::current().rest(); }
  [[nodiscard]] void* map(std::size_t bytes, std::size_t alignment) {
    return Machine::current().map(bytes, alignment);
  }
  void unmap(void* memory, std::size_t bytes) {
    Machine::current().unmap(memory, bytes);
  }
  [[nodiscard]] bool release(void* memory, std::size_t bytes) {
    std::memset(memory, 0, bytes);
    return true;
  }
  void kmalloc_fault(const MemoryFault& fault) {
    Machine::current().fail(misuse_text(fault.what));
  }
};
static_assert(KmallocPlatform<MachineGround<false>>);

// Each CPU allocates, and gives most of it to others, who free it; lanes are
// left and taken, flushed and reclaimed meanwhile.
template <bool Hardened = false>
class ManyCpus {
 public:
  using Ground = MachineGround<Hardened>;
  using HeapT = Heap<Ground>;
  using LaneT = Lane<Ground>;

  ManyCpus(Machine& machine, unsigned cpus, std::size_t objects)
      : machine_(machine), mail_(cpus), left_(cpus), objects_(objects) {
    new (&room_.heap) HeapT(Ground());
    for (unsigned cpu = 0; cpu < cpus; ++cpu) {
      machine.add_cpu([this, cpu] { run_cpu(cpu); });
    }
  }
  ManyCpus(const ManyCpus&) = delete;
  ManyCpus& operator=(const ManyCpus&) = delete;
  // The heap is destroyed at the end of a run that was right.
  ~ManyCpus() = default;

  [[nodiscard]] std::uint64_t posts() const { return posts_; }
  [[nodiscard]] std::uint64_t harvests() const { return harvests_; }
  [[nodiscard]] std::size_t lanes() const { return lanes_.size(); }

 private:
  using Mark = std::uint64_t;

  struct Object {
    void* memory;
    std::size_t bytes;
  };
  static constexpr std::size_t kSizes[] = {
      8, 16, 24, 48, 64, 96, 160, 448, 1000, 2048, 5000, 32768, 100'000};
  static constexpr std::size_t kMostMail = 200;

  [[nodiscard]] static Mark mark_of(const void* object, std::size_t bytes) {
    return (reinterpret_cast<std::uintptr_t>(object) ^ bytes) *
           0x9e37'79b9'7f4a'7c15;
  }
  // The last eight bytes; of the smallest, the first.
  [[nodiscard]] static std::byte* end_of(const Object& object) {
    return static_cast<std::byte*>(object.memory) + object.bytes - sizeof(Mark);
  }
  [[nodiscard]] static Mark read(const void* at) {
    Mark mark = 0;
    std::memcpy(&mark, at, sizeof mark);
    return mark;
  }

  void run_cpu(unsigned cpu) {
    LaneT* lane = take_lane();
    while (made_ < objects_) {
      const std::uint64_t how = machine_.draw(4000);
      if (how == 0) {
        lane->flush();
      } else if (how == 1) {
        (void)heap().reclaim(*lane, kChunkBytes);
      } else if (how < 6) {
        heap().leave_lane(*lane);
        lane = take_lane();
      } else if (how % 2 == 0 && mail_[cpu].size() < kMostMail) {
        // Small ones are the most.
        const std::uint64_t most = 1 + machine_.draw(std::size(kSizes));
        allocate(*lane, kSizes[machine_.draw(machine_.draw(most) + 1)]);
      } else if (!mail_[cpu].empty()) {
        free(*lane, take_one(mail_[cpu]));
      }
      machine_.step();
    }
    while (!mail_[cpu].empty()) free(*lane, take_one(mail_[cpu]));
    lane->flush();
    heap().leave_lane(*lane);
    if (--left_ == 0) finish();
  }
  [[nodiscard]] LaneT* take_lane() {
    LaneT* lane = heap().take_lane();
    machine_.require(lane != nullptr, "no lane");
    if (std::find(lanes_.begin(), lanes_.end(), lane) == lanes_.end()) {
      lanes_.push_back(lane);
    }
    return lane;
  }
  [[nodiscard]] Object take_one(std::vector<Object>& mail) {
    std::swap(mail[machine_.draw(mail.size())], mail.back());
    const Object object = mail.back();
    mail.pop_back();
    return object;
  }

  void allocate(LaneT& lane, std::size_t bytes) {
    Object object{heap().allocate(lane, bytes, [&lane] { return &lane; }),
                  bytes};
    machine_.require(object.memory != nullptr, "an object was refused");
    const Mark mark = mark_of(object.memory, bytes);
    machine_.require(read(object.memory) != mark,
                     "an object was given out twice");
    std::memcpy(object.memory, &mark, sizeof mark);
    std::memcpy(end_of(object), &mark, sizeof mark);
    ++made_;
    std::vector<Object>& mail = mail_[machine_.draw(mail_.size())];
    mail.push_back(object);
  }
  void free(LaneT& lane, const Object& object) {
    const Mark mark = mark_of(object.memory, object.bytes);
    if constexpr (Hardened) {
      machine_.require(heap().is_object(object.memory),
                       "an object is not known");
    }
    machine_.require(
        read(object.memory) == mark && read(end_of(object)) == mark,
        "an object is not what it was");
    std::memset(object.memory, 0, sizeof mark);
    std::memset(end_of(object), 0, sizeof mark);
    heap().free(lane, object.memory, [&lane] { return &lane; });
  }

  // On the last CPU: what the others sent late, and then the counts.
  void finish() {
    for (unsigned cpu = 0; cpu < mail_.size(); ++cpu) {
      LaneT* lane = take_lane();
      while (!mail_[cpu].empty()) free(*lane, take_one(mail_[cpu]));
      lane->flush();
      heap().leave_lane(*lane);
    }
    LaneT* lane = take_lane();
    (void)heap().reclaim(*lane, ~std::size_t{0});
    heap().leave_lane(*lane);
    std::uint64_t made = 0;
    std::uint64_t unmade = 0;
    for (const LaneT* one : lanes_) {
      made += one->counts().made;
      unmade += one->counts().unmade;
      posts_ += one->counts().posts;
      harvests_ += one->counts().harvests;
      machine_.require(!one->any_told(), "a lane was told and nobody looked");
    }
    machine_.require(made == unmade, "a slab was lost");
    machine_.require(heap().counts().in_use == 0, "memory was lost");
    machine_.require(heap().counts().kept == 0, "memory was kept");
    std::destroy_at(&room_.heap);
    machine_.require(!machine_.has_memory(), "something stayed mapped");
  }

  [[nodiscard]] HeapT& heap() { return room_.heap; }

  union Room {
    Room() {}
    ~Room() {}
    HeapT heap;
  };

  Machine& machine_;
  Room room_;
  std::vector<std::vector<Object>> mail_;
  std::vector<LaneT*> lanes_;
  std::size_t left_;
  std::size_t objects_;
  std::size_t made_ = 0;
  std::uint64_t posts_ = 0;
  std::uint64_t harvests_ = 0;
};

}  // namespace odo::kmalloc
