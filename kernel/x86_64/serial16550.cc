// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/serial16550.h"

#include <algorithm>

#include "kernel/x86_64/cpu.h"

namespace odo::x86 {
namespace {

// Registers, as offsets from the base port.
constexpr std::uint16_t kData = 0;        // and divisor low
constexpr std::uint16_t kInterrupts = 1;  // and divisor high
constexpr std::uint16_t kFifo = 2;
constexpr std::uint16_t kLine = 3;
constexpr std::uint16_t kModem = 4;
constexpr std::uint16_t kStatus = 5;
constexpr std::uint16_t kScratch = 7;

constexpr std::uint8_t kStatusReceived = 0x01;
constexpr std::uint8_t kStatusRoom = 0x20;  // transmit FIFO is empty
constexpr std::uint8_t kStatusIdle = 0x40;  // and so is the shift register
constexpr unsigned kFifoBytes = 16;
// Longer than a full FIFO takes at 300 baud on any machine; only a dead line
// waits so long, and only once.
constexpr unsigned kMaxSpins = 4'000'000;

}  // namespace

constinit SerialPort console_port{0x3f8, Patience::kBounded};
constinit SerialPort output_port{0x2f8, Patience::kEndless};

bool SerialPort::init() {
  // A byte that comes back proves a port: an empty bus reads as ones.
  out8(base_ + kScratch, 0x5a);
  is_present_ = in8(base_ + kScratch) == 0x5a;
  if (!is_present_) return false;
  out8(base_ + kInterrupts, 0);
  out8(base_ + kLine, 0x80);  // divisor latch
  out8(base_ + kData, 1);     // 115200 baud
  out8(base_ + kInterrupts, 0);
  out8(base_ + kLine, 0x03);   // 8 bits, no parity, one stop bit
  out8(base_ + kFifo, 0x07);   // on, both emptied, interrupt at one byte
  out8(base_ + kModem, 0x0b);  // DTR, RTS, interrupt line connected
  return true;
}

void SerialPort::enable_receive_interrupt() {
  if (is_present_) out8(base_ + kInterrupts, 0x01);
}

void SerialPort::pull_locked() {
  // A device that never runs dry must not hold us.
  for (unsigned i = 0; is_present_ && i < kRingBytes; ++i) {
    if ((in8(base_ + kStatus) & kStatusReceived) == 0) return;
    const std::byte byte{in8(base_ + kData)};
    input_.put(byte);
  }
}

void SerialPort::pull_received() {
  const IrqGuard guard(input_lock_);
  pull_locked();
}

bool SerialPort::has_input() {
  const IrqGuard guard(input_lock_);
  if (input_.empty()) pull_locked();
  return !input_.empty();
}

std::optional<std::byte> SerialPort::take() {
  const IrqGuard guard(input_lock_);
  if (input_.empty()) pull_locked();
  return input_.take();
}

void SerialPort::wait_for_room() {
  for (unsigned i = 0; i < kMaxSpins || patience_ == Patience::kEndless; ++i) {
    if ((in8(base_ + kStatus) & kStatusRoom) != 0) {
      room_bytes_ = kFifoBytes;
      return;
    }
    pause();
  }
  is_stuck_ = true;
}

void SerialPort::write(Bytes bytes) {
  while (!bytes.empty()) {
    if (!is_present_ || is_stuck_) return;
    if (room_bytes_ == 0) {
      wait_for_room();
      continue;
    }
    const std::size_t count = std::min<std::size_t>(room_bytes_, bytes.size());
    out_bytes(base_ + kData, bytes.first(count));
    room_bytes_ -= static_cast<unsigned>(count);
    bytes = bytes.subspan(count);
  }
}

void SerialPort::write_text(std::string_view text) {
  while (!text.empty()) {
    const std::size_t line = std::min(text.find('\n'), text.size());
    write(std::as_bytes(std::span(text.substr(0, line))));
    text.remove_prefix(line);
    if (!text.empty()) {
      write(std::as_bytes(std::span("\r\n", 2)));
      text.remove_prefix(1);
    }
  }
}

void SerialPort::drain() {
  for (unsigned i = 0; is_present_ && !is_stuck_ && i < kMaxSpins; ++i) {
    if ((in8(base_ + kStatus) & kStatusIdle) != 0) return;
    pause();
  }
}

}  // namespace odo::x86
