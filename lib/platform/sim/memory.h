// SPDX-License-Identifier: BSD-3-Clause
// Memory as C++20 allows it to behave, one execution at a time.
//
// Each atomic location keeps every store ever made to it, in modification
// order, and each thread keeps a floor: the oldest store that it may still
// read. A load asks `Choices` which of the allowed stores it reads; a store
// asks where in modification order it goes. Acquire reads of release stores
// join views, and seq_cst operations push a floor common to all of them. What
// comes out are the executions of [intro.races] and [atomics.order] in which
// one order of events fits program order and reads-from; with futures on, a
// load may also read a store that is made later, once an execution.
//
// Contexts: one host thread.
// Invariants:
//   M1. the order of operations is the order S of seq_cst operations;
//   M2. a store lies after its thread's floor in modification order, a load
//       reads at or after it, and either moves the floor to it;
//   M3. a read-modify-write lies right after the store that it read, and
//       nothing is ever placed between them;
//   M4. every seq_cst operation on a location, and everything that a seq_cst
//       fence has before it, is a floor for later seq_cst operations there and
//       for whatever follows a later seq_cst fence.
// Not modelled: consume (taken as acquire), mixed-size access, more than one
// read from the future in an execution, read-modify-writes and seq_cst pairs
// that read from the future.
// Origin: C++20 [intro.races], [atomics.order], [atomics.fences]; the views
// are those of Kang et al., "A Promising Semantics for Relaxed-Memory
// Concurrency" (POPL 2017), the futures those of Norris and Demsky,
// "CDSChecker" (OOPSLA 2013).
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "lib/base/check.h"
#include "lib/platform/sim/choices.h"
#include "lib/platform/sim/view.h"

namespace odo::sim {

[[nodiscard]] constexpr bool acquires(std::memory_order order) {
  return order == std::memory_order_acquire ||
         order == std::memory_order_consume ||
         order == std::memory_order_acq_rel ||
         order == std::memory_order_seq_cst;
}
[[nodiscard]] constexpr bool releases(std::memory_order order) {
  return order == std::memory_order_release ||
         order == std::memory_order_acq_rel ||
         order == std::memory_order_seq_cst;
}
[[nodiscard]] constexpr bool is_seq_cst(std::memory_order order) {
  return order == std::memory_order_seq_cst;
}

class Memory {
 public:
  // How often in a row a thread may read the same overtaken store. The standard
  // asks that stores become visible in a finite time; this is that time.
  static constexpr unsigned kStaleReads = 2;

  struct Options {
    // Loads may read stores that are made later (load buffering).
    bool futures = false;
    // How many times in one execution a weak compare-exchange may fail though
    // it saw what it expected.
    unsigned spurious_failures = 1;
  };

  Memory(Choices& choices, Options options)
      : choices_(choices),
        options_(options),
        spurious_left_(options.spurious_failures) {}

  // --- threads ---------------------------------------------------------------
  // A thread that starts with all that `parent` knows.
  ThreadId add_thread(ThreadId parent) {
    auto id = static_cast<ThreadId>(threads_.size());
    Thread thread;
    if (id != 0) thread.now = threads_[parent].now;
    threads_.push_back(std::move(thread));
    tick(id);
    if (id != 0) tick(parent);
    return id;
  }
  // Everything that `from` knows now, `to` knows too: join, wake-up, interrupt.
  void synchronize(ThreadId from, ThreadId to) {
    join(threads_[to].now, threads_[from].now);
    tick(from);
    tick(to);
  }
  [[nodiscard]] const VectorClock& clock(ThreadId thread) const {
    return threads_[thread].now.clock;
  }

  // --- locations -------------------------------------------------------------
  LocationId add_location(ThreadId creator, std::uint64_t value) {
    auto id = static_cast<LocationId>(locations_.size());
    if (id % SharedArray::kBlock == 0) reordered_.push_back(false);
    Location location;
    location.id = id;
    Store first;
    first.value = value;
    // What is made before there is a second thread, later ones know from birth.
    if (threads_.size() > 1) first.message = threads_[creator].now;
    location.stores.push_back(std::move(first));
    location.order.push_back(0);
    locations_.push_back(std::move(location));
    return id;
  }

