// SPDX-License-Identifier: BSD-3-Clause
// What happened in an execution, one line an operation, for a person to read.
//
// Contexts: one host thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

#include "lib/platform/sim/view.h"

namespace odo::sim {

inline constexpr LocationId kNoLocation = ~LocationId{0};

enum class PlainAccess : std::uint8_t { kRead, kWrite };

[[nodiscard]] inline const char* order_name(std::memory_order order) {
  switch (order) {
    case std::memory_order_relaxed:
      return "relaxed";
    case std::memory_order_consume:
      return "consume";
    case std::memory_order_acquire:
      return "acquire";
    case std::memory_order_release:
      return "release";
    case std::memory_order_acq_rel:
      return "acq_rel";
    case std::memory_order_seq_cst:
      return "seq_cst";
  }
  return "?";
}

// "token.h:120:7", without the folders.
[[nodiscard]] inline std::string trace_place(
    const std::source_location& where) {
  std::string_view file = where.file_name();
  if (const auto slash = file.rfind('/'); slash != std::string_view::npos) {
    file.remove_prefix(slash + 1);
  }
  return std::string(file) + ":" + std::to_string(where.line()) + ":" +
         std::to_string(where.column());
}

struct TraceEvent {
  std::uint32_t cpu;
  ThreadId thread;
  const char* what;
  LocationId location;
  std::memory_order order;
  std::uint64_t value;
  std::source_location where;
};

class Trace {
 public:
  void add(const TraceEvent& event) { events_.push_back(event); }
  [[nodiscard]] std::size_t size() const { return events_.size(); }

  // One line an event: cpu, thread, operation, location, order, value, place.
  [[nodiscard]] std::string text() const {
    std::string out;
    char line[160];
    std::size_t number = 0;
    for (const TraceEvent& event : events_) {
      if (event.location == kNoLocation) {
        std::snprintf(line, sizeof line, "%5zu cpu%u t%-2u %-11s %-8s %16s  ",
                      number, event.cpu, event.thread, event.what,
                      event.what[0] == 'f' ? order_name(event.order) : "", "");
      } else {
        std::snprintf(line, sizeof line,
                      "%5zu cpu%u t%-2u %-11s %-8s a%-3u = 0x%-8llx  ", number,
                      event.cpu, event.thread, event.what,
                      order_name(event.order), event.location,
                      static_cast<unsigned long long>(event.value));
      }
      out += line;
      out += trace_place(event.where);
      out += '\n';
      ++number;
    }
    return out;
  }

 private:
  std::vector<TraceEvent> events_;
};

}  // namespace odo::sim
