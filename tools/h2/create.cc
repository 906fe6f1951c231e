// SPDX-License-Identifier: BSD-3-Clause
// `h2 create`: an image of a directory or a tar.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/flags/declare.h"
#include "absl/flags/flag.h"
#include "absl/strings/str_format.h"
#include "tools/h2/amount.h"
#include "tools/h2/command.h"
#include "tools/h2/commands.h"
#include "tools/h2/image_writer.h"
#include "tools/h2/made_volume.h"
#include "tools/h2/meter.h"
#include "tools/h2/numbers.h"

ABSL_FLAG(bool, fit, false, "make the image as small as its content allows");
ABSL_FLAG(bool, reproducible, false,
          "take no time and no identifier from anywhere but the tree: the same "
          "tree makes the same image, byte for byte");
ABSL_FLAG(bool, root_owned, false, "everything belongs to user and group 0");
ABSL_DECLARE_FLAG(std::uint32_t, threads);
ABSL_DECLARE_FLAG(std::string, image_size);
ABSL_DECLARE_FLAG(std::string, label);

namespace odo::h2 {
namespace create_command {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

// Room for a tree with some to spare, before compression.
std::uint64_t size_for(const std::vector<SourceEntry>& entries) {
  std::uint64_t bytes = 0;
  for (const SourceEntry& entry : entries) {
    bytes +=
        2048 + (entry.size + 1023) / 1024 * 1024 + entry.size / 65536 * 256;
  }
  bytes += bytes / 8 + 64 * kMiB;
  // Boot and auxiliary areas take a twentieth each, and zones have reserves.
  bytes += bytes / 8;
  return (bytes + 8 * kMiB - 1) / (8 * kMiB) * (8 * kMiB);
}

// An identifier for the tree: equal trees, equal bytes.
class Fingerprint {
 public:
  void add(const SourceEntry& entry) {
    newest_ = std::max(newest_, entry.mtime_us);
    mix(absl::StrFormat("%s|%d|%o|%u|%u|%u|%s|%s", entry.path,
                        static_cast<int>(entry.type), entry.mode, entry.size,
                        entry.mtime_us, entry.rmajor, entry.target,
                        entry.same_as));
  }
  [[nodiscard]] std::uint64_t newest() const { return newest_; }
  void fill(MutableBytes to) {
    for (std::byte& byte : to) {
      mix("id");
      byte = static_cast<std::byte>(state_ >> 56);
    }
  }

