// SPDX-License-Identifier: BSD-3-Clause
// Who has which interrupt vector (docs/interrupts.md). Of several that wait,
// those of the higher sixteen go first.
//
// Contexts: any.
#pragma once

#include <cstdint>

namespace odo::x86 {

inline constexpr unsigned kFirstInterrupt = 32;
inline constexpr unsigned kVectors = 256;

// The lines of the two 8259, also when they are masked: they make up vectors.
inline constexpr std::uint8_t kPicFirstVector = 32;
inline constexpr std::uint8_t kPicLines = 16;
// Handed out to devices, one after the other.
inline constexpr std::uint8_t kFirstDeviceVector = 48;
inline constexpr std::uint8_t kLastDeviceVector = 239;
// Each CPU's own.
inline constexpr std::uint8_t kKickVector = 240;   // look at your work
inline constexpr std::uint8_t kTimerVector = 241;  // the time has come
inline constexpr std::uint8_t kApicErrorVector = 254;
inline constexpr std::uint8_t kSpuriousVector = 255;

}  // namespace odo::x86
