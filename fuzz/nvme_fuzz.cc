// SPDX-License-Identifier: BSD-3-Clause
// NVMe controllers that lie: the input begins with what the controller and its
// namespaces say about themselves, then says what the device does at each step
// and what is asked of its disks. The driver must come to an end, and touch
// nothing but its own memory and the buffers.
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "fuzz/device_script.h"
#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/driver/testing/sim_memory.h"
#include "lib/nvme/controller.h"
#include "lib/nvme/namespace.h"
#include "lib/nvme/testing/sim_controller.h"

namespace {

using namespace odo;
using Registers = fuzz::LyingRegisters<nvme::SimRegisters>;
using Controller = nvme::Controller<Registers, fuzz::HastyGround>;
using Namespace = nvme::Namespace<Registers, fuzz::HastyGround>;

constexpr std::array<std::uint32_t, 5> kOffsets{0x00, 0x04, 0x08, 0x14, 0x1c};

struct Own {
  alignas(
      nvme::kPageBytes) std::array<std::byte, Controller::kMemoryBytes> bytes{};
};

void describe(nvme::SimController& device, fuzz::Script& script) {
  const auto flags = script.take<std::uint8_t>();
  if ((flags & 1) != 0) device.capabilities = script.take<std::uint64_t>();
  if ((flags & 2) != 0) device.version = 0x00010000;
  device.is_mended_by_reset = (flags & 4) != 0;
  device.answers_out_of_order = (flags & 8) != 0;
  device.transfer_power = script.take<std::uint8_t>() % 8;
  device.register_bytes = 0x1000 + script.take<std::uint16_t>();
  const unsigned count = (flags >> 6) + 1u;
  for (unsigned i = 0; i < count; ++i) {
    nvme::SimNamespace& space = device.namespaces[1 + i * i];
    space.content.resize(1 << 17);
    const auto shape = script.take<std::uint8_t>();
    space.block_power = (shape & 0x80) != 0 ? shape & 0x1f : 9 + shape % 4;
    space.is_read_only = (shape & 0x40) != 0;
    if ((shape & 0x20) != 0) {
      space.claimed_blocks = script.take<std::uint64_t>();
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  fuzz::Script script(std::as_bytes(std::span(data, size)));
  driver::SimMemory memory;
  nvme::SimController device(memory);
  describe(device, script);
  const auto own = std::make_unique<Own>();
  memory.lend_contiguous(own->bytes);
  fuzz::Lies lies;
  fuzz::HastyGround ground(
      memory, [&] { fuzz::step(device, script, lies, own->bytes, kOffsets); });
  Controller controller(Registers(nvme::SimRegisters(device), lies), ground);
  if (!controller.start(own->bytes)) return 0;
  std::vector<std::unique_ptr<Namespace>> disks;
  (void)controller.for_each_namespace([&](std::uint32_t id, const auto& shape) {
    if (shape) {
      ODO_CHECK(shape->block_bytes >= block::kMinBlockBytes &&
                shape->block_bytes <= block::kMaxBlockBytes);
      ODO_CHECK(shape->size_bytes % shape->block_bytes == 0);
      disks.push_back(std::make_unique<Namespace>(controller, id, *shape));
    }
    return disks.size() < 4;
  });
  for (const auto& disk : disks) fuzz::use_disk(*disk, memory, script);
  return 0;
}
