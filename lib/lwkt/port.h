// SPDX-License-Identifier: BSD-3-Clause
// A port: where messages are sent, and where replies come back.
//
//   Answer answer = Port<P>::send(self, port, message);
//   if (answer == kAsync) answer = reply_port.wait_for(self, message);
//
//   for (Message<P>* message = &port.wait(self);;) {  // who serves
//     message = &Port<P>::reply_and_wait(self, *message, answer, port);
//   }
//
// A send is a call of the port's put function. If that can answer at once it
// does: nothing is queued and no thread switches. Otherwise the message belongs
// to the port until a receiver takes it, and its answer comes back as a reply.
// The kinds of port differ in who may receive, and in what guards the queue:
//
//   ThreadPort      one thread; its CPU alone touches the queue   thread_port.h
//   SpinPort        any thread; a spinlock                        locked_port.h
//   TokenPort       any thread; a token                           locked_port.h
//   SerializerPort  any thread; a serializer                      locked_port.h
//   HandlerPort     answers in place, by a function               below
//   NullPort        answers 0 in place; forgets replies           below
//   ReplyPort       replies only, each given to a function        below
//   PanicPort       takes nothing                                 below
//
// Contexts: send, reply, forward: threads, critical sections and, but for
//   token and serializer ports, interrupts. Waiting: threads only.
// Failure: breaches of ownership are faults; see message.h.
// Complexity: O(1); abort and take_back: the length of the queue.
// Origin: DragonFly's sys/kern/lwkt_msgport.c. There a message carries DONE,
//   REPLY and QUEUED flags; here one state says which of them may be.
#pragma once

#include <cstdint>

#include "lib/base/annotations.h"
#include "lib/base/list.h"
#include "lib/lwkt/message.h"

namespace odo::lwkt {

template <LwktPlatform P>
class ThreadPort;

template <LwktPlatform P>
class Port {
 public:
  using MessageT = Message<P>;
  using ThreadT = Thread<P>;

  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;

  [[nodiscard]] const char* name() const { return name_; }

  // --- the sender ------------------------------------------------------------
  // The answer, if it could be had at once: then the message is the sender's
  // again already. Else kAsync, and a reply will come.
  ODO_ALWAYS_INLINE static Answer send(ThreadT& self, Port& port,
                                       MessageT& message,
                                       Where where = Where::current()) {
    if (message.state_ != MessageState::kIdle) [[unlikely]] {
      fault(self, Misuse::kSentTwice, port, message, where);
    }
    depart(port, message, nullptr, where);
    const Answer answer = port.ops_->put(self, port, message);
    if (answer != kAsync) answered_in_place(message, answer);
    return answer;
  }
  // Sends and waits; the answer. The reply port is one on which `self` may
  // wait.
  ODO_ALWAYS_INLINE static Answer call(
      ThreadT& self, Port& port, MessageT& message,
      Where where = Where::current()) ODO_MAY_BLOCK {
    if (message.state_ != MessageState::kIdle) [[unlikely]] {
      fault(self, Misuse::kSentTwice, port, message, where);
    }
    depart(port, message, &self, where);
    if (is_of_thread(port) && is_of_thread(*message.reply_port_)) [[likely]] {
      return ThreadPort<P>::put_and_wait(self, port, message, where);
    }
    const Answer answer = port.ops_->put(self, port, message);
    if (answer == kAsync) {
      return message.reply_port_->wait_for(self, message, where);
    }
    answered_in_place(message, answer);
    return answer;
  }
  // Asks for a message back that has been sent, and whose reply the caller has
  // not got yet; the port that it was sent to is still there. If no receiver
  // has it yet, it is replied to with kAborted; else the receiver may see
  // abort_wanted().
  static void abort(ThreadT& self, MessageT& message) {
    message.abort_wanted_.store(true, std::memory_order_relaxed);
    if (is_taken_back(self, message)) {
      message.state_ = MessageState::kTaken;
      reply(self, message, kAborted);
    }
  }
  // The same without a reply: true if the message is the sender's again.
  [[nodiscard]] static bool take_back(ThreadT& self, MessageT& message) {
    if (!is_taken_back(self, message)) return false;
    message.state_ = MessageState::kIdle;
    return true;
  }

