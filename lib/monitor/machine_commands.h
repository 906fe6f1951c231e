// SPDX-License-Identifier: BSD-3-Clause
// The commands about the machine and its disks: mount, df, mem, pci, cpu, cpus,
// uptime, reboot, poweroff, and echo.
//
// Contexts: thread; mount and df block where the disks do.
// Failure: a Status; every trouble was told on the error channel.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "lib/hammer2/types.h"
#include "lib/monitor/mount.h"
#include "lib/monitor/options.h"
#include "lib/monitor/session.h"
#include "lib/pci/class_names.h"

namespace odo::monitor {

namespace detail {

// "vd0+vd1@LABEL"
template <class S>
void print_mounted(S& s) {
  print_disks(s, std::span(s.mounted_disks).first(s.mounted_disk_count), s.out);
  s.out.text("@").escaped(s.pfs.label());
}

}  // namespace detail

template <class S>
[[nodiscard]] Status command_mount(S& s, Words words) {
  if (words.size() > 2) {
    return s.bad_usage("mount", "one filesystem at a time");
  }
  if (words.size() == 2) return mount_spec(s, words[1]);
  if (s.is_mounted) {
    detail::print_mounted(s);
    s.out.text(" on /");
    if (s.fs.is_changing()) s.out.text(", being changed");
    s.out.text("\n");
  } else {
    s.out.text("nothing is mounted\n");
  }
  for (std::size_t i = 0; i < s.machine.disk_count(); ++i) {
    DiskInfo disk = s.machine.disk(i);
    s.out.text("disk ").text(disk.name).text(": ").size(disk.size_bytes);
    if (!disk.driver.empty()) s.out.text(", ").text(disk.driver);
    if (!disk.model.empty()) {
      s.out.text(" (").escaped(disk.model).text(")");
    }
    if (!disk.content.empty()) s.out.text(", ").text(disk.content);
    s.out.text(", blocks of ").number(disk.block_bytes);
    if (!disk.serial.empty()) {
      s.out.text(", serial ").escaped(disk.serial);
    }
    if (disk.read_only) s.out.text(", read-only");
    s.out.text("\n");
  }
  return Status::kDone;
}

template <class S>
[[nodiscard]] Status command_df(S& s, Words) {
  if (!s.need_mount("df")) return Status::kFailed;
  const hammer2::VolumeInfo info = s.fs.info();
  detail::print_mounted(s);
  s.out.text(" on /: HAMMER2 version ").number(info.version);
  s.out.text(", volumes ").number(info.volumes);
  s.out.text(", header ").number(info.header).text(" of transaction ");
  s.out.number(info.mirror_tid).text("\nsize  ").size(info.total_bytes);
  s.out.text(", for data ").size(info.allocator_bytes);
  std::uint64_t free = info.free_bytes;
  if (free > info.allocator_bytes) free = info.allocator_bytes;
  std::uint64_t used = info.allocator_bytes - free;
  s.out.text("\nused  ").size(used);
  if (info.allocator_bytes > 0) {
    std::uint64_t per_mille =
        used / (info.allocator_bytes / 1000 + 1);  // can't overflow
    s.out.text(" (").number(per_mille / 10).text(".");
    s.out.number(per_mille % 10).text("%)");
  }
  s.out.text("\nfree  ").size(free).text("\n");
  hammer2::DirCursor cursor;
  for (unsigned count = 1;; ++count) {
    if (count % 64 == 0 && s.interrupted()) return Status::kInterrupted;
    auto more = s.fs.next_pfs(cursor, s.other_pfs);
    if (!more) return s.complain("df", "list of PFSs", more.error());
    if (!*more) return Status::kDone;
    const hammer2::Pfs& pfs = s.other_pfs;
    s.out.text("PFS   ").escaped(pfs.label()).text(": ");
    s.out.text(hammer2::to_string(pfs.type));
    if (pfs.subtype != hammer2::format::PfsSubtype::kNone) {
      s.out.text(" ").text(hammer2::to_string(pfs.subtype));
    }
    s.out.text(", ").size(pfs.data_bytes).text(", inodes ");
    s.out.number(pfs.inode_count).text("\n");
  }
}

template <class S>
[[nodiscard]] Status command_mem(S& s, Words) {
  MemoryInfo memory = s.machine.memory();
  s.out.text("total   ").size(memory.total_bytes);
  s.out.text("\nkernel  ").size(memory.kernel_bytes);
  s.out.text("\nheap    ").size(memory.heap_bytes);
  s.out.text(", in use ").size(memory.heap_used_bytes).text(" by ");
  s.out.number(memory.heap_objects);
  s.out.text(memory.heap_objects == 1 ? " object" : " objects");
  s.out.text(", kept ").size(memory.heap_kept_bytes);
  s.out.text(", given back ").size(memory.heap_returned_bytes);
  s.out.text("\nfree    ").size(memory.free_bytes);
  s.out.text(", longest run ").size(memory.largest_free_bytes).text("\n");
  return Status::kDone;
}

template <class S>
[[nodiscard]] Status command_pci(S& s, Words) {
  for (std::size_t i = 0; i < s.machine.pci_count(); ++i) {
    PciInfo function = s.machine.pci(i);
    if (function.segment != 0) s.out.hex(function.segment, 4).text(":");
    s.out.hex(function.bus, 2).text(":").hex(function.device, 2).text(".");
    s.out.hex(function.function).text(" ").hex(function.vendor_id, 4).text(":");
    s.out.hex(function.device_id, 4).text(" rev ").hex(function.revision, 2);
    s.out.text(" class ")
        .hex(function.base_class, 2)
        .hex(function.sub_class, 2);
    s.out.hex(function.interface, 2).text(" ");
    s.out.text(pci::class_name(function.base_class, function.sub_class));
    if (!function.driver.empty()) s.out.text(", ").text(function.driver);
    s.out.text("\n");
  }
  return Status::kDone;
}

template <class S>
[[nodiscard]] Status command_cpu(S& s, Words) {
  CpuInfo cpu = s.machine.cpu();
  s.out.text("cpus      ").number(cpu.count).text(" running of ");
  s.out.number(cpu.present).text("\nvendor    ");
  s.out.escaped(cpu.vendor).text("\nmodel     ").escaped(cpu.model);
  s.out.text("\nfeatures  ").text(cpu.features).text("\ntsc       ");
  if (cpu.tsc_hz == 0) {
    s.out.text("of unknown frequency");
  } else {
    s.out.number(cpu.tsc_hz / 1'000'000).text(".");
    s.out.padded_number(cpu.tsc_hz / 1000 % 1000, 3).text(" MHz");
  }
  s.out.text("\ntimer     ").text(cpu.timer).text("\n");
  return Status::kDone;
}

// A line for each processor, in the order in which the firmware names them.
template <class S>
[[nodiscard]] Status command_cpus(S& s, Words) {
  const std::uint32_t count = s.machine.cpu().present;
  for (std::uint32_t i = 0; i < count; ++i) {
    const ProcessorInfo one = s.machine.processor(i);
    s.out.text("apic ").number(one.apic_id).text(": package ");
    s.out.number(one.package).text(" core ").number(one.core);
    s.out.text(" thread ").number(one.thread).text(", ");
    switch (one.state) {
      case ProcessorState::kRunning:
        s.out.text("runs as CPU ").number(one.number);
        break;
      case ProcessorState::kSilent:
        s.out.text("does not answer");
        break;
      case ProcessorState::kLeftOut:
        s.out.text("left out");
        break;
    }
    s.out.text("\n");
  }
  return Status::kDone;
}

template <class S>
[[nodiscard]] Status command_uptime(S& s, Words) {
  std::uint64_t ms = s.machine.uptime_ns() / 1'000'000;
  std::uint64_t seconds = ms / 1000;
  s.out.text("up ");
  if (seconds >= 86'400) {
    s.out.number(seconds / 86'400);
    s.out.text(seconds / 86'400 == 1 ? " day " : " days ");
  }
  s.out.padded_number(seconds / 3600 % 24, 2).text(":");
  s.out.padded_number(seconds / 60 % 60, 2).text(":");
  s.out.padded_number(seconds % 60, 2).text(".").padded_number(ms % 1000, 3);
  s.out.text("\n");
  return Status::kDone;
}

template <class S>
[[nodiscard]] Status command_reboot(S& s, Words) {
  // What could not be saved was told, and waiting would not save it.
  (void)save_changes(s, "reboot");
  s.out.flush();
  s.machine.reboot();
  s.begin_error("reboot").text("this machine does not do it: turn it off");
  return s.end_error();
}

template <class S>
[[nodiscard]] Status command_poweroff(S& s, Words words) {
  std::uint64_t status = 0;
  if (words.size() > 2) return s.bad_usage("poweroff", "one status only");
  if (words.size() == 2) {
    auto number = parse_number(words[1]);
    if (!number || *number > 255) {
      return s.bad_usage("poweroff", "the status is a number up to 255");
    }
    status = *number;
  }
  const Status saved = save_changes(s, "poweroff");
  if (saved != Status::kDone && status == 0) {
    status = static_cast<std::uint64_t>(saved);
  }
  s.out.flush();
  s.machine.poweroff(static_cast<std::uint8_t>(status));
  s.begin_error("poweroff").text("this machine does not do it: turn it off");
  return s.end_error();
}

template <class S>
[[nodiscard]] Status command_echo(S& s, Words words) {
  for (std::size_t i = 1; i < words.size(); ++i) {
    s.out.text(i == 1 ? "" : " ").text(words[i]);
  }
  s.out.text("\n");
  return Status::kDone;
}

}  // namespace odo::monitor
