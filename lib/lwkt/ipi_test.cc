// SPDX-License-Identifier: BSD-3-Clause
// Cross-CPU queues as one thread sees them, and under threads that play CPUs.
// The interleavings are the simulator's business (ipi_sim_test.cc).
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <span>
#include <thread>
#include <vector>

#include "lib/lwkt/ipi_fabric.h"
#include "lib/lwkt/ipi_queue.h"
#include "lib/platform/archetype.h"
#include "lib/platform/host/host_platform.h"

namespace odo::lwkt {

// A ground with nothing but what IpiPlatform lists.
struct IpiArchetype : platform::ArchetypeAtomics, platform::ArchetypeRelax {
  struct Counter {
    void add_one() {}
    [[nodiscard]] std::uint32_t read() const { return 0; }
  };
  void raise_ipi(unsigned /*cpu*/) {}
};
static_assert(IpiPlatform<IpiArchetype> && !ChecksPlainData<IpiArchetype>);
template class IpiQueue<IpiArchetype>;
template class IpiFabric<IpiArchetype>;

namespace {

// What interrupts do, for all copies of a ground. `raised`: oldest first.
struct Interrupts {
  std::vector<unsigned> raised;
  std::function<void(unsigned)> handler;
};

class Ground : public platform::HostPlatform {
 public:
  class Counter {
   public:
    void add_one() { ++count_; }
    [[nodiscard]] std::uint32_t read() const { return count_; }

   private:
    std::uint32_t count_ = 0;
  };
  explicit Ground(Interrupts& interrupts) : interrupts_(&interrupts) {}
  void raise_ipi(unsigned cpu) {
    interrupts_->raised.push_back(cpu);
    if (interrupts_->handler) interrupts_->handler(cpu);
  }

 private:
  Interrupts* interrupts_;
};

// Room for a fabric.
template <class Fabric>
class Storage {
 public:
  explicit Storage(unsigned cpus)
      : bytes_(Fabric::storage_bytes(cpus)),
        memory_(static_cast<std::byte*>(::operator new(
            bytes_, std::align_val_t(Fabric::storage_alignment())))) {}
  [[nodiscard]] std::span<std::byte> span() const {
    return {memory_.get(), bytes_};
  }

 private:
  struct Free {
    void operator()(std::byte* memory) const {
      ::operator delete(memory, std::align_val_t(Fabric::storage_alignment()));
    }
  };
  std::size_t bytes_;
  std::unique_ptr<std::byte, Free> memory_;
};

// A call that appends `number` to a list.
struct Note {
  std::vector<int>* list;
  int number;