  // --- the receiver ----------------------------------------------------------
  // The next message or reply, urgent ones first; null if there is none.
  [[nodiscard]] MessageT* get(ThreadT& self, Where where = Where::current()) {
    return ops_->get(self, *this, where);
  }
  // The same, but waits for one.
  [[nodiscard]] ODO_ALWAYS_INLINE MessageT& wait(
      ThreadT& self, Where where = Where::current()) ODO_MAY_BLOCK {
    if (is_of_thread(*this)) [[likely]] {
      return ThreadPort<P>::wait_inline(self, *this, where);
    }
    return *ops_->wait(self, *this, where);
  }
  // Waits for the reply of a message whose reply port this is, and returns its
  // answer; at once if it was answered in place.
  Answer wait_for(ThreadT& self, MessageT& message,
                  Where where = Where::current()) ODO_MAY_BLOCK {
    if (message.reply_port_ != this) [[unlikely]] {
      fault(self, Misuse::kNotReceiver, *this, message, where);
    }
    ops_->wait_for(self, *this, message, where);
    return message.answer_;
  }
  // reply() and then port.wait(). Between thread ports of one CPU the asker, if
  // nobody comes before it, goes on at once.
  [[nodiscard]] ODO_ALWAYS_INLINE static MessageT& reply_and_wait(
      ThreadT& self, MessageT& message, Answer answer, Port& port,
      Where where = Where::current()) ODO_MAY_BLOCK {
    if (message.state_ != MessageState::kTaken) [[unlikely]] {
      fault(self, Misuse::kNotOwned, *message.reply_port_, message, where);
    }
    message.answer_ = answer;
    if (is_of_thread(port) && is_of_thread(*message.reply_port_)) [[likely]] {
      return ThreadPort<P>::reply_and_wait(self, port, message, where);
    }
    message.reply_port_->ops_->reply(self, *message.reply_port_, message);
    return *port.ops_->wait(self, port, where);
  }
  // The message goes back to its sender. By who took it.
  static void reply(ThreadT& self, MessageT& message, Answer answer,
                    Where where = Where::current()) {
    if (message.state_ != MessageState::kTaken) [[unlikely]] {
      fault(self, Misuse::kNotOwned, *message.reply_port_, message, where);
    }
    message.answer_ = answer;
    message.reply_port_->ops_->reply(self, *message.reply_port_, message);
  }
  // The message goes on to another port; if that answers in place, back to its
  // sender with the answer. By who took it.
  static void forward(ThreadT& self, Port& port, MessageT& message,
                      Where where = Where::current()) {
    if (message.state_ != MessageState::kTaken) [[unlikely]] {
      fault(self, Misuse::kNotOwned, port, message, where);
    }
    message.state_ = MessageState::kSent;
    message.sent_at_ = where;
    message.target_.store(&port, std::memory_order_relaxed);
    const Answer answer = port.ops_->put(self, port, message);
    if (answer == kAsync) return;
    message.answer_ = answer;
    message.state_ = MessageState::kTaken;
    message.reply_port_->ops_->reply(self, *message.reply_port_, message);
  }

 protected:
  struct Ops {
    // Answers in place, or takes the message and says kAsync.
    Answer (*put)(ThreadT&, Port&, MessageT&);
    // Takes a replied message.
    void (*reply)(ThreadT&, Port&, MessageT&);
    // Out of the queue, if it is there.
    bool (*take_back)(ThreadT&, Port&, MessageT&);
    MessageT* (*get)(ThreadT&, Port&, Where);
    MessageT* (*wait)(ThreadT&, Port&, Where);
    void (*wait_for)(ThreadT&, Port&, MessageT&, Where);
  };
  using Queue = List<MessageT, &MessageT::hook_>;

