// SPDX-License-Identifier: BSD-3-Clause
// `h2 recover`: what can be read of a damaged image, and what is still there of
// deleted files and older versions.
#include <array>
#include <cstdint>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "lib/hammer2/block_store.h"
#include "lib/hammer2/recover/catalogue.h"
#include "lib/hammer2/recover/content.h"
#include "tools/h2/command.h"
#include "tools/h2/commands.h"
#include "tools/h2/common_flags.h"
#include "tools/h2/inspected.h"
#include "tools/h2/meter.h"
#include "tools/h2/new_tree.h"
#include "tools/h2/print.h"
#include "tools/h2/problems.h"
#include "tools/h2/volume.h"

ABSL_FLAG(bool, list, false, "only list what there is; no DIRECTORY");
ABSL_FLAG(bool, deleted, false, "files too that exist no more");
ABSL_FLAG(bool, versions, false,
          "older versions too of files that exist, and what is deleted");
ABSL_FLAG(bool, zeros, false,
          "fill what is lost of a file with zeros and give it its own name");

namespace odo::h2 {
namespace recover_command {
namespace {

namespace recover = hammer2::recover;
using hammer2::ObjectType;
using recover::Fate;
using recover::Name;
using recover::Source;
using recover::Version;

using Catalogue = recover::Catalogue<Inspected::Medium>;
using Store =
    hammer2::BlockStore<Inspected::Medium::Device, hammer2::VerifyChecks>;

// A version under one of its names.
struct Item {
  Version version = {};
  Fate fate = Fate::kCurrent;
  NewTree::Path path;

  [[nodiscard]] std::string text() const { return absl::StrJoin(path, "/"); }
};

class Progress {
 public:
  explicit Progress(Problems& problems) : problems_(problems) {}

  void lost(const hammer2::Error& error, std::string_view pfs) {
    std::string line = text_of(error);
    if (!pfs.empty()) line = "@" + printable(pfs) + ": " + line;
    meter_.clear();
    problems_.tell(line);
  }
  void progress(std::uint64_t done, std::uint64_t total) {
    if (total == 0 || !meter_.due()) return;
    meter_.show(absl::StrFormat("scanned %u%%", done * 100 / total));
  }
  // The scan is over.
  void finish() { meter_.clear(); }

 private:
  Problems& problems_;
  Meter meter_;
};

NewTree::Path path_of(const Catalogue& catalogue, const Version& version,
                      Fate fate, const Name* name) {
  NewTree::Path path;
  if (fate == Fate::kDeleted) path.emplace_back("deleted");
  if (fate == Fate::kOlder) path.emplace_back("versions");
  path.push_back(version.pfs == recover::kNoPfs
                     ? std::string("unknown")
                     : "@" + std::string(catalogue.label(version.pfs)));
  std::array<const Name*, Catalogue::kMaxComponents> chain = {};
  std::uint64_t top = 0;
  const std::size_t count = catalogue.chain(version, name, chain, top);
  if (top > hammer2::format::kRootInum) {
    path.push_back(absl::StrFormat("inode-%u", top));
  }
  for (std::size_t i = count; i-- > 0;) path.emplace_back(chain[i]->view());
  if (name == nullptr) {
    path.push_back(absl::StrFormat("inode-%u", version.inum));
  }
  if (fate == Fate::kOlder) {
    absl::StrAppendFormat(&path.back(), "~0x%x", version.offset);
  }
  return path;
}

bool is_wanted(const Catalogue& catalogue, const Version& version, Fate fate,
               const std::string& pfs) {
  if (version.inum == 0 ||
      (!pfs.empty() && catalogue.label(version.pfs) != pfs)) {
    return false;
  }
  // A folder is made for what is in it.
  switch (fate) {
    case Fate::kCurrent:
      return version.inum != hammer2::format::kRootInum;
    case Fate::kDeleted:
      return (absl::GetFlag(FLAGS_deleted) || absl::GetFlag(FLAGS_versions) ||
              !catalogue.newest_is_whole()) &&
             version.inum != hammer2::format::kRootInum;
    case Fate::kOlder:
      break;
  }
  return absl::GetFlag(FLAGS_versions) &&
         version.type != ObjectType::kDirectory;
}

std::vector<Item> items_of(const Catalogue& catalogue, const std::string& pfs) {
  std::vector<Item> items;
  std::uint64_t last_deleted = 0;
  for (const Version& version : catalogue.versions()) {
    Fate fate = catalogue.fate(version);
    // Of what is deleted the newest version counts as such.
    if (fate == Fate::kDeleted) {
      if (last_deleted == version.inum && !items.empty() &&
          items.back().version.pfs == version.pfs &&
          !absl::GetFlag(FLAGS_versions)) {
        continue;
      }
      last_deleted = version.inum;
    }
    if (!is_wanted(catalogue, version, fate, pfs)) continue;
    bool named = false;
    if (fate == Fate::kCurrent) {
      for (const Name& name : catalogue.names_of(version.inum)) {
        if (name.source != Source::kNewest ||
            !Catalogue::same_pfs(name.pfs, version.pfs)) {
          continue;
        }
        Item item = {.version = version, .fate = fate, .path = {}};
        if (item.version.pfs == recover::kNoPfs) item.version.pfs = name.pfs;
        item.path = path_of(catalogue, item.version, fate, &name);
        items.push_back(std::move(item));
        named = true;
      }
    }
    if (named) continue;
    items.push_back(
        {.version = version,
         .fate = fate,
         .path = path_of(catalogue, version, fate,
                         catalogue.best_name(version.pfs, version.inum))});
  }
  return items;
}

Json item_json(const Catalogue& catalogue, const Item& item) {
  const Version& version = item.version;
  Json json;
  put_text(json, "path", item.text());
  json["fate"] = to_string(item.fate);
  json["source"] = to_string(version.source);
  if (version.pfs != recover::kNoPfs) {
    put_text(json, "pfs", catalogue.label(version.pfs));
  }
  json["type"] = hammer2::to_string(version.type);
  json["inum"] = version.inum;
  json["size"] = version.size;
  json["mtime_us"] = version.mtime_us;
  json["tid"] = version.tid;
  json["offset"] = version.offset;
  return json;
}

// Puts content into a file, and remembers what is lost.
struct Writer {
  NewTree::File& file;
  std::vector<std::string> gaps;

