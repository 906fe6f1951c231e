// SPDX-License-Identifier: BSD-3-Clause
// All the queues between the CPUs of a machine: one for each ordered pair, and
// for each CPU the set of those that may have something for it.
//
// Contexts: all calls that name a CPU as `from`, or drain one, run on that CPU
//   in a critical section: what interrupts it there doesn't use the fabric, an
//   IPI that comes meanwhile is handled when the section ends. Called functions
//   run in that section too; they may use the fabric, wait() and drain()
//   included. Interrupts themselves may be on or off.
// Ownership: the storage is the caller's, and outlives the fabric.
// Invariants:
//   N1. if a queue may have an entry that its target has not popped, the source
//       is in the target's pending set, or in its unfinished set, or the sender
//       is between the push and the setting of the bit;
//   N2. a target's signalled flag is set only by a sender who then raises the
//       interrupt, and cleared only by the target, which looks at the pending
//       set after that. So whoever finds it set need not raise another;
//   N3. a source moves from the pending set to the unfinished set, and leaves
//       that when all that was in its queue at that moment was popped. So a
//       nested drain finds whatever the one around it has yet to pop.
// Progress: who waits, for room or for a call, makes the calls that wait for
//   its own CPU meanwhile. So a full queue empties even if its target waits for
//   us, in whatever ring. Each call made inside a wait may wait itself: the
//   nesting is bounded by the load, not by the design, and checked.
// Ordering: docs/lwkt.md has the pairs; their letters stand beside the orders.
// Failure: deeper nesting than MaxNesting is a broken invariant (checked).
// Complexity: a send is a push and two read-modify-writes on a line of the
//   target's; a drain looks at the queues that have something.
// Origin: DragonFly's sys/kern/lwkt_ipiq.c: the queue for each pair, the set of
//   sources, the flag that avoids interrupts (gd_npoll), passive sends, and
//   draining one's own queues while waiting. Deviations: a source is not lost
//   from sight while its queue is being drained (N3); a drain that clears the
//   flag needs no full fence, as flag and look are ordered by pair IE.
#pragma once

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <span>

#include "lib/base/check.h"
#include "lib/lwkt/cpu_mask.h"
#include "lib/lwkt/ipi_queue.h"
#include "lib/platform/concepts.h"

namespace odo::lwkt {

// raise_ipi(cpu) interrupts that CPU, whose handler calls drain(cpu). What the
// sender wrote before, the handler sees (on x86, x2APIC's register needs a
// fence for that). The interrupt may be kept back as long as the CPU is in a
// critical section, and several may become one, but the last is never lost.
//
// Counter is a statistic: add_one() and read(), nothing depends on its order.
//
// Contexts: any.
template <class P>
concept IpiPlatform =
    platform::HasAtomics<P> && platform::CanRelax<P> &&
    requires(P& ground, typename P::Counter& counter, unsigned cpu) {
      { counter.add_one() } -> std::same_as<void>;
      { counter.read() } -> std::same_as<std::uint32_t>;
      { ground.raise_ipi(cpu) } -> std::same_as<void>;
    };

// Has the target to be interrupted?
enum class IpiNeed : std::uint8_t {
  kRaise,   // by the caller, who alone was told so
  kAvoided  // it will look anyhow, or the call is made already
};

struct IpiPosted {
  IpiSequence sequence;
  IpiNeed need;
};

// What a CPU has sent so far. The numbers wrap.
struct IpiCounts {
  std::uint32_t sent;     // to other CPUs, passive ones included
  std::uint32_t passive;  // of these
  std::uint32_t avoided;  // interrupts that were not needed
  std::uint32_t full;     // sends that had to wait for room
};

template <IpiPlatform P, std::size_t Entries = 256, unsigned MaxNesting = 64>
class IpiFabric {
 public:
  using Queue = IpiQueue<P, Entries>;

  static constexpr unsigned kMaxCpus = CpuMask::kMaxCpus;

  // --- making one ------------------------------------------------------------
  [[nodiscard]] static constexpr std::size_t storage_alignment() {
    return alignof(Cpu) > alignof(Queue) ? alignof(Cpu) : alignof(Queue);
  }
  [[nodiscard]] static constexpr std::size_t storage_bytes(unsigned cpus) {
    return cpus * sizeof(Cpu) + queues(cpus) * sizeof(Queue);
  }
  // `storage` is storage_bytes(cpus) long at least, and aligned.
  IpiFabric(std::span<std::byte> storage, unsigned cpus, P platform = P())
      : platform_(platform), cpus_count_(cpus) {
    ODO_CHECK(cpus >= 1 && cpus <= kMaxCpus);
    ODO_CHECK(storage.size() >= storage_bytes(cpus));
    ODO_CHECK(reinterpret_cast<std::uintptr_t>(storage.data()) %
                  storage_alignment() ==
              0);
    std::byte* at = storage.data();
    cpus_ = make_array<Cpu>(at, cpus);
    queues_ = make_array<Queue>(at + cpus * sizeof(Cpu), queues(cpus));
  }
  IpiFabric(const IpiFabric&) = delete;
  IpiFabric& operator=(const IpiFabric&) = delete;
  // No CPU may use it any more.
  ~IpiFabric() {
    for (std::size_t i = queues(cpus_count_); i-- > 0;) queues_[i].~Queue();
    for (unsigned i = cpus_count_; i-- > 0;) cpus_[i].~Cpu();
  }