  // --- operations ------------------------------------------------------------
  std::uint64_t load(ThreadId thread, LocationId location,
                     std::memory_order order) {
    Location& at = locations_[location];
    const std::size_t floor = floor_index(thread, location, order);
    candidates_.clear();
    for (std::size_t i = at.order.size(); i-- > floor;) {
      if (readable(thread, at, i)) candidates_.push_back(i);
    }
    limit_staleness(thread, location);
    tick(thread);
    std::size_t node = 0;
    const auto count = static_cast<unsigned>(candidates_.size());
    const unsigned pick =
        count == 1 && !options_.futures ? 0 : choices_.pick_read(count, node);
    if (pick >= count) {
      return read_future(thread, location, order,
                         choices_.future_value(node, pick - count));
    }
    const StoreId read = at.order[candidates_[pick]];
    if (options_.futures) {
      at.loads.push_back({thread, threads_[thread].tick, node, acquires(order),
                          is_seq_cst(order)});
    }
    note_staleness(thread, location, read, pick != 0);
    take(thread, location, read, order);
    return at.stores[read].value;
  }

  void store(ThreadId thread, LocationId location, std::uint64_t value,
             std::memory_order order) {
    Location& at = locations_[location];
    tick(thread);
    const std::size_t floor = floor_index(thread, location, order);
    candidates_.clear();
    for (std::size_t i = at.order.size(); i-- > floor;) {
      if (!followed_by_rmw(at, i)) candidates_.push_back(i);
    }
    const auto places = static_cast<unsigned>(candidates_.size());
    fulfillable_.clear();
    for (std::size_t p = 0; p < promises_.size(); ++p) {
      if (can_fulfil(promises_[p], thread, location, value, order, floor)) {
        fulfillable_.push_back(p);
      }
    }
    const unsigned count = places + static_cast<unsigned>(fulfillable_.size());
    const unsigned pick =
        count == 1 ? 0 : choices_.pick(Question::kPlace, count);
    StoreId id = 0;
    ThreadId believer = thread;
    if (pick < places) {
      id = insert(at, candidates_[pick] + 1, value, thread, Written::kStore);
      offer_to_earlier_loads(thread, at, value, order);
    } else {
      believer = promises_[fulfillable_[pick - places]].reader;
      id = fulfil(fulfillable_[pick - places], thread);
    }
    publish(thread, location, id, order, nullptr);
    // What a later acquire fence of the one who read it early will find.
    if (believer != thread) {
      join(threads_[believer].pending, at.stores[id].message);
    }
  }

  // Reads a store that no other read-modify-write has read and places
  // `change(value)` right after it; returns the value read.
  template <class Change>
  std::uint64_t update(ThreadId thread, LocationId location,
                       std::memory_order order, Change&& change) {
    Location& at = locations_[location];
    tick(thread);
    const std::size_t floor = floor_index(thread, location, order);
    candidates_.clear();
    for (std::size_t i = at.order.size(); i-- > floor;) {
      if (readable(thread, at, i) && !followed_by_rmw(at, i)) {
        candidates_.push_back(i);
      }
    }
    const std::size_t index = pick_candidate(Question::kRead);
    return complete_update(thread, location, index, order, change);
  }

  // Compare-exchange; `weak` ones may fail though the value is right.
  bool compare_exchange(ThreadId thread, LocationId location,
                        std::uint64_t& expected, std::uint64_t desired,
                        std::memory_order success, std::memory_order failure,
                        bool weak) {
    Location& at = locations_[location];
    tick(thread);
    // Which of the two orders decides the floor depends on what is read; the
    // candidates below it are dropped one by one.
    const std::size_t won = floor_index(thread, location, success);
    const std::size_t lost = floor_index(thread, location, failure);
    candidates_.clear();
    for (std::size_t i = at.order.size(); i-- > std::min(won, lost);) {
      if (!readable(thread, at, i)) continue;
      const bool match = at.stores[at.order[i]].value == expected;
      if (match ? i >= won && !followed_by_rmw(at, i) : i >= lost) {
        candidates_.push_back(i);
      }
    }
    ODO_CHECK(!candidates_.empty());
    limit_staleness(thread, location);
    const std::size_t index = pick_candidate(Question::kRead);
    const StoreId read = at.order[index];
    if (at.stores[read].value == expected) {
      if (!weak || spurious_left_ == 0 ||
          choices_.pick(Question::kSpurious, 2) == 0) {
        complete_update(thread, location, index, success,
                        [&](std::uint64_t) { return desired; });
        return true;
      }
      --spurious_left_;
    }
    note_staleness(thread, location, read, index + 1 != at.order.size());
    expected = at.stores[read].value;
    take(thread, location, read, failure);
    return false;
  }

