// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/log.h"

#include <array>
#include <atomic>
#include <cstddef>

#include "kernel/x86_64/lock.h"
#include "kernel/x86_64/per_cpu.h"
#include "kernel/x86_64/screen.h"
#include "kernel/x86_64/serial16550.h"

namespace odo::x86 {
namespace {

constinit IrqLock console_lock{};
// Under the console's lock, or a reporter's.
constinit KernelLog ring{};
constinit std::atomic<PerCpu*> reporter{nullptr};

void put_number(std::uint64_t value, unsigned base, int digits) {
  std::array<char, 24> text{};
  std::size_t at = text.size();
  do {
    text[--at] = "0123456789abcdef"[value % base];
    value /= base;
    --digits;
  } while (value != 0 || digits > 0);
  log_one(std::string_view(text.data() + at, text.size() - at));
}

}  // namespace

// Whether it is held depends on who reports.
ConsoleGuard::ConsoleGuard() ODO_NO_THREAD_SAFETY_ANALYSIS : is_held_(true) {
  while (!console_lock.try_lock()) {
    if (reporter.load(std::memory_order_relaxed) == &this_cpu()) {
      is_held_ = false;
      return;
    }
    pause();
  }
}

ConsoleGuard::~ConsoleGuard() ODO_NO_THREAD_SAFETY_ANALYSIS {
  if (is_held_) console_lock.unlock();
}

Reporter become_reporter() {
  PerCpu* first = nullptr;
  // Relaxed: who finds itself too late has nothing more to look at.
  if (reporter.compare_exchange_strong(first, &this_cpu(),
                                       std::memory_order_relaxed)) {
    return Reporter::kFirst;
  }
  return first == &this_cpu() ? Reporter::kAgain : Reporter::kTooLate;
}

bool is_report_under_way() {
  return reporter.load(std::memory_order_relaxed) != nullptr;
}

void write_console(Bytes bytes) {
  const ConsoleGuard guard;
  console_port.write(bytes);
  write_screen(bytes);
}

std::optional<console::LogLine> read_log(console::LogCursor& cursor,
                                         std::span<char> room) {
  const ConsoleGuard guard;
  return ring.read(cursor, room);
}

void log_one(std::string_view text) {
  ring.write(text, read_tsc());
  console_port.write_text(text);
  write_screen_text(text);
}
void log_one(Hex number) { put_number(number.value, 16, number.digits); }
void log_one(std::uint64_t number) { put_number(number, 10, 1); }

}  // namespace odo::x86
