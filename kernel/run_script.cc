// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/run_script.h"

#include <cstddef>

#include "kernel/x86_64/features.h"
#include "kernel/x86_64/fw_cfg_port.h"
#include "kernel/x86_64/heap.h"
#include "kernel/x86_64/traps.h"
#include "lib/base/bytes.h"
#include "lib/boot/fw_cfg.h"

namespace odo::kernel {
namespace {

constexpr std::size_t kMaxScriptBytes = std::size_t{4} << 20;

[[nodiscard]] std::string_view read_file(x86::FwCfgPort& device,
                                         const boot::FwCfgFile& file) {
  if (file.size_bytes == 0) return "";
  if (file.size_bytes > kMaxScriptBytes) {
    x86::stop_with("the run script is longer than 4 MiB: run it in parts");
  }
  const MutableBytes memory =
      x86::kernel_heap().allocate_bytes(file.size_bytes);
  if (memory.empty()) {
    x86::stop_with("no memory for the run script: give the machine more");
  }
  device.select(file.item);
  device.read(memory.first(file.size_bytes));
  return {reinterpret_cast<const char*>(memory.data()), file.size_bytes};
}

}  // namespace

std::optional<std::string_view> find_run_script(
    const boot::CommandLine& command_line) {
  if (x86::features().has_hypervisor) {
    x86::FwCfgPort device;
    if (boot::has_fw_cfg(device)) {
      const auto file = boot::find_fw_cfg_file(device, "opt/odo/run");
      if (file) return read_file(device, *file);
    }
  }
  return command_line.find("run");
}

}  // namespace odo::kernel
