// SPDX-License-Identifier: BSD-3-Clause
// `h2 check`: the complete check of a filesystem, for people and for programs.
//
// Contexts: the tool's main thread; blocks are proven on several.
// Failure: exit codes as fsck(8) has them.
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_format.h"
#include "lib/block/host/image_file.h"
#include "lib/hammer2/check/checker.h"
#include "lib/hammer2/check/paths.h"
#include "tools/h2/amount.h"
#include "tools/h2/command.h"
#include "tools/h2/commands.h"
#include "tools/h2/common_flags.h"
#include "tools/h2/meter.h"
#include "tools/h2/print.h"
#include "tools/h2/thread_pool.h"
#include "tools/h2/volume.h"

ABSL_FLAG(bool, notes, false, "show notes too");
ABSL_FLAG(bool, decode, false, "decompress all data too");
ABSL_FLAG(std::uint32_t, threads, 0, "N: threads, 0 for one a processor");
ABSL_FLAG(std::uint32_t, memory, 0, "MIB: memory to use, 0 for what it takes");

namespace odo::h2 {
namespace check_command {
namespace {

constexpr int kCheckClean = 0;
constexpr int kCheckErrors = 4;       // errors, left as they are
constexpr int kCheckOperational = 8;  // something wasn't checked
constexpr int kCheckUsage = 16;

constexpr std::size_t kMaxThreads = 64;

struct CheckOptions {
  bool json = false;
  bool notes = false;   // show what is legal and worth knowing
  bool decode = false;  // decompress all data too
  std::size_t threads = 1;
  std::size_t memory_bytes = 0;  // 0: as the volumes' size suggests
};

namespace audit = hammer2::audit;

using Checker = audit::Checker<block::FileDevice>;
using PathFileSystem = hammer2::FileSystem<Checker::Stretched>;

// A finding that has outlived what it points to.
struct Kept {
  audit::Finding finding;
  std::string pfs;
  std::string path;
};

std::string line_of(const audit::Progress& progress, double seconds) {
  const auto done = static_cast<double>(progress.bytes);
  const auto total =
      static_cast<double>(std::max(progress.total_bytes, progress.bytes));
  const double rate = done / seconds;
  return absl::StrFormat("%3.0f%%  %s of %s, %s/s, %.0f s left",
                         total > 0 ? 100 * done / total : 100.0, amount(done),
                         amount(total), amount(rate),
                         rate > 0 ? (total - done) / rate : 0.0);
}

class Report {
 public:
  Report(const CheckOptions& options, Checker& checker)
      : options_(options), checker_(checker) {}

  // --- What the checker calls
  // -------------------------------------------------

  void header(const audit::HeaderReport& header) {
    if (!options_.json) {
      std::string line =
          absl::StrFormat("header %u of volume %u: %s", header.index,
                          header.device, audit::to_string(header.state));
      if (header.state == audit::HeaderState::kUsable) {
        absl::StrAppendFormat(&line, ", mirror_tid 0x%x, freemap_tid 0x%x",
                              header.mirror_tid, header.freemap_tid);
        if (header.in_use) line += ", in use";
        if (header.mountable) line += ", can be mounted";
      }
      say(line);
      return;
    }
    Json entry;
    entry["volume"] = header.device;
    entry["header"] = header.index;
    entry["state"] = audit::to_string(header.state);
    entry["in_use"] = header.in_use;
    entry["mountable"] = header.mountable;
    entry["mirror_tid"] = header.mirror_tid;
    entry["freemap_tid"] = header.freemap_tid;
    headers_.push_back(std::move(entry));
  }

  void found(const audit::Finding& finding) {
    if (finding.severity == audit::Severity::kNote && !options_.notes) return;
    kept_.push_back({finding, std::string(finding.pfs), {}});
  }

  void pfs_done(std::string_view label, audit::InodeTable& inodes) {
    name_paths(label, inodes);
    flush();
  }

  void progress(const audit::Progress& progress) {
    if (meter_.due()) meter_.show(line_of(progress, meter_.seconds()));
  }

  // --- The end
  // ----------------------------------------------------------------

