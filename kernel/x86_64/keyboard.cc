// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/keyboard.h"

#include <cstdint>

#include "kernel/x86_64/cpu.h"
#include "kernel/x86_64/lock.h"
#include "kernel/x86_64/screen.h"
#include "lib/base/byte_ring.h"
#include "lib/console/keyboard.h"

namespace odo::x86 {
namespace {

constexpr std::uint16_t kData = 0x60;
constexpr std::uint16_t kCommand = 0x64;  // and status
constexpr std::uint8_t kStatusReceived = 0x01;
constexpr std::uint8_t kStatusBusy = 0x02;
constexpr std::uint8_t kStatusFromMouse = 0x20;
constexpr std::uint8_t kReadConfig = 0x20;
constexpr std::uint8_t kWriteConfig = 0x60;
constexpr std::uint8_t kEnableKeyboard = 0xae;
// In the configuration byte.
constexpr std::uint8_t kInterrupts = 0x01;
constexpr std::uint8_t kKeyboardOff = 0x10;
constexpr std::uint8_t kTranslation = 0x40;

// About 50 ms of port reads: a controller answers in less than one.
constexpr unsigned kMaxSpins = 50'000;
constexpr unsigned kControllerBytes = 16;  // that it may hold
constexpr std::size_t kRingBytes = 256;

constinit bool is_there = false;
constinit IrqLock lock{};
constinit console::Keyboard keyboard ODO_GUARDED_BY(lock){};
constinit ByteRing<kRingBytes> ring ODO_GUARDED_BY(lock){};

[[nodiscard]] bool wait_until_ready() {
  for (unsigned i = 0; i < kMaxSpins; ++i) {
    if ((in8(kCommand) & kStatusBusy) == 0) return true;
  }
  return false;
}

[[nodiscard]] bool command(std::uint8_t value) {
  if (!wait_until_ready()) return false;
  out8(kCommand, value);
  return true;
}

[[nodiscard]] std::optional<std::uint8_t> answer() {
  for (unsigned i = 0; i < kMaxSpins; ++i) {
    if ((in8(kCommand) & kStatusReceived) != 0) return in8(kData);
  }
  return std::nullopt;
}

// Bounded: one that never empties must not hold us.
void pull() ODO_REQUIRES(lock) {
  for (unsigned i = 0; i < kControllerBytes; ++i) {
    const std::uint8_t status = in8(kCommand);
    if ((status & kStatusReceived) == 0) return;
    const std::uint8_t code = in8(kData);
    if ((status & kStatusFromMouse) != 0) continue;
    const console::KeyPress press = keyboard.take(code);
    if (press.look != console::Look::kNowhere) look(press.look);
    if (ring.room() < press.size) continue;
    for (const char c : press.text()) ring.put(static_cast<std::byte>(c));
  }
}

}  // namespace

bool init_keyboard() {
  // An empty bus reads as ones, and a controller is never all that at once.
  if (in8(kCommand) == 0xff) return false;
  for (unsigned i = 0; i < kControllerBytes; ++i) {
    if ((in8(kCommand) & kStatusReceived) == 0) break;
    static_cast<void>(in8(kData));
  }
  if (!command(kReadConfig)) return false;
  const auto config = answer();
  if (!config || !command(kWriteConfig) || !wait_until_ready()) return false;
  out8(kData, static_cast<std::uint8_t>((*config | kInterrupts | kTranslation) &
                                        ~kKeyboardOff));
  is_there = command(kEnableKeyboard);
  return is_there;
}

bool has_keyboard() { return is_there; }

void pull_keys() {
  if (!is_there) return;
  const IrqGuard guard(lock);
  pull();
}

bool has_key() {
  if (!is_there) return false;
  const IrqGuard guard(lock);
  if (ring.empty()) pull();
  return !ring.empty();
}

std::optional<std::byte> take_key() {
  if (!is_there) return std::nullopt;
  const IrqGuard guard(lock);
  if (ring.empty()) pull();
  return ring.take();
}

}  // namespace odo::x86
