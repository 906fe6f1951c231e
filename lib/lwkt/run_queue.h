// SPDX-License-Identifier: BSD-3-Clause
// The runnable threads of one CPU: a list for each priority, first come first
// served, and a mask of those that have something.
//
// Links go one way: a yield writes half as much as on a ring, and whoever takes
// a thread out of the middle has come there from the front anyway.
//
// Contexts: the CPU that owns it, in a critical section.
// Invariants: a bit of the mask is set exactly where the list is not empty; a
//   list's tail is its last thread, and of no meaning where there is none.
// Complexity: everything O(1), but for erase().
// Failure: none.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "lib/base/annotations.h"
#include "lib/base/check.h"
#include "lib/lwkt/priority.h"

namespace odo::lwkt {

// `Next` is a member pointer to a T*; a thread is in one list at a time.
template <class T, auto Next>
class ThreadList {
 public:
  class Iterator {
   public:
    explicit Iterator(T* at) : at_(at) {}
    T& operator*() const { return *at_; }
    Iterator& operator++() {
      at_ = at_->*Next;
      return *this;
    }
    bool operator==(const Iterator&) const = default;

   private:
    T* at_;
  };

  [[nodiscard]] ODO_ALWAYS_INLINE bool empty() const {
    return head_ == nullptr;
  }
  [[nodiscard]] ODO_ALWAYS_INLINE T& front() const { return *head_; }
  [[nodiscard]] Iterator begin() const { return Iterator(head_); }
  [[nodiscard]] Iterator end() const { return Iterator(nullptr); }

  ODO_ALWAYS_INLINE void push_back(T& thread) {
    thread.*Next = nullptr;
    if (head_ == nullptr) {
      head_ = &thread;
    } else {
      tail_->*Next = &thread;
    }
    tail_ = &thread;
  }
  void push_front(T& thread) {
    if (head_ == nullptr) tail_ = &thread;
    thread.*Next = head_;
    head_ = &thread;
  }
  // Null when empty.
  ODO_ALWAYS_INLINE T* pop_front() {
    T* first = head_;
    if (first != nullptr) head_ = first->*Next;
    return first;
  }
  // Takes the first out and puts `thread` behind the others. Not when empty.
  ODO_ALWAYS_INLINE T& exchange_front(T& thread) {
    T& first = *head_;
    thread.*Next = nullptr;
    tail_->*Next = &thread;
    tail_ = &thread;
    head_ = first.*Next;
    return first;
  }
  // The one that follows `before`; null stands for the front.
  void erase_after(T* before, T& thread) {
    if (before == nullptr) {
      head_ = thread.*Next;
    } else {
      before->*Next = thread.*Next;
    }
    if (tail_ == &thread) tail_ = before;
  }
  // Looks for it. It must be there.
  void erase(T& thread) {
    T* before = nullptr;
    for (T* at = head_; at != &thread; at = at->*Next) {
      ODO_CHECK(at != nullptr);
      before = at;
    }
    erase_after(before, thread);
  }

 private:
  T* head_ = nullptr;
  T* tail_ = nullptr;
};

// A thread's priority is a parameter, because it must be the same when the
// thread comes and when it goes.
template <class T, auto Next>
class RunQueue {
 public:
  using Threads = ThreadList<T, Next>;

  ODO_ALWAYS_INLINE void push_back(T& thread, Priority priority) {
    lists_[priority].push_back(thread);
    mask_ |= bit(priority);
  }
  ODO_ALWAYS_INLINE T& pop_front(Priority priority) {
    Threads& list = lists_[priority];
    T& first = *list.pop_front();
    if (list.empty()) mask_ &= ~bit(priority);
    return first;
  }
  void erase_after(T* before, T& thread, Priority priority) {
    lists_[priority].erase_after(before, thread);
    if (lists_[priority].empty()) mask_ &= ~bit(priority);
  }
  void erase(T& thread, Priority priority) {
    lists_[priority].erase(thread);
    if (lists_[priority].empty()) mask_ &= ~bit(priority);
  }

  [[nodiscard]] ODO_ALWAYS_INLINE bool empty() const { return mask_ == 0; }
  // Is there a thread of this priority or a higher one?
  [[nodiscard]] ODO_ALWAYS_INLINE bool has(Priority priority) const {
    return (mask_ >> priority) != 0;
  }
  // One of exactly this priority, and of none higher?
  [[nodiscard]] ODO_ALWAYS_INLINE bool highest_is(Priority priority) const {
    return (mask_ >> priority) == 1;
  }
  // Of a queue that is not empty.
  [[nodiscard]] ODO_ALWAYS_INLINE Priority highest() const {
    return static_cast<Priority>(std::bit_width(mask_)) - 1;
  }
  [[nodiscard]] std::uint32_t mask() const { return mask_; }
  [[nodiscard]] ODO_ALWAYS_INLINE Threads& list(Priority priority) {
    return lists_[priority];
  }
  [[nodiscard]] const Threads& list(Priority priority) const {
    return lists_[priority];
  }

 private:
  [[nodiscard]] static constexpr std::uint32_t bit(Priority priority) {
    return std::uint32_t{1} << priority;
  }

  std::uint32_t mask_ = 0;
  std::array<Threads, kPriorities> lists_;
};

}  // namespace odo::lwkt
