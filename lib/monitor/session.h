// SPDX-License-Identifier: BSD-3-Clause
// What the commands of one monitor share: where to print, what is mounted,
// where "here" is, and room to work in.
//
// Contexts: thread, one at a time.
// Ownership: refers to console, machine and memory, which outlive it. The
// object itself takes tens of KiB: it belongs in static memory or in pages,
// not on a stack.
// Failure: functions that return a Status have told the reader on the error
// channel what went wrong.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/check/checks.h"
#include "lib/hammer2/error.h"
#include "lib/hammer2/types.h"
#include "lib/hammer2/write/held.h"
#include "lib/hammer2/write/remove_tree.h"
#include "lib/monitor/machine.h"
#include "lib/monitor/mounted_tree.h"
#include "lib/monitor/options.h"
#include "lib/monitor/printer.h"
#include "lib/monitor/tree_walk.h"

namespace odo::monitor {

// What a command ends with, as shells count.
enum class Status : std::uint8_t {
  kDone = 0,
  kFailed = 1,         // something could not be done; the rest was
  kUsage = 2,          // the command itself makes no sense
  kUnknown = 127,      // no such command
  kInterrupted = 130,  // ^C
};

template <Console C, Machine M>
class Session {
 public:
  using ConsoleType = C;
  using Device = typename M::Device;
  using Tree = MountedTree<typename M::Ground>;
  using Held = hammer2::write::Held<typename M::Ground>;
  using Walk = TreeWalk<Tree>;

  static constexpr std::size_t kIoBytes = 65536;
  static constexpr std::size_t kMinWalkBytes = 65536;
  static constexpr std::size_t kMaxWalkBytes = std::size_t{4} << 20;
  // Less memory than this can't be worked with; more makes a larger cache, and
  // lets larger directories come sorted.
  static constexpr std::size_t kMinMemoryBytes =
      Tree::kMinMemoryBytes + kIoBytes + kMinWalkBytes;
  static constexpr std::size_t kMaxVolumes = Tree::kMaxVolumes;
  static constexpr std::size_t kMaxPathBytes = 4096;

  Session(C& console, M& machine, MutableBytes memory, check::Checks checks)
      : console(console),
        machine(machine),
        checks(checks),
        out(console, Channel::kOutput),
        fs(machine.ground(), checks,
           memory.subspan(kIoBytes + walk_bytes(memory.size()))),
        io(memory.first(kIoBytes)),
        walk(fs, memory.subspan(kIoBytes, walk_bytes(memory.size()))),
        err_(console, Channel::kError) {}
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Sees to it that what comes next on a terminal begins a row.
  void finish_row() {
    if (!out.at_line_start()) out.text("\n");
  }

  void set_newline(Newline newline) {
    newline_ = newline;
    out.set_newline(newline);
    err_.set_newline(newline);
  }

  // Begins a line on the error channel, after everything printed so far:
  // "ls: ". Whoever begins one also ends it, with end_error().
  Printer<C>& begin_error(std::string_view command) {
    if (newline_ == Newline::kTerminal) finish_row();
    out.flush();
    return err_.text(command).text(": ");
  }
  Status end_error(Status status = Status::kFailed) {
    err_.text("\n").flush();
    return status;
  }

  Status complain(std::string_view command, std::string_view path,
                  std::string_view what) {
    begin_error(command).escaped(path).text(": ").text(what);
    return end_error();
  }
  Status complain(std::string_view command, std::string_view path,
                  const hammer2::Error& error) {
    std::array<char, hammer2::kErrorTextBytes> text;
    return complain(command, path, hammer2::error_text(error, text));
  }
  Status complain(std::string_view command, std::string_view path,
                  const WalkError& error) {
    switch (error.reason) {
      case WalkError::Reason::kMedia:
        return complain(command, path, error.media);
      case WalkError::Reason::kTooDeep:
        return complain(command, path,
                        "not entered: deeper than 512 directories");
      case WalkError::Reason::kPathTooLong:
        return complain(command, path,
                        "an entry left out: its path is over 16384 bytes");
      case WalkError::Reason::kLoop:
        return complain(command, path,
                        "not entered: this directory contains itself");
      case WalkError::Reason::kTooManyEntered:
        break;
    }
    return complain(command, path, "not entered: over 16777216 directories");
  }
  static_assert(Walk::kMaxDepth == 512 && Walk::kMaxPathBytes == 16384 &&
                Walk::kMaxDirectories == 16777216);