  [[nodiscard]] unsigned cpus() const { return cpus_count_; }
  // What calls made on that CPU get as their receiver. Before the first send.
  void set_receiver(unsigned cpu, void* receiver) {
    cpus_[cpu].receiver = receiver;
  }

  // --- sending ---------------------------------------------------------------
  // Each of these waits for room, and makes calls for `from` meanwhile: calls
  // sent by those come before this one. A call to oneself is made at once.

  // Queues the call and says whether the target has to be interrupted: for
  // those who raise interrupts themselves. Until that is done, others'
  // interrupts to that CPU are avoided too, so it comes before anything else
  // that this CPU does with the fabric.
  [[nodiscard]] IpiPosted post(unsigned from, unsigned to,
                               const IpiCall& call) {
    if (from == to) return call_oneself(to, call);
    const IpiSequence sequence = push(from, to, call);
    if (signal(to) == IpiNeed::kRaise) return {sequence, IpiNeed::kRaise};
    cpus_[from].avoided.add_one();
    return {sequence, IpiNeed::kAvoided};
  }
  // Queues the call and interrupts the target if need be.
  IpiSequence send(unsigned from, unsigned to, const IpiCall& call) {
    const IpiPosted posted = post(from, to, call);
    if (posted.need == IpiNeed::kRaise) platform_.raise_ipi(to);
    return posted.sequence;
  }
  // Queues the call for whenever the target drains next.
  IpiSequence send_passive(unsigned from, unsigned to, const IpiCall& call) {
    if (from == to) return call_oneself(to, call).sequence;
    cpus_[from].passive.add_one();
    return push(from, to, call);
  }
  // To each CPU of a set, itself last, so that the others work meanwhile.
  void send(unsigned from, const CpuMask& to, const IpiCall& call) {
    others(from, to).for_each([&](unsigned cpu) { send(from, cpu, call); });
    if (to.test(from)) send(from, from, call);
  }
  void send_passive(unsigned from, const CpuMask& to, const IpiCall& call) {
    others(from, to).for_each(
        [&](unsigned cpu) { send_passive(from, cpu, call); });
    if (to.test(from)) send_passive(from, from, call);
  }

  // --- waiting ---------------------------------------------------------------
  // Returns once the call, and all sent to that CPU before it, have returned;
  // makes calls for `from` meanwhile. A called function waits only for what
  // does not wait for its own return.
  void wait(unsigned from, unsigned to, IpiSequence sequence) {
    if (from == to) return;
    Queue& queue = queue_of(from, to);
    if (queue.is_done(sequence)) return;
    // Passive calls may have interrupted nobody. Once is enough, but a look at
    // the flag would not be: it may be set in old news only.
    if (signal(to) == IpiNeed::kRaise) platform_.raise_ipi(to);
    while (!queue.is_done(sequence)) {
      if (run_some(from) == 0) platform_.relax();
    }
  }
  // For everything that `from` has sent to these CPUs so far.
  void wait(unsigned from, const CpuMask& to) {
    others(from, to).for_each(
        [&](unsigned cpu) { wait(from, cpu, last_sequence(from, cpu)); });
  }
  // Any CPU may ask.
  [[nodiscard]] bool is_done(unsigned from, unsigned to,
                             IpiSequence sequence) const {
    return from == to || queue_of(from, to).is_done(sequence);
  }
  // What `from` sent to `to` last.
  [[nodiscard]] IpiSequence last_sequence(unsigned from, unsigned to) const {
    return from == to ? 0 : queue_of(from, to).last_sequence();
  }

  // --- receiving -------------------------------------------------------------
  // Makes the calls that wait for `cpu`, until there are none; returns how
  // many, without those of nested drains. From the interrupt handler, when a
  // critical section ends that kept it back, and from wherever passive calls
  // are to be looked for: a clock tick, the idle loop.
  std::size_t drain(unsigned cpu) {
    Cpu& me = cpus_[cpu];
    std::size_t made = 0;
    while (true) {
      while (const std::size_t now = run_some(cpu)) made += now;
      // Cleared after the calls, not before: who sends meanwhile interrupts
      // nobody. Relaxed: that it is clear is no news to act on, and whoever set
      // it to raise the interrupt that brought us here did so before.
      if (!me.signalled.load(std::memory_order_relaxed)) return made;
      // IE: acquire, with the release in signal(). From here on senders raise
      // interrupts again; the bits of those who did not, the next look sees.
      (void)me.signalled.exchange(false, std::memory_order_acquire);
    }
  }
  // Is there, as far as this CPU can tell, anything for it to do? What a sender
  // is about to set, it may miss.
  [[nodiscard]] bool has_pending(unsigned cpu) const {
    const Cpu& me = cpus_[cpu];
    // Relaxed: nothing is read by what it says.
    return me.unfinished.any() ||
           me.pending.load(std::memory_order_relaxed).any();
  }