  bool data(std::uint64_t offset, Bytes bytes) {
    file.write(offset, bytes);
    return true;
  }
  void gap(std::uint64_t offset, std::uint64_t length,
           const hammer2::Error& error) {
    gaps.push_back(absl::StrFormat("%u bytes at %u lost: %s", length, offset,
                                   text_of(error)));
  }
};

struct Target {
  std::string text;
  bool whole = true;

  bool data(std::uint64_t, Bytes bytes) {
    text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return true;
  }
  void gap(std::uint64_t, std::uint64_t, const hammer2::Error&) {
    whole = false;
  }
};

// Takes the content of a file before it has a name: what has gaps is called
// otherwise.
struct GapFinder {
  bool gaps = false;

  bool data(std::uint64_t, Bytes) const { return !gaps; }
  void gap(std::uint64_t, std::uint64_t, const hammer2::Error&) { gaps = true; }
};

class Restorer {
 public:
  Restorer(Inspected& inspected, NewTree& tree, Problems& problems)
      : tree_(tree),
        problems_(problems),
        memory_(kMemoryBytes),
        store_(hammer2::VerifyChecks(host_checks())) {
    const auto opened =
        store_.open(inspected.medium().devices(), memory_.bytes());
    if (!opened) throw inspected.failure(opened.error());
  }

  void restore(const Item& item) {
    try {
      restore_one(item);
    } catch (const Failure& failure) {
      problems_.tell(failure);
    }
  }
  [[nodiscard]] std::uint64_t files() const { return files_; }
  [[nodiscard]] std::uint64_t partial() const { return partial_; }

 private:
  static constexpr std::size_t kMemoryBytes = std::size_t{32} << 20;

  void restore_one(const Item& item) {
    const Version& version = item.version;
    const auto ref = recover::inode_at(version.offset, version.inum);
    switch (version.type) {
      case ObjectType::kDirectory:
        tree_.make_folder(item.path);
        return;
      case ObjectType::kRegular:
        restore_file(item, ref);
        return;
      case ObjectType::kSymlink: {
        Target target;
        const auto read =
            recover::read_content(store_, ref, version.inum, target);
        if (!read || !target.whole || target.text.empty()) {
          throw Failure(item.text() + ": the link's target is lost");
        }
        tree_.make_link(item.path, target.text);
        ++files_;
        return;
      }
      default:
        problems_.tell(absl::StrFormat("%s: a %s isn't made", item.text(),
                                       hammer2::to_string(version.type)));
    }
  }

