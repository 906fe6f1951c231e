// SPDX-License-Identifier: BSD-3-Clause
// `h2 find`: files that fit a description.
#include <fnmatch.h>

#include <cstdint>
#include <iostream>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "absl/flags/flag.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "tools/h2/command.h"
#include "tools/h2/commands.h"
#include "tools/h2/common_flags.h"
#include "tools/h2/content.h"
#include "tools/h2/print.h"
#include "tools/h2/problems.h"
#include "tools/h2/volume.h"
#include "tools/h2/walk.h"

ABSL_FLAG(std::string, name, "", "GLOB: the name fits this pattern");
ABSL_FLAG(std::string, path, "", "GLOB: the whole path fits; * takes / too");
ABSL_FLAG(std::string, type, "",
          "TYPES: letters of f d l p s b c, as find(1) has them");
ABSL_FLAG(std::string, size, "",
          "[+|-]N[k|M|G]: bytes, exactly, or with + more, with - fewer");
ABSL_FLAG(std::string, newer, "", "TIME: modified after it (RFC 3339, UTC)");
ABSL_FLAG(std::string, older, "", "TIME: modified before it");
ABSL_FLAG(std::string, inum, "", "N: of this inode number");
ABSL_FLAG(std::string, links, "", "[+|-]N: as many links");
ABSL_FLAG(std::string, uid, "", "[+|-]N: of this owner");
ABSL_FLAG(bool, print0, false, "end each path by a zero byte");

namespace odo::h2 {
namespace find_command {
namespace {

// "N", "+N" or "-N", perhaps with a unit.
class Quantity {
 public:
  Quantity(std::string_view flag, std::string text) {
    if (text.empty()) return;
    const std::string all = text;
    given_ = true;
    if (text[0] == '+' || text[0] == '-') {
      sign_ = text[0];
      text.erase(0, 1);
    }
    unsigned shift = 0;
    if (!text.empty()) {
      const std::size_t unit = std::string_view("kMG").find(text.back());
      if (unit != std::string_view::npos) {
        shift = static_cast<unsigned>(unit + 1) * 10;
        text.pop_back();
      }
    }
    if (!absl::SimpleAtoi(text, &value_) ||
        value_ > std::numeric_limits<std::uint64_t>::max() >> shift) {
      throw UsageError(absl::StrFormat("--%s takes no '%s'", flag, all));
    }
    value_ <<= shift;
  }

  [[nodiscard]] bool fits(std::uint64_t value) const {
    if (!given_) return true;
    if (sign_ == '+') return value > value_;
    if (sign_ == '-') return value < value_;
    return value == value_;
  }

 private:
  bool given_ = false;
  char sign_ = 0;
  std::uint64_t value_ = 0;
};

std::optional<absl::Time> time_of(std::string_view flag,
                                  const std::string& text) {
  if (text.empty()) return std::nullopt;
  absl::Time time;
  std::string error;
  for (const char* format :
       {absl::RFC3339_full, "%Y-%m-%d %H:%M:%E*S", "%Y-%m-%d"}) {
    if (absl::ParseTime(format, text, &time, &error)) return time;
  }
  throw UsageError(absl::StrFormat("--%s takes no '%s'", flag, text));
}

char letter_of(hammer2::ObjectType type) {
  switch (type) {
    case hammer2::ObjectType::kRegular:
      return 'f';
    case hammer2::ObjectType::kDirectory:
      return 'd';
    case hammer2::ObjectType::kSymlink:
      return 'l';
    case hammer2::ObjectType::kFifo:
      return 'p';
    case hammer2::ObjectType::kSocket:
      return 's';
    case hammer2::ObjectType::kBlockDevice:
      return 'b';
    case hammer2::ObjectType::kCharDevice:
      return 'c';
    default:
      return '?';
  }
}

class Description {
 public:
  Description() {
    if (types_.find_first_not_of("fdlpsbc") != std::string::npos) {
      throw UsageError("--type takes no '" + types_ + "'");
    }
  }

