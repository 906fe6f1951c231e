// SPDX-License-Identifier: BSD-3-Clause
// h2: looks into HAMMER2 volumes without mounting them. Read-only.
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <iostream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lib/check/sha256.h"
#include "lib/hammer2/format/uuid.h"
#include "tools/h2/check.h"
#include "tools/h2/print.h"
#include "tools/h2/volume.h"
#include "tools/h2/walk.h"

ABSL_FLAG(bool, json, false, "print JSON for programs");
ABSL_FLAG(bool, R, false, "ls: with everything below");
ABSL_FLAG(bool, l, false, "ls: one line with attributes for each name");
ABSL_FLAG(bool, r, false, "sha256: every regular file below");
ABSL_FLAG(bool, notes, false, "check: show notes too");
ABSL_FLAG(bool, decode, false, "check: decompress all data too");
ABSL_FLAG(std::uint32_t, threads, 0, "check: threads, 0 for one a processor");
ABSL_FLAG(std::uint32_t, memory, 0,
          "check: MiB of memory, 0 for what it takes");

namespace odo::h2 {
namespace {

constexpr std::string_view kUsage =
    R"(usage: h2 COMMAND [FLAGS] IMAGE... [@PFS] [PATH]

Looks into HAMMER2 volumes without mounting or changing them. An IMAGE is a
raw image, a disk, or an image compressed with zstd (unpacked to $TMPDIR);
give all volumes of a filesystem that has several. @PFS names a PFS by its
label; without it the obvious one is taken (see `pfs`).