  // On that CPU.
  [[nodiscard]] IpiCounts counts(unsigned cpu) {
    Cpu& me = cpus_[cpu];
    return {me.sent.read(), me.passive.read(), me.avoided.read(),
            me.full.read()};
  }

 private:
  struct Cpu {
    // Written by the CPUs that send to this one.
    alignas(Queue::kLineBytes) AtomicCpuMask<P> pending;
    typename P::template Atomic<bool> signalled{false};
    // This CPU's own.
    alignas(Queue::kLineBytes) CpuMask unfinished;
    unsigned nesting = 0;
    void* receiver = nullptr;
    typename P::Counter sent;
    typename P::Counter passive;
    typename P::Counter avoided;
    typename P::Counter full;
  };

  [[nodiscard]] static constexpr std::size_t queues(unsigned cpus) {
    return std::size_t{cpus} * (cpus - 1);
  }
  template <class T>
  [[nodiscard]] static T* make_array(std::byte* at, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) new (at + i * sizeof(T)) T();
    return std::launder(reinterpret_cast<T*>(at));
  }
  [[nodiscard]] Queue& queue_of(unsigned from, unsigned to) const {
    ODO_ASSERT(from < cpus_count_ && to < cpus_count_ && from != to);
    // No queue leads from a CPU to itself.
    return queues_[std::size_t{from} * (cpus_count_ - 1) +
                   (to < from ? to : to - 1)];
  }
  [[nodiscard]] static CpuMask others(unsigned from, CpuMask mask) {
    mask.clear(from);
    return mask;
  }
  IpiPosted call_oneself(unsigned cpu, const IpiCall& call) {
    call.function(call.argument, cpus_[cpu].receiver);
    return {0, IpiNeed::kAvoided};
  }

  IpiSequence push(unsigned from, unsigned to, const IpiCall& call) {
    Queue& queue = queue_of(from, to);
    cpus_[from].sent.add_one();
    std::optional<IpiSequence> pushed = queue.try_push(call);
    if (!pushed.has_value()) {
      cpus_[from].full.add_one();
      do {
        // It may be full of passive calls. What we call may fill it again, so
        // once is not enough.
        interrupt(to);
        if (run_some(from) == 0) platform_.relax();
        pushed = queue.try_push(call);
      } while (!pushed.has_value());
    }
    // ID: release, with the acquire in run_some(): who sees the bit sees the
    // entry, and will not take the queue for empty.
    (void)cpus_[to].pending.set(from, std::memory_order_release);
    return *pushed;
  }

  // After the bit was set. Only one of those who come between two clearings is
  // told to raise the interrupt.
  [[nodiscard]] IpiNeed signal(unsigned to) {
    // IE: release, with the acquire in drain(). If it was set already, the
    // clearing comes after us, and reads what we wrote or what others wrote on
    // top of it; so our bit is seen by the look after the clearing. If not, the
    // interrupt brings that look about.
    const bool was =
        cpus_[to].signalled.exchange(true, std::memory_order_release);
    return was ? IpiNeed::kAvoided : IpiNeed::kRaise;
  }
  // In loops: leaves the flag's line alone while it is set.
  void interrupt(unsigned to) {
    // Relaxed: if it was set an interrupt is on its way, and if that is old
    // news, the next look will tell.
    if (cpus_[to].signalled.load(std::memory_order_relaxed)) return;
    if (signal(to) == IpiNeed::kRaise) platform_.raise_ipi(to);
  }

  // Goes once over the queues that have something, and makes each one's calls,
  // a queue's length of them at most: no source keeps the others waiting.
  // Leaves signalled as it is.
  std::size_t run_some(unsigned cpu) {
    Cpu& me = cpus_[cpu];
    // ID: acquire, with the release in push().
    me.unfinished |= me.pending.take(cpus_count_, std::memory_order_acquire);
    std::size_t made = 0;
    ++me.nesting;
    ODO_CHECK(me.nesting <= MaxNesting);
    me.unfinished.for_each([&](unsigned source) {
      made += queue_of(source, cpu).drain(Entries, [&](const IpiCall& call) {
        call.function(call.argument, me.receiver);
      });
      // N3: a queue's length covers all that was in it when the source was
      // taken, by us or by a drain nested in the calls, which did the same;
      // what came since has a bit of its own.
      me.unfinished.clear(source);
    });
    --me.nesting;
    return made;
  }

  [[no_unique_address]] P platform_;
  unsigned cpus_count_;
  Cpu* cpus_ = nullptr;
  Queue* queues_ = nullptr;
};

}  // namespace odo::lwkt
