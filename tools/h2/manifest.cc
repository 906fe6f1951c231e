// SPDX-License-Identifier: BSD-3-Clause
// `h2 manifest`: everything in a PFS, one JSON object a line.
//
// The keys and units are those of the `trees` of the reference images'
// manifests, so that two makers of one image can be compared by a program.
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "lib/check/sha256.h"
#include "tools/h2/command.h"
#include "tools/h2/commands.h"
#include "tools/h2/content.h"
#include "tools/h2/data_ranges.h"
#include "tools/h2/print.h"
#include "tools/h2/problems.h"
#include "tools/h2/volume.h"
#include "tools/h2/walk.h"

namespace odo::h2 {
namespace manifest_command {
namespace {

// Files from this size on aren't digested as a whole if they have holes: their
// zeros would take hours. What isn't zero is, range by range.
constexpr std::uint64_t kVeryLargeBytes = std::uint64_t{16} << 30;

class Lister : public Visitor {
 public:
  Lister(Volume& volume, Problems& problems)
      : volume_(volume), problems_(problems) {}

  Descend visit(const Visited& at) override {
    try {
      std::cout << line_of(at).dump() << "\n";
    } catch (const Failure& failure) {
      problems_.tell(failure);
    }
    return Descend::kYes;
  }

 private:
  Json line_of(const Visited& at) {
    const hammer2::Attributes& of = at.node.attributes;
    Json entry;
    put_text(entry, "path", at.path);
    entry["type"] = hammer2::to_string(of.type);
    entry["mode"] = octal(of.mode);
    entry["uid"] = of.uid;
    entry["gid"] = of.gid;
    entry["mtime_us"] = of.mtime_us;
    if (of.type == hammer2::ObjectType::kRegular) {
      entry["size"] = of.size;
      add_digests(entry, at);
    } else if (of.type == hammer2::ObjectType::kSymlink) {
      put_text(entry, "target", target_of(volume_, at.node, at.path));
      entry["size"] = of.size;
    } else if (is_device(of)) {
      entry["rmajor"] = of.rmajor;
      entry["rminor"] = of.rminor;
    }
    if (of.type != hammer2::ObjectType::kDirectory) entry["nlink"] = of.nlinks;
    return entry;
  }

  void add_digests(Json& entry, const Visited& at) {
    const std::uint64_t size = at.node.attributes.size;
    if (size < kVeryLargeBytes || size <= at.node.attributes.data_bytes) {
      entry["sha256"] = sha256_of(volume_, at.node, at.path, checks_, buffer_);
      return;
    }
    entry["sha256"] = nullptr;
    Json& list = entry["data_ranges"] = Json::array();
    for (const DataRange& range : nonzero_ranges(volume_, at.node, at.path)) {
      auto stream = checks_.sha256_stream();
      read_range(volume_, at.node, at.path, range.offset,
                 range.offset + range.length, buffer_,
                 [&](Bytes piece) { stream.update(piece); });
      list.push_back({{"offset", range.offset},
                      {"length", range.length},
                      {"sha256", hex(stream.value())}});
    }
  }

  Volume& volume_;
  Problems& problems_;
  const check::Checks checks_ = host_checks();
  std::vector<std::byte> buffer_;
};

int run(const Request& request) {
  Volume volume(request.images);
  Problems problems;
  const hammer2::Node node =
      volume.find(request.pfs, request.path, hammer2::FollowLast::kNo);
  Lister lister(volume, problems);
  Walk(volume, lister, problems).run(node, request.path);
  return problems.status();
}

}  // namespace
}  // namespace manifest_command

constinit const Command kManifest = {
    .name = "manifest",
    .arguments = "IMAGE... [@PFS] [PATH]",
    .summary = "Everything in a PFS with digests, one JSON object a line",
    .help =
        R"(Keys: path (or path_hex where a name isn't UTF-8), type, mode (octal), uid,
gid, mtime_us (microseconds since 1970), and as the type has it size, sha256,
target, rmajor, rminor, nlink. A file of 16 GiB or more with holes has a null
sha256 and data_ranges instead: offset, length and sha256 of each run of
4 KiB pages that aren't all zero.)",
    .examples =
        "h2 manifest --pfs DATA disk.img\n"
        "h2 manifest disk.img @DATA /etc | jq -c '{path, sha256}'",
    .path = PathArgument::kOptional,
    .flags = {},
    .run = manifest_command::run,
};

}  // namespace odo::h2
