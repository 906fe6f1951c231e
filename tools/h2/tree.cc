// SPDX-License-Identifier: BSD-3-Clause
// `h2 tree`: a directory tree as a drawing.
#include <cstdint>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_format.h"
#include "tools/h2/command.h"
#include "tools/h2/commands.h"
#include "tools/h2/common_flags.h"
#include "tools/h2/content.h"
#include "tools/h2/print.h"
#include "tools/h2/problems.h"
#include "tools/h2/volume.h"
#include "tools/h2/walk.h"

namespace odo::h2 {
namespace tree_command {
namespace {

class Drawer : public Visitor {
 public:
  Drawer(Volume& volume, Problems& problems)
      : volume_(volume), problems_(problems) {}

  Descend visit(const Visited& at) override {
    const bool directory = at.is(hammer2::ObjectType::kDirectory);
    std::string text = prefix_;
    if (at.depth != 0) {
      text += at.last ? "└── " : "├── ";
      ++(directory ? directories_ : others_);
    }
    text += printable(at.depth == 0 ? std::string_view(at.path) : at.name());
    try {
      const std::string target = target_of(volume_, at.node, at.path);
      if (!target.empty()) text += " -> " + printable(target);
    } catch (const Failure& failure) {
      problems_.tell(failure);
    }
    std::cout << text << "\n";
    if (!directory || at.depth >= absl::GetFlag(FLAGS_depth)) {
      return Descend::kNo;
    }
    lengths_.push_back(prefix_.size());
    if (at.depth != 0) prefix_ += at.last ? "    " : "│   ";
    return Descend::kYes;
  }

  void leave(const Visited&) override {
    prefix_.resize(lengths_.back());
    lengths_.pop_back();
  }

  void finish() const {
    std::cout << absl::StrFormat("\n%u directories, %u files\n", directories_,
                                 others_);
  }

 private:
  Volume& volume_;
  Problems& problems_;
  std::string prefix_;
  std::vector<std::size_t> lengths_;  // of the prefix, at each level entered
  std::uint64_t directories_ = 0;
  std::uint64_t others_ = 0;
};

int run(const Request& request) {
  Volume volume(request.images);
  Problems problems;
  const hammer2::Node node =
      volume.find(request.pfs, request.path, hammer2::FollowLast::kYes);
  Drawer drawer(volume, problems);
  Walk(volume, drawer, problems).run(node, request.path);
  drawer.finish();
  return problems.status();
}

constexpr std::string_view kFlags[] = {"depth"};

}  // namespace
}  // namespace tree_command

constinit const Command kTree = {
    .name = "tree",
    .arguments = "IMAGE... [@PFS] [PATH]",
    .summary = "A directory tree as a drawing",
    .help = "Everything below PATH, with the targets of links and a count.",
    .examples = "h2 tree disk.img\nh2 tree --depth=2 disk.img @DATA /home",
    .path = PathArgument::kOptional,
    .flags = tree_command::kFlags,
    .run = tree_command::run,
};

}  // namespace odo::h2
