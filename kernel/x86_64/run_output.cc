// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/run_output.h"

#include <array>
#include <cstddef>
#include <new>

#include "kernel/x86_64/log.h"
#include "kernel/x86_64/ram.h"
#include "kernel/x86_64/serial16550.h"
#include "kernel/x86_64/traps.h"
#include "kernel/x86_64/virtio_ground.h"
#include "kernel/x86_64/virtio_pci.h"
#include "lib/virtio/console_driver.h"

namespace odo::x86 {
namespace {

using Output = virtio::ConsoleDriver<VirtioPci, VirtioGround>;

// A raw place: there are no constructors that run before the kernel does.
alignas(Output) constinit std::array<std::byte, sizeof(Output)> place{};
constinit Output* output = nullptr;

}  // namespace

bool add_output_console(PciConfig& config, const pci::Function& function) {
  if (output != nullptr) return false;
  const auto transport = VirtioPci::open(config, function);
  const MutableBytes memory = allocate_ram(Output::kMemoryBytes);
  if (!transport || memory.empty()) {
    log("odo: virtio console left out: no modern registers or no memory\n");
    return false;
  }
  Output* const made = ::new (place.data()) Output(*transport, VirtioGround{});
  if (const auto started = made->start(memory); !started) {
    log("odo: virtio console left out: ", virtio::describe(started.error()),
        "\n");
    return false;
  }
  output = made;
  return true;
}

void write_run_output(Bytes bytes) {
  if (output == nullptr) {
    (output_port.is_present() ? output_port : console_port).write(bytes);
    return;
  }
  if (const auto written = output->write(bytes); !written) {
    stop_with(virtio::describe(written.error()));
  }
}

}  // namespace odo::x86