  void fence(ThreadId thread, std::memory_order order) {
    Thread& self = threads_[thread];
    tick(thread);
    if (acquires(order)) {
      join(self.now, self.pending);
      for (Promise& promise : promises_) {
        if (promise.reader == thread) promise.acquired = true;
      }
    }
    if (is_seq_cst(order)) {
      // M4, both directions; happens-before itself is not created.
      join(self.now.floors, sc_floors_);
      sc_floors_ = self.now.floors;
    }
    if (releases(order)) self.release = self.now;
  }

  // True when the thread has read an overtaken store since it last asked: what
  // it waits for may have happened already.
  [[nodiscard]] bool take_saw_stale(ThreadId thread) {
    return std::exchange(threads_[thread].saw_stale, false);
  }
  // The newest value in modification order.
  [[nodiscard]] std::uint64_t newest(LocationId location) const {
    const Location& at = locations_[location];
    return at.stores[at.order.back()].value;
  }

  // --- plain data ------------------------------------------------------------
  // What a race detector keeps of one variable that isn't atomic.
  struct PlainState {
    struct Read {
      ThreadId reader;
      std::uint32_t tick;
    };
    ThreadId writer = 0;
    std::uint32_t write_tick = 0;
    std::vector<Read> reads;  // each thread's last, since the write
  };
  // False when the access races with an earlier one by another thread.
  [[nodiscard]] bool plain_read(ThreadId thread, PlainState& state) {
    tick(thread);
    const VectorClock& now = threads_[thread].now.clock;
    const auto mine =
        std::find_if(state.reads.begin(), state.reads.end(),
                     [&](const auto& read) { return read.reader == thread; });
    if (mine != state.reads.end()) {
      mine->tick = threads_[thread].tick;
    } else {
      state.reads.push_back({thread, threads_[thread].tick});
    }
    return state.write_tick <= now.of(state.writer);
  }
  [[nodiscard]] bool plain_write(ThreadId thread, PlainState& state) {
    tick(thread);
    const VectorClock& now = threads_[thread].now.clock;
    const bool ordered = state.write_tick <= now.of(state.writer) &&
                         std::all_of(state.reads.begin(), state.reads.end(),
                                     [&](const auto& read) {
                                       return read.tick <= now.of(read.reader);
                                     });
    state.writer = thread;
    state.write_tick = threads_[thread].tick;
    state.reads.clear();
    return ordered;
  }

  // An execution counts only when every value read from the future was stored
  // in the end.
  [[nodiscard]] bool speculating() const { return !promises_.empty(); }

 private:
  enum class Written : std::uint8_t { kStore, kUpdate, kPromise };

  struct Store {
    std::uint64_t value = 0;
    View message;           // what an acquiring reader learns
    std::size_t index = 0;  // in the location's modification order
    ThreadId thread = 0;
    Written how = Written::kStore;
  };

  struct Load {
    ThreadId thread;
    std::uint32_t tick;
    std::size_t node;
    bool acquire;
    bool seq_cst;
  };

  struct Location {
    std::vector<Store> stores;   // by StoreId
    std::vector<StoreId> order;  // modification order
    std::vector<Load> loads;     // kept only with futures on
    LocationId id = 0;
  };

  struct Promise {
    LocationId location;
    StoreId store;
    ThreadId reader;
    std::uint32_t tick;
    bool acquired;
    bool seq_cst;
  };

  struct Stale {
    LocationId location;
    StoreId store;
    unsigned times;
  };

  struct Thread {
    View now;      // happens-before, and the floors that follow from it
    View pending;  // what an acquire fence would add
    View release;  // `now` at the last release fence
    std::uint32_t tick = 0;
    std::vector<Stale> stale;  // of where it read an overtaken store last
    bool saw_stale = false;
  };

  void tick(ThreadId thread) {
    Thread& self = threads_[thread];
    self.now.clock.set(thread, ++self.tick);
  }

