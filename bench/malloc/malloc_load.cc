// SPDX-License-Identifier: BSD-3-Clause
// Loads for whatever malloc the process has: bench/malloc/malloc_bench.py runs
// this program under one allocator after another, each by LD_PRELOAD.
//
// Nothing but malloc, free, new and delete is called, always with sizes that
// the compiler can't know, and the number of operations is fixed: all
// allocators do the same work. One process runs one case, so that its peak of
// resident memory is that of the case. An operation is one allocation and the
// matching release.
//
// Origin: the mixes are written after published descriptions:
//   larson   Larson and Krishnan, "Memory Allocation for Long-Running Server
//            Applications", ISMM 1998
//   xmalloc  Lever and Boreham, "malloc() Performance in a Multithreaded Linux
//            Environment", USENIX 2000, in the form where one thread frees what
//            another has allocated
//   sh6, sh8 MicroQuill's descriptions of its SmartHeap benchmarks
#include <dlfcn.h>
#include <sched.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <latch>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace odo::malloc_load {
namespace {

// --- what a case is told and what it answers

struct Options {
  std::uint64_t percent = 100;  // of the operations of a full run
  std::size_t threads = 2;
};

struct Times {
  double seconds;
  double cpu_seconds;  // of all threads
};

struct Outcome {
  std::uint64_t operations;
  Times times;
};

struct Case {
  std::string name;
  std::function<Outcome(const Options&)> run;
};

std::uint64_t scaled(std::uint64_t full, const Options& options) {
  return std::max<std::uint64_t>(1, full * options.percent / 100);
}

class Stopwatch {
 public:
  Times times() const {
    return {
        std::chrono::duration<double>(std::chrono::steady_clock::now() - wall_)
            .count(),
        cpu_now() - cpu_};
  }

 private:
  static double cpu_now() {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) +
           static_cast<double>(now.tv_nsec) * 1e-9;
  }

  std::chrono::steady_clock::time_point wall_ =
      std::chrono::steady_clock::now();
  double cpu_ = cpu_now();
};

// --- deterministic numbers

// Marsaglia's xorshift64, with the multiplication of xorshift64*.
class Random {
 public:
  explicit Random(std::uint64_t seed)
      : state_(seed * 0x9e3779b97f4a7c15u | 1) {}

  std::uint32_t next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return static_cast<std::uint32_t>((state_ * 0x2545f4914f6cdd1du) >> 32);
  }
  // From 0 to `bound` - 1.
  std::uint32_t below(std::uint32_t bound) {
    return static_cast<std::uint32_t>(
        (static_cast<std::uint64_t>(next()) * bound) >> 32);
  }

 private:
  std::uint64_t state_;
};

// Sizes are read from a table, also where all are the same: the loop around
// the allocator doesn't depend on them.
class Sizes {
 public:
  static constexpr std::size_t kCount = 1024;

  static Sizes all(std::uint32_t bytes) {
    Sizes sizes;
    sizes.table_.fill(bytes);
    return sizes;
  }
  // Each doubling from `low` to `high` (powers of two) is as likely as any
  // other, and so are the sizes within one.
  static Sizes spread(std::uint32_t low, std::uint32_t high,
                      std::uint64_t seed) {
    std::uint32_t doublings = 0;
    while ((low << doublings) < high) ++doublings;
    Random random(seed);
    Sizes sizes;
    for (std::uint32_t& size : sizes.table_) {
      const std::uint32_t base = low << random.below(doublings);
      size = base + random.below(base);
    }
    return sizes;
  }
  static Sizes of(const std::vector<std::uint32_t>& choices,
                  std::uint64_t seed) {
    Random random(seed);
    Sizes sizes;
    for (std::uint32_t& size : sizes.table_) {
      size = choices[random.below(static_cast<std::uint32_t>(choices.size()))];
    }
    return sizes;
  }

