// SPDX-License-Identifier: BSD-3-Clause
// Where an AHCI controller's registers are, and what their bits mean.
//
// Contexts: any.
// Origin: Serial ATA AHCI 1.3.1 §3.1 (controller), §3.3 (port).
#pragma once

#include <cstdint>

namespace odo::ahci {

namespace reg {

inline constexpr std::uint32_t kCapabilities = 0x00;
inline constexpr std::uint32_t kControl = 0x04;
inline constexpr std::uint32_t kPorts = 0x0c;
inline constexpr std::uint32_t kCapabilities2 = 0x24;
inline constexpr std::uint32_t kHandOff = 0x28;

// Of a port, from port_base() on.
inline constexpr std::uint32_t kCommandList = 0x00;  // 64 bits
inline constexpr std::uint32_t kReceived = 0x08;     // 64 bits
inline constexpr std::uint32_t kInterruptStatus = 0x10;
inline constexpr std::uint32_t kInterruptEnable = 0x14;
inline constexpr std::uint32_t kCommand = 0x18;
inline constexpr std::uint32_t kTaskFile = 0x20;
inline constexpr std::uint32_t kSignature = 0x24;
inline constexpr std::uint32_t kLinkStatus = 0x28;
inline constexpr std::uint32_t kLinkControl = 0x2c;
inline constexpr std::uint32_t kLinkErrors = 0x30;
inline constexpr std::uint32_t kActive = 0x34;
inline constexpr std::uint32_t kIssue = 0x38;

}  // namespace reg

inline constexpr unsigned kMaxPorts = 32;
inline constexpr std::uint32_t kPortBytes = 0x80;

[[nodiscard]] constexpr std::uint32_t port_base(unsigned port) {
  return 0x100 + port * kPortBytes;
}

// kCapabilities
inline constexpr std::uint32_t kCapStaggered = 1u << 27;
inline constexpr std::uint32_t kCapQueued = 1u << 30;
inline constexpr std::uint32_t kCap64Bits = 1u << 31;
[[nodiscard]] constexpr unsigned command_slots(std::uint32_t capabilities) {
  return (capabilities >> 8 & 31) + 1;
}

// kControl
inline constexpr std::uint32_t kControlReset = 1u << 0;
inline constexpr std::uint32_t kControlAhci = 1u << 31;

// kCapabilities2 and kHandOff
inline constexpr std::uint32_t kCap2HandOff = 1u << 0;
inline constexpr std::uint32_t kHandOffFirmware = 1u << 0;
inline constexpr std::uint32_t kHandOffUs = 1u << 1;

// kCommand
inline constexpr std::uint32_t kCommandStart = 1u << 0;
inline constexpr std::uint32_t kCommandSpinUp = 1u << 1;
inline constexpr std::uint32_t kCommandPowerOn = 1u << 2;
inline constexpr std::uint32_t kCommandReceive = 1u << 4;
inline constexpr std::uint32_t kCommandReceiving = 1u << 14;
inline constexpr std::uint32_t kCommandRunning = 1u << 15;
inline constexpr std::uint32_t kCommandAwake = 1u << 28;

// kTaskFile
inline constexpr std::uint32_t kTaskError = 1u << 0;
inline constexpr std::uint32_t kTaskData = 1u << 3;
inline constexpr std::uint32_t kTaskBusy = 1u << 7;

// kInterruptStatus
inline constexpr std::uint32_t kEventRefused = 1u << 30;
inline constexpr std::uint32_t kEventLink = 1u << 22 | 1u << 6;
// Fatal errors of interface and host bus, and more data than there was room
// for.
inline constexpr std::uint32_t kEventFaults =
    1u << 29 | 1u << 28 | 1u << 27 | 1u << 24;

// kLinkStatus and kLinkControl
inline constexpr std::uint32_t kLinkMask = 0xf;
inline constexpr std::uint32_t kLinkUp = 3;
inline constexpr std::uint32_t kLinkReset = 1;

inline constexpr std::uint32_t kSignatureDisk = 0x00000101;
inline constexpr std::uint32_t kSignaturePacket = 0xeb140101;

}  // namespace odo::ahci
