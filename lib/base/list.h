// SPDX-License-Identifier: BSD-3-Clause
// A doubly linked list threaded through a hook in its elements.
//
// Contexts: any; no locking of its own: one user at a time.
// Ownership: the list owns nothing. An element must outlive its membership,
// and must not move while linked; the list itself may move.
// Invariants:
//   I1. hooks and the list's own sentinel form one ring, both ways;
//   I2. a hook outside any list has null links (asserted on insert, on erase
//       and when the hook dies).
// Complexity: everything O(1), except clear, which is O(n).
// Failure: none.
#pragma once

#include "lib/base/check.h"
#include "lib/base/container_of.h"

namespace odo {

template <class T, auto Hook>
class List;

// A member of type ListHook lets its object be in one list at a time; an object
// with two hooks may be in two.
class ListHook {
 public:
  constexpr ListHook() = default;
  // A copy of an object is not in its lists, and an object in a list can't be
  // overwritten unnoticed: so neither happens by accident.
  ListHook(const ListHook&) = delete;
  ListHook& operator=(const ListHook&) = delete;
  ~ListHook() { ODO_ASSERT(!is_linked()); }

  [[nodiscard]] bool is_linked() const { return next_ != nullptr; }

 private:
  template <class T, auto Hook>
  friend class List;

  void link_before(ListHook& where) {
    ODO_ASSERT(!is_linked());
    next_ = &where;
    prev_ = where.prev_;
    prev_->next_ = this;
    where.prev_ = this;
  }

  void unlink() {
    ODO_ASSERT(is_linked());
    ODO_ASSERT(next_->prev_ == this && prev_->next_ == this);  // I1
    prev_->next_ = next_;
    next_->prev_ = prev_;
    next_ = nullptr;
    prev_ = nullptr;
  }

  ListHook* next_ = nullptr;
  ListHook* prev_ = nullptr;
};

// `Hook` is a member pointer: List<Thread, &Thread::run_hook>.
template <class T, auto Hook>
class List {
 public:
  class Iterator {
   public:
    Iterator() = default;
    T& operator*() const { return *container_of(at_, Hook); }
    T* operator->() const { return container_of(at_, Hook); }
    Iterator& operator++() {
      at_ = at_->next_;
      return *this;
    }
    Iterator operator++(int) {
      Iterator old = *this;
      ++*this;
      return old;
    }
    Iterator& operator--() {
      at_ = at_->prev_;
      return *this;
    }
    Iterator operator--(int) {
      Iterator old = *this;
      --*this;
      return old;
    }
    bool operator==(const Iterator&) const = default;

   private:
    friend class List;
    explicit Iterator(ListHook* at) : at_(at) {}
    ListHook* at_ = nullptr;
  };

  constexpr List() { reset(); }
  List(const List&) = delete;
  List& operator=(const List&) = delete;
  // Takes the other's elements, in order; the other is then empty.
  List(List&& other) noexcept {
    reset();
    splice_back(other);
  }
  // Only onto an empty list: elements are never dropped silently.
  List& operator=(List&& other) noexcept {
    if (this != &other) {
      ODO_ASSERT(empty());
      splice_back(other);
    }
    return *this;
  }
  ~List() {
    ODO_ASSERT(empty());
    head_.next_ = nullptr;  // the sentinel is a hook too: I2
    head_.prev_ = nullptr;
  }

  [[nodiscard]] bool empty() const { return head_.next_ == &head_; }
  [[nodiscard]] T& front() { return *step(head_.next_); }
  [[nodiscard]] T& back() { return *step(head_.prev_); }

  void push_front(T& element) { (element.*Hook).link_before(*head_.next_); }
  void push_back(T& element) { (element.*Hook).link_before(head_); }
  void insert_before(T& where, T& element) {
    ODO_ASSERT((where.*Hook).is_linked());
    (element.*Hook).link_before(where.*Hook);
  }

  // The element must be in this list; iterators to others stay valid.
  void erase(T& element) { (element.*Hook).unlink(); }

  // Null when empty.
  T* pop_front() { return take(head_.next_); }
  T* pop_back() { return take(head_.prev_); }

  // Moves all of the other's elements behind ours.
  void splice_back(List& other) {
    if (other.empty() || this == &other) return;
    ListHook* first = other.head_.next_;
    ListHook* last = other.head_.prev_;
    other.reset();
    first->prev_ = head_.prev_;
    head_.prev_->next_ = first;
    last->next_ = &head_;
    head_.prev_ = last;
  }

  // Unlinks every element.
  void clear() {
    while (pop_front() != nullptr) {
    }
  }

  [[nodiscard]] Iterator begin() { return Iterator(head_.next_); }
  [[nodiscard]] Iterator end() { return Iterator(&head_); }
  // An iterator to an element known to be here.
  [[nodiscard]] Iterator iterator_to(T& element) {
    ODO_ASSERT((element.*Hook).is_linked());
    return Iterator(&(element.*Hook));
  }

 private:
  constexpr void reset() {
    head_.next_ = &head_;
    head_.prev_ = &head_;
  }
  T* step(ListHook* hook) {
    ODO_ASSERT(hook != &head_);
    return container_of(hook, Hook);
  }
  T* take(ListHook* hook) {
    if (hook == &head_) return nullptr;
    hook->unlink();
    return container_of(hook, Hook);
  }

  ListHook head_;
};

}  // namespace odo
