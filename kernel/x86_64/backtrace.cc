// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/backtrace.h"

#include <algorithm>
#include <cstddef>

#include "kernel/x86_64/image.h"
#include "kernel/x86_64/kernel_stacks.h"
#include "kernel/x86_64/log.h"
#include "kernel/x86_64/stacks.h"
#include "lib/lwkt/stack_walk.h"

namespace odo::x86 {
namespace {

[[nodiscard]] bool is_in_stack(std::uint64_t address, std::size_t bytes) {
  const auto all = stacks();
  return is_on_kernel_stack(address, bytes) ||
         std::any_of(all.begin(), all.end(), [&](const Stack& stack) {
           return stack.holds(address, bytes);
         });
}

// `look_up` differs from `address` for return addresses: a call that is the
// last instruction of its function returns into the next one.
void print_line(std::uint64_t address, std::uint64_t look_up) {
  if (const auto symbol = function_at(look_up)) {
    log("    ", Hex{address, 16}, " ", symbol->name, "+0x",
        Hex{address - symbol->address}, "\n");
  } else {
    log("    ", Hex{address, 16}, " ?\n");
  }
}

}  // namespace

std::optional<Symbol> function_at(std::uint64_t address) {
  const SymbolTable table(
      Bytes(reinterpret_cast<const std::byte*>(symbols_begin),
            static_cast<std::size_t>(symbols_used_end - symbols_begin)),
      kKernelOffset);
  return table.find(address);
}

void print_backtrace(std::uint64_t rip, std::uint64_t rbp) {
  log("  backtrace:\n");
  print_line(rip, rip);
  lwkt::walk_frames(rbp, is_in_stack, [](std::uint64_t return_address) {
    if (return_address < kKernelOffset) return false;  // the boot code
    print_line(return_address, return_address - 1);
    return true;
  });
}

[[gnu::noinline]] void print_backtrace_here() {
  const auto* frame =
      static_cast<const std::uint64_t*>(__builtin_frame_address(0));
  print_backtrace(frame[1], frame[0]);
}

}  // namespace odo::x86
