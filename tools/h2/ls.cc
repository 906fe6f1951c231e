// SPDX-License-Identifier: BSD-3-Clause
// `h2 ls`: names in a directory, or in all below it.
#include <iostream>
#include <string>
#include <string_view>

#include "absl/flags/flag.h"
#include "tools/h2/command.h"
#include "tools/h2/commands.h"
#include "tools/h2/common_flags.h"
#include "tools/h2/content.h"
#include "tools/h2/print.h"
#include "tools/h2/problems.h"
#include "tools/h2/volume.h"
#include "tools/h2/walk.h"

ABSL_FLAG(bool, l, false, "one line with attributes for each name");
ABSL_FLAG(bool, R, false, "with everything below");

namespace odo::h2 {
namespace ls_command {
namespace {

class Lister : public Visitor {
 public:
  Lister(Volume& volume, Problems& problems, bool start_too)
      : volume_(volume), problems_(problems), start_too_(start_too) {}

  Descend visit(const Visited& at) override {
    if (at.depth != 0 || start_too_) {
      try {
        show(at);
      } catch (const Failure& failure) {
        problems_.tell(failure);
      }
    }
    return at.depth == 0 || whole_ ? Descend::kYes : Descend::kNo;
  }

  void finish() const {
    if (json_) print_json(list_);
  }

 private:
  void show(const Visited& at) {
    const std::string target = json_ || details_
                                   ? target_of(volume_, at.node, at.path)
                                   : std::string();
    if (json_) {
      list_.push_back(entry_json(at.path, at.node.attributes, target));
      return;
    }
    std::string line = details_ ? long_line(at.node.attributes) : std::string();
    line += printable(whole_ ? std::string_view(at.path) : at.name());
    if (!target.empty()) line += " -> " + printable(target);
    std::cout << line << "\n";
  }

  Volume& volume_;
  Problems& problems_;
  const bool start_too_;
  const bool json_ = absl::GetFlag(FLAGS_json);
  const bool details_ = absl::GetFlag(FLAGS_l);
  const bool whole_ = absl::GetFlag(FLAGS_R);
  Json list_ = Json::array();
};

int run(const Request& request) {
  Volume volume(request.images);
  Problems problems;
  const hammer2::Node node =
      volume.find(request.pfs, request.path, hammer2::FollowLast::kYes);
  Lister lister(volume, problems, !node.is(hammer2::ObjectType::kDirectory));
  Walk(volume, lister, problems).run(node, request.path);
  lister.finish();
  return problems.status();
}

constexpr std::string_view kFlags[] = {"l", "R", "json"};

}  // namespace
}  // namespace ls_command

constinit const Command kLs = {
    .name = "ls",
    .arguments = "IMAGE... [@PFS] [PATH]",
    .summary = "A directory",
    .help =
        "Names in the order of their bytes. With -R whole paths, parents "
        "first. What\ncan't be read is told, and the rest shown.",
    .examples =
        "h2 ls disk.img\nh2 ls -lR disk.img @DATA /home\n"
        "h2 ls -R --json disk.img | jq '.[].path'",
    .path = PathArgument::kOptional,
    .flags = ls_command::kFlags,
    .run = ls_command::run,
};

}  // namespace odo::h2
