// SPDX-License-Identifier: BSD-3-Clause
// What has changed since the last sync, as far as the intent log can say it:
// ranges of files, and attributes. Anything else spoils it until the next
// header: a log that left something out would bring back what never was.
//
// Contexts: thread, one at a time.
// Bounds: kMost ranges and kMostBytes in them; more is spoilt, as a header is
//   then the better way.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace odo::hammer2::write {

// Attributes changed, and `bytes` of content from `offset` on.
struct PendingChange {
  std::uint64_t pfs = 0;
  std::uint64_t inum = 0;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

class PendingChanges {
 public:
  static constexpr std::size_t kMost = 256;
  static constexpr std::uint64_t kMostBytes = std::uint64_t{128} << 10;

  void note(const PendingChange& change) {
    if (spoilt_) return;
    if (count_ != 0 && merge(changes_[count_ - 1], change)) return;
    if (count_ == kMost || bytes_ + change.bytes > kMostBytes) {
      spoil();
      return;
    }
    changes_[count_++] = change;
    bytes_ += change.bytes;
  }
  void spoil() { spoilt_ = true; }
  // They are in a header, or in the log.
  void clear() {
    count_ = 0;
    bytes_ = 0;
    spoilt_ = false;
  }

  [[nodiscard]] bool spoilt() const { return spoilt_; }
  [[nodiscard]] std::span<const PendingChange> all() const {
    return std::span(changes_).first(count_);
  }

 private:
  // Into the last one, where they touch.
  [[nodiscard]] bool merge(PendingChange& last, const PendingChange& change) {
    if (last.pfs != change.pfs || last.inum != change.inum) return false;
    if (change.bytes == 0) return true;
    if (last.bytes == 0) {
      if (bytes_ + change.bytes > kMostBytes) return false;
      bytes_ += change.bytes;
      last = change;
      return true;
    }
    const std::uint64_t end = last.offset + last.bytes;
    if (change.offset < last.offset || change.offset > end) return false;
    const std::uint64_t grown =
        std::max(end, change.offset + change.bytes) - end;
    if (bytes_ + grown > kMostBytes) return false;
    last.bytes += grown;
    bytes_ += grown;
    return true;
  }

  std::array<PendingChange, kMost> changes_ = {};
  std::size_t count_ = 0;
  std::uint64_t bytes_ = 0;
  bool spoilt_ = false;
};

}  // namespace odo::hammer2::write
