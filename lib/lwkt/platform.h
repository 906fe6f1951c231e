// SPDX-License-Identifier: BSD-3-Clause
// What threads ask of the ground they stand on, and what they tell it when they
// are misused.
//
// Contexts: each function says its own.
// Failure: map_stack() may; nothing else does. lwkt_fault() does not return.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <source_location>
#include <span>

#include "lib/lwkt/context.h"
#include "lib/platform/concepts.h"
#include "lib/tokens/platform.h"

namespace odo::lwkt {

using Where = std::source_location;

struct LwktTuning {
  // Lists a CPU keeps sleepers in, by address: a power of two.
  std::uint32_t sleep_buckets;
  // Ticks a thread runs before others of its priority have their turn.
  std::uint32_t quantum_ticks;
  // How long an idle CPU looks for work before it goes to sleep.
  std::uint64_t idle_spin_ns;
  // How often it asks for the tokens of threads that lack nothing else; 0: all
  // the time, without sleeping.
  std::uint64_t token_poll_ns;
  // Stacks of ended threads that a CPU keeps for new ones.
  std::uint32_t cached_stacks;
  // Entries of the queue from one CPU to another: a power of two.
  std::uint32_t ipi_entries;
};

enum class Misuse : std::uint8_t {
  kBlockedInCritical,  // would have slept in a critical section
  kStackOverflow,      // went below the end of its stack
  kStartedTwice,       // started, but not new
  kJoinedItself,       // waits for its own end
  kJoinedTwice,        // waited for a thread that somebody else waits for
  kLeftCritical,       // ended more critical sections than it began
  kEndedInCritical,    // returned from its entry inside one
  kEndedWithTokens,    // returned from its entry with tokens held
  kNotOnOwner,         // a call that only the owning CPU may make
  kSentTwice,          // a message that is on its way already
  kNotOwned,           // replied or forwarded by who does not have it
  kPortNotEmpty,       // destroyed with messages in it
  kNotReceiver,        // a wait on a port that is another thread's
  kPanicPort,          // a message to a port that takes none
  kNotSerialized,      // left a serializer that this thread is not in
  kSerializedTwice,    // entered a serializer that this thread is in
  kCalledItself        // waits for an answer that only itself could give
};

[[nodiscard]] constexpr const char* misuse_text(Misuse what) {
  switch (what) {
    case Misuse::kBlockedInCritical:
      return "would sleep in a critical section";
    case Misuse::kStackOverflow:
      return "overflowed its stack";
    case Misuse::kStartedTwice:
      return "was started twice";
    case Misuse::kJoinedItself:
      return "waits for its own end";
    case Misuse::kJoinedTwice:
      return "waits for a thread that another one waits for";
    case Misuse::kLeftCritical:
      return "left a critical section that it was not in";
    case Misuse::kEndedInCritical:
      return "ended in a critical section";
    case Misuse::kEndedWithTokens:
      return "ended with tokens held";
    case Misuse::kNotOnOwner:
      return "is not on the CPU that owns this";
    case Misuse::kSentTwice:
      return "sent a message that is on its way already";
    case Misuse::kNotOwned:
      return "replied to a message that it does not own";
    case Misuse::kPortNotEmpty:
      return "destroyed a port with messages in it";
    case Misuse::kNotReceiver:
      return "waits on another thread's port";
    case Misuse::kPanicPort:
      return "sent a message to a port that takes none";
    case Misuse::kNotSerialized:
      return "left a serializer that it is not in";
    case Misuse::kSerializedTwice:
      return "entered a serializer that it is in";
    case Misuse::kCalledItself:
      return "waits for an answer that only it could give";
  }
  return "misused a thread";
}

// One misuse: the thread that did it and where; `object` is what it did it to
// (another thread, a port), `there` the earlier place that this one conflicts
// with (where the message was sent, the critical section begun), if known.
struct LwktFault {
  Misuse what;
  const char* thread;
  const char* object;
  Where here;
  Where there;
};

// fence(order): a fence of that order, for the calling CPU.
//
// Each CPU has an attention word, of which the library sets bits and then calls
// kick(cpu, word, before), `before` being the word without them. The ground
// makes that CPU call Cpu::interrupted() soon, unless it looks at the word
// itself often enough, and makes idle() return. Bit 31 is the ground's own.
// idle(cpu, word, deadline_ns) returns when the word has any other bit, at
// once if it has one already, or when the clock passes the deadline; it may
// return for no reason. What was written before the bits were set is seen by
// who then reads them with acquire; more, no ground need promise.
//
// timer(cpu, deadline_ns): on that CPU: a timer interrupt, which sets
// Attention::kTimer, is wanted then. A ground whose CPUs look at the clock
// often enough ignores it.
//
// If it has do_interrupts(cpu), that is called on the CPU, in a critical
// section, after Attention::kInterrupt was raised there: for what interrupts
// have to do that may not be done in the middle of one, as to wake threads.
//
// map_stack(bytes) gives memory for a stack, with whatever guard the ground has
// below it, or an empty span; unmap_stack() takes it back.
//
// StackNote is a field of each thread for the ground (a sanitizer's handle).
// before_switch(from, to, ends) is called just before one context gives way to
// another, and after_switch(now) first thing on the other side.
//
// Contexts: kick: any. timer, before_switch, after_switch: interrupts may be
// on, but the CPU is in a critical section. idle: the idle thread. map_stack,
// unmap_stack: threads.
template <class P>
concept LwktPlatform =
    tokens::TokenPlatform<P> && platform::HasClock<P> &&
    std::default_initializable<typename P::StackNote> &&
    requires(P& ground, typename P::template Atomic<std::uint32_t>& word,
             typename P::StackNote& note, std::span<std::byte> stack,
             unsigned cpu, std::uint64_t deadline_ns, std::uint32_t before,
             const LwktFault& fault, bool ends) {
      { P::kLwktTuning } -> std::convertible_to<LwktTuning>;
      { ground.fence(std::memory_order_seq_cst) } -> std::same_as<void>;
      { ground.kick(cpu, word, before) } -> std::same_as<void>;
      { ground.idle(cpu, word, deadline_ns) } -> std::same_as<void>;
      { ground.timer(cpu, deadline_ns) } -> std::same_as<void>;
      { ground.map_stack(std::size_t{}) } -> std::same_as<std::span<std::byte>>;
      { ground.unmap_stack(stack) } -> std::same_as<void>;
      { ground.make_note(note, stack) } -> std::same_as<void>;
      { ground.before_switch(note, note, ends) } -> std::same_as<void>;
      { ground.after_switch(note) } -> std::same_as<void>;
      { ground.lwkt_fault(fault) } -> std::same_as<void>;
    };

}  // namespace odo::lwkt
