// SPDX-License-Identifier: BSD-3-Clause
// The machine's disks, whatever drives them, in the order in which their
// drivers told of them.
//
// Contexts: boot, then one thread.
// Ownership: disks live as long as the kernel.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/block/any_device.h"
#include "lib/pci/config.h"

namespace odo::x86 {

using Disk = block::AnyDevice;

inline constexpr std::size_t kMaxDisks = 32;

// "vd0", "nvme0", "nvme0n2": what `root=` and the monitor call a disk.
class DiskName {
 public:
  DiskName(std::string_view kind, std::uint32_t number);
  DiskName& append(std::string_view text);
  DiskName& append(std::uint32_t number);
  [[nodiscard]] std::string_view view() const { return {text_.data(), size_}; }

 private:
  std::array<char, 24> text_{};
  std::size_t size_ = 0;
};

struct DiskFacts {
  std::string_view driver;  // "virtio-blk"
  // Both as the device tells them; they stay where they are.
  std::string_view model;
  std::string_view serial;
};

// A disk that works. False, and told, when there are too many.
bool add_disk(const pci::Function& function, const DiskName& name,
              const DiskFacts& facts, Disk disk);

// One line about a disk, or a controller and its disks, that cannot be used.
// `unit` says which of several at one place, as " port 2".
void tell_left_out(const pci::Function& function, std::string_view unit,
                   std::string_view why);

[[nodiscard]] std::size_t disk_count();
[[nodiscard]] Disk& disk(std::size_t index);
[[nodiscard]] const DiskName& disk_name(std::size_t index);
[[nodiscard]] const DiskFacts& disk_facts(std::size_t index);

}  // namespace odo::x86
