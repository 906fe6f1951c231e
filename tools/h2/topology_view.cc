// SPDX-License-Identifier: BSD-3-Clause
#include "tools/h2/topology_view.h"

#include <cstdint>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "lib/hammer2/error.h"
#include "lib/hammer2/types.h"
#include "tools/h2/amount.h"
#include "tools/h2/print.h"
#include "tools/h2/volume.h"

namespace odo::h2 {
namespace {

using hammer2::format::Blockref;
using hammer2::format::BlockType;
using hammer2::inspect::State;

std::string_view type_name(BlockType type) {
  switch (type) {
    case BlockType::kInode:
      return "inode";
    case BlockType::kIndirect:
      return "indirect";
    case BlockType::kData:
      return "data";
    case BlockType::kDirent:
      return "dirent";
    case BlockType::kFreemapNode:
      return "freemap_node";
    case BlockType::kFreemapLeaf:
      return "freemap_leaf";
    default:
      return "unknown";
  }
}

std::uint64_t bytes_of_block(const Blockref& ref) {
  return ref.radix() == 0 ? 0 : std::uint64_t{1} << ref.radix();
}

// "good", or what is wrong.
std::string verdict(const ShownNode& node) {
  std::string text(to_string(node.state));
  if (node.bad()) text += ": " + node.error;
  switch (node.reach) {
    case hammer2::inspect::Reach::kShared:
    case hammer2::inspect::Reach::kAgain:
    case hammer2::inspect::Reach::kOverlap:
      text += absl::StrFormat(" (%s)", to_string(node.reach));
      break;
    default:
      break;
  }
  return text;
}

// What the reference leads to, in words.
std::string detail(const ShownNode& node) {
  std::string text;
  const Blockref& ref = node.ref;
  if (node.has_inum &&
      (ref.type == BlockType::kInode || ref.type == BlockType::kDirent)) {
    absl::StrAppendFormat(&text, " #%u", node.inum);
  }
  if (!node.type.empty()) text += " " + node.type;
  if (!node.name.empty()) text += " \"" + printable(node.name) + "\"";
  if (node.has_size) absl::StrAppendFormat(&text, " %u bytes", node.size);
  if (ref.type == BlockType::kIndirect) {
    absl::StrAppendFormat(&text, " %u leaves", ref.leaf_count);
  }
  return text;
}

class TextSink : public TopologySink {
 public:
  void begin(const ShownHeader& header) override {
    std::cout << absl::StrFormat(
        "volume header %u at 0x%x%s: mirror_tid 0x%x, freemap_tid 0x%x\n",
        header.index, header.offset, header.mended ? " (mended)" : "",
        header.mirror_tid, header.freemap_tid);
  }
  void open(const ShownNode& node) override {
    const Blockref& ref = node.ref;
    std::string line(2 + std::size_t{node.depth} * 2, ' ');
    absl::StrAppendFormat(&line, "%s.%u", type_name(ref.type), node.slot);
    if (ref.data_off != 0) {
      absl::StrAppendFormat(&line, " 0x%x (%s)", ref.offset(),
                            amount(static_cast<double>(bytes_of_block(ref))));
    }
    absl::StrAppendFormat(&line, " key 0x%x/%u", ref.key, ref.keybits);
    if (node.state != State::kNoBlock) {
      absl::StrAppendFormat(
          &line, " %s/%s",
          hammer2::to_string(hammer2::format::check_method(ref.methods)),
          hammer2::to_string(hammer2::format::comp_method(ref.methods)));
    }
    absl::StrAppendFormat(&line, " tid 0x%x/0x%x", ref.mirror_tid,
                          ref.modify_tid);
    line += detail(node);
    if (node.state != State::kNoBlock) line += " " + verdict(node);
    std::cout << line << "\n";
  }
  void close(const ShownNode&) override {}
  void end(std::uint64_t references, std::uint64_t bad) override {
    std::cout << absl::StrFormat("%u references, %u bad\n", references, bad);
  }
};

class JsonSink : public TopologySink {
 public:
  void begin(const ShownHeader& header) override {
    Json json;
    json["header"] = header.index;
    json["mended"] = header.mended;
    json["offset"] = header.offset;
    json["mirror_tid"] = header.mirror_tid;
    json["freemap_tid"] = header.freemap_tid;
    begin_object(json);
  }
  void open(const ShownNode& node) override {
    const Blockref& ref = node.ref;
    std::cout << (any_.back() ? ",\n" : "\n");
    any_.back() = true;
    Json json;
    json["type"] = type_name(ref.type);
    json["slot"] = node.slot;
    json["offset"] = ref.offset();
    json["bytes"] = bytes_of_block(ref);
    json["key"] = ref.key;
    json["keybits"] = ref.keybits;
    json["check"] =
        hammer2::to_string(hammer2::format::check_method(ref.methods));
    json["comp"] =
        hammer2::to_string(hammer2::format::comp_method(ref.methods));
    json["mirror_tid"] = ref.mirror_tid;
    json["modify_tid"] = ref.modify_tid;
    json["leaf_count"] = ref.leaf_count;
    json["state"] = to_string(node.state);
    json["reach"] = to_string(node.reach);
    if (node.bad()) json["error"] = node.error;
    if (!node.pfs.empty()) put_text(json, "pfs", node.pfs);
    if (node.has_inum) json["inum"] = node.inum;
    if (!node.type.empty()) json["file_type"] = node.type;
    if (!node.name.empty()) put_text(json, "name", node.name);
    if (node.has_size) json["size"] = node.size;
    begin_object(json);
  }
  void close(const ShownNode&) override { end_object(); }
  void end(std::uint64_t references, std::uint64_t bad) override {
    std::cout << absl::StrFormat("],\"references\":%u,\"bad\":%u}\n",
                                 references, bad);
  }