  std::size_t operator[](std::uint64_t index) const {
    return table_[index % kCount];
  }

 private:
  std::array<std::uint32_t, kCount> table_{};
};

// --- blocks

// The compiler has to believe that somebody else sees the block, or it leaves
// the allocation out.
char* escaped(void* block) {
  asm volatile("" : "+r"(block) : : "memory");
  return static_cast<char*>(block);
}

char* take(std::size_t bytes) {
  char* block = escaped(std::malloc(bytes));
  *block = 1;
  return block;
}

char* take_both_ends(std::size_t bytes) {
  char* block = take(bytes);
  block[bytes - 1] = 2;
  return block;
}

// --- threads

void pause_or_yield(unsigned& tries) {
  if (++tries % 512 == 0) {
    sched_yield();
  } else {
    __builtin_ia32_pause();
  }
}

// Puts the calling thread, and those that it will start, on one of the CPUs
// that the process may use. Left to the kernel, new threads share a CPU for a
// while, which a short run would measure.
class Spread {
 public:
  Spread() {
    if (sched_getaffinity(0, sizeof all_, &all_) != 0) CPU_ZERO(&all_);
  }
  void place(std::size_t thread) const {
    const auto count = static_cast<std::size_t>(CPU_COUNT(&all_));
    if (count == 0) return;
    std::size_t skip = thread % count;
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (!CPU_ISSET(cpu, &all_) || skip-- > 0) continue;
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(cpu, &one);
      // A thread that can't be placed runs all the same.
      (void)sched_setaffinity(0, sizeof one, &one);
      return;
    }
  }

 private:
  cpu_set_t all_;
};

// Starts `count` threads, lets them go together, and measures until the last
// of them has returned.
template <typename Body>
Times timed_threads(std::size_t count, const Body& body) {
  std::vector<std::thread> threads;
  threads.reserve(count);
  std::latch ready(static_cast<std::ptrdiff_t>(count));
  std::atomic<bool> go{false};
  const Spread spread;
  for (std::size_t self = 0; self < count; ++self) {
    threads.emplace_back([&, self] {
      spread.place(self);
      ready.count_down();
      unsigned tries = 0;
      // Pairs with the store below.
      while (!go.load(std::memory_order_acquire)) pause_or_yield(tries);
      body(self);
    });
  }
  ready.wait();
  const Stopwatch watch;
  go.store(true, std::memory_order_release);  // pairs with the loads above
  for (std::thread& thread : threads) thread.join();
  return watch.times();
}

// What a message and its answer take between the CPUs of two threads. On a
// virtual machine this changes by an order of magnitude, whenever the host
// moves the CPUs; times of loads on two threads can be compared only where it
// was the same.
double round_trip_ns() {
  constexpr std::uint64_t kTrips = 20'000;
  alignas(128) std::atomic<std::uint64_t> ball{0};
  const Times times = timed_threads(2, [&](std::size_t self) {
    unsigned tries = 0;
    for (std::uint64_t turn = self; turn < 2 * kTrips; turn += 2) {
      // Pairs with the other thread's store.
      while (ball.load(std::memory_order_acquire) != turn) {
        pause_or_yield(tries);
      }
      // Pairs with the other thread's load.
      ball.store(turn + 1, std::memory_order_release);
    }
  });
  return times.seconds * 1e9 / kTrips;
}

// Batches of blocks from one thread to one other. The batches lie in the ring
// itself: handing over costs two shared lines a batch and no allocation.
template <std::size_t batch_blocks, std::size_t batches>
class Ring {
 public:
  using Batch = std::array<char*, batch_blocks>;

