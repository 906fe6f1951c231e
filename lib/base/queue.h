// SPDX-License-Identifier: BSD-3-Clause
// A first-in, first-out queue threaded through a one-pointer hook in its
// elements.
//
// Contexts: any; no locking of its own: one user at a time.
// Ownership: the queue owns nothing. An element must outlive its membership
// and must not move while queued; the queue itself is one pointer and may.
// Invariants:
//   I1. the hooks form a ring, and the queue points at the last one, whose
//       next is therefore the first;
//   I2. a hook outside any queue has a null link (asserted on insert and when
//       the hook dies).
// Complexity: everything O(1), except clear, which is O(n).
// Failure: none.
#pragma once

#include "lib/base/check.h"
#include "lib/base/container_of.h"

namespace odo {

template <class T, auto Hook>
class Queue;

// A member of type QueueHook lets its object be in one queue at a time.
class QueueHook {
 public:
  constexpr QueueHook() = default;
  QueueHook(const QueueHook&) = delete;
  QueueHook& operator=(const QueueHook&) = delete;
  ~QueueHook() { ODO_ASSERT(!is_linked()); }

  [[nodiscard]] bool is_linked() const { return next_ != nullptr; }

 private:
  template <class T, auto Hook>
  friend class Queue;
  QueueHook* next_ = nullptr;
};

// `Hook` is a member pointer: Queue<Message, &Message::hook>.
template <class T, auto Hook>
class Queue {
 public:
  class Iterator {
   public:
    Iterator() = default;
    T& operator*() const { return *container_of(at_, Hook); }
    T* operator->() const { return container_of(at_, Hook); }
    Iterator& operator++() {
      at_ = at_ == last_ ? nullptr : at_->next_;
      return *this;
    }
    Iterator operator++(int) {
      Iterator old = *this;
      ++*this;
      return old;
    }
    bool operator==(const Iterator& other) const { return at_ == other.at_; }

   private:
    friend class Queue;
    Iterator(QueueHook* at, QueueHook* last) : at_(at), last_(last) {}
    QueueHook* at_ = nullptr;
    QueueHook* last_ = nullptr;
  };

  constexpr Queue() = default;
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;
  Queue(Queue&& other) noexcept : last_(other.last_) { other.last_ = nullptr; }
  // Only onto an empty queue: elements are never dropped silently.
  Queue& operator=(Queue&& other) noexcept {
    if (this != &other) {
      ODO_ASSERT(empty());
      append(other);
    }
    return *this;
  }
  ~Queue() { ODO_ASSERT(empty()); }

  [[nodiscard]] bool empty() const { return last_ == nullptr; }
  [[nodiscard]] T& front() {
    ODO_ASSERT(!empty());
    return *container_of(last_->next_, Hook);
  }
  [[nodiscard]] T& back() {
    ODO_ASSERT(!empty());
    return *container_of(last_, Hook);
  }

  void push_back(T& element) {
    link_after_last(element.*Hook);
    last_ = &(element.*Hook);
  }

  // To the head of the line: for an element that was popped too early.
  void push_front(T& element) { link_after_last(element.*Hook); }

  // Null when empty.
  T* pop_front() {
    if (empty()) return nullptr;
    QueueHook* first = last_->next_;
    if (first == last_) {
      last_ = nullptr;
    } else {
      last_->next_ = first->next_;
    }
    first->next_ = nullptr;
    return container_of(first, Hook);
  }

  // Moves all of the other's elements behind ours.
  void append(Queue& other) {
    if (other.empty() || this == &other) return;
    if (!empty()) {
      QueueHook* first = last_->next_;
      last_->next_ = other.last_->next_;
      other.last_->next_ = first;
    }
    last_ = other.last_;
    other.last_ = nullptr;
  }

  // Unlinks every element.
  void clear() {
    while (pop_front() != nullptr) {
    }
  }

  [[nodiscard]] Iterator begin() {
    return empty() ? end() : Iterator(last_->next_, last_);
  }
  [[nodiscard]] Iterator end() { return Iterator(nullptr, last_); }

 private:
  void link_after_last(QueueHook& hook) {
    ODO_ASSERT(!hook.is_linked());
    if (empty()) {
      hook.next_ = &hook;
      last_ = &hook;
    } else {
      hook.next_ = last_->next_;
      last_->next_ = &hook;
    }
  }

  QueueHook* last_ = nullptr;
};

}  // namespace odo
