// SPDX-License-Identifier: BSD-3-Clause
// A lightweight kernel thread: a stack, a fixed priority, and the CPU it is on.
//
// A thread stays on its CPU until it asks to move. It gives the CPU away only
// where it says so (yield, sleep, a token it has to wait for, its end), and to
// threads of the interrupt band, which borrow it.
//
// Contexts: functions of a thread are called by that thread, on its own stack,
//   unless they say otherwise.
// Size: about 1.5 KiB, most of it the stack of held tokens; it lies at the top
//   of the thread's own stack, so that a parked thread touches one page.
// Ownership: Cpu makes threads and takes their stacks back: at once when a
//   detached one ends, in join() for the others.
// Invariants:
//   T1. a thread is in exactly one place, which place() names: new, running on
//       its CPU, in that CPU's run queue, asleep, on its way to another CPU,
//       preempted, or dead;
//   T2. only the CPU that a thread is on touches any of its fields, other CPUs
//       ask it to. home_ is what they go by; a thread that has moved is looked
//       for again where it went;
//   T3. critical_ counts the critical sections of this thread; the CPU makes no
//       calls for others and is not given away by force while it is not 0;
//   T4. of two threads one of which preempted the other, the borrower gives the
//       CPU straight back when it waits or ends.
// Failure: misuse is reported to the ground with the thread's name.
// Origin: DragonFly's sys/sys/thread.h and sys/kern/lwkt_thread.c for what a
//   thread is. There a token list hangs off the thread as here; preemption
//   marks both threads with flags, where we have one pointer.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/base/annotations.h"
#include "lib/base/container_of.h"
#include "lib/base/list.h"
#include "lib/lwkt/context.h"
#include "lib/lwkt/ipi_queue.h"
#include "lib/lwkt/platform.h"
#include "lib/lwkt/priority.h"
#include "lib/lwkt/timer_wheel.h"
#include "lib/tokens/thread_tokens.h"

namespace odo::lwkt {

template <LwktPlatform P>
class Cpu;
template <LwktPlatform P>
class Thread;

enum class Place : std::uint8_t {
  kNew,        // made, not started
  kRunning,    // has the CPU
  kQueued,     // in the run queue
  kAsleep,     // waits until somebody makes it runnable
  kMoving,     // between CPUs
  kPreempted,  // a thread of the interrupt band has borrowed its CPU
  kDead        // ended, not yet joined
};

enum class Lifetime : std::uint8_t {
  kJoined,   // somebody will call join()
  kDetached  // gone when it ends
};

struct ThreadOptions {
  const char* name = "thread";
  Priority priority = kKernelNormal;
  Lifetime lifetime = Lifetime::kJoined;
  // For a thread on a stack of the CPU's own.
  std::size_t stack_bytes = std::size_t{16} * 1024;
};

enum class SleepResult : std::uint8_t { kWoken, kTimedOut };

namespace detail {

// A field that only the thread's own CPU touches (T2). A ground that checks
// plain data finds out who else does; elsewhere it is a T, no more.
template <class P, class T>
struct OwnedOn {
  using Type = T;
};
template <ChecksPlainData P, class T>
struct OwnedOn<P, T> {
  class Type {
   public:
    // NOLINTNEXTLINE(google-explicit-constructor): it stands where a T stands
    Type(T value) { plain_.set(value); }
    Type(const Type&) = delete;
    Type& operator=(const Type&) = delete;
    Type& operator=(T value) {
      plain_.set(value);
      return *this;
    }
    // NOLINTNEXTLINE(google-explicit-constructor): the same
    operator T() const { return plain_.get(); }

   private:
    typename P::template Plain<T> plain_;
  };
};

}  // namespace detail

// Waits for tokens by letting other threads have the CPU.
template <LwktPlatform P>
class TokenBlocker {
 public:
  explicit TokenBlocker(Thread<P>& thread) : thread_(&thread) {}
  void switch_until_held(tokens::TokenStack<P>& stack);
  [[nodiscard]] bool may_block() const;

 private:
  Thread<P>* thread_;
};

template <LwktPlatform P>
class Thread {
 public:
  using Entry = void (*)(Thread&, void* argument);
  using Tokens = tokens::ThreadTokens<P, TokenBlocker<P>>;

  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;

  [[nodiscard]] const char* name() const { return name_; }
  [[nodiscard]] Priority priority() const { return priority_; }
  // The stack as it was given, this object at its top included.
  [[nodiscard]] std::span<std::byte> stack() const { return stack_; }
  // On the thread's CPU only.
  [[nodiscard]] Place place() const { return place_; }
  [[nodiscard]] unsigned critical_depth() const { return critical_; }