  // The batch to fill next, or null while the ring is full.
  Batch* vacant() {
    const std::uint64_t sent = sent_.load(std::memory_order_relaxed);
    // Pairs with the store in taken().
    if (sent - taken_.load(std::memory_order_acquire) == batches) {
      return nullptr;
    }
    return &slots_[sent % batches];
  }
  void send() {
    // Pairs with the loads in waiting() and arrived().
    sent_.store(sent_.load(std::memory_order_relaxed) + 1,
                std::memory_order_release);
  }
  // Batches that wait, as the receiver sees it.
  std::uint64_t waiting() const {
    // Pairs with the store in send().
    return sent_.load(std::memory_order_acquire) -
           taken_.load(std::memory_order_relaxed);
  }
  // The oldest batch, or null while the ring is empty.
  Batch* arrived() {
    const std::uint64_t taken = taken_.load(std::memory_order_relaxed);
    // Pairs with the store in send().
    if (sent_.load(std::memory_order_acquire) == taken) return nullptr;
    return &slots_[taken % batches];
  }
  void taken() {
    // Pairs with the load in vacant().
    taken_.store(taken_.load(std::memory_order_relaxed) + 1,
                 std::memory_order_release);
  }

 private:
  alignas(128) std::atomic<std::uint64_t> sent_{0};
  alignas(128) std::atomic<std::uint64_t> taken_{0};
  alignas(128) std::array<Batch, batches> slots_;
};

// Reads each block before it goes: a consumer looks at what it was sent.
template <typename Batch>
void release_all(const Batch& batch) {
  for (char* block : batch) {
    char first = *block;
    asm volatile("" : "+r"(first));
    std::free(block);
  }
}

// --- pair: allocate one, free it

void pairs(const Sizes& sizes, std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; ++i) std::free(take(sizes[i]));
}

constexpr std::uint64_t kPairs = 20'000'000;

Outcome pair(const Sizes& sizes, const Options& options) {
  const std::uint64_t count = scaled(kPairs, options);
  pairs(sizes, count / 10);
  const Stopwatch watch;
  pairs(sizes, count);
  return {count, watch.times()};
}

// The same on several threads at once, `kPairs` on each.
Outcome pair_threads(const Sizes& sizes, std::size_t threads,
                     const Options& options) {
  const std::uint64_t count = scaled(kPairs, options);
  const Times times =
      timed_threads(threads, [&](std::size_t) { pairs(sizes, count); });
  return {count * threads, times};
}

// --- batch: allocate 256, free them in some order

constexpr std::size_t kBatch = 256;
using Order = std::array<std::uint16_t, kBatch>;

enum class Orders : std::uint8_t { kFifo, kLifo, kShuffled };

std::vector<Order> make_orders(Orders kind) {
  std::vector<Order> orders(kind == Orders::kShuffled ? 16 : 1);
  Random random(7);
  for (Order& order : orders) {
    for (std::size_t i = 0; i < kBatch; ++i) {
      order[i] = static_cast<std::uint16_t>(
          kind == Orders::kLifo ? kBatch - 1 - i : i);
    }
    if (kind != Orders::kShuffled) continue;
    for (std::size_t i = kBatch - 1; i > 0; --i) {
      std::swap(order[i],
                order[random.below(static_cast<std::uint32_t>(i + 1))]);
    }
  }
  return orders;
}

void batches(const Sizes& sizes, const std::vector<Order>& orders,
             std::uint64_t count) {
  std::array<char*, kBatch> blocks{};
  for (std::uint64_t i = 0; i < count; ++i) {
    for (std::size_t j = 0; j < kBatch; ++j) {
      blocks[j] = take(sizes[i * kBatch + j]);
    }
    for (const std::uint16_t which : orders[i % orders.size()]) {
      std::free(blocks[which]);
    }
  }
}

Outcome batch(const Sizes& sizes, Orders kind, std::uint64_t full,
              const Options& options) {
  const std::vector<Order> orders = make_orders(kind);
  const std::uint64_t count = scaled(full, options);
  batches(sizes, orders, count / 10);
  const Stopwatch watch;
  batches(sizes, orders, count);
  return {count * kBatch, watch.times()};
}

// --- producer-consumer: one thread allocates, another frees

