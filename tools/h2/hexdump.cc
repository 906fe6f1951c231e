// SPDX-License-Identifier: BSD-3-Clause
// `h2 hexdump`: a block's bytes, taken apart in place.
#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "lib/base/bits.h"
#include "lib/hammer2/inspect/decode.h"
#include "lib/hammer2/inspect/topology.h"
#include "tools/h2/command.h"
#include "tools/h2/commands.h"
#include "tools/h2/common_flags.h"
#include "tools/h2/inspected.h"
#include "tools/h2/numbers.h"
#include "tools/h2/print.h"
#include "tools/h2/volume.h"

ABSL_FLAG(std::string, as, "",
          "KIND: take it for header, inode, refs, freemap, name or data");

namespace odo::h2 {
namespace hexdump_command {
namespace {

namespace inspect = hammer2::inspect;
using hammer2::format::Blockref;
using inspect::FieldView;
using inspect::Layout;

constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 20;
constexpr std::size_t kRowBytes = 16;

// The first reference to the block that a byte is in.
class Search {
 public:
  explicit Search(std::uint64_t offset) : offset_(offset) {}

  inspect::Follow enter(const inspect::Visit& visit) {
    const Blockref& ref = visit.ref;
    if (!found && holds(ref, offset_)) {
      found = ref;
      state = visit.state;
      inum = visit.inum;
    }
    return found ? inspect::Follow::kNo : inspect::Follow::kYes;
  }
  void leave(const Blockref&, unsigned) {}

  std::optional<Blockref> found;
  inspect::State state = {};
  std::uint64_t inum = 0;

