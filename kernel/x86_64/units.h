// SPDX-License-Identifier: BSD-3-Clause
// All that blocks can be read from, by the names that people know: disks, the
// partitions of disks, and RAM disks, which are modules that the boot loader
// left in memory.
//
//   vd0      a whole disk, as its driver names it
//   vd0p3    entry 3 of its partition table, GPT or MBR
//   vd0p3a   partition a of the disklabel64 in that slice
//   vd0a     partition a of a disklabel64 on the whole disk
//   md0      the first module; md0p1 and so on as above
//
// Contexts: boot, then one thread.
// Ownership: units live as long as the kernel.
// Failure: table entries that cannot be used, and what there is no room for,
//   are told on the console and left out.
#pragma once

#include <cstddef>
#include <string_view>

#include "kernel/x86_64/disks.h"
#include "lib/block/device.h"
#include "lib/boot/boot_info.h"
#include "lib/partition/partition_device.h"

namespace odo::x86 {

inline constexpr std::size_t kMaxUnits = 256;

// All of a disk, or a part of it.
using UnitDevice = partition::PartitionDevice<Disk>;
static_assert(block::DiscardingDevice<UnitDevice>);

class Unit {
 public:
  // `facts` are empty for a part.
  Unit(const DiskName& name, const DiskFacts& facts, std::string_view content,
       const UnitDevice& device)
      : name_(name), facts_(facts), content_(content), device_(device) {}

  [[nodiscard]] std::string_view name() const { return name_.view(); }
  [[nodiscard]] const DiskName& disk_name() const { return name_; }
  [[nodiscard]] const DiskFacts& facts() const { return facts_; }
  // "GPT" of a disk with one, "HAMMER2" of a partition that is said to hold
  // that, or empty.
  [[nodiscard]] std::string_view content() const { return content_; }
  // By a table of this scheme, parts of it are units of their own.
  void divide(std::string_view scheme) {
    content_ = scheme;
    is_divided_ = true;
  }
  [[nodiscard]] bool is_divided() const { return is_divided_; }
  [[nodiscard]] UnitDevice& device() { return device_; }
  [[nodiscard]] const UnitDevice& device() const { return device_; }

 private:
  DiskName name_;
  DiskFacts facts_;
  std::string_view content_;
  bool is_divided_ = false;
  UnitDevice device_;
};

// Reads the partition tables of all disks, and makes RAM disks of modules.
// Once, after the drivers have found their disks.
void find_units(const boot::BootInfo& info);

// A disk's parts come right behind it; RAM disks come last.
[[nodiscard]] std::size_t unit_count();
[[nodiscard]] Unit& unit(std::size_t index);
// A RAM disk, or a part of one.
[[nodiscard]] bool is_in_memory(std::size_t index);
// Of those that are no parts.
[[nodiscard]] std::size_t whole_unit_count();

}  // namespace odo::x86