Outcome producer_consumer(const Sizes& sizes, const Options& options) {
  constexpr std::size_t kBlocks = 64;
  auto ring = std::make_unique_for_overwrite<Ring<kBlocks, 32>>();
  const std::uint64_t count = scaled(50'000, options);
  const Times times = timed_threads(2, [&](std::size_t self) {
    unsigned tries = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
      if (self == 0) {
        auto* filled = ring->vacant();
        for (; filled == nullptr; filled = ring->vacant()) {
          pause_or_yield(tries);
        }
        for (std::size_t j = 0; j < kBlocks; ++j) {
          (*filled)[j] = take(sizes[i * kBlocks + j]);
        }
        ring->send();
      } else {
        auto* got = ring->arrived();
        for (; got == nullptr; got = ring->arrived()) pause_or_yield(tries);
        release_all(*got);
        ring->taken();
      }
    }
  });
  return {count * kBlocks, times};
}

// --- larson: a server whose threads come and go

// Each thread has an array of blocks of random sizes and replaces random ones.
// After a while it starts a successor, leaves its array to it, and ends: what
// one thread allocated, threads that never met it free.
class Larson {
 public:
  Larson(std::size_t threads, std::uint64_t replacements)
      : replacements_(replacements),
        done_(std::make_shared<std::latch>(
            static_cast<std::ptrdiff_t>(threads))) {
    arrays_.reserve(threads);
    for (std::size_t i = 0; i < threads; ++i) {
      arrays_.push_back({Random(4141 + i), std::vector<char*>(kBlocks)});
      for (char*& block : arrays_.back().blocks) {
        block = take_random(arrays_.back().random);
      }
    }
  }
  Larson(const Larson&) = delete;
  Larson& operator=(const Larson&) = delete;
  ~Larson() {
    for (Array& array : arrays_) {
      for (char* block : array.blocks) delete[] block;
    }
  }

  Times run() {
    const Stopwatch watch;
    for (std::size_t i = 0; i < arrays_.size(); ++i) {
      launch(i, kGenerations);
    }
    done_->wait();
    return watch.times();
  }
  std::uint64_t operations() const {
    return arrays_.size() * kGenerations * replacements_;
  }

 private:
  static constexpr std::size_t kBlocks = 10'000;
  // Always as many: the memory that threads leave behind adds up.
  static constexpr std::uint64_t kGenerations = 24;
  static constexpr std::uint32_t kLeast = 8;
  static constexpr std::uint32_t kMost = 1000;

  struct Array {
    Random random;
    std::vector<char*> blocks;
  };

  static char* take_random(Random& random) {
    const std::size_t bytes = kLeast + random.below(kMost - kLeast + 1);
    char* block = escaped(new char[bytes]);
    block[0] = 'a';
    block[1] = 'b';
    return block;
  }

  void launch(std::size_t chain, std::uint64_t generations) {
    std::thread([this, chain, generations, done = done_] {
      if (generations == kGenerations) spread_.place(chain);
      Array& array = arrays_[chain];
      for (std::uint64_t i = 0; i < replacements_; ++i) {
        char*& block = array.blocks[array.random.below(kBlocks)];
        delete[] block;
        block = take_random(array.random);
      }
      if (generations > 1) {
        launch(chain, generations - 1);
      } else {
        done->count_down();
      }
    }).detach();
  }

  const Spread spread_;
  std::uint64_t replacements_;
  // Shared: the last thread may still be inside it when the server is gone.
  std::shared_ptr<std::latch> done_;
  std::vector<Array> arrays_;
};