  Port(const char* name, const Ops& ops) : ops_(&ops), name_(name) {}
  ~Port() = default;

  // For a port that takes no messages.
  static Answer refuse_message(ThreadT& self, Port& port, MessageT& message) {
    fault(self, Misuse::kPanicPort, port, message.sent_at_);
    return 0;  // not reached; g++ does not see that
  }
  // For a port that has no queue.
  static bool has_none(ThreadT& /*self*/, Port& /*port*/,
                       MessageT& /*message*/) {
    return false;
  }
  static MessageT* nothing(ThreadT& /*self*/, Port& /*port*/, Where /*where*/) {
    return nullptr;
  }
  static MessageT* refuse_wait(ThreadT& self, Port& port, Where where) {
    fault(self, Misuse::kNotReceiver, port, where);
  }
  static void refuse_wait_for(ThreadT& self, Port& port, MessageT& /*message*/,
                              Where where) {
    fault(self, Misuse::kNotReceiver, port, where);
  }
  // A reply that nobody waits for: the message is free again.
  static void forget(ThreadT& /*self*/, Port& /*port*/, MessageT& message) {
    message.replied_ = true;
    message.state_ = MessageState::kIdle;
  }

  // Who made a port, for the report if it is destroyed with messages in it: the
  // thread itself may have ended.
  struct Maker {
    explicit Maker(ThreadT& self)
        : ground(self.cpu().ground()), name(self.name()) {}
    [[no_unique_address]] P ground;
    const char* name;
  };
  static void check_empty(Maker& maker, const Port& port, Queue& urgent,
                          Queue& queue, Where where = Where::current()) {
    if (urgent.empty() && queue.empty()) [[likely]]
      return;
    const MessageT& first = (urgent.empty() ? queue : urgent).front();
    maker.ground.lwkt_fault(LwktFault{Misuse::kPortNotEmpty, maker.name,
                                      port.name_, where, first.sent_at_});
    ODO_PANIC("a port was misused");
  }

  [[noreturn]] ODO_NOINLINE static void fault(ThreadT& self, Misuse what,
                                              const Port& port, Where where,
                                              Where there = Where()) {
    self.cpu().ground().lwkt_fault(
        LwktFault{what, self.name(), port.name_, where, there});
    ODO_PANIC("a port was misused");
  }
  [[noreturn]] ODO_NOINLINE static void fault(ThreadT& self, Misuse what,
                                              const Port& port,
                                              const MessageT& message,
                                              Where where) {
    fault(self, what, port, where, message.sent_at_);
  }

 private:
  // A thread's port: then the usual ways of a message are inlined. Between two
  // threads that call each other, a function that is entered on one stack and
  // left on the other makes the processor guess every return wrong.
  ODO_ALWAYS_INLINE static bool is_of_thread(const Port& port) {
    return port.ops_ == &ThreadPort<P>::kOps;
  }

  // What a message is when it leaves its sender.
  ODO_ALWAYS_INLINE static void depart(Port& port, MessageT& message,
                                       const ThreadT* waiter, Where where) {
    message.state_ = MessageState::kSent;
    message.waiter_ = waiter;
    message.sent_at_ = where;
    message.target_.store(&port, std::memory_order_relaxed);
    message.abort_wanted_.store(false, std::memory_order_relaxed);
    message.replied_ = false;
  }
  ODO_ALWAYS_INLINE static void answered_in_place(MessageT& message,
                                                  Answer answer) {
    message.answer_ = answer;
    message.replied_ = true;
    message.state_ = MessageState::kIdle;
  }

  // Out of the queue of the port that has it, if one does.
  [[nodiscard]] static bool is_taken_back(ThreadT& self, MessageT& message) {
    while (true) {
      Port* target = message.target_.load(std::memory_order_relaxed);
      if (target == nullptr) return false;  // never sent
      if (target->ops_->take_back(self, *target, message)) return true;
      // Forwarded while we asked?
      if (message.target_.load(std::memory_order_relaxed) == target) {
        return false;
      }
    }
  }

