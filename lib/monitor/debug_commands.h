// SPDX-License-Identifier: BSD-3-Clause
// The commands that look into the kernel itself: dmesg.
//
// Contexts: thread.
// Failure: a Status; every trouble was told on the error channel. What the
// kernel has in its books may come from strangers (a disk's name), and reaches
// the console escaped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/console/log_ring.h"
#include "lib/monitor/options.h"
#include "lib/monitor/session.h"

namespace odo::monitor {

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

}  // namespace odo::monitor
