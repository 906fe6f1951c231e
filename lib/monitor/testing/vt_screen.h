// SPDX-License-Identifier: BSD-3-Clause
// A terminal of 80 columns, as strict as a real one is lenient: it obeys the
// few controls that the line editor is meant to send, and remembers every byte
// that is anything else.
//
// Contexts: tests. Allocates.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "lib/monitor/utf8.h"

namespace odo::monitor::testing {

class VtScreen {
 public:
  static constexpr std::size_t kColumns = 80;

  void write(std::string_view bytes) {
    pending_ += bytes;
    while (!pending_.empty() && step()) {
    }
  }

  // The row that the cursor is in, without blanks at its end.
  std::string row() const { return text_of(rows_.back()); }
  // All rows, top to bottom.
  std::vector<std::string> rows() const {
    std::vector<std::string> all;
    all.reserve(rows_.size());
    for (const auto& cells : rows_) all.push_back(text_of(cells));
    return all;
  }
  std::size_t column() const { return column_; }
  int bells() const { return bells_; }
  // Set once something came that no terminal should be sent.
  const std::string& trouble() const { return trouble_; }

 private:
  using Cells = std::vector<std::string>;

  static std::string text_of(const Cells& cells) {
    std::string text;
    for (const std::string& cell : cells) text += cell;
    text.erase(text.find_last_not_of(' ') + 1);
    return text;
  }

  // Takes one character or control off what is pending; false when it is not
  // all there yet.
  bool step() {
    char c = pending_[0];
    if (c == '\r') {
      column_ = 0;
    } else if (c == '\n') {
      rows_.emplace_back();
    } else if (c == '\a') {
      ++bells_;
    } else if (c == '\x1b') {
      return control();
    } else {
      return print();
    }
    pending_.erase(0, 1);
    return true;
  }

  bool print() {
    Utf8 c = decode_utf8(pending_);
    if (c.length == 0 || !is_one_column(c.code)) {
      std::size_t lead = static_cast<unsigned char>(pending_[0]);
      bool maybe_more = lead >= 0xc2 && pending_.size() < 4;
      if (maybe_more) return false;
      trouble_ += pending_[0];
      pending_.erase(0, 1);
      return true;
    }
    Cells& row = rows_.back();
    if (column_ >= kColumns - 1) trouble_ += "(wrapped)";
    if (row.size() <= column_) row.resize(column_ + 1, " ");
    row[column_++] = pending_.substr(0, c.length);
    pending_.erase(0, c.length);
    return true;
  }

  bool control() {
    if (pending_.size() < 2) return false;
    std::size_t end = pending_.find_first_not_of("0123456789", 2);
    if (end == std::string::npos) return false;
    std::string numbers = pending_.substr(2, end - 2);
    std::size_t count = numbers.empty() ? 0 : std::stoul(numbers);
    char final = pending_[end];
    Cells& row = rows_.back();
    if (pending_[1] != '[') {
      trouble_ += "(escape)";
    } else if (final == 'K' && numbers.empty()) {
      if (row.size() > column_) row.resize(column_);
    } else if (final == 'D' && count >= 1 && count <= column_) {
      column_ -= count;
    } else if (final == 'H' && numbers.empty()) {
      column_ = 0;
    } else if (final == 'J' && count == 2) {
      rows_.assign(1, {});
    } else {
      trouble_ += "(sequence " + pending_.substr(1, end) + ")";
    }
    pending_.erase(0, end + 1);
    return true;
  }

  std::vector<Cells> rows_ = std::vector<Cells>(1);
  std::size_t column_ = 0;
  int bells_ = 0;
  std::string pending_;
  std::string trouble_;
};

// An editor's output straight onto a screen.
class ScreenOut {
 public:
  explicit ScreenOut(VtScreen& screen) : screen_(screen) {}
  ScreenOut& text(std::string_view text) {
    for (char c : text) screen_.write(c == '\n' ? "\r\n" : std::string(1, c));
    return *this;
  }
  ScreenOut& number(std::size_t value) { return text(std::to_string(value)); }

 private:
  VtScreen& screen_;
};

}  // namespace odo::monitor::testing