 private:
  void mix(std::string_view text) {
    state_ = check::Checks().xxh64(
        std::as_bytes(std::span(text.data(), text.size())), state_);
  }
  std::uint64_t state_ = 0;
  std::uint64_t newest_ = 0;
};

bool is_directory(const std::string& path) {
  struct stat status = {};
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

std::vector<SourceEntry> read_source(const std::string& path) {
  if (is_directory(path)) return entries_of_directory(path);
  std::vector<SourceEntry> entries;
  each_entry_of_tar(
      path, [&](SourceEntry entry) { entries.push_back(std::move(entry)); });
  return entries;
}

class Creation {
 public:
  Creation(const Request& request, FormatSettings format)
      : image_(request.words[0]), format_(std::move(format)) {
    if (format_.labels.empty()) throw UsageError("no --label given");
    entries_ = read_source(request.words[1]);
    for (const SourceEntry& entry : entries_) tree_.add(entry);
    if (absl::GetFlag(FLAGS_reproducible)) {
      const char* epoch = std::getenv("SOURCE_DATE_EPOCH");
      format_.now_us =
          epoch != nullptr ? number_of_word(epoch) * 1000000 : tree_.newest();
      format_.fill_random = [this](MutableBytes to) { tree_.fill(to); };
    }
    if (!format_.size && ::access(image_.c_str(), F_OK) != 0) {
      format_.size = size_for(entries_);
    } else if (!format_.size && absl::GetFlag(FLAGS_fit)) {
      format_.size = size_for(entries_);
    }
    if (absl::GetFlag(FLAGS_fit)) {
      // Nothing reads these areas, whatever made the volume.
      if (!format_.boot_bytes) format_.boot_bytes = 0;
      if (!format_.aux_bytes) format_.aux_bytes = 0;
    }
  }

  int run() {
    make_filesystem({image_}, format_);
    hammer2::write::Limits limits;
    if (absl::GetFlag(FLAGS_fit)) {
      limits.placement = hammer2::write::Placement::kCompact;
    }
    ChangedVolume changed({image_}, Damage::kNotLookedFor, format_.now_us,
                          limits);
    fill(changed);
    if (!absl::GetFlag(FLAGS_fit)) {
      changed.finish();
      return kStatusGood;
    }
    const std::uint64_t size = changed.check(changed->shrink_to_fit());
    if (::truncate(image_.c_str(), static_cast<off_t>(size)) != 0) {
      throw Failure(block::system_error(image_, errno));
    }
    return kStatusGood;
  }

 private:
  void fill(ChangedVolume& changed) {
    WriterSettings settings;
    settings.label = format_.labels.front();
    settings.methods = {.comp = format_.comp.method,
                        .level = format_.comp.level,
                        .check = format_.check,
                        .dense = absl::GetFlag(FLAGS_fit)};
    const std::uint32_t threads = absl::GetFlag(FLAGS_threads);
    settings.threads = threads != 0
                           ? threads
                           : std::max(1U, std::thread::hardware_concurrency());
    settings.owners = !absl::GetFlag(FLAGS_root_owned);
    ImageWriter writer(changed, settings);
    Meter meter;
    const std::size_t count = entries_.size();
    std::size_t done = 0;
    for (SourceEntry& entry : entries_) {
      writer.add(std::move(entry));
      ++done;
      if (!meter.due()) continue;
      meter.show(absl::StrFormat(
          "%u of %u entries, %s, %s/s", done, count,
          amount(static_cast<double>(writer.bytes())),
          amount(static_cast<double>(writer.bytes()) / meter.seconds())));
    }
    writer.finish();
    meter.clear();
  }

  std::string image_;
  FormatSettings format_;
  std::vector<SourceEntry> entries_;
  Fingerprint tree_;
};

int run(const Request& request) {
  if (request.words.size() != 2) {
    throw UsageError("wants an image and a directory or tar");
  }
  FormatSettings format = format_settings();
  if (const std::string size = absl::GetFlag(FLAGS_image_size); !size.empty()) {
    format.size = bytes_of_word(size);
  }
  Creation creation(request, std::move(format));
  return creation.run();
}

constexpr std::string_view kFlags[] = {
    "image_size",     "label",      "boot_size", "aux_size",
    "format_version", "comp",       "checks",    "fit",
    "reproducible",   "root_owned", "threads"};

}  // namespace
}  // namespace create_command

constinit const Command kCreate = {
    .name = "create",
    .arguments = "IMAGE DIRECTORY|TAR",
    .summary = "Make an image of a directory or a tar",
    .help =
        "With everything that the tree has: links of both kinds, devices, "
        "FIFOs, sockets,\nowners, modes and times. A tar may be compressed; "
        "`-` is one on standard input.\nThe entries go to the first PFS of "
        "--label.\n\n"
        "Without --image_size an image that isn't there yet is made large "
        "enough for "
        "the tree\nwithout compression, with some room to spare; most of it is "
        "a hole in the file.\n--fit cuts it behind the last block, has no boot "
        "and auxiliary areas, and stores\nblocks by zlib where LZ4 takes twice "
        "the room. With --reproducible, times come\nfrom the tree, or from "
        "$SOURCE_DATE_EPOCH, and identifiers from both.",
    .examples =
        "h2 create root.img rootfs/\n"
        "h2 create --fit --reproducible --comp zlib root.img root.tar\n"
        "zcat root.tar.gz | h2 create --image_size 4G root.img -",
    .path = PathArgument::kOwn,
    .flags = create_command::kFlags,
    .run = create_command::run,
};

}  // namespace odo::h2
