// SPDX-License-Identifier: BSD-3-Clause
// `h2 pfs` and `h2 snapshots`: the PFSs of a filesystem, and which of them are
// snapshots.
#include <cstdint>
#include <functional>
#include <iostream>
#include <string>
#include <string_view>

#include "absl/flags/flag.h"
#include "absl/strings/str_format.h"
#include "tools/h2/amount.h"
#include "tools/h2/command.h"
#include "tools/h2/commands.h"
#include "tools/h2/common_flags.h"
#include "tools/h2/print.h"
#include "tools/h2/volume.h"

namespace odo::h2 {
namespace pfs_command {
namespace {

void each_pfs(Volume& volume,
              const std::function<void(const hammer2::Pfs&)>& visit) {
  hammer2::DirCursor cursor;
  hammer2::Pfs pfs;
  for (;;) {
    const auto more = volume.fs().next_pfs(cursor, pfs);
    if (!more) throw volume.failure(more.error());
    if (!*more) return;
    visit(pfs);
  }
}

Json pfs_json(const hammer2::Pfs& pfs) {
  Json entry;
  put_text(entry, "label", pfs.label());
  entry["type"] = hammer2::to_string(pfs.type);
  entry["subtype"] = hammer2::to_string(pfs.subtype);
  entry["clid"] = uuid_string(pfs.clid);
  entry["fsid"] = uuid_string(pfs.fsid);
  entry["last_inum"] = pfs.last_inum;
  entry["data_bytes"] = pfs.data_bytes;
  entry["inodes"] = pfs.inode_count;
  return entry;
}

int run_pfs(const Request& request) {
  Volume volume(request.images);
  hammer2::Pfs preferred;
  const bool has_default = volume.fs().default_pfs(preferred).has_value();
  Json list = Json::array();
  each_pfs(volume, [&](const hammer2::Pfs& pfs) {
    const bool is_default = has_default && pfs.root.key == preferred.root.key;
    if (absl::GetFlag(FLAGS_json)) {
      Json entry = pfs_json(pfs);
      entry["default"] = is_default;
      list.push_back(std::move(entry));
    } else {
      std::cout << absl::StrFormat(
          "%c %-11s %-8s %s %s\n", is_default ? '*' : ' ',
          hammer2::to_string(pfs.type), hammer2::to_string(pfs.subtype),
          uuid_string(pfs.clid), printable(pfs.label()));
    }
  });
  if (absl::GetFlag(FLAGS_json)) print_json(list);
  return kStatusGood;
}

// When a snapshot was made: its root's inode is written anew then.
std::uint64_t made_us(Volume& volume, const hammer2::Pfs& pfs) {
  hammer2::Node root;
  if (const auto got = volume.fs().root(pfs, root); !got) {
    throw volume.failure(got.error(), "@" + printable(pfs.label()));
  }
  return root.attributes.ctime_us;
}

int run_snapshots(const Request& request) {
  Volume volume(request.images);
  const bool json = absl::GetFlag(FLAGS_json);
  Json list = Json::array();
  each_pfs(volume, [&](const hammer2::Pfs& pfs) {
    if (pfs.subtype == hammer2::format::PfsSubtype::kNone) return;
    const std::uint64_t made = made_us(volume, pfs);
    if (json) {
      Json entry = pfs_json(pfs);
      entry["ctime_us"] = made;
      list.push_back(std::move(entry));
    } else {
      std::cout << absl::StrFormat("%s %-8s %10s %8u %s\n", time_text(made),
                                   hammer2::to_string(pfs.subtype),
                                   amount(static_cast<double>(pfs.data_bytes)),
                                   pfs.inode_count, printable(pfs.label()));
    }
  });
  if (json) print_json(list);
  return kStatusGood;
}

constexpr std::string_view kFlags[] = {"json"};

}  // namespace
}  // namespace pfs_command

constinit const Command kPfsList = {
    .name = "pfs",
    .arguments = "IMAGE...",
    .summary = "The PFSs",
    .help =
        "Type, subtype, cluster id and label of each; the one marked `*` "
        "is taken\nwhere a command line names none.",
    .examples = "h2 pfs disk.img\nh2 pfs --json disk.img",
    .path = PathArgument::kNone,
    .flags = pfs_command::kFlags,
    .run = pfs_command::run_pfs,
};

constinit const Command kSnapshots = {
    .name = "snapshots",
    .arguments = "IMAGE...",
    .summary = "The PFSs that are snapshots, with their times and sizes",
    .help =
        "For each: when its root directory last changed, which is when it "
        "was taken if\nnobody wrote to it since; automatic or not; bytes "
        "allocated below it and\ninodes as of its last flush; label.",
    .examples = "h2 snapshots disk.img\nh2 diff disk.img @DATA.snap0 @DATA",
    .path = PathArgument::kNone,
    .flags = pfs_command::kFlags,
    .run = pfs_command::run_snapshots,
};

}  // namespace odo::h2
