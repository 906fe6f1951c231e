// SPDX-License-Identifier: BSD-3-Clause
// AHCI controllers, disks and CD drives that lie: the input begins with what
// they say about themselves, then says what the device does at each step and
// what is asked of it. The driver must come to an end, and touch nothing but
// its own memory and the buffers.
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "fuzz/device_script.h"
#include "lib/ahci/cd_drive.h"
#include "lib/ahci/disk.h"
#include "lib/ahci/hba.h"
#include "lib/ahci/port.h"
#include "lib/ahci/testing/sim_hba.h"
#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/driver/testing/sim_memory.h"

namespace {

using namespace odo;
using Registers = fuzz::LyingRegisters<ahci::SimRegisters>;
using Hba = ahci::Hba<Registers, fuzz::HastyGround>;
using Port = ahci::Port<Registers, fuzz::HastyGround>;
using Disk = ahci::Disk<Registers, fuzz::HastyGround>;
using CdDrive = ahci::CdDrive<Registers, fuzz::HastyGround>;

constexpr std::uint32_t kPort = ahci::port_base(ahci::SimHba::kPort);
constexpr std::array<std::uint32_t, 12> kOffsets{
    0x00,         0x04,         0x0c,         0x24,
    0x28,         kPort + 0x10, kPort + 0x18, kPort + 0x20,
    kPort + 0x24, kPort + 0x28, kPort + 0x34, kPort + 0x38};

struct Own {
  alignas(Port::kPageBytes) std::array<std::byte, Port::kMemoryBytes> bytes{};
};

void describe(ahci::SimHba& device, fuzz::Script& script) {
  constexpr std::size_t kContentBytes = 1 << 17;
  const auto flags = script.take<std::uint8_t>();
  if ((flags & 1) != 0) device.capabilities = script.take<std::uint32_t>();
  if ((flags & 2) != 0) {
    device.set_cd(kContentBytes);
  } else {
    device.set_disk(kContentBytes, (flags & 4) != 0 ? 4096 : 512);
  }
  device.is_mended_by_reset = (flags & 8) != 0;
  device.answers_out_of_order = (flags & 16) != 0;
  for (unsigned i = 0; i < (flags >> 5); ++i) {
    device.identify[script.take<std::uint8_t>()] = script.take<std::uint16_t>();
    device.senses.emplace_back(script.take<std::uint8_t>() % 8,
                               script.take<std::uint8_t>());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  fuzz::Script script(std::as_bytes(std::span(data, size)));
  driver::SimMemory memory;
  ahci::SimHba device(memory);
  describe(device, script);
  const auto own = std::make_unique<Own>();
  memory.lend_contiguous(own->bytes);
  fuzz::Lies lies;
  fuzz::HastyGround ground(
      memory, [&] { fuzz::step(device, script, lies, own->bytes, kOffsets); });
  const Registers registers(ahci::SimRegisters(device), lies);
  Hba hba(registers, ground);
  if (!hba.start()) return 0;
  Port port(registers, ground, ahci::SimHba::kPort, hba.shape());
  const auto signature = port.start(own->bytes);
  if (!signature) return 0;
  if (*signature == ahci::kSignaturePacket) {
    CdDrive drive(port, ground);
    if (drive.start()) fuzz::use_disk(drive, memory, script);
  } else {
    Disk disk(port);
    if (!disk.start()) return 0;
    ODO_CHECK(disk.block_bytes() >= block::kMinBlockBytes &&
              disk.block_bytes() <= block::kMaxBlockBytes);
    ODO_CHECK(disk.size_bytes() % disk.block_bytes() == 0);
    fuzz::use_disk(disk, memory, script);
  }
  return 0;
}
