// SPDX-License-Identifier: BSD-3-Clause
// A message: what one thread asks of a port, and the answer that comes back.
//
// A message is a member of whatever is asked; nothing is allocated or copied.
// It has one owner at a time, and only the owner touches it:
//
//   state     owner         becomes
//   kIdle     sender        kSent by send(); answered in place: kIdle again
//   kSent     target port   kTaken by get(), wait(); kIdle by take_back();
//                           replied to by abort()
//   kTaken    receiver      kSent by forward(); kReplied or kIdle by reply()
//   kReplied  reply port    kIdle by the sender's get(), wait(), wait_for()
//
// Contexts: the owner's.
// Failure: an act of somebody else than the owner is a fault with the place
//   where the message was sent, as far as the state tells.
// Origin: struct lwkt_msg and its MSGF flags in DragonFly's sys/sys/msgport.h.
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>

#include "lib/base/list.h"
#include "lib/lwkt/cpu.h"
#include "lib/lwkt/platform.h"

namespace odo::lwkt {

template <LwktPlatform P>
class Port;
template <LwktPlatform P>
class Message;

// What an answer says; by custom 0 is success. Two values are ours.
using Answer = std::int32_t;
// Not an answer yet: it will come as a reply.
inline constexpr Answer kAsync = std::numeric_limits<Answer>::min();
// The reply of a message that abort() got hold of before a receiver did.
inline constexpr Answer kAborted = std::numeric_limits<Answer>::min() + 1;

enum class Urgency : std::uint8_t {
  kNormal,
  kHigh  // before all normal ones of a port
};

enum class MessageState : std::uint8_t { kIdle, kSent, kTaken, kReplied };

template <LwktPlatform P>
class Message {
 public:
  // Replies go to `reply_port`, which outlives the message.
  explicit Message(Port<P>& reply_port, Urgency urgency = Urgency::kNormal)
      : reply_port_(&reply_port), urgency_(urgency) {}
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;

  [[nodiscard]] Port<P>& reply_port() const { return *reply_port_; }
  [[nodiscard]] MessageState state() const { return state_; }
  [[nodiscard]] Urgency urgency() const { return urgency_; }
  // Of an idle message: what it was answered.
  [[nodiscard]] Answer answer() const { return answer_; }
  // Where it was sent, or forwarded, last.
  [[nodiscard]] Where sent_at() const { return sent_at_; }
  // For senders: whatever tells them what a reply is about.
  void set_context(void* context) { context_ = context; }
  [[nodiscard]] void* context() const { return context_; }
  // For receivers: the sender no longer wants what it asked for. Advice that
  // may come at any time: relaxed.
  [[nodiscard]] bool abort_wanted() const {
    return abort_wanted_.load(std::memory_order_relaxed);
  }

 private:
  friend class Port<P>;
  template <LwktPlatform, class>
  friend class LockedPort;
  template <LwktPlatform>
  friend class ThreadPort;
  template <LwktPlatform>
  friend class HandlerPort;

  ListHook hook_;
  Port<P>* reply_port_;
  // Whom abort() asks; forward() may change it meanwhile: relaxed, the port
  // itself knows what it has.
  typename P::template Atomic<Port<P>*> target_{nullptr};
  Answer answer_ = 0;
  MessageState state_ = MessageState::kIdle;
  Urgency urgency_;
  // Nothing to wait for: never sent, or answered. Written by the sender and by
  // the reply port, unlike state_, which changes elsewhere while the sender
  // waits.
  bool replied_ = true;
  // Who waits for this reply and no other, if somebody does: it is not queued.
  const Thread<P>* waiter_ = nullptr;
  Where sent_at_;
  void* context_ = nullptr;
  typename P::template Atomic<bool> abort_wanted_{false};
};

}  // namespace odo::lwkt