  [[nodiscard]] IpiCall call() {
    return {[](void* argument, void* /*receiver*/) {
              const Note* self = static_cast<Note*>(argument);
              self->list->push_back(self->number);
            },
            this};
  }
};

// A call of anything.
[[nodiscard]] IpiCall call_of(std::function<void()>& body) {
  return {[](void* argument, void* /*receiver*/) {
            (*static_cast<std::function<void()>*>(argument))();
          },
          &body};
}

void make(const IpiCall& call) { call.function(call.argument, nullptr); }

// --- one queue

using SmallQueue = IpiQueue<Ground, 4>;
static_assert(sizeof(IpiQueue<Ground>) == 2 * 64 + 256 * 16);
static_assert(alignof(SmallQueue) == 64);

TEST(IpiQueueTest, FirstInFirstOut) {
  SmallQueue queue;
  std::vector<int> list;
  std::array<Note, 3> notes{{{&list, 0}, {&list, 1}, {&list, 2}}};
  EXPECT_EQ(queue.last_sequence(), 0u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(queue.try_push(notes[i].call()), i + 1);
  }
  EXPECT_EQ(queue.last_sequence(), 3u);
  EXPECT_EQ(queue.drain(10, make), 3u);
  EXPECT_EQ(queue.drain(10, make), 0u);
  EXPECT_EQ(list, (std::vector<int>{0, 1, 2}));
}

TEST(IpiQueueTest, AFullQueueSaysSoAndStaysAsItIs) {
  SmallQueue queue;
  std::vector<int> list;
  std::array<Note, 5> notes;
  for (int i = 0; i < 5; ++i) notes[static_cast<std::size_t>(i)] = {&list, i};
  for (std::size_t i = 0; i < 4; ++i) {
    ASSERT_TRUE(queue.try_push(notes[i].call()));
  }
  EXPECT_FALSE(queue.try_push(notes[4].call()));
  EXPECT_EQ(queue.last_sequence(), 4u);
  EXPECT_EQ(queue.drain(1, make), 1u);
  EXPECT_EQ(queue.try_push(notes[4].call()), 5u);
  EXPECT_EQ(queue.drain(10, make), 4u);
  EXPECT_EQ(list, (std::vector<int>{0, 1, 2, 3, 4}));
}

TEST(IpiQueueTest, WrapsAroundManyTimes) {
  IpiQueue<Ground, 2> queue;
  std::vector<int> list;
  std::array<Note, 2> notes{{{&list, 0}, {&list, 1}}};
  for (IpiSequence i = 0; i < 1000; ++i) {
    ASSERT_EQ(queue.try_push(notes[i % 2].call()), i + 1);
    if (i % 3 != 0) {
      ASSERT_EQ(queue.drain(1, make), 1u);
    }
    while (queue.last_sequence() - list.size() == 2) {
      ASSERT_EQ(queue.drain(1, make), 1u);
    }
  }
  while (queue.drain(1, make) != 0) {
  }
  ASSERT_EQ(list.size(), 1000u);
  for (std::size_t i = 0; i < 1000; ++i) {
    EXPECT_EQ(list[i], static_cast<int>(i % 2));
  }
}

TEST(IpiQueueTest, ACallIsDoneOnceItHasReturned) {
  SmallQueue queue;
  bool done_inside = true;
  std::function<void()> body = [&] { done_inside = queue.is_done(1); };
  EXPECT_TRUE(queue.is_done(0));
  ASSERT_EQ(queue.try_push(call_of(body)), 1u);
  EXPECT_FALSE(queue.is_done(1));
  EXPECT_EQ(queue.drain(1, make), 1u);
  EXPECT_FALSE(done_inside);
  EXPECT_TRUE(queue.is_done(1));
  EXPECT_FALSE(queue.is_done(2));
}

TEST(IpiQueueTest, ANestedCallIsNotDoneBeforeTheOneAroundIt) {
  SmallQueue queue;
  std::vector<int> list;
  Note first{&list, 1};
  Note third{&list, 3};
  std::function<void()> second = [&] {
    EXPECT_TRUE(queue.is_done(1));
    EXPECT_EQ(queue.drain(10, make), 1u);
    EXPECT_FALSE(queue.is_done(2) || queue.is_done(3));
    list.push_back(2);
  };
  ASSERT_TRUE(queue.try_push(first.call()));
  ASSERT_TRUE(queue.try_push(call_of(second)));
  ASSERT_TRUE(queue.try_push(third.call()));
  EXPECT_EQ(queue.drain(10, make), 2u);
  EXPECT_EQ(list, (std::vector<int>{1, 3, 2}));
  EXPECT_TRUE(queue.is_done(3));
}

TEST(IpiQueueTest, ASlotIsFreeBeforeItsCallIsMade) {
  IpiQueue<Ground, 1> queue;
  std::vector<int> list;
  Note later{&list, 2};
  std::function<void()> body = [&] {
    EXPECT_EQ(queue.try_push(later.call()), 2u);
  };
  ASSERT_TRUE(queue.try_push(call_of(body)));
  EXPECT_EQ(queue.drain(10, make), 2u);
  EXPECT_EQ(list, (std::vector<int>{2}));
}

// --- a machine, played by one thread

template <std::size_t Entries = 4>
struct Machine {
  using Fabric = IpiFabric<Ground, Entries, 8>;
  explicit Machine(unsigned cpus)
      : storage(cpus), fabric(storage.span(), cpus, Ground(interrupts)) {}

  // From here on an interrupt is taken at once.
  void take_interrupts() {
    interrupts.handler = [this](unsigned cpu) { (void)fabric.drain(cpu); };
  }

