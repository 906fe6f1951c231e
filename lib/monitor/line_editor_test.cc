// SPDX-License-Identifier: BSD-3-Clause
#include "lib/monitor/line_editor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "lib/monitor/testing/vt_screen.h"

namespace odo::monitor {
namespace {

using testing::ScreenOut;
using testing::VtScreen;

constexpr std::string_view kPrompt = "odo> ";
constexpr std::size_t kRoom = LineEditor::kColumns - 3 - kPrompt.size();

class LineEditorTest : public ::testing::Test {
 protected:
  LineEditorTest() { editor_->begin(kPrompt, out_); }

  // Types bytes; the answer to the last one.
  EditEvent type(std::string_view bytes) {
    EditEvent event = EditEvent::kNone;
    for (char c : bytes) {
      event = editor_->feed(static_cast<std::byte>(c), out_);
      if (event == EditEvent::kLine) {
        lines_.emplace_back(editor_->line());
        editor_->remember(editor_->line());
        editor_->begin(kPrompt, out_);
      } else if (event == EditEvent::kInterrupt) {
        editor_->begin(kPrompt, out_);
      }
      check_screen();
    }
    return event;
  }

  // What the row must look like, from the editor's own text and cursor.
  void check_screen() {
    ASSERT_EQ(screen_.trouble(), "");
    ASSERT_LE(editor_->cursor(), editor_->line().size());
    auto shown = cells(editor_->line());
    auto before = cells(editor_->line().substr(0, editor_->cursor()));
    std::string row = screen_.row();
    if (shown.size() <= kRoom) {
      std::string want{kPrompt};
      for (const std::string& cell : shown) want += cell;
      ASSERT_EQ(row, want.substr(0, want.find_last_not_of(' ') + 1));
      ASSERT_EQ(screen_.column(), kPrompt.size() + before.size());
    } else {
      // A window: what lies left of the cursor is what precedes it.
      std::size_t left = screen_.column() - kPrompt.size();
      ASSERT_LE(left, before.size());
      row.resize(std::max(row.size(), kPrompt.size()), ' ');
      auto row_cells = cells(row.substr(kPrompt.size()), true);
      row_cells.resize(kRoom, " ");
      for (std::size_t i = 0; i < left; ++i) {
        ASSERT_EQ(row_cells[i], before[before.size() - left + i]);
      }
      for (std::size_t i = left; i < kRoom; ++i) {
        std::size_t at = before.size() - left + i;
        if (at < shown.size() && row_cells[i] != " ") {
          ASSERT_EQ(row_cells[i], shown[at]);
        }
      }
    }
  }

  // One string a column.
  static std::vector<std::string> cells(std::string_view text,
                                        bool verbatim = false) {
    std::vector<std::string> all;
    while (!text.empty()) {
      Utf8 c = decode_utf8(text);
      if (c.length != 0 && is_one_column(c.code)) {
        all.emplace_back(text.substr(0, c.length));
        text.remove_prefix(c.length);
      } else {
        EXPECT_FALSE(verbatim);
        char escape[4];
        write_escape(escape, text[0]);
        for (char e : escape) all.emplace_back(1, e);
        text.remove_prefix(1);
      }
    }
    return all;
  }

