// SPDX-License-Identifier: BSD-3-Clause
// The commands that show what is there: ls, stat, find, and cd and pwd.
//
// Contexts: thread; they block where the disks do. Stack: below 1 KiB each.
// Failure: a Status; every trouble was told on the error channel. Names from
// the disk reach the console escaped (see utf8.h), never as they are.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "lib/base/calendar.h"
#include "lib/base/text.h"
#include "lib/hammer2/error.h"
#include "lib/hammer2/types.h"
#include "lib/monitor/glob.h"
#include "lib/monitor/options.h"
#include "lib/monitor/session.h"

namespace odo::monitor {

[[nodiscard]] constexpr Status worse(Status a, Status b) {
  return a < b ? b : a;
}

namespace detail {

using hammer2::ObjectType;

// As `ls -l` and `find -type` name them.
[[nodiscard]] constexpr char type_letter(ObjectType type) {
  switch (type) {
    case ObjectType::kDirectory:
      return 'd';
    case ObjectType::kRegular:
      return 'f';
    case ObjectType::kFifo:
      return 'p';
    case ObjectType::kCharDevice:
      return 'c';
    case ObjectType::kBlockDevice:
      return 'b';
    case ObjectType::kSymlink:
      return 'l';
    case ObjectType::kSocket:
      return 's';
    case ObjectType::kWhiteout:
      return 'w';
    case ObjectType::kUnknown:
    case ObjectType::kUnused8:
      break;
  }
  return '?';
}

// "drwxr-xr-x"
template <class Out>
void print_mode(const hammer2::Attributes& attributes, Out& out) {
  char letter = type_letter(attributes.type);
  std::array<char, 10> text;
  text[0] = letter == 'f' ? '-' : letter;
  for (unsigned i = 0; i < 9; ++i) {
    bool set = ((attributes.mode >> (8 - i)) & 1) != 0;
    text[i + 1] = set ? "rwx"[i % 3] : '-';
  }
  auto special = [&](unsigned bit, std::size_t at, char with_x, char without) {
    if (((attributes.mode >> bit) & 1) == 0) return;
    text[at] = text[at] == 'x' ? with_x : without;
  };
  special(11, 3, 's', 'S');
  special(10, 6, 's', 'S');
  special(9, 9, 't', 'T');
  out.text(std::string_view(text.data(), text.size()));
}

enum class TimeDetail : std::uint8_t { kMinutes, kMicroseconds };

template <class Out>
void print_time(std::uint64_t us, TimeDetail wanted, Out& out) {
  Moment at = moment_of(us);
  out.padded_number(at.year, 4).text("-").padded_number(at.month, 2);
  out.text("-").padded_number(at.day, 2).text(" ").padded_number(at.hour, 2);
  out.text(":").padded_number(at.minute, 2);
  if (wanted == TimeDetail::kMicroseconds) {
    out.text(":").padded_number(at.second, 2).text(".");
    out.padded_number(at.microsecond, 6).text(" UTC");
  }
}

// " -> target", or the trouble with it on the error channel.
template <class S>
[[nodiscard]] Status print_target(S& s, std::string_view command,
                                  std::string_view path,
                                  const hammer2::Node& link) {
  auto length = s.fs.read_link(link, s.io);
  if (!length) {
    s.out.text("\n");
    return s.complain(command, path, length.error());
  }
  s.out.text(" -> ").escaped(
      {reinterpret_cast<const char*>(s.io.data()), *length});
  s.out.text("\n");
  return Status::kDone;
}

template <class S>
[[nodiscard]] Status print_long(S& s, std::string_view path,
                                std::string_view name,
                                const hammer2::Node& node) {
  const hammer2::Attributes& a = node.attributes;
  print_mode(a, s.out);
  s.out.text(" ").number(a.nlinks, 3).text(" ").number(a.uid, 5).text(" ");
  s.out.number(a.gid, 5).text(" ");
  if (a.type == ObjectType::kCharDevice || a.type == ObjectType::kBlockDevice) {
    s.out.number(a.rmajor, 5).text(", ").number(a.rminor, 5);
  } else {
    s.out.number(a.size, 12);
  }
  s.out.text(" ");
  print_time(a.mtime_us, TimeDetail::kMinutes, s.out);
  s.out.text(" ").escaped(name);
  if (a.type == ObjectType::kSymlink) {
    return print_target(s, "ls", path, node);
  }
  s.out.text("\n");
  return Status::kDone;
}

enum ListFlag : std::uint32_t { kLong = 1, kAll = 2, kRecursive = 4 };

// One line of a listing, by inode number.
template <class S>
[[nodiscard]] Status print_entry(S& s, const WalkItem& item,
                                 std::uint32_t flags) {
  if ((flags & kLong) == 0) {
    s.out.escaped(item.name).text("\n");
    return Status::kDone;
  }
  auto found = s.fs.node_by_inum(s.walk.any(), item.inum, s.child);
  if (!found) return s.complain("ls", item.path, found.error());
  return print_long(s, item.path, item.name, s.child);
}

[[nodiscard]] constexpr bool is_shown(std::string_view name,
                                      std::uint32_t flags) {
  return (flags & kAll) != 0 || !name.starts_with('.');
}

// Every entry of the directory that the walk entered last.
template <class S>
[[nodiscard]] Status print_directory(S& s, std::uint32_t flags) {
  Status worst = Status::kDone;
  WalkItem item;
  for (unsigned count = 1;; ++count) {
    if (count % 64 == 0 && s.interrupted()) return Status::kInterrupted;
    auto more = s.walk.next_here(item);
    if (!more) {
      worst = s.complain("ls", s.walk.path(), more.error());
    } else if (!*more) {
      return worst;
    } else if (is_shown(item.name, flags)) {
      worst = worse(worst, print_entry(s, item, flags));
    }
  }
}

// Enters `directory`, which the walk stands at. False when that was refused.
template <class S>
[[nodiscard]] bool enter(S& s, std::string_view command,
                         const hammer2::Node& directory, Status& worst) {
  auto entered = s.walk.enter(directory);
  if (entered) return true;
  worst = worse(worst, s.complain(command, s.walk.path(), entered.error()));
  return entered.error().reason == WalkError::Reason::kMedia;
}

// What stands above a directory's entries: its path, where there may be
// several, set off by an empty line from what was printed before.
enum class Heading : std::uint8_t { kNone, kPath, kSetOffPath };

// The directory s.node, and with kRecursive all below it.
template <class S>
[[nodiscard]] Status list_tree(S& s, std::string_view path, std::uint32_t flags,
                               Heading heading) {
  Status worst = Status::kDone;
  s.walk.begin(path);
  if (!enter(s, "ls", s.node, worst)) return worst;
  if (heading == Heading::kSetOffPath) s.out.text("\n");
  if (heading != Heading::kNone) s.out.escaped(s.walk.path()).text(":\n");
  worst = worse(worst, print_directory(s, flags));
  if ((flags & kRecursive) == 0) return worst;
  s.walk.rewind();
  WalkItem item;
  for (unsigned count = 1;; ++count) {
    if (worst == Status::kInterrupted) return worst;
    if (count % 64 == 0 && s.interrupted()) return Status::kInterrupted;
    auto more = s.walk.next(item);
    if (!more) continue;  // told when the directory was printed
    if (!*more) return worst;
    if (item.type != ObjectType::kDirectory || !is_shown(item.name, flags)) {
      continue;
    }
    auto found = s.fs.node_by_inum(s.walk.any(), item.inum, s.child);
    if (!found) {
      worst = worse(worst, s.complain("ls", item.path, found.error()));
      continue;
    }
    s.out.text("\n").escaped(item.path).text(":\n");
    if (!enter(s, "ls", s.child, worst)) continue;
    worst = worse(worst, print_directory(s, flags));
    s.walk.rewind();
  }
}

template <class S>
[[nodiscard]] Status list_path(S& s, std::string_view path, std::uint32_t flags,
                               Heading heading) {
  auto found = s.resolve(path, hammer2::FollowLast::kNo, s.node);
  if (found && s.node.is(ObjectType::kSymlink) && (flags & kLong) == 0) {
    // A link to a directory is listed as that directory.
    auto target = s.resolve(path, hammer2::FollowLast::kYes, s.child);
    if (target && s.child.is(ObjectType::kDirectory)) s.node = s.child;
  }
  if (!found) return s.complain("ls", path, found.error());
  if (s.node.is(ObjectType::kDirectory)) {
    return list_tree(s, path, flags, heading);
  }
  if ((flags & kLong) != 0) return print_long(s, path, path, s.node);
  s.out.escaped(path).text("\n");
  return Status::kDone;
}

}  // namespace detail

template <class S>
[[nodiscard]] Status command_ls(S& s, Words words) {
  auto options = parse_options(words, "laR");
  if (!options) return s.bad_option("ls", options.error());
  if (!s.need_mount("ls")) return Status::kFailed;
  constexpr std::string_view kHere = ".";
  Words paths = options->operands;
  if (paths.empty()) paths = Words(&kHere, 1);
  auto heading =
      paths.size() > 1 || (options->letters & detail::kRecursive) != 0
          ? detail::Heading::kPath
          : detail::Heading::kNone;
  Status worst = Status::kDone;
  for (std::string_view path : paths) {
    worst = worse(worst, detail::list_path(s, path, options->letters, heading));
    if (worst == Status::kInterrupted) break;
    if (heading == detail::Heading::kPath) {
      heading = detail::Heading::kSetOffPath;
    }
  }
  return worst;
}

template <class S>
[[nodiscard]] Status command_stat(S& s, Words words) {
  auto options = parse_options(words, "");
  if (!options) return s.bad_option("stat", options.error());
  if (options->operands.empty()) return s.bad_usage("stat", "no path named");
  if (!s.need_mount("stat")) return Status::kFailed;
  Status worst = Status::kDone;
  for (std::string_view path : options->operands) {
    auto found = s.resolve(path, hammer2::FollowLast::kNo, s.node);
    if (!found) {
      worst = s.complain("stat", path, found.error());
      continue;
    }
    const hammer2::Attributes& a = s.node.attributes;
    s.out.text("path   ").escaped(path);
    if (a.type == hammer2::ObjectType::kSymlink) {
      worst = worse(worst, detail::print_target(s, "stat", path, s.node));
    } else {
      s.out.text("\n");
    }
    s.out.text("type   ").text(hammer2::to_string(a.type));
    if (a.type == hammer2::ObjectType::kCharDevice ||
        a.type == hammer2::ObjectType::kBlockDevice) {
      s.out.text(" ").number(a.rmajor).text(", ").number(a.rminor);
    }
    s.out.text("\ninode  ").number(a.inum).text(", links ").number(a.nlinks);
    s.out.text("\nsize   ").number(a.size).text(" bytes, ");
    s.out.number(a.data_bytes).text(" allocated");
    s.out.text("\nmode   ").octal(a.mode, 4).text(" ");
    detail::print_mode(a, s.out);
    s.out.text("\nowner  uid ").number(a.uid).text(", gid ").number(a.gid);
    s.out.text("\ncheck  ").text(hammer2::to_string(a.check));
    s.out.text(", compression ").text(hammer2::to_string(a.comp));
    for (auto [name, us] :
         {std::pair("mtime", a.mtime_us), std::pair("ctime", a.ctime_us),
          std::pair("atime", a.atime_us), std::pair("btime", a.btime_us)}) {
      s.out.text("\n").text(name).text("  ");
      detail::print_time(us, detail::TimeDetail::kMicroseconds, s.out);
    }
    s.out.text("\n");
  }
  return worst;
}

namespace detail {

struct FindFilter {
  std::optional<std::string_view> name;
  std::optional<char> type;