  Interrupts interrupts;
  Storage<Fabric> storage;
  Fabric fabric;
};

TEST(IpiFabricTest, StorageHoldsAQueueForEachOrderedPair) {
  using Fabric = Machine<>::Fabric;
  EXPECT_EQ(Fabric::storage_alignment(), 64u);
  const std::size_t one = Fabric::storage_bytes(1);
  for (const std::size_t n : {2u, 3u, 256u}) {
    EXPECT_EQ(Fabric::storage_bytes(static_cast<unsigned>(n)),
              n * one + n * (n - 1) * sizeof(Fabric::Queue));
  }
}

TEST(IpiFabricTest, EachPairHasItsOwnQueue) {
  constexpr unsigned kCpus = 70;  // more than a word of the mask
  Machine<> m(kCpus);
  std::vector<int> list;
  std::vector<Note> notes(std::size_t{kCpus} * kCpus);
  for (unsigned from = 0; from < kCpus; ++from) {
    for (unsigned to = 0; to < kCpus; ++to) {
      const unsigned pair = from * kCpus + to;
      notes[pair] = {&list, static_cast<int>(pair)};
      if (from != to) m.fabric.send_passive(from, to, notes[pair].call());
    }
  }
  EXPECT_TRUE(m.interrupts.raised.empty());
  for (unsigned to = 0; to < kCpus; ++to) {
    list.clear();
    EXPECT_TRUE(m.fabric.has_pending(to));
    EXPECT_EQ(m.fabric.drain(to), kCpus - 1);
    EXPECT_FALSE(m.fabric.has_pending(to));
    std::vector<int> expected;
    for (unsigned from = 0; from < kCpus; ++from) {
      if (from != to) expected.push_back(static_cast<int>(from * kCpus + to));
    }
    ASSERT_EQ(list, expected);
  }
}

TEST(IpiFabricTest, OneInterruptServesAllWhoSendBeforeTheDrain) {
  Machine<> m(3);
  std::vector<int> list;
  Note a{&list, 1};
  Note b{&list, 2};
  m.fabric.send(0, 2, a.call());
  m.fabric.send(1, 2, b.call());
  m.fabric.send(0, 2, a.call());
  EXPECT_EQ(m.interrupts.raised, (std::vector<unsigned>{2}));
  EXPECT_EQ(m.fabric.counts(0).avoided, 1u);
  EXPECT_EQ(m.fabric.counts(1).avoided, 1u);
  EXPECT_EQ(m.fabric.drain(2), 3u);
  EXPECT_EQ(list, (std::vector<int>{1, 1, 2}));
  m.fabric.send(0, 2, a.call());
  EXPECT_EQ(m.interrupts.raised, (std::vector<unsigned>{2, 2}));
  EXPECT_EQ(m.fabric.counts(0).sent, 3u);
}

TEST(IpiFabricTest, PostLeavesTheInterruptToTheCaller) {
  Machine<> m(2);
  std::vector<int> list;
  Note note{&list, 1};
  EXPECT_EQ(m.fabric.post(0, 1, note.call()).need, IpiNeed::kRaise);
  const IpiPosted second = m.fabric.post(0, 1, note.call());
  EXPECT_EQ(second.need, IpiNeed::kAvoided);
  EXPECT_EQ(second.sequence, 2u);
  EXPECT_TRUE(m.interrupts.raised.empty());
}

TEST(IpiFabricTest, APassiveSendInterruptsNobodyAndSparesNobody) {
  Machine<> m(2);
  std::vector<int> list;
  Note note{&list, 1};
  m.fabric.send_passive(0, 1, note.call());
  EXPECT_TRUE(m.interrupts.raised.empty());
  m.fabric.send(0, 1, note.call());
  EXPECT_EQ(m.interrupts.raised, (std::vector<unsigned>{1}));
  const IpiCounts counts = m.fabric.counts(0);
  EXPECT_EQ(counts.sent, 2u);
  EXPECT_EQ(counts.passive, 1u);
  EXPECT_EQ(counts.avoided, 0u);
  EXPECT_EQ(counts.full, 0u);
}

TEST(IpiFabricTest, ACallToOneselfIsMadeAtOnce) {
  Machine<> m(2);
  std::vector<int> list;
  Note note{&list, 1};
  EXPECT_EQ(m.fabric.send(1, 1, note.call()), 0u);
  EXPECT_EQ(m.fabric.send_passive(1, 1, note.call()), 0u);
  EXPECT_EQ(m.fabric.post(1, 1, note.call()).need, IpiNeed::kAvoided);
  EXPECT_EQ(list, (std::vector<int>{1, 1, 1}));
  EXPECT_TRUE(m.fabric.is_done(1, 1, 0));
  m.fabric.wait(1, 1, 0);
  EXPECT_TRUE(m.interrupts.raised.empty());
}

TEST(IpiFabricTest, ToASetItselfLast) {
  Machine<> m(4);
  std::vector<int> list;
  std::function<void()> body = [&] {
    list.push_back(static_cast<int>(m.interrupts.raised.size()));
  };
  CpuMask set = CpuMask::below(4);
  set.clear(2);
  m.fabric.send(0, set, call_of(body));
  EXPECT_EQ(list, (std::vector<int>{2}));
  EXPECT_EQ(m.interrupts.raised, (std::vector<unsigned>{1, 3}));
  m.fabric.send_passive(0, set, call_of(body));
  EXPECT_EQ(m.interrupts.raised.size(), 2u);
  EXPECT_EQ(m.fabric.drain(1), 2u);
  EXPECT_EQ(m.fabric.drain(2), 0u);
  EXPECT_EQ(m.fabric.drain(3), 2u);
}

TEST(IpiFabricTest, WaitInterruptsForPassiveCalls) {
  Machine<> m(3);
  std::vector<int> list;
  Note note{&list, 1};
  m.take_interrupts();
  const IpiSequence sequence = m.fabric.send_passive(0, 1, note.call());
  m.fabric.send_passive(0, 2, note.call());
  EXPECT_FALSE(m.fabric.is_done(0, 1, sequence));
  m.fabric.wait(0, 1, sequence);
  EXPECT_TRUE(m.fabric.is_done(0, 1, sequence));
  EXPECT_EQ(list.size(), 1u);
  m.fabric.wait(0, CpuMask::below(3));
  EXPECT_EQ(list.size(), 2u);
}

TEST(IpiFabricTest, ASendToAFullQueueInterruptsThoughAllInItIsPassive) {
  Machine<> m(2);
  std::vector<int> list;
  Note note{&list, 1};
  m.take_interrupts();
  for (int i = 0; i < 5; ++i) m.fabric.send_passive(0, 1, note.call());
  EXPECT_EQ(m.interrupts.raised, (std::vector<unsigned>{1}));
  EXPECT_EQ(list.size(), 4u);
  EXPECT_EQ(m.fabric.counts(0).full, 1u);
}

TEST(IpiFabricTest, ADrainGoesOnUntilNothingIsPending) {
  Machine<> m(3);
  std::vector<int> list;
  Note note{&list, 1};
  // CPU 0 sends again and again while CPU 1 drains, more than fits at once.
  int left = 10;
  std::function<void()> again = [&] {
    list.push_back(0);
    if (--left > 0) m.fabric.send(0, 1, call_of(again));
  };
  m.fabric.send(0, 1, call_of(again));
  m.fabric.send(2, 1, note.call());
  EXPECT_EQ(m.fabric.drain(1), 11u);
  EXPECT_EQ(list.size(), 11u);
  // No source keeps the others waiting for more than its queue's length.
  EXPECT_EQ(list[4], 1);
}

TEST(IpiFabricTest, ANestedDrainFindsWhatTheOneAroundItHasTaken) {
  Machine<> m(3);
  std::vector<int> list;
  Note from_2{&list, 2};
  std::function<void()> from_0 = [&] {
    EXPECT_TRUE(m.fabric.has_pending(1));
    EXPECT_EQ(m.fabric.drain(1), 1u);
    list.push_back(0);
  };
  m.fabric.send(0, 1, call_of(from_0));
  m.fabric.send(2, 1, from_2.call());
  EXPECT_EQ(m.fabric.drain(1), 1u);
  EXPECT_EQ(list, (std::vector<int>{2, 0}));
}

TEST(IpiFabricTest, ANestedDrainFindsTheRestOfItsOwnQueue) {
  Machine<> m(2);
  std::vector<int> list;
  Note rest{&list, 2};
  std::function<void()> first = [&] {
    EXPECT_EQ(m.fabric.drain(1), 1u);
    list.push_back(1);
  };
  m.fabric.send(0, 1, call_of(first));
  m.fabric.send(0, 1, rest.call());
  EXPECT_EQ(m.fabric.drain(1), 1u);
  EXPECT_EQ(list, (std::vector<int>{2, 1}));
}

TEST(IpiFabricDeathTest, NestsNoDeeperThanItsBound) {
  Machine<> m(2);
  std::function<void()> body = [&] {
    m.fabric.send_passive(0, 1, call_of(body));
    (void)m.fabric.drain(1);
  };
  m.fabric.send_passive(0, 1, call_of(body));
  EXPECT_DEATH((void)m.fabric.drain(1), "");
}

TEST(IpiFabricDeathTest, StorageHasToFit) {
  using Fabric = Machine<>::Fabric;
  const Storage<Fabric> storage(2);
  Interrupts interrupts;
  EXPECT_DEATH(Fabric(storage.span(), 3, Ground(interrupts)), "");
  EXPECT_DEATH(Fabric(storage.span().subspan(1), 1, Ground(interrupts)), "");
  EXPECT_DEATH(Fabric(storage.span(), 0, Ground(interrupts)), "");
}

// --- threads that play CPUs

// An interrupt is a flag, which a thread looks at between critical sections.
class ThreadedGround : public platform::HostPlatform {
 public:
  using Counter = Ground::Counter;
  using Lines = std::array<std::atomic<bool>, 4>;