  [[nodiscard]] bool fits(const Visited& at) const {
    const hammer2::Attributes& of = at.node.attributes;
    if (!types_.empty() &&
        types_.find(letter_of(of.type)) == std::string::npos) {
      return false;
    }
    if (!size_.fits(of.size) || !inum_.fits(of.inum) ||
        !links_.fits(of.nlinks) || !uid_.fits(of.uid)) {
      return false;
    }
    const absl::Time modified =
        absl::FromUnixMicros(static_cast<std::int64_t>(of.mtime_us));
    if ((newer_ && modified <= *newer_) || (older_ && modified >= *older_)) {
      return false;
    }
    return matches(name_, std::string(at.name())) && matches(path_, at.path);
  }

 private:
  static bool matches(const std::string& pattern, const std::string& text) {
    return pattern.empty() || ::fnmatch(pattern.c_str(), text.c_str(), 0) == 0;
  }

  const std::string types_ = absl::GetFlag(FLAGS_type);
  const std::string name_ = absl::GetFlag(FLAGS_name);
  const std::string path_ = absl::GetFlag(FLAGS_path);
  const Quantity size_{"size", absl::GetFlag(FLAGS_size)};
  const Quantity inum_{"inum", absl::GetFlag(FLAGS_inum)};
  const Quantity links_{"links", absl::GetFlag(FLAGS_links)};
  const Quantity uid_{"uid", absl::GetFlag(FLAGS_uid)};
  const std::optional<absl::Time> newer_ =
      time_of("newer", absl::GetFlag(FLAGS_newer));
  const std::optional<absl::Time> older_ =
      time_of("older", absl::GetFlag(FLAGS_older));
};

class Finder : public Visitor {
 public:
  Finder(Volume& volume, Problems& problems, const Description& wanted)
      : volume_(volume), problems_(problems), wanted_(wanted) {}

  Descend visit(const Visited& at) override {
    if (wanted_.fits(at)) show(at);
    return at.depth < depth_ ? Descend::kYes : Descend::kNo;
  }

  void finish() const {
    if (json_) print_json(list_);
  }

 private:
  void show(const Visited& at) {
    if (print0_) {
      std::cout << at.path << '\0';
      return;
    }
    if (!json_) {
      std::cout << printable(at.path) << "\n";
      return;
    }
    try {
      list_.push_back(entry_json(at.path, at.node.attributes,
                                 target_of(volume_, at.node, at.path)));
    } catch (const Failure& failure) {
      problems_.tell(failure);
    }
  }

  Volume& volume_;
  Problems& problems_;
  const Description& wanted_;
  const bool json_ = absl::GetFlag(FLAGS_json);
  const bool print0_ = absl::GetFlag(FLAGS_print0);
  const std::size_t depth_ = absl::GetFlag(FLAGS_depth);
  Json list_ = Json::array();
};

int run(const Request& request) {
  const Description wanted;
  Volume volume(request.images);
  Problems problems;
  const hammer2::Node node =
      volume.find(request.pfs, request.path, hammer2::FollowLast::kYes);
  Finder finder(volume, problems, wanted);
  Walk(volume, finder, problems).run(node, request.path);
  finder.finish();
  return problems.status();
}

constexpr std::string_view kFlags[] = {"name",  "path",  "type",   "size",
                                       "newer", "older", "inum",   "links",
                                       "uid",   "depth", "print0", "json"};

}  // namespace
}  // namespace find_command

constinit const Command kFind = {
    .name = "find",
    .arguments = "IMAGE... [@PFS] [PATH]",
    .summary = "Paths of what fits a description",
    .help = "Everything at and below PATH that fits all of the flags given.",
    .examples =
        "h2 find --name='*.conf' disk.img\n"
        "h2 find --type=f --size=+10M --newer=2026-01-01 disk.img @DATA /\n"
        "h2 find --print0 disk.img /src | xargs -0 -n 1 echo",
    .path = PathArgument::kOptional,
    .flags = find_command::kFlags,
    .run = find_command::run,
};

}  // namespace odo::h2
