// SPDX-License-Identifier: BSD-3-Clause
// The rules by which threads of one CPU run, in the plainest form: what
// lwkt_schedule_fuzz.cc holds the scheduler against.
//
// Contexts: one host thread.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <vector>

namespace odo::fuzz {

class ScheduleModel {
 public:
  using Id = std::size_t;
  static constexpr Id kNobody = ~Id{0};
  static constexpr unsigned kBand = 20;  // from here on threads preempt

  struct Thread {
    unsigned priority = 0;
    unsigned critical = 0;
    Id borrowed_from = kNobody;
    bool dead = false;
  };

  [[nodiscard]] Id running() const { return running_; }
  [[nodiscard]] const Thread& thread(Id id) const { return threads_[id]; }
  [[nodiscard]] std::size_t alive() const { return alive_; }

  Id add(unsigned priority) {
    threads_.push_back({.priority = priority});
    ++alive_;
    return threads_.size() - 1;
  }
  // The first thread gets the CPU as it comes.
  void begin(Id id) { running_ = id; }

  void start(Id id) {
    ready_[threads_[id].priority].push_back(id);
    preempt();
  }
  void yield() {
    if (ready_.empty() || highest() < now().priority) return;
    ready_[now().priority].push_back(running_);
    next();
  }
  void enter_critical() { ++now().critical; }
  void exit_critical() {
    --now().critical;
    preempt();
  }
  void set_priority(unsigned priority) {
    now().priority = priority;
    preempt();
  }
  void sleep(unsigned address) {
    sleeping_[address].push_back(running_);
    next();
  }
  void wakeup(unsigned address) {
    std::deque<Id> woken;
    woken.swap(sleeping_[address]);
    for (const Id id : woken) ready_[threads_[id].priority].push_back(id);
    preempt();
  }
  void wakeup_one(unsigned address) {
    std::deque<Id>& sleepers = sleeping_[address];
    if (sleepers.empty()) return;
    ready_[threads_[sleepers.front()].priority].push_back(sleepers.front());
    sleepers.pop_front();
    preempt();
  }
  void end() {
    now().dead = true;
    --alive_;
    next();
  }

 private:
  [[nodiscard]] Thread& now() { return threads_[running_]; }
  [[nodiscard]] unsigned highest() const { return ready_.rbegin()->first; }
  Id pop_highest() {
    const auto it = std::prev(ready_.end());
    const Id id = it->second.front();
    it->second.pop_front();
    if (it->second.empty()) ready_.erase(it);
    return id;
  }
  // The running thread stops. Who borrowed the CPU gives it back.
  void next() {
    const Id lender = now().borrowed_from;
    if (lender != kNobody) {
      now().borrowed_from = kNobody;
      running_ = lender;
      preempt();
    } else {
      running_ = ready_.empty() ? kNobody : pop_highest();
    }
  }
  void preempt() {
    if (now().critical != 0 || ready_.empty()) return;
    if (highest() < kBand || highest() <= now().priority) return;
    const Id borrower = pop_highest();
    threads_[borrower].borrowed_from = running_;
    running_ = borrower;
  }

  std::vector<Thread> threads_;
  std::size_t alive_ = 0;
  Id running_ = kNobody;
  std::map<unsigned, std::deque<Id>> ready_;
  std::map<unsigned, std::deque<Id>> sleeping_;
};

}  // namespace odo::fuzz
