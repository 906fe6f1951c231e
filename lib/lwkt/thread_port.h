// SPDX-License-Identifier: BSD-3-Clause
// The port of one thread, which alone receives from it.
//
// The thread's CPU alone touches the queue, in critical sections: no lock and
// no atomic instruction. From other CPUs messages and replies come by a call,
// and the message itself is the call's argument.
//
// Contexts: send and reply: any. Receiving: the thread.
// Ownership: the port goes when nobody can send or reply to it any more, and
//   nothing is in it.
// Invariants: the queue, and what the thread waits for, belong to the CPU that
//   the thread is on; a call that comes too late there goes on to where the
//   thread is now. While it stays, messages of one CPU keep their order.
// Ordering: LH: a CPU that finds itself to be the thread's home sees the queue
//   as the one before left it, though the thread may still be on its way.
// Failure: a fault if another thread waits here, if the thread waits for the
//   answer of a message that comes here, which nobody else could give, or if
//   the port is destroyed with messages in it.
// Origin: lwkt_initport_thread() and lwkt_thread_putport() in DragonFly's
//   sys/kern/lwkt_msgport.c.
#pragma once

#include "lib/lwkt/port.h"

namespace odo::lwkt {

template <LwktPlatform P>
class ThreadPort : public Port<P> {
 public:
  using Base = Port<P>;
  using MessageT = Message<P>;
  using ThreadT = Thread<P>;

  ThreadPort(ThreadT& owner, const char* name)
      : Base(name, kOps), owner_(&owner), maker_(owner) {}
  ~ThreadPort() {
    if (handed_ != nullptr) queue_.push_back(*handed_);
    Base::check_empty(maker_, *this, urgent_, queue_);
  }

 private:
  friend Base;
  using Queue = typename Base::Queue;

  // --- coming in -------------------------------------------------------------
  static Answer accept(ThreadT& self, Base& base, MessageT& message) {
    auto& port = static_cast<ThreadPort&>(base);
    if (message.waiter_ == port.owner_) [[unlikely]] {
      Base::fault(self, Misuse::kCalledItself, port, message.sent_at_);
    }
    self.enter_critical();
    port.arrive_from(self, message, &ThreadPort::arrived);
    self.exit_critical();
    return kAsync;
  }
  static void accept_reply(ThreadT& self, Base& base, MessageT& message) {
    auto& port = static_cast<ThreadPort&>(base);
    self.enter_critical();
    port.arrive_from(self, message, &ThreadPort::reply_arrived);
    self.exit_critical();
  }

  // Hands the message to the owner's CPU.
  ODO_ALWAYS_INLINE void arrive_from(ThreadT& self, MessageT& message,
                                     void (*arrive)(void*, void*)) {
    Cpu<P>& here = self.cpu();
    Cpu<P>& there = owner_->cpu();
    if (&here == &there) [[likely]] {
      arrive(&message, &here);
    } else {
      here.system().fabric().send(here.index(), there.index(),
                                  {arrive, &message});
    }
  }
  // True if the owner has moved on, and the message after it.
  bool follow(Cpu<P>& here, MessageT& message, void (*arrive)(void*, void*)) {
    Cpu<P>& there = owner_->home();  // LH
    if (&here == &there) [[likely]]
      return false;
    here.system().fabric().send(here.index(), there.index(),
                                {arrive, &message});
    return true;
  }

  static void arrived(void* argument, void* receiver) {
    auto& message = *static_cast<MessageT*>(argument);
    auto& here = *static_cast<Cpu<P>*>(receiver);
    auto& port = *static_cast<ThreadPort*>(
        message.target_.load(std::memory_order_relaxed));
    if (port.follow(here, message, &ThreadPort::arrived)) return;
    port.enqueue(here, message);
  }
  static void reply_arrived(void* argument, void* receiver) {
    auto& message = *static_cast<MessageT*>(argument);
    auto& here = *static_cast<Cpu<P>*>(receiver);
    auto& port = *static_cast<ThreadPort*>(message.reply_port_);
    if (port.follow(here, message, &ThreadPort::reply_arrived)) return;
    const bool wanted =
        port.waits_ == Waits::kForOne && port.waits_for_ == &message;
    message.replied_ = true;
    if (message.waiter_ != nullptr) {
      message.state_ = MessageState::kIdle;
    } else {
      message.state_ = MessageState::kReplied;
      port.enqueue(here, message);
    }
    if (wanted) port.wake(here);
  }

