// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/units.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "kernel/x86_64/heap.h"
#include "kernel/x86_64/log.h"
#include "kernel/x86_64/paging.h"
#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/block/memory_device.h"
#include "lib/partition/partition.h"
#include "lib/partition/read_table.h"

namespace odo::x86 {
namespace {

using partition::Partition;
using partition::Problem;
using partition::Reason;
using partition::Scheme;
using partition::Table;
using RamDisk = block::WritableMemoryDevice;

constinit std::array<Unit*, kMaxUnits> units{};
constinit std::size_t count = 0;
constinit std::size_t whole_count = 0;
constinit std::size_t first_in_memory = 0;

// Null, and told, where there is no room for it.
Unit* add(const DiskName& name, const DiskFacts& facts,
          std::string_view content, const UnitDevice& device) {
  Unit* made = nullptr;
  if (count < kMaxUnits) {
    made = kernel_heap().make<Unit>(name, facts, content, device);
  }
  if (made == nullptr) {
    log("odo: ", name.view(), " left out: no room for more than ", count,
        " disks\n");
    return nullptr;
  }
  units[count++] = made;
  return made;
}

void tell(std::string_view name, const Table& table) {
  for (const Problem& problem : table.problems()) {
    log("odo: ", name, ": ", partition::to_string(table.scheme()));
    if (problem.number != 0) log(" partition ", problem.number);
    log(" ", partition::describe(problem.reason));
    if (problem.reason == Reason::kOverlapping) log_one(problem.other);
    if (problem.number != 0) log(": left out");
    log("\n");
  }
  if (table.more_problems() != 0) {
    log("odo: ", name, ": and so it is with ", table.more_problems(),
        " more\n");
  }
}

[[nodiscard]] UnitDevice part_of(Unit& unit, Partition part) {
  part.begin_bytes += unit.device().begin_bytes();
  return UnitDevice(unit.device().below(), part);
}

[[nodiscard]] std::string_view content_of(const Partition& one) {
  return one.kind == partition::Kind::kOther ? std::string_view()
                                             : partition::to_string(one.kind);
}

void add_labelled(Unit& unit, const Table& label) {
  tell(unit.name(), label);
  if (label.scheme() != Scheme::kDisklabel64) return;
  unit.divide(partition::to_string(label.scheme()));
  for (const Partition& one : label.partitions()) {
    const char letter = partition::disklabel_letter(one.number);
    add(DiskName(unit.disk_name()).append(std::string_view(&letter, 1)), {},
        content_of(one), part_of(unit, one));
  }
}

void add_parts(Unit& whole, const Table& table, Table& label) {
  if (table.scheme() == Scheme::kNone) {
    // Whoever uses a disk that cannot be read is told so then.
    return;
  }
  if (table.scheme() == Scheme::kDisklabel64) return add_labelled(whole, table);
  tell(whole.name(), table);
  whole.divide(partition::to_string(table.scheme()));
  for (const Partition& one : table.partitions()) {
    Unit* const part =
        add(DiskName(whole.disk_name()).append("p").append(one.number), {},
            content_of(one), part_of(whole, one));
    if (part == nullptr) return;
    partition::read_label(part->device(), label);
    add_labelled(*part, label);
  }
}

class Finder {
 public:
  Finder()
      : table_(kernel_heap().make<Table>()),
        label_(kernel_heap().make<Table>()) {}
  ~Finder() {
    kernel_heap().destroy(table_);
    kernel_heap().destroy(label_);
  }
  Finder(const Finder&) = delete;
  Finder& operator=(const Finder&) = delete;

  void add_whole(const DiskName& name, const DiskFacts& facts, Disk& whole) {
    if (table_ == nullptr || label_ == nullptr) {
      log("odo: ", name.view(), " left out: no memory for it\n");
      return;
    }
    Unit* const unit =
        add(name, facts, {},
            UnitDevice(whole,
                       {.begin_bytes = 0, .size_bytes = whole.size_bytes()}));
    if (unit == nullptr) return;
    ++whole_count;
    partition::read_table(unit->device(), *table_);
    add_parts(*unit, *table_, *label_);
  }

 private:
  Table* table_;
  Table* label_;
};

// The module as the direct map shows it; nothing where RAM is not what it
// lies in.
[[nodiscard]] std::optional<MutableBytes> memory_of(
    const boot::BootInfo& info, const boot::Module& module) {
  const auto ranges = info.memory.ranges();
  const bool is_ram = std::ranges::any_of(ranges, [&](const auto& range) {
    return range.kind == boot::MemoryKind::kUsable &&
           range.base <= module.base && module.end <= range.end;
  });
  if (!is_ram) return std::nullopt;
  return MutableBytes(direct(module.base), module.end - module.base);
}

}  // namespace

void find_units(const boot::BootInfo& info) {
  Finder finder;
  for (std::size_t i = 0; i < disk_count(); ++i) {
    finder.add_whole(disk_name(i), disk_facts(i), disk(i));
  }
  first_in_memory = count;
  std::uint32_t number = 0;
  for (const boot::Module& module : info.modules()) {
    const DiskName name("md", number++);
    const auto memory = memory_of(info, module);
    if (!memory || memory->size() < block::kMinBlockBytes) {
      log("odo: ", name.view(), " left out: the module at 0x", Hex{module.base},
          memory ? " is too short\n" : " is not in RAM\n");
      continue;
    }
    // Both for good.
    auto* const device = kernel_heap().make<RamDisk>(*memory);
    Disk* const whole =
        device == nullptr ? nullptr : kernel_heap().make<Disk>(*device);
    if (whole == nullptr) {
      log("odo: ", name.view(), " left out: no memory for it\n");
      continue;
    }
    finder.add_whole(name, {.driver = "RAM disk", .model = {}, .serial = {}},
                     *whole);
  }
}

std::size_t unit_count() { return count; }

Unit& unit(std::size_t index) {
  ODO_CHECK(index < count);
  return *units[index];
}

bool is_in_memory(std::size_t index) { return index >= first_in_memory; }

std::size_t whole_unit_count() { return whole_count; }

}  // namespace odo::x86
