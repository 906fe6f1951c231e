// SPDX-License-Identifier: BSD-3-Clause
// The commands that change PFSs and what belongs to the whole volume: snapshot,
// pfs-create, pfs-delete, pfs-rename, rollback, setcomp, setcheck, bulkfree.
#include <cstdint>
#include <iostream>
#include <string>
#include <string_view>

#include "absl/strings/str_format.h"
#include "tools/h2/amount.h"
#include "tools/h2/changed_volume.h"
#include "tools/h2/changes.h"
#include "tools/h2/command.h"
#include "tools/h2/commands.h"
#include "tools/h2/method_names.h"

namespace odo::h2 {
namespace manage_command {
namespace {

using hammer2::write::Changes;

int run_snapshot(const Request& request) {
  const Arguments words = take_arguments(request, 1, 1);
  ChangedVolume volume(words.images, damage_by_flag());
  {
    const Held root = volume.root(words.pfs);
    volume.check(volume->snapshot(*root, words.rest[0]), words.rest[0]);
  }
  volume.finish();
  return kStatusGood;
}

int run_create(const Request& request) {
  const Arguments words = take_arguments(request, 1, kAnyNumber);
  ChangedVolume volume(words.images, damage_by_flag());
  for (const std::string& label : words.rest) {
    volume.check(volume->create_pfs(label), label);
  }
  volume.finish();
  return kStatusGood;
}

int run_delete(const Request& request) {
  const Arguments words = take_arguments(request, 1, kAnyNumber);
  ChangedVolume volume(words.images, damage_by_flag());
  for (const std::string& label : words.rest) {
    volume.check(volume->delete_pfs(label), label);
  }
  volume.finish();
  return kStatusGood;
}

int run_rename(const Request& request) {
  const Arguments words = take_arguments(request, 2, 2);
  ChangedVolume volume(words.images, damage_by_flag());
  volume.check(volume->rename_pfs(words.rest[0], words.rest[1]), words.rest[0]);
  volume.finish();
  return kStatusGood;
}

int run_rollback(const Request& request) {
  const Arguments words = take_arguments(request, 2, 2);
  ChangedVolume volume(words.images, damage_by_flag());
  volume.check(volume->roll_back(words.rest[0], words.rest[1]), words.rest[0]);
  volume.finish();
  return kStatusGood;
}

int run_setcomp(const Request& request) {
  const Arguments words = take_arguments(request, 2, kAnyNumber);
  const Compression comp = compression_of(words.rest[0]);
  Changes changes;
  changes.comp = comp.method;
  changes.comp_level = comp.level;
  return change_attributes(request, changes);
}

int run_setcheck(const Request& request) {
  const Arguments words = take_arguments(request, 2, kAnyNumber);
  Changes changes;
  changes.check = check_method_of(words.rest[0]);
  return change_attributes(request, changes);
}

int run_bulkfree(const Request& request) {
  const Arguments words = take_arguments(request, 0, 0);
  ChangedVolume volume(words.images, damage_by_flag());
  // The first pass stages what the second frees.
  std::uint64_t freed = 0;
  for (int pass = 0; pass < 2; ++pass) {
    freed += volume.check(volume->bulkfree()).freed_bytes;
  }
  std::cout << absl::StrFormat("%s freed\n",
                               amount(static_cast<double>(freed)));
  return kStatusGood;
}

int run_trim(const Request& request) {
  const Arguments words = take_arguments(request, 0, 0);
  ChangedVolume volume(words.images, damage_by_flag());
  const std::uint64_t told = volume.check(volume->discard_free());
  std::cout << absl::StrFormat("%s given back\n",
                               amount(static_cast<double>(told)));
  return kStatusGood;
}

constexpr std::string_view kOwnFlags[] = {"damaged"};
constexpr std::string_view kPfsFlags[] = {"pfs", "damaged"};
constexpr std::string_view kMethodFlags[] = {"pfs", "recursive", "damaged"};

}  // namespace
}  // namespace manage_command

constinit const Command kSnapshot = {
    .name = "snapshot",
    .arguments = "IMAGE [@PFS] LABEL",
    .summary = "Take a snapshot of a PFS",
    .help =
        "A PFS of its own, which can be written to; what neither changes "
        "takes its space\nonce.",
    .examples = "h2 snapshot disk.img @ROOT ROOT.2026-12-01",
    .path = PathArgument::kOwn,
    .flags = manage_command::kPfsFlags,
    .run = manage_command::run_snapshot,
};

constinit const Command kPfsCreate = {
    .name = "pfs-create",
    .arguments = "IMAGE LABEL...",
    .summary = "Make empty PFSs",
    .help = "One called BOOT isn't compressed, for boot loaders.",
    .examples = "h2 pfs-create disk.img HOME",
    .path = PathArgument::kOwn,
    .flags = manage_command::kOwnFlags,
    .run = manage_command::run_create,
};

constinit const Command kPfsDelete = {
    .name = "pfs-delete",
    .arguments = "IMAGE LABEL...",
    .summary = "Delete PFSs or snapshots with all they hold",
    .help = "Their space comes back by `h2 bulkfree`.",
    .examples = "h2 pfs-delete disk.img ROOT.2026-11-30",
    .path = PathArgument::kOwn,
    .flags = manage_command::kOwnFlags,
    .run = manage_command::run_delete,
};

constinit const Command kPfsRename = {
    .name = "pfs-rename",
    .arguments = "IMAGE OLD NEW",
    .summary = "Give a PFS another label",
    .help = "Its identifiers stay.",
    .examples = "h2 pfs-rename disk.img DATA ROOT",
    .path = PathArgument::kOwn,
    .flags = manage_command::kOwnFlags,
    .run = manage_command::run_rename,
};

constinit const Command kRollback = {
    .name = "rollback",
    .arguments = "IMAGE LABEL SNAPSHOT",
    .summary = "Put the state of a snapshot in the place of a PFS's",
    .help =
        "The PFS keeps its label and identifiers; what it held, unless "
        "there is another\nsnapshot of it, is lost. The snapshot stays.",
    .examples = "h2 rollback disk.img ROOT ROOT.2026-12-01",
    .path = PathArgument::kOwn,
    .flags = manage_command::kOwnFlags,
    .run = manage_command::run_rollback,
};

constinit const Command kSetcomp = {
    .name = "setcomp",
    .arguments = "IMAGE [@PFS] METHOD PATH...",
    .summary = "Set how new data of files are compressed",
    .help =
        "METHOD is none, autozero, lz4, zlib, or zlib:1 to zlib:9. What is "
        "written already\nstays as it is; what is made in a directory "
        "inherits its method.",
    .examples = "h2 setcomp --recursive disk.img zlib:9 /var/log",
    .path = PathArgument::kOwn,
    .flags = manage_command::kMethodFlags,
    .run = manage_command::run_setcomp,
};

constinit const Command kSetcheck = {
    .name = "setcheck",
    .arguments = "IMAGE [@PFS] METHOD PATH...",
    .summary = "Set which check code new blocks get",
    .help =
        "METHOD is none, disabled, iscsi32, xxhash64, sha192 or freemap. "
        "Inodes and\nindirect blocks always have a code: where METHOD is "
        "none, an xxhash64.",
    .examples = "h2 setcheck disk.img sha192 /etc",
    .path = PathArgument::kOwn,
    .flags = manage_command::kMethodFlags,
    .run = manage_command::run_setcheck,
};

constinit const Command kBulkfree = {
    .name = "bulkfree",
    .arguments = "IMAGE",
    .summary = "Find the space that nothing refers to any more",
    .help =
        "Blocks that were replaced or removed aren't free at once, as a "
        "snapshot may have\nthem. This looks at all that can be reached, "
        "twice.",
    .examples = "h2 bulkfree disk.img",
    .path = PathArgument::kOwn,
    .flags = manage_command::kOwnFlags,
    .run = manage_command::run_bulkfree,
};

constinit const Command kTrim = {
    .name = "trim",
    .arguments = "IMAGE",
    .summary = "Give free space back to the disk, or to the image's filesystem",
    .help =
        "Free space becomes holes in an image, and is discarded on a disk; "
        "nothing can be\nrecovered from it then. `h2 bulkfree` before it finds "
        "all that is free.",
    .examples = "h2 bulkfree disk.img && h2 trim disk.img",
    .path = PathArgument::kOwn,
    .flags = manage_command::kOwnFlags,
    .run = manage_command::run_trim,
};

}  // namespace odo::h2