  explicit ThreadedGround(Lines& lines) : lines_(&lines) {}
  void raise_ipi(unsigned cpu) {
    (*lines_)[cpu].store(true, std::memory_order_release);
  }
  // There may be fewer processors than threads.
  void relax() { std::this_thread::yield(); }

 private:
  Lines* lines_;
};

TEST(IpiStressTest, OneQueueBetweenTwoThreads) {
  constexpr IpiSequence kCalls = 50000;
  IpiQueue<ThreadedGround, 8> queue;
  // Plain: what passes between the threads, the queue has to order.
  std::vector<IpiSequence> sent(kCalls);
  std::vector<IpiSequence> seen(kCalls);
  std::thread producer([&] {
    for (IpiSequence i = 0; i < kCalls; ++i) {
      sent[i] = i + 1;
      while (!queue.try_push({nullptr, &sent[i]})) std::this_thread::yield();
      if (i % 64 != 0) continue;
      while (!queue.is_done(i + 1)) std::this_thread::yield();
      EXPECT_EQ(seen[i], i + 1);
    }
  });
  IpiSequence next = 0;
  while (next < kCalls) {
    const std::size_t made = queue.drain(4, [&](const IpiCall& call) {
      seen[next] = *static_cast<IpiSequence*>(call.argument);
      ++next;
    });
    if (made == 0) std::this_thread::yield();
  }
  producer.join();
  EXPECT_TRUE(queue.is_done(kCalls));
  EXPECT_EQ(sent, seen);
}

template <std::size_t Entries>
void send_among_threads(unsigned cpus, unsigned rounds) {
  using Fabric = IpiFabric<ThreadedGround, Entries, 4096>;
  ThreadedGround::Lines lines{};
  const Storage<Fabric> storage(cpus);
  Fabric fabric(storage.span(), cpus, ThreadedGround(lines));
  // Plain, each written on its own CPU only.
  struct alignas(64) Cpu {
    Fabric* fabric;
    unsigned cpu;
    Cpu* next;
    std::uint64_t made = 0;
  };
  std::array<Cpu, 4> on{};
  for (unsigned cpu = 0; cpu < cpus; ++cpu) {
    on[cpu] = {&fabric, cpu, &on[(cpu + 1) % cpus]};
  }
  const auto leaf = [](void* argument, void* /*receiver*/) {
    ++static_cast<Cpu*>(argument)->made;
  };
  // Every call of this kind is made on its CPU, and sends on to the next one.
  const auto forward = [](void* argument, void* /*receiver*/) {
    Cpu& me = *static_cast<Cpu*>(argument);
    ++me.made;
    me.fabric->send(me.cpu, me.next->cpu,
                    {[](void* target, void* /*receiver*/) {
                       ++static_cast<Cpu*>(target)->made;
                     },
                     me.next});
  };
  std::atomic<unsigned> ended = 0;
  std::vector<std::thread> threads;
  threads.reserve(cpus);
  for (unsigned cpu = 0; cpu < cpus; ++cpu) {
    threads.emplace_back([&, cpu] {
      const auto take_interrupt = [&] {
        if (lines[cpu].exchange(false, std::memory_order_acq_rel)) {
          (void)fabric.drain(cpu);
        }
      };
      for (unsigned i = 0; i < rounds; ++i) {
        const unsigned to = (cpu + 1 + i % (cpus - 1)) % cpus;
        fabric.send(cpu, to, {forward, &on[to]});
        const IpiSequence last = fabric.send(cpu, to, {leaf, &on[to]});
        if (i % 16 == 0) {
          fabric.wait(cpu, to, last);
          EXPECT_TRUE(fabric.is_done(cpu, to, last));
        }
        take_interrupt();
      }
      ended.fetch_add(1, std::memory_order_acq_rel);
      // Idle: nothing but interrupts. A lost one hangs the test.
      std::uint64_t expected = 0;
      for (unsigned from = 0; from < cpus; ++from) {
        for (unsigned i = 0; i < rounds; ++i) {
          const unsigned to = (from + 1 + i % (cpus - 1)) % cpus;
          if (to == cpu) expected += 2;
          if ((to + 1) % cpus == cpu) ++expected;
        }
      }
      while (on[cpu].made < expected ||
             ended.load(std::memory_order_acquire) < cpus) {
        take_interrupt();
        std::this_thread::yield();
      }
      EXPECT_EQ(on[cpu].made, expected);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(IpiStressTest, TwoCpusSendToEachOther) { send_among_threads<2>(2, 20000); }

TEST(IpiStressTest, TwoCpusWithRoomForOne) { send_among_threads<1>(2, 20000); }

TEST(IpiStressTest, ThreeCpusForwardInARing) {
  send_among_threads<4>(3, 10000);
}

}  // namespace
}  // namespace odo::lwkt
