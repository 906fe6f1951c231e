// SPDX-License-Identifier: BSD-3-Clause
// What the model of lwkt_schedule_model.h is made of: what threads do, what is
// known of one, who may have a token, and which timer is next.
//
// Contexts: one host thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <utility>
#include <vector>

#include "lib/lwkt/thread.h"

namespace odo::fuzz {

using lwkt::Place;
using lwkt::SleepResult;

using Id = unsigned;
inline constexpr Id kIdle = 0;  // each CPU's own; threads count from 1
inline constexpr Id kNobody = ~Id{0};
inline constexpr std::uint64_t kNever = ~std::uint64_t{0};
inline constexpr unsigned kNowhere = ~0U;
inline constexpr unsigned kTimersPerCpu = 3;

inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "the schedule is wrong: %s\n", what);
  std::abort();
}

enum class Act : std::uint8_t {
  kNothing,
  kYield,
  kYieldIfDue,
  kEnterCritical,
  kExitCritical,
  kInterrupt,    // from outside
  kInterlock,    // address
  kCancel,       // the interlock
  kSleep,        // address, deadline in ticks or kNever
  kWakeup,       // address
  kWakeupOne,    // address
  kPark,         // sleeps without an address
  kUnpark,       // thread
  kSetCpu,       // CPU
  kSetPriority,  // priority
  kCreate,       // priority, flags
  kStart,        // thread
  kJoin,         // thread
  kExit,
  kAcquire,     // token, Want
  kTryAcquire,  // token, Want, whether it had it
  kRelease,     // the youngest
  kArm,         // timer, deadline in ticks
  kDisarm,      // timer
  kCall,        // CPU, address to wake there
  kStop
};

// Flags of a thread to be made.
inline constexpr unsigned kDetached = 1;
inline constexpr unsigned kLargeStack = 2;
inline constexpr unsigned kLentStack = 4;  // for joined ones only

struct Operation {
  Act act = Act::kNothing;
  unsigned a = 0;
  std::uint64_t b = 0;
  bool had_it = false;
};

enum class Want : std::uint8_t { kExclusive, kShared };

struct Held {
  unsigned token;
  Want want;
};
// What a thread does when it has the CPU, before it is asked for more.
enum class Step : std::uint8_t { kLook, kBorrow, kYieldIfDue, kCreate };
struct ModelThread {
  unsigned priority = 0;
  unsigned flags = 0;
  Place place = Place::kNew;
  bool gone = false;  // its object is no more
  unsigned cpu = 0;
  unsigned counted_on = kNowhere;  // the CPU that may not end before it
  unsigned critical = 0;
  Id borrowed_from = kNobody;
  std::vector<Step> to_do = {Step::kLook};  // the last one first
  Operation to_create;

  bool is_listed = false;
  unsigned address = 0;
  bool interlocked = false;
  bool parked = false;
  SleepResult slept = SleepResult::kWoken;

  std::vector<Held> tokens;
  bool lapsed = false;

  Id joiner = kNobody;
  bool to_be_joined = false;  // somebody has asked for it
};

// Whether a thread may have a token, by what the others have.
enum class May : std::uint8_t { kNot, kPerhaps, kSurely };

class TokenRules {
 public:
  explicit TokenRules(const std::vector<ModelThread>& threads)
      : threads_(threads) {}

  [[nodiscard]] static bool holds(const ModelThread& thread, unsigned token) {
    if (thread.lapsed) return false;
    return std::ranges::any_of(
        thread.tokens, [&](const Held& held) { return held.token == token; });
  }
  // Another thread has it, in a way that leaves no room for this one.
  [[nodiscard]] bool others_hold(Id id, const Held& held) const {
    return any_other(id, held.token, [&](const ModelThread& other, Want want) {
      return !other.lapsed &&
             (want == Want::kExclusive || held.want == Want::kExclusive);
    });
  }
  [[nodiscard]] May may_have(Id id, const Held& held) const {
    if (others_hold(id, held)) return May::kNot;
    if (held.want == Want::kExclusive) return May::kSurely;
    const bool writer_waits =
        any_other(id, held.token, [](const ModelThread& other, Want want) {
          return other.lapsed && want == Want::kExclusive;
        });
    return writer_waits ? May::kPerhaps : May::kSurely;
  }
  // With all its tokens.
  [[nodiscard]] May may_run(Id id) const {
    May may = May::kSurely;
    if (!threads_[id].lapsed) return may;
    for (const Held& held : threads_[id].tokens) {
      may = std::min(may, may_have(id, held));
    }
    return may;
  }

 private:
  template <class Predicate>
  [[nodiscard]] bool any_other(Id id, unsigned token,
                               const Predicate& holds_true) const {
    for (Id other = 1; other < threads_.size(); ++other) {
      if (other == id) continue;
      for (const Held& held : threads_[other].tokens) {
        if (held.token == token && holds_true(threads_[other], held.want)) {
          return true;
        }
      }
    }
    return false;
  }

  const std::vector<ModelThread>& threads_;
};

// A thread's timeout; or, for kNobody, one of the CPU's own.
struct TimerId {
  Id thread;
  unsigned own;
  bool operator==(const TimerId&) const = default;
};

// Those of one CPU, in the order of their ticks, then of arming.
class ModelTimers {
 public:
  [[nodiscard]] bool is_armed(TimerId timer) const {
    return std::ranges::any_of(
        armed_, [&](const auto& entry) { return entry.second == timer; });
  }
  [[nodiscard]] std::uint64_t next_tick() const {
    return armed_.empty() ? kNever : armed_.begin()->first.first;
  }
  void arm(TimerId timer, std::uint64_t tick) {
    disarm(timer);
    armed_.emplace(std::pair(tick, ++count_), timer);
  }
  void disarm(TimerId timer) {
    std::erase_if(armed_,
                  [&](const auto& entry) { return entry.second == timer; });
  }
  TimerId pop() {
    const TimerId first = armed_.begin()->second;
    armed_.erase(armed_.begin());
    return first;
  }

 private:
  std::map<std::pair<std::uint64_t, std::uint64_t>, TimerId> armed_;
  std::uint64_t count_ = 0;
};

}  // namespace odo::fuzz
