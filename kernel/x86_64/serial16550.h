// SPDX-License-Identifier: BSD-3-Clause
// A 16550 serial port: output by filling its FIFO, input by interrupt into a
// ring, so that a CPU with nothing to do can halt until a key is pressed.
//
// Contexts: write from any (bytes of two contexts may interleave); take from
//   one thread; on_interrupt from the port's interrupt only. One CPU.
// Units: bytes. Shapes: input ring of kRingBytes; what comes faster than it is
//   taken away is dropped.
// Failure: a port that is not there loses output and gives no input; one whose
//   transmitter never empties does what its Patience says.
// Ordering: the ring's producer is an interrupt on the consumer's own CPU:
//   compiler order is enough, and release/acquire give it.
// Origin: National Semiconductor PC16550D data sheet, register descriptions.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "lib/base/bytes.h"

namespace odo::x86 {

// What to do about a line that takes no more bytes: diagnostics are given up,
// output that somebody asked for waits for its reader.
enum class Patience : std::uint8_t { kBounded, kEndless };

class SerialPort {
 public:
  constexpr SerialPort(std::uint16_t base, Patience patience)
      : base_(base), patience_(patience) {}

  // 115200 8N1, FIFOs on and empty. True when a port answers there.
  bool init();
  [[nodiscard]] bool is_present() const { return is_present_; }

  // Received bytes raise the port's interrupt line from here on.
  void enable_receive_interrupt();
  void on_interrupt();

  // The bytes as they are.
  void write(Bytes bytes);
  // For people: each "\n" leaves as CR LF.
  void write_text(std::string_view text);
  // Returns when the last byte has left the machine (bounded).
  void drain();

  // The next received byte; nullopt when there is none yet. Asks the port as
  // well, so that it works with interrupts off.
  [[nodiscard]] std::optional<std::byte> take();

 private:
  static constexpr std::size_t kRingBytes = 4096;

  void wait_for_room();
  void pull_received();
  [[nodiscard]] std::optional<std::byte> take_from_ring();

  std::uint16_t base_;
  Patience patience_;
  bool is_present_ = false;
  bool is_stuck_ = false;
  unsigned room_bytes_ = 0;             // FIFO places known to be free
  std::atomic<std::uint32_t> head_{0};  // next to fill; the interrupt's
  std::atomic<std::uint32_t> tail_{0};  // next to take; the thread's
  std::array<std::byte, kRingBytes> ring_{};
};

// COM1: conversation and diagnostics. COM2: what a run script prints.
extern SerialPort console_port;
extern SerialPort output_port;

}  // namespace odo::x86