 private:
  // All of it, but for its end.
  void begin_object(const Json& json) {
    std::string text = json.dump();
    text.pop_back();
    std::cout << text << ",\"children\":[";
    any_.push_back(false);
  }
  void end_object() {
    any_.pop_back();
    std::cout << "]}";
  }

  std::vector<bool> any_;
};

class DotSink : public TopologySink {
 public:
  void begin(const ShownHeader& header) override {
    std::cout << absl::StrFormat(
        "digraph topology {\n"
        "  rankdir=LR;\n"
        "  node [shape=box, style=filled, fillcolor=\"#e8f5e9\", "
        "fontname=\"monospace\"];\n"
        "  n0 [label=\"volume header %u\\nat 0x%x\\nmirror_tid 0x%x\"];\n",
        header.index, header.offset, header.mirror_tid);
    path_.push_back(0);
  }
  void open(const ShownNode& node) override {
    const std::uint64_t id = ++count_;
    std::string label =
        absl::StrFormat("%s.%u", type_name(node.ref.type), node.slot);
    if (node.ref.data_off != 0) {
      absl::StrAppendFormat(&label, " 0x%x", node.ref.offset());
    }
    absl::StrAppendFormat(&label, "\nkey 0x%x/%u\n%s\n%s", node.ref.key,
                          node.ref.keybits, detail(node), verdict(node));
    std::cout << absl::StrFormat(
        "  n%u [label=\"%s\"%s];\n  n%u -> n%u;\n", id,
        absl::StrReplaceAll(label,
                            {{"\\", "\\\\"}, {"\"", "\\\""}, {"\n", "\\n"}}),
        colour(node), path_.back(), id);
    path_.push_back(id);
  }
  void close(const ShownNode&) override { path_.pop_back(); }
  void end(std::uint64_t, std::uint64_t) override { std::cout << "}\n"; }

 private:
  static std::string_view colour(const ShownNode& node) {
    if (node.bad()) return ", fillcolor=\"#ffcdd2\"";
    if (node.state == State::kUnchecked) return ", fillcolor=\"#fff9c4\"";
    if (node.state == State::kNotRead) return ", fillcolor=\"#eeeeee\"";
    return "";
  }

  std::vector<std::uint64_t> path_;
  std::uint64_t count_ = 0;
};

std::string escaped(std::string_view text) {
  std::string plain = printable(text);
  // A page is UTF-8: a name that isn't is shown by its bytes.
  if (!is_utf8(plain)) plain = absl::CHexEscape(plain);
  return absl::StrReplaceAll(
      plain, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}});
}

