// SPDX-License-Identifier: BSD-3-Clause
// The commands that look into the kernel itself: dmesg, threads, backtrace,
// malloc.
//
// Contexts: thread; threads and backtrace wait for the CPUs that they ask.
// Failure: a Status; every trouble was told on the error channel. What the
// kernel has in its books may come from strangers (a disk's name), and reaches
// the console escaped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "lib/base/text.h"
#include "lib/console/log_ring.h"
#include "lib/monitor/options.h"
#include "lib/monitor/session.h"

namespace odo::monitor {

namespace detail {

[[nodiscard]] constexpr std::string_view state_name(ThreadState state) {
  switch (state) {
    case ThreadState::kNew:
      return "new";
    case ThreadState::kRunning:
      return "running";
    case ThreadState::kReady:
      return "ready";
    case ThreadState::kWaiting:
      return "waiting";
    case ThreadState::kAsleep:
      return "asleep";
    case ThreadState::kMoving:
      return "moving";
    case ThreadState::kPreempted:
      return "preempted";
    case ThreadState::kEnded:
      return "ended";
  }
  return "?";
}

// A demangled function without its parameters:
// "odo::(anonymous namespace)::f(int)" is cut before "(int)".
[[nodiscard]] constexpr std::string_view without_parameters(
    std::string_view name) {
  constexpr std::string_view kUnnamed = "(anonymous namespace)";
  std::size_t depth = 0;  // of template arguments
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (name[i] == '<') ++depth;
    if (name[i] == '>' && depth > 0) --depth;
    if (name[i] != '(' || depth > 0) continue;
    if (!slice(name, i).starts_with(kUnnamed)) return slice(name, 0, i);
    i += kUnnamed.size() - 1;
  }
  return name;
}

// The function that a frame is in, and how far. Where a thread goes on may be
// the first instruction of one that has not begun; a call that is the last
// instruction of its function returns into the next.
template <class S>
[[nodiscard]] auto function_of(S& s, const ThreadInfo& thread,
                               std::size_t frame) {
  const bool goes_on = frame == 0 && thread.state != ThreadState::kRunning;
  const std::uint64_t back = goes_on ? 0 : 1;
  auto function = s.machine.symbol(thread.frames[frame] - back);
  if (function) function->offset += back;
  return function;
}

template <class S>
void print_tokens(S& s, const ThreadInfo& thread) {
  for (const TokenInfo& token : thread.tokens) {
    const std::string_view verb = token.is_held ? ", holds "
                                  : thread.state == ThreadState::kWaiting
                                      ? ", wants "
                                      : ", gave up ";
    s.out.text(verb)
        .escaped(token.name)
        .text(token.is_shared ? " (shared)" : "");
  }
}

template <class S>
void print_thread(S& s, std::uint32_t cpu, const ThreadInfo& thread) {
  s.out.number(cpu, 3).number(thread.priority, 5).text("  ");
  s.out.left(state_name(thread.state), 10).escaped(thread.name);
  if (thread.asleep_on != 0) {
    s.out.text(", on 0x").hex(thread.asleep_on, 16);
  }
  if (!thread.frames.empty() && thread.state != ThreadState::kRunning) {
    if (const auto function = function_of(s, thread, 0)) {
      s.out.text(", in ").escaped(without_parameters(function->name));
    }
  }
  print_tokens(s, thread);
  s.out.text("\n");
}

template <class S>
void print_frames(S& s, const ThreadInfo& thread) {
  if (thread.frames.empty()) s.out.text("    nothing that can be told\n");
  for (std::size_t i = 0; i < thread.frames.size(); ++i) {
    s.out.text("    ").hex(thread.frames[i], 16).text(" ");
    if (const auto function = function_of(s, thread, i)) {
      s.out.escaped(function->name).text("+0x").hex(function->offset);
    } else {
      s.out.text("?");
    }
    s.out.text("\n");
  }
}

// take(cpu, thread) is called for each thread. CPUs that do not answer are
// told; kInterrupted by ^C.
template <class S, class Take>
[[nodiscard]] Status each_thread(S& s, std::string_view command, Take take) {
  Status status = Status::kDone;
  const std::uint32_t count = s.machine.cpu().count;
  for (std::uint32_t cpu = 0; cpu < count; ++cpu) {
    if (s.interrupted()) return Status::kInterrupted;
    for (std::size_t number = 0;; ++number) {
      ThreadInfo thread;
      const ThreadAnswer answer = s.machine.thread(cpu, number, thread);
      if (answer == ThreadAnswer::kNoMore) break;
      if (answer == ThreadAnswer::kNoAnswer) {
        s.begin_error(command).text("CPU ").number(cpu).text(
            " does not answer");
        status = s.end_error();
        break;
      }
      take(cpu, thread);
    }
  }
  return status;
}

}  // namespace detail