  void finish(const audit::Verdicts& all, double seconds) {
    flush();
    meter_.clear();
    const audit::Totals& totals = all.totals;
    if (!options_.json) {
      std::cout << absl::StrFormat(
          "%u PFSs, %u inodes, %u indirect blocks, %u data blocks, %u "
          "directory "
          "entries; %s proven in %.2f s\n"
          "%s in use, %s free, %s awaiting a bulk free\n"
          "%u errors, %u warnings, %u notes%s\n",
          totals.pfss, totals.inodes, totals.indirects, totals.data,
          totals.dirents, amount(static_cast<double>(totals.bytes_read)),
          seconds, amount(static_cast<double>(totals.used_bytes)),
          amount(static_cast<double>(totals.free_bytes)),
          amount(
              static_cast<double>(totals.leaked_bytes + totals.staged_bytes)),
          all.errors, all.warnings, all.notes,
          all.notes != 0 && !options_.notes ? " (--notes shows them)" : "");
      return;
    }
    Json json;
    json["clean"] = all.errors == 0 && all.warnings == 0;
    json["errors"] = all.errors;
    json["warnings"] = all.warnings;
    json["notes"] = all.notes;
    json["incomplete"] = all.incomplete;
    json["headers"] = std::move(headers_);
    Json& counts = json["totals"];
    counts["pfss"] = totals.pfss;
    counts["inodes"] = totals.inodes;
    counts["indirects"] = totals.indirects;
    counts["data"] = totals.data;
    counts["dirents"] = totals.dirents;
    counts["blocks_read"] = totals.blocks_read;
    counts["bytes_read"] = totals.bytes_read;
    counts["used_bytes"] = totals.used_bytes;
    counts["shared_refs"] = totals.shared_refs;
    counts["leaked_bytes"] = totals.leaked_bytes;
    counts["staged_bytes"] = totals.staged_bytes;
    counts["free_bytes"] = totals.free_bytes;
    json["seconds"] = seconds;
    json["findings"] = std::move(findings_);
    std::cout << json.dump(1) << "\n";
  }

 private:
  void say(const std::string& line) {
    meter_.clear();
    std::cout << line << "\n";
  }

  // Paths for what was found in a PFS, from the entries that lead there.
  void name_paths(std::string_view label, audit::InodeTable& inodes) {
    if (kept_.empty() || !open_paths()) return;
    hammer2::Pfs pfs;
    hammer2::Node root;
    if (!fs_->find_pfs(label, pfs) || !fs_->root(pfs, root)) return;
    audit::PathFinder paths(*fs_, root, inodes);
    std::array<char, 8192> buffer;
    for (Kept& kept : kept_) {
      const hammer2::Error& at = kept.finding.at;
      if (at.inum == hammer2::Error::kUnknown || kept.pfs != label) continue;
      const bool entry = at.type == hammer2::format::BlockType::kDirent &&
                         at.key != hammer2::Error::kUnknown;
      kept.path = entry ? paths.path_of_entry(at.inum, at.key, buffer)
                        : paths.path_of(at.inum, buffer);
    }
  }

  bool open_paths() {
    if (fs_ != nullptr) return true;
    auto fs =
        std::make_unique<PathFileSystem>(hammer2::VerifyChecks(host_checks()));
    memory_.resize(std::size_t{8} << 20);
    if (!fs->open(checker_.stretched(), memory_)) return false;
    fs_ = std::move(fs);
    return true;
  }

  void flush() {
    for (const Kept& kept : kept_) tell(kept);
    kept_.clear();
  }

  void tell(const Kept& kept) {
    std::array<char, hammer2::kErrorTextBytes + 256> buffer;
    const audit::Finding& finding = kept.finding;
    const std::string_view text = audit::finding_text(finding, buffer);
    if (!options_.json) {
      std::string where;
      if (!kept.pfs.empty()) where = "@" + printable(kept.pfs) + " ";
      if (!kept.path.empty()) where += printable(kept.path) + " ";
      if (!where.empty()) where.back() = ':';
      say(absl::StrFormat("%s: %s%s%s", audit::to_string(finding.severity),
                          where, where.empty() ? "" : " ", text));
      return;
    }
    const hammer2::Error& at = finding.at;
    constexpr std::uint64_t kUnknown = hammer2::Error::kUnknown;
    Json entry;
    entry["severity"] = audit::to_string(finding.severity);
    entry["rule"] = audit::info_of(finding.rule).name;
    entry["text"] = text;
    if (!kept.pfs.empty()) put_text(entry, "pfs", kept.pfs);
    if (!kept.path.empty()) put_text(entry, "path", kept.path);
    if (at.type != hammer2::format::BlockType::kEmpty) {
      entry["block"] = hammer2::to_string(at.type);
    }
    if (at.offset != kUnknown) entry["offset"] = at.offset;
    if (at.bytes != 0) entry["length"] = at.bytes;
    if (at.inum != kUnknown) entry["inum"] = at.inum;
    if (at.key != kUnknown) entry["key"] = at.key;
    if (at.type == hammer2::format::BlockType::kVolume) {
      entry["volume"] = at.volume;
    }
    if (finding.has_numbers) {
      entry["found"] = at.found;
      entry["expected"] = at.expected;
    }
    findings_.push_back(std::move(entry));
  }

