// SPDX-License-Identifier: BSD-3-Clause
// A path being walked: hands out its components, and takes the target of a
// symlink in front of what is left.
//
// Contexts: any. Refers to the caller's path and buffer while it lives.
// Bounds: kBufferBytes of path may be left over while symlinks are followed;
// a path without symlinks may have any length.
// Failure: make_room() answers an empty span when the bound is reached.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "lib/base/bytes.h"
#include "lib/hammer2/format/constants.h"

namespace odo::hammer2 {

inline constexpr std::string_view kDot = ".";
inline constexpr std::string_view kDotDot = "..";

// False for names that no directory may hold: they would lead a path elsewhere.
[[nodiscard]] constexpr bool name_possible(std::string_view name) {
  if (name.empty() || name.size() > format::kInodeNameBytes || name == kDot ||
      name == kDotDot) {
    return false;
  }
  for (const char c : name) {
    if (c == '/' || c == '\0') return false;
  }
  return true;
}

class Path {
 public:
  static constexpr std::size_t kBufferBytes = 4096;

  Path(std::string_view path, MutableBytes buffer)
      : rest_(path), buffer_(buffer), start_(buffer.size()) {}

  [[nodiscard]] bool absolute() const { return rest_.starts_with('/'); }

  // Takes the next component. False when none is left.
  [[nodiscard]] bool next(std::string_view& component) {
    while (absolute()) rest_.remove_prefix(1);
    std::size_t length = 0;
    while (length < rest_.size() && rest_[length] != '/') ++length;
    component = rest_;
    component.remove_suffix(rest_.size() - length);
    rest_.remove_prefix(length);
    return length != 0;
  }

  // True right after the component that ends the path. One that a '/' follows
  // doesn't: it has to be a directory.
  [[nodiscard]] bool at_last() const { return rest_.empty(); }

  // Room for a symlink's target of `length` bytes, to be filled by the caller:
  // afterwards the path left is that target and then what was left before.
  // Empty when it doesn't fit.
  [[nodiscard]] MutableBytes make_room(std::size_t length) {
    if (!in_buffer_) {
      if (rest_.size() > buffer_.size()) return {};
      start_ = buffer_.size() - rest_.size();
      copy_bytes(buffer_.subspan(start_), std::as_bytes(std::span(rest_)));
      in_buffer_ = true;
    } else {
      start_ = buffer_.size() - rest_.size();
    }
    if (length > start_) return {};
    start_ -= length;
    // The rest begins with the '/' that ended the last component, or is empty.
    rest_ =
        std::string_view(reinterpret_cast<const char*>(buffer_.data()) + start_,
                         buffer_.size() - start_);
    return buffer_.subspan(start_, length);
  }

 private:
  std::string_view rest_;
  MutableBytes buffer_;
  std::size_t start_;       // of the rest in the buffer
  bool in_buffer_ = false;  // rest_ is the buffer's tail
};

}  // namespace odo::hammer2
