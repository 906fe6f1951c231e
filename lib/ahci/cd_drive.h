// SPDX-License-Identifier: BSD-3-Clause
// A CD or DVD drive on a SATA port, with the medium that was in it at the
// start: blocks of 2048 bytes that can be read. Satisfies block::BlockDevice.
//
// Contexts: thread, one caller at a time; all but the simple questions wait
//   (ODO_MAY_BLOCK).
// Ownership: refers to the port, which outlives it.
// Failure: start() see Error. read() see block::Error. A medium that is taken
//   out or changed makes reads fail from then on: its size may be another.
// Complexity: one command at a time.
// Origin: ATA/ATAPI Command Set 2 (ACS-2) §7.38 (PACKET); SCSI Multimedia
//   Commands 5 (MMC-5) §6.15 (READ(10)), §6.22 (READ CAPACITY), §6.37 (REQUEST
//   SENSE); SCSI Primary Commands 3 (SPC-3) §4.5 (sense data).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "lib/ahci/command.h"
#include "lib/ahci/identify.h"
#include "lib/ahci/port.h"
#include "lib/base/annotations.h"
#include "lib/base/bytes.h"
#include "lib/block/device.h"

namespace odo::ahci {

template <driver::Registers R, driver::DriverGround G>
class CdDrive {
 public:
  static constexpr std::uint32_t kBlockBytes = 2048;
  // A drive may tell that something changed, and that it is busy with a new
  // medium; each is asked about so often.
  static constexpr unsigned kMaxTries = 100;
  static constexpr std::uint32_t kBetweenTriesMs = 100;

  CdDrive(Port<R, G>& port, G ground) : port_(port), ground_(ground) {}

  // The port works, and has a packet device's signature.
  ODO_MAY_BLOCK [[nodiscard]] Result<void> start() {
    constexpr CommandKind kIdentify{[](std::uint64_t, std::uint32_t, unsigned) {
      return Command{.opcode = ata::kIdentifyPacket};
    }};
    const MutableBytes answer = port_.answer_page().first(kIdentifyBytes);
    ODO_TRY_VOID(port_.read(kIdentify, 0, answer));
    ODO_TRY(names_, parse_packet_device(answer));
    return learn_capacity();
  }

  [[nodiscard]] const Names& names() const { return names_; }
  [[nodiscard]] std::uint64_t size_bytes() const { return size_bytes_; }
  [[nodiscard]] std::uint32_t block_bytes() const { return kBlockBytes; }

  ODO_MAY_BLOCK [[nodiscard]] block::Result<void> read(
      std::uint64_t offset_bytes, MutableBytes to) {
    constexpr CommandKind kRead{read_blocks, kBlockBytes, 0xffff};
    ODO_TRY_VOID(block::check_request(offset_bytes, to.size(), size_bytes_,
                                      kBlockBytes));
    if (has_lost_medium_) return fail(block::Error::kIo);
    if (port_.read(kRead, offset_bytes, to)) return {};
    if (port_.last_error() == Error::kRefused) {
      const Sense sense = ask_for_sense();
      has_lost_medium_ =
          sense.key == scsi::kAttention || sense.code == scsi::kNoMedium;
    } else {
      // A drive that was reset says so before it does anything else; the next
      // read would take that for a change of its medium.
      static_cast<void>(ask_for_sense());
    }
    return fail(block::Error::kIo);
  }

 private:
  static Command packet(std::initializer_list<std::uint8_t> bytes) {
    Command command{.opcode = ata::kPacket,
                    .features = ata::kPacketDma,
                    .has_packet = true};
    std::copy(bytes.begin(), bytes.end(), command.packet.begin());
    return command;
  }

  static Command read_blocks(std::uint64_t first, std::uint32_t blocks,
                             unsigned) {
    const auto byte = [](std::uint64_t value, unsigned n) {
      return static_cast<std::uint8_t>(value >> (8 * n));
    };
    return packet({scsi::kRead, 0, byte(first, 3), byte(first, 2),
                   byte(first, 1), byte(first, 0), 0, byte(blocks, 1),
                   byte(blocks, 0)});
  }

  struct Sense {
    unsigned key = 0;
    unsigned code = 0;
  };

  // Why the last packet failed; nothing where the drive does not say.
  [[nodiscard]] Sense ask_for_sense() {
    constexpr std::uint8_t kSenseBytes = 18;
    constexpr CommandKind kSense{
        [](std::uint64_t, std::uint32_t, unsigned) {
          return packet({scsi::kRequestSense, 0, 0, 0, kSenseBytes});
        },
        kSenseBytes};
    const MutableBytes answer = port_.answer_page().first(kSenseBytes);
    if (!port_.read(kSense, 0, answer)) return {};
    return {std::to_integer<unsigned>(answer[2]) & 0xf,
            std::to_integer<unsigned>(answer[12])};
  }

  [[nodiscard]] Result<void> learn_capacity() {
    constexpr std::size_t kCapacityBytes = 8;
    constexpr CommandKind kCapacity{[](std::uint64_t, std::uint32_t, unsigned) {
                                      return packet({scsi::kReadCapacity});
                                    },
                                    kCapacityBytes};
    const MutableBytes answer = port_.answer_page().first(kCapacityBytes);
    for (unsigned i = 0; i < kMaxTries; ++i) {
      const auto asked = port_.read(kCapacity, 0, answer);
      if (asked) {
        if (load_be<std::uint32_t>(answer.data() + 4) != kBlockBytes) {
          return fail(Error::kBlockBytes);
        }
        size_bytes_ =
            (std::uint64_t{load_be<std::uint32_t>(answer.data())} + 1) *
            kBlockBytes;
        return {};
      }
      if (asked.error() != Error::kRefused) return asked;
      const Sense sense = ask_for_sense();
      if (sense.code == scsi::kNoMedium) return fail(Error::kNoMedium);
      if (sense.key == scsi::kNotReady && sense.code == scsi::kBecomingReady) {
        ground_.begin_wait(kBetweenTriesMs);
        while (ground_.wait()) {
        }
      } else if (sense.key != scsi::kAttention) {
        return fail(Error::kRefused);
      }
    }
    return fail(Error::kNotReady);
  }

  Port<R, G>& port_;
  G ground_;
  Names names_;
  std::uint64_t size_bytes_ = 0;
  bool has_lost_medium_ = false;
};

}  // namespace odo::ahci
