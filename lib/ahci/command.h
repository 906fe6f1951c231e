// SPDX-License-Identifier: BSD-3-Clause
// ATA commands and packets, and how they lie in a command table.
//
// Contexts: any.
// Origin: Serial ATA AHCI 1.3.1 §4.2.3 (command table); Serial ATA 3.0 §10.3.4
//   (register FIS); ATA/ATAPI Command Set 2 (ACS-2) §7; SCSI Multimedia
//   Commands 5 (MMC-5) §6.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "lib/base/bytes.h"

namespace odo::ahci {

namespace ata {

inline constexpr std::uint8_t kManageData = 0x06;
inline constexpr std::uint8_t kReadLong = 0x25;    // READ DMA EXT
inline constexpr std::uint8_t kWriteLong = 0x35;   // WRITE DMA EXT
inline constexpr std::uint8_t kReadQueued = 0x60;  // READ FPDMA QUEUED
inline constexpr std::uint8_t kWriteQueued = 0x61;
inline constexpr std::uint8_t kPacket = 0xa0;
inline constexpr std::uint8_t kIdentifyPacket = 0xa1;
inline constexpr std::uint8_t kFlushLong = 0xea;  // FLUSH CACHE EXT
inline constexpr std::uint8_t kIdentify = 0xec;

inline constexpr std::uint16_t kTrim = 1;          // kManageData's feature
inline constexpr std::uint16_t kPacketDma = 1;     // kPacket's feature
inline constexpr std::uint8_t kByBlock = 1u << 6;  // in the device field

}  // namespace ata

namespace scsi {

inline constexpr std::uint8_t kRequestSense = 0x03;
inline constexpr std::uint8_t kReadCapacity = 0x25;
inline constexpr std::uint8_t kRead = 0x28;  // READ(10)

inline constexpr unsigned kNotReady = 2;  // sense keys
inline constexpr unsigned kAttention = 6;
inline constexpr unsigned kBecomingReady = 0x04;  // additional codes
inline constexpr unsigned kNoMedium = 0x3a;

}  // namespace scsi

inline constexpr std::size_t kPacketAt = 0x40;  // in a command table
inline constexpr std::size_t kPacketBytes = 16;

struct Command {
  std::uint8_t opcode = 0;
  std::uint8_t device = 0;
  std::uint16_t features = 0;
  std::uint16_t count = 0;
  std::uint64_t block = 0;  // 48 bits
  bool has_packet = false;
  std::array<std::uint8_t, kPacketBytes> packet{};

  // Length of what store() makes, in words of 4 bytes.
  static constexpr std::uint32_t kFrameWords = 5;

  void store(std::byte* table) const {
    zero_bytes(MutableBytes(table, kPacketAt + kPacketBytes));
    constexpr std::uint8_t kToDevice = 0x27;
    constexpr std::uint8_t kIsCommand = 0x80;
    const auto put = [&](std::size_t at, std::uint64_t value) {
      table[at] = static_cast<std::byte>(value & 0xff);
    };
    put(0, kToDevice);
    put(1, kIsCommand);
    put(2, opcode);
    put(3, features);
    put(4, block);
    put(5, block >> 8);
    put(6, block >> 16);
    put(7, device);
    put(8, block >> 24);
    put(9, block >> 32);
    put(10, block >> 40);
    put(11, features >> 8u);
    put(12, count);
    put(13, count >> 8u);
    for (std::size_t i = 0; i < packet.size(); ++i) {
      put(kPacketAt + i, packet[i]);
    }
  }
};

}  // namespace odo::ahci
