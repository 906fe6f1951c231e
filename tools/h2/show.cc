// SPDX-License-Identifier: BSD-3-Clause
// `h2 show`: the topology of a volume, reference by reference.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_split.h"
#include "lib/hammer2/inspect/topology.h"
#include "tools/h2/command.h"
#include "tools/h2/commands.h"
#include "tools/h2/common_flags.h"
#include "tools/h2/inspected.h"
#include "tools/h2/numbers.h"
#include "tools/h2/topology_view.h"
#include "tools/h2/volume.h"

ABSL_FLAG(std::int32_t, header, -1,
          "N: below volume header N, 0 to 3, in place of the newest");
ABSL_FLAG(std::string, key, "",
          "KEY[/BITS]: leaves whose keys are among these, and what is above");
ABSL_FLAG(std::string, block, "",
          "OFFSET: references to the block that this byte is in");
ABSL_FLAG(bool, data, true, "read the data blocks too, to prove them");
ABSL_FLAG(bool, dot, false, "print a graph for dot(1)");
ABSL_FLAG(bool, html, false, "print a page with a tree to open and close");

namespace odo::h2 {
namespace show_command {
namespace {

namespace inspect = hammer2::inspect;
using hammer2::format::BlockType;

// Which references are to be shown, beside those above them.
struct Filter {
  std::optional<hammer2::KeyRange> keys;
  std::optional<std::uint64_t> block;
  std::string pfs;                    // label, empty for all
  std::optional<std::uint64_t> inum;  // with everything below

  // Where it says nothing, all is shown.
  [[nodiscard]] bool any() const {
    return keys || block || inum || !pfs.empty();
  }
  [[nodiscard]] bool other_pfs(const inspect::Visit& visit) const {
    return !pfs.empty() && !visit.pfs.empty() && visit.pfs != pfs;
  }
  [[nodiscard]] bool fits(const inspect::Visit& visit, bool inside) const {
    const hammer2::format::Blockref& ref = visit.ref;
    if (!pfs.empty() && visit.pfs != pfs) return false;
    if (block && !holds(ref, *block)) return false;
    if (keys && (visit.freemap() || ref.type == BlockType::kIndirect ||
                 ref.key > keys->last || last_key(ref) < keys->first)) {
      return false;
    }
    return !inum || inside || names(visit, *inum);
  }

  // The inode of that number, or an entry for it.
  [[nodiscard]] static bool names(const inspect::Visit& visit,
                                  std::uint64_t inum) {
    if (visit.ref.type == BlockType::kDirent) {
      return visit.ref.embed.dirent.inum == inum;
    }
    return is_inode(visit, inum);
  }
  [[nodiscard]] static bool is_inode(const inspect::Visit& visit,
                                     std::uint64_t inum) {
    if (visit.ref.type != BlockType::kInode ||
        visit.tree == hammer2::Tree::kVolume) {
      return false;
    }
    const auto inode = visit.inode();
    return inode ? inode->inum == inum : visit.rooted && visit.ref.key == inum;
  }

 private:
  [[nodiscard]] static std::uint64_t last_key(
      const hammer2::format::Blockref& ref) {
    return ref.keybits >= hammer2::format::kKeyBits
               ? ~std::uint64_t{0}
               : ref.key | ((std::uint64_t{1} << ref.keybits) - 1);
  }
};

// Hands on what fits, after what it hangs below.
class Selection {
 public:
  Selection(TopologySink& sink, const Filter& filter)
      : sink_(sink), filter_(filter) {}

  inspect::Follow enter(const inspect::Visit& visit) {
    const bool all = !filter_.any();
    const bool inside =
        (!above_.empty() && above_.back().inside) ||
        (filter_.inum && Filter::is_inode(visit, *filter_.inum) &&
         !filter_.other_pfs(visit));
    above_.push_back({.node = shown_node(visit), .inside = inside});
    if (all || filter_.fits(visit, inside)) show();
    return filter_.other_pfs(visit) ? inspect::Follow::kNo
                                    : inspect::Follow::kYes;
  }
  void leave(const hammer2::format::Blockref&, unsigned) {
    if (above_.back().shown) sink_.close(above_.back().node);
    above_.pop_back();
  }

  [[nodiscard]] std::uint64_t references() const { return references_; }
  [[nodiscard]] std::uint64_t bad() const { return bad_; }

 private:
  struct Open {
    ShownNode node;
    bool inside = false;  // below the inode that is asked for, or it itself
    bool shown = false;
  };

