// SPDX-License-Identifier: BSD-3-Clause
// Who owns a message when: each step from state to state, and each step that
// somebody else than the owner takes.
#include "lib/lwkt/message.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/lwkt/host/system.h"
#include "lib/lwkt/locked_port.h"
#include "lib/lwkt/port.h"
#include "lib/lwkt/thread_port.h"

namespace odo::lwkt {
namespace {

using HostPort = Port<HostGround>;
using HostMessage = Message<HostGround>;
using OwnPort = ThreadPort<HostGround>;
using SharedPort = SpinPort<HostGround>;
using Nobody = NullPort<HostGround>;

template <class Body>
HostThread& start(HostThread& self, Body& body,
                  const ThreadOptions& options = {}) {
  auto made = self.cpu().create(
      [](HostThread& thread, void* argument) {
        (*static_cast<Body*>(argument))(thread);
      },
      &body, options);
  EXPECT_TRUE(made.has_value());
  self.cpu().start(**made);
  return **made;
}

TEST(MessageTest, GoesFromOwnerToOwner) {
  run(1, [](HostThread& self) {
    OwnPort port(self, "port");
    OwnPort replies(self, "replies");
    HostMessage message(replies);
    EXPECT_EQ(message.state(), MessageState::kIdle);
    EXPECT_EQ(&message.reply_port(), &replies);
    EXPECT_EQ(HostPort::send(self, port, message), kAsync);
    EXPECT_EQ(message.state(), MessageState::kSent);
    EXPECT_EQ(port.get(self), &message);
    EXPECT_EQ(message.state(), MessageState::kTaken);
    EXPECT_EQ(port.get(self), nullptr);
    HostPort::forward(self, port, message);
    EXPECT_EQ(message.state(), MessageState::kSent);
    EXPECT_EQ(&port.wait(self), &message);
    HostPort::reply(self, message, 3);
    EXPECT_EQ(message.state(), MessageState::kReplied);
    EXPECT_EQ(replies.get(self), &message);
    EXPECT_EQ(message.state(), MessageState::kIdle);
    EXPECT_EQ(message.answer(), 3);
  });
}

TEST(MessageTest, AReplyThatIsWaitedForIsTakenFromAmongOthers) {
  run(1, [](HostThread& self) {
    OwnPort port(self, "port");
    OwnPort replies(self, "replies");
    HostMessage first(replies);
    HostMessage second(replies, Urgency::kHigh);
    for (HostMessage* one : {&first, &second}) {
      HostPort::send(self, port, *one);
      HostPort::reply(self, *port.get(self), 1);
    }
    EXPECT_EQ(replies.wait_for(self, first), 1);
    EXPECT_EQ(first.state(), MessageState::kIdle);
    EXPECT_EQ(replies.wait_for(self, second), 1);
    EXPECT_EQ(replies.get(self), nullptr);
    // It has been waited for: once more costs nothing.
    EXPECT_EQ(replies.wait_for(self, first), 1);
  });
}

TEST(MessageTest, UrgentRepliesComeFirst) {
  run(1, [](HostThread& self) {
    OwnPort port(self, "port");
    OwnPort replies(self, "replies");
    HostMessage normal(replies);
    HostMessage urgent(replies, Urgency::kHigh);
    for (HostMessage* one : {&normal, &urgent}) {
      HostPort::send(self, port, *one);
    }
    while (HostMessage* one = port.get(self)) HostPort::reply(self, *one, 0);
    EXPECT_EQ(replies.get(self), &urgent);
    EXPECT_EQ(replies.get(self), &normal);
  });
}

TEST(MessageTest, WaitingForAnAnswerInPlaceReturnsAtOnce) {
  run(1, [](HostThread& self) {
    Nobody null;
    OwnPort own(self, "own");
    SharedPort shared(self, "shared");
    HostMessage message(own);
    EXPECT_EQ(own.wait_for(self, message), 0);  // never sent
    EXPECT_EQ(HostPort::send(self, null, message), 0);
    EXPECT_EQ(own.wait_for(self, message), 0);
    HostMessage other(shared);
    EXPECT_EQ(shared.wait_for(self, other), 0);
    EXPECT_EQ(HostPort::send(self, null, other), 0);
    EXPECT_EQ(shared.wait_for(self, other), 0);
  });
}

TEST(MessageTest, AnAbortIsForgottenWithTheNextSend) {
  run(1, [](HostThread& self) {
    Nobody nobody;
    OwnPort port(self, "port");
    HostMessage message(nobody);
    HostPort::send(self, port, message);
    HostPort::abort(self, message);
    EXPECT_EQ(message.answer(), kAborted);
    HostPort::send(self, port, message);
    HostMessage* taken = port.get(self);
    ASSERT_EQ(taken, &message);
    EXPECT_FALSE(taken->abort_wanted());
    HostPort::abort(self, message);
    EXPECT_TRUE(taken->abort_wanted());
    HostPort::reply(self, *taken, 0);
  });
}

TEST(MessageTest, WhatWasNeverSentCannotBeAborted) {
  run(1, [](HostThread& self) {
    Nobody nobody;
    HostMessage message(nobody);
    HostPort::abort(self, message);
    EXPECT_FALSE(HostPort::take_back(self, message));
    EXPECT_EQ(message.state(), MessageState::kIdle);
    EXPECT_EQ(message.answer(), 0);
  });
}

TEST(MessageTest, AnAbortAfterTheReplyChangesNothing) {
  run(1, [](HostThread& self) {
    OwnPort port(self, "port");
    OwnPort replies(self, "replies");
    HostMessage message(replies);
    HostPort::send(self, port, message);
    HostPort::reply(self, *port.get(self), 4);
    HostPort::abort(self, message);
    EXPECT_FALSE(HostPort::take_back(self, message));
    EXPECT_EQ(replies.wait_for(self, message), 4);
    EXPECT_EQ(replies.get(self), nullptr);
  });
}

// Taken back from between others, which keep their order.
TEST(MessageTest, TakingBackLeavesTheOthers) {
  run(1, [](HostThread& self) {
    Nobody nobody;
    OwnPort port(self, "port");
    HostMessage first(nobody);
    HostMessage second(nobody);
    HostMessage third(nobody);
    for (HostMessage* one : {&first, &second, &third}) {
      HostPort::send(self, port, *one);
    }
    EXPECT_TRUE(HostPort::take_back(self, second));
    EXPECT_FALSE(HostPort::take_back(self, second));
    for (HostMessage* one : {&first, &third}) {
      ASSERT_EQ(port.get(self), one);
      HostPort::reply(self, *one, 0);
    }
    EXPECT_EQ(port.get(self), nullptr);
  });
}

TEST(MessageTest, IsSentAndAnsweredInCriticalSectionsAndCalls) {
  run(2, [](HostThread& self) {
    OwnPort replies(self, "replies");
    HostMessage message(replies);
    struct Asked {
      HostPort& port;
      HostMessage& message;
    };
    // From the CPU 1, in a call, to a thread of CPU 0.
    OwnPort port(self, "port");
    Asked asked{port, message};
    self.cpu().call_on(self, 1,
                       {[](void* argument, void* cpu) {
                          auto& it = *static_cast<Asked*>(argument);
                          HostPort::send(static_cast<HostCpu*>(cpu)->current(),
                                         it.port, it.message);
                        },
                        &asked});
    HostMessage& taken = port.wait(self);
    self.enter_critical();
    HostPort::reply(self, taken, 9);
    self.exit_critical();
    EXPECT_EQ(replies.wait_for(self, message), 9);
  });
}

// Who waits for an answer is freed by whoever aborts the question.
TEST(MessageTest, ACallIsAbortedByAnotherThread) {
  for (unsigned cpu = 0; cpu < 2; ++cpu) {
    run(2, [cpu](HostThread& self) {
      OwnPort port(self, "nobody serves");
      SharedPort replies(self, "replies");
      HostMessage message(replies);
      std::atomic<Answer> answer{0};
      auto caller = [&](HostThread& thread) {
        thread.set_cpu(cpu);
        answer = HostPort::call(thread, port, message);
      };
      HostThread& thread = start(self, caller);
      // Before it is sent there is nothing to abort.
      while (answer == 0) {
        HostPort::abort(self, message);
        self.yield();
      }
      EXPECT_EQ(answer, kAborted);
      self.join(thread);
    });
  }
}

// What a server may do with many messages: keep them, and answer in any order.
TEST(MessageTest, AnswersComeInTheServersOrderAcrossCpus) {
  run(2, [](HostThread& self) {
    std::atomic<HostPort*> port{nullptr};
    auto server = [&](HostThread& thread) {
      thread.set_cpu(1);
      OwnPort own(thread, "server");
      port = &own;
      constexpr int kRounds = 300;
      for (int i = 0; i < kRounds; ++i) {
        HostMessage& one = own.wait(thread);
        HostMessage& two = own.wait(thread);
        HostPort::reply(thread, two, 2);
        HostPort::reply(thread, one, 1);
      }
    };
    HostThread& thread = start(self, server);
    while (port == nullptr) self.yield();
    OwnPort replies(self, "replies");
    HostMessage one(replies);
    HostMessage two(replies);
    for (int i = 0; i < 300; ++i) {
      HostPort::send(self, *port, one);
      HostPort::send(self, *port, two);
      ASSERT_EQ(&replies.wait(self), &two);
      ASSERT_EQ(replies.wait_for(self, one), 1);
      ASSERT_EQ(two.answer(), 2);
    }
    self.join(thread);
  });
}

// A message that comes to a thread which waits is not queued: whoever asks for
// it before the thread has run finds it all the same.
TEST(MessageTest, HandedToAWaitingThreadItCanBeTakenBack) {
  run(1, [](HostThread& self) {
    Nobody nobody;
    HostPort* port = nullptr;
    const HostMessage* got = nullptr;
    auto receiver = [&](HostThread& thread) {
      OwnPort own(thread, "own");
      port = &own;
      HostMessage& taken = own.wait(thread);
      got = &taken;
      HostPort::reply(thread, taken, 0);
    };
    HostThread& thread = start(self, receiver);
    self.yield();
    HostMessage first(nobody);
    HostMessage second(nobody);
    HostPort::send(self, *port, first);
    EXPECT_TRUE(HostPort::take_back(self, first));
    EXPECT_FALSE(HostPort::take_back(self, first));
    self.yield();  // woken for nothing
    EXPECT_EQ(got, nullptr);
    HostPort::send(self, *port, second);
    self.join(thread);
    EXPECT_EQ(got, &second);
  });
}

TEST(MessageTest, HandedToAWaitingThreadItKeepsItsPlace) {
  run(1, [](HostThread& self) {
    Nobody nobody;
    HostPort* port = nullptr;
    std::vector<const HostMessage*> got;
    constexpr std::size_t kAll = 4;
    auto receiver = [&](HostThread& thread) {
      OwnPort own(thread, "own");
      port = &own;
      while (got.size() < kAll) {
        HostMessage& taken = own.wait(thread);
        got.push_back(&taken);
        HostPort::reply(thread, taken, 0);
      }
    };
    HostThread& thread = start(self, receiver);
    self.yield();
    HostMessage first(nobody);
    HostMessage second(nobody);
    HostMessage urgent(nobody, Urgency::kHigh);
    HostMessage more_urgent(nobody, Urgency::kHigh);
    for (HostMessage* one : {&first, &second, &urgent, &more_urgent}) {
      HostPort::send(self, *port, *one);
    }
    self.join(thread);
    EXPECT_EQ(got, (std::vector<const HostMessage*>{&urgent, &more_urgent,
                                                    &first, &second}));
  });
}

// A reply, too; and who waits then waits for that one alone.
TEST(MessageTest, AReplyHandedToAWaitingThreadIsWaitedFor) {
  run(1, [](HostThread& self) {
    HostPort* port = nullptr;
    OwnPort replies(self, "replies");
    HostMessage urgent(replies, Urgency::kHigh);
    HostMessage normal(replies);
    auto server = [&](HostThread& thread) {
      OwnPort own(thread, "own");
      port = &own;
      HostMessage* both[] = {&own.wait(thread), &own.wait(thread)};
      // The normal one is handed over, the urgent one comes first.
      HostPort::reply(thread, normal, 1);
      HostPort::reply(thread, urgent, 2);
      EXPECT_NE(both[0], both[1]);
    };
    HostThread& thread = start(self, server);
    self.yield();
    HostPort::send(self, *port, normal);
    HostPort::send(self, *port, urgent);
    EXPECT_EQ(&replies.wait(self), &urgent);
    EXPECT_EQ(replies.wait_for(self, normal), 1);
    EXPECT_EQ(replies.get(self), nullptr);
    self.join(thread);
  });
}

// Whoever is of a higher priority than the one that is called runs first.
TEST(MessageTest, ACallGoesBeforeNobodyOfAHigherPriority) {
  run(1, [](HostThread& self) {
    HostPort* port = nullptr;
    std::vector<int> order;
    auto server = [&](HostThread& thread) {
      OwnPort own(thread, "own");
      port = &own;
      HostMessage* message = &own.wait(thread);
      order.push_back(1);
      message = &HostPort::reply_and_wait(thread, *message, 5, own);
      order.push_back(3);
      HostPort::reply(thread, *message, 6);
    };
    auto above = [&](HostThread&) { order.push_back(2); };
    HostThread& thread = start(self, server);
    self.yield();
    OwnPort replies(self, "replies");
    HostMessage message(replies);
    EXPECT_EQ(HostPort::call(self, *port, message), 5);
    HostThread& other = start(self, above, {.priority = kSoftNormal});
    EXPECT_EQ(HostPort::call(self, *port, message), 6);
    self.join(thread);
    self.join(other);
    EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
  });
}

// --- misuse: by name of the thread and the port, with both places

class MessageDeathTest : public ::testing::Test {
 protected:
  MessageDeathTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

constexpr const char* kSince = "[^$]*message_test.cc[^$]*since [^$]*message_te";

std::string report(const char* text, bool earlier = true) {
  return std::string("\"main\" ") + text +
         (earlier ? kSince : "[^$]*message_test.cc");
}

// A message in each of the states that are not idle, and what must not be done.
template <class Act>
void in_state(HostThread& self, MessageState state, Act act) {
  OwnPort port(self, "mine");
  OwnPort replies(self, "replies");
  HostMessage message(replies);
  if (state != MessageState::kIdle) HostPort::send(self, port, message);
  if (state > MessageState::kSent) (void)port.get(self);
  if (state == MessageState::kReplied) HostPort::reply(self, message, 0);
  act(self, port, message);
}

TEST_F(MessageDeathTest, SentTwiceInAnyState) {
  for (const MessageState state :
       {MessageState::kSent, MessageState::kTaken, MessageState::kReplied}) {
    EXPECT_DEATH(run(1,
                     [&](HostThread& self) {
                       in_state(self, state,
                                [](auto& me, auto& port, auto& message) {
                                  HostPort::send(me, port, message);
                                });
                     }),
                 report("sent a message that is on its way already: \"mine\""));
  }
  EXPECT_DEATH(run(1,
                   [](HostThread& self) {
                     in_state(self, MessageState::kTaken,
                              [](auto& me, auto& port, auto& message) {
                                HostPort::call(me, port, message);
                              });
                   }),
               report("sent a message that is on its way already: \"mine\""));
}

TEST_F(MessageDeathTest, RepliedByWhoHasNotTakenIt) {
  for (const MessageState state :
       {MessageState::kSent, MessageState::kReplied}) {
    EXPECT_DEATH(
        run(1,
            [&](HostThread& self) {
              in_state(self, state, [](auto& me, auto&, auto& message) {
                HostPort::reply(me, message, 0);
              });
            }),
        report("replied to a message that it does not own: \"replies\""));
  }
  EXPECT_DEATH(
      run(1,
          [](HostThread& self) {
            in_state(self, MessageState::kIdle,
                     [](auto& me, auto&, auto& message) {
                       HostPort::reply(me, message, 0);
                     });
          }),
      report("replied to a message that it does not own: \"replies\"", false));
}

TEST_F(MessageDeathTest, RepliedAndWaitedByWhoHasNotTakenIt) {
  EXPECT_DEATH(
      run(1,
          [](HostThread& self) {
            in_state(self, MessageState::kSent,
                     [](auto& me, auto& port, auto& message) {
                       (void)HostPort::reply_and_wait(me, message, 0, port);
                     });
          }),
      report("replied to a message that it does not own: \"replies\""));
}

TEST_F(MessageDeathTest, ForwardedByWhoHasNotTakenIt) {
  EXPECT_DEATH(run(1,
                   [](HostThread& self) {
                     in_state(self, MessageState::kSent,
                              [](auto& me, auto& port, auto& message) {
                                HostPort::forward(me, port, message);
                              });
                   }),
               report("replied to a message that it does not own: \"mine\""));
}

TEST_F(MessageDeathTest, WaitedForAtAPortItDoesNotComeBackTo) {
  EXPECT_DEATH(run(1,
                   [](HostThread& self) {
                     in_state(self, MessageState::kSent,
                              [](auto& me, auto& port, auto& message) {
                                port.wait_for(me, message);
                              });
                   }),
               report("waits on another thread's port: \"mine\""));
  // Nobody can wait where replies are forgotten.
  EXPECT_DEATH(run(1,
                   [](HostThread& self) {
                     SharedPort port(self, "shared");
                     Nobody nobody("nobody");
                     HostMessage message(nobody);
                     HostPort::call(self, port, message);
                   }),
               report("waits on another thread's port: \"nobody\"", false));
}

TEST_F(MessageDeathTest, CalledByWhoWouldHaveToAnswer) {
  EXPECT_DEATH(
      run(1,
          [](HostThread& self) {
            OwnPort port(self, "mine");
            HostMessage message(port);
            HostPort::call(self, port, message);
          }),
      report("waits for an answer that only it could give: \"mine\"", false));
}

// The same by way of somebody else.
TEST_F(MessageDeathTest, ForwardedToWhoWaitsForIt) {
  EXPECT_DEATH(run(2,
                   [](HostThread& self) {
                     OwnPort mine(self, "mine");
                     std::atomic<HostPort*> port{nullptr};
                     auto relay = [&](HostThread& thread) {
                       thread.set_cpu(1);
                       OwnPort own(thread, "relay");
                       port = &own;
                       HostPort::forward(thread, mine, own.wait(thread));
                     };
                     start(self, relay, {.name = "relay"});
                     while (port == nullptr) self.yield();
                     OwnPort replies(self, "replies");
                     HostMessage message(replies);
                     HostPort::call(self, *port, message);
                   }),
               "waits for an answer that only it could give: \"mine\"");
}

template <class P>
class WaitDeathTest : public MessageDeathTest {};
using Kinds = ::testing::Types<OwnPort, SharedPort, TokenPort<HostGround>,
                               SerializerPort<HostGround>>;
TYPED_TEST_SUITE(WaitDeathTest, Kinds);

TYPED_TEST(WaitDeathTest, InACriticalSection) {
  EXPECT_DEATH(run(1,
                   [](HostThread& self) {
                     TypeParam port(self, "mine");
                     self.enter_critical();
                     (void)port.wait(self);
                   }),
               "\"main\" would sleep in a critical section[^$]*message_test");
}

// The report names who made the port, though that thread is long gone.
TYPED_TEST(WaitDeathTest, DestroyedFullAfterItsMakerEnded) {
  EXPECT_DEATH(
      run(1,
          [](HostThread& self) {
            std::optional<TypeParam> port;
            Nobody nobody;
            HostMessage message(nobody);
            auto maker = [&](HostThread& thread) {
              port.emplace(thread, "full");
              HostPort::send(thread, *port, message);
            };
            // On memory that is gone as well.
            constexpr std::size_t kBytes = std::size_t{64} * 1024;
            auto stack = std::make_unique<std::byte[]>(kBytes);
            auto made = self.cpu().create_on(
                {stack.get(), kBytes},
                [](HostThread& thread, void* argument) {
                  (*static_cast<decltype(maker)*>(argument))(thread);
                },
                &maker, {.name = "maker"});
            self.cpu().start(**made);
            self.join(**made);
            stack.reset();
            port.reset();
          }),
      "\"maker\" destroyed a port with messages in it: \"full\"[^$]*since "
      "[^$]*message_test.cc");
}

TEST_F(MessageDeathTest, SentOrRepliedToAPanicPort) {
  EXPECT_DEATH(
      run(1,
          [](HostThread& self) {
            PanicPort<HostGround> closed("closed");
            OwnPort port(self, "mine");
            HostMessage message(closed);
            HostPort::send(self, port, message);
            HostPort::reply(self, *port.get(self), 0);
          }),
      report("sent a message to a port that takes none: \"closed\"", false));
}

TEST_F(MessageDeathTest, SentToAPortForReplies) {
  EXPECT_DEATH(
      run(1,
          [](HostThread& self) {
            ReplyPort<HostGround> only(
                "replies only", [](auto&, auto&, void*) {}, nullptr);
            HostMessage message(only);
            HostPort::send(self, only, message);
          }),
      report("sent a message to a port that takes none: \"replies on", false));
}

}  // namespace
}  // namespace odo::lwkt
