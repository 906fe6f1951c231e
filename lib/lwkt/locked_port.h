// SPDX-License-Identifier: BSD-3-Clause
// Ports that any thread may receive from, their queues guarded by a lock: a
// spinlock, a token or a serializer.
//
// Contexts: a SpinPort: any, interrupts too. A TokenPort or SerializerPort:
//   threads, outside critical sections, as the lock may have to wait.
// Ownership, failure: as thread_port.h, but that anybody may wait here.
// Invariants: queue and replied_ flags change under the lock. A sleeper gets on
//   the list of its address (the port for any message, the message for one)
//   under the lock, after a look; whoever changes what it looks at does so
//   under the lock, and then wakes the address.
// Origin: lwkt_initport_spin(), _serialize() in DragonFly's
//   sys/kern/lwkt_msgport.c. A token guards a port there by the caller's hand.
#pragma once

#include <concepts>

#include "lib/lwkt/port.h"
#include "lib/lwkt/serializer.h"
#include "lib/lwkt/sleep.h"
#include "lib/platform/spinlock.h"
#include "lib/tokens/token.h"

namespace odo::lwkt {

// A lock as ports use it.
template <class L, class P>
concept PortLock = requires(L& lock, Thread<P>& self) {
  { lock.enter(self) } -> std::same_as<void>;
  { lock.leave(self) } -> std::same_as<void>;
};

// In a critical section: an interrupt handler that sends to the port of the
// thread it interrupted would spin for ever.
template <LwktPlatform P>
class SpinPortLock {
 public:
  SpinPortLock(Thread<P>& maker, const char* /*name*/)
      : lock_(maker.cpu().ground()) {}
  void enter(Thread<P>& self) ODO_NO_THREAD_SAFETY_ANALYSIS {
    self.enter_critical();
    lock_.lock();
  }
  void leave(Thread<P>& self) ODO_NO_THREAD_SAFETY_ANALYSIS {
    lock_.unlock();
    self.exit_critical();
  }

 private:
  platform::SpinLock<P> lock_;
};

template <LwktPlatform P>
class TokenPortLock {
 public:
  TokenPortLock(Thread<P>& /*maker*/, const char* /*name*/) : token_(kClass) {}
  void enter(Thread<P>& self) { self.tokens().acquire(token_); }
  void leave(Thread<P>& self) { self.tokens().release(token_); }

 private:
  static constexpr tokens::TokenClass kClass{"port"};
  tokens::Token<P> token_;
};

template <LwktPlatform P>
class SerializerPortLock {
 public:
  SerializerPortLock(Thread<P>& /*maker*/, const char* name)
      : serializer_(name) {}
  void enter(Thread<P>& self) ODO_NO_THREAD_SAFETY_ANALYSIS {
    serializer_.enter(self);
  }
  void leave(Thread<P>& self) ODO_NO_THREAD_SAFETY_ANALYSIS {
    serializer_.leave(self);
  }

 private:
  Serializer<P> serializer_;
};

template <LwktPlatform P, class L>
class LockedPort : public Port<P> {
 public:
  using Base = Port<P>;
  using MessageT = Message<P>;
  using ThreadT = Thread<P>;
  static_assert(PortLock<L, P>);

  LockedPort(ThreadT& maker, const char* name)
      : Base(name, kOps), maker_(maker), lock_(maker, name) {}
  ~LockedPort() { Base::check_empty(maker_, *this, urgent_, queue_); }

 private:
  using Queue = typename Base::Queue;
  using Sleep = Sleepers<P>;

  static Answer accept(ThreadT& self, Base& base, MessageT& message) {
    auto& port = static_cast<LockedPort&>(base);
    port.lock_.enter(self);
    const bool wanted = port.push(message);
    port.lock_.leave(self);
    if (wanted) Sleep::wakeup_one(self, &port);
    return kAsync;
  }
  static void accept_reply(ThreadT& self, Base& base, MessageT& message) {
    auto& port = static_cast<LockedPort&>(base);
    port.lock_.enter(self);
    bool wanted = false;
    if (message.waiter_ != nullptr) {
      message.state_ = MessageState::kIdle;
    } else {
      message.state_ = MessageState::kReplied;
      wanted = port.push(message);
    }
    const bool one_waits = port.waiting_for_one_ != 0;
    message.replied_ = true;
    port.lock_.leave(self);
    // From here on the message may be gone; its address is a name.
    if (one_waits) Sleep::wakeup(self, &message);
    if (wanted) Sleep::wakeup_one(self, &port);
  }
  // Whether somebody waits for it, or for anything.
  bool push(MessageT& message) {
    (message.urgency_ == Urgency::kHigh ? urgent_ : queue_).push_back(message);
    return waiting_for_any_ != 0;
  }