  // The CPU it is on. For the thread itself that is where it runs; for others
  // it may be old news.
  [[nodiscard]] ODO_ALWAYS_INLINE Cpu<P>& cpu() const {
    // Relaxed: whoever follows it asks that CPU, which looks again (T2).
    return *home_.load(std::memory_order_relaxed);
  }
  // The same for a CPU that was asked to touch what is the thread's: if it
  // finds itself, all that was done to that elsewhere has happened.
  [[nodiscard]] ODO_ALWAYS_INLINE Cpu<P>& home() const {
    // LH: acquire, with the release of the CPU that the thread left.
    return *home_.load(std::memory_order_acquire);
  }
  // The tokens it holds; see lib/tokens.
  [[nodiscard]] Tokens& tokens() { return tokens_; }

  // --- what a thread does ----------------------------------------------------
  // Lets threads of the same priority or higher run, if there are any.
  ODO_ALWAYS_INLINE void yield(Where where = Where::current()) ODO_MAY_BLOCK;
  // The same, only when this thread's quantum is over.
  ODO_ALWAYS_INLINE void yield_if_due(Where where = Where::current())
      ODO_MAY_BLOCK;
  // Ends the thread; returning from its entry does the same.
  [[noreturn]] void exit(Where where = Where::current());
  // Goes on, on another CPU of the same machine.
  void set_cpu(unsigned index, Where where = Where::current()) ODO_MAY_BLOCK;
  void set_priority(Priority priority);
  // Waits until `other` has ended, and takes its stack back. Once a thread.
  void join(Thread& other, Where where = Where::current()) ODO_MAY_BLOCK;

  // Critical sections nest. Inside, calls from other CPUs, timers and threads
  // of the interrupt band wait; nothing may block.
  ODO_ALWAYS_INLINE void enter_critical() {
    ++critical_;
    // What interrupts us on this CPU reads the count; the compiler must not
    // move the section's work out of it.
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }
  ODO_ALWAYS_INLINE void exit_critical(Where where = Where::current());

  // Sleeps, whatever `who` it is that will wake it by Cpu::wake(). In a
  // critical section of depth one, from before `who` could know of the sleeper.
  ODO_ALWAYS_INLINE void sleep_in_critical(Where where = Where::current())
      ODO_MAY_BLOCK;
  // The same, and wakes a sleeping thread of this CPU, which goes on at once,
  // without passing through the run queue, if nobody there comes before it.
  ODO_ALWAYS_INLINE void sleep_and_wake_in_critical(
      Thread& other, Where where = Where::current()) ODO_MAY_BLOCK;

 private:
  friend class Cpu<P>;
  template <LwktPlatform>
  friend class Sleepers;
  template <LwktPlatform>
  friend class Inspector;
  template <LwktPlatform>
  friend class TokenBlocker;

  template <class T>
  using Owned = typename detail::OwnedOn<P, T>::Type;

  Thread(Cpu<P>& home, std::span<std::byte> stack, Entry entry, void* argument,
         const ThreadOptions& options, P ground);
  ~Thread() = default;

  static void timed_out(Timer& timer);
  void take_back_wake();
  // Off the list of an interlock that no sleep has followed: before the thread
  // waits for something else, moves or ends.
  ODO_ALWAYS_INLINE void drop_interlock();
  // After the outermost critical section: is there something to do?
  ODO_ALWAYS_INLINE void look_if_needed();

  // What a switch touches comes first.
  Context context_;
  typename P::template Atomic<Cpu<P>*> home_;
  Thread* run_next_ = nullptr;  // in the list that place() tells
  std::uint32_t critical_ = 0;
  Owned<Place> place_ = Place::kNew;
  Owned<bool> lapsed_ = false;  // its tokens are given up, to be had first
  bool detached_;
  Priority priority_;
  Thread* preempted_ = nullptr;  // whose CPU it has borrowed (T4)
  [[no_unique_address]] typename P::StackNote note_;

  // Sleep by address (sleep.h).
  ListHook sleep_hook_;
  Owned<const void*> asleep_on_ = nullptr;
  bool interlocked_ = false;
  SleepResult sleep_result_ = SleepResult::kWoken;
  Timer timeout_;

  const char* name_;
  std::span<std::byte> stack_;
  bool borrowed_stack_ = false;
  Entry entry_;
  void* argument_;
  Owned<Thread*> joiner_ = nullptr;
  unsigned moves_to_ = 0;
  ListHook all_hook_;

  Tokens tokens_;
};

}  // namespace odo::lwkt
