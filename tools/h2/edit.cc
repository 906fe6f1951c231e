// SPDX-License-Identifier: BSD-3-Clause
// The commands that change files in an image: mkdir, put, cp, rm, mv, ln,
// chmod, chown, truncate.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_format.h"
#include "lib/hammer2/write/remove_tree.h"
#include "tools/h2/changed_volume.h"
#include "tools/h2/changes.h"
#include "tools/h2/command.h"
#include "tools/h2/commands.h"
#include "tools/h2/host_words.h"
#include "tools/h2/numbers.h"

ABSL_FLAG(bool, parents, false,
          "make what is missing on the way; no complaint "
          "about what is there already");
ABSL_FLAG(bool, recursive, false, "directories with all below them");
ABSL_FLAG(bool, symbolic, false, "a symlink, whose target is taken as it is");
ABSL_FLAG(bool, no_replace, false, "refuse where the new name exists");
ABSL_FLAG(bool, exchange, false, "let the two names change places");

namespace odo::h2 {
namespace edit_command {
namespace {

using hammer2::Code;
using hammer2::ObjectType;
using hammer2::write::Changes;
using hammer2::write::NewInode;
using hammer2::write::RenameMode;

constexpr std::size_t kPieceBytes = std::size_t{1} << 20;

// --- mkdir -------------------------------------------------------------------

void make_folder(ChangedVolume& volume, const std::string& pfs,
                 const std::string& path) {
  auto [folder, name] = volume.parent(pfs, path);
  auto made = volume->make(*folder, name,
                           {.type = ObjectType::kDirectory, .mode = 0755});
  const Held inode = volume.hold(std::move(made), path);
}

void make_folders(ChangedVolume& volume, const std::string& pfs,
                  std::string_view path) {
  Held at = volume.root(pfs);
  std::string_view rest = path;
  for (std::string_view name = ChangedVolume::next_name(rest); !name.empty();
       name = ChangedVolume::next_name(rest)) {
    auto next = volume->lookup(*at, name);
    if (!next && next.error().code == Code::kNotFound) {
      next = volume->make(*at, name,
                          {.type = ObjectType::kDirectory, .mode = 0755});
    }
    at = volume.hold(std::move(next), path);
  }
  if (volume->attributes(*at).type != ObjectType::kDirectory) {
    throw volume.failure({.code = Code::kNotDirectory}, path);
  }
}

int run_mkdir(const Request& request) {
  const Arguments words = take_arguments(request, 1, kAnyNumber);
  ChangedVolume volume(words.images, damage_by_flag());
  for (const std::string& path : words.rest) {
    if (absl::GetFlag(FLAGS_parents)) {
      make_folders(volume, words.pfs, path);
    } else {
      make_folder(volume, words.pfs, path);
    }
  }
  volume.finish();
  return kStatusGood;
}

// --- rm ----------------------------------------------------------------------

int run_rm(const Request& request) {
  const Arguments words = take_arguments(request, 1, kAnyNumber);
  ChangedVolume volume(words.images, damage_by_flag());
  const auto room = std::make_unique<hammer2::write::RemoveRoom>();
  for (const std::string& path : words.rest) {
    auto [folder, name] = volume.parent(words.pfs, path);
    if (absl::GetFlag(FLAGS_recursive)) {
      (void)volume.check(
          hammer2::write::remove_tree(*volume, *folder, name, *room,
                                      [] { return false; }),
          path);
      continue;
    }
    auto removed = volume->unlink(*folder, name);
    if (!removed && removed.error().code == Code::kIsDirectory) {
      removed = volume->remove_directory(*folder, name);
    }
    volume.check(std::move(removed), path);
  }
  volume.finish();
  return kStatusGood;
}

// --- mv, ln ------------------------------------------------------------------

// Where a name is to go: into `target` if that is a directory.
std::pair<Held, std::string> place_for(ChangedVolume& volume,
                                       const std::string& pfs,
                                       const std::string& target,
                                       const std::string& name) {
  auto [folder, last] = volume.parent(pfs, target);
  if (last.empty()) return {std::move(folder), name};
  auto there = volume->lookup(*folder, last);
  if (there) {
    Held inode(*volume, *there);
    if (volume->attributes(*inode).type == ObjectType::kDirectory &&
        !absl::GetFlag(FLAGS_exchange)) {
      return {std::move(inode), name};
    }
  }
  return {std::move(folder), std::move(last)};
}

int run_mv(const Request& request) {
  const Arguments words = take_arguments(request, 2, 2);
  if (absl::GetFlag(FLAGS_no_replace) && absl::GetFlag(FLAGS_exchange)) {
    throw UsageError("--no_replace and --exchange exclude each other");
  }
  const RenameMode mode = absl::GetFlag(FLAGS_exchange) ? RenameMode::kExchange
                          : absl::GetFlag(FLAGS_no_replace)
                              ? RenameMode::kNoReplace
                              : RenameMode::kReplace;
  ChangedVolume volume(words.images, damage_by_flag());
  auto [from, old_name] = volume.parent(words.pfs, words.rest[0]);
  auto [to, new_name] = place_for(volume, words.pfs, words.rest[1], old_name);
  volume.check(volume->rename(*from, old_name, *to, new_name, mode),
               words.rest[0]);
  volume.finish();
  return kStatusGood;
}

int run_ln(const Request& request) {
  const Arguments words = take_arguments(request, 2, 2);
  ChangedVolume volume(words.images, damage_by_flag());
  const std::string& target = words.rest[0];
  if (absl::GetFlag(FLAGS_symbolic)) {
    auto [folder, name] = volume.parent(words.pfs, words.rest[1]);
    const Held made = volume.hold(
        volume->make_symlink(*folder, name, target,
                             {.type = ObjectType::kSymlink, .mode = 0777}),
        words.rest[1]);
  } else {
    const Held inode = volume.find(words.pfs, target);
    auto [folder, name] = place_for(volume, words.pfs, words.rest[1],
                                    target.substr(target.rfind('/') + 1));
    volume.check(volume->link(*inode, *folder, name), words.rest[1]);
  }
  volume.finish();
  return kStatusGood;
}

// --- put, cp -----------------------------------------------------------------

// A regular file of that name, empty.
Held emptied_file(ChangedVolume& volume, OpenInode& folder,
                  const std::string& name, const std::string& path,
                  const NewInode& wanted) {
  auto made = volume->make(folder, name, wanted);
  if (!made && made.error().code == Code::kExists) {
    made = volume->lookup(folder, name);
  }
  Held inode = volume.hold(std::move(made), path);
  volume.check(volume->truncate(*inode, 0), path);
  return inode;
}

void put_file(ChangedVolume& volume, const std::string& pfs,
              const std::string& source, const std::string& target) {
  const bool from_input = source == "-";
  block::Descriptor file(from_input
                             ? ::dup(STDIN_FILENO)
                             : ::open(source.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status = {};
  if (file.get() < 0 || ::fstat(file.get(), &status) != 0) {
    throw Failure(block::system_error(source, errno));
  }
  if (S_ISDIR(status.st_mode)) {
    throw Failure(source + ": is a directory; see `h2 create`");
  }
  auto [folder, name] =
      place_for(volume, pfs, target, source.substr(source.rfind('/') + 1));
  const Held inode =
      emptied_file(volume, *folder, name, target,
                   {.mode = from_input ? 0644U : status.st_mode & 07777U});
  std::vector<std::byte> piece(kPieceBytes);
  for (std::uint64_t offset = 0;;) {
    const ssize_t got = ::read(file.get(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw Failure(block::system_error(source, errno));
    if (got == 0) break;
    const Bytes bytes = Bytes(piece).first(static_cast<std::size_t>(got));
    volume.check(volume->write(*inode, offset, bytes), target);
    offset += bytes.size();
  }
  if (from_input) return;
  Changes changes;
  changes.mtime_us = microseconds_of(status.st_mtim);
  volume.check(volume->set_attributes(*inode, changes), target);
}

int run_put(const Request& request) {
  const Arguments words = take_arguments(request, 2, kAnyNumber);
  ChangedVolume volume(words.images, damage_by_flag());
  for (std::size_t i = 0; i + 1 < words.rest.size(); ++i) {
    put_file(volume, words.pfs, words.rest[i], words.rest.back());
  }
  volume.finish();
  return kStatusGood;
}

void copy_content(ChangedVolume& volume, OpenInode& from, OpenInode& to,
                  const std::string& path) {
  const std::uint64_t size = volume->attributes(from).size;
  std::vector<std::byte> piece(kPieceBytes);
  std::uint64_t at = 0;
  while (at < size) {
    at = volume.check(volume->next_data(from, at), path);
    if (at >= size) break;
    const std::uint64_t end = volume.check(volume->next_hole(from, at), path);
    while (at < end) {
      const MutableBytes part = MutableBytes(piece).first(
          std::min<std::uint64_t>(kPieceBytes, end - at));
      const std::size_t got = volume.check(volume->read(from, at, part), path);
      volume.check(volume->write(to, at, part.first(got)), path);
      at += got;
    }
  }
  volume.check(volume->truncate(to, size), path);
}

int run_cp(const Request& request) {
  const Arguments words = take_arguments(request, 2, 2);
  ChangedVolume volume(words.images, damage_by_flag());
  const std::string& source = words.rest[0];
  const Held from = volume.find(words.pfs, source);
  const hammer2::Attributes of = volume->attributes(*from);
  auto [folder, name] = place_for(volume, words.pfs, words.rest[1],
                                  source.substr(source.rfind('/') + 1));
  NewInode wanted = {.type = of.type,
                     .mode = of.mode,
                     .uid = of.uid,
                     .gid = of.gid,
                     .rmajor = of.rmajor,
                     .rminor = of.rminor};
  if (of.type == ObjectType::kDirectory) {
    throw volume.failure({.code = Code::kIsDirectory}, source);
  }
  if (of.type == ObjectType::kRegular) {
    const Held to = emptied_file(volume, *folder, name, words.rest[1], wanted);
    copy_content(volume, *from, *to, words.rest[1]);
    Changes changes;
    changes.mtime_us = of.mtime_us;
    volume.check(volume->set_attributes(*to, changes), words.rest[1]);
  } else {
    std::string target(of.type == ObjectType::kSymlink ? of.size : 0, '\0');
    if (!target.empty()) {
      volume.check(
          volume->read_link(*from, std::as_writable_bytes(std::span(target))),
          source);
    }
    const Held to = volume.hold(
        volume->make_symlink(*folder, name, target, wanted), words.rest[1]);
  }
  volume.finish();
  return kStatusGood;
}

// --- Attributes --------------------------------------------------------------

int run_chmod(const Request& request) {
  const Arguments words = take_arguments(request, 2, kAnyNumber);
  std::uint32_t mode = 0;
  for (const char c : words.rest[0]) {
    if (c < '0' || c > '7' || mode > 0777) {
      throw UsageError("not an octal mode: '" + words.rest[0] + "'");
    }
    mode = mode * 8 + static_cast<std::uint32_t>(c - '0');
  }
  Changes changes;
  changes.mode = mode;
  return change_attributes(request, changes);
}

int run_chown(const Request& request) {
  const Arguments words = take_arguments(request, 2, kAnyNumber);
  const std::string& owner = words.rest[0];
  const std::size_t colon = owner.find(':');
  const std::string user = owner.substr(0, colon);
  Changes changes;
  if (!user.empty()) {
    changes.uid = static_cast<std::uint32_t>(number_of_word(user));
  }
  if (colon != std::string::npos) {
    changes.gid =
        static_cast<std::uint32_t>(number_of_word(owner.substr(colon + 1)));
  }
  return change_attributes(request, changes);
}

int run_truncate(const Request& request) {
  const Arguments words = take_arguments(request, 2, kAnyNumber);
  const std::uint64_t size = bytes_of_word(words.rest[0]);
  ChangedVolume volume(words.images, damage_by_flag());
  for (std::size_t i = 1; i < words.rest.size(); ++i) {
    const Held inode = volume.find(words.pfs, words.rest[i]);
    volume.check(volume->truncate(*inode, size), words.rest[i]);
  }
  volume.finish();
  return kStatusGood;
}

constexpr std::string_view kMkdirFlags[] = {"pfs", "parents", "damaged"};
constexpr std::string_view kRecursiveFlags[] = {"pfs", "recursive", "damaged"};
constexpr std::string_view kMoveFlags[] = {"pfs", "no_replace", "exchange",
                                           "damaged"};
constexpr std::string_view kLinkFlags[] = {"pfs", "symbolic", "damaged"};
constexpr std::string_view kPfsFlags[] = {"pfs", "damaged"};

}  // namespace
}  // namespace edit_command

constinit const Command kMkdir = {
    .name = "mkdir",
    .arguments = "IMAGE [@PFS] PATH...",
    .summary = "Make directories",
    .help = "In an image that isn't mounted. All of them are made, or none.",
    .examples =
        "h2 mkdir disk.img /srv/www\n"
        "h2 mkdir --parents disk.img @ROOT /usr/local/share",
    .path = PathArgument::kOwn,
    .flags = edit_command::kMkdirFlags,
    .run = edit_command::run_mkdir,
};

constinit const Command kPut = {
    .name = "put",
    .arguments = "IMAGE [@PFS] FILE... PATH",
    .summary = "Copy files of this machine into an image",
    .help =
        "With their modes and times. PATH may be a directory of the image; "
        "a file of\nthat name is overwritten. `-` is standard input.",
    .examples =
        "h2 put disk.img hosts fstab /etc\n"
        "date | h2 put disk.img - /etc/stamp",
    .path = PathArgument::kOwn,
    .flags = edit_command::kPfsFlags,
    .run = edit_command::run_put,
};

constinit const Command kCp = {
    .name = "cp",
    .arguments = "IMAGE [@PFS] FROM TO",
    .summary = "Copy a file within an image",
    .help = "With its holes, mode, owner and time.",
    .examples = "h2 cp disk.img /etc/fstab /etc/fstab.old",
    .path = PathArgument::kOwn,
    .flags = edit_command::kPfsFlags,
    .run = edit_command::run_cp,
};

constinit const Command kRm = {
    .name = "rm",
    .arguments = "IMAGE [@PFS] PATH...",
    .summary = "Remove files and directories",
    .help =
        "A directory must be empty unless --recursive is given. The space "
        "comes back by\n`h2 bulkfree`.",
    .examples = "h2 rm disk.img /tmp/old\nh2 rm --recursive disk.img /var/tmp",
    .path = PathArgument::kOwn,
    .flags = edit_command::kRecursiveFlags,
    .run = edit_command::run_rm,
};

constinit const Command kMv = {
    .name = "mv",
    .arguments = "IMAGE [@PFS] FROM TO",
    .summary = "Rename a file or directory",
    .help = "Into TO, if that is a directory.",
    .examples =
        "h2 mv disk.img /etc/motd.new /etc/motd\n"
        "h2 mv --exchange disk.img /boot/kernel /boot/kernel.old",
    .path = PathArgument::kOwn,
    .flags = edit_command::kMoveFlags,
    .run = edit_command::run_mv,
};

constinit const Command kLn = {
    .name = "ln",
    .arguments = "IMAGE [@PFS] TARGET PATH",
    .summary = "Give a file another name",
    .help = "A hard link, or with --symbolic a symlink.",
    .examples =
        "h2 ln disk.img /bin/busybox /bin/sh\n"
        "h2 ln --symbolic disk.img ../usr/bin /bin",
    .path = PathArgument::kOwn,
    .flags = edit_command::kLinkFlags,
    .run = edit_command::run_ln,
};

constinit const Command kChmod = {
    .name = "chmod",
    .arguments = "IMAGE [@PFS] MODE PATH...",
    .summary = "Change permission bits",
    .help = "MODE is octal.",
    .examples = "h2 chmod disk.img 4755 /bin/su",
    .path = PathArgument::kOwn,
    .flags = edit_command::kRecursiveFlags,
    .run = edit_command::run_chmod,
};

constinit const Command kChown = {
    .name = "chown",
    .arguments = "IMAGE [@PFS] USER[:GROUP] PATH...",
    .summary = "Change owners",
    .help = "By number.",
    .examples = "h2 chown --recursive disk.img 1000:1000 /home/ada",
    .path = PathArgument::kOwn,
    .flags = edit_command::kRecursiveFlags,
    .run = edit_command::run_chown,
};

constinit const Command kTruncate = {
    .name = "truncate",
    .arguments = "IMAGE [@PFS] SIZE PATH...",
    .summary = "Cut files, or let them grow by a hole",
    .help = "SIZE may end in K, M, G or T.",
    .examples = "h2 truncate disk.img 0 /var/log/messages",
    .path = PathArgument::kOwn,
    .flags = edit_command::kPfsFlags,
    .run = edit_command::run_truncate,
};

}  // namespace odo::h2
