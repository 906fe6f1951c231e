// SPDX-License-Identifier: BSD-3-Clause
// A 16550 serial port: output by filling its FIFO, input by interrupt into a
// ring, so that a CPU with nothing to do can halt until a key is pressed.
//
// Contexts: output from any, one at a time (the console's: log.h); input from
//   any but NMI.
// Units: bytes. Shapes: input ring of kRingBytes; what comes faster than it is
//   taken away is dropped.
// Failure: a port that is not there loses output and gives no input; one whose
//   transmitter never empties does what its Patience says.
// Origin: National Semiconductor PC16550D data sheet, register descriptions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "kernel/x86_64/lock.h"
#include "lib/base/byte_ring.h"
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
  // In its interrupt, or the thread that serves that: takes what came into the
  // ring. Without an edge of the line no further interrupt comes, so the port
  // is empty afterwards; what there is no room for is dropped.
  void pull_received();
  // Whether take() would give something.
  [[nodiscard]] bool has_input();

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
  void pull_locked() ODO_REQUIRES(input_lock_);

  std::uint16_t base_;
  Patience patience_;
  bool is_present_ = false;
  bool is_stuck_ = false;
  unsigned room_bytes_ = 0;  // FIFO places known to be free
  IrqLock input_lock_;
  ByteRing<kRingBytes> input_ ODO_GUARDED_BY(input_lock_);
};

// COM1: conversation and diagnostics. COM2: what a run script prints.
extern SerialPort console_port;
extern SerialPort output_port;

}  // namespace odo::x86