  static bool withdraw(ThreadT& self, Base& base, MessageT& message) {
    auto& port = static_cast<LockedPort&>(base);
    bool found = false;
    port.lock_.enter(self);
    for (Queue* queue : {&port.urgent_, &port.queue_}) {
      for (MessageT& one : *queue) {
        if (&one != &message) continue;
        if (one.state_ == MessageState::kReplied) break;
        queue->erase(message);
        found = true;
        break;
      }
    }
    port.lock_.leave(self);
    return found;
  }

  // Under the lock.
  MessageT* pop() {
    MessageT* message = urgent_.pop_front();
    if (message == nullptr) message = queue_.pop_front();
    if (message == nullptr) return nullptr;
    message->state_ = message->state_ == MessageState::kReplied
                          ? MessageState::kIdle
                          : MessageState::kTaken;
    return message;
  }
  static MessageT* next(ThreadT& self, Base& base, Where /*where*/) {
    auto& port = static_cast<LockedPort&>(base);
    port.lock_.enter(self);
    MessageT* message = port.pop();
    port.lock_.leave(self);
    return message;
  }
  static MessageT* wait_next(ThreadT& self, Base& base, Where where) {
    auto& port = static_cast<LockedPort&>(base);
    port.lock_.enter(self);
    MessageT* message = nullptr;
    while ((message = port.pop()) == nullptr) {
      ++port.waiting_for_any_;
      port.sleep_unlocked(self, &port, where);
      --port.waiting_for_any_;
    }
    // Our wake-up may have been meant for one of several messages.
    const bool more = port.waiting_for_any_ != 0 &&
                      !(port.queue_.empty() && port.urgent_.empty());
    port.lock_.leave(self);
    if (more) Sleep::wakeup_one(self, &port);
    return message;
  }
  static void wait_reply(ThreadT& self, Base& base, MessageT& message,
                         Where where) {
    auto& port = static_cast<LockedPort&>(base);
    port.lock_.enter(self);
    while (!message.replied_) {
      ++port.waiting_for_one_;
      port.sleep_unlocked(self, &message, where);
      --port.waiting_for_one_;
    }
    if (message.state_ == MessageState::kReplied) {
      (message.urgency_ == Urgency::kHigh ? port.urgent_ : port.queue_)
          .erase(message);
      message.state_ = MessageState::kIdle;
    }
    port.lock_.leave(self);
  }
  // The interlock is made under the lock: entering may need one of its own.
  void sleep_unlocked(ThreadT& self, const void* address, Where where) {
    Sleep::interlock(self, address);
    lock_.leave(self);
    Sleep::sleep(self, address, Sleep::kNoTimeout, where);
    lock_.enter(self);
  }

  static constexpr typename Base::Ops kOps = {
      .put = &LockedPort::accept,
      .reply = &LockedPort::accept_reply,
      .take_back = &LockedPort::withdraw,
      .get = &LockedPort::next,
      .wait = &LockedPort::wait_next,
      .wait_for = &LockedPort::wait_reply,
  };

  [[no_unique_address]] typename Base::Maker maker_;
  L lock_;
  unsigned waiting_for_any_ = 0;
  unsigned waiting_for_one_ = 0;
  Queue urgent_;
  Queue queue_;
};

template <LwktPlatform P>
using SpinPort = LockedPort<P, SpinPortLock<P>>;
template <LwktPlatform P>
using TokenPort = LockedPort<P, TokenPortLock<P>>;
template <LwktPlatform P>
using SerializerPort = LockedPort<P, SerializerPortLock<P>>;

}  // namespace odo::lwkt