// "[    1.234567] odo: ...", seconds since power-on.
template <class S>
[[nodiscard]] Status command_dmesg(S& s, Words) {
  static_assert(S::kMaxPathBytes >= kMaxLogLineBytes);
  const std::span<char> room(s.path_buffer);
  odo::console::LogCursor cursor;
  for (unsigned count = 1; auto line = s.machine.log_line(cursor, room);
       ++count) {
    if (count % 64 == 0 && s.interrupted()) return Status::kInterrupted;
    if (line->lost_before) s.out.text("... lines were overwritten here\n");
    const std::uint64_t us = line->time / 1000;
    s.out.text("[").number(us / 1'000'000, 5).text(".");
    s.out.padded_number(us % 1'000'000, 6).text("] ");
    s.out.escaped(line->text).text("\n");
  }
  return Status::kDone;
}

template <class S>
[[nodiscard]] Status command_threads(S& s, Words) {
  bool is_any = false;
  const Status status = detail::each_thread(
      s, "threads", [&](std::uint32_t cpu, const ThreadInfo& thread) {
        if (!is_any) s.out.text("CPU  PRI  STATE     THREAD\n");
        is_any = true;
        detail::print_thread(s, cpu, thread);
      });
  if (!is_any && status == Status::kDone) {
    s.out.text("no threads: a script runs without any\n");
  }
  return status;
}

template <class S>
[[nodiscard]] Status command_backtrace(S& s, Words words) {
  if (words.size() != 2) {
    return s.bad_usage("backtrace", "the name of one thread");
  }
  bool is_any = false;
  const Status status = detail::each_thread(
      s, "backtrace", [&](std::uint32_t cpu, const ThreadInfo& thread) {
        if (thread.name != words[1]) return;
        is_any = true;
        detail::print_thread(s, cpu, thread);
        detail::print_frames(s, thread);
      });
  if (is_any || status != Status::kDone) return status;
  return s.complain("backtrace", words[1],
                    "no thread has this name: `threads` lists them");
}

template <class S>
[[nodiscard]] Status command_malloc(S& s, Words) {
  const MemoryInfo memory = s.machine.memory();
  s.out.text("mapped   ").size(memory.heap_bytes);
  s.out.text("\nobjects  ").number(memory.heap_objects).text(" of ");
  s.out.size(memory.heap_used_bytes).text("\nkept     ");
  s.out.size(memory.heap_kept_bytes).text("\n");
  s.out.text(
      "CPU      SLABS      MADE     FILLS    DRAINS     POSTS  HARVESTS\n");
  const std::uint32_t count = s.machine.cpu().count;
  for (std::uint32_t cpu = 0; cpu < count; ++cpu) {
    const HeapLaneInfo lane = s.machine.heap_lane(cpu);
    s.out.number(cpu, 3).number(lane.made - lane.unmade, 11);
    for (const std::uint64_t number :
         {lane.made, lane.fills, lane.drains, lane.posts, lane.harvests}) {
      s.out.number(number, 10);
    }
    s.out.text("\n");
  }
  return Status::kDone;
}

}  // namespace odo::monitor
