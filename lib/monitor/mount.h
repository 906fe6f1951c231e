// SPDX-License-Identifier: BSD-3-Clause
// Mounting: which disks make a filesystem, and which of its trees is shown.
//
// Contexts: thread; blocks where the disks do.
// Failure: told on the error channel. A spec that makes no sense leaves what is
// mounted alone; one that cannot be opened leaves nothing mounted.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "lib/base/text.h"
#include "lib/hammer2/error.h"
#include "lib/hammer2/pfs_choice.h"
#include "lib/hammer2/types.h"
#include "lib/monitor/machine.h"
#include "lib/monitor/printer.h"
#include "lib/monitor/session.h"

namespace odo::monitor {

namespace detail {

template <class S>
[[nodiscard]] std::optional<std::size_t> find_disk(S& s,
                                                   std::string_view name) {
  for (std::size_t i = 0; i < s.machine.disk_count(); ++i) {
    if (s.machine.disk(i).name == name) return i;
  }
  return std::nullopt;
}

// "vd0+vd1"
template <class S, class Out>
void print_disks(S& s, std::span<const std::size_t> disks, Out& out) {
  for (std::size_t i = 0; i < disks.size(); ++i) {
    out.text(i == 0 ? "" : "+").text(s.machine.disk(disks[i]).name);
  }
}

template <class S>
[[nodiscard]] hammer2::Result<void> open_disks(
    S& s, std::span<const std::size_t> disks) {
  std::array<typename S::Device*, S::kMaxVolumes> devices;
  for (std::size_t i = 0; i < disks.size(); ++i) {
    devices[i] = &s.machine.disk_device(disks[i]);
    s.mounted_disks[i] = disks[i];
  }
  s.mounted_disk_count = disks.size();
  return s.open(std::span(devices).first(disks.size()));
}

// ", PFSs: A B C", as many as a line can take.
template <class S, class Out>
void print_labels(S& s, Out& out) {
  constexpr int kMost = 24;
  hammer2::DirCursor cursor;
  out.text(", PFSs:");
  for (int i = 0;; ++i) {
    auto more = s.fs.next_pfs(cursor, s.other_pfs);
    if (!more || !*more) return;
    if (i == kMost) {
      out.text(" ...");
      return;
    }
    out.text(" ").escaped(s.other_pfs.label());
  }
}

// With the disks open: shows the tree `label`, or the default one where it is
// empty.
template <class S>
[[nodiscard]] Status mount_pfs(S& s, std::string_view label,
                               std::span<const std::size_t> disks) {
  auto found = label.empty() ? hammer2::choose_pfs(s.fs, s.pfs)
                             : hammer2::find_pfs(s.fs, label, s.pfs);
  if (found) found = s.fs.root(s.pfs, s.node);
  if (!found) {
    Printer<typename S::ConsoleType>& line = s.begin_error("mount");
    print_disks(s, disks, line);
    if (!label.empty()) line.text("@").escaped(label);
    std::array<char, hammer2::kErrorTextBytes> text;
    line.text(": ").text(hammer2::error_text(found.error(), text));
    auto code = found.error().code;
    if (code == hammer2::Code::kNoSuchPfs ||
        code == hammer2::Code::kNoDefaultPfs) {
      print_labels(s, line);
    }
    return s.end_error();
  }
  s.is_mounted = true;
  s.set_cwd("/", s.node);
  return Status::kDone;
}

template <class S>
Status tell_open_error(S& s, std::span<const std::size_t> disks,
                       const hammer2::Error& error) {
  Printer<typename S::ConsoleType>& line = s.begin_error("mount");
  print_disks(s, disks, line);
  std::array<char, hammer2::kErrorTextBytes> text;
  line.text(": ").text(hammer2::error_text(error, text));
  if (error.code == hammer2::Code::kVolumeMissing) {
    line.text("; name all of its disks: `mount ");
    print_disks(s, disks, line);
    line.text("+...`, disks: ");
    s.list_disks(line);
  }
  return s.end_error();
}

// Opens the disks and shows the tree, or tells why not.
template <class S>
[[nodiscard]] Status mount_disks(S& s, std::string_view label,
                                 std::span<const std::size_t> disks) {
  if (auto opened = open_disks(s, disks); !opened) {
    return tell_open_error(s, disks, opened.error());
  }
  return mount_pfs(s, label, disks);
}

}  // namespace detail

// Makes what was changed durable, and forgets what is mounted.
template <class S>
[[nodiscard]] Status save_changes(S& s, std::string_view command) {
  if (!s.is_mounted) return Status::kDone;
  const DiskInfo disk = s.machine.disk(s.mounted_disks[0]);
  const auto saved = s.unmount();
  if (saved) return Status::kDone;
  std::array<char, hammer2::kErrorTextBytes> text;
  s.begin_error(command)
      .text(disk.name)
      .text(": changes since the last sync are lost: ")
      .text(hammer2::error_text(saved.error(), text));
  return s.end_error();
}

// "vd0", "vd0@LABEL", "vd0+vd1", "vd0+vd1@LABEL".
template <class S>
[[nodiscard]] Status mount_spec(S& s, std::string_view spec) {
  std::size_t sign = spec.find('@');
  std::string_view names = slice(spec, 0, sign);
  std::string_view label;
  if (sign != std::string_view::npos) {
    label = slice(spec, sign + 1);
    if (label.empty()) {
      return s.complain("mount", spec, "a PFS label is missing after the @");
    }
  }
  std::array<std::size_t, S::kMaxVolumes> disks;
  std::size_t count = 0;
  while (true) {
    std::size_t plus = names.find('+');
    std::string_view name = slice(names, 0, plus);
    auto disk = detail::find_disk(s, name);
    if (!disk) {
      auto& line = s.begin_error("mount").escaped(name);
      line.text(": no such disk, ");
      if (s.machine.disk_count() == 0) {
        line.text("and no other: boot the machine with one");
      } else {
        line.text("disks: ");
        s.list_disks(line);
      }
      return s.end_error();
    }
    if (count == disks.size()) {
      return s.complain("mount", spec, "too many disks, 64 is the most");
    }
    disks[count++] = *disk;
    if (plus == std::string_view::npos) break;
    names.remove_prefix(plus + 1);
  }
  auto given = std::span<const std::size_t>(disks).first(count);
  // What a disk did not take is lost: the reader knows, and may go on.
  (void)save_changes(s, "mount");
  return detail::mount_disks(s, label, given);
}

namespace detail {

// Old headers may be left between the partitions of a disk that has them.
template <class S>
[[nodiscard]] bool opens(S& s, std::size_t disk) {
  return !s.machine.disk(disk).is_divided &&
         open_disks(s, std::span<const std::size_t>(&disk, 1)).has_value();
}

// The disk with the filesystem that came with the kernel. One in memory says
// which that is; where the same is on another disk, one that keeps what is
// written, it is that.
template <class S>
[[nodiscard]] std::optional<std::size_t> find_brought(S& s) {
  const std::size_t count = s.machine.disk_count();
  for (std::size_t i = 0; i < count; ++i) {
    if (!s.machine.disk(i).in_memory || !opens(s, i)) continue;
    const auto wanted = s.fs.info().fsid;
    for (std::size_t twin = 0; twin < count; ++twin) {
      const DiskInfo other = s.machine.disk(twin);
      if (!other.in_memory && !other.read_only && opens(s, twin) &&
          s.fs.info().fsid == wanted) {
        return twin;
      }
    }
    return i;
  }
  return std::nullopt;
}

}  // namespace detail

// What a machine does by itself when it starts: mounts the filesystem that came
// with the kernel, if one did; else the first disk or partition that carries
// one, or, where the disks with HAMMER2 on them are volumes of a larger one,
// all of those together. With no disk at all, nothing happens.
template <class S>
[[nodiscard]] Status mount_any(S& s) {
  if (const auto brought = detail::find_brought(s)) {
    return detail::mount_disks(s, {}, std::span(&*brought, 1));
  }
  std::array<std::size_t, S::kMaxVolumes> parts;
  std::size_t part_count = 0;
  std::optional<hammer2::Error> first_error;
  std::size_t first_failed = 0;
  for (std::size_t i = 0; i < s.machine.disk_count(); ++i) {
    if (s.machine.disk(i).is_divided) continue;
    auto one = std::span<const std::size_t>(&i, 1);
    auto opened = detail::open_disks(s, one);
    if (opened) return detail::mount_pfs(s, {}, one);
    if (opened.error().code == hammer2::Code::kVolumeMissing &&
        part_count < parts.size()) {
      parts[part_count++] = i;
    }
    if (!first_error) {
      first_error = opened.error();
      first_failed = i;
    }
  }
  auto together = std::span<const std::size_t>(parts).first(part_count);
  if (part_count > 1) return detail::mount_disks(s, {}, together);
  if (!first_error) return Status::kDone;
  return detail::tell_open_error(
      s, std::span<const std::size_t>(&first_failed, 1), *first_error);
}

}  // namespace odo::monitor