  Status bad_usage(std::string_view command, std::string_view what) {
    begin_error(command).text(what).text(": see `help ").text(command);
    err_.text("`");
    return end_error(Status::kUsage);
  }
  Status bad_option(std::string_view command, char letter) {
    begin_error(command).text("unknown option -").escaped({&letter, 1});
    err_.text(": see `help ").text(command).text("`");
    return end_error(Status::kUsage);
  }

  // Whether ^C was typed. Long work asks from time to time.
  [[nodiscard]] bool interrupted() {
    constexpr std::byte kControlC{3};
    bool seen = false;
    for (int i = 0; i < 64; ++i) {
      auto byte = console.poll();
      if (!byte) break;
      seen |= *byte == kControlC;
    }
    return seen;
  }

  // True when files can be reached; tells the reader what to do otherwise.
  [[nodiscard]] bool need_mount(std::string_view command) {
    if (is_mounted) return true;
    Printer<C>& line = begin_error(command).text("no disk is mounted: ");
    if (machine.disk_count() == 0) {
      line.text("this machine has no disk; boot it with one");
    } else {
      line.text("try `mount ").text(machine.disk(0).name).text("`, disks: ");
      list_disks(line);
    }
    (void)end_error();
    return false;
  }
  void list_disks(Printer<C>& line) {
    for (std::size_t i = 0; i < machine.disk_count(); ++i) {
      line.text(i == 0 ? "" : " ").text(machine.disk(i).name);
    }
  }

  // Finds what `path` names, from here.
  [[nodiscard]] hammer2::Result<void> resolve(std::string_view path,
                                              hammer2::FollowLast follow,
                                              hammer2::Node& to) {
    return fs.resolve(cwd, path, follow, to);
  }

  [[nodiscard]] std::string_view cwd_path() const {
    return {cwd_path_.data(), cwd_path_size_};
  }
  void set_cwd(std::string_view path, const hammer2::Node& directory) {
    ODO_ASSERT(path.size() <= kMaxPathBytes);
    cwd = directory;
    cwd_path_size_ = path.size();
    std::copy_n(path.data(), path.size(), cwd_path_.data());
  }

  // The mounted tree, ready to be changed; tells the reader why not otherwise.
  [[nodiscard]] bool need_changes(std::string_view command) {
    if (!need_mount(command)) return false;
    for (const std::size_t i : mounted()) {
      const DiskInfo disk = machine.disk(i);
      if (!disk.read_only) continue;
      (void)complain(command, disk.name, "this disk can't be written to");
      return false;
    }
    const auto begun = fs.begin_changes(pfs, node);
    if (begun) return true;
    (void)complain(command, machine.disk(mounted_disks[0]).name, begun.error());
    return false;
  }

  // What is mounted, if anything, is synced and forgotten.
  [[nodiscard]] hammer2::Result<void> unmount() {
    is_mounted = false;
    return fs.close();
  }
  [[nodiscard]] hammer2::Result<void> open(std::span<Device* const> devices) {
    is_mounted = false;
    return fs.open(devices);
  }
  // Indices of disks.
  [[nodiscard]] std::span<const std::size_t> mounted() const {
    return std::span(mounted_disks).first(is_mounted ? mounted_disk_count : 0);
  }

  C& console;
  M& machine;
  const check::Checks checks;
  Printer<C> out;

  Tree fs;
  bool is_mounted = false;
  hammer2::Pfs pfs;   // the one that is mounted
  hammer2::Node cwd;  // the directory that relative paths begin in
  MutableBytes io;    // for a piece of a file, or a symlink's target
  Walk walk;

  // What was mounted, in its own words: indices of disks.
  std::array<std::size_t, kMaxVolumes> mounted_disks;
  std::size_t mounted_disk_count = 0;

  // For a command's own use: too large for a stack.
  hammer2::Node node;
  hammer2::Node child;
  hammer2::Pfs other_pfs;
  std::array<char, kMaxPathBytes> path_buffer;
  hammer2::write::RemoveRoom remove_room;

 private:
  static constexpr std::size_t walk_bytes(std::size_t memory_bytes) {
    ODO_CHECK(memory_bytes >= kMinMemoryBytes);
    std::size_t spare = memory_bytes - kMinMemoryBytes;
    // Pages, so that what disks write to behind it stays aligned.
    return align_down(std::min(kMinWalkBytes + spare / 4, kMaxWalkBytes), 4096);
  }

  Newline newline_ = Newline::kPlain;
  Printer<C> err_;
  std::size_t cwd_path_size_ = 0;
  std::array<char, kMaxPathBytes> cwd_path_;
};

}  // namespace odo::monitor
