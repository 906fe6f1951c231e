// SPDX-License-Identifier: BSD-3-Clause
// Whoever looks back from inside a thread finds its callers up to its entry,
// and there an end: by frame pointers, as kernels and profilers do it, and by
// unwind tables, as debuggers and exceptions do.
//
// Built with -fno-omit-frame-pointer.
#include <execinfo.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <random>
#include <span>
#include <string_view>
#include <vector>

#include "lib/lwkt/census.h"
#include "lib/lwkt/host/system.h"
#include "lib/lwkt/sleep.h"
#include "lib/lwkt/stack_walk.h"

namespace odo::lwkt {
namespace {

using Frames = std::vector<void*>;

constexpr std::size_t kMany = 64;

// The compiler may not leave a function early by jumping into the next.
void stay() { asm volatile("" ::: "memory"); }

struct Looks {
  bool left_stack = false;  // a frame pointer led somewhere else
  bool ended = false;       // there was an oldest frame
  Frames by_frame_pointer;  // return addresses, youngest first
  Frames by_tables;
  Frames expected;  // of the two youngest functions, as they know it themselves
};

[[gnu::noinline]] void look_back(HostThread& self, Looks& looks) {
  struct Frame {
    const Frame* older;
    void* returns_to;
  };
  const std::span<std::byte> stack = self.stack();
  const auto* frame = static_cast<const Frame*>(__builtin_frame_address(0));
  for (std::size_t i = 0; i < kMany; ++i) {
    const auto* at = reinterpret_cast<const std::byte*>(frame);
    if (at < stack.data() || at >= stack.data() + stack.size()) {
      looks.left_stack = true;
      break;
    }
    looks.by_frame_pointer.push_back(frame->returns_to);
    frame = frame->older;
    looks.ended = frame == nullptr;
    if (looks.ended) break;
  }

  std::array<void*, kMany> found{};
  const int count = backtrace(found.data(), static_cast<int>(kMany));
  // From our caller on: before that are we, and what a sanitizer puts between.
  const auto end = found.begin() + count;
  looks.by_tables.assign(
      std::find(found.begin(), end, __builtin_return_address(0)), end);
  looks.expected.push_back(__builtin_return_address(0));
  stay();
}
[[gnu::noinline]] void look_back_from_deeper(HostThread& self, Looks& looks) {
  look_back(self, looks);
  looks.expected.push_back(__builtin_return_address(0));
  stay();
}

void expect_the_whole_way(const Looks& looks) {
  EXPECT_FALSE(looks.left_stack);
  EXPECT_TRUE(looks.ended);
  ASSERT_GE(looks.by_frame_pointer.size(), 4U);
  EXPECT_LT(looks.by_tables.size(), kMany - 1);
  ASSERT_EQ(looks.expected.size(), 2U);
  EXPECT_EQ(looks.by_frame_pointer[0], looks.expected[0]);
  EXPECT_EQ(looks.by_frame_pointer[1], looks.expected[1]);
  // The entry of a thread returns to nowhere; who reads tables stops before.
  EXPECT_EQ(looks.by_frame_pointer.back(), nullptr);
  EXPECT_EQ(std::ranges::count(looks.by_frame_pointer, nullptr), 1);
  const Frames callers(looks.by_frame_pointer.begin(),
                       std::prev(looks.by_frame_pointer.end()));
  EXPECT_EQ(looks.by_tables, callers);
}

TEST(BacktraceTest, EndsAtTheEntryOfAThread) {
  Looks looks;
  run(1, [&](HostThread& self) {
    look_back_from_deeper(self, looks);
    stay();
  });
  expect_the_whole_way(looks);
}

TEST(BacktraceTest, IsTheSameAfterASwitch) {
  struct Both {
    Looks before;
    Looks after;
    int others = 0;
  } both;
  run(1, [&](HostThread& self) {
    auto made = self.cpu().create(
        [](HostThread& other, void* argument) {
          ++static_cast<Both*>(argument)->others;
          other.yield();
        },
        &both);
    ASSERT_TRUE(made.has_value());
    self.cpu().start(**made);
    for (Looks* looks : {&both.before, &both.after}) {
      look_back_from_deeper(self, *looks);
      if (looks == &both.before) self.yield();
    }
    self.join(**made);
  });
  EXPECT_EQ(both.others, 1);
  expect_the_whole_way(both.before);
  expect_the_whole_way(both.after);
  // But for the place of the call, of which a compiler may make two.
  const auto callers = [](const Looks& looks) {
    return std::span(looks.by_frame_pointer).subspan(2);
  };
  EXPECT_TRUE(std::ranges::equal(callers(both.before), callers(both.after)));
}

// A thread that borrows the CPU stands on its own stack, not on the lender's.
TEST(BacktraceTest, OfABorrowerHasNothingOfTheLender) {
  Looks lender;
  Looks borrower;
  run(1, [&](HostThread& self) {
    auto made = self.cpu().create(
        [](HostThread& other, void* argument) {
          look_back_from_deeper(other, *static_cast<Looks*>(argument));
          stay();
        },
        &borrower, {.name = "borrower", .priority = kInterruptHigh});
    ASSERT_TRUE(made.has_value());
    look_back_from_deeper(self, lender);
    self.cpu().start(**made);  // and it runs
    self.join(**made);
  });
  expect_the_whole_way(lender);
  expect_the_whole_way(borrower);
  EXPECT_NE(borrower.by_frame_pointer[1], lender.by_frame_pointer[1]);
}

// --- a census ----------------------------------------------------------------

constexpr tokens::TokenClass kBoxClass{"box"};
constexpr tokens::TokenClass kLidClass{"lid"};
using HostToken = tokens::Token<HostGround>;

struct House {
  HostToken box{kBoxClass};
  HostToken lid{kLidClass};
  int bed = 0;
  void* called_from = nullptr;
};

[[gnu::noinline]] void sleep_in_bed(HostThread& self, House& house) {
  house.called_from = __builtin_return_address(0);
  Sleepers<HostGround>::sleep(self, &house.bed);
  stay();
}
[[gnu::noinline]] void go_to_bed(HostThread& self, House& house) {
  self.tokens().acquire(house.box);
  sleep_in_bed(self, house);
  self.tokens().release(house.box);
}

TEST(CensusTest, TellsWhereEachThreadIsAndWhatItWaitsFor) {
  House house;
  run(1, [&](HostThread& self) {
    HostCpu& cpu = self.cpu();
    const auto make = [&](const char* name, HostThread::Entry entry) {
      auto made = cpu.create(entry, &house, {.name = name});
      EXPECT_TRUE(made.has_value());
      return *made;
    };
    HostThread* sleeper = make("sleeper", [](HostThread& thread, void* house) {
      go_to_bed(thread, *static_cast<House*>(house));
    });
    HostThread* waiter = make("waiter", [](HostThread& thread, void* house) {
      auto& the = *static_cast<House*>(house);
      thread.tokens().acquire_shared(the.lid);
      thread.tokens().release(the.lid);
    });
    cpu.start(*sleeper);
    self.tokens().acquire(house.lid);
    self.enter_critical();
    ThreadFacts facts;
    const auto find = [&](std::string_view name) {
      for (std::size_t i = 0; Census<HostGround>::look(cpu, i, facts); ++i) {
        if (facts.name == name) return true;
      }
      return false;
    };
    ASSERT_TRUE(find("waiter"));
    EXPECT_EQ(facts.place, Place::kNew);
    EXPECT_TRUE(facts.frame_list().empty());
    EXPECT_FALSE(find("nobody"));
    EXPECT_FALSE(find("idle")) << "it does not run";
    ASSERT_TRUE(find("main"));
    EXPECT_EQ(facts.place, Place::kRunning);
    ASSERT_EQ(facts.token_count, 1U);
    EXPECT_STREQ(facts.tokens[0].name, "lid");
    EXPECT_TRUE(facts.tokens[0].is_held);
    EXPECT_FALSE(facts.tokens[0].is_shared);
    EXPECT_GE(facts.frame_count, 1U) << "we stand on its stack";
    self.exit_critical();

    cpu.start(*waiter);
    self.yield();
    // Both have run; the yield gave up our token, and took it back before the
    // waiter could have it, or it has ended.
    self.enter_critical();
    ASSERT_TRUE(find("sleeper"));
    EXPECT_EQ(facts.place, Place::kAsleep);
    EXPECT_EQ(facts.asleep_on, reinterpret_cast<std::uintptr_t>(&house.bed));
    ASSERT_EQ(facts.token_count, 1U);
    EXPECT_STREQ(facts.tokens[0].name, "box");
    EXPECT_FALSE(facts.tokens[0].is_held) << "given up for the sleep";
    const auto frames = facts.frame_list();
    EXPECT_GE(frames.size(), 3U);
    EXPECT_EQ(std::ranges::count(
                  frames, reinterpret_cast<std::uintptr_t>(house.called_from)),
              1);
    self.exit_critical();
    self.tokens().release(house.lid);
    Sleepers<HostGround>::wakeup(self, &house.bed);
    self.join(*sleeper);
    self.join(*waiter);
  });
}

TEST(CensusTest, SaysWhichTokenAThreadCannotHave) {
  House house;
  run(1, [&](HostThread& self) {
    // A borrower of the CPU finds its lender with the token in hand.
    auto made = self.cpu().create(
        [](HostThread& thread, void* house) {
          auto& the = *static_cast<House*>(house);
          thread.tokens().acquire(the.lid);
          thread.tokens().release(the.lid);
        },
        &house, {.name = "borrower", .priority = kInterruptHigh});
    ASSERT_TRUE(made.has_value());
    self.tokens().acquire_shared(house.lid);
    self.cpu().start(**made);
    self.enter_critical();
    ThreadFacts facts;
    bool is_found = false;
    for (std::size_t i = 0; Census<HostGround>::look(self.cpu(), i, facts);
         ++i) {
      if (facts.name != std::string_view("borrower")) continue;
      is_found = true;
      EXPECT_TRUE(facts.waits_for_tokens);
      EXPECT_EQ(facts.place, Place::kQueued);
      ASSERT_EQ(facts.token_count, 1U);
      EXPECT_STREQ(facts.tokens[0].name, "lid");
      EXPECT_FALSE(facts.tokens[0].is_held);
      EXPECT_GE(facts.frame_count, 2U);
    }
    EXPECT_TRUE(is_found);
    self.exit_critical();
    self.tokens().release(house.lid);
    self.join(**made);
  });
}

// --- broken stacks -----------------------------------------------------------

TEST(StackWalkTest, EndsOnAnyStackAndReadsNothingElse) {
  for (unsigned seed = 0; seed < 2000; ++seed) {
    std::mt19937_64 random(seed);
    // Exactly as long as it says: a sanitizer sees what is read beside it.
    std::vector<std::uintptr_t> stack(32);
    const auto low = reinterpret_cast<std::uintptr_t>(stack.data());
    const std::size_t bytes = stack.size() * sizeof(stack[0]);
    for (std::uintptr_t& word : stack) {
      word = random() % 4 == 0 ? random() : low - 16 + random() % (bytes + 32);
      if (random() % 2 == 0) word &= ~std::uintptr_t{7};
    }
    unsigned visits = 0;
    walk_frames(
        low + random() % 64 * 8 - 64,
        [&](std::uintptr_t address, std::size_t wanted) {
          return address >= low && address - low <= bytes - wanted;
        },
        [&](std::uintptr_t) { return ++visits < 1000; });
    EXPECT_LE(visits, stack.size() / 2);
  }
}

TEST(StackWalkTest, IsBoundedAndStopsWhereItIsTold) {
  std::vector<std::uintptr_t> stack(1000);
  const auto low = reinterpret_cast<std::uintptr_t>(stack.data());
  for (std::size_t i = 0; i + 1 < stack.size(); i += 2) {
    stack[i] = low + (i + 2) * 8;
    stack[i + 1] = 1000 + i;
  }
  const auto everywhere = [&](std::uintptr_t address, std::size_t bytes) {
    return address - low <= stack.size() * 8 - bytes;
  };
  std::vector<std::uintptr_t> seen;
  walk_frames(low, everywhere, [&](std::uintptr_t address) {
    seen.push_back(address);
    return true;
  });
  EXPECT_EQ(seen.size(), kMaxFrames);
  EXPECT_EQ(seen[1], 1002U);
  unsigned visits = 0;
  walk_frames(low, everywhere, [&](std::uintptr_t) { return ++visits < 3; });
  EXPECT_EQ(visits, 3U);
  stack[3] = 0;  // a thread's beginning
  visits = 0;
  walk_frames(low, everywhere, [&](std::uintptr_t) { return ++visits < 9; });
  EXPECT_EQ(visits, 1U);
}

}  // namespace
}  // namespace odo::lwkt
