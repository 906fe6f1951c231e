// SPDX-License-Identifier: BSD-3-Clause
// `h2 extract`: files out of an image, into a directory or a tar.
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_format.h"
#include "tools/h2/amount.h"
#include "tools/h2/command.h"
#include "tools/h2/commands.h"
#include "tools/h2/content.h"
#include "tools/h2/data_ranges.h"
#include "tools/h2/directory_sink.h"
#include "tools/h2/meter.h"
#include "tools/h2/problems.h"
#include "tools/h2/sink.h"
#include "tools/h2/tar_sink.h"
#include "tools/h2/volume.h"
#include "tools/h2/walk.h"

ABSL_FLAG(std::string, to, "", "DIRECTORY: extract to there");
ABSL_FLAG(bool, tar, false, "write a tar to standard output instead");
ABSL_FLAG(bool, owners, false,
          "set owners as the image has them (root does without being asked)");

namespace odo::h2 {
namespace extract_command {
namespace {

using hammer2::ObjectType;

class Extractor : public Visitor {
 public:
  Extractor(Volume& volume, Problems& problems, Sink& sink,
            const hammer2::Node& start, const std::string& path)
      : volume_(volume), problems_(problems), sink_(sink) {
    // What is below a directory goes below the target; a file goes there by
    // its name.
    prefix_bytes_ = start.is(ObjectType::kDirectory)
                        ? path.size() + (path.ends_with('/') ? 0 : 1)
                        : path.rfind('/') + 1;
  }

  Descend visit(const Visited& at) override {
    try {
      put(at);
    } catch (const SinkClosed&) {
      throw;
    } catch (const Failure& failure) {
      meter_.clear();
      problems_.tell(failure);
      return Descend::kNo;
    }
    ++files_;
    if (meter_.due()) {
      meter_.show(absl::StrFormat("%u files, %s, %s/s", files_, amount(bytes_),
                                  amount(bytes_ / meter_.seconds())));
    }
    return Descend::kYes;
  }

  void leave(const Visited& at) override {
    try {
      sink_.end_directory(entry_of(at));
    } catch (const SinkClosed&) {
      throw;
    } catch (const Failure& failure) {
      meter_.clear();
      problems_.tell(failure);
    }
  }

  void finish() {
    sink_.finish();
    meter_.clear();
  }

 private:
  [[nodiscard]] std::string_view below(std::string_view path) const {
    return path.size() < prefix_bytes_ ? std::string_view()
                                       : path.substr(prefix_bytes_);
  }
  [[nodiscard]] Entry entry_of(const Visited& at) const {
    return {below(at.path), at.name(), at.node.attributes};
  }

  void put(const Visited& at) {
    const Entry entry = entry_of(at);
    const hammer2::Attributes& of = at.node.attributes;
    if (of.type == ObjectType::kDirectory) {
      sink_.begin_directory(entry);
      return;
    }
    if (of.nlinks > 1) {
      const auto first = first_names_.find(of.inum);
      if (first != first_names_.end()) {
        sink_.link(entry, first->second);
        return;
      }
    }
    switch (of.type) {
      case ObjectType::kRegular:
        put_file(at, entry);
        break;
      case ObjectType::kSymlink:
        sink_.symlink(entry, target_of(volume_, at.node, at.path));
        break;
      default:
        sink_.special(entry);
        break;
    }
    if (of.nlinks > 1) first_names_.emplace(of.inum, entry.path);
  }

  void put_file(const Visited& at, const Entry& entry) {
    extents_.clear();
    each_extent(volume_, at.node, at.path,
                [&](std::uint64_t begin, std::uint64_t end) {
                  extents_.push_back({begin, end - begin});
                });
    sink_.begin_file(entry, extents_);
    try {
      for (const DataRange& extent : extents_) put_extent(at, extent);
    } catch (const SinkClosed&) {
      throw;
    } catch (const Failure&) {
      sink_.drop_file(entry);
      throw;
    }
    sink_.end_file(entry);
  }

  void put_extent(const Visited& at, const DataRange& extent) {
    std::uint64_t offset = extent.offset;
    read_range(volume_, at.node, at.path, offset, offset + extent.length,
               buffer_, [&](Bytes piece) {
                 sink_.data(offset, piece);
                 offset += piece.size();
                 bytes_ += static_cast<double>(piece.size());
               });
  }

  Volume& volume_;
  Problems& problems_;
  Sink& sink_;
  std::size_t prefix_bytes_ = 0;
  // Of files with several names, the path that was put first.
  std::unordered_map<std::uint64_t, std::string> first_names_;
  std::vector<DataRange> extents_;
  std::vector<std::byte> buffer_;
  Meter meter_;
  std::uint64_t files_ = 0;
  double bytes_ = 0;
};

std::unique_ptr<Sink> sink_from_flags() {
  const std::string folder = absl::GetFlag(FLAGS_to);
  if (absl::GetFlag(FLAGS_tar)) {
    if (!folder.empty()) throw UsageError("--to and --tar exclude each other");
    if (::isatty(STDOUT_FILENO) != 0) {
      throw UsageError("a tar isn't for the terminal");
    }
    return std::make_unique<TarSink>();
  }
  if (folder.empty()) throw UsageError("say where: --to=DIRECTORY or --tar");
  const bool keep = absl::GetFlag(FLAGS_owners) || ::geteuid() == 0;
  return std::make_unique<DirectorySink>(folder,
                                         keep ? Owners::kKeep : Owners::kMine);
}

int run(const Request& request) {
  Volume volume(request.images);
  Problems problems;
  const hammer2::Node node =
      volume.find(request.pfs, request.path, hammer2::FollowLast::kYes);
  const std::unique_ptr<Sink> sink = sink_from_flags();
  Extractor extractor(volume, problems, *sink, node, request.path);
  Walk(volume, extractor, problems, NameOrder::kInodes).run(node, request.path);
  extractor.finish();
  return problems.status();
}

constexpr std::string_view kFlags[] = {"to", "tar", "owners"};

}  // namespace
}  // namespace extract_command

constinit const Command kExtract = {
    .name = "extract",
    .arguments = "IMAGE... [@PFS] [PATH]",
    .summary = "Files out of an image, to a directory or a tar",
    .help =
        R"(With holes, links, times, modes and device nodes. What is below PATH, or PATH
itself where it isn't a directory, goes below the directory, which is made if
need be. Nothing there is overwritten, and nothing is ever written outside it,
whatever the image says. A file that can't be read to its end is told of and
left out; in a tar, which promised its size already, zeros stand for the rest.
Owners are set where root asks, or --owners.)",
    .examples =
        "h2 extract --to=out disk.img\n"
        "h2 extract --to=etc disk.img @DATA.snap0 /etc\n"
        "h2 extract --tar disk.img @DATA /home | zstd > home.tar.zst",
    .path = PathArgument::kOptional,
    .flags = extract_command::kFlags,
    .run = extract_command::run,
};

}  // namespace odo::h2
