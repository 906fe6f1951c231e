// SPDX-License-Identifier: BSD-3-Clause
// What threads do next in lwkt_schedule_fuzz.cc: what the input says, where
// that is allowed; and when it has ended, what brings all of them to an end.
//
// Contexts: one host thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "fuzz/lwkt_schedule_model.h"
#include "fuzz/lwkt_schedule_parts.h"
#include "lib/lwkt/priority.h"

namespace odo::fuzz {

// Addresses to sleep on; a timer of a CPU's own wakes the one of its number.
inline constexpr unsigned kAddresses = kTimersPerCpu;
inline constexpr unsigned kTokens = 3;
inline constexpr unsigned kMaxTokensHeld = 4;
// Never sleeps, and lives to the end.
inline constexpr Id kFirst = 1;
inline constexpr Id kMaxThreads = 20;
// A full queue's senders wait for its receiver, which here does not run. Each
// call may lead to one more in the same queue, so less than half of its length.
inline constexpr std::size_t kMaxCalls = 24;
inline constexpr std::array<unsigned, 8> kSomePriorities = {
    lwkt::kKernelNormal, lwkt::kKernelUser,      lwkt::kSoftNormal,
    lwkt::kInterruptLow, lwkt::kUserNormal,      lwkt::kInterruptHigh,
    lwkt::kKernelNormal, lwkt::kInterruptSupport};
// Ticks from now; 0 stands for a deadline long past.
inline constexpr std::array<std::uint64_t, 8> kSomeDelays = {1, 2,  3, 0,
                                                             5, 70, 1, 8};

class Input {
 public:
  explicit Input(std::span<const std::uint8_t> bytes) : rest_(bytes) {}
  [[nodiscard]] bool is_empty() const { return rest_.empty(); }
  // Zero where it has ended.
  std::uint8_t next() {
    if (rest_.empty()) return 0;
    const std::uint8_t byte = rest_.front();
    rest_ = rest_.subspan(1);
    return byte;
  }

 private:
  std::span<const std::uint8_t> rest_;
};

class Script {
 public:
  Script(Input& input, const ScheduleModel& model)
      : input_(input), model_(model) {}

  // What the thread that runs on this CPU does.
  Operation next(unsigned cpu) {
    const Id id = model_.running(cpu);
    return input_.is_empty() ? wind_up(cpu, id) : choose(cpu, id);
  }