  void restore_file(const Item& item, const hammer2::format::Blockref& ref) {
    const std::uint64_t inum = item.version.inum;
    GapFinder finder;
    const auto found = recover::read_content(store_, ref, inum, finder);
    if (!found) throw Failure(item.text() + ": " + text_of(found.error()));
    NewTree::Path path = item.path;
    if (finder.gaps && !absl::GetFlag(FLAGS_zeros)) path.back() += ".partial";
    NewTree::File file = tree_.make_file(path);
    Writer writer{file, {}};
    const auto written = recover::read_content(store_, ref, inum, writer);
    if (!written) throw Failure(item.text() + ": " + text_of(written.error()));
    file.finish(written->size, item.version.mode, item.version.mtime_us);
    for (const std::string& gap : writer.gaps) {
      problems_.tell(absl::StrJoin(path, "/") + ": " + gap);
    }
    ++files_;
    if (!writer.gaps.empty()) ++partial_;
  }

  NewTree& tree_;
  Problems& problems_;
  ReaderMemory memory_;
  Store store_;
  std::uint64_t files_ = 0;
  std::uint64_t partial_ = 0;
};

void print_list(const Catalogue& catalogue, const std::vector<Item>& items) {
  if (absl::GetFlag(FLAGS_json)) {
    Json list = Json::array();
    for (const Item& item : items) list.push_back(item_json(catalogue, item));
    print_json(list);
    return;
  }
  for (const Item& item : items) {
    const Version& version = item.version;
    std::cout << absl::StrFormat(
        "%-8s %-7s %-8s %12u %s tid 0x%x inode %u at 0x%x %s\n",
        to_string(item.fate), to_string(version.source),
        hammer2::to_string(version.type), version.size,
        time_text(version.mtime_us), version.tid, version.inum, version.offset,
        printable(item.text()));
  }
}

int run(const Request& request) {
  const bool list = absl::GetFlag(FLAGS_list) || absl::GetFlag(FLAGS_json);
  if (!list && request.path == "/") {
    throw UsageError("no directory given, and not --list");
  }
  Inspected inspected(request.images);
  Problems problems;
  Progress progress(problems);
  hammer2::audit::SpaceMap older;
  if (!older.init(inspected.arena(), inspected.info().total_bytes)) {
    throw Failure("not enough memory for a map of the volumes");
  }
  const auto catalogue =
      std::make_unique<Catalogue>(inspected.medium(), inspected.space(), older);
  // The maps grow in the same memory: they keep a part of it.
  hammer2::audit::Arena own(
      inspected.arena().take<std::byte>(inspected.arena().left() / 4 * 3));
  if (!catalogue->init(own)) throw Failure("not enough memory");
  if (inspected.medium().mended()) {
    problems.tell("no volume header is usable: going by a mended one");
  }
  catalogue->walk_headers(progress);
  if (absl::GetFlag(FLAGS_deleted) || absl::GetFlag(FLAGS_versions) ||
      !catalogue->newest_is_whole()) {
    catalogue->scan(progress);
  }
  progress.finish();
  catalogue->finish();
  if (catalogue->full()) {
    problems.tell("there is more than there is memory for: some is left out");
  }
  const std::vector<Item> items = items_of(*catalogue, request.pfs);
  if (list) {
    print_list(*catalogue, items);
    return problems.status();
  }
  NewTree tree(request.path);
  Restorer restorer(inspected, tree, problems);
  for (const Item& item : items) restorer.restore(item);
  std::cout << absl::StrFormat("%u files written, %u of them with gaps\n",
                               restorer.files(), restorer.partial());
  return problems.status();
}

constexpr std::string_view kFlags[] = {"list", "deleted", "versions", "zeros",
                                       "json"};

}  // namespace
}  // namespace recover_command

constinit const Command kRecover = {
    .name = "recover",
    .arguments = "IMAGE... [@PFS] DIRECTORY",
    .summary = "Saves what can be read, deleted files and older versions too",
    .help =
        "Writes all files that can be read into DIRECTORY, as @LABEL/path, "
        "and\n"
        "goes round what is damaged. A file with gaps gets .partial behind\n"
        "its name, or with --zeros its own. --deleted looks through all free\n"
        "space too, for what is in deleted/; --versions also for versions/.\n"
        "Where the newest tree is damaged, what is deleted and what is lost\n"
        "can't be told apart, and both are saved. Nothing that is there is\n"
        "changed, and nothing lands outside of DIRECTORY.",
    .examples =
        "h2 recover disk.img saved\n"
        "h2 recover --deleted --list disk.img\n"
        "h2 recover --versions disk.img @DATA saved",
    .path = PathArgument::kOptional,
    .flags = recover_command::kFlags,
    .run = recover_command::run,
};

}  // namespace odo::h2
