// SPDX-License-Identifier: BSD-3-Clause
// Messages and every kind of port, on one CPU and on two.
#include "lib/lwkt/port.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/lwkt/host/system.h"
#include "lib/lwkt/locked_port.h"
#include "lib/lwkt/serializer.h"
#include "lib/lwkt/thread_port.h"

namespace odo::lwkt {
namespace {

using HostPort = Port<HostGround>;

struct Question : Message<HostGround> {
  explicit Question(HostPort& reply_port, Urgency urgency = Urgency::kNormal)
      : Message(reply_port, urgency) {}
  int value = 0;
};

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

// Takes messages until one has a negative value; answers twice the value.
template <class P>
struct Server {
  unsigned cpu;
  std::atomic<HostPort*> port{nullptr};

  void operator()(HostThread& self) {
    self.set_cpu(cpu);
    P own(self, "server");
    port = &own;
    bool more = true;
    while (more) {
      auto& question = static_cast<Question&>(own.wait(self));
      more = question.value >= 0;
      HostPort::reply(self, question, 2 * question.value);
    }
  }
  HostPort& up(HostThread& self) {
    while (port == nullptr) self.yield();
    return *port;
  }
};

template <class P>
class PortTest : public ::testing::Test {};
using Kinds =
    ::testing::Types<ThreadPort<HostGround>, SpinPort<HostGround>,
                     TokenPort<HostGround>, SerializerPort<HostGround>>;
TYPED_TEST_SUITE(PortTest, Kinds);

TYPED_TEST(PortTest, CallsAreAnsweredOnTheSameCpuAndAcross) {
  for (unsigned cpu = 0; cpu < 2; ++cpu) {
    run(2, [cpu](HostThread& self) {
      Server<TypeParam> server{.cpu = cpu};
      HostThread& thread = start(self, server);
      HostPort& port = server.up(self);
      TypeParam replies(self, "replies");
      Question question(replies);
      for (int i = 0; i < 500; ++i) {
        question.value = i;
        ASSERT_EQ(HostPort::call(self, port, question), 2 * i);
        ASSERT_EQ(question.state(), MessageState::kIdle);
      }
      question.value = -1;
      EXPECT_EQ(HostPort::call(self, port, question), -2);
      self.join(thread);
    });
  }
}

TYPED_TEST(PortTest, AServerAnswersAndWaitsInOne) {
  for (unsigned cpu = 0; cpu < 2; ++cpu) {
    run(2, [cpu](HostThread& self) {
      std::atomic<HostPort*> port{nullptr};
      auto server = [&](HostThread& thread) {
        thread.set_cpu(cpu);
        TypeParam own(thread, "server");
        port = &own;
        auto* question = static_cast<Question*>(&own.wait(thread));
        while (question->value >= 0) {
          question = static_cast<Question*>(&HostPort::reply_and_wait(
              thread, *question, 2 * question->value, own));
        }
        HostPort::reply(thread, *question, -1);
      };
      HostThread& thread = start(self, server);
      while (port == nullptr) self.yield();
      TypeParam replies(self, "replies");
      // Two kinds of reply port: one on which somebody waits, and another.
      SpinPort<HostGround> others(self, "others");
      Question called(replies);
      Question sent(others);
      for (int i = 0; i < 300; ++i) {
        called.value = i;
        sent.value = i + 1;
        EXPECT_EQ(HostPort::send(self, *port, sent), kAsync);
        ASSERT_EQ(HostPort::call(self, *port, called), 2 * i);
        ASSERT_EQ(others.wait_for(self, sent), 2 * i + 2);
      }
      called.value = -1;
      EXPECT_EQ(HostPort::call(self, *port, called), -1);
      self.join(thread);
    });
  }
}

TYPED_TEST(PortTest, RepliesAreReceivedAnyOrOneByOne) {
  for (unsigned cpu = 0; cpu < 2; ++cpu) {
    run(2, [cpu](HostThread& self) {
      Server<TypeParam> server{.cpu = cpu};
      HostThread& thread = start(self, server);
      HostPort& port = server.up(self);
      TypeParam replies(self, "replies");
      std::vector<std::unique_ptr<Question>> questions;
      for (int i = 0; i < 8; ++i) {
        questions.push_back(std::make_unique<Question>(replies));
        questions.back()->value = i;
        EXPECT_EQ(HostPort::send(self, port, *questions.back()), kAsync);
      }
      // The last first, the rest as they come.
      EXPECT_EQ(replies.wait_for(self, *questions[7]), 14);
      for (int i = 0; i < 7; ++i) {
        auto& question = static_cast<Question&>(replies.wait(self));
        EXPECT_EQ(question.value, i);
        EXPECT_EQ(question.answer(), 2 * i);
      }
      EXPECT_EQ(replies.get(self), nullptr);
      questions[0]->value = -1;
      HostPort::call(self, port, *questions[0]);
      self.join(thread);
    });
  }
}

TYPED_TEST(PortTest, UrgentMessagesComeFirst) {
  run(1, [](HostThread& self) {
    TypeParam port(self, "port");
    NullPort<HostGround> nobody;
    Question first(nobody);
    Question second(nobody);
    Question urgent(nobody, Urgency::kHigh);
    for (Question* one : {&first, &second, &urgent}) {
      HostPort::send(self, port, *one);
    }
    for (Question* one : {&urgent, &first, &second}) {
      Message<HostGround>* got = port.get(self);
      ASSERT_EQ(got, one);
      HostPort::reply(self, *got, 0);
    }
  });
}

TYPED_TEST(PortTest, WhatNobodyHasTakenCanBeHadBack) {
  for (unsigned cpu = 0; cpu < 2; ++cpu) {
    run(2, [cpu](HostThread& self) {
      std::atomic<HostPort*> port{nullptr};
      std::atomic<bool> stop{false};
      std::atomic<bool> take{false};
      std::atomic<int> taken{0};
      auto body = [&](HostThread& thread) {
        thread.set_cpu(cpu);
        TypeParam own(thread, "server");
        port = &own;
        Message<HostGround>* message = nullptr;
        while (!stop) {
          if (take && message == nullptr && (message = own.get(thread))) {
            taken = 1;
          }
          if (message != nullptr && message->abort_wanted()) {
            HostPort::reply(thread, *message, 77);
            message = nullptr;
          }
          thread.yield();
        }
      };
      HostThread& thread = start(self, body);
      while (port == nullptr) self.yield();
      TypeParam replies(self, "replies");
      Question question(replies);
      HostPort::send(self, *port, question);
      EXPECT_TRUE(HostPort::take_back(self, question));
      EXPECT_EQ(question.state(), MessageState::kIdle);
      HostPort::send(self, *port, question);
      HostPort::abort(self, question);
      EXPECT_EQ(replies.wait_for(self, question), kAborted);
      // Taken already: the receiver is told, and answers when it likes.
      Question other(replies);
      HostPort::send(self, *port, other);
      take = true;
      while (taken == 0) self.yield();
      EXPECT_FALSE(HostPort::take_back(self, other));
      HostPort::abort(self, other);
      EXPECT_EQ(replies.wait_for(self, other), 77);
      stop = true;
      self.join(thread);
    });
  }
}

TYPED_TEST(PortTest, MessagesAreForwarded) {
  run(2, [](HostThread& self) {
    Server<TypeParam> server{.cpu = 1};
    HostThread& last = start(self, server);
    HostPort& port = server.up(self);
    std::atomic<HostPort*> relay_port{nullptr};
    auto relay = [&](HostThread& thread) {
      TypeParam own(thread, "relay");
      relay_port = &own;
      for (int i = 0; i < 100; ++i) {
        HostPort::forward(thread, port, own.wait(thread));
      }
      // And one to a port that answers in place.
      NullPort<HostGround> null;
      HostPort::forward(thread, null, own.wait(thread));
    };
    HostThread& middle = start(self, relay);
    while (relay_port == nullptr) self.yield();
    TypeParam replies(self, "replies");
    Question question(replies);
    for (int i = 0; i < 100; ++i) {
      question.value = i;
      EXPECT_EQ(HostPort::call(self, *relay_port, question), 2 * i);
    }
    EXPECT_EQ(HostPort::call(self, *relay_port, question), 0);
    self.join(middle);
    question.value = -1;
    HostPort::call(self, port, question);
    self.join(last);
  });
}

TYPED_TEST(PortTest, DestroyedWithMessagesIsAFault) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(run(1,
                   [](HostThread& self) {
                     NullPort<HostGround> nobody;
                     Question question(nobody);
                     TypeParam port(self, "full");
                     HostPort::send(self, port, question);
                   }),
               "destroyed a port with messages in it: \"full\"");
}

// Several receivers share the work of a port with a lock.
template <class P>
class SharedPortTest : public ::testing::Test {};
using SharedKinds =
    ::testing::Types<SpinPort<HostGround>, TokenPort<HostGround>,
                     SerializerPort<HostGround>>;
TYPED_TEST_SUITE(SharedPortTest, SharedKinds);

TYPED_TEST(SharedPortTest, NoMessageIsLostBetweenReceivers) {
  run(2, [](HostThread& self) {
    TypeParam port(self, "work");
    std::atomic<int> sum{0};
    auto receiver = [&](unsigned cpu) {
      return [&, cpu](HostThread& thread) {
        thread.set_cpu(cpu);
        while (true) {
          auto& question = static_cast<Question&>(port.wait(thread));
          const int value = question.value;
          if (value > 0) sum += value;
          HostPort::reply(thread, question, value);
          if (value < 0) return;
        }
      };
    };
    auto zero = receiver(0);
    auto one = receiver(1);
    std::vector<HostThread*> threads = {&start(self, zero), &start(self, one),
                                        &start(self, one)};
    TypeParam replies(self, "replies");
    constexpr int kRounds = 50;
    constexpr int kAtOnce = 10;
    std::vector<std::unique_ptr<Question>> questions;
    for (int i = 0; i < kAtOnce; ++i) {
      questions.push_back(std::make_unique<Question>(replies));
    }
    for (int round = 0; round < kRounds; ++round) {
      for (auto& question : questions) {
        question->value = 1;
        HostPort::send(self, port, *question);
      }
      for (int i = 0; i < kAtOnce; ++i) (void)replies.wait(self);
    }
    EXPECT_EQ(sum, kRounds * kAtOnce);
    for (std::size_t i = 0; i < threads.size(); ++i) {
      questions[i]->value = -1;
      HostPort::send(self, port, *questions[i]);
    }
    for (std::size_t i = 0; i < threads.size(); ++i) (void)replies.wait(self);
    for (HostThread* thread : threads) self.join(*thread);
  });
}

TEST(HandlerPortTest, AnswersInPlaceOrLater) {
  run(1, [](HostThread& self) {
    struct State {
      Message<HostGround>* kept = nullptr;
    } state;
    HandlerPort<HostGround> port(
        "handler",
        [](HostThread&, Message<HostGround>& message, void* argument) {
          auto& question = static_cast<Question&>(message);
          if (question.value >= 0) return question.value + 1;
          static_cast<State*>(argument)->kept = &message;
          return kAsync;
        },
        &state);
    ThreadPort<HostGround> replies(self, "replies");
    Question question(replies);
    question.value = 41;
    EXPECT_EQ(HostPort::call(self, port, question), 42);
    EXPECT_EQ(HostPort::send(self, port, question), 42);
    EXPECT_EQ(question.answer(), 42);
    question.value = -1;
    EXPECT_EQ(HostPort::send(self, port, question), kAsync);
    HostPort::reply(self, *state.kept, 7);
    EXPECT_EQ(replies.wait_for(self, question), 7);
    NullPort<HostGround> null;
    EXPECT_EQ(HostPort::call(self, null, question), 0);
  });
}

TEST(ThreadPortTest, MessagesFollowAThreadThatMoves) {
  run(3, [](HostThread& self) {
    std::atomic<HostPort*> port{nullptr};
    constexpr int kMessages = 2000;
    auto wanderer = [&](HostThread& thread) {
      ThreadPort<HostGround> own(thread, "wanderer");
      port = &own;
      for (int i = 0; i < kMessages; ++i) {
        Message<HostGround>& message = own.wait(thread);
        thread.set_cpu(static_cast<unsigned>(i) % 3);
        HostPort::reply(thread, message, i);
      }
    };
    HostThread& thread = start(self, wanderer);
    while (port == nullptr) self.yield();
    ThreadPort<HostGround> replies(self, "replies");
    Question question(replies);
    for (int i = 0; i < kMessages; ++i) {
      if (i % 7 == 0) self.set_cpu(static_cast<unsigned>(i) % 2);
      ASSERT_EQ(HostPort::call(self, *port, question), i);
    }
    self.join(thread);
  });
}

// A message may be on the CPU that its receiver moves to before the receiver
// is: what the CPU before did to the queue must be seen there.
TEST(ThreadPortTest, QueueIsNotTornBetweenCpusThatAThreadMovesAmong) {
  run(3, [](HostThread& self) {
    std::atomic<HostPort*> port{nullptr};
    constexpr int kEach = 20000;
    auto wanderer = [&](HostThread& thread) {
      ThreadPort<HostGround> own(thread, "wanderer");
      port = &own;
      for (int i = 0; i < 2 * kEach; ++i) {
        auto& question = static_cast<Question&>(own.wait(thread));
        if (i % 3 == 0) thread.set_cpu(static_cast<unsigned>(i / 3) % 3);
        HostPort::reply(thread, question, 2 * question.value);
      }
    };
    auto sender = [&](unsigned cpu) {
      return [&, cpu](HostThread& thread) {
        thread.set_cpu(cpu);
        ThreadPort<HostGround> replies(thread, "replies");
        constexpr int kAtOnce = 8;
        std::vector<std::unique_ptr<Question>> questions;
        for (int i = 0; i < kAtOnce; ++i) {
          questions.push_back(std::make_unique<Question>(replies));
          questions.back()->value = i;
          HostPort::send(thread, *port, *questions.back());
        }
        for (int got = 0; got < kEach; ++got) {
          auto& question = static_cast<Question&>(replies.wait(thread));
          EXPECT_EQ(question.answer(), 2 * question.value);
          if (got < kEach - kAtOnce) {
            question.value = got;
            HostPort::send(thread, *port, question);
          }
        }
      };
    };
    HostThread& moves = start(self, wanderer);
    while (port == nullptr) self.yield();
    auto one = sender(1);
    auto two = sender(2);
    HostThread& first = start(self, one);
    HostThread& second = start(self, two);
    for (HostThread* thread : {&first, &second, &moves}) self.join(*thread);
  });
}

TEST(ReplyPortTest, GivesEachReplyToItsFunction) {
  run(2, [](HostThread& self) {
    Server<ThreadPort<HostGround>> server{.cpu = 1};
    HostThread& thread = start(self, server);
    HostPort& port = server.up(self);
    std::atomic<int> freed{0};
    ReplyPort<HostGround> replies(
        "freeing",
        [](HostThread&, Message<HostGround>& message, void* argument) {
          EXPECT_EQ(message.state(), MessageState::kIdle);
          delete &static_cast<Question&>(message);
          ++*static_cast<std::atomic<int>*>(argument);
        },
        &freed);
    for (int i = 0; i < 20; ++i) {
      auto* question = new Question(replies);  // the reply port's to free
      question->value = i;
      EXPECT_EQ(HostPort::send(self, port, *question), kAsync);
    }
    while (freed != 20) self.yield();
    ThreadPort<HostGround> own(self, "own");
    Question last(own);
    last.value = -1;
    HostPort::call(self, port, last);
    self.join(thread);
  });
}

TEST(SerializerTest, OneAtATimeAlsoAsleep) {
  run(2, [](HostThread& self) {
    Serializer<HostGround> serializer("device");
    int inside = 0;
    int count = 0;
    auto body = [&](unsigned cpu) {
      return [&, cpu](HostThread& thread) {
        thread.set_cpu(cpu);
        for (int i = 0; i < 200; ++i) {
          serializer.enter(thread);
          EXPECT_EQ(++inside, 1);
          if (i % 20 == 0) thread.yield();
          if (i % 50 == 0) {
            int address = 0;
            Sleepers<HostGround>::sleep(thread, &address,
                                        HostGround().now_ns() + 10'000);
          }
          EXPECT_EQ(--inside, 0);
          ++count;
          serializer.leave(thread);
          if (i % 3 == 0) thread.yield();
        }
      };
    };
    auto zero = body(0);
    auto one = body(1);
    std::vector<HostThread*> threads = {&start(self, zero), &start(self, one),
                                        &start(self, zero), &start(self, one)};
    for (HostThread* thread : threads) self.join(*thread);
    EXPECT_EQ(count, 800);
    if (!serializer.try_enter(self)) {
      ADD_FAILURE() << "nobody is in it";
      return;
    }
    EXPECT_TRUE(serializer.is_held_by(self));
    serializer.leave(self);
    EXPECT_FALSE(serializer.is_held_by(self));
  });
}

// --- misuse

class MisuseDeathTest : public ::testing::Test {
 protected:
  MisuseDeathTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(MisuseDeathTest, SendTwice) {
  EXPECT_DEATH(run(1,
                   [](HostThread& self) {
                     NullPort<HostGround> nobody;
                     Question question(nobody);
                     ThreadPort<HostGround> port(self, "mine");
                     HostPort::send(self, port, question);
                     HostPort::send(self, port, question);
                   }),
               "on its way already: \"mine\"[^$]*port_test.cc[^$]*since.*"
               "port_test.cc");
}

TEST_F(MisuseDeathTest, ReplyToWhatIsNotOwned) {
  EXPECT_DEATH(run(1,
                   [](HostThread& self) {
                     ThreadPort<HostGround> replies(self, "replies");
                     Question question(replies);
                     HostPort::reply(self, question, 0);
                   }),
               "does not own: \"replies\"");
}

TEST_F(MisuseDeathTest, WaitOnAnothersPort) {
  EXPECT_DEATH(run(1,
                   [](HostThread& self) {
                     ThreadPort<HostGround> port(self, "mine");
                     auto thief = [&](HostThread& thread) {
                       (void)port.wait(thread);
                     };
                     self.join(start(self, thief, {.name = "thief"}));
                   }),
               "\"thief\" waits on another thread's port: \"mine\"");
}

TEST_F(MisuseDeathTest, SendToAPanicPort) {
  EXPECT_DEATH(run(1,
                   [](HostThread& self) {
                     PanicPort<HostGround> port("closed");
                     NullPort<HostGround> nobody;
                     Question question(nobody);
                     HostPort::send(self, port, question);
                   }),
               "to a port that takes none: \"closed\"");
}

// What the compiler's analysis would refuse.
void enter_twice(HostThread& self) ODO_NO_THREAD_SAFETY_ANALYSIS {
  Serializer<HostGround> serializer("device");
  serializer.enter(self);
  serializer.enter(self);
}
void leave_unheld(HostThread& self) ODO_NO_THREAD_SAFETY_ANALYSIS {
  Serializer<HostGround> serializer("device");
  serializer.leave(self);
}

TEST_F(MisuseDeathTest, SerializerTwiceAndUnheld) {
  EXPECT_DEATH(run(1, enter_twice),
               "entered a serializer that it is in: \"device\"");
  EXPECT_DEATH(run(1, leave_unheld),
               "left a serializer that it is not in: \"device\"");
}

}  // namespace
}  // namespace odo::lwkt
