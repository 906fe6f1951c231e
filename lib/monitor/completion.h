// SPDX-License-Identifier: BSD-3-Clause
// The tab key: completes the word before the cursor, a command's name at the
// head of a command and a path elsewhere.
//
// Contexts: thread; completing a path blocks where the disks do.
// Bounds: a word in quotes is left alone; a directory is looked through up to
// kMaxEntries names, and kMaxShown candidates are listed.
// Failure: none worth a line: what cannot be completed stays as it is.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

#include "lib/base/text.h"
#include "lib/hammer2/types.h"
#include "lib/monitor/commands.h"
#include "lib/monitor/line_editor.h"
#include "lib/monitor/session.h"
#include "lib/monitor/tokenizer.h"
#include "lib/monitor/utf8.h"

namespace odo::monitor {

namespace detail {

// What is known of the candidates so far: how many, and what they share.
class Candidates {
 public:
  void add(std::string_view name, hammer2::ObjectType type) {
    if (count_ == 0) {
      size_ = std::min(name.size(), common_.size());
      std::copy_n(name.begin(), size_, common_.begin());
    } else {
      std::size_t same = 0;
      while (same < size_ && same < name.size() &&
             common_[same] == name[same]) {
        ++same;
      }
      size_ = same;
    }
    ++count_;
    type_ = type;
  }
  [[nodiscard]] std::size_t count() const { return count_; }
  [[nodiscard]] std::string_view common() const {
    return {common_.data(), size_};
  }
  // What goes behind the only candidate.
  [[nodiscard]] std::string_view suffix() const {
    if (count_ != 1) return "";
    return type_ == hammer2::ObjectType::kDirectory ? "/" : " ";
  }

 private:
  std::size_t count_ = 0;
  std::size_t size_ = 0;
  hammer2::ObjectType type_ = hammer2::ObjectType::kUnknown;
  std::array<char, 255> common_;
};

// Inserts `text` so that the tokenizer reads it back as it is.
template <class Out>
void insert_escaped(LineEditor& editor, std::string_view text, Out& out) {
  constexpr std::string_view kSpecial = " \\'\";#";
  for (char c : text) {
    auto value = static_cast<unsigned char>(c);
    std::array<char, 4> escape;
    std::size_t size = 1;
    escape[0] = c;
    if (value < 0x20 || value == 0x7f) {
      write_escape(escape.data(), c);
      size = 4;
    } else if (kSpecial.contains(c)) {
      escape[0] = '\\';
      escape[1] = c;
      size = 2;
    }
    if (!editor.insert({escape.data(), size}, out)) return;
  }
}

// The word that ends at the cursor, as it was typed, and what it belongs to.
struct WordAtCursor {
  std::string_view raw;
  bool is_command;
  bool is_quoted;
};

[[nodiscard]] constexpr WordAtCursor word_before(std::string_view line) {
  std::size_t start = 0;
  bool is_command = true;
  bool is_quoted = false;
  bool in_word = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    char c = line[i];
    if (c == '\\') {
      ++i;
      if (!in_word) start = i - 1;
      in_word = true;
    } else if (c == ';') {
      start = i + 1;
      is_command = true;
      in_word = false;
    } else if (c == ' ') {
      if (in_word) is_command = false;
      start = i + 1;
      in_word = false;
    } else {
      if (!in_word) start = i;
      in_word = true;
      if (c == '\'' || c == '"') is_quoted = true;
    }
  }
  return {slice(line, std::min(start, line.size())), is_command, is_quoted};
}

}  // namespace detail

template <class S>
class Completion {
 public:
  static constexpr std::size_t kMaxEntries = 65536;
  static constexpr std::size_t kMaxShown = 64;

  Completion(S& s, LineEditor& editor) : s_(s), editor_(editor) {}

  void run() {
    auto word = detail::word_before(slice(editor_.line(), 0, editor_.cursor()));
    if (word.is_quoted) return;
    Tokenizer::Words& words = words_;
    auto parsed = Tokenizer(word.raw, buffer_, words).next();
    if (!parsed || parsed->size() > 1) return;
    std::string_view text = parsed->empty() ? "" : words[0];
    if (word.is_command) {
      complete([&](auto take) { each_command(text, take); }, text);
    } else {
      std::size_t slash = text.rfind('/');
      std::size_t head = slash == std::string_view::npos ? 0 : slash + 1;
      if (!find_directory(slice(text, 0, head))) return;
      std::string_view prefix = slice(text, head);
      complete([&](auto take) { each_entry(prefix, take); }, prefix);
    }
  }

 private:
  template <class Take>
  void each_command(std::string_view prefix, Take take) {
    for (const Command<S>& command : kCommands<S>) {
      if (command.name.starts_with(prefix)) {
        take(command.name, hammer2::ObjectType::kUnknown);
      }
    }
  }

  [[nodiscard]] bool find_directory(std::string_view path) {
    if (!s_.is_mounted) return false;
    if (path.empty()) path = ".";
    auto found = s_.resolve(path, hammer2::FollowLast::kYes, s_.node);
    return found && s_.node.is(hammer2::ObjectType::kDirectory);
  }

  template <class Take>
  void each_entry(std::string_view prefix, Take take) {
    hammer2::DirCursor cursor;
    for (std::size_t i = 0; i < kMaxEntries; ++i) {
      auto more = s_.fs.read_directory(s_.node, cursor, entry_);
      if (!more || !*more) return;
      std::string_view name = entry_.name();
      if (!name.starts_with(prefix)) continue;
      if (prefix.empty() && name.starts_with('.')) continue;
      take(name, entry_.type);
    }
  }

  // Inserts what all candidates share beyond `prefix`; where that is nothing
  // and there are several, lists them.
  template <class Each>
  void complete(Each each, std::string_view prefix) {
    detail::Candidates candidates;
    each([&](std::string_view name, hammer2::ObjectType type) {
      candidates.add(name, type);
    });
    if (candidates.count() == 0) return;
    std::string_view more = slice(candidates.common(), prefix.size());
    if (!more.empty() || candidates.count() == 1) {
      detail::insert_escaped(editor_, more, s_.out);
      (void)editor_.insert(candidates.suffix(), s_.out);
      return;
    }
    std::size_t shown = 0;
    std::size_t used = 0;
    s_.out.text("\n");
    each([&](std::string_view name, hammer2::ObjectType type) {
      if (++shown > kMaxShown) return;
      if (used > 0 && used + name.size() + 3 > LineEditor::kColumns) {
        s_.out.text("\n");
        used = 0;
      }
      used += name.size() + 3;
      s_.out.escaped(name).text(type == hammer2::ObjectType::kDirectory ? "/  "
                                                                        : "  ");
    });
    if (shown > kMaxShown) {
      s_.out.text("... ").number(shown - kMaxShown).text(" more");
    }
    s_.out.text("\n");
    editor_.draw(s_.out);
  }

  S& s_;
  LineEditor& editor_;
  hammer2::DirEntry entry_;
  Tokenizer::Words words_;
  std::array<char, LineEditor::kMaxLineBytes> buffer_;
};

}  // namespace odo::monitor