  [[nodiscard]] static std::size_t index_of(const Location& at, StoreId store) {
    return at.stores[store].index;
  }

  [[nodiscard]] std::size_t floor_index(ThreadId thread, LocationId location,
                                        std::memory_order order) const {
    const Location& at = locations_[location];
    std::size_t floor = index_of(at, threads_[thread].now.floors.of(location));
    if (is_seq_cst(order)) {
      floor = std::max(floor, index_of(at, sc_floors_.of(location)));
    }
    return floor;
  }

  // A value promised but not stored yet is for the one who bet on it, and for
  // those who learnt of the bet and have nothing newer.
  [[nodiscard]] bool readable(ThreadId thread, const Location& at,
                              std::size_t index) const {
    const Store& store = at.stores[at.order[index]];
    return store.how != Written::kPromise || store.thread == thread ||
           index + 1 == at.order.size();
  }

  [[nodiscard]] static bool followed_by_rmw(const Location& at,
                                            std::size_t index) {
    return index + 1 < at.order.size() &&
           at.stores[at.order[index + 1]].how == Written::kUpdate;
  }

  std::size_t pick_candidate(Question question) {
    ODO_CHECK(!candidates_.empty());
    const auto count = static_cast<unsigned>(candidates_.size());
    return candidates_[count == 1 ? 0 : choices_.pick(question, count)];
  }

  void join(View& to, const View& from) {
    to.clock.join(from.clock);
    join(to.floors, from.floors);
  }
  void join(Floors& to, const Floors& from) {
    to.join(from, ModificationOrder{*this});
  }
  // Stores are numbered as they are made: mostly that is their order as well.
  struct ModificationOrder {
    const Memory& memory;

    [[nodiscard]] bool by_size(std::uint32_t block) const {
      return !memory.reordered_[block];
    }
    [[nodiscard]] bool is_newer(LocationId location, StoreId theirs,
                                StoreId ours) const {
      const Location& at = memory.locations_[location];
      return index_of(at, theirs) > index_of(at, ours);
    }
  };

  // The effects of having read `read`.
  void take(ThreadId thread, LocationId location, StoreId read,
            std::memory_order order) {
    Thread& self = threads_[thread];
    Location& at = locations_[location];
    self.now.floors.set(location, read);
    if (acquires(order)) {
      join(self.now, at.stores[read].message);
    } else {
      join(self.pending, at.stores[read].message);
    }
    if (is_seq_cst(order)) sc_floors_.set(location, read);
  }

  // The effects of having written `id`; `read` is what a read-modify-write
  // read, whose release sequence it continues.
  void publish(ThreadId thread, LocationId location, StoreId id,
               std::memory_order order, const Store* read) {
    Thread& self = threads_[thread];
    Location& at = locations_[location];
    self.now.floors.set(location, id);
    View message = releases(order) ? self.now : self.release;
    if (read != nullptr) join(message, read->message);
    at.stores[id].message = std::move(message);
    if (is_seq_cst(order)) sc_floors_.set(location, id);
  }

  StoreId insert(Location& at, std::size_t index, std::uint64_t value,
                 ThreadId thread, Written how) {
    const auto id = static_cast<StoreId>(at.stores.size());
    Store store;
    store.value = value;
    store.thread = thread;
    store.how = how;
    at.stores.push_back(std::move(store));
    if (index != at.order.size())
      reordered_[at.id / SharedArray::kBlock] = true;
    at.order.insert(at.order.begin() + static_cast<std::ptrdiff_t>(index), id);
    for (std::size_t i = index; i < at.order.size(); ++i) {
      at.stores[at.order[i]].index = i;
    }
    return id;
  }

  template <class Change>
  std::uint64_t complete_update(ThreadId thread, LocationId location,
                                std::size_t index, std::memory_order order,
                                Change&& change) {
    Location& at = locations_[location];
    const StoreId read = at.order[index];
    const std::uint64_t value = at.stores[read].value;
    take(thread, location, read, order);
    const StoreId id =
        insert(at, index + 1, change(value), thread, Written::kUpdate);
    publish(thread, location, id, order, &at.stores[read]);
    return value;
  }