  info   IMAGE...               the volume header in use, sizes, free space
  pfs    IMAGE...               the PFSs
  ls     IMAGE... [@PFS] [PATH] a directory; -l with attributes, -R with all
                                below
  stat   IMAGE... [@PFS] PATH   all attributes of one file (links not followed)
  cat    IMAGE... [@PFS] PATH   a file's content on standard output
  sha256 IMAGE... [@PFS] PATH   a file's digest; -r of every file below
  check  IMAGE...               checks everything that the format promises and
                                names each fault (docs/h2-check.md): --notes
                                shows what is legal and odd too, --decode
                                decompresses all data, --threads=N,
                                --memory=MIB

--json prints JSON instead. With several volumes, or an image whose name could
be taken for a path, put @PFS between them.

Exit status: 0, or 1 where something is damaged or missing (one line on
standard error says what), or 2 for a command line that makes no sense. That of
`check` is the sum of 4 for errors and 8 for what couldn't be checked, or 16 for
a command line that makes no sense.
)";

class UsageError : public Failure {
 public:
  using Failure::Failure;
};

struct Request {
  std::vector<std::string> images;
  std::string pfs;   // label, empty for the default
  std::string path;  // empty if not given
};

constexpr std::size_t kMaxThreads = 64;

enum class PathArgument : std::uint8_t { kNone, kOptional, kRequired };

Request parse(const std::vector<std::string>& words, PathArgument wants) {
  Request request;
  std::size_t i = 0;
  while (i < words.size() && !words[i].starts_with('@')) {
    request.images.push_back(words[i++]);
  }
  if (i < words.size()) {
    request.pfs = words[i++].substr(1);
    if (i < words.size()) request.path = words[i++];
    if (i < words.size()) {
      throw UsageError("unexpected argument: " + words[i]);
    }
  } else if (wants != PathArgument::kNone && request.images.size() > 1) {
    request.path = request.images.back();
    request.images.pop_back();
  }
  if (request.images.empty()) throw UsageError("no image given");
  if (wants == PathArgument::kRequired && request.path.empty()) {
    throw UsageError("no path given");
  }
  if (wants == PathArgument::kNone &&
      (!request.path.empty() || !request.pfs.empty())) {
    throw UsageError("this command takes images only");
  }
  if (request.path.empty()) request.path = "/";
  return request;
}

void print_json(const Json& json) { std::cout << json.dump(1) << "\n"; }

std::string uuid_string(const hammer2::format::Uuid& uuid) {
  const auto text = hammer2::format::uuid_text(uuid);
  return std::string(text.data(), text.size());
}

std::string target_of(Volume& volume, const hammer2::Node& node,
                      const std::string& path) {
  if (!node.is(hammer2::ObjectType::kSymlink)) return {};
  std::string target(node.attributes.size, '\0');
  const auto got =
      volume.fs().read_link(node, std::as_writable_bytes(std::span(target)));
  if (!got) throw volume.failure(got.error(), path);
  return target;
}

int info(const Request& request) {
  Volume volume(request.images);
  const hammer2::VolumeInfo& info = volume.fs().info();
  const std::string fsid = uuid_string(info.fsid);
  if (absl::GetFlag(FLAGS_json)) {
    Json json;
    json["version"] = info.version;
    json["volumes"] = info.volumes;
    json["header"] = info.header;
    json["usable_headers"] = info.usable_headers;
    json["header_offset"] = info.header_offset;
    json["total_bytes"] = info.total_bytes;
    json["allocator_bytes"] = info.allocator_bytes;
    json["free_bytes"] = info.free_bytes;
    json["mirror_tid"] = info.mirror_tid;
    json["freemap_tid"] = info.freemap_tid;
    json["boot"] = {info.boot_beg, info.boot_end};
    json["aux"] = {info.aux_beg, info.aux_end};
    json["fsid"] = fsid;
    print_json(json);
    return 0;
  }
  std::string usable;
  for (unsigned i = 0; i < hammer2::format::kVolumeHeaderCount; ++i) {
    if ((info.usable_headers >> i & 1) != 0) absl::StrAppend(&usable, " ", i);
  }
  std::cout << absl::StrFormat(
      "fsid        %s\n"
      "version     %u\n"
      "volumes     %u\n"
      "header      %u at 0x%x (usable:%s)\n"
      "total       %u bytes\n"
      "for data    %u bytes\n"
      "free        %u bytes\n"
      "mirror_tid  0x%x\n"
      "freemap_tid 0x%x\n"
      "boot area   0x%x to 0x%x\n"
      "aux area    0x%x to 0x%x\n",
      fsid, info.version, info.volumes, info.header, info.header_offset, usable,
      info.total_bytes, info.allocator_bytes, info.free_bytes, info.mirror_tid,
      info.freemap_tid, info.boot_beg, info.boot_end, info.aux_beg,
      info.aux_end);
  return 0;
}

int pfs(const Request& request) {
  Volume volume(request.images);
  hammer2::Pfs preferred;
  const bool has_default = volume.fs().default_pfs(preferred).has_value();
  Json list = Json::array();
  hammer2::DirCursor cursor;
  hammer2::Pfs pfs;
  for (;;) {
    const auto more = volume.fs().next_pfs(cursor, pfs);
    if (!more) throw volume.failure(more.error());
    if (!*more) break;
    const bool is_default = has_default && pfs.root.key == preferred.root.key;
    if (absl::GetFlag(FLAGS_json)) {
      Json entry;
      put_text(entry, "label", pfs.label());
      entry["type"] = hammer2::to_string(pfs.type);
      entry["subtype"] = hammer2::to_string(pfs.subtype);
      entry["clid"] = uuid_string(pfs.clid);
      entry["fsid"] = uuid_string(pfs.fsid);
      entry["last_inum"] = pfs.last_inum;
      entry["data_bytes"] = pfs.data_bytes;
      entry["inodes"] = pfs.inode_count;
      entry["default"] = is_default;
      list.push_back(std::move(entry));
    } else {
      std::cout << absl::StrFormat(
          "%c %-11s %-8s %s %s\n", is_default ? '*' : ' ',
          hammer2::to_string(pfs.type), hammer2::to_string(pfs.subtype),
          uuid_string(pfs.clid), printable(pfs.label()));
    }
  }
  if (absl::GetFlag(FLAGS_json)) print_json(list);
  return 0;
}

int ls(const Request& request) {
  Volume volume(request.images);
  const bool json = absl::GetFlag(FLAGS_json);
  const bool details = absl::GetFlag(FLAGS_l);
  const bool whole = absl::GetFlag(FLAGS_R);
  Json list = Json::array();
  const auto show = [&](const std::string& path, const hammer2::Node& node) {
    const std::string target =
        json || details ? target_of(volume, node, path) : std::string();
    if (json) {
      list.push_back(entry_json(path, node.attributes, target));
      return;
    }
    std::string line = details ? long_line(node.attributes) : std::string();
    line += printable(whole ? path : path.substr(path.rfind('/') + 1));
    if (!target.empty()) line += " -> " + printable(target);
    std::cout << line << "\n";
  };
  const hammer2::Node node =
      volume.find(request.pfs, request.path, hammer2::FollowLast::kYes);
  if (node.is(hammer2::ObjectType::kDirectory)) {
    Walk walk(volume, whole ? Depth::kWhole : Depth::kOneLevel, show);
    walk.directory(node, request.path);
  } else {
    show(request.path, node);
  }
  if (json) print_json(list);
  return 0;
}

int stat(const Request& request) {
  Volume volume(request.images);
  const hammer2::Node node =
      volume.find(request.pfs, request.path, hammer2::FollowLast::kNo);
  const hammer2::Attributes& of = node.attributes;
  const std::string target = target_of(volume, node, request.path);
  if (absl::GetFlag(FLAGS_json)) {
    Json entry = entry_json(request.path, of, target);
    entry["size"] = of.size;
    entry["parent_inum"] = of.parent_inum;
    entry["uflags"] = of.uflags;
    entry["data_bytes"] = of.data_bytes;
    entry["check"] = hammer2::to_string(of.check);
    entry["comp"] = hammer2::to_string(of.comp);
    entry["comp_level"] = of.comp_level;
    entry["ctime_us"] = of.ctime_us;
    entry["atime_us"] = of.atime_us;
    entry["btime_us"] = of.btime_us;
    entry["inode_offset"] = node.ref.offset();
    print_json(entry);
    return 0;
  }
  std::cout << absl::StrFormat(
      "path      %s%s\n"
      "type      %s\n"
      "inode     %u at 0x%x, parent %u\n"
      "mode      %04o (%s)\n"
      "owner     %u:%u\n"
      "links     %u\n"
      "size      %u\n"
      "allocated %u\n"
      "check     %s\n"
      "compress  %s, level %u\n",
      printable(request.path), target.empty() ? "" : " -> " + printable(target),
      hammer2::to_string(of.type), of.inum, node.ref.offset(), of.parent_inum,
      of.mode, mode_text(of), of.uid, of.gid, of.nlinks, of.size, of.data_bytes,
      hammer2::to_string(of.check), hammer2::to_string(of.comp), of.comp_level);
  if (is_device(of)) {
    std::cout << absl::StrFormat("device    %u,%u\n", of.rmajor, of.rminor);
  }
  std::cout << absl::StrFormat(
      "modified  %s\nchanged   %s\naccessed  %s\nborn      %s\n",
      time_text(of.mtime_us), time_text(of.ctime_us), time_text(of.atime_us),
      time_text(of.btime_us));
  return 0;
}

// All of a file, in pieces.
void read_file(Volume& volume, const hammer2::Node& node,
               const std::string& path,
               const std::function<void(Bytes)>& take) {
  std::vector<std::byte> buffer(std::size_t{1} << 20);
  std::uint64_t offset = 0;
  for (;;) {
    const auto got = volume.fs().read(node, offset, buffer);
    if (!got) throw volume.failure(got.error(), path);
    if (*got == 0) return;
    take(Bytes(buffer).first(*got));
    offset += *got;
  }
}

int cat(const Request& request) {
  Volume volume(request.images);
  const hammer2::Node node =
      volume.find(request.pfs, request.path, hammer2::FollowLast::kYes);
  read_file(volume, node, request.path, [](Bytes piece) {
    std::cout.write(reinterpret_cast<const char*>(piece.data()),
                    static_cast<std::streamsize>(piece.size()));
  });
  return 0;
}

int sha256(const Request& request) {
  Volume volume(request.images);
  const bool json = absl::GetFlag(FLAGS_json);
  const check::Checks checks = host_checks();
  Json list = Json::array();
  const auto digest = [&](const std::string& path, const hammer2::Node& node) {
    if (absl::GetFlag(FLAGS_r) && !node.is(hammer2::ObjectType::kRegular)) {
      return;
    }
    auto stream = checks.sha256_stream();
    read_file(volume, node, path, [&](Bytes piece) { stream.update(piece); });
    const check::Sha256Digest value = stream.value();
    const std::string hex = absl::BytesToHexString(
        std::string(reinterpret_cast<const char*>(value.data()), value.size()));
    if (json) {
      Json entry;
      put_text(entry, "path", path);
      entry["sha256"] = hex;
      list.push_back(std::move(entry));
    } else {
      std::cout << hex << "  " << printable(path) << "\n";
    }
  };
  const hammer2::Node node =
      volume.find(request.pfs, request.path, hammer2::FollowLast::kYes);
  if (absl::GetFlag(FLAGS_r) && node.is(hammer2::ObjectType::kDirectory)) {
    Walk walk(volume, Depth::kWhole, digest);
    walk.directory(node, request.path);
  } else {
    digest(request.path, node);
  }
  if (json) print_json(list);
  return 0;
}

int check(const Request& request) {
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
  return check(request.images, options);
}

struct Command {
  std::string_view name;
  PathArgument path;
  int (*run)(const Request&);
};

constexpr Command kCommands[] = {
    {"info", PathArgument::kNone, info},
    {"pfs", PathArgument::kNone, pfs},
    {"ls", PathArgument::kOptional, ls},
    {"stat", PathArgument::kRequired, stat},
    {"cat", PathArgument::kRequired, cat},
    {"sha256", PathArgument::kRequired, sha256},
    {"check", PathArgument::kNone, check},
};

int run(const std::vector<std::string>& words) {
  if (words.empty()) throw UsageError("no command given");
  for (const Command& command : kCommands) {
    if (command.name != words.front()) continue;
    return command.run(parse({words.begin() + 1, words.end()}, command.path));
  }
  throw UsageError("unknown command: " + words.front());
}

// "-lR" means "-l -R", as everybody types it.
std::vector<std::string> split_letters(int argc, char** argv) {
  std::vector<std::string> words;
  for (int i = 0; i < argc; ++i) {
    const std::string word = argv[i];
    if (word.size() > 2 && word[0] == '-' &&
        word.find_first_not_of("Rlr", 1) == std::string::npos) {
      for (const char c : word.substr(1)) words.push_back({'-', c});
    } else {
      words.push_back(word);
    }
  }
  return words;
}

int main(int argc, char** argv) {
  std::vector<std::string> words = split_letters(argc, argv);
  std::vector<char*> pointers;
  for (std::string& word : words) {
    if (word == "--help" || word == "-h" || word == "help") {
      std::cout << kUsage;
      return 0;
    }
    pointers.push_back(word.data());
  }
  absl::SetProgramUsageMessage(std::string(kUsage));
  const std::vector<char*> left = absl::ParseCommandLine(
      static_cast<int>(pointers.size()), pointers.data());
  try {
    const int status = run({left.begin() + 1, left.end()});
    std::cout.flush();
    if (!std::cout) throw Failure("cannot write to standard output");
    return status;
  } catch (const UsageError& error) {
    std::cerr << "h2: " << error.what() << "; `h2 --help` shows how\n";
    return left.size() > 1 && left[1] == std::string_view("check") ? kCheckUsage
                                                                   : 2;
  } catch (const Failure& error) {
    std::cout.flush();
    std::cerr << "h2: " << error.what() << "\n";
    return 1;
  }
}

}  // namespace
}  // namespace odo::h2

int main(int argc, char** argv) { return odo::h2::main(argc, argv); }