  [[nodiscard]] bool passes(std::string_view entry, ObjectType what) const {
    return (!name || glob_match(*name, entry)) &&
           (!type || type_letter(what) == *type);
  }
};

// The last part of a path: "/" for the root.
[[nodiscard]] constexpr std::string_view last_part(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos || path.size() == 1) return path;
  return slice(path, slash + 1);
}

template <class S>
[[nodiscard]] Status find_below(S& s, std::string_view path,
                                const FindFilter& filter) {
  auto found = s.resolve(path, hammer2::FollowLast::kNo, s.node);
  if (!found) return s.complain("find", path, found.error());
  if (filter.passes(last_part(path), s.node.attributes.type)) {
    s.out.escaped(path).text("\n");
  }
  Status worst = Status::kDone;
  if (!s.node.is(ObjectType::kDirectory)) return worst;
  s.walk.begin(path);
  if (!enter(s, "find", s.node, worst)) return worst;
  WalkItem item;
  for (unsigned count = 1;; ++count) {
    if (count % 64 == 0 && s.interrupted()) return Status::kInterrupted;
    auto more = s.walk.next(item);
    if (!more) {
      worst = s.complain("find", s.walk.path(), more.error());
      continue;
    }
    if (!*more) return worst;
    if (filter.passes(item.name, item.type)) {
      s.out.escaped(item.path).text("\n");
    }
    if (item.type != ObjectType::kDirectory) continue;
    auto node = s.fs.node_by_inum(s.walk.any(), item.inum, s.child);
    if (!node) {
      worst = s.complain("find", item.path, node.error());
    } else {
      (void)enter(s, "find", s.child, worst);
    }
  }
}

}  // namespace detail

