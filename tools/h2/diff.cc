// SPDX-License-Identifier: BSD-3-Clause
// `h2 diff`: what differs between two PFSs, snapshots or images.
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/flags/flag.h"
#include "tools/h2/command.h"
#include "tools/h2/commands.h"
#include "tools/h2/common_flags.h"
#include "tools/h2/compare.h"
#include "tools/h2/print.h"
#include "tools/h2/problems.h"
#include "tools/h2/volume.h"

ABSL_FLAG(std::string, below, "/", "PATH: compare what is below it");
ABSL_FLAG(std::string, volume2, "",
          "FILE: the second volume of the second image");
ABSL_FLAG(bool, times, true, "tell of modification times (--notimes: don't)");

namespace odo::h2 {
namespace diff_command {
namespace {

struct Sides {
  std::string first;
  std::string first_pfs;
  std::string second;  // empty: the first
  std::string second_pfs;
};

// IMAGE [@PFS] [IMAGE] [@PFS]
Sides sides_of(const std::vector<std::string>& words) {
  Sides sides;
  auto at = words.begin();
  const auto take_label = [&](std::string& label) {
    if (at != words.end() && at->starts_with('@')) label = (at++)->substr(1);
  };
  if (at == words.end() || at->starts_with('@')) {
    throw UsageError("no image given");
  }
  sides.first = *at++;
  take_label(sides.first_pfs);
  if (at != words.end() && !at->starts_with('@')) sides.second = *at++;
  take_label(sides.second_pfs);
  if (at != words.end()) throw UsageError("unexpected argument: " + *at);
  if (sides.second.empty() && sides.second_pfs.empty()) {
    throw UsageError("nothing to compare with");
  }
  return sides;
}

class Report {
 public:
  void operator()(const Difference& difference) {
    ++count_;
    constexpr std::string_view kLetters = "-+!";
    const auto change = static_cast<std::size_t>(difference.change);
    if (json_) {
      constexpr std::string_view kWords[] = {"removed", "added", "changed"};
      Json entry;
      put_text(entry, "path", difference.path);
      entry["change"] = kWords[change];
      if (!difference.what.empty()) entry["what"] = difference.what;
      list_.push_back(std::move(entry));
      return;
    }
    std::cout << kLetters[change] << " " << printable(difference.path);
    for (std::size_t i = 0; i < difference.what.size(); ++i) {
      std::cout << (i == 0 ? "  (" : ", ") << difference.what[i];
    }
    std::cout << (difference.what.empty() ? "\n" : ")\n");
  }

  void finish() const {
    if (json_) print_json(list_);
  }
  [[nodiscard]] std::uint64_t count() const { return count_; }

 private:
  const bool json_ = absl::GetFlag(FLAGS_json);
  Json list_ = Json::array();
  std::uint64_t count_ = 0;
};

int run(const Request& request) {
  const Sides sides = sides_of(request.words);
  const std::string path = absl::GetFlag(FLAGS_below);
  std::vector<std::string> images = request.images;
  images.insert(images.begin(), sides.first);
  Volume first(images);
  std::unique_ptr<Volume> other;
  if (!sides.second.empty()) {
    std::vector<std::string> others = {sides.second};
    const std::string further = absl::GetFlag(FLAGS_volume2);
    if (!further.empty()) others.push_back(further);
    other = std::make_unique<Volume>(others);
  }
  Volume& second = other != nullptr ? *other : first;
  const Side left{first,
                  first.find(sides.first_pfs, path, hammer2::FollowLast::kNo)};
  const Side right{
      second, second.find(sides.second_pfs, path, hammer2::FollowLast::kNo)};
  Problems problems;
  Report report;
  Comparison(left, right, {.times = absl::GetFlag(FLAGS_times)}, problems)
      .run(path, report);
  report.finish();
  return report.count() != 0 ? kStatusBad : problems.status();
}

constexpr std::string_view kFlags[] = {"below", "times", "volume2", "json"};

}  // namespace
}  // namespace diff_command

constinit const Command kDiff = {
    .name = "diff",
    .arguments = "IMAGE [@PFS] [IMAGE] [@PFS]",
    .summary = "What differs between two PFSs, snapshots or images",
    .help =
        R"(A line for each path: `-` only in the first, `+` only in the second, `!` in
both with what differs in brackets: type, mode, owner, flags, mtime, links, size,
content, target, device. Of a directory that only one has, its own line is all.
Within one image, files that share their inode aren't read. Exit status: 0 where
there is no difference, 1 where there is one or something couldn't be read.)",
    .examples =
        "h2 diff disk.img @DATA.snap0 @DATA\n"
        "h2 diff --below=/etc --notimes old.img @DATA new.img @DATA\n"
        "h2 diff --json old.img new.img",
    .path = PathArgument::kOwn,
    .flags = diff_command::kFlags,
    .run = diff_command::run,
};

}  // namespace odo::h2
