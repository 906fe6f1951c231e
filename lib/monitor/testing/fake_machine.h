// SPDX-License-Identifier: BSD-3-Clause
// A console that a test types on, and a machine that it made up.
//
// Contexts: tests. Allocates.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/block/device.h"
#include "lib/hammer2/write/host/ground.h"
#include "lib/monitor/machine.h"

namespace odo::monitor::testing {

class FakeConsole {
 public:
  void write(Channel channel, Bytes bytes) {
    std::string_view text(reinterpret_cast<const char*>(bytes.data()),
                          bytes.size());
    (channel == Channel::kOutput ? out : err) += text;
    both += text;
  }
  std::optional<std::byte> read() { return take(typed); }
  std::optional<std::byte> poll() {
    ++polls;
    return take(typed_meanwhile);
  }

  std::string out;
  std::string err;
  std::string both;             // in the order of arrival
  std::string typed;            // what read() gives
  std::string typed_meanwhile;  // what poll() gives
  std::size_t polls = 0;

 private:
  static std::optional<std::byte> take(std::string& from) {
    if (from.empty()) return std::nullopt;
    auto byte = static_cast<std::byte>(from[0]);
    from.erase(0, 1);
    return byte;
  }
};
static_assert(Console<FakeConsole>);

// A disk of a machine, which may be one that can only be read.
template <block::BlockDevice D>
class FakeDisk {
 public:
  static constexpr bool kReadOnly = !block::WritableBlockDevice<D>;

  explicit FakeDisk(D device) : device_(std::move(device)) {}

  [[nodiscard]] std::uint64_t size_bytes() const {
    return device_.size_bytes();
  }
  [[nodiscard]] std::uint32_t block_bytes() const {
    return device_.block_bytes();
  }
  block::Result<void> read(std::uint64_t offset, MutableBytes to) {
    return device_.read(offset, to);
  }
  block::Result<void> write(std::uint64_t offset, Bytes from) {
    if constexpr (kReadOnly) {
      return fail(block::Error::kReadOnly);
    } else {
      return device_.write(offset, from);
    }
  }
  block::Result<void> flush() {
    if constexpr (kReadOnly) {
      return {};
    } else {
      return device_.flush();
    }
  }

 private:
  D device_;
};

template <block::BlockDevice D>
class FakeMachine {
 public:
  using Device = FakeDisk<D>;
  using Ground = hammer2::write::HostGround<Device>;

  void add_disk(std::string name, std::string serial, D device) {
    disks_.push_back(
        {std::move(name), std::move(serial), Device(std::move(device))});
  }
  // What a partition table says of the disk that was added last.
  void tell_of_disk(std::string_view content, bool is_divided) {
    disks_.back().content = content;
    disks_.back().is_divided = is_divided;
  }
  // Who loaded the kernel brought the disk that was added last.
  void bring_disk() { disks_.back().in_memory = true; }

  std::size_t disk_count() { return disks_.size(); }
  DiskInfo disk(std::size_t i) {
    return {disks_[i].name,
            "fake",
            "Model \x07",
            disks_[i].serial,
            disks_[i].device.size_bytes(),
            disks_[i].device.block_bytes(),
            Device::kReadOnly,
            disks_[i].content,
            disks_[i].is_divided,
            disks_[i].in_memory};
  }
  Ground& ground() { return ground_; }
  Device& disk_device(std::size_t i) { return disks_[i].device; }
  MemoryInfo memory() {
    return {64 << 20, 48 << 20, 32 << 20, 3 << 19, 10 << 20,
            9 << 20,  objects,  96 << 10, 2 << 20};
  }
  std::size_t pci_count() { return 2; }
  PciInfo pci(std::size_t i) {
    if (i == 0) return {0, 0, 0, 0, 0x8086, 0x29c0, 6, 0, 0, 0, ""};
    return {0, 0, 31, 7, 0x1af4, 0x1042, 1, 0, 0, 1, "virtio-blk"};
  }
  CpuInfo cpu() {
    return {"GenuineTest", "A processor", "nx sse4.2", 2, 4,
            2'400'050'000, "apic"};
  }
  ProcessorInfo processor(std::size_t i) {
    using enum ProcessorState;
    if (i == 0) return {0, 0, 0, 0, 0, kRunning};
    if (i == 1) return {1, 0, 0, 1, 0, kSilent};
    if (i == 2) return {18, 1, 1, 0, 1, kRunning};
    return {300, 18, 6, 0, 0, kLeftOut};
  }
  std::uint64_t uptime_ns() { return uptime; }
  ThreadAnswer thread(std::uint32_t cpu, std::size_t number, ThreadInfo& info) {
    if (cpu == silent_cpu) return ThreadAnswer::kNoAnswer;
    for (const Thread& one : threads) {
      if (one.cpu != cpu || number-- != 0) continue;
      info = one.info;
      return ThreadAnswer::kFound;
    }
    return ThreadAnswer::kNoMore;
  }
  // Functions of 0x100 bytes each, from 0x1000 on.
  std::optional<SymbolInfo> symbol(std::uint64_t address) {
    constexpr std::array<std::string_view, 3> kNames{
        "odo::(anonymous namespace)::rest(odo::Bed&, void (*)(int))",
        "void odo::live<void (int)>(unsigned long)", "start"};
    const std::uint64_t index = (address - 0x1000) / 0x100;
    if (index >= kNames.size()) return std::nullopt;
    return SymbolInfo{kNames[index], address % 0x100};
  }
  HeapLaneInfo heap_lane(std::uint32_t cpu) {
    return {10 + cpu, 8, 3, 2, 7, 4};
  }
  std::optional<console::LogLine> log_line(console::LogCursor& cursor,
                                           std::span<char> room) {
    return log.read(cursor, room);
  }
  std::string_view cmdline() { return "console=ttyS0"; }
  void reboot() { ++reboots; }
  void poweroff(std::uint8_t status) { power_status = status; }

  struct Thread {
    std::uint32_t cpu;
    ThreadInfo info;
  };
  std::vector<Thread> threads;
  std::optional<std::uint32_t> silent_cpu;
  console::LogRing<4096> log;  // in nanoseconds
  std::uint64_t objects = 1234;
  std::uint64_t uptime = 1'234'567'890;
  int reboots = 0;
  std::optional<int> power_status;

 private:
  struct Disk {
    std::string name;
    std::string serial;
    Device device;
    std::string_view content = {};
    bool is_divided = false;
    bool in_memory = false;
  };
  Ground ground_;
  std::deque<Disk> disks_;  // devices stay where they are
};

}  // namespace odo::monitor::testing
