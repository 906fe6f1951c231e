// SPDX-License-Identifier: BSD-3-Clause
// What was said last: lines of text with the time at which each began, the
// oldest of which make room for new ones.
//
// Contexts: one at a time, under the owner's lock. write() may also be called
//   by somebody who has stopped another in the middle of a call and who will
//   not let it go on: what that had not finished is lost, no more.
// Shapes: a line is a header of kHeaderBytes (when, how long) and its text
//   without the line feed. kMaxLineBytes at most: what is longer goes on as a
//   line of its own. Lines without text are not kept.
// Invariants:
//   R1. oldest_ <= open_ <= end_ <= oldest_ + RingBytes, counted from the first
//       byte ever written;
//   R2. whole lines lie one after the other from oldest_ to open_, where the
//       one that is being written begins.
// Failure: none; what was overwritten is told to who reads.
// Complexity: write() of n bytes O(n), read() of a line the same.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "lib/base/bytes.h"

namespace odo::console {

// Where a reader is; a fresh one begins with the oldest line.
struct LogCursor {
  std::uint64_t at = 0;
};

struct LogLine {
  std::uint64_t time;  // in the writer's units
  std::string_view text;
  bool lost_before;  // lines between this one and the last were overwritten
};

template <std::size_t RingBytes>
class LogRing {
 public:
  static constexpr std::size_t kHeaderBytes = 10;
  static constexpr std::size_t kMaxLineBytes = 512;
  static_assert(std::has_single_bit(RingBytes));
  static_assert(RingBytes >= 4 * (kHeaderBytes + kMaxLineBytes));

  constexpr LogRing() = default;
  LogRing(const LogRing&) = delete;
  LogRing& operator=(const LogRing&) = delete;

  // Goes on with the line that the last call left open, if it did. `now` is
  // kept with each line that begins.
  void write(std::string_view text, std::uint64_t now) {
    for (const char c : text) {
      if (c == '\n') {
        close();
        continue;
      }
      if (length_of_open() == kMaxLineBytes) close();
      if (open_ == end_) begin(now);
      make_room(1);
      bytes_[end_ % RingBytes] = static_cast<std::byte>(c);
      advance(end_, end_ + 1);
    }
  }

  // The next line, copied to `room`, which has kMaxLineBytes. Nothing when
  // there are no more; what is being written counts as a line, and as the last
  // one for this reader.
  [[nodiscard]] std::optional<LogLine> read(LogCursor& cursor,
                                            std::span<char> room) const {
    const std::uint64_t at = std::max(cursor.at, oldest_);
    if (at >= end_) return std::nullopt;
    const bool is_open = at == open_;
    // A fresh cursor misses nothing that it could have seen.
    const bool lost_before = at != cursor.at && cursor.at != 0;
    std::array<std::byte, kHeaderBytes> header;
    for (std::size_t i = 0; i < kHeaderBytes; ++i) {
      header[i] = bytes_[(at + i) % RingBytes];
    }
    const std::uint64_t begin = at + kHeaderBytes;
    // Clamped: a line that was being closed when its writer was stopped.
    const std::uint64_t length = std::min<std::uint64_t>(
        is_open ? kMaxLineBytes : load_le<std::uint16_t>(header.data() + 8),
        std::min<std::uint64_t>(end_ - begin, room.size()));
    for (std::size_t i = 0; i < length; ++i) {
      room[i] = static_cast<char>(bytes_[(begin + i) % RingBytes]);
    }
    cursor.at = is_open ? kNoMore : begin + length;
    return LogLine{load_le<std::uint64_t>(header.data()),
                   {room.data(), static_cast<std::size_t>(length)},
                   lost_before};
  }

 private:
  static constexpr std::uint64_t kNoMore = ~std::uint64_t{0};

  // Who stops us for good must find what we wrote before we say that it is
  // there.
  static void advance(std::uint64_t& mark, std::uint64_t to) {
    std::atomic_signal_fence(std::memory_order_seq_cst);
    mark = to;
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }

  [[nodiscard]] std::uint64_t length_of_open() const {
    return open_ == end_ ? 0 : end_ - open_ - kHeaderBytes;
  }

  void begin(std::uint64_t now) {
    make_room(kHeaderBytes);
    std::array<std::byte, kHeaderBytes> header{};
    store_le(header.data(), now);
    put(end_, header);
    advance(end_, end_ + kHeaderBytes);
  }

  void close() {
    if (open_ == end_) return;
    std::array<std::byte, 2> length;
    store_le(length.data(), static_cast<std::uint16_t>(length_of_open()));
    put(open_ + 8, length);
    advance(open_, end_);
  }

  void put(std::uint64_t at, std::span<const std::byte> from) {
    for (const std::byte b : from) bytes_[at++ % RingBytes] = b;
  }

  // Forgets whole lines until so many bytes have a place.
  void make_room(std::uint64_t bytes) {
    while (end_ + bytes > oldest_ + RingBytes) {
      std::array<std::byte, 2> length;
      for (std::size_t i = 0; i < length.size(); ++i) {
        length[i] = bytes_[(oldest_ + 8 + i) % RingBytes];
      }
      advance(oldest_,
              std::min(open_, oldest_ + kHeaderBytes +
                                  load_le<std::uint16_t>(length.data())));
    }
  }

  std::uint64_t oldest_ = 0;
  std::uint64_t open_ = 0;
  std::uint64_t end_ = 0;
  std::array<std::byte, RingBytes> bytes_{};
};

}  // namespace odo::console
