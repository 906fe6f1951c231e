// SPDX-License-Identifier: BSD-3-Clause
// One CPU: which of its threads runs, and what it does for the others.
//
//   alignas(...) std::byte storage[System<P>::storage_bytes(n)];
//   System<P> system(storage, n, ground);
//   // on CPU i, with a stack of its own to stand on:
//   system.cpu(i).run();
//
// Contexts: functions are called on this CPU, by the thread that runs there,
//   unless they say "any CPU".
// Invariants:
//   C1. the run queue holds this CPU's threads that could run, current_ not
//       among them; the idle thread is in no queue and runs when nothing else
//       can;
//   C2. current_ changes only in a critical section of both threads: the one
//       that stops is in its own, and the one that goes on finds itself in the
//       one that it stopped in;
//   C3. a thread with given-up tokens (lapsed_) has all of them back before it
//       runs; if it can't, the CPU runs another.
// Failure: out of memory for a stack is a result; misuse a fault.
// Complexity: everything O(1), but for threads that wait for tokens: they are
//   asked one after the other each time the CPU looks for a thread.
// Origin: lwkt_switch(), lwkt_preempt(), lwkt_schedule(), splz() in DragonFly's
//   sys/kern/lwkt_thread.c. Deviations: the switch is inlined into yield();
//   a thread that ends or moves steps off its stack through the idle thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <new>
#include <span>

#include "lib/base/check.h"
#include "lib/base/result.h"
#include "lib/lwkt/attention.h"
#include "lib/lwkt/run_queue.h"
#include "lib/lwkt/system.h"
#include "lib/lwkt/thread.h"
#include "lib/lwkt/timer_wheel.h"

namespace odo::lwkt {

enum class Error : std::uint8_t {
  kNoMemory,  // the ground has no stack left
  kStackTooSmall
};
template <class T>
using Result = odo::Result<T, Error>;

// Counted by the CPU itself. They wrap.
struct CpuCounts {
  std::uint64_t switches = 0;     // to another thread
  std::uint64_t preemptions = 0;  // of them, borrowed
  std::uint64_t idle_sleeps = 0;
};

template <LwktPlatform P>
class alignas(64) Cpu {
 public:
  using ThreadT = Thread<P>;
  // Less than this is no stack.
  static constexpr std::size_t kMinStackBytes = 1024;
  static constexpr std::size_t kLineBytes = 64;

  Cpu(System<P>& system, unsigned index, P ground);
  Cpu(const Cpu&) = delete;
  Cpu& operator=(const Cpu&) = delete;
  ~Cpu();

  [[nodiscard]] unsigned index() const { return index_; }
  [[nodiscard]] System<P>& system() const { return *system_; }
  [[nodiscard]] P& ground() { return ground_; }
  // Who runs. Before run(), and between threads, the idle thread.
  [[nodiscard]] ThreadT& current() { return *current_; }
  [[nodiscard]] const CpuCounts& counts() const { return counts_; }

  // --- the CPU's life --------------------------------------------------------
  // Runs threads until System::stop() was called and none of this CPU's is
  // left. Stop when no thread is on its way to another CPU, and none will call
  // one. The caller's stack becomes the idle thread's.
  void run();

  // --- making threads --------------------------------------------------------
  // On a stack of the CPU's own, kept from an ended thread or new.
  [[nodiscard]] Result<ThreadT*> create(typename ThreadT::Entry entry,
                                        void* argument,
                                        const ThreadOptions& options = {});
  // On the caller's, which has room for the thread at its top, and is the
  // caller's again when the thread was joined.
  [[nodiscard]] Result<ThreadT*> create_on(std::span<std::byte> stack,
                                           typename ThreadT::Entry entry,
                                           void* argument,
                                           const ThreadOptions& options = {});
  // Makes a new thread of this CPU runnable. The thread may run, and end,
  // before this returns.
  void start(ThreadT& thread, Where where = Where::current());

  // --- waking ----------------------------------------------------------------
  // Makes a sleeping thread of this CPU runnable; one of the interrupt band
  // runs at once, if it outranks the current one and that is in no critical
  // section. In a critical section, when it ends.
  void wake(ThreadT& thread);
  // The same where the current thread is in a critical section anyway.
  ODO_ALWAYS_INLINE void wake_in_critical(ThreadT& thread) {
    ODO_CHECK(thread.place_ == Place::kAsleep);
    make_runnable(thread);
  }
  // From any CPU, `self` being the calling thread: asks the thread's CPU to do
  // that. Whoever sleeps must be sure to sleep until then.
  static void wake_from(ThreadT& self, ThreadT& thread);
  // `self` has to be the thread that runs on this CPU. Makes the call on the
  // CPU `to`, in a critical section there, some time after now.
  void call_on(ThreadT& self, unsigned to, const IpiCall& call);

  // --- time ------------------------------------------------------------------
  void arm(Timer& timer, std::uint64_t deadline_ns);
  bool cancel(Timer& timer) { return wheel_.cancel(timer); }

  // --- interrupts ------------------------------------------------------------
  [[nodiscard]] Attention<P>& attention() { return attention_; }
  // In an interrupt handler at its end, when further interrupts may come:
  // does what the attention word asks for, unless the current thread is in a
  // critical section, which then does it when that ends.
  void interrupted();

