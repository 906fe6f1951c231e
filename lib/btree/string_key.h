// SPDX-License-Identifier: BSD-3-Clause
// Keys as a tree of strings stores them: in three pieces, which are put
// together only where somebody wants them so.
//
//   prefix             what all keys of a page begin with, stored once
//   head               the 8 bytes after it as one big-endian number, zeros
//                      where the key has ended: numbers order as bytes do
//   tail               the bytes after those
//
// Contexts: any; views, valid as long as the page that they look into.
// Complexity: O(1) to make; O(length) to compare or copy, 8 bytes at a time.
// Origin: heads are Graefe and Larson's "poor man's normalized keys" ("B-tree
//   Indexes and CPU Caches", 2001; Graefe's "Modern B-Tree Techniques", 2011).
#pragma once

#include <bit>
#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/base/annotations.h"

namespace odo::btree {

namespace detail {

inline constexpr std::uint32_t kHeadBytes = 8;

[[nodiscard]] ODO_ALWAYS_INLINE std::uint64_t load_word(const char* at) {
  std::uint64_t word;
  __builtin_memcpy(&word, at, sizeof word);
  return word;
}

// How many leading bytes of two strings of `size` bytes are the same.
[[nodiscard]] ODO_ALWAYS_INLINE std::size_t common_bytes(const char* a,
                                                         const char* b,
                                                         std::size_t size) {
  std::size_t at = 0;
  for (; at + 8 <= size; at += 8) {
    const std::uint64_t differ = load_word(a + at) ^ load_word(b + at);
    if (differ != 0) {
      return at + static_cast<std::size_t>(std::countr_zero(differ)) / 8;
    }
  }
  if (size >= 8 && at < size) {
    // The last word again from where it is whole.
    const std::uint64_t differ =
        load_word(a + size - 8) ^ load_word(b + size - 8);
    if (differ == 0) return size;
    return size - 8 + static_cast<std::size_t>(std::countr_zero(differ)) / 8;
  }
  while (at < size && a[at] == b[at]) ++at;
  return at;
}

// memcpy() for a few words, inline.
ODO_ALWAYS_INLINE void copy_words(char* to, const char* from,
                                  std::size_t size) {
  if (size >= 8) [[likely]] {
    const std::uint64_t last = load_word(from + size - 8);
    for (std::size_t at = 0; at + 8 < size; at += 8) {
      const std::uint64_t word = load_word(from + at);
      __builtin_memcpy(to + at, &word, sizeof word);
    }
    __builtin_memcpy(to + size - 8, &last, sizeof last);
  } else if (size >= 4) {
    std::uint32_t first;
    std::uint32_t last;
    __builtin_memcpy(&first, from, sizeof first);
    __builtin_memcpy(&last, from + size - 4, sizeof last);
    __builtin_memcpy(to, &first, sizeof first);
    __builtin_memcpy(to + size - 4, &last, sizeof last);
  } else {
    for (std::size_t at = 0; at < size; ++at) to[at] = from[at];
  }
}

// The head of what follows the first `from` bytes of `text`; all ones instead
// of zeros behind its end if `Past`.
template <bool Past = false>
[[nodiscard]] ODO_ALWAYS_INLINE std::uint64_t head_of(std::string_view text,
                                                      std::size_t from) {
  const std::size_t rest = text.size() - from;
  if (rest >= 8) [[likely]] {
    return std::byteswap(load_word(text.data() + from));
  }
  std::uint64_t head = 0;
  if (rest > 0 && text.size() >= 8) {
    head = std::byteswap(load_word(text.data() + text.size() - 8))
           << (8 * (8 - rest));
  } else {
    for (std::size_t i = 0; i < rest; ++i) {
      head |= std::uint64_t{static_cast<unsigned char>(text[from + i])}
              << (56 - 8 * i);
    }
  }
  if constexpr (Past) head |= ~std::uint64_t{0} >> (8 * rest);
  return head;
}

}  // namespace detail

class StringKey {
 public:
  StringKey() = default;
  // A whole string is one, too: of a prefix alone.
  template <class Text>
  requires std::convertible_to<const Text&, std::string_view>
  explicit(false) StringKey(const Text& whole) {
    const std::string_view view = whole;
    prefix_ = view.data();
    prefix_size_ = static_cast<std::uint32_t>(view.size());
  }
  // `rest` bytes after the prefix: those in `head`, then those at `tail`.
  StringKey(std::string_view prefix, std::uint64_t head, std::uint32_t rest,
            const char* tail)
      : prefix_(prefix.data()),
        tail_(tail),
        head_(head),
        prefix_size_(static_cast<std::uint32_t>(prefix.size())),
        rest_(rest) {}

  [[nodiscard]] std::size_t size() const {
    return std::size_t{prefix_size_} + rest_;
  }
  [[nodiscard]] bool empty() const { return size() == 0; }

  // Copies `count` bytes from byte `from` on; so many there are.
  ODO_ALWAYS_INLINE void copy(std::size_t from, std::size_t count,
                              char* to) const {
    if (from < prefix_size_) {
      const std::size_t left = prefix_size_ - from;
      const std::size_t here = count < left ? count : left;
      detail::copy_words(to, prefix_ + from, here);
      to += here;
      from += here;
      count -= here;
    }
    if (count == 0) return;
    from -= prefix_size_;
    if (from < detail::kHeadBytes) {
      const std::uint64_t bytes = std::byteswap(head_ << (8 * from));
      const std::size_t left = detail::kHeadBytes - from;
      const std::size_t here = count < left ? count : left;
      __builtin_memcpy(to, &bytes, here);
      to += here;
      from += here;
      count -= here;
    }
    if (count == 0) return;
    detail::copy_words(to, tail_ + (from - detail::kHeadBytes), count);
  }
  // The whole key, in `buffer`, which has room for it.
  std::string_view copy_to(char* buffer) const {
    copy(0, size(), buffer);
    return {buffer, size()};
  }

