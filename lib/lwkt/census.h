// SPDX-License-Identifier: BSD-3-Clause
// What a debugger may know of a thread, copied from where the thread is: its
// place, what it waits for, its tokens, who called whom.
//
// Contexts: look() on the CPU in question, in a critical section of its current
//   thread or in a call that another CPU has it make (Cpu::call_on()).
// Ownership: names are their owners' (literals, as a rule).
// Failure: none; a thread's stack may be broken (stack_walk.h).
// Complexity: a step over the list for each thread before the wanted one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/lwkt/cpu.h"
#include "lib/lwkt/inspector.h"
#include "lib/lwkt/stack_walk.h"
#include "lib/tokens/token_stack.h"

namespace odo::lwkt {

struct TokenFacts {
  const char* name = "";
  bool is_shared = false;
  // Else it is wanted: the thread waits for it, or had it before it stopped and
  // takes it back before it runs.
  bool is_held = false;
};

struct ThreadFacts {
  static constexpr std::size_t kMaxTokens = 32;

  const char* name = "";
  unsigned cpu = 0;
  Place place = Place::kNew;
  Priority priority = 0;
  // It is in the run queue, and its tokens are to be had first.
  bool waits_for_tokens = false;
  // What it sleeps on, if on an address.
  std::uintptr_t asleep_on = 0;
  std::size_t token_count = 0;
  std::array<TokenFacts, kMaxTokens> tokens;
  // Where it goes on, then return addresses, youngest first; for the thread
  // that runs, return addresses alone.
  std::size_t frame_count = 0;
  std::array<std::uintptr_t, kMaxFrames + 1> frames;

  [[nodiscard]] std::span<const TokenFacts> token_list() const {
    return std::span(tokens).first(token_count);
  }
  [[nodiscard]] std::span<const std::uintptr_t> frame_list() const {
    return std::span(frames).first(frame_count);
  }
};

template <LwktPlatform P>
class Census {
 public:
  // Of the CPU's threads: the idle thread if it has the CPU, the living, then
  // the dead that wait for a join. False if there are no more than `number`.
  // Between calls threads come and go, and one may be missed or seen twice.
  [[nodiscard]] static bool look(Cpu<P>& cpu, std::size_t number,
                                 ThreadFacts& facts) {
    Thread<P>* thread = Inspector<P>::thread_at(cpu, number);
    if (thread == nullptr) return false;
    facts.name = thread->name();
    facts.cpu = cpu.index();
    facts.place = thread->place();
    facts.priority = thread->priority();
    facts.waits_for_tokens =
        facts.place == Place::kQueued && Inspector<P>::has_lapsed(*thread);
    // Who only intends to sleep is on the address's list as well.
    facts.asleep_on =
        facts.place == Place::kAsleep ? Inspector<P>::asleep_on(*thread) : 0;
    copy_tokens(*thread, facts);
    copy_frames(*thread, facts);
    return true;
  }

 private:
  static void copy_tokens(Thread<P>& thread, ThreadFacts& facts) {
    using Ref = tokens::TokenRef<P>;
    static_assert(tokens::TokenStack<P>::kMaxTokens <= ThreadFacts::kMaxTokens);
    facts.token_count = 0;
    for (const Ref& ref : thread.tokens().refs()) {
      facts.tokens[facts.token_count++] = {ref.token->name(),
                                           ref.want == tokens::Want::kShared,
                                           ref.have != Ref::Have::kNothing};
    }
  }

  static void copy_frames(const Thread<P>& thread, ThreadFacts& facts) {
    facts.frame_count = 0;
    const auto take = [&](std::uintptr_t address) {
      facts.frames[facts.frame_count++] = address;
      return true;
    };
    const std::span<const std::byte> stack = thread.stack();
    const auto low = reinterpret_cast<std::uintptr_t>(stack.data());
    const auto holds = [&](std::uintptr_t address, std::size_t bytes) {
      return address >= low && address - low < stack.size() &&
             bytes <= stack.size() - (address - low);
    };
    std::uintptr_t frame = 0;
    switch (facts.place) {
      case Place::kNew:
      case Place::kDead:
        return;
      case Place::kRunning:
        // We stand on its stack, or somewhere that is not looked at.
        frame = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
        break;
      case Place::kQueued:
      case Place::kAsleep:
      case Place::kMoving:
      case Place::kPreempted: {
        const Context& context = Inspector<P>::context_of(thread);
        static_cast<void>(
            take(reinterpret_cast<std::uintptr_t>(context.resume_at)));
        frame = reinterpret_cast<std::uintptr_t>(context.frame_pointer);
        break;
      }
    }
    walk_frames(frame, holds, take);
  }
};

}  // namespace odo::lwkt
