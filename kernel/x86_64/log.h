// SPDX-License-Identifier: BSD-3-Clause
// The kernel's own words on the console line and the screen: text and numbers,
// unbuffered, usable from the first instruction of C++ to the last of a crash.
// The last kLogBytes of them stay in memory, for dmesg.
//
// Contexts: any, on any CPU. What one call prints is not mixed with another's.
// Waits while the line is busy, for a bounded time, or while another CPU
// prints. A CPU that reports a panic or a fault waits for nobody: what another,
// which it has stopped, was saying just then is cut off there.
// Failure: none that is told; a dead line loses text.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

#include "kernel/x86_64/cpu.h"
#include "lib/base/bytes.h"
#include "lib/console/log_ring.h"

namespace odo::x86 {

// A number in hexadecimal: with `digits`, padded to that many.
struct Hex {
  std::uint64_t value;
  int digits = 1;
};

// Has the console for as long as it lives, with interrupts off. A CPU that
// prints a report (see below) has it anyway.
class ConsoleGuard {
 public:
  ConsoleGuard();
  ~ConsoleGuard();
  ConsoleGuard(const ConsoleGuard&) = delete;
  ConsoleGuard& operator=(const ConsoleGuard&) = delete;

 private:
  InterruptsOff off_;
  bool is_held_;
};

// From here on this CPU's words go before all others', who may have stopped in
// the middle of theirs: for a report of what went wrong.
enum class Reporter : std::uint8_t {
  kFirst,    // it is to report
  kAgain,    // it does already: something went wrong once more
  kTooLate,  // another CPU does
};
[[nodiscard]] Reporter become_reporter();
[[nodiscard]] bool is_report_under_way();
// By this CPU.
[[nodiscard]] bool is_reporting();

// In an NMI that nobody sent, on this CPU; `control` is what the system control
// port said. One line, now or when whoever has the console is done with it: it
// may be us. Of several at once the last is told.
void log_stray_nmi(std::uint8_t control);

// With a guard.
void log_one(std::string_view text);
void log_one(Hex number);
void log_one(std::uint64_t number);

// log("mapped ", bytes, " at ", Hex{address}, "\n"): "\n" becomes CR LF.
template <class... Parts>
void log(const Parts&... parts) {
  const auto one = [](const auto& part) {
    if constexpr (std::unsigned_integral<std::remove_cvref_t<decltype(part)>>) {
      log_one(std::uint64_t{part});
    } else {
      log_one(part);
    }
  };
  const ConsoleGuard guard;
  (one(parts), ...);
}

inline constexpr std::size_t kLogBytes = std::size_t{64} << 10;
using KernelLog = console::LogRing<kLogBytes>;

// The next line of what log() said, its time in cycles since power-on. `room`
// has at least KernelLog::kMaxLineBytes. Any context but NMI.
[[nodiscard]] std::optional<console::LogLine> read_log(
    console::LogCursor& cursor, std::span<char> room);

// The bytes as they are, to the line and the screen.
void write_console(Bytes bytes);

}  // namespace odo::x86
