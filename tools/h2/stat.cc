// SPDX-License-Identifier: BSD-3-Clause
// `h2 stat`: all attributes of one file.
#include <iostream>
#include <string>
#include <string_view>

#include "absl/flags/flag.h"
#include "absl/strings/str_format.h"
#include "tools/h2/command.h"
#include "tools/h2/commands.h"
#include "tools/h2/common_flags.h"
#include "tools/h2/content.h"
#include "tools/h2/print.h"
#include "tools/h2/volume.h"

namespace odo::h2 {
namespace stat_command {
namespace {

int run(const Request& request) {
  Volume volume(request.images);
  const hammer2::Node node =
      volume.find(request.pfs, request.path, hammer2::FollowLast::kNo);
  const hammer2::Attributes& of = node.attributes;
  const std::string target = target_of(volume, node, request.path);
  if (absl::GetFlag(FLAGS_json)) {
    Json entry = entry_json(request.path, of, target);
    entry["size"] = of.size;
    entry["parent_inum"] = of.parent_inum;
    entry["uflags"] = of.uflags;
    entry["data_bytes"] = of.data_bytes;
    entry["check"] = hammer2::to_string(of.check);
    entry["comp"] = hammer2::to_string(of.comp);
    entry["comp_level"] = of.comp_level;
    entry["ctime_us"] = of.ctime_us;
    entry["atime_us"] = of.atime_us;
    entry["btime_us"] = of.btime_us;
    entry["inode_offset"] = node.ref.offset();
    print_json(entry);
    return kStatusGood;
  }
  std::cout << absl::StrFormat(
      "path      %s%s\n"
      "type      %s\n"
      "inode     %u at 0x%x, parent %u\n"
      "mode      %04o (%s)\n"
      "owner     %u:%u\n"
      "links     %u\n"
      "size      %u\n"
      "allocated %u\n"
      "check     %s\n"
      "compress  %s, level %u\n",
      printable(request.path), target.empty() ? "" : " -> " + printable(target),
      hammer2::to_string(of.type), of.inum, node.ref.offset(), of.parent_inum,
      of.mode, mode_text(of), of.uid, of.gid, of.nlinks, of.size, of.data_bytes,
      hammer2::to_string(of.check), hammer2::to_string(of.comp), of.comp_level);
  if (is_device(of)) {
    std::cout << absl::StrFormat("device    %u,%u\n", of.rmajor, of.rminor);
  }
  std::cout << absl::StrFormat(
      "modified  %s\nchanged   %s\naccessed  %s\nborn      %s\n",
      time_text(of.mtime_us), time_text(of.ctime_us), time_text(of.atime_us),
      time_text(of.btime_us));
  return kStatusGood;
}

constexpr std::string_view kFlags[] = {"json"};

}  // namespace
}  // namespace stat_command

constinit const Command kStat = {
    .name = "stat",
    .arguments = "IMAGE... [@PFS] PATH",
    .summary = "All attributes of one file",
    .help = "A link isn't followed. Times are in UTC.",
    .examples = "h2 stat disk.img /etc/rc.conf",
    .path = PathArgument::kRequired,
    .flags = stat_command::kFlags,
    .run = stat_command::run,
};

}  // namespace odo::h2
