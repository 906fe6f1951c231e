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

// A stray NMI that is still to be told: the CPU, the control port, and a bit
// that says so.
constinit std::atomic<std::uint32_t> untold_nmi{0};
constexpr std::uint32_t kIsUntold = 1u << 31;

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

void tell_nmi(std::uint32_t untold) {
  constexpr std::uint32_t kIoCheck = 1u << 6;
  constexpr std::uint32_t kSystemError = 1u << 7;
  log_one("\nodo: an NMI that nobody sent, on CPU ");
  log_one(std::uint64_t{(untold & ~kIsUntold) >> 8});
  log_one((untold & kSystemError) != 0 ? ": the chipset reports a system error"
          : (untold & kIoCheck) != 0   ? ": a device failed its check"
                                       : "; going on");
  log_one("\n");
}

// Who was told to wait until the console is free may have been told by an NMI
// after its holder's last look: it is looked for when it is free.
void tell_stray_nmis() ODO_NO_THREAD_SAFETY_ANALYSIS {
  while (untold_nmi.load(std::memory_order_relaxed) != 0 &&
         console_lock.try_lock()) {
    const std::uint32_t untold =
        untold_nmi.exchange(0, std::memory_order_relaxed);
    if (untold != 0) tell_nmi(untold);
    console_lock.unlock();
  }
}

}  // namespace

// Whether it is held depends on who reports.
ConsoleGuard::ConsoleGuard() ODO_NO_THREAD_SAFETY_ANALYSIS : is_held_(true) {
  while (!console_lock.try_lock()) {
    if (is_reporting()) {
      is_held_ = false;
      return;
    }
    pause();
  }
}

ConsoleGuard::~ConsoleGuard() ODO_NO_THREAD_SAFETY_ANALYSIS {
  if (!is_held_) return;
  console_lock.unlock();
  tell_stray_nmis();
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

void log_stray_nmi(std::uint8_t control) {
  untold_nmi.store(kIsUntold | this_cpu().index << 8 | control,
                   std::memory_order_relaxed);
  tell_stray_nmis();
}

bool is_reporting() {
  return reporter.load(std::memory_order_relaxed) == &this_cpu();
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
