// SPDX-License-Identifier: BSD-3-Clause
// `h2 info`: the volume header in use.
#include <iostream>
#include <string>
#include <string_view>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/h2/command.h"
#include "tools/h2/commands.h"
#include "tools/h2/common_flags.h"
#include "tools/h2/print.h"
#include "tools/h2/volume.h"

namespace odo::h2 {
namespace info_command {
namespace {

int run(const Request& request) {
  Volume volume(request.images);
  const hammer2::VolumeInfo& info = volume.fs().info();
  const std::string fsid = uuid_string(info.fsid);
  if (absl::GetFlag(FLAGS_json)) {
    Json json;
    json["version"] = info.version;
    json["volumes"] = info.volumes;
    json["header"] = info.header;
    json["usable_headers"] = info.usable_headers;
    json["header_offset"] = info.header_offset;
    json["total_bytes"] = info.total_bytes;
    json["allocator_bytes"] = info.allocator_bytes;
    json["free_bytes"] = info.free_bytes;
    json["mirror_tid"] = info.mirror_tid;
    json["freemap_tid"] = info.freemap_tid;
    json["boot"] = {info.boot_beg, info.boot_end};
    json["aux"] = {info.aux_beg, info.aux_end};
    json["fsid"] = fsid;
    print_json(json);
    return kStatusGood;
  }
  std::string usable;
  for (unsigned i = 0; i < hammer2::format::kVolumeHeaderCount; ++i) {
    if ((info.usable_headers >> i & 1) != 0) absl::StrAppend(&usable, " ", i);
  }
  std::cout << absl::StrFormat(
      "fsid        %s\n"
      "version     %u\n"
      "volumes     %u\n"
      "header      %u at 0x%x (usable:%s)\n"
      "total       %u bytes\n"
      "for data    %u bytes\n"
      "free        %u bytes\n"
      "mirror_tid  0x%x\n"
      "freemap_tid 0x%x\n"
      "boot area   0x%x to 0x%x\n"
      "aux area    0x%x to 0x%x\n",
      fsid, info.version, info.volumes, info.header, info.header_offset, usable,
      info.total_bytes, info.allocator_bytes, info.free_bytes, info.mirror_tid,
      info.freemap_tid, info.boot_beg, info.boot_end, info.aux_beg,
      info.aux_end);
  return kStatusGood;
}

constexpr std::string_view kFlags[] = {"json"};

}  // namespace
}  // namespace info_command

constinit const Command kInfo = {
    .name = "info",
    .arguments = "IMAGE...",
    .summary = "The volume header in use, sizes, free space",
    .help =
        "Of the up to four volume headers the newest usable one counts; "
        "`h2 check`\nlists them all.",
    .examples = "h2 info disk.img\nh2 info --json disk.img.zst",
    .path = PathArgument::kNone,
    .flags = info_command::kFlags,
    .run = info_command::run,
};

}  // namespace odo::h2
