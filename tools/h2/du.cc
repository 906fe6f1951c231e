// SPDX-License-Identifier: BSD-3-Clause
// `h2 du`: what directories take.
#include <cstdint>
#include <iostream>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_format.h"
#include "tools/h2/amount.h"
#include "tools/h2/command.h"
#include "tools/h2/commands.h"
#include "tools/h2/common_flags.h"
#include "tools/h2/print.h"
#include "tools/h2/problems.h"
#include "tools/h2/volume.h"
#include "tools/h2/walk.h"

ABSL_FLAG(bool, a, false, "files too, not just directories");
ABSL_FLAG(bool, h, false, "amounts in KiB, MiB, …");
ABSL_FLAG(bool, s, false, "the start only");

namespace odo::h2 {
namespace du_command {
namespace {

struct Usage {
  std::uint64_t allocated = 0;  // inodes, indirect blocks and data, on media
  std::uint64_t size = 0;       // as files show it
  std::uint64_t files = 0;

  Usage& operator+=(const Usage& other) {
    allocated += other.allocated;
    size += other.size;
    files += other.files;
    return *this;
  }
};

class Adder : public Visitor {
 public:
  Descend visit(const Visited& at) override {
    const hammer2::Attributes& of = at.node.attributes;
    Usage own{.files = 1};
    // Further names of a file that was counted add nothing.
    if (of.nlinks < 2 || at.is(hammer2::ObjectType::kDirectory) ||
        counted_.insert(of.inum).second) {
      own.allocated = hammer2::format::kInodeBytes + of.data_bytes;
      if (at.is(hammer2::ObjectType::kRegular)) own.size = of.size;
    }
    if (at.is(hammer2::ObjectType::kDirectory)) {
      stack_.push_back(own);
      return Descend::kYes;
    }
    if (at.depth == 0 || (all_ && within(at))) show(at, own);
    if (!stack_.empty()) stack_.back() += own;
    return Descend::kNo;
  }

  void leave(const Visited& at) override {
    const Usage usage = stack_.back();
    stack_.pop_back();
    if (within(at)) show(at, usage);
    if (!stack_.empty()) stack_.back() += usage;
  }

  void finish() const {
    if (json_) print_json(list_);
  }

 private:
  [[nodiscard]] bool within(const Visited& at) const {
    return at.depth <= (start_only_ ? 0 : absl::GetFlag(FLAGS_depth));
  }

  void show(const Visited& at, const Usage& usage) {
    if (json_) {
      Json entry;
      put_text(entry, "path", at.path);
      entry["allocated_bytes"] = usage.allocated;
      entry["size_bytes"] = usage.size;
      entry["files"] = usage.files;
      list_.push_back(std::move(entry));
    } else if (human_) {
      std::cout << absl::StrFormat("%10s  %s\n",
                                   amount(static_cast<double>(usage.allocated)),
                                   printable(at.path));
    } else {
      std::cout << usage.allocated << "\t" << printable(at.path) << "\n";
    }
  }

  const bool json_ = absl::GetFlag(FLAGS_json);
  const bool human_ = absl::GetFlag(FLAGS_h);
  const bool all_ = absl::GetFlag(FLAGS_a);
  const bool start_only_ = absl::GetFlag(FLAGS_s);
  std::vector<Usage> stack_;
  std::unordered_set<std::uint64_t> counted_;
  Json list_ = Json::array();
};

int run(const Request& request) {
  Volume volume(request.images);
  Problems problems;
  const hammer2::Node node =
      volume.find(request.pfs, request.path, hammer2::FollowLast::kYes);
  Adder adder;
  Walk(volume, adder, problems).run(node, request.path);
  adder.finish();
  return problems.status();
}

constexpr std::string_view kFlags[] = {"a", "h", "s", "depth", "json"};

}  // namespace
}  // namespace du_command

constinit const Command kDu = {
    .name = "du",
    .arguments = "IMAGE... [@PFS] [PATH]",
    .summary = "Bytes that directories take, with all below them",
    .help =
        "Bytes on media after compression: a KiB for each inode and what its "
        "blocks\ntake, data and indirect ones. A file of several names counts "
        "once. Blocks that\nsnapshots share count in each PFS.",
    .examples = "h2 du -h --depth=1 disk.img\nh2 du -s disk.img @DATA /home",
    .path = PathArgument::kOptional,
    .flags = du_command::kFlags,
    .run = du_command::run,
};

}  // namespace odo::h2