 private:
  friend class Thread<P>;
  template <LwktPlatform>
  friend class TokenBlocker;
  template <LwktPlatform>
  friend class Sleepers;
  template <LwktPlatform>
  friend class Inspector;
  friend class System<P>;

  using Threads = ThreadList<ThreadT, &ThreadT::run_next_>;

  // --- in critical sections --------------------------------------------------
  void enqueue(ThreadT& thread) {
    thread.place_ = Place::kQueued;
    queue_.push_back(thread, thread.priority_);
  }
  void make_runnable(ThreadT& thread) {
    enqueue(thread);
    if (preempts(thread.priority_)) preemption_due_ = true;
  }
  // The next thread to run of those with this priority or a higher one, out of
  // the queue and with its tokens; null if none.
  ThreadT* pick(Priority lowest = 0);
  // `self`, whose place is set, stops here until somebody makes it runnable and
  // the CPU comes back to it.
  ODO_ALWAYS_INLINE void switch_away(ThreadT& self);
  ODO_NOINLINE ThreadT& who_is_next(ThreadT& self);
  enum class Ends : std::uint8_t { kNo, kYes };
  template <Ends How>
  ODO_ALWAYS_INLINE void resume(ThreadT& self, ThreadT& next) {
    ++counts_.switches;
    current_ = &next;
    next.place_ = Place::kRunning;
    ground_.before_switch(self.note_, next.note_, How == Ends::kYes);
    switch_context(self.context_, next.context_);
    self.cpu().ground_.after_switch(self.note_);
  }
  ODO_NOINLINE void yield_slowly(ThreadT& self, Where where);
  // The end of the outermost critical section, with something to do.
  ODO_NOINLINE void look(ThreadT& self);
  void do_what_is_due();
  void run_timers();
  void preempt(ThreadT& self);
  [[noreturn]] static void first_run(Context* from, Context* to);
  // Gives up the tokens of a thread that stops.
  void lapse(ThreadT& self);
  // Stops for somebody who must not find us on our stack any more.
  void step_off(ThreadT& self);
  void place_stepped_off();
  void end(ThreadT& self);
  // Takes a dead thread's stack back, and tells who waits for that.
  void bury(ThreadT& thread);
  void destroy(ThreadT& thread);
  [[nodiscard]] bool can_keep(const ThreadT& thread) const {
    return !thread.borrowed_stack_ &&
           cached_count_ < P::kLwktTuning.cached_stacks &&
           (cached_count_ == 0 || cached_bytes_ == thread.stack_.size());
  }
  void check_stack(const ThreadT& thread) {
    const auto here =
        reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
    const auto low = reinterpret_cast<std::uintptr_t>(thread.stack_.data());
    if (here - low >= thread.stack_.size() && !thread.stack_.empty())
        [[unlikely]] {
      fault(Misuse::kStackOverflow, thread, nullptr, Where::current());
    }
  }
  [[noreturn]] ODO_NOINLINE void fault(Misuse what, const ThreadT& thread,
                                       const char* object, Where here,
                                       Where there = Where()) {
    ground_.lwkt_fault(LwktFault{what, thread.name_,
                                 object == nullptr ? "" : object, here, there});
    ODO_PANIC("a thread was misused");
  }
  void idle_once();
  [[nodiscard]] static std::uint32_t bucket_of(const void* address) {
    const auto bits = reinterpret_cast<std::uintptr_t>(address);
    // Fibonacci hashing: addresses differ in their middle bits.
    const std::uint64_t mixed = bits * 0x9e37'79b9'7f4a'7c15ULL;
    return static_cast<std::uint32_t>(mixed >> 32) &
           (System<P>::kSleepBuckets - 1);
  }

  System<P>* system_;
  unsigned index_;
  [[no_unique_address]] P ground_;
  ThreadT* current_;
  bool preemption_due_ = false;
  bool quantum_over_ = false;
  bool stopping_ = false;
  std::uint32_t ticks_ = 0;
  RunQueue<ThreadT, &ThreadT::run_next_> queue_;
  Attention<P> attention_;
  CpuCounts counts_;
  tokens::Lane<P> lane_;
  TimerWheel wheel_;
  std::uint64_t programmed_ns_ = TimerWheel::kNeverNs;
  std::uint64_t idle_since_ns_ = 0;
  // Off their stacks: to be sent to another CPU, or buried.
  Threads stepped_off_;
  // Stacks for new threads, in the threads that had them.
  Threads cached_;
  std::uint32_t cached_count_ = 0;
  std::size_t cached_bytes_ = 0;
  std::size_t made_ = 0;
  std::array<List<ThreadT, &ThreadT::sleep_hook_>, System<P>::kSleepBuckets>
      sleeping_;
  // Every thread that was made here and lives, for debuggers.
  List<ThreadT, &ThreadT::all_hook_> all_;
  // Ended, and not joined yet.
  List<ThreadT, &ThreadT::all_hook_> dead_;
  ThreadT idle_;
};

}  // namespace odo::lwkt

#include "lib/lwkt/cpu_impl.h"
#include "lib/lwkt/thread_impl.h"