  VtScreen screen_;
  ScreenOut out_{screen_};
  std::unique_ptr<LineEditor> editor_ = std::make_unique<LineEditor>();
  std::vector<std::string> lines_;
};

TEST_F(LineEditorTest, PlainTyping) {
  EXPECT_EQ(screen_.row(), "odo>");
  EXPECT_EQ(type("ls /"), EditEvent::kNone);
  EXPECT_EQ(screen_.row(), "odo> ls /");
  EXPECT_EQ(type("\r"), EditEvent::kLine);
  EXPECT_EQ(type("x\r\ny\n"), EditEvent::kLine);  // CR LF is one enter
  EXPECT_EQ(lines_, (std::vector<std::string>{"ls /", "x", "y"}));
}

TEST_F(LineEditorTest, CursorKeysInEveryDialect) {
  type("bcd\x1b[Ha\x1b[F!\x1bOHA\x1bOF?\x1b[1~0\x1b[4~9\x1b[7~<\x1b[8~>");
  EXPECT_EQ(editor_->line(), "<0Aabcd!?9>");
  type("\x01(\x05)\x1b[D\x1b[D\x1bOD_\x1b[C\x1bOC|\x02\x02.\x06,");
  EXPECT_EQ(editor_->line(), "(<0Aabcd!?_9.>,|)");
}

TEST_F(LineEditorTest, Erasing) {
  type("abcdef\x7f\x08");
  EXPECT_EQ(editor_->line(), "abcd");
  type("\x1b[D\x1b[D\x1b[3~");
  EXPECT_EQ(editor_->line(), "abd");
  type("\x04\x04\x1b[3~");  // at the end nothing more goes
  EXPECT_EQ(editor_->line(), "ab");
  type("\x01\x7f\x08");
  EXPECT_EQ(editor_->line(), "ab");
  type("\x1b[C\x0b");
  EXPECT_EQ(editor_->line(), "a");
  type("b  cd  \x17");
  EXPECT_EQ(editor_->line(), "ab  ");
  type("\x17\x17");
  EXPECT_EQ(editor_->line(), "");
  type("one two\x1b[D\x1b[D\x15");
  EXPECT_EQ(editor_->line(), "wo");
}

TEST_F(LineEditorTest, EventsForTheCaller) {
  EXPECT_EQ(type("\x04"), EditEvent::kEnd);
  EXPECT_EQ(type("ab\x03"), EditEvent::kInterrupt);
  EXPECT_EQ(editor_->line(), "");
  auto rows = screen_.rows();
  EXPECT_EQ(rows[rows.size() - 2], "odo> ab^C");
}

TEST_F(LineEditorTest, TabAsksForCompletion) {
  EXPECT_EQ(editor_->feed(std::byte{'\t'}, out_), EditEvent::kComplete);
  EXPECT_TRUE(editor_->insert("path", out_));
  EXPECT_EQ(editor_->line(), "path");
  check_screen();
}

TEST_F(LineEditorTest, ClearScreenKeepsTheLine) {
  type("a\rb\rhello\x0c");
  EXPECT_EQ(screen_.rows(), std::vector<std::string>{"odo> hello"});
}

TEST_F(LineEditorTest, History) {
  const std::string up = "\x1b[A";
  const std::string down = "\x1b[B";
  type("one\rtwo\rtwo\r\rthree\rdraft");
  type(up);
  EXPECT_EQ(editor_->line(), "three");
  type(up);
  EXPECT_EQ(editor_->line(), "two");
  type(up);
  EXPECT_EQ(editor_->line(), "one");  // neither the empty line nor the repeat
  type(up);
  EXPECT_EQ(editor_->line(), "one");
  type(down + down);
  EXPECT_EQ(editor_->line(), "three");
  type("\x0e");
  EXPECT_EQ(editor_->line(), "draft");
  type(down);
  EXPECT_EQ(editor_->line(), "draft");
  type("\x10!\r");
  EXPECT_EQ(lines_.back(), "three!");
}

TEST_F(LineEditorTest, HistoryIsARing) {
  for (std::size_t i = 0; i < LineEditor::kHistoryLines + 5; ++i) {
    type("line" + std::to_string(i) + "\r");
  }
  for (std::size_t i = 0; i < LineEditor::kHistoryLines + 9; ++i) {
    type("\x10");
  }
  EXPECT_EQ(editor_->line(), "line5");
}

TEST_F(LineEditorTest, LongLinesScroll) {
  std::string text;
  for (int i = 0; i < 300; ++i) text += static_cast<char>('a' + i % 26);
  type(text);
  EXPECT_EQ(editor_->line(), text);
  EXPECT_TRUE(screen_.row().ends_with(text.substr(300 - kRoom)));
  type("\x01");
  EXPECT_TRUE(screen_.row().starts_with("odo> " + text.substr(0, kRoom)));
  for (int i = 0; i < 200; ++i) type("\x1b[C");
  type("!\x1b[D\x1b[D");
  EXPECT_EQ(editor_->line()[200], '!');
}

TEST_F(LineEditorTest, FullLinesRefuseMore) {
  type(std::string(LineEditor::kMaxLineBytes, 'x'));
  EXPECT_EQ(screen_.bells(), 0);
  type("y");
  EXPECT_EQ(screen_.bells(), 1);
  EXPECT_EQ(editor_->line(), std::string(LineEditor::kMaxLineBytes, 'x'));
  EXPECT_FALSE(editor_->insert("z", out_));
  type("\x7fz\r");
  EXPECT_EQ(lines_.back().back(), 'z');
  type("\x1b[A");
  EXPECT_EQ(editor_->line().size(), LineEditor::kMaxLineBytes);
}

TEST_F(LineEditorTest, Utf8IsOneCharacter) {
  type("a\xc3\xa9z\x1b[D\x1b[D\x1b[D");
  EXPECT_EQ(editor_->cursor(), 0u);
  type("\x1b[C\x1b[3~");
  EXPECT_EQ(editor_->line(), "az");
  type("\xc3\xa9\x7f");
  EXPECT_EQ(editor_->line(), "az");
}

TEST_F(LineEditorTest, WhatATerminalMayNotSeeIsEscaped) {
  type("\xe4\xb8\xad\xff\x80");  // a wide character, then no UTF-8 at all
  EXPECT_EQ(screen_.row(), "odo> \\xe4\\xb8\\xad\\xff\\x80");
  type("\x1b]0;title\x07");  // an unknown escape: its head goes, the rest shows
  EXPECT_EQ(screen_.trouble(), "");
}

TEST_F(LineEditorTest, JoiningBytesKeepsTheCursorBetweenCharacters) {
  // é with a letter inside it: deleting the letter joins the halves.
  type("\xc3x\xa9\x1b[D\x1b[D\x1b[3~");
  EXPECT_EQ(editor_->line(), "\xc3\xa9");
  EXPECT_EQ(editor_->cursor(), 2u);
}

TEST_F(LineEditorTest, UnknownSequencesVanishWhole) {
  type("a\x1b[1;5Cb\x1b[200~c\x1b[?25hd\x1b[99999999999999999999~e\x1bOPf");
  EXPECT_EQ(editor_->line(), "abcdef");
}

// Keys in any order against a model of a string and an index.
TEST_F(LineEditorTest, RandomKeysAgreeWithAModel) {
  std::mt19937 random(10);
  std::string model;
  std::size_t at = 0;
  for (int step = 0; step < 20000; ++step) {
    ASSERT_FALSE(HasFatalFailure()) << step;
    std::string key;
    switch (random() % 16) {
      case 0:
        key = "\x1b[D";
        at -= at > 0;
        break;
      case 1:
        key = "\x1b[C";
        at += at < model.size();
        break;
      case 2:
        key = "\x01";
        at = 0;
        break;
      case 3:
        key = "\x05";
        at = model.size();
        break;
      case 4:
        key = "\x7f";
        if (at > 0) model.erase(--at, 1);
        break;
      case 5:
        key = "\x1b[3~";
        if (at < model.size()) model.erase(at, 1);
        break;
      case 6:
        if (random() % 20 != 0) continue;
        key = "\x0b";
        model.erase(at);
        break;
      case 7: {
        if (random() % 8 != 0) continue;
        key = "\x17";
        std::size_t start = at;
        while (start > 0 && model[start - 1] == ' ') --start;
        while (start > 0 && model[start - 1] != ' ') --start;
        model.erase(start, at - start);
        at = start;
        break;
      }
      default:
        if (model.size() == LineEditor::kMaxLineBytes) continue;
        key = std::string(1, "abcdefg "[random() % 8]);
        model.insert(at++, key);
    }
    type(key);
    ASSERT_EQ(editor_->line(), model);
    ASSERT_EQ(editor_->cursor(), at);
  }
}

TEST_F(LineEditorTest, HostileBytesNeverReachTheTerminal) {
  std::mt19937 random(11);
  for (int step = 0; step < 60000; ++step) {
    char c = static_cast<char>(random() % 256);
    if (random() % 8 == 0) c = '\x1b';
    if (random() % 8 == 0) c = "[O~;09AH"[random() % 8];
    type(std::string(1, c));
    ASSERT_FALSE(HasFatalFailure()) << step;
  }
}

}  // namespace
}  // namespace odo::monitor
