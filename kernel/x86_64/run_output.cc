// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/run_output.h"

#include <cstddef>

#include "kernel/x86_64/driver_ground.h"
#include "kernel/x86_64/heap.h"
#include "kernel/x86_64/log.h"
#include "kernel/x86_64/serial16550.h"
#include "kernel/x86_64/traps.h"
#include "kernel/x86_64/virtio_pci.h"
#include "lib/virtio/console_driver.h"

namespace odo::x86 {
namespace {

using Output = virtio::ConsoleDriver<VirtioPci, DriverGround>;

// Of what a device shares: no cache line is anyone else's.
constexpr std::size_t kMemoryAlignment = 64;

constinit Output* output = nullptr;

}  // namespace

bool add_output_console(PciConfig& config, const pci::Function& function) {
  if (output != nullptr) return false;
  const auto transport = VirtioPci::open(config, function);
  if (!transport) {
    log("odo: virtio console left out: no modern registers\n");
    return false;
  }
  KernelHeap& heap = kernel_heap();
  Output* const made = heap.make<Output>(*transport, DriverGround{});
  const MutableBytes memory =
      heap.allocate_bytes(Output::kMemoryBytes, kMemoryAlignment);
  if (made == nullptr || memory.empty()) {
    log("odo: virtio console left out: no memory for it\n");
    heap.destroy(made);
    heap.free(memory.data());
    return false;
  }
  if (const auto started = made->start(memory); !started) {
    log("odo: virtio console left out: ", virtio::describe(started.error()),
        "\n");
    // Its memory stays out: a device that did not even reset may write to it.
    heap.destroy(made);
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