 private:
  std::uint64_t offset_;
};

// What is to be shown.
struct Piece {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  Layout layout = Layout::kData;
  std::string title;
};

Layout layout_called(const std::string& name) {
  constexpr std::pair<std::string_view, Layout> kNames[] = {
      {"header", Layout::kVolumeHeader}, {"inode", Layout::kInode},
      {"refs", Layout::kBlockrefs},      {"freemap", Layout::kFreemapLeaf},
      {"name", Layout::kName},           {"data", Layout::kData},
  };
  for (const auto& [known, layout] : kNames) {
    if (name == known) return layout;
  }
  throw UsageError(
      "--as takes header, inode, refs, freemap, name or data, not '" + name +
      "'");
}

// The root volume's headers are referred to by nobody.
bool is_header(Inspected& inspected, std::uint64_t offset) {
  const auto* root = inspected.medium().volumes().find(0, 1);
  return root != nullptr && offset < root->size &&
         offset % hammer2::format::kVolumeHeaderStride <
             hammer2::format::kVolumeHeaderBytes &&
         offset / hammer2::format::kVolumeHeaderStride <
             hammer2::format::kVolumeHeaderCount;
}

Piece piece_at(Inspected& inspected, std::uint64_t offset,
               std::optional<std::uint64_t> bytes) {
  Piece piece;
  piece.offset = offset;
  if (is_header(inspected, offset)) {
    piece.offset =
        align_down(offset, std::uint64_t{hammer2::format::kVolumeHeaderBytes});
    piece.bytes = hammer2::format::kVolumeHeaderBytes;
    piece.layout = Layout::kVolumeHeader;
    piece.title = absl::StrFormat(
        "volume header %u", offset / hammer2::format::kVolumeHeaderStride);
  } else {
    const auto walk = inspected.walk();
    walk->limit({.read_data = false});
    Search search(offset);
    walk->run(inspected.header(inspected.info().header), search);
    if (search.found) {
      const Blockref& ref = *search.found;
      piece.offset = ref.offset();
      piece.bytes = std::uint64_t{1} << ref.radix();
      piece.layout = inspect::layout_of(ref.type);
      piece.title =
          absl::StrFormat("%s, key 0x%x/%u, %s", hammer2::to_string(ref.type),
                          ref.key, ref.keybits, to_string(search.state));
      if (search.inum != hammer2::Error::kUnknown) {
        absl::StrAppendFormat(&piece.title, ", of inode %u", search.inum);
      }
    } else {
      piece.bytes = hammer2::format::kMinAllocBytes;
      piece.title = "nothing refers to it";
    }
  }
  // With a length it is just these bytes, as what they are if all are there.
  if (bytes && (*bytes != piece.bytes || offset != piece.offset)) {
    piece.layout = Layout::kData;
    piece.offset = offset;
    piece.bytes = *bytes;
  }
  return piece;
}

Piece piece_of(Inspected& inspected, const Request& request) {
  const std::string& words = request.path;
  if (words.starts_with('/')) {
    Volume volume(inspected.images(), FileSystem::kMinMemoryBytes << 1);
    const hammer2::Node node =
        volume.find(request.pfs, words, hammer2::FollowLast::kNo);
    return {.offset = node.ref.offset(),
            .bytes = hammer2::format::kInodeBytes,
            .layout = Layout::kInode,
            .title = absl::StrFormat("inode %u", node.inum())};
  }
  const std::vector<std::string> parts = absl::StrSplit(words, '/');
  if (parts.size() > 2 || words.empty() ||
      std::isdigit(static_cast<unsigned char>(words[0])) == 0) {
    throw UsageError("not an offset and not a path: '" + words + "'");
  }
  std::optional<std::uint64_t> bytes;
  if (parts.size() == 2) bytes = number_of_word(parts[1]);
  return piece_at(inspected, number_of_word(parts[0]), bytes);
}

std::vector<std::byte> read(Inspected& inspected, const Piece& piece) {
  if (piece.bytes == 0 || piece.bytes > kMaxBytes) {
    throw UsageError(
        absl::StrFormat("1 to %u bytes can be shown at a time", kMaxBytes));
  }
  const auto* volume =
      inspected.medium().volumes().find(piece.offset, piece.bytes);
  if (volume == nullptr) {
    throw Failure(absl::StrFormat("%u bytes at 0x%x aren't in a volume",
                                  piece.bytes, piece.offset));
  }
  const std::uint64_t granule = volume->device->block_bytes();
  const std::uint64_t inside = piece.offset - volume->offset;
  const std::uint64_t begin = align_down(inside, granule);
  std::vector<std::byte> cover(align_up(inside + piece.bytes, granule) - begin);
  if (!volume->device->read(begin, cover)) {
    throw Failure(absl::StrFormat("read error at 0x%x", piece.offset));
  }
  const auto first =
      cover.begin() + static_cast<std::ptrdiff_t>(inside - begin);
  return {first, first + static_cast<std::ptrdiff_t>(piece.bytes)};
}

std::string hex_of(Bytes bytes) {
  std::string text;
  for (const std::byte b : bytes) {
    if (!text.empty()) text += ' ';
    absl::StrAppendFormat(&text, "%02x", std::to_integer<unsigned>(b));
  }
  return text;
}

std::string letters_of(Bytes bytes) {
  std::string text;
  for (const std::byte b : bytes) {
    const auto c = std::to_integer<unsigned char>(b);
    text += c >= 0x20 && c < 0x7f ? static_cast<char>(c) : '.';
  }
  return text;
}

std::string name_of(const FieldView& view) {
  std::string name;
  if (!view.group.empty()) {
    name = absl::StrFormat("%s[%u].", view.group, view.group_index);
  }
  absl::StrAppendFormat(&name, "%s", view.field->name);
  if (view.field->count > 1) absl::StrAppendFormat(&name, "[%u]", view.element);
  return name;
}

std::string value_of(const FieldView& view) {
  if (view.field->kind == hammer2::format::FieldKind::kTime) {
    const std::uint64_t us = inspect::number_of(view.bytes);
    return absl::StrFormat("%u (%s)", us, time_text(us));
  }
  std::array<char, inspect::kValueTextBytes> buffer;
  return std::string(inspect::value_text(view, buffer));
}

// Rows of a field: the first with its name and value, the others with letters.
// Rows like the one above them are left out.
void print_field(std::uint64_t base, const FieldView& view) {
  const bool plain = view.field->kind == hammer2::format::FieldKind::kBytes &&
                     view.bytes.size() > kRowBytes;
  const auto row = [&](std::size_t at) {
    return view.bytes.subspan(at, std::min(kRowBytes, view.bytes.size() - at));
  };
  if (plain) {
    const bool zeros = std::ranges::all_of(
        view.bytes, [](std::byte b) { return b == std::byte{0}; });
    std::cout << absl::StrFormat(
        "0x%010x  %-47s  %s: %u bytes%s\n", base + view.offset,
        zeros ? hex_of(row(0)) : std::string(), name_of(view),
        view.bytes.size(), zeros ? ", zeros" : "");
    if (zeros) return;
  }
  bool skipped = false;
  for (std::size_t at = 0; at < view.bytes.size(); at += kRowBytes) {
    const Bytes now = row(at);
    if (at != 0 && at + kRowBytes < view.bytes.size() &&
        equal_bytes(now, row(at - kRowBytes))) {
      if (!skipped) std::cout << "*\n";
      skipped = true;
      continue;
    }
    skipped = false;
    const std::string words =
        at == 0 && !plain
            ? absl::StrFormat("%s = %s", name_of(view), value_of(view))
            : "|" + letters_of(now) + "|";
    std::cout << absl::StrFormat("0x%010x  %-47s  %s\n",
                                 base + view.offset + at, hex_of(now), words);
  }
}

Json field_json(const FieldView& view) {
  Json json;
  json["name"] = name_of(view);
  json["offset"] = view.offset;
  json["hex"] = absl::BytesToHexString(std::string(
      reinterpret_cast<const char*>(view.bytes.data()), view.bytes.size()));
  // A name is given by its bytes alone where it isn't UTF-8.
  const std::string value = value_of(view);
  if (is_utf8(value)) json["value"] = value;
  return json;
}

int run(const Request& request) {
  Inspected inspected(request.images);
  Piece piece = piece_of(inspected, request);
  if (const std::string as = absl::GetFlag(FLAGS_as); !as.empty()) {
    piece.layout = layout_called(as);
  }
  const std::vector<std::byte> block = read(inspected, piece);
  if (absl::GetFlag(FLAGS_json)) {
    Json json;
    json["offset"] = piece.offset;
    json["bytes"] = piece.bytes;
    json["what"] = piece.title;
    json["fields"] = Json::array();
    inspect::for_each_field(piece.layout, block, [&](const FieldView& view) {
      json["fields"].push_back(field_json(view));
    });
    print_json(json);
    return kStatusGood;
  }
  std::cout << absl::StrFormat("0x%x, %u bytes: %s\n", piece.offset,
                               piece.bytes, piece.title);
  inspect::for_each_field(piece.layout, block, [&](const FieldView& view) {
    print_field(piece.offset, view);
  });
  return kStatusGood;
}

constexpr std::string_view kFlags[] = {"as", "json"};

}  // namespace
}  // namespace hexdump_command

constinit const Command kHexdump = {
    .name = "hexdump",
    .arguments = "IMAGE... [@PFS] OFFSET[/BYTES] | PATH",
    .summary = "A block, taken apart in place",
    .help =
        "Shows the block that the byte at OFFSET is in, in the space of all\n"
        "volumes, field by field: what it is, the topology says. With /BYTES\n"
        "just as many bytes from OFFSET on. With a PATH, the inode of that\n"
        "file. A block's bytes are shown as they are, right or not, and\n"
        "compressed ones compressed.",
    .examples =
        "h2 hexdump disk.img 0\n"
        "h2 hexdump disk.img 0x8800400\n"
        "h2 hexdump --as=inode disk.img 0x8800400/1024\n"
        "h2 hexdump disk.img @DATA /etc/rc.conf",
    .path = PathArgument::kRequired,
    .flags = hexdump_command::kFlags,
    .run = hexdump_command::run,
};

}  // namespace odo::h2