  void enqueue(Cpu<P>& here, MessageT& message) {
    if (waits_ == Waits::kForAny) {
      handed_ = &message;
      wake(here);
      return;
    }
    queue_of(message).push_back(message);
  }
  Queue& queue_of(const MessageT& message) {
    return message.urgency_ == Urgency::kHigh ? urgent_ : queue_;
  }
  void wake(Cpu<P>& here) {
    waits_ = Waits::kNot;
    here.wake_in_critical(*owner_);
  }

  // --- going out -------------------------------------------------------------
  static bool withdraw(ThreadT& self, Base& base, MessageT& message) {
    struct Request {
      ThreadPort* port;
      MessageT* message;
      bool found = false;
      bool done = false;

      static void make(void* argument, void* receiver) {
        auto& request = *static_cast<Request*>(argument);
        auto& here = *static_cast<Cpu<P>*>(receiver);
        if (&request.port->owner_->home() != &here) {  // LH
          // Gone meanwhile; asked again by who waits for us.
          request.done = false;
          return;
        }
        request.done = true;
        request.found = request.port->remove(*request.message);
      }
    } request{.port = &static_cast<ThreadPort&>(base), .message = &message};
    self.enter_critical();
    do {
      Cpu<P>& here = self.cpu();
      Cpu<P>& there = request.port->owner_->cpu();
      auto& fabric = here.system().fabric();
      fabric.wait(
          here.index(), there.index(),
          fabric.send(here.index(), there.index(), {&Request::make, &request}));
    } while (!request.done);
    self.exit_critical();
    return request.found;
  }
  // By its address alone: if it is not here it is somebody else's.
  bool remove(MessageT& message) {
    if (handed_ == &message) {
      if (message.state_ == MessageState::kReplied) return false;
      handed_ = nullptr;
      return true;
    }
    for (Queue* queue : {&urgent_, &queue_}) {
      for (MessageT& one : *queue) {
        if (&one != &message) continue;
        if (one.state_ == MessageState::kReplied) return false;
        queue->erase(message);
        return true;
      }
    }
    return false;
  }

  void check_owner(ThreadT& self, Where where) {
    if (&self != owner_) [[unlikely]] {
      Base::fault(self, Misuse::kNotReceiver, *this, where);
    }
  }
  // In a critical section.
  ODO_ALWAYS_INLINE MessageT* pop() {
    MessageT* message = nullptr;
    // What was handed over came before all that is queued.
    if (handed_ != nullptr &&
        (handed_->urgency_ == Urgency::kHigh || urgent_.empty())) [[likely]] {
      message = handed_;
      handed_ = nullptr;
    } else {
      message = urgent_.pop_front();
      if (message == nullptr) message = queue_.pop_front();
      if (message == nullptr) return nullptr;
    }
    message->state_ = message->state_ == MessageState::kReplied
                          ? MessageState::kIdle
                          : MessageState::kTaken;
    return message;
  }
  // True if there is nothing to pop.
  [[nodiscard]] bool is_empty() const {
    return handed_ == nullptr && urgent_.empty() && queue_.empty();
  }
  static MessageT* next(ThreadT& self, Base& base, Where where) {
    auto& port = static_cast<ThreadPort&>(base);
    port.check_owner(self, where);
    self.enter_critical();
    MessageT* message = port.pop();
    self.exit_critical();
    return message;
  }
  static MessageT* wait_next(ThreadT& self, Base& base, Where where) {
    return &wait_inline(self, base, where);
  }
  ODO_ALWAYS_INLINE static MessageT& wait_inline(ThreadT& self, Base& base,
                                                 Where where) {
    auto& port = static_cast<ThreadPort&>(base);
    port.check_owner(self, where);
    self.enter_critical();
    MessageT* message = port.pop();
    if (message == nullptr) [[likely]] {
      port.waits_ = Waits::kForAny;
      self.sleep_in_critical(where);
      message = port.pop();
      if (message == nullptr) [[unlikely]] {
        message = port.sleep_until_any(self, where);
      }
    }
    self.exit_critical();
    return *message;
  }
  // Once more: what woke us was taken back.
  ODO_NOINLINE MessageT* sleep_until_any(ThreadT& self, Where where) {
    MessageT* message = nullptr;
    do {
      waits_ = Waits::kForAny;
      self.sleep_in_critical(where);
    } while ((message = pop()) == nullptr);
    return message;
  }
  static void wait_reply(ThreadT& self, Base& base, MessageT& message,
                         Where where) {
    auto& port = static_cast<ThreadPort&>(base);
    port.check_owner(self, where);
    self.enter_critical();
    if (!message.replied_) port.sleep_until_replied(self, message, where);
    if (message.state_ == MessageState::kReplied) {
      if (port.handed_ == &message) {
        port.handed_ = nullptr;
      } else {
        port.queue_of(message).erase(message);
      }
      message.state_ = MessageState::kIdle;
    }
    self.exit_critical();
  }
  ODO_NOINLINE void sleep_until_replied(ThreadT& self, const MessageT& message,
                                        Where where) {
    do {
      waits_ = Waits::kForOne;
      waits_for_ = &message;
      self.sleep_in_critical(where);
    } while (!message.replied_);
  }

