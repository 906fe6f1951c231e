// SPDX-License-Identifier: BSD-3-Clause
// `h2 sha256`: digests of files.
#include <cstddef>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "absl/flags/flag.h"
#include "tools/h2/command.h"
#include "tools/h2/commands.h"
#include "tools/h2/common_flags.h"
#include "tools/h2/content.h"
#include "tools/h2/print.h"
#include "tools/h2/problems.h"
#include "tools/h2/volume.h"
#include "tools/h2/walk.h"

ABSL_FLAG(bool, r, false, "every regular file below");

namespace odo::h2 {
namespace sha256_command {
namespace {

class Digester : public Visitor {
 public:
  Digester(Volume& volume, Problems& problems)
      : volume_(volume), problems_(problems) {}

  Descend visit(const Visited& at) override {
    if (at.is(hammer2::ObjectType::kRegular) || !whole_) {
      try {
        show(at);
      } catch (const Failure& failure) {
        problems_.tell(failure);
      }
    }
    return whole_ ? Descend::kYes : Descend::kNo;
  }

  void finish() const {
    if (json_) print_json(list_);
  }

 private:
  void show(const Visited& at) {
    const std::string digest =
        sha256_of(volume_, at.node, at.path, checks_, buffer_);
    if (json_) {
      Json entry;
      put_text(entry, "path", at.path);
      entry["sha256"] = digest;
      list_.push_back(std::move(entry));
    } else {
      std::cout << digest << "  " << printable(at.path) << "\n";
    }
  }

  Volume& volume_;
  Problems& problems_;
  const check::Checks checks_ = host_checks();
  std::vector<std::byte> buffer_;
  const bool json_ = absl::GetFlag(FLAGS_json);
  const bool whole_ = absl::GetFlag(FLAGS_r);
  Json list_ = Json::array();
};

int run(const Request& request) {
  Volume volume(request.images);
  Problems problems;
  const hammer2::Node node =
      volume.find(request.pfs, request.path, hammer2::FollowLast::kYes);
  Digester digester(volume, problems);
  Walk(volume, digester, problems).run(node, request.path);
  digester.finish();
  return problems.status();
}

constexpr std::string_view kFlags[] = {"r", "json"};

}  // namespace
}  // namespace sha256_command

constinit const Command kSha256 = {
    .name = "sha256",
    .arguments = "IMAGE... [@PFS] PATH",
    .summary = "A file's SHA-256 digest",
    .help =
        "In sha256sum's format, but for names with bytes that upset a "
        "terminal.",
    .examples = "h2 sha256 disk.img /kernel\nh2 sha256 -r disk.img @DATA /",
    .path = PathArgument::kRequired,
    .flags = sha256_command::kFlags,
    .run = sha256_command::run,
};

}  // namespace odo::h2
