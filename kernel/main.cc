// SPDX-License-Identifier: BSD-3-Clause
// The one file that assembles the operating system: it joins the libraries to
// this machine's hardware, in the order in which they need each other.
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "kernel/console.h"
#include "kernel/conversation.h"
#include "kernel/machine.h"
#include "kernel/run_script.h"
#include "kernel/tests/faults.h"
#include "kernel/x86_64/clock.h"
#include "kernel/x86_64/cpu.h"
#include "kernel/x86_64/devices.h"
#include "kernel/x86_64/driver_ground.h"
#include "kernel/x86_64/features.h"
#include "kernel/x86_64/firmware.h"
#include "kernel/x86_64/gdt.h"
#include "kernel/x86_64/heap.h"
#include "kernel/x86_64/interrupts.h"
#include "kernel/x86_64/keyboard.h"
#include "kernel/x86_64/log.h"
#include "kernel/x86_64/machine_check.h"
#include "kernel/x86_64/paging.h"
#include "kernel/x86_64/per_cpu.h"
#include "kernel/x86_64/power.h"
#include "kernel/x86_64/ram.h"
#include "kernel/x86_64/screen.h"
#include "kernel/x86_64/serial16550.h"
#include "kernel/x86_64/smp.h"
#include "kernel/x86_64/stacks.h"
#include "kernel/x86_64/threads.h"
#include "kernel/x86_64/timer.h"
#include "kernel/x86_64/traps.h"
#include "kernel/x86_64/units.h"
#include "lib/boot/boot_info.h"
#include "lib/boot/command_line.h"
#include "lib/boot/multiboot2.h"
#include "lib/boot/pvh.h"
#include "lib/check/checks.h"
#include "lib/monitor/monitor.h"