  // --- both at once, each port being a thread's ------------------------------
  // From a thread that waits on a port of its own to one of the same CPU that
  // waits already: the message is handed over with the CPU.
  ODO_ALWAYS_INLINE static Answer put_and_wait(ThreadT& self, Base& base,
                                               MessageT& message, Where where) {
    auto& port = static_cast<ThreadPort&>(base);
    auto& replies = static_cast<ThreadPort&>(message.reply_port());
    replies.check_owner(self, where);
    ThreadT& other = *port.owner_;
    if (&other == &self) [[unlikely]] {
      Base::fault(self, Misuse::kCalledItself, port, message.sent_at_);
    }
    self.enter_critical();
    if (&other.home() == &self.cpu() && port.waits_ == Waits::kForAny)
        [[likely]] {
      port.handed_ = &message;
      port.waits_ = Waits::kNot;
      replies.waits_ = Waits::kForOne;
      replies.waits_for_ = &message;
      self.sleep_and_wake_in_critical(other, where);
    } else {
      port.arrive_from(self, message, &ThreadPort::arrived);
    }
    // A call's reply is not queued.
    if (!message.replied_) [[unlikely]] {
      replies.sleep_until_replied(self, message, where);
    }
    self.exit_critical();
    return message.answer_;
  }
  ODO_ALWAYS_INLINE static MessageT& reply_and_wait(ThreadT& self, Base& base,
                                                    MessageT& message,
                                                    Where where) {
    auto& port = static_cast<ThreadPort&>(base);
    auto& replies = static_cast<ThreadPort&>(message.reply_port());
    port.check_owner(self, where);
    self.enter_critical();
    ThreadT& asker = *replies.owner_;
    if (&asker.home() == &self.cpu() && replies.waits_ == Waits::kForOne &&
        replies.waits_for_ == &message && message.waiter_ != nullptr &&
        port.is_empty()) [[likely]] {
      message.state_ = MessageState::kIdle;
      message.replied_ = true;
      replies.waits_ = Waits::kNot;
      port.waits_ = Waits::kForAny;
      self.sleep_and_wake_in_critical(asker, where);
    } else {
      replies.arrive_from(self, message, &ThreadPort::reply_arrived);
    }
    MessageT* next = port.pop();
    if (next == nullptr) next = port.sleep_until_any(self, where);
    self.exit_critical();
    return *next;
  }

  enum class Waits : std::uint8_t { kNot, kForAny, kForOne };

  static constexpr typename Base::Ops kOps = {
      .put = &ThreadPort::accept,
      .reply = &ThreadPort::accept_reply,
      .take_back = &ThreadPort::withdraw,
      .get = &ThreadPort::next,
      .wait = &ThreadPort::wait_next,
      .wait_for = &ThreadPort::wait_reply,
  };

  ThreadT* owner_;
  [[no_unique_address]] typename Base::Maker maker_;
  // Stands for all that is the owner's CPU's alone.
  typename detail::OwnedOn<P, Waits>::Type waits_ = Waits::kNot;
  const MessageT* waits_for_ = nullptr;
  // What came when the owner waited for any: never queued.
  MessageT* handed_ = nullptr;
  Queue urgent_;
  Queue queue_;
};

}  // namespace odo::lwkt