  const Ops* ops_;
  const char* name_;
};

// Answers by a function, on the sender's stack. It may keep the message instead
// (kAsync) and reply() later; then it has taken it.
template <LwktPlatform P>
class HandlerPort : public Port<P> {
 public:
  using Base = Port<P>;
  using Handler = Answer (*)(Thread<P>& self, Message<P>& message,
                             void* argument);

  HandlerPort(const char* name, Handler handler, void* argument)
      : Base(name, kOps), handler_(handler), argument_(argument) {}

 private:
  static Answer accept(Thread<P>& self, Base& base, Message<P>& message) {
    auto& port = static_cast<HandlerPort&>(base);
    message.state_ = MessageState::kTaken;
    return port.handler_(self, message, port.argument_);
  }
  static constexpr typename Base::Ops kOps = {
      .put = &HandlerPort::accept,
      .reply = &Base::forget,
      .take_back = &Base::has_none,
      .get = &Base::nothing,
      .wait = &Base::refuse_wait,
      .wait_for = &Base::refuse_wait_for,
  };

  Handler handler_;
  void* argument_;
};

// Success for everybody, and a reply port for who wants no replies.
template <LwktPlatform P>
class NullPort : public Port<P> {
 public:
  using Base = Port<P>;
  explicit NullPort(const char* name = "null") : Base(name, kOps) {}

 private:
  static Answer accept(Thread<P>& /*self*/, Base& /*port*/,
                       Message<P>& /*message*/) {
    return 0;
  }
  static constexpr typename Base::Ops kOps = {
      .put = &NullPort::accept,
      .reply = &Base::forget,
      .take_back = &Base::has_none,
      .get = &Base::nothing,
      .wait = &Base::refuse_wait,
      .wait_for = &Base::refuse_wait_for,
  };
};

// Takes replies alone and gives each to a function, where it is replied to: for
// messages that nobody waits for. The message is idle again, and the function's
// to send or to free.
template <LwktPlatform P>
class ReplyPort : public Port<P> {
 public:
  using Base = Port<P>;
  using Handler = void (*)(Thread<P>& self, Message<P>& message,
                           void* argument);

  ReplyPort(const char* name, Handler handler, void* argument)
      : Base(name, kOps), handler_(handler), argument_(argument) {}

 private:
  static void accept_reply(Thread<P>& self, Base& base, Message<P>& message) {
    auto& port = static_cast<ReplyPort&>(base);
    Base::forget(self, base, message);
    port.handler_(self, message, port.argument_);
  }
  static constexpr typename Base::Ops kOps = {
      .put = &Base::refuse_message,
      .reply = &ReplyPort::accept_reply,
      .take_back = &Base::has_none,
      .get = &Base::nothing,
      .wait = &Base::refuse_wait,
      .wait_for = &Base::refuse_wait_for,
  };

  Handler handler_;
  void* argument_;
};

// For messages that are never to be sent there, or never to be replied to.
template <LwktPlatform P>
class PanicPort : public Port<P> {
 public:
  using Base = Port<P>;
  explicit PanicPort(const char* name = "panic") : Base(name, kOps) {}

 private:
  static void accept_reply(Thread<P>& self, Base& port, Message<P>& message) {
    Base::fault(self, Misuse::kPanicPort, port, message, message.sent_at());
  }
  static constexpr typename Base::Ops kOps = {
      .put = &Base::refuse_message,
      .reply = &PanicPort::accept_reply,
      .take_back = &Base::has_none,
      .get = &Base::nothing,
      .wait = &Base::refuse_wait,
      .wait_for = &Base::refuse_wait_for,
  };
};

}  // namespace odo::lwkt

#include "lib/lwkt/thread_port.h"
