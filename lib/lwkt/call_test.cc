// SPDX-License-Identifier: BSD-3-Clause
// Typed messages, and coroutines that await their answers.
#include "lib/lwkt/call.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include "lib/lwkt/host/system.h"
#include "lib/lwkt/typed_port.h"

// Counted, so that a test can say that there were none. Sanitizers have
// operators of their own, and nothing is counted.
static std::atomic<std::size_t> allocations{0};
#if !defined(__has_feature)
#define ODO_COUNTS_ALLOCATIONS 1
#elif !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
#define ODO_COUNTS_ALLOCATIONS 1
#endif
#if defined(ODO_COUNTS_ALLOCATIONS)
void* operator new(std::size_t bytes) {
  ++allocations;
  void* memory = std::malloc(bytes);
  if (memory == nullptr) std::abort();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
#endif

namespace odo::lwkt {
namespace {

using Doubles = TypedPort<HostGround, int, long>;
using Loop = CallLoop<HostGround>;

// Answers with twice the number until it is negative; CPU 1 if there is one.
struct Server {
  std::atomic<Port<HostGround>*> port{nullptr};

  void operator()(HostThread& self) {
    self.set_cpu(self.cpu().system().cpus() - 1);
    ThreadPort<HostGround> own(self, "doubles");
    port = &own;
    const Doubles doubles(own);
    Doubles::MessageT* message = &doubles.wait(self);
    while (message->request >= 0) {
      message = &doubles.answer_and_wait(self, *message, 2L * message->request);
    }
    Doubles::answer(self, *message, 2L * message->request);
  }
};

template <class Body>
HostThread& start(HostThread& self, Body& body) {
  auto made = self.cpu().create(
      [](HostThread& thread, void* argument) {
        (*static_cast<Body*>(argument))(thread);
      },
      &body);
  EXPECT_TRUE(made.has_value());
  self.cpu().start(**made);
  return **made;
}

template <class Body>
void with_server(unsigned cpus, Body body) {
  run(cpus, [&](HostThread& self) {
    Server server;
    HostThread& thread = start(self, server);
    while (server.port == nullptr) self.yield();
    const Doubles doubles(*server.port);
    body(self, doubles);
    ThreadPort<HostGround> replies(self, "replies");
    Doubles::MessageT last(replies, -1);
    doubles.call(self, last);
    self.join(thread);
  });
}

TEST(TypedPortTest, CarriesQuestionsAndAnswers) {
  for (unsigned cpus : {1U, 2U}) {
    with_server(cpus, [](HostThread& self, Doubles doubles) {
      ThreadPort<HostGround> replies(self, "replies");
      Doubles::MessageT message(replies, 21);
      EXPECT_EQ(doubles.call(self, message), 0);
      EXPECT_EQ(message.reply, 42);
    });
  }
}

// A reference to the arena comes first: the frame is taken from it.
Task ask(FrameArena& /*frames*/, Loop& loop, Doubles doubles, int first,
         std::vector<long>& answers) {
  for (int i = 0; i < 3; ++i) {
    const Reply<long> reply = co_await loop.call(doubles, first + i);
    EXPECT_EQ(reply.answer, 0);
    answers.push_back(reply.value);
  }
}

TEST(CallTest, ManyConversationsOnOneThread) {
  for (unsigned cpus : {1U, 2U}) {
    with_server(cpus, [](HostThread& self, Doubles doubles) {
      alignas(16) std::array<std::byte, 16 * 1024> memory{};
      FrameArena frames(memory);
      Loop loop(self);
      std::vector<long> first;
      std::vector<long> second;
      Task one = ask(frames, loop, doubles, 10, first);
      Task two = ask(frames, loop, doubles, 20, second);
      ASSERT_TRUE(loop.start(one));
      ASSERT_TRUE(loop.start(two));
      loop.finish(one);
      loop.finish(two);
      EXPECT_EQ(first, (std::vector<long>{20, 22, 24}));
      EXPECT_EQ(second, (std::vector<long>{40, 42, 44}));
    });
  }
}

Task ask_port(FrameArena& /*frames*/, CallPort<HostGround, int, long> doubles,
              int first, int count, long& sum) {
  for (int i = 0; i < count; ++i) {
    sum += (co_await doubles.call(first + i)).value;
  }
}

TEST(CallTest, NothingIsAllocatedForACall) {
  for (unsigned cpus : {1U, 2U}) {
    with_server(cpus, [](HostThread& self, Doubles doubles) {
      constexpr std::size_t kTasks = 16;
      constexpr int kCalls = 200;
      alignas(16) static std::array<std::byte, std::size_t{32} * 1024> memory{};
      FrameArena frames(memory);
      Loop loop(self);
      std::array<long, kTasks> sums{};
      const std::size_t before = allocations;
      {
        std::array<std::optional<Task>, kTasks> tasks;
        for (std::size_t i = 0; i < kTasks; ++i) {
          tasks[i].emplace(ask_port(frames, loop.at(doubles),
                                    static_cast<int>(i), kCalls, sums[i]));
          ASSERT_TRUE(loop.start(*tasks[i]));
        }
        for (auto& task : tasks) loop.finish(*task);
      }
      EXPECT_EQ(allocations, before);
      for (std::size_t i = 0; i < kTasks; ++i) {
        // 2 (i + ... + (i + kCalls - 1))
        const long first = static_cast<long>(i);
        EXPECT_EQ(sums[i], long{kCalls} * (2 * first + kCalls - 1));
      }
    });
  }
}

TEST(CallTest, AnAnswerInPlaceNeedsNoLoop) {
  run(1, [](HostThread& self) {
    HandlerPort<HostGround> port(
        "in place",
        [](HostThread&, Message<HostGround>& message, void*) {
          auto& typed = static_cast<Doubles::MessageT&>(message);
          typed.reply = 2L * typed.request;
          return Answer{0};
        },
        nullptr);
    std::array<std::byte, 4096> memory{};
    FrameArena frames(memory);
    Loop loop(self);
    std::vector<long> answers;
    Task task = ask(frames, loop, Doubles(port), 1, answers);
    ASSERT_TRUE(loop.start(task));
    EXPECT_TRUE(task.done());
    EXPECT_EQ(answers, (std::vector<long>{2, 4, 6}));
  });
}

TEST(CallTest, NoRoomForAFrameIsAResult) {
  run(1, [](HostThread& self) {
    std::array<std::byte, 64> memory{};
    FrameArena frames(memory);
    Loop loop(self);
    NullPort<HostGround> null;
    std::vector<long> answers;
    EXPECT_FALSE(loop.run(ask(frames, loop, Doubles(null), 1, answers)));
  });
}

TEST(FrameArenaTest, GivesAgainWhatItGotBack) {
  alignas(16) std::array<std::byte, 512> memory{};
  FrameArena arena(memory);
  void* first = arena.take(100);
  void* second = arena.take(100);
  ASSERT_NE(first, nullptr);
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(first) % 16, 0u);
  FrameArena::give(first);
  EXPECT_EQ(arena.take(1000), nullptr);
  EXPECT_EQ(arena.take(100), first);
  FrameArena::give(second);
  FrameArena::give(first);
}

}  // namespace
}  // namespace odo::lwkt
