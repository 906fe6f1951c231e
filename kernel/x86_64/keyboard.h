// SPDX-License-Identifier: BSD-3-Clause
// The PS/2 keyboard, behind the 8042: keys as a terminal would send them.
//
// Contexts: any but NMI.
// Shapes: a ring of kRingBytes; what is typed faster than it is taken away is
//   dropped.
// Failure: without a controller no key ever comes; all waits are bounded.
// Origin: Intel 8042 as IBM's Personal System/2 Hardware Interface Technical
//   Reference describes it (command byte, translation to set 1).
#pragma once

#include <cstddef>
#include <optional>

namespace odo::x86 {

inline constexpr unsigned kKeyboardLine = 1;

// True when there is a controller: its keyboard is on, its interrupts are too.
bool init_keyboard();
[[nodiscard]] bool has_keyboard();

// In the thread of its interrupt: takes what was typed into the ring.
void pull_keys();
// Whether take_key() would give something.
[[nodiscard]] bool has_key();
// The next byte of what was typed. Asks the controller as well, so that it
// works with interrupts off.
[[nodiscard]] std::optional<std::byte> take_key();

}  // namespace odo::x86
