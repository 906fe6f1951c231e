// SPDX-License-Identifier: BSD-3-Clause
// The commands that change files: put, rm, mv, ln, mkdir, snapshot and sync.
//
// A change is seen at once, and durable after the next sync: by the command, by
// poweroff and reboot, or by whoever calls Monitor::sync() from time to time.
//
// Contexts: thread; they block where the disks do. Stack: below 1 KiB each.
// Failure: a Status; every trouble was told on the error channel. A name that
// could not be dealt with leaves those after it their turn.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include "lib/base/bytes.h"
#include "lib/base/text.h"
#include "lib/hammer2/error.h"
#include "lib/hammer2/types.h"
#include "lib/hammer2/write/remove_tree.h"
#include "lib/hammer2/write/volume.h"
#include "lib/monitor/files_list.h"
#include "lib/monitor/options.h"
#include "lib/monitor/session.h"

namespace odo::monitor {

namespace detail {

// A name, there or not, and the directory that it is in.
template <class S>
struct Place {
  typename S::Held folder;
  std::string_view name;
};

[[nodiscard]] constexpr std::string_view without_slashes(
    std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  return path;
}
[[nodiscard]] constexpr std::string_view last_name(std::string_view path) {
  path = without_slashes(path);
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : slice(path, slash + 1);
}

// What `path` names, held.
template <class S>
[[nodiscard]] hammer2::Result<typename S::Held> hold(S& s,
                                                     std::string_view path) {
  ODO_TRY_VOID(s.resolve(path, hammer2::FollowLast::kYes, s.node));
  ODO_TRY(hammer2::write::OpenInode * inode, s.fs.view().open(s.node));
  return typename S::Held(s.fs.volume(), inode);
}

template <class S>
[[nodiscard]] hammer2::Result<Place<S>> place_of(S& s, std::string_view path) {
  const std::string_view name = last_name(path);
  std::string_view folder = without_slashes(path);
  folder.remove_suffix(name.size());
  ODO_TRY(typename S::Held held, hold(s, folder.empty() ? "." : folder));
  return Place<S>{std::move(held), name};
}

// Where a name goes that is to become `to`: into it if it is a directory.
template <class S>
[[nodiscard]] hammer2::Result<Place<S>> destination(S& s, std::string_view from,
                                                    std::string_view to) {
  auto there = hold(s, to);
  if (there && s.node.is(ObjectType::kDirectory)) {
    return Place<S>{*std::move(there), last_name(from)};
  }
  return place_of(s, to);
}

// A file to be written to; made if there is none.
template <class S>
[[nodiscard]] hammer2::Result<typename S::Held> file_for(
    S& s, std::string_view path) {
  auto there = hold(s, path);
  if (there || there.error().code != hammer2::Code::kNotFound) return there;
  ODO_TRY(const Place<S> place, place_of(s, path));
  ODO_TRY(hammer2::write::OpenInode * made,
          s.fs.volume().make(*place.folder, place.name,
                             {.type = ObjectType::kRegular, .mode = 0644}));
  return typename S::Held(s.fs.volume(), made);
}

template <class S>
[[nodiscard]] hammer2::Result<void> put(S& s, std::string_view path, Bytes text,
                                        bool append) {
  auto& volume = s.fs.volume();
  ODO_TRY(const typename S::Held file, file_for(s, path));
  if (!append) ODO_TRY_VOID(volume.truncate(*file, 0));
  return volume.write(*file, volume.attributes(*file).size, text);
}

template <class S>
[[nodiscard]] hammer2::Result<void> make_folder(S& s, std::string_view path) {
  ODO_TRY(const Place<S> place, place_of(s, path));
  ODO_TRY(hammer2::write::OpenInode * made,
          s.fs.volume().make(*place.folder, place.name,
                             {.type = ObjectType::kDirectory, .mode = 0755}));
  s.fs.volume().release(*made);
  return {};
}

// Each directory on the way that isn't there yet, and the last one.
template <class S>
[[nodiscard]] hammer2::Result<void> make_folders(S& s, std::string_view path) {
  for (std::size_t end = 0; end < path.size();) {
    end = path.find_first_not_of('/', end);
    if (end == std::string_view::npos) break;
    end = path.find('/', end);
    const std::string_view part = slice(path, 0, end);
    const auto found = s.resolve(part, hammer2::FollowLast::kYes, s.node);
    if (!found && found.error().code == hammer2::Code::kNotFound) {
      ODO_TRY_VOID(make_folder(s, part));
    } else if (!found) {
      return found;
    } else if (!s.node.is(ObjectType::kDirectory)) {
      return fail(hammer2::Error{.code = hammer2::Code::kNotDirectory});
    }
  }
  return {};
}

template <class S>
[[nodiscard]] hammer2::Result<void> move(S& s, std::string_view from,
                                         std::string_view to) {
  ODO_TRY(const Place<S> source, place_of(s, from));
  ODO_TRY(const Place<S> target, destination(s, from, to));
  return s.fs.volume().rename(*source.folder, source.name, *target.folder,
                              target.name,
                              hammer2::write::RenameMode::kReplace);
}

template <class S>
[[nodiscard]] hammer2::Result<void> link(S& s, std::string_view target,
                                         std::string_view path) {
  ODO_TRY_VOID(s.resolve(target, hammer2::FollowLast::kNo, s.node));
  ODO_TRY(hammer2::write::OpenInode * inode, s.fs.view().open(s.node));
  const typename S::Held held(s.fs.volume(), inode);
  ODO_TRY(const Place<S> place, destination(s, target, path));
  return s.fs.volume().link(*held, *place.folder, place.name);
}

template <class S>
[[nodiscard]] hammer2::Result<void> link_symbolic(S& s, std::string_view target,
                                                  std::string_view path) {
  ODO_TRY(const Place<S> place, destination(s, target, path));
  ODO_TRY(
      hammer2::write::OpenInode * made,
      s.fs.volume().make_symlink(*place.folder, place.name, target,
                                 {.type = ObjectType::kSymlink, .mode = 0777}));
  s.fs.volume().release(*made);
  return {};
}

// The name; a directory if it is empty, or with all below it.
template <class S>
[[nodiscard]] hammer2::Result<hammer2::write::Removal> remove(
    S& s, std::string_view path, bool recursive) {
  using hammer2::write::Removal;
  ODO_TRY(const Place<S> place, place_of(s, path));
  auto& volume = s.fs.volume();
  if (recursive) {
    return hammer2::write::remove_tree(volume, *place.folder, place.name,
                                       s.remove_room,
                                       [&] { return s.interrupted(); });
  }
  auto removed = volume.unlink(*place.folder, place.name);
  if (!removed && removed.error().code == hammer2::Code::kIsDirectory) {
    removed = volume.remove_directory(*place.folder, place.name);
  }
  if (!removed) return fail(removed.error());
  return Removal::kDone;
}

template <class S>
[[nodiscard]] Status told(S& s, std::string_view command, std::string_view path,
                          const hammer2::Result<void>& result) {
  return result ? Status::kDone : s.complain(command, path, result.error());
}

}  // namespace detail

template <class S>
[[nodiscard]] Status command_put(S& s, Words words) {
  const auto options = parse_options(words, "a");
  if (!options) return s.bad_option("put", options.error());
  if (options->operands.empty()) return s.bad_usage("put", "no file named");
  if (!s.need_changes("put")) return Status::kFailed;
  const std::string_view path = options->operands[0];
  // A command's words are fewer bytes than a piece of a file.
  std::size_t length = 0;
  for (const std::string_view word : options->operands.subspan(1)) {
    if (length != 0) s.io[length++] = std::byte{' '};
    copy_bytes(s.io.subspan(length), std::as_bytes(std::span(word)));
    length += word.size();
  }
  s.io[length++] = std::byte{'\n'};
  return detail::told(
      s, "put", path,
      detail::put(s, path, s.io.first(length), options->letters != 0));
}

template <class S>
[[nodiscard]] Status command_rm(S& s, Words words) {
  const auto options = parse_options(words, "r");
  if (!options) return s.bad_option("rm", options.error());
  if (options->operands.empty()) return s.bad_usage("rm", "nothing named");
  if (!s.need_changes("rm")) return Status::kFailed;
  Status worst = Status::kDone;
  for (const std::string_view path : options->operands) {
    const auto removed = detail::remove(s, path, options->letters != 0);
    if (!removed) {
      worst = s.complain("rm", path, removed.error());
    } else if (*removed == hammer2::write::Removal::kStopped) {
      return Status::kInterrupted;
    }
  }
  return worst;
}

template <class S>
[[nodiscard]] Status command_mv(S& s, Words words) {
  const auto options = parse_options(words, "");
  if (!options) return s.bad_option("mv", options.error());
  const Words paths = options->operands;
  if (paths.size() < 2)
    return s.bad_usage("mv", "name what goes, and where to");
  if (!s.need_changes("mv")) return Status::kFailed;
  const std::string_view to = paths.back();
  if (paths.size() > 2) {
    const auto found = s.resolve(to, hammer2::FollowLast::kYes, s.node);
    if (!found) return s.complain("mv", to, found.error());
    if (!s.node.is(hammer2::ObjectType::kDirectory)) {
      return s.complain("mv", to, "is no directory to move several names into");
    }
  }
  Status worst = Status::kDone;
  for (const std::string_view from : paths.first(paths.size() - 1)) {
    worst =
        worse(worst, detail::told(s, "mv", from, detail::move(s, from, to)));
  }
  return worst;
}

template <class S>
[[nodiscard]] Status command_ln(S& s, Words words) {
  const auto options = parse_options(words, "s");
  if (!options) return s.bad_option("ln", options.error());
  if (options->operands.size() != 2) {
    return s.bad_usage("ln", "name what there is, and its new name");
  }
  if (!s.need_changes("ln")) return Status::kFailed;
  const std::string_view target = options->operands[0];
  const std::string_view path = options->operands[1];
  return detail::told(s, "ln", path,
                      options->letters != 0
                          ? detail::link_symbolic(s, target, path)
                          : detail::link(s, target, path));
}

template <class S>
[[nodiscard]] Status command_mkdir(S& s, Words words) {
  const auto options = parse_options(words, "p");
  if (!options) return s.bad_option("mkdir", options.error());
  if (options->operands.empty()) return s.bad_usage("mkdir", "nothing named");
  if (!s.need_changes("mkdir")) return Status::kFailed;
  Status worst = Status::kDone;
  for (const std::string_view path : options->operands) {
    const auto made = options->letters != 0 ? detail::make_folders(s, path)
                                            : detail::make_folder(s, path);
    worst = worse(worst, detail::told(s, "mkdir", path, made));
  }
  return worst;
}

template <class S>
[[nodiscard]] Status command_snapshot(S& s, Words words) {
  if (words.size() != 2) return s.bad_usage("snapshot", "one label");
  if (!s.need_changes("snapshot")) return Status::kFailed;
  return detail::told(
      s, "snapshot", words[1],
      s.fs.volume().snapshot(s.fs.view().root_inode(), words[1]));
}

template <class S>
[[nodiscard]] Status sync_changes(S& s, std::string_view command) {
  if (!s.is_mounted) return Status::kDone;
  return detail::told(s, command, s.machine.disk(s.mounted_disks[0]).name,
                      s.fs.sync());
}

template <class S>
[[nodiscard]] Status command_sync(S& s, Words) {
  if (!s.need_mount("sync")) return Status::kFailed;
  return sync_changes(s, "sync");
}

}  // namespace odo::monitor