  const CheckOptions& options_;
  Checker& checker_;
  std::vector<Kept> kept_;  // of the PFS at hand
  Json headers_ = Json::array();
  Json findings_ = Json::array();
  Meter meter_;
  std::vector<std::byte> memory_;
  std::unique_ptr<PathFileSystem> fs_;
};

static_assert(audit::Observer<Report>);

int check(const std::vector<std::string>& images, const CheckOptions& options) {
  std::vector<block::FileDevice> devices;
  devices.reserve(images.size());
  for (const std::string& image : images) {
    auto device = block::open_image(image);
    if (!device) throw Failure(device.error());
    devices.push_back(std::move(*device));
  }
  std::vector<block::FileDevice*> pointers;
  pointers.reserve(devices.size());
  std::uint64_t total = 0;
  for (block::FileDevice& device : devices) {
    pointers.push_back(&device);
    total += device.size_bytes();
  }
  const MappedMemory memory(options.memory_bytes != 0
                                ? options.memory_bytes
                                : check_memory_bytes(total),
                            MAP_NORESERVE, "not enough memory");
  const auto checker =
      std::make_unique<Checker>(hammer2::VerifyChecks(host_checks()));
  ThreadPool threads(options.threads);
  Report report(options, *checker);
  audit::Limits limits;
  limits.decode = options.decode;
  limits.shared_blocks = check_shared_blocks(total);
  const auto start = std::chrono::steady_clock::now();
  const audit::Verdicts all =
      checker->run(pointers, memory.bytes(), threads, limits, report);
  report.finish(all, std::chrono::duration<double>(
                         std::chrono::steady_clock::now() - start)
                         .count());
  if (!all.recognized) throw Failure(images.front() + ": no HAMMER2 volume");
  int status = all.errors > all.incomplete ? kCheckErrors : kCheckClean;
  if (all.incomplete != 0) status |= kCheckOperational;
  return status;
}

CheckOptions options_from_flags() {
  CheckOptions options;
  options.json = absl::GetFlag(FLAGS_json);
  options.notes = absl::GetFlag(FLAGS_notes);
  options.decode = absl::GetFlag(FLAGS_decode);
  options.threads = absl::GetFlag(FLAGS_threads);
  if (options.threads == 0) {
    options.threads = std::max(1U, std::thread::hardware_concurrency());
  }
  options.threads = std::min<std::size_t>(options.threads, kMaxThreads);
  options.memory_bytes = std::size_t{absl::GetFlag(FLAGS_memory)} << 20;
  return options;
}

int run(const Request& request) {
  try {
    return check(request.images, options_from_flags());
  } catch (const Failure& failure) {
    std::cout.flush();
    std::cerr << "h2: " << failure.what() << "\n";
    return kCheckOperational;
  }
}

constexpr std::string_view kFlags[] = {"notes", "decode", "threads", "memory",
                                       "json"};

}  // namespace
}  // namespace check_command

constinit const Command kCheck = {
    .name = "check",
    .arguments = "IMAGE...",
    .summary = "Checks everything that the format promises",
    .help =
        R"(Proves every block's check code and compares what refers to what: trees,
inodes, directory entries, counts, the freemap, all volume headers. Each fault
is named by block, path and PFS; docs/h2-check.md lists the rules. Exit status:
the sum of 4 for errors and 8 for what couldn't be checked.)",
    .examples =
        "h2 check disk.img\n"
        "h2 check --threads=1 --decode vol0.img --volume=vol1.img\n"
        "h2 check --json disk.img | jq '.findings[].path'",
    .path = PathArgument::kNone,
    .flags = check_command::kFlags,
    .run = check_command::run,
    .usage_status = check_command::kCheckUsage,
};

}  // namespace odo::h2
