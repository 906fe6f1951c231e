// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/backtrace.h"

#include <algorithm>
#include <cstddef>

#include "kernel/symbols/symbol_table.h"
#include "kernel/x86_64/image.h"
#include "kernel/x86_64/kernel_stacks.h"
#include "kernel/x86_64/log.h"
#include "kernel/x86_64/stacks.h"

namespace odo::x86 {
namespace {

constexpr unsigned kMaxFrames = 64;

[[nodiscard]] bool is_in_stack(std::uint64_t rbp) {
  const auto all = stacks();
  return rbp % 8 == 0 &&
         (is_on_kernel_stack(rbp, 16) ||
          std::any_of(all.begin(), all.end(), [&](const Stack& stack) {
            return stack.holds(rbp, 16);
          }));
}

// `look_up` differs from `address` for return addresses: a call that is the
// last instruction of its function returns into the next one.
void print_line(std::uint64_t address, std::uint64_t look_up) {
  const SymbolTable table(
      Bytes(reinterpret_cast<const std::byte*>(symbols_begin),
            static_cast<std::size_t>(symbols_used_end - symbols_begin)),
      kKernelOffset);
  const auto symbol = table.find(look_up);
  if (symbol) {
    log("    ", Hex{address, 16}, " ", symbol->name, "+0x",
        Hex{address - symbol->address}, "\n");
  } else {
    log("    ", Hex{address, 16}, " ?\n");
  }
}

}  // namespace

void print_backtrace(std::uint64_t rip, std::uint64_t rbp) {
  log("  backtrace:\n");
  print_line(rip, rip);
  for (unsigned i = 0; i < kMaxFrames && is_in_stack(rbp); ++i) {
    const auto* frame = reinterpret_cast<const std::uint64_t*>(rbp);
    const std::uint64_t caller_rbp = frame[0];
    const std::uint64_t return_address = frame[1];
    if (return_address < kKernelOffset) return;  // the boot code
    print_line(return_address, return_address - 1);
    if (caller_rbp <= rbp) return;
    rbp = caller_rbp;
  }
}

[[gnu::noinline]] void print_backtrace_here() {
  const auto* frame =
      static_cast<const std::uint64_t*>(__builtin_frame_address(0));
  print_backtrace(frame[1], frame[0]);
}

}  // namespace odo::x86