  void show() {
    std::size_t first = above_.size();
    while (first > 0 && !above_[first - 1].shown) --first;
    for (; first < above_.size(); ++first) {
      Open& open = above_[first];
      sink_.open(open.node);
      open.shown = true;
      ++references_;
      if (open.node.bad()) ++bad_;
    }
  }

  TopologySink& sink_;
  const Filter& filter_;
  std::vector<Open> above_;
  std::uint64_t references_ = 0;
  std::uint64_t bad_ = 0;
};

Filter filter_of(const Request& request, const Inspected& inspected) {
  Filter filter;
  filter.pfs = request.pfs;
  if (const std::string key = absl::GetFlag(FLAGS_key); !key.empty()) {
    const std::vector<std::string> parts = absl::StrSplit(key, '/');
    const std::uint64_t first = number_of_word(parts[0]);
    const std::uint64_t bits = parts.size() == 2 ? number_of_word(parts[1]) : 0;
    if (parts.size() > 2 || bits > hammer2::format::kKeyBits) {
      throw UsageError("--key takes KEY or KEY/BITS, not '" + key + "'");
    }
    filter.keys = hammer2::KeyRange{
        .first = first,
        .last = bits == hammer2::format::kKeyBits
                    ? ~std::uint64_t{0}
                    : first | ((std::uint64_t{1} << bits) - 1)};
  }
  if (const std::string at = absl::GetFlag(FLAGS_block); !at.empty()) {
    filter.block = number_of_word(at);
  }
  if (request.path != "/") {
    Volume volume(inspected.images(), FileSystem::kMinMemoryBytes << 1);
    filter.pfs = volume.pfs_of(request.pfs).label();
    filter.inum =
        volume.find(filter.pfs, request.path, hammer2::FollowLast::kNo).inum();
  }
  return filter;
}

int run(const Request& request) {
  const int drawings = absl::GetFlag(FLAGS_json) + absl::GetFlag(FLAGS_dot) +
                       absl::GetFlag(FLAGS_html);
  if (drawings > 1) {
    throw UsageError("--json, --dot and --html exclude each other");
  }
  const std::int32_t wanted = absl::GetFlag(FLAGS_header);
  Inspected inspected(request.images);
  const Filter filter = filter_of(request, inspected);
  ShownHeader shown;
  shown.index =
      wanted < 0 ? inspected.info().header : static_cast<unsigned>(wanted);
  const std::vector<std::byte> header = inspected.header(shown.index);
  using Header = hammer2::format::VolumeHeader;
  shown.mended = inspected.medium().mended();
  shown.offset = shown.index * hammer2::format::kVolumeHeaderStride;
  shown.mirror_tid =
      load_le<std::uint64_t>(header.data() + offsetof(Header, mirror_tid));
  shown.freemap_tid =
      load_le<std::uint64_t>(header.data() + offsetof(Header, freemap_tid));
  shown.image = request.images.front();

  const auto sink = make_sink(absl::GetFlag(FLAGS_json)   ? Drawing::kJson
                              : absl::GetFlag(FLAGS_dot)  ? Drawing::kDot
                              : absl::GetFlag(FLAGS_html) ? Drawing::kHtml
                                                          : Drawing::kText);
  const auto walk = inspected.walk();
  walk->limit({.read_data = absl::GetFlag(FLAGS_data)});
  Selection selection(*sink, filter);
  sink->begin(shown);
  walk->run(header, selection);
  sink->end(selection.references(), selection.bad());
  return selection.bad() == 0 ? kStatusGood : kStatusBad;
}

constexpr std::string_view kFlags[] = {"header", "key", "block", "data",
                                       "json",   "dot", "html"};

}  // namespace
}  // namespace show_command

constinit const Command kShow = {
    .name = "show",
    .arguments = "IMAGE... [@PFS] [PATH]",
    .summary = "The topology: every reference and whether its block is good",
    .help =
        "Walks from a volume header down to data, names and the freemap, and\n"
        "shows each reference with its place, key, transaction ids and what\n"
        "the check of its block says. @PFS, PATH, --key and --block show only\n"
        "what they name and what it hangs below; PATH everything below its\n"
        "inode too. Where no header is usable a mended one is taken.",
    .examples =
        "h2 show disk.img\n"
        "h2 show disk.img @DATA /etc/rc.conf\n"
        "h2 show --block=0x8800400 disk.img\n"
        "h2 show --html disk.img >topology.html",
    .path = PathArgument::kOptional,
    .flags = show_command::kFlags,
    .run = show_command::run,
};

}  // namespace odo::h2
