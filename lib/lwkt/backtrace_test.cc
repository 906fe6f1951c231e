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
#include <span>
#include <vector>

#include "lib/lwkt/host/system.h"

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

}  // namespace
}  // namespace odo::lwkt
