// SPDX-License-Identifier: BSD-3-Clause
// `h2 mkfs`: an empty filesystem.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "tools/h2/amount.h"
#include "tools/h2/command.h"
#include "tools/h2/commands.h"
#include "tools/h2/made_volume.h"
#include "tools/h2/numbers.h"

ABSL_FLAG(std::string, image_size, "",
          "SIZE: make the image that large (64M, 2G); without it the file or "
          "disk must be there");
ABSL_FLAG(std::string, label, "DATA",
          "LABEL[,LABEL...]: PFSs to make beside LOCAL, three at most");
ABSL_FLAG(std::string, boot_size, "", "SIZE of the boot area");
ABSL_FLAG(std::string, aux_size, "", "SIZE of the auxiliary area");
ABSL_FLAG(std::uint32_t, format_version, 2,
          "version of the volume header: 1, or 2, which several volumes need");
ABSL_FLAG(std::string, comp, "lz4",
          "compression of new files: none, autozero, lz4, zlib, zlib:LEVEL");
ABSL_FLAG(std::string, checks, "xxhash64",
          "check code of new files: none, disabled, iscsi32, xxhash64, sha192, "
          "freemap");

namespace odo::h2 {
namespace mkfs_command {
namespace {

int run(const Request& request) {
  std::vector<std::string> names = request.words;
  names.insert(names.end(), request.images.begin(), request.images.end());
  if (names.empty()) throw UsageError("no image given");
  FormatSettings settings = format_settings();
  const std::string size = absl::GetFlag(FLAGS_image_size);
  if (!size.empty()) settings.size = bytes_of_word(size);
  const std::uint64_t total = make_filesystem(names, settings);
  std::cout << absl::StrFormat("%s: %s in %u volume%s, PFSs LOCAL", names[0],
                               amount(static_cast<double>(total)), names.size(),
                               names.size() == 1 ? "" : "s");
  for (const std::string& label : settings.labels) std::cout << ", " << label;
  std::cout << "\n";
  return kStatusGood;
}

constexpr std::string_view kFlags[] = {
    "image_size",     "label", "boot_size", "aux_size",
    "format_version", "comp",  "checks"};

}  // namespace
}  // namespace mkfs_command

FormatSettings format_settings() {
  FormatSettings settings;
  settings.labels =
      absl::StrSplit(absl::GetFlag(FLAGS_label), ',', absl::SkipEmpty());
  if (const std::string boot = absl::GetFlag(FLAGS_boot_size); !boot.empty()) {
    settings.boot_bytes = bytes_of_word(boot);
  }
  if (const std::string aux = absl::GetFlag(FLAGS_aux_size); !aux.empty()) {
    settings.aux_bytes = bytes_of_word(aux);
  }
  settings.version = absl::GetFlag(FLAGS_format_version);
  settings.comp = compression_of(absl::GetFlag(FLAGS_comp));
  settings.check = check_method_of(absl::GetFlag(FLAGS_checks));
  return settings;
}

constinit const Command kMkfs = {
    .name = "mkfs",
    .arguments = "IMAGE...",
    .summary = "Make an empty filesystem",
    .help =
        "On one file or disk, or on several, which are then the volumes of "
        "one\n"
        "filesystem in that order: all but the last count in whole GiB, the "
        "last in 8 MiB.\nWhat was there is lost.\n\n"
        "A PFS called LOCAL is made always; BOOT isn't compressed, whatever "
        "--comp says,\nfor boot loaders that can't read it. The boot and "
        "auxiliary areas take a\ntwentieth of the volume at most, and 8 MiB "
        "each at least, unless their sizes are\ngiven.",
    .examples =
        "h2 mkfs --image_size 1G disk.img\n"
        "h2 mkfs --label ROOT,BOOT --comp zlib:9 /dev/sdx\n"
        "h2 mkfs first.img second.img",
    .path = PathArgument::kOwn,
    .flags = mkfs_command::kFlags,
    .run = mkfs_command::run,
};

}  // namespace odo::h2
