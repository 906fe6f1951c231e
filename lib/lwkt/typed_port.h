// SPDX-License-Identifier: BSD-3-Clause
// Messages with a question and an answer in them, and ports that take only
// those.
//
//   TypedPort<P, int, std::string_view> names(thread_port);
//   TypedMessage<P, int, std::string_view> asked(reply_port, 7);
//   if (names.call(self, asked) == 0) use(asked.reply);
//
// Contexts, ownership, failure: as port.h. The request is the sender's until it
//   is sent and the receiver's while it has the message; so is the reply.
#pragma once

#include <utility>

#include "lib/lwkt/port.h"

namespace odo::lwkt {

template <LwktPlatform P, class Request, class Reply>
class TypedMessage : public Message<P> {
 public:
  explicit TypedMessage(Port<P>& reply_port, Request asked = Request(),
                        Urgency urgency = Urgency::kNormal)
      : Message<P>(reply_port, urgency), request(std::move(asked)) {}

  Request request;
  Reply reply{};
};

// A view of a port that outlives it. That only such messages come is the
// senders' promise: they have no other way to it than this.
template <LwktPlatform P, class Request, class Reply>
class TypedPort {
 public:
  using MessageT = TypedMessage<P, Request, Reply>;

  explicit TypedPort(Port<P>& port) : port_(&port) {}

  [[nodiscard]] Port<P>& port() const { return *port_; }

  // --- the sender ------------------------------------------------------------
  Answer send(Thread<P>& self, MessageT& message,
              Where where = Where::current()) const {
    return Port<P>::send(self, *port_, message, where);
  }
  ODO_ALWAYS_INLINE Answer
  call(Thread<P>& self, MessageT& message,
       Where where = Where::current()) const ODO_MAY_BLOCK {
    return Port<P>::call(self, *port_, message, where);
  }

  // --- the receiver ----------------------------------------------------------
  [[nodiscard]] ODO_ALWAYS_INLINE MessageT& wait(
      Thread<P>& self, Where where = Where::current()) const ODO_MAY_BLOCK {
    return static_cast<MessageT&>(port_->wait(self, where));
  }
  [[nodiscard]] MessageT* get(Thread<P>& self,
                              Where where = Where::current()) const {
    return static_cast<MessageT*>(port_->get(self, where));
  }
  static void answer(Thread<P>& self, MessageT& message, Reply reply,
                     Answer answer = 0, Where where = Where::current()) {
    message.reply = std::move(reply);
    Port<P>::reply(self, message, answer, where);
  }
  // The same, and then wait().
  [[nodiscard]] ODO_ALWAYS_INLINE MessageT& answer_and_wait(
      Thread<P>& self, MessageT& message, Reply reply, Answer answer = 0,
      Where where = Where::current()) const ODO_MAY_BLOCK {
    message.reply = std::move(reply);
    return static_cast<MessageT&>(
        Port<P>::reply_and_wait(self, message, answer, *port_, where));
  }

 private:
  Port<P>* port_;
};

}  // namespace odo::lwkt
