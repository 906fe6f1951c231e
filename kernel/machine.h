// SPDX-License-Identifier: BSD-3-Clause
// The machine as the monitor asks about it. Satisfies monitor::Machine.
//
// Contexts: one thread.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "kernel/write_ground.h"
#include "kernel/x86_64/backtrace.h"
#include "kernel/x86_64/clock.h"
#include "kernel/x86_64/devices.h"
#include "kernel/x86_64/features.h"
#include "kernel/x86_64/heap.h"
#include "kernel/x86_64/image.h"
#include "kernel/x86_64/log.h"
#include "kernel/x86_64/paging.h"
#include "kernel/x86_64/power.h"
#include "kernel/x86_64/ram.h"
#include "kernel/x86_64/smp.h"
#include "kernel/x86_64/thread_census.h"
#include "kernel/x86_64/timer.h"
#include "kernel/x86_64/units.h"
#include "lib/apic/topology.h"
#include "lib/boot/boot_info.h"
#include "lib/console/log_ring.h"
#include "lib/kmalloc/lane.h"
#include "lib/lwkt/census.h"
#include "lib/monitor/machine.h"

namespace odo::kernel {

class Pc {
 public:
  using Device = x86::UnitDevice;
  using Ground = WriteGround;

  explicit Pc(const boot::BootInfo& info) : info_(info) {}

  [[nodiscard]] std::size_t disk_count() { return x86::unit_count(); }
  [[nodiscard]] monitor::DiskInfo disk(std::size_t index) {
    const x86::Unit& unit = x86::unit(index);
    const x86::UnitDevice& device = unit.device();
    return {unit.name(),
            unit.facts().driver,
            unit.facts().model,
            unit.facts().serial,
            device.size_bytes(),
            device.block_bytes(),
            device.below().is_read_only(),
            unit.content(),
            unit.is_divided(),
            x86::is_in_memory(index)};
  }
  [[nodiscard]] Ground& ground() { return ground_; }
  [[nodiscard]] Device& disk_device(std::size_t index) {
    return x86::unit(index).device();
  }

  [[nodiscard]] monitor::MemoryInfo memory() {
    const frames::Stats stats = x86::ram_stats();
    const auto image_bytes =
        static_cast<std::uint64_t>(kernel_end - kernel_begin);
    const x86::HeapStats heap = x86::kernel_heap().stats();
    return {info_.memory.usable_bytes(),
            stats.free_frames * frames::kFrameBytes,
            stats.largest_run_frames * frames::kFrameBytes,
            image_bytes + x86::page_table_frames() * frames::kFrameBytes,
            heap.mapped_bytes,
            heap.object_bytes,
            heap.objects,
            heap.kept_bytes,
            heap.returned_bytes};
  }

  [[nodiscard]] std::size_t pci_count() { return x86::function_count(); }
  [[nodiscard]] monitor::PciInfo pci(std::size_t index) {
    const x86::FoundFunction& found = x86::found_function(index);
    const pci::Function& f = found.function;
    return {f.address.segment,  f.address.bus, f.address.device,
            f.address.function, f.vendor_id,   f.device_id,
            f.base_class,       f.sub_class,   f.interface,
            f.revision,         found.driver};
  }

  [[nodiscard]] monitor::CpuInfo cpu() {
    const x86::Features& features = x86::features();
    return {features.vendor(),
            features.model(),
            features.names(),
            x86::running_cpus(),
            static_cast<std::uint32_t>(x86::known_cpus()),
            x86::tsc_hz(),
            x86::timer_name()};
  }
  [[nodiscard]] monitor::ProcessorInfo processor(std::size_t index) {
    const x86::CpuRecord record = x86::known_cpu(index);
    const apic::Place place = x86::place_of_cpu(record.apic_id);
    return {record.apic_id, place.package, place.core,
            place.thread,   record.index,  state_of(record.fate)};
  }

  [[nodiscard]] std::uint64_t uptime_ns() { return x86::uptime_ns(); }
  [[nodiscard]] std::optional<console::LogLine> log_line(
      console::LogCursor& cursor, std::span<char> room) {
    auto line = x86::read_log(cursor, room);
    if (line) line->time = x86::tsc_to_ns(line->time);
    return line;
  }
  [[nodiscard]] monitor::ThreadAnswer thread(std::uint32_t cpu,
                                             std::size_t number,
                                             monitor::ThreadInfo& info) {
    const lwkt::ThreadFacts* facts = nullptr;
    switch (x86::look_at_thread(cpu, number, facts)) {
      case x86::CensusAnswer::kNoMore:
        return monitor::ThreadAnswer::kNoMore;
      case x86::CensusAnswer::kNoAnswer:
        return monitor::ThreadAnswer::kNoAnswer;
      case x86::CensusAnswer::kFound:
        break;
    }
    std::ranges::transform(
        facts->token_list(), tokens_.begin(), [](const auto& token) {
          return monitor::TokenInfo{token.name, token.is_shared, token.is_held};
        });
    info = {facts->name,
            state_of(*facts),
            facts->priority,
            facts->asleep_on,
            std::span(tokens_).first(facts->token_count),
            facts->frame_list()};
    return monitor::ThreadAnswer::kFound;
  }
  [[nodiscard]] std::optional<monitor::SymbolInfo> symbol(
      std::uint64_t address) {
    const auto found = x86::function_at(address);
    if (!found) return std::nullopt;
    return monitor::SymbolInfo{found->name, address - found->address};
  }
  [[nodiscard]] monitor::HeapLaneInfo heap_lane(std::uint32_t cpu) {
    const kmalloc::LaneCounts counts = x86::lane_counts(x86::cpu_of(cpu));
    return {counts.fills,    counts.drains, counts.posts,
            counts.harvests, counts.made,   counts.unmade};
  }
  [[nodiscard]] std::string_view cmdline() { return info_.command_line(); }
  void reboot() { x86::reset_machine(); }
  void poweroff(std::uint8_t status) { x86::power_off(status); }

 private:
  [[nodiscard]] static monitor::ProcessorState state_of(x86::CpuFate fate) {
    switch (fate) {
      case x86::CpuFate::kRunning:
        return monitor::ProcessorState::kRunning;
      case x86::CpuFate::kSilent:
        return monitor::ProcessorState::kSilent;
      case x86::CpuFate::kLeftOut:
        break;
    }
    return monitor::ProcessorState::kLeftOut;
  }

  [[nodiscard]] static monitor::ThreadState state_of(
      const lwkt::ThreadFacts& facts) {
    switch (facts.place) {
      case lwkt::Place::kNew:
        return monitor::ThreadState::kNew;
      case lwkt::Place::kRunning:
        return monitor::ThreadState::kRunning;
      case lwkt::Place::kQueued:
        return facts.waits_for_tokens ? monitor::ThreadState::kWaiting
                                      : monitor::ThreadState::kReady;
      case lwkt::Place::kAsleep:
        return monitor::ThreadState::kAsleep;
      case lwkt::Place::kMoving:
        return monitor::ThreadState::kMoving;
      case lwkt::Place::kPreempted:
        return monitor::ThreadState::kPreempted;
      case lwkt::Place::kDead:
        break;
    }
    return monitor::ThreadState::kEnded;
  }

  const boot::BootInfo& info_;
  std::array<monitor::TokenInfo, lwkt::ThreadFacts::kMaxTokens> tokens_{};
  Ground ground_;
};

static_assert(monitor::Machine<Pc>);

}  // namespace odo::kernel
