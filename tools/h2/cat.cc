// SPDX-License-Identifier: BSD-3-Clause
// `h2 cat`: a file's content.
#include <cstddef>
#include <iostream>
#include <vector>

#include "tools/h2/command.h"
#include "tools/h2/commands.h"
#include "tools/h2/content.h"
#include "tools/h2/volume.h"

namespace odo::h2 {
namespace cat_command {
namespace {

int run(const Request& request) {
  Volume volume(request.images);
  const hammer2::Node node =
      volume.find(request.pfs, request.path, hammer2::FollowLast::kYes);
  std::vector<std::byte> buffer;
  read_file(volume, node, request.path, buffer, [](Bytes piece) {
    std::cout.write(reinterpret_cast<const char*>(piece.data()),
                    static_cast<std::streamsize>(piece.size()));
  });
  return kStatusGood;
}

}  // namespace
}  // namespace cat_command

constinit const Command kCat = {
    .name = "cat",
    .arguments = "IMAGE... [@PFS] PATH",
    .summary = "A file's content on standard output",
    .help =
        "Links are followed. Holes are written as zeros. A block whose "
        "check code is\nwrong ends the output, with an error that names "
        "the block.",
    .examples =
        "h2 cat disk.img /boot/loader.conf\n"
        "h2 cat disk.img @DATA.snap0 /db.sqlite > db.sqlite",
    .path = PathArgument::kRequired,
    .flags = {},
    .run = cat_command::run,
};

}  // namespace odo::h2
