// SPDX-License-Identifier: BSD-3-Clause
// Tokens for plain std::threads: each thread has its stack of tokens and its
// lane, made at its first use; ThreadToken has the lock methods of the standard
// library, so std::scoped_lock and std::shared_lock work on it.
//
//   tokens::ThreadToken token(kAccounts);
//   std::scoped_lock hold(token);
//   tokens::blocking([&] { read(fd, ...); });   // the token lapses meanwhile
//
// Contexts: any thread of the program, but not a signal handler.
// Ownership: lanes are handed on from threads that end to threads that begin,
//   and freed never; there are as many as threads that were alive at once.
// Failure: waiting while a NoBlock is alive is a fault, as is a thread's end
//   while it holds a token.
#pragma once

#include <concepts>
#include <mutex>
#include <source_location>
#include <utility>
#include <vector>

#include "lib/base/annotations.h"
#include "lib/tokens/host/ground.h"
#include "lib/tokens/parking_blocker.h"
#include "lib/tokens/thread_tokens.h"

namespace odo::tokens {

// Parks, unless a NoBlock forbids it.
class ThreadBlocker : public ParkingBlocker<HostGround> {
 public:
  [[nodiscard]] bool may_block() const { return forbidden_ == 0; }

 private:
  friend class NoBlock;
  unsigned forbidden_ = 0;
};

using ThisThread = ThreadTokens<HostGround, ThreadBlocker>;

namespace detail {

// Every lane of the program, and those that no thread has at the moment.
class HostLanes {
 public:
  [[nodiscard]] Lane<HostGround>& take() {
    const std::scoped_lock lock(mutex_);
    if (!free_.empty()) {
      Lane<HostGround>& lane = *free_.back();
      free_.pop_back();
      return lane;
    }
    auto* lane = new Lane<HostGround>(domain_);
    domain_.add(*lane);
    return *lane;
  }
  void give(Lane<HostGround>& lane) {
    const std::scoped_lock lock(mutex_);
    free_.push_back(&lane);
  }

  // Never destroyed: threads may outlive main().
  [[nodiscard]] static HostLanes& all() {
    static auto* const lanes = new HostLanes;
    return *lanes;
  }

 private:
  std::mutex mutex_;
  TokenDomain<HostGround> domain_;
  std::vector<Lane<HostGround>*> free_;
};

class ThreadHolder {
 public:
  ThreadHolder() : lane_(HostLanes::all().take()), tokens_(lane_) {}
  ThreadHolder(const ThreadHolder&) = delete;
  ThreadHolder& operator=(const ThreadHolder&) = delete;
  ~ThreadHolder() {
    current = nullptr;
    HostLanes::all().give(lane_);
  }

  // Null before the thread's first use.
  inline static thread_local constinit ThisThread* current = nullptr;

  [[nodiscard]] ODO_NOINLINE static ThisThread& create() {
    static thread_local ThreadHolder holder;
    current = &holder.tokens_;
    return holder.tokens_;
  }

 private:
  Lane<HostGround>& lane_;
  ThisThread tokens_;
};

}  // namespace detail

// The calling thread's tokens.
[[nodiscard]] ODO_ALWAYS_INLINE ThisThread& this_thread() {
  ThisThread* tokens = detail::ThreadHolder::current;
  if (tokens == nullptr) [[unlikely]] {
    return detail::ThreadHolder::create();
  }
  return *tokens;
}

// Calls `sleep` with every token of the calling thread given up.
template <std::invocable Sleep>
void blocking(Sleep&& sleep, Where where = Where::current()) ODO_MAY_BLOCK {
  this_thread().block(std::forward<Sleep>(sleep), where);
}

// While one is alive, the calling thread must not have to wait for a token.
class NoBlock {
 public:
  NoBlock() { ++this_thread().blocker().forbidden_; }
  NoBlock(const NoBlock&) = delete;
  NoBlock& operator=(const NoBlock&) = delete;
  ~NoBlock() { --this_thread().blocker().forbidden_; }
};

class ODO_CAPABILITY("token") ThreadToken {
 public:
  explicit constexpr ThreadToken(const TokenClass& kind) : token_(kind) {}

  ODO_ALWAYS_INLINE void lock(Where where = Where::current())
      ODO_ACQUIRE() ODO_NO_THREAD_SAFETY_ANALYSIS {
    this_thread().acquire(token_, where);
  }
  [[nodiscard]] ODO_ALWAYS_INLINE bool try_lock(Where where = Where::current())
      ODO_TRY_ACQUIRE(true) ODO_NO_THREAD_SAFETY_ANALYSIS {
    return this_thread().try_acquire(token_, where);
  }
  ODO_ALWAYS_INLINE void unlock(Where where = Where::current())
      ODO_RELEASE() ODO_NO_THREAD_SAFETY_ANALYSIS {
    this_thread().release(token_, where);
  }
  ODO_ALWAYS_INLINE void lock_shared(Where where = Where::current())
      ODO_ACQUIRE_SHARED() ODO_NO_THREAD_SAFETY_ANALYSIS {
    this_thread().acquire_shared(token_, where);
  }
  [[nodiscard]] ODO_ALWAYS_INLINE bool try_lock_shared(
      Where where = Where::current())
      ODO_TRY_ACQUIRE_SHARED(true) ODO_NO_THREAD_SAFETY_ANALYSIS {
    return this_thread().try_acquire_shared(token_, where);
  }
  ODO_ALWAYS_INLINE void unlock_shared(Where where = Where::current())
      ODO_RELEASE_SHARED() ODO_NO_THREAD_SAFETY_ANALYSIS {
    this_thread().release(token_, where);
  }

  // Held by the calling thread?
  [[nodiscard]] bool held_by_me() const { return this_thread().holds(token_); }
  [[nodiscard]] Token<HostGround>& token() { return token_; }

 private:
  Token<HostGround> token_;
};

}  // namespace odo::tokens