  // --- staleness -------------------------------------------------------------
  [[nodiscard]] std::vector<Stale>::iterator find_stale(ThreadId thread,
                                                        LocationId location) {
    std::vector<Stale>& all = threads_[thread].stale;
    return std::find_if(all.begin(), all.end(), [&](const Stale& one) {
      return one.location == location;
    });
  }
  // `candidates_` runs from the newest to the oldest.
  void limit_staleness(ThreadId thread, LocationId location) {
    const auto past = find_stale(thread, location);
    if (past == threads_[thread].stale.end() || past->times < kStaleReads) {
      return;
    }
    const Location& at = locations_[location];
    const std::size_t limit = index_of(at, past->store);
    while (candidates_.size() > 1 && candidates_.back() <= limit) {
      candidates_.pop_back();
    }
  }
  void note_staleness(ThreadId thread, LocationId location, StoreId read,
                      bool overtaken) {
    std::vector<Stale>& all = threads_[thread].stale;
    const auto past = find_stale(thread, location);
    if (!overtaken) {
      if (past != all.end()) all.erase(past);
      return;
    }
    threads_[thread].saw_stale = true;
    if (past == all.end()) {
      all.push_back({location, read, 1});
      return;
    }
    past->times = past->store == read ? past->times + 1 : 1;
    past->store = read;
  }

  // --- futures ---------------------------------------------------------------
  void offer_to_earlier_loads(ThreadId thread, Location& at,
                              std::uint64_t value, std::memory_order order) {
    if (!options_.futures || promised_) return;
    const VectorClock& now = threads_[thread].now.clock;
    for (const Load& load : at.loads) {
      if (load.thread == thread || now.of(load.thread) >= load.tick) continue;
      if (load.acquire && carries_message(thread, order)) continue;
      if (load.seq_cst && is_seq_cst(order)) continue;
      choices_.offer_future(load.node, value);
    }
  }

  [[nodiscard]] bool carries_message(ThreadId thread,
                                     std::memory_order order) const {
    return releases(order) || !threads_[thread].release.floors.empty();
  }

  std::uint64_t read_future(ThreadId thread, LocationId location,
                            std::memory_order order, std::uint64_t value) {
    Location& at = locations_[location];
    promised_ = true;
    candidates_.clear();
    for (std::size_t i = at.order.size();
         i-- > floor_index(thread, location, order);) {
      if (!followed_by_rmw(at, i)) candidates_.push_back(i);
    }
    const std::size_t place = pick_candidate(Question::kPlace) + 1;
    const StoreId id = insert(at, place, value, thread, Written::kPromise);
    threads_[thread].now.floors.set(location, id);
    if (is_seq_cst(order)) sc_floors_.set(location, id);
    promises_.push_back({location, id, thread, threads_[thread].tick,
                         acquires(order), is_seq_cst(order)});
    return value;
  }

  [[nodiscard]] bool can_fulfil(const Promise& promise, ThreadId thread,
                                LocationId location, std::uint64_t value,
                                std::memory_order order,
                                std::size_t floor) const {
    if (promise.location != location || promise.reader == thread) return false;
    const Location& at = locations_[location];
    const Store& store = at.stores[promise.store];
    if (store.value != value || store.index <= floor) return false;
    // The store may not happen after its own reading.
    if (threads_[thread].now.clock.of(promise.reader) >= promise.tick) {
      return false;
    }
    if (promise.seq_cst && is_seq_cst(order)) return false;
    // Were the two to synchronize, the reading would happen after the store,
    // and then this execution is also found without the bet.
    return !(promise.acquired && carries_message(thread, order));
  }

  StoreId fulfil(std::size_t index, ThreadId thread) {
    const Promise promise = promises_[index];
    promises_.erase(promises_.begin() + static_cast<std::ptrdiff_t>(index));
    Store& store = locations_[promise.location].stores[promise.store];
    store.how = Written::kStore;
    store.thread = thread;
    return promise.store;
  }

  Choices& choices_;
  Options options_;
  unsigned spurious_left_;
  bool promised_ = false;
  std::vector<Thread> threads_;
  std::vector<Location> locations_;
  // By blocks of locations: was a store of one placed before an earlier one?
  std::vector<bool> reordered_;
  // What seq_cst operations and fences had before them (M4).
  Floors sc_floors_;
  std::vector<Promise> promises_;
  // Scratch of one operation.
  std::vector<std::size_t> candidates_;
  std::vector<std::size_t> fulfillable_;
};

}  // namespace odo::sim
