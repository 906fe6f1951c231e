// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/pic.h"

#include "kernel/x86_64/cpu.h"
#include "kernel/x86_64/traps.h"
#include "kernel/x86_64/vectors.h"
#include "lib/base/check.h"

namespace odo::x86 {
namespace {

constexpr std::uint16_t kFirstCommand = 0x20;
constexpr std::uint16_t kFirstData = 0x21;
constexpr std::uint16_t kSecondCommand = 0xa0;
constexpr std::uint16_t kSecondData = 0xa1;

void ignore(void*) {}

[[nodiscard]] bool is_in_service(std::uint16_t command, unsigned line) {
  out8(command, 0x0b);  // the next read is of what is in service
  return (in8(command) >> line & 1) != 0;
}

}  // namespace

void mask_pics() {
  out8(kFirstCommand, 0x11);  // initialise, four words follow
  out8(kSecondCommand, 0x11);
  out8(kFirstData, kPicFirstVector);
  out8(kSecondData, kPicFirstVector + 8);
  out8(kFirstData, 1u << 2);  // the second one hangs on line 2
  out8(kSecondData, 2);
  out8(kFirstData, 0x01);  // 8086 mode
  out8(kSecondData, 0x01);
  out8(kFirstData, 0xff);
  out8(kSecondData, 0xff);
  set_interrupt_handler(kPicFirstVector + 7, ignore, nullptr);
  set_interrupt_handler(kPicFirstVector + 15, ignore, nullptr);
}

void unmask_pic_line(unsigned line) {
  ODO_CHECK(line < 8);
  out8(kFirstData, static_cast<std::uint8_t>(in8(kFirstData) & ~(1u << line)));
}

void acknowledge_pic(unsigned line) {
  constexpr std::uint8_t kEndOfInterrupt = 0x20;
  if (line < 8) {
    if (line != 7 || is_in_service(kFirstCommand, 7)) {
      out8(kFirstCommand, kEndOfInterrupt);
    }
    return;
  }
  if (line != 15 || is_in_service(kSecondCommand, 7)) {
    out8(kSecondCommand, kEndOfInterrupt);
  }
  out8(kFirstCommand, kEndOfInterrupt);  // the line that the second one is on
}

}  // namespace odo::x86