Outcome larson(const Options& options) {
  Larson server(options.threads, scaled(100'000, options));
  const Times times = server.run();
  return {server.operations(), times};
}

// --- rings between all threads

template <typename AnyRing>
class Mesh {
 public:
  explicit Mesh(std::size_t threads)
      : threads_(threads),
        rings_(std::make_unique_for_overwrite<AnyRing[]>(threads * threads)),
        senders_(threads) {}

  std::size_t threads() const { return threads_; }
  AnyRing& ring(std::size_t from, std::size_t to) {
    return rings_[from * threads_ + to];
  }
  // Frees what has arrived for `self`, but for `kept` batches of each sender.
  bool drain(std::size_t self, std::uint64_t kept = 0) {
    bool any = false;
    for (std::size_t from = 0; from < threads_; ++from) {
      AnyRing& incoming = ring(from, self);
      while (incoming.waiting() > kept) {
        release_all(*incoming.arrived());
        incoming.taken();
        any = true;
      }
    }
    return any;
  }
  // `self` sends no more; frees what still comes until no one sends.
  void finish(std::size_t self) {
    // Pairs with the load below: who sees 0 sees every batch.
    senders_.fetch_sub(1, std::memory_order_acq_rel);
    unsigned tries = 0;
    for (;;) {
      // Pairs with the subtraction above.
      const bool last = senders_.load(std::memory_order_acquire) == 0;
      if (!drain(self)) {
        if (last) return;
        pause_or_yield(tries);
      }
    }
  }

 private:
  std::size_t threads_;
  std::unique_ptr<AnyRing[]> rings_;
  std::atomic<std::size_t> senders_;
};

// --- xmalloc: each thread frees what the others have allocated

// A backlog of batches stays in each ring, so that the memory in use is that of
// the case and not of the moment.
Outcome xmalloc(const Options& options) {
  constexpr std::size_t kBlocks = 256;
  constexpr std::uint64_t kBacklog = 128;
  using Blocks = Ring<kBlocks, kBacklog + 16>;
  const std::size_t threads = std::max<std::size_t>(2, options.threads);
  auto mesh = std::make_unique<Mesh<Blocks>>(threads);
  const Sizes sizes =
      Sizes::of({8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256}, 11);
  const std::uint64_t count = scaled(10'000, options);
  const Times times = timed_threads(threads, [&](std::size_t self) {
    unsigned tries = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
      // Each of the others in turn.
      const std::size_t to = (self + 1 + i % (threads - 1)) % threads;
      Blocks& outgoing = mesh->ring(self, to);
      auto* filled = outgoing.vacant();
      for (; filled == nullptr; filled = outgoing.vacant()) {
        if (!mesh->drain(self)) pause_or_yield(tries);
      }
      for (std::size_t j = 0; j < kBlocks; ++j) {
        (*filled)[j] = take_both_ends(sizes[i * kBlocks + j]);
      }
      outgoing.send();
      mesh->drain(self, kBacklog);
    }
    mesh->finish(self);
  });
  return {count * kBlocks * threads, times};
}

// --- sh6 and sh8: a queue of live blocks, freed in batches from either end

// Blocks of 1 to 1,000 bytes, small ones more often. When the queue is full, a
// third of it goes: the oldest, in the order of their allocation, or the
// newest, in the reverse order, by turns.
class Queue {
 public:
  explicit Queue(std::uint64_t seed)
      : sizes_(Sizes::spread(1, 1024, seed)), blocks_(kLive) {}

  static constexpr std::size_t kLive = 49'152;
  static constexpr std::size_t kGoing = kLive / 3;

  void fill() {
    while (count_ < kLive) {
      const std::size_t bytes =
          std::min<std::size_t>(1000, sizes_[allocated_++]);
      blocks_[(oldest_ + count_++) % kLive] = take_both_ends(bytes);
    }
  }
  char* pop_oldest() {
    char* block = blocks_[oldest_];
    oldest_ = (oldest_ + 1) % kLive;
    --count_;
    return block;
  }
  char* pop_newest() { return blocks_[(oldest_ + --count_) % kLive]; }
  // The part that goes, `turn` by turn.
  void free_some(std::uint64_t turn) {
    for (std::size_t i = 0; i < kGoing; ++i) {
      std::free(turn % 2 == 0 ? pop_oldest() : pop_newest());
    }
  }
  void free_rest() {
    while (count_ > 0) std::free(pop_oldest());
  }
  std::uint64_t allocated() const { return allocated_; }

 private:
  Sizes sizes_;
  std::vector<char*> blocks_;
  std::size_t oldest_ = 0;
  std::size_t count_ = 0;
  std::uint64_t allocated_ = 0;
};

Outcome sh6(const Options& options) {
  const std::uint64_t turns = scaled(400, options);
  Queue queue(6);
  const Stopwatch watch;
  for (std::uint64_t turn = 0; turn < turns; ++turn) {
    queue.fill();
    queue.free_some(turn);
  }
  queue.free_rest();
  return {queue.allocated(), watch.times()};
}

// The same on several threads; of each four parts that go, one goes to the
// next thread, which frees it.
Outcome sh8(const Options& options) {
  constexpr std::size_t kBlocks = 256;
  static_assert(Queue::kGoing % kBlocks == 0);
  using Blocks = Ring<kBlocks, 2 * Queue::kGoing / kBlocks>;
  const std::size_t threads = std::max<std::size_t>(2, options.threads);
  auto mesh = std::make_unique<Mesh<Blocks>>(threads);
  const std::uint64_t turns = scaled(200, options);
  std::atomic<std::uint64_t> operations{0};
  const Times times = timed_threads(threads, [&](std::size_t self) {
    Queue queue(8 + self);
    Blocks& outgoing = mesh->ring(self, (self + 1) % threads);
    unsigned tries = 0;
    for (std::uint64_t turn = 0; turn < turns; ++turn) {
      queue.fill();
      if (turn % 4 != 3) {
        queue.free_some(turn);
      } else {
        for (std::size_t i = 0; i < Queue::kGoing / kBlocks; ++i) {
          auto* filled = outgoing.vacant();
          for (; filled == nullptr; filled = outgoing.vacant()) {
            if (!mesh->drain(self)) pause_or_yield(tries);
          }
          for (char*& block : *filled) block = queue.pop_oldest();
          outgoing.send();
        }
      }
      mesh->drain(self);
    }
    queue.free_rest();
    // No partner: the threads' end orders it.
    operations.fetch_add(queue.allocated(), std::memory_order_relaxed);
    mesh->finish(self);
  });
  return {operations.load(std::memory_order_relaxed), times};
}

// --- the list of cases

std::vector<Case> make_cases() {
  const std::pair<const char*, Sizes> kinds[] = {
      {"16", Sizes::all(16)},     {"64", Sizes::all(64)},
      {"256", Sizes::all(256)},   {"1024", Sizes::all(1024)},
      {"4096", Sizes::all(4096)}, {"mixed", Sizes::spread(16, 4096, 1)},
  };
  const std::pair<const char*, Orders> orders[] = {
      {"fifo", Orders::kFifo},
      {"lifo", Orders::kLifo},
      {"shuffled", Orders::kShuffled},
  };
  std::vector<Case> cases;
  const auto add = [&cases](std::string name, auto run) {
    cases.push_back({std::move(name), std::move(run)});
  };
  for (const auto& [name, sizes] : kinds) {
    add(std::string("pair-") + name,
        [sizes](const Options& options) { return pair(sizes, options); });
  }
  for (const auto& [order, kind] : orders) {
    for (const auto& [name, sizes] : kinds) {
      // An allocator that returns large blocks to the kernel takes seconds.
      const std::uint64_t full = sizes[0] == 4096 ? 4'000 : 25'000;
      add(std::string("batch-") + order + "-" + name,
          [sizes, kind, full](const Options& options) {
            return batch(sizes, kind, full, options);
          });
    }
  }
  for (const auto& [name, sizes] : kinds) {
    if (name == std::string_view("16") || name == std::string_view("256") ||
        name == std::string_view("4096")) {
      continue;
    }
    add(std::string("producer-consumer-") + name,
        [sizes](const Options& options) {
          return producer_consumer(sizes, options);
        });
  }
  add("larson", larson);
  add("xmalloc", xmalloc);
  add("sh6", sh6);
  add("sh8", sh8);
  // The same function on one thread and on two: what scaling divides.
  for (const std::size_t threads : {std::size_t{1}, std::size_t{2}}) {
    add("scaling-" + std::to_string(threads),
        [threads](const Options& options) {
          return pair_threads(Sizes::all(64), threads, options);
        });
  }
  return cases;
}

// --- the command line

// The most memory that this process had resident, in KiB; 0 if unknown.
std::uint64_t peak_kib() {
  std::FILE* file = std::fopen("/proc/self/status", "r");
  if (file == nullptr) return 0;
  std::uint64_t peak = 0;
  char line[256];
  while (std::fgets(line, sizeof line, file) != nullptr) {
    if (std::strncmp(line, "VmHWM:", 6) == 0) {
      peak = std::strtoull(line + 6, nullptr, 10);
    }
  }
  std::fclose(file);
  return peak;
}

// The file whose malloc this process calls: proof of the preload.
std::string allocator() {
  Dl_info info{};
  void* function = dlsym(RTLD_DEFAULT, "malloc");
  if (function == nullptr || dladdr(function, &info) == 0 ||
      info.dli_fname == nullptr) {
    return "unknown";
  }
  const std::string_view path = info.dli_fname;
  return std::string(path.substr(path.rfind('/') + 1));
}

// A whole number from 1 to `most`, or 0.
std::uint64_t number(std::string_view text, std::uint64_t most) {
  std::uint64_t value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc{} && end == text.data() + text.size();
  return whole && value <= most ? value : 0;
}

int usage() {
  std::fputs(
      "usage: malloc_load --list\n"
      "       malloc_load --round-trip\n"
      "       malloc_load --case NAME [--percent N] [--threads N]\n"
      "--percent is of a full run's operations, 1 to 10000; --threads, 1 to "
      "64,\nis for larson, xmalloc and sh8\n",
      stderr);
  return 2;
}

int main(int count, char** words) {
  const std::vector<Case> cases = make_cases();
  if (count == 2 && words[1] == std::string_view("--list")) {
    for (const Case& each : cases) std::puts(each.name.c_str());
    return 0;
  }
  if (count == 2 && words[1] == std::string_view("--round-trip")) {
    std::printf("%.1f\n", round_trip_ns());
    return 0;
  }
  Options options;
  std::string_view wanted;
  for (int i = 1; i < count; i += 2) {
    const std::string_view flag = words[i];
    if (i + 1 == count) return usage();
    const std::string_view value = words[i + 1];
    if (flag == "--case") {
      wanted = value;
    } else if (flag == "--percent") {
      options.percent = number(value, 10'000);
    } else if (flag == "--threads") {
      options.threads = number(value, 64);
    } else {
      return usage();
    }
  }
  if (options.percent == 0 || options.threads == 0) return usage();
  const auto found = std::ranges::find(cases, wanted, &Case::name);
  if (found == cases.end()) return usage();
  const Outcome outcome = found->run(options);
  std::printf(
      "{\"name\": \"%s\", \"operations\": %llu, \"seconds\": %.9f, "
      "\"cpu_seconds\": %.9f, "
      "\"peak_kib\": %llu, \"allocator\": \"%s\"}\n",
      found->name.c_str(), static_cast<unsigned long long>(outcome.operations),
      outcome.times.seconds, outcome.times.cpu_seconds,
      static_cast<unsigned long long>(peak_kib()), allocator().c_str());
  return 0;
}

}  // namespace
}  // namespace odo::malloc_load

int main(int count, char** words) {
  return odo::malloc_load::main(count, words);
}