constexpr std::string_view kPageHead = R"page(<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>HAMMER2 topology</title>
<style>
body { font: 13px/1.5 ui-monospace, monospace; margin: 1.5em; color: #222; }
details, div.leaf { margin-left: 1.4em; }
div.leaf { padding-left: 1em; }
summary { cursor: pointer; }
.key, .tid { color: #777; }
.name { color: #00539b; }
.good { color: #1b7a2f; } .unchecked { color: #9a6b00; }
.unread { color: #777; } .bad { color: #fff; background: #c62828; }
@media (prefers-color-scheme: dark) {
  body { color: #ddd; background: #181818; } .name { color: #7ab8f5; }
  .good { color: #6fcf83; } .unchecked { color: #e0b040; }
}
</style></head><body>
<p><button onclick="all(true)">open all</button>
<button onclick="all(false)">close all</button>
<button onclick="bad()">open what is bad</button></p>
<script>
function all(open) {
  for (const d of document.querySelectorAll('details')) d.open = open;
}
function bad() {
  all(false);
  for (let e of document.querySelectorAll('.bad')) {
    for (; e; e = e.parentElement) if (e.tagName === 'DETAILS') e.open = true;
  }
}
</script>
)page";

class HtmlSink : public TopologySink {
 public:
  void begin(const ShownHeader& header) override {
    std::cout << kPageHead
              << absl::StrFormat(
                     "<h1>%s</h1>\n<p>volume header %u at 0x%x%s, mirror_tid "
                     "0x%x, freemap_tid 0x%x</p>\n",
                     escaped(header.image), header.index, header.offset,
                     header.mended ? " (mended)" : "", header.mirror_tid,
                     header.freemap_tid);
  }
  void open(const ShownNode& node) override {
    const Blockref& ref = node.ref;
    std::string line = absl::StrFormat("%s.%u", type_name(ref.type), node.slot);
    if (ref.data_off != 0) {
      absl::StrAppendFormat(&line, " 0x%x (%s)", ref.offset(),
                            amount(static_cast<double>(bytes_of_block(ref))));
    }
    absl::StrAppendFormat(
        &line,
        " <span class=\"key\">key 0x%x/%u</span> <span class=\"tid\">tid "
        "0x%x/0x%x</span><span class=\"name\">%s</span>",
        ref.key, ref.keybits, ref.mirror_tid, ref.modify_tid,
        escaped(detail(node)));
    if (node.state != State::kNoBlock) {
      absl::StrAppendFormat(&line, " <span class=\"%s\">%s</span>", style(node),
                            escaped(verdict(node)));
    }
    if (node.container()) {
      std::cout << (node.depth < 2 ? "<details open>" : "<details>")
                << "<summary>" << line << "</summary>\n";
    } else {
      std::cout << "<div class=\"leaf\">" << line << "</div>\n";
    }
  }
  void close(const ShownNode& node) override {
    if (node.container()) std::cout << "</details>\n";
  }
  void end(std::uint64_t references, std::uint64_t bad) override {
    std::cout << absl::StrFormat(
        "<p>%u references, <span class=\"%s\">%u bad</span></p>\n"
        "</body></html>\n",
        references, bad == 0 ? "good" : "bad", bad);
  }

 private:
  static std::string_view style(const ShownNode& node) {
    switch (node.state) {
      case State::kBad:
        return "bad";
      case State::kUnchecked:
        return "unchecked";
      case State::kNotRead:
        return "unread";
      default:
        return "good";
    }
  }
};

}  // namespace

bool ShownNode::container() const {
  return ref.type == BlockType::kInode || ref.type == BlockType::kIndirect ||
         ref.type == BlockType::kFreemapNode;
}

ShownNode shown_node(const hammer2::inspect::Visit& visit) {
  ShownNode node;
  node.ref = visit.ref;
  node.depth = visit.depth;
  node.slot = visit.slot;
  node.freemap = visit.freemap();
  node.state = visit.state;
  node.reach = visit.reach;
  if (visit.error) node.error = to_string(visit.error->code);
  node.pfs = visit.pfs;
  node.has_inum = visit.inum != hammer2::Error::kUnknown;
  node.inum = node.has_inum ? visit.inum : 0;
  if (const auto inode = visit.inode()) {
    node.has_inum = true;
    node.inum = inode->inum;
    node.type = hammer2::to_string(inode->type);
    node.size = inode->size;
    node.has_size = inode->type == hammer2::ObjectType::kRegular ||
                    inode->type == hammer2::ObjectType::kSymlink;
    // A file's own name says no more than its number.
    if (visit.tree == hammer2::Tree::kVolume ||
        visit.tree == hammer2::Tree::kSuperRoot ||
        visit.ref.key >= hammer2::format::kDirhashVisible) {
      node.name = visit.inode_name();
    }
  } else if (visit.ref.type == BlockType::kDirent) {
    node.has_inum = true;
    node.inum = visit.ref.embed.dirent.inum;
    node.type = hammer2::to_string(visit.ref.embed.dirent.type);
    node.name = visit.entry_name();
  }
  return node;
}

std::unique_ptr<TopologySink> make_sink(Drawing drawing) {
  switch (drawing) {
    case Drawing::kJson:
      return std::make_unique<JsonSink>();
    case Drawing::kDot:
      return std::make_unique<DotSink>();
    case Drawing::kHtml:
      return std::make_unique<HtmlSink>();
    case Drawing::kText:
      break;
  }
  return std::make_unique<TextSink>();
}

}  // namespace odo::h2
