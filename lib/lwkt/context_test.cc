// SPDX-License-Identifier: BSD-3-Clause
// The switch itself: what it keeps, what it hands to a fresh stack.
#include "lib/lwkt/context.h"

#include <gtest/gtest.h>

#include <cfenv>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "lib/lwkt/host/stack_note.h"

namespace odo::lwkt {
namespace {

// Two stacks that hand the processor to and fro, sanitizers told.
struct Pair {
  Context main;
  Context other;
  StackNote main_note;
  StackNote other_note;
  FpuControl main_modes;
  FpuControl other_modes;
  std::vector<std::byte> stack = std::vector<std::byte>(64 * 1024);
  int steps = 0;
  std::uintptr_t entry_frame = 0;
  int rounding_seen = -1;

  void start(ContextEntry entry) {
    main_note.make({});
    other_note.make(stack);
    prepare_context(other, stack, entry);
  }
  void to_other() {
    StackNote::before_switch(main_note, other_note, false);
    switch_context(main, other);
    StackNote::after_switch(main_note);
  }
  void to_main() {
    StackNote::before_switch(other_note, main_note, false);
    switch_context(other, main);
    StackNote::after_switch(other_note);
  }
};
Pair* pair = nullptr;

TEST(ContextTest, GoesToAndFro) {
  Pair here;
  pair = &here;
  here.start([](Context* from, Context* to) {
    StackNote::after_switch(pair->other_note);
    EXPECT_EQ(from, &pair->main);
    EXPECT_EQ(to, &pair->other);
    pair->entry_frame =
        reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
    while (true) {
      ++pair->steps;
      pair->to_main();
    }
  });
  // Many values are live across the switches, in whatever registers.
  std::uint64_t sum = 0;
  double fraction = 0.5;
  for (int i = 0; i < 1000; ++i) {
    here.to_other();
    sum += static_cast<std::uint64_t>(i);
    fraction = fraction * 0.5 + 1.0;
    EXPECT_EQ(here.steps, i + 1);
  }
  EXPECT_EQ(sum, 499'500u);
  EXPECT_NEAR(fraction, 2.0, 1e-9);
  // As after a call: a frame pointer that was pushed lies at 16n.
  EXPECT_EQ(here.entry_frame % 16, 0u);
}

TEST(ContextTest, AUserThreadKeepsItsRoundingMode) {
  Pair here;
  pair = &here;
  here.start([](Context* /*from*/, Context* /*to*/) {
    StackNote::after_switch(pair->other_note);
    std::fesetround(FE_UPWARD);
    while (true) {
      StackNote::before_switch(pair->other_note, pair->main_note, false);
      switch_context(pair->other, pair->other_modes, pair->main,
                     pair->main_modes);
      StackNote::after_switch(pair->other_note);
      pair->rounding_seen = std::fegetround();
    }
  });
  std::fesetround(FE_DOWNWARD);
  for (int i = 0; i < 2; ++i) {
    StackNote::before_switch(here.main_note, here.other_note, false);
    switch_context(here.main, here.main_modes, here.other, here.other_modes);
    StackNote::after_switch(here.main_note);
    EXPECT_EQ(std::fegetround(), FE_DOWNWARD);
  }
  std::fesetround(FE_TONEAREST);
  EXPECT_EQ(here.rounding_seen, FE_UPWARD);
}

}  // namespace
}  // namespace odo::lwkt