namespace odo::kernel {
namespace {

// As boot.S numbers them.
constexpr std::uint64_t kProtocolPvh = 0;

constinit boot::BootInfo boot_info{};

// When each stage was over, in cycles since power-on.
struct Stages {
  std::uint64_t entry;
  std::uint64_t memory;
  std::uint64_t devices;
  std::uint64_t mount;
};
constinit Stages stages{};

[[nodiscard]] boot::CommandLine command_line() {
  return boot::CommandLine(boot_info.command_line());
}

void start_cpu() {
  x86::detect_features();
  x86::set_fault_stacks(x86::boot_cpu, x86::stack(x86::StackOf::kFault).top,
                        x86::stack(x86::StackOf::kNmi).top,
                        x86::stack(x86::StackOf::kMachineCheck).top);
  x86::load_segments(x86::boot_cpu);
  x86::init_traps();
  x86::load_traps();
  x86::console_port.init();
  x86::output_port.init();
}

void read_boot_information(std::uint64_t protocol, std::uint64_t address) {
  const x86::EarlyMemory memory;
  const auto parsed =
      protocol == kProtocolPvh
          ? boot::parse_pvh(memory, address, x86::kMaxPhysical, boot_info)
          : boot::parse_multiboot2(memory, address, x86::kMaxPhysical,
                                   boot_info);
  if (!parsed) x86::stop_with(boot::describe(parsed.error()));
  if (boot_info.command_line_was_cut) {
    x86::log("odo: the command line is cut after ",
             boot::BootInfo::kMaxCommandLine, " bytes\n");
  }
}

// `NAME=NUMBER` on the command line, from `least` to `most`; `usual` without.
[[nodiscard]] std::uint64_t number_option(std::string_view name,
                                          std::uint64_t least,
                                          std::uint64_t most,
                                          std::uint64_t usual) {
  const auto wanted = command_line().find(name);
  if (!wanted) return usual;
  const auto number = monitor::parse_number(*wanted);
  if (number && *number >= least && *number <= most) return *number;
  x86::log("odo: ", name, "=", *wanted, ": give ", least, " to ", most, "\n");
  return usual;
}

// Tests that are normal boots with something wrong.
[[nodiscard]] x86::CpuDrill cpu_drill() {
  const auto test = command_line().find("test");
  if (test == "silentcpu") return x86::CpuDrill::kSilent;
  if (test == "latecpu") return x86::CpuDrill::kLate;
  if (test == "deafcpu") return x86::CpuDrill::kDeaf;
  return x86::CpuDrill::kNone;
}

// `disk-wait=SECONDS`: what a disk may take for anything. Without it each
// driver knows what is right.
void limit_waits() {
  constexpr std::uint64_t kMost = 3600;
  const std::uint64_t seconds = number_option("disk-wait", 1, kMost, kMost);
  x86::set_longest_wait(static_cast<std::uint32_t>(seconds * 1000));
}

// `clock=NAME`: the TSC's speed is learnt by that, at once, and told; where it
// can't be, as ever.
void start_clock(const x86::Firmware& firmware) {
  struct Named {
    std::string_view name;
    x86::ClockSource source;
  };
  constexpr Named kSources[] = {{"cpu", x86::ClockSource::kCpu},
                                {"acpi", x86::ClockSource::kAcpi},
                                {"hpet", x86::ClockSource::kHpet},
                                {"pit", x86::ClockSource::kPit}};
  const auto wanted = command_line().find("clock");
  if (!wanted) return x86::start_clock(firmware, x86::ClockSource::kAny);
  for (const Named& named : kSources) {
    if (*wanted != named.name) continue;
    x86::start_clock(firmware, named.source);
    x86::log("odo: clock=", named.name, ": ", x86::tsc_hz() / 1'000'000,
             " MHz by ", x86::clock_source(), "\n");
    return;
  }
  x86::log("odo: clock=", *wanted, ": give cpu, acpi, hpet or pit\n");
  x86::start_clock(firmware, x86::ClockSource::kAny);
}

void start_devices() {
  const x86::Firmware firmware = x86::read_firmware(boot_info);
  x86::set_power_control(firmware.fadt);
  start_clock(firmware);
  x86::init_interrupts(firmware);
  x86::init_timer(x86::on_timer);
  x86::begin_cpus(firmware,
                  static_cast<std::uint32_t>(
                      number_option("cpus", 1, x86::kMaxCpus, x86::kMaxCpus)),
                  cpu_drill());
  limit_waits();
  x86::find_devices(firmware);
  x86::find_units(boot_info);
  x86::finish_cpus();
}

// The monitor and the memory it works in: a share of what the machine has, so
// that small machines keep some and large ones cache whole volumes' metadata.
[[nodiscard]] KernelMonitor& make_monitor(SerialConsole& console, Pc& machine) {
  constexpr std::uint64_t kMostMemoryBytes = std::uint64_t{64} << 20;
  const std::uint64_t share = machine.memory().total_bytes / 8;
  x86::KernelHeap& heap = x86::kernel_heap();
  // Disks write there: what is aligned they can do without copies.
  const MutableBytes memory = heap.allocate_bytes(
      std::clamp<std::uint64_t>(share, KernelMonitor::kMinMemoryBytes,
                                kMostMemoryBytes),
      x86::kPageBytes);
  const check::Checks checks(
      check::CpuFeatures{.crc32_instruction = x86::features().has_sse42});
  KernelMonitor* made = nullptr;
  if (!memory.empty()) {
    made = heap.make<KernelMonitor>(console, machine, memory, checks);
  }
  if (made == nullptr) {
    x86::stop_with("no memory for the monitor: give the machine more");
  }
  return *made;
}

// `root=none`, `root=DISK[+DISK…][@PFS]`, or what the disks offer.
[[nodiscard]] monitor::Status mount_root(KernelMonitor& made) {
  const auto root = command_line().find("root");
  if (!root) return made.mount_any();
  if (*root == "none") return monitor::Status::kDone;
  return made.mount(*root);
}

// `sync=SECONDS`: how long a change may wait to be made durable; 0 for ever.
[[nodiscard]] std::uint64_t sync_seconds() {
  return number_option("sync", 0, 86'400, 5);
}

void log_span(std::string_view name, std::uint64_t from, std::uint64_t to) {
  const std::uint64_t us = x86::tsc_to_ns(to - from) / 1000;
  x86::log(name, us / 1000, ".", us / 100 % 10, " ms");
}

void print_banner(Pc& machine) {
  x86::log("Odonata on ", machine.memory().total_bytes >> 20, " MiB, ",
           x86::whole_unit_count(),
           x86::whole_unit_count() == 1 ? " disk" : " disks", ", ",
           x86::running_cpus(), x86::running_cpus() == 1 ? " CPU" : " CPUs");
  log_span("; firmware ", 0, stages.entry);
  log_span(", memory ", stages.entry, stages.memory);
  log_span(", devices ", stages.memory, stages.devices);
  log_span(", mount ", stages.devices, stages.mount);
  x86::log("\n");
}

// `bench=boot`: the counter's value at the first prompt, which under QEMU's
// -icount is the number of instructions since power-on.
void report_boot_cost() {
  const std::uint64_t now = x86::read_tsc();
  x86::log("\nboot-instructions ", now, "\n");
  x86::power_off(0);
}

[[noreturn]] void end(std::uint8_t status) {
  x86::power_off(status);
  x86::log("odo: the machine does not turn itself off: turn it off by hand\n");
  x86::halt_forever();
}

[[noreturn]] void run_script(std::string_view script) {
  SerialConsole console(Purpose::kScript, nullptr);
  Pc machine(boot_info);
  KernelMonitor& made = make_monitor(console, machine);
  const monitor::Status mounted = mount_root(made);
  // What the command line asked for by name is not to be gone on without.
  if (mounted != monitor::Status::kDone && command_line().find("root")) {
    end(static_cast<std::uint8_t>(mounted));
  }
  const monitor::Status status = made.run(script);
  end(static_cast<std::uint8_t>(monitor::worse(status, made.finish())));
}

[[noreturn]] void converse() {
  const bool is_bench = command_line().find("bench") == "boot";
  SerialConsole console(Purpose::kConversation,
                        is_bench ? report_boot_cost : nullptr);
  Pc machine(boot_info);
  KernelMonitor& made = make_monitor(console, machine);
  if (x86::has_screen()) static_cast<void>(x86::init_keyboard());
  // A failure has been told, and the monitor works without a filesystem.
  static_cast<void>(mount_root(made));
  stages.mount = x86::read_tsc();
  print_banner(machine);
  Conversation conversation(made, sync_seconds());
  conversation.run();
}

}  // namespace
}  // namespace odo::kernel

extern "C" [[noreturn]] void kernel_main(std::uint64_t protocol,
                                         std::uint64_t information,
                                         std::uint64_t entry_cycles) {
  using namespace odo::kernel;
  stages.entry = entry_cycles;
  start_cpu();
  read_boot_information(protocol, information);
  odo::x86::init_ram(boot_info);
  odo::x86::set_up_this_cpu();
  odo::x86::enable_machine_checks();
  odo::x86::init_heap();
  odo::x86::init_screen(boot_info);
  stages.memory = odo::x86::read_tsc();
  start_devices();
  stages.devices = odo::x86::read_tsc();
  if (const auto test = command_line().find("test");
      test && cpu_drill() == odo::x86::CpuDrill::kNone) {
    run_fault_test(*test, number_option("seconds", 1, 86'400, 2));
  }
  if (const auto script = find_run_script(command_line())) run_script(*script);
  converse();
}