  // The same for a key in a page, faster: from the end to the front by whole
  // chunks, each of which may write too much in front of it, where what belongs
  // there follows. Before each piece there are kChunk bytes that may be read,
  // and the buffer has as many in front and kHeadBytes behind its room.
  std::string_view join_from_page(char* buffer) const {
    const std::size_t head_at = prefix_size_;
    if (rest_ > detail::kHeadBytes) {
      copy_backwards(buffer + size(), tail_ + (rest_ - detail::kHeadBytes),
                     rest_ - detail::kHeadBytes);
    }
    const std::uint64_t bytes = std::byteswap(head_);
    __builtin_memcpy(buffer + head_at, &bytes, sizeof bytes);
    copy_backwards(buffer + head_at, prefix_ + head_at, head_at);
    return {buffer, size()};
  }
  static constexpr std::size_t kChunk = 32;

  [[nodiscard]] char operator[](std::size_t at) const {
    if (at < prefix_size_) return prefix_[at];
    at -= prefix_size_;
    if (at >= detail::kHeadBytes) return tail_[at - detail::kHeadBytes];
    return static_cast<char>(head_ >> (56 - 8 * at));
  }

  // Its first `count` bytes; so many there are.
  [[nodiscard]] StringKey first(std::size_t count) const {
    StringKey cut = *this;
    if (count <= prefix_size_) {
      cut.prefix_size_ = static_cast<std::uint32_t>(count);
      cut.rest_ = 0;
    } else {
      cut.rest_ = static_cast<std::uint32_t>(count - prefix_size_);
    }
    return cut;
  }

  // The length of the longest common prefix.
  [[nodiscard]] std::size_t common(const StringKey& other) const {
    const std::size_t shorter = size() < other.size() ? size() : other.size();
    const std::size_t in_prefix =
        prefix_size_ < other.prefix_size_ ? prefix_size_ : other.prefix_size_;
    std::size_t same =
        prefix_ == other.prefix_
            ? in_prefix
            : detail::common_bytes(prefix_, other.prefix_, in_prefix);
    if (same < in_prefix) return same;
    if (prefix_size_ == other.prefix_size_) {
      const std::size_t left = shorter - same;
      const auto zeros =
          static_cast<std::size_t>(std::countl_zero(head_ ^ other.head_));
      if (left <= zeros / 8) return shorter;
      if (zeros < 64) return same + zeros / 8;
      same += detail::kHeadBytes;
      return same + detail::common_bytes(tail_, other.tail_, shorter - same);
    }
    // In different pieces: words of both, wherever they lie.
    while (same < shorter) {
      const std::size_t left = shorter - same;
      const std::size_t here = left < 8 ? left : 8;
      const std::uint64_t differ = word(same, here) ^ other.word(same, here);
      if (differ != 0) {
        return same + static_cast<std::size_t>(std::countr_zero(differ)) / 8;
      }
      same += here;
    }
    return same;
  }

  [[nodiscard]] bool starts_with(const StringKey& prefix) const {
    return prefix.size() <= size() && common(prefix) == prefix.size();
  }

  friend std::strong_ordering operator<=>(const StringKey& a,
                                          const StringKey& b) {
    const std::size_t same = a.common(b);
    if (same == a.size() || same == b.size()) return a.size() <=> b.size();
    return static_cast<unsigned char>(a[same]) <=>
           static_cast<unsigned char>(b[same]);
  }
  friend bool operator==(const StringKey& a, const StringKey& b) {
    return a.size() == b.size() && a.common(b) == a.size();
  }

 private:
  // Copies at least `count` bytes, which end at `from`, to where `to` ends.
  ODO_ALWAYS_INLINE static void copy_backwards(char* to, const char* from,
                                               std::size_t count) {
    for (std::size_t done = 0; done < count; done += kChunk) {
      char chunk[kChunk];
      __builtin_memcpy(chunk, from - done - kChunk, kChunk);
      __builtin_memcpy(to - done - kChunk, chunk, kChunk);
    }
  }

  // `count` bytes, 8 at most, from byte `from` on, and zeros.
  [[nodiscard]] std::uint64_t word(std::size_t from, std::size_t count) const {
    if (count == 8 && from + 8 <= prefix_size_) {
      return detail::load_word(prefix_ + from);
    }
    char bytes[8] = {};
    copy(from, count, bytes);
    return detail::load_word(bytes);
  }

  const char* prefix_ = nullptr;
  const char* tail_ = nullptr;
  std::uint64_t head_ = 0;
  std::uint32_t prefix_size_ = 0;
  std::uint32_t rest_ = 0;
};

// Where a key is put together: `std::string_view text = buffer.assign(key)`,
// valid until the next assign().
template <std::size_t Bytes>
class StringKeyBuffer {
 public:
  std::string_view assign(const StringKey& key) {
    return key.copy_to(bytes_ + StringKey::kChunk);
  }
  // For a key as an iterator shows it.
  std::string_view assign_from_page(const StringKey& key) {
    return key.join_from_page(bytes_ + StringKey::kChunk);
  }

 private:
  char bytes_[StringKey::kChunk + Bytes + detail::kHeadBytes];
};

}  // namespace odo::btree
