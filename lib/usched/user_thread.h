// SPDX-License-Identifier: BSD-3-Clause
// What the user scheduler knows of one user thread: a member of the kernel's
// own thread structure.
//
// Contexts: while the thread is queued or chosen, its fields belong to whoever
//   holds the lock of cpu()'s queue. To get that lock from elsewhere: read
//   cpu(), lock that queue, and read cpu() again, as a pull may have come
//   first. Otherwise they belong to the thread itself, or to the one waker that
//   has it in hand; the kernel's own lock of the thread keeps everybody else
//   out.
// Invariants:
//   W1. linked in a queue if and only if state() is kQueued;
//   W2. chosen by exactly one CPU, cpu(), if and only if state() is kChosen.
// Failure: setters refuse numbers out of range.
#pragma once

#include <atomic>
#include <cstdint>

#include "lib/base/check.h"
#include "lib/base/list.h"
#include "lib/platform/concepts.h"
#include "lib/usched/cpu_set.h"
#include "lib/usched/error.h"
#include "lib/usched/usage.h"

namespace odo::usched {

// Best first: any thread of a class goes before all threads of the next.
enum class Class : std::uint8_t { kRealtime, kTimeshare, kIdle };

inline constexpr unsigned kPriorities = 32;

enum class State : std::uint8_t {
  kOff,       // asleep, stopped, new, or on its way to a queue
  kQueued,    // wants to run user code and waits for a CPU
  kChosen,    // its CPU's one user thread; LWKT may run it
  kInKernel,  // runs in the kernel, at a kernel priority, or blocks there
};

template <platform::HasAtomics P>
class CpuQueue;
template <platform::HasAtomics P>
class Scheduler;

template <platform::HasAtomics P>
class UserThread {
 public:
  UserThread() = default;
  UserThread(const UserThread&) = delete;
  UserThread& operator=(const UserThread&) = delete;
  ~UserThread() { ODO_CHECK(!is_attached()); }

  [[nodiscard]] State state() const { return state_; }
  // Queued or chosen: some CPU's queue knows it.
  [[nodiscard]] bool is_attached() const {
    return state_ == State::kQueued || state_ == State::kChosen;
  }
  // Where it is queued, chosen or ran last; kNoCpu before its first time. May
  // be read by anybody (relaxed; the lock taken next brings the rest).
  [[nodiscard]] CpuId cpu() const {
    return cpu_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] Class klass() const { return class_; }
  [[nodiscard]] unsigned priority() const { return priority_; }
  [[nodiscard]] int nice() const { return nice_; }
  [[nodiscard]] const CpuSet& affinity() const { return affinity_; }
  [[nodiscard]] const Usage& usage() const { return usage_; }

 private:
  friend class CpuQueue<P>;
  friend class Scheduler<P>;

  void set_cpu(CpuId cpu) { cpu_.store(cpu, std::memory_order_relaxed); }

  ListHook hook_;
  CpuSet affinity_ = CpuSet::all();
  Usage usage_;
  std::uint64_t queued_at_ns_ = 0;  // when it came to its queue from outside
  std::uint64_t turn_left_ns_ = 0;
  typename P::template Atomic<std::uint16_t> cpu_{kNoCpu};
  State state_ = State::kOff;
  Class class_ = Class::kTimeshare;
  std::uint8_t priority_ = 0;  // realtime and idle: 0 is best
  std::int8_t nice_ = 0;
  // Which list of its queue: its priority, or its slot of the calendar.
  std::uint8_t slot_ = 0;
  bool in_front_ = false;
};

}  // namespace odo::usched