 private:
  // By the next bytes, if that is allowed; otherwise nothing.
  Operation choose(unsigned cpu, Id id) {
    const ModelThread& me = model_.thread(id);
    const std::uint8_t byte = input_.next();
    const unsigned much = byte >> 5;
    const unsigned address = much % kAddresses;
    const bool may_block = me.critical == 0;
    const bool may_wait = may_block && id != kFirst;
    const bool may_call = model_.calls_pending() < kMaxCalls;
    Operation op;
    switch (byte & 31) {
      case 0:
      case 1:
        if (may_block) op = {Act::kYield};
        break;
      case 2:
        if (may_block) op = {Act::kYieldIfDue};
        break;
      case 3:
        if (me.critical < 3) op = {Act::kEnterCritical};
        break;
      case 4:
      case 5:
        if (me.critical != 0) op = {Act::kExitCritical};
        break;
      case 6:
        op = {Act::kInterlock, address};
        break;
      case 7:
        op = {Act::kCancel};
        break;
      case 8:
      case 9:
        if (may_wait) op = {Act::kSleep, address, kNever};
        break;
      case 10: {
        const std::uint64_t deadline = deadline_of(input_.next());
        if (may_wait) op = {Act::kSleep, address, deadline};
        break;
      }
      case 11:
      case 12:
        if (may_call) op = {Act::kWakeup, address};
        break;
      case 13:
        if (may_call) op = {Act::kWakeupOne, address};
        break;
      case 14:
        if (may_wait) op = {Act::kPark};
        break;
      case 15:
        op = for_one_of(Act::kUnpark, much, [&](const auto& other) {
          return may_call && other.parked && other.place == Place::kAsleep;
        });
        break;
      case 16:
      case 17:
        if (may_block && may_call) op = {Act::kSetCpu, much % model_.cpus()};
        break;
      case 18:
        op = {Act::kSetPriority, kSomePriorities[much]};
        break;
      case 19:
      case 20: {
        unsigned flags = input_.next() % 8;
        if ((flags & kLentStack) != 0) flags = kLentStack;
        if (model_.end() < kMaxThreads) {
          op = {Act::kCreate, kSomePriorities[much], flags};
        }
        break;
      }
      case 21:
      case 22:
        op = for_one_of(Act::kStart, much, [&](const auto& other) {
          return other.place == Place::kNew && other.cpu == cpu;
        });
        break;
      case 23: {
        // Of those made later alone, so that no two wait for each other.
        const Id self = id;
        op = for_one_of(Act::kJoin, much, [&](const auto& other) {
          return may_wait && may_call && (other.flags & kDetached) == 0 &&
                 !other.to_be_joined && &other > &model_.thread(self);
        });
        break;
      }
      case 24:
        if (may_wait && me.tokens.empty()) op = {Act::kExit, much & 1};
        break;
      case 25:
      case 26: {
        const auto want = (byte & 31) == 25 ? Want::kExclusive : Want::kShared;
        const unsigned token = much % kTokens;
        if (may_block && me.tokens.size() < kMaxTokensHeld &&
            !upgrades(me, token, want)) {
          op = {Act::kAcquire, token, static_cast<std::uint64_t>(want)};
        }
        break;
      }
      case 27:
        if (me.tokens.size() < kMaxTokensHeld)
          op = {Act::kTryAcquire, much >> 1, much & 1};
        if (op.a >= kTokens) op = {};
        break;
      case 28:
        if (!me.tokens.empty()) op = {Act::kRelease, me.tokens.back().token};
        break;
      case 29:
        op = {Act::kArm, address, deadline_of(input_.next())};
        break;
      case 30:
        if ((much & 4) != 0) {
          op = {Act::kDisarm, address};
        } else if (may_call) {
          op = {Act::kCall, much % model_.cpus(), input_.next() % kAddresses};
        }
        break;
      default:
        // Elsewhere somebody might be on the way to a CPU that has ended.
        if (model_.cpus() == 1) op = {Act::kStop};
        break;
    }
    return op;
  }
  // Towards the end of the thread, or in the first one: of all.
  Operation wind_up(unsigned cpu, Id id) {
    const ModelThread& me = model_.thread(id);
    if (me.critical != 0) return {Act::kExitCritical};
    if (!me.tokens.empty()) return {Act::kRelease, me.tokens.back().token};
    if (id != kFirst) return {Act::kExit};
    if (me.priority != lwkt::kIdleWork) {
      return {Act::kSetPriority, lwkt::kIdleWork};
    }
    if (model_.calls_pending() >= kMaxCalls) return {Act::kYield};
    for (unsigned i = 0; i < kAddresses; ++i) {
      if (model_.is_armed(cpu, i)) return {Act::kDisarm, i};
    }
    Operation op = for_one_of(Act::kStart, 0, [&](const auto& other) {
      return other.place == Place::kNew && other.cpu == cpu;
    });
    if (op.act != Act::kNothing) return op;
    op = for_one_of(Act::kUnpark, 0, [&](const auto& other) {
      return other.parked && other.place == Place::kAsleep;
    });
    if (op.act != Act::kNothing) return op;
    if (model_.alive() == 1 && model_.calls_pending() == 0 && !any_armed()) {
      return {std::exchange(stopped_, true) ? Act::kExit : Act::kStop};
    }
    // Once around; and then to the next CPU.
    const unsigned turn = turns_++ % (kAddresses + 2);
    if (turn < kAddresses) {
      if (!model_.has_sleepers(turn)) return {};
      return {Act::kWakeup, turn};
    }
    if (turn == kAddresses) return {Act::kYield};
    return {Act::kSetCpu, (cpu + 1) % model_.cpus()};
  }
  [[nodiscard]] std::uint64_t deadline_of(std::uint8_t byte) const {
    const std::uint64_t delay = kSomeDelays[byte % kSomeDelays.size()];
    return delay == 0 ? 0 : model_.now_tick() + delay;
  }
  [[nodiscard]] static bool upgrades(const ModelThread& thread, unsigned token,
                                     Want want) {
    for (const auto& held : thread.tokens) {
      if (held.token == token) {
        return want == Want::kExclusive && held.want == Want::kShared;
      }
    }
    return false;
  }
  // The which-th of the threads that will do.
  template <class Predicate>
  [[nodiscard]] Operation for_one_of(Act act, unsigned which,
                                     const Predicate& will_do) const {
    std::array<Id, kMaxThreads> found{};
    unsigned count = 0;
    for (Id id = kFirst; id < model_.end(); ++id) {
      const ModelThread& thread = model_.thread(id);
      if (!thread.gone && will_do(thread)) found[count++] = id;
    }
    if (count == 0) return {};
    return {act, found[which % count]};
  }

  [[nodiscard]] bool any_armed() const {
    for (unsigned cpu = 0; cpu < model_.cpus(); ++cpu) {
      if (model_.next_tick(cpu) != kNever) return true;
    }
    return false;
  }

  Input& input_;
  const ScheduleModel& model_;
  unsigned turns_ = 0;
  bool stopped_ = false;
};

}  // namespace odo::fuzz
