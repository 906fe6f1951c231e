// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/disks.h"

#include <optional>

#include "kernel/x86_64/log.h"
#include "lib/base/check.h"

namespace odo::x86 {
namespace {

struct Entry {
  DiskName name;
  DiskFacts facts;
  Disk disk;
};

constinit std::array<std::optional<Entry>, kMaxDisks> disks{};
constinit std::size_t count = 0;

[[nodiscard]] Entry& entry(std::size_t index) {
  ODO_CHECK(index < count);
  return *disks[index];
}

}  // namespace

DiskName::DiskName(std::string_view kind, std::uint32_t number) {
  append(kind).append(number);
}

DiskName& DiskName::append(std::string_view text) {
  ODO_CHECK(text.size() <= text_.size() - size_);
  for (const char c : text) text_[size_++] = c;
  return *this;
}

DiskName& DiskName::append(std::uint32_t number) {
  std::array<char, 10> digits;
  std::size_t first = digits.size();
  do {
    digits[--first] = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number != 0);
  return append(std::string_view(&digits[first], digits.size() - first));
}

void tell_left_out(const pci::Function& function, std::string_view unit,
                   std::string_view why) {
  log("odo: disk at ", Hex{function.address.bus, 2}, ":",
      Hex{function.address.device, 2}, ".",
      std::uint32_t{function.address.function}, unit, " left out: ", why, "\n");
}

bool add_disk(const pci::Function& function, const DiskName& name,
              const DiskFacts& facts, Disk disk) {
  if (count == kMaxDisks) {
    tell_left_out(function, "", "there are 32 others");
    return false;
  }
  disks[count++].emplace(name, facts, disk);
  return true;
}

std::size_t disk_count() { return count; }
Disk& disk(std::size_t index) { return entry(index).disk; }
const DiskName& disk_name(std::size_t index) { return entry(index).name; }
const DiskFacts& disk_facts(std::size_t index) { return entry(index).facts; }

}  // namespace odo::x86
