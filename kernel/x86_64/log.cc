// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/log.h"

#include <array>
#include <cstddef>

#include "kernel/x86_64/screen.h"
#include "kernel/x86_64/serial16550.h"

namespace odo::x86 {
namespace {

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

void log_one(std::string_view text) {
  console_port.write_text(text);
  write_screen_text(text);
}
void log_one(Hex number) { put_number(number.value, 16, number.digits); }
void log_one(std::uint64_t number) { put_number(number, 10, 1); }

}  // namespace odo::x86
