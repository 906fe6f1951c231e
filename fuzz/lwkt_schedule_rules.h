// SPDX-License-Identifier: BSD-3-Clause
// The model's rules of sleep, time, a thread's beginning and end, and tokens:
// members of ScheduleModel, whose header includes this.
//
// Contexts: as that says.
#pragma once

#include <deque>
#include <utility>

#include "fuzz/lwkt_schedule_model.h"

namespace odo::fuzz {

// --- sleep -------------------------------------------------------------------

inline void ScheduleModel::put(unsigned c, unsigned address) {
  Thread& me = now(c);
  take_off(me);
  me.is_listed = true;
  me.address = address;
  me.interlocked = true;
  cpus_[c].sleepers.push_back(cpus_[c].running);
  cpus_[c].is_in_mask = true;
}
inline void ScheduleModel::take_off(Thread& thread) {
  if (!thread.is_listed) return;
  thread.is_listed = false;
  const Id id = static_cast<Id>(&thread - threads_.data());
  std::erase(cpus_[thread.cpu].sleepers, id);
}
inline void ScheduleModel::drop_interlock(Thread& thread) {
  if (std::exchange(thread.interlocked, false)) take_off(thread);
}
inline void ScheduleModel::sleep(unsigned c, unsigned address,
                                 std::uint64_t deadline) {
  const Id self = cpus_[c].running;
  Thread& me = now(c);
  const bool elsewhere = me.is_listed && me.address != address;
  if (!me.interlocked || elsewhere) put(c, address);
  me.interlocked = false;
  me.slept = SleepResult::kWoken;
  me.to_do = {Step::kLook};
  if (!me.is_listed) return;  // woken since its interlock
  if (deadline != kNever) cpus_[c].timers.arm({self, 0}, deadline);
  me.place = Place::kAsleep;
  switch_away(c);
}
inline void ScheduleModel::wakeup(unsigned c, unsigned address) {
  for (unsigned to = 0; to < cpus(); ++to) {
    if (cpus_[to].is_in_mask) send(c, to, {Call::What::kWakeAll, address});
  }
}
inline void ScheduleModel::wakeup_one(unsigned c, unsigned address) {
  if (cpus_[c].is_in_mask && wake_first(c, address)) return;
  pass_on(c, address, c);
}
inline void ScheduleModel::pass_on(unsigned c, unsigned address,
                                   unsigned origin) {
  for (unsigned to = (c + 1) % cpus(); to != origin; to = (to + 1) % cpus()) {
    if (!cpus_[to].is_in_mask) continue;
    send(c, to, {Call::What::kFindOne, address, origin});
    return;
  }
}
inline void ScheduleModel::wake_sleeper(unsigned c, Id id) {
  take_off(threads_[id]);
  if (threads_[id].place != Place::kAsleep) return;  // on its way there
  cpus_[c].timers.disarm({id, 0});
  make_runnable(c, id);
}
inline void ScheduleModel::wake_all(unsigned c, unsigned address) {
  for (const Id id : std::deque<Id>(cpus_[c].sleepers)) {
    if (threads_[id].address == address) wake_sleeper(c, id);
  }
  if (cpus_[c].sleepers.empty()) cpus_[c].is_in_mask = false;
}
inline bool ScheduleModel::wake_first(unsigned c, unsigned address) {
  for (const Id id : cpus_[c].sleepers) {
    if (threads_[id].address != address) continue;
    wake_sleeper(c, id);
    return true;
  }
  if (cpus_[c].sleepers.empty()) cpus_[c].is_in_mask = false;
  return false;
}

// --- time --------------------------------------------------------------------

inline void ScheduleModel::fire(unsigned c, TimerId timer) {
  if (timer.thread == kNobody) {
    wakeup(c, timer.own);
    return;
  }
  threads_[timer.thread].slept = SleepResult::kTimedOut;
  take_off(threads_[timer.thread]);
  make_runnable(c, timer.thread);
}

// --- the beginning and the end of a thread -----------------------------------

inline ScheduleModel::Thread& ScheduleModel::now(unsigned c) {
  return threads_[cpus_[c].running];
}
inline void ScheduleModel::count_on(Id id, unsigned c) {
  unsigned& at = threads_[id].counted_on;
  if (at != kNowhere) --cpus_[at].counted;
  at = c;
  if (at != kNowhere) ++cpus_[at].counted;
}
inline Id ScheduleModel::add(unsigned c, unsigned priority, unsigned flags) {
  const Id id = end();
  threads_.emplace_back();
  threads_[id].priority = priority;
  threads_[id].flags = flags;
  threads_[id].cpu = c;
  count_on(id, c);
  ++alive_;
  return id;
}
inline void ScheduleModel::take_kept_stack(Cpu& cpu, bool is_large) {
  if (cpu.kept_stacks != 0 && cpu.kept_large == is_large) --cpu.kept_stacks;
}
inline void ScheduleModel::end_thread(unsigned c) {
  const Id self = cpus_[c].running;
  Thread& me = now(c);
  drop_interlock(me);
  me.place = Place::kDead;
  count_on(self, kNowhere);
  --alive_;
  if ((me.flags & kDetached) == 0 && me.joiner == kNobody) {
    switch_away(c);  // somebody will come for it
  } else if (can_keep(c, me)) {
    bury(c, self);
    switch_away(c);
  } else {
    step_off(c);
  }
}
inline bool ScheduleModel::can_keep(unsigned c, const Thread& thread) const {
  const Cpu& cpu = cpus_[c];
  const bool is_large = (thread.flags & kLargeStack) != 0;
  return (thread.flags & kLentStack) == 0 && cpu.kept_stacks < kKeptStacks &&
         (cpu.kept_stacks == 0 || cpu.kept_large == is_large);
}
inline void ScheduleModel::bury(unsigned c, Id id) {
  Thread& thread = threads_[id];
  if (can_keep(c, thread)) {
    ++cpus_[c].kept_stacks;
    cpus_[c].kept_large = (thread.flags & kLargeStack) != 0;
  }
  thread.gone = true;
  if (thread.joiner != kNobody) wake_from(c, thread.joiner);
}
inline void ScheduleModel::join(unsigned c, Id target) {
  const Id self = cpus_[c].running;
  Thread& me = now(c);
  drop_interlock(me);
  me.to_do = {Step::kLook};
  me.place = Place::kAsleep;
  threads_[target].to_be_joined = true;
  send(c, threads_[target].cpu, {Call::What::kJoin, target, self});
  if (me.place == Place::kAsleep) {
    switch_away(c);
  } else {
    // Answered at once: it was dead.
    unqueue(c, self);
    me.place = Place::kRunning;
  }
}
inline void ScheduleModel::ask_to_join(unsigned c, const Call& call) {
  Thread& target = threads_[call.a];
  if (target.cpu != c) {
    send(c, target.cpu, call);
    return;
  }
  target.joiner = call.b;
  if (target.place == Place::kDead) bury(c, call.a);
}

// --- tokens ------------------------------------------------------------------

inline void ScheduleModel::lapse(Thread& thread) {
  thread.lapsed |= !thread.tokens.empty();
}
inline void ScheduleModel::acquire(unsigned c, const Held& held) {
  const Id self = cpus_[c].running;
  Thread& me = now(c);
  const May may = rules_.may_have(self, held);
  me.tokens.push_back(held);
  me.to_do = {Step::kLook};
  const bool waited = !log_->empty() && log_->front().from == self &&
                      log_->front().left == Place::kQueued;
  if (may == May::kSurely || (may == May::kPerhaps && !waited)) return;
  lapse(me);
  enqueue(c, self);
  switch_away(c);
}
inline void ScheduleModel::try_acquire(unsigned c, const Held& held,
                                       bool had_it) {
  Thread& me = now(c);
  May may = rules_.may_have(cpus_[c].running, held);
  // Upgrades are refused; unless it is held exclusively below that.
  for (const Held& mine : me.tokens) {
    if (mine.token != held.token) continue;
    may = mine.want == Want::kExclusive || held.want == Want::kShared
              ? May::kSurely
              : May::kNot;
    break;
  }
  require(had_it ? may != May::kNot : may != May::kSurely,
          "an attempt at a token had another outcome");
  if (had_it) me.tokens.push_back(held);
}

}  // namespace odo::fuzz