template <class S>
[[nodiscard]] Status command_find(S& s, Words words) {
  std::string_view path = ".";
  detail::FindFilter filter;
  Words rest = words.subspan(1);
  if (!rest.empty() && !rest[0].starts_with('-')) {
    path = rest[0];
    rest = rest.subspan(1);
  }
  for (; !rest.empty(); rest = rest.subspan(2)) {
    if (rest[0] != "-name" && rest[0] != "-type") {
      s.begin_error("find").escaped(rest[0]).text(": see `help find`");
      return s.end_error(Status::kUsage);
    }
    if (rest.size() < 2) return s.bad_usage("find", "a test lacks its value");
    if (rest[0] == "-name") {
      filter.name = rest[1];
    } else if (rest[1].size() == 1 &&
               std::string_view("fdlpcbs").contains(rest[1][0])) {
      filter.type = rest[1][0];
    } else {
      return s.bad_usage("find", "-type takes one of f d l p c b s");
    }
  }
  if (!s.need_mount("find")) return Status::kFailed;
  return detail::find_below(s, path, filter);
}

namespace detail {

// `path` seen from `from`, with "." and ".." taken out by the letter: what a
// shell calls the logical path. Nothing when it does not fit.
[[nodiscard]] inline std::optional<std::string_view> logical_path(
    std::string_view from, std::string_view path, std::span<char> to) {
  std::size_t size = 0;
  auto append = [&](std::string_view parts) {
    while (!parts.empty()) {
      std::size_t slash = parts.find('/');
      std::string_view part = slice(parts, 0, slash);
      parts.remove_prefix(slash == std::string_view::npos ? parts.size()
                                                          : slash + 1);
      if (part.empty() || part == ".") continue;
      if (part == "..") {
        while (size > 0) {
          --size;
          if (to[size] == '/') break;
        }
        continue;
      }
      if (to.size() - size < part.size() + 1) return false;
      to[size++] = '/';
      std::copy_n(part.data(), part.size(), to.data() + size);
      size += part.size();
    }
    return true;
  };
  if (!path.starts_with('/') && !append(from)) return std::nullopt;
  if (!append(path)) return std::nullopt;
  if (size == 0) to[size++] = '/';
  return std::string_view(to.data(), size);
}

}  // namespace detail

template <class S>
[[nodiscard]] Status command_cd(S& s, Words words) {
  if (words.size() > 2) return s.bad_usage("cd", "one directory at a time");
  if (!s.need_mount("cd")) return Status::kFailed;
  std::string_view path = words.size() == 2 ? words[1] : "/";
  auto full = detail::logical_path(s.cwd_path(), path, s.path_buffer);
  if (!full) return s.complain("cd", path, "path longer than 4096 bytes");
  auto found = s.fs.resolve(s.cwd, *full, hammer2::FollowLast::kYes, s.node);
  if (!found) return s.complain("cd", path, found.error());
  if (!s.node.is(hammer2::ObjectType::kDirectory)) {
    return s.complain("cd", path, "not a directory");
  }
  s.set_cwd(*full, s.node);
  return Status::kDone;
}

template <class S>
[[nodiscard]] Status command_pwd(S& s, Words) {
  if (!s.need_mount("pwd")) return Status::kFailed;
  s.out.escaped(s.cwd_path()).text("\n");
  return Status::kDone;
}

}  // namespace odo::monitor
