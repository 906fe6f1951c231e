// SPDX-License-Identifier: BSD-3-Clause
// Volumes of any size as a few KiB of input: their sizes, and the runs of bytes
// in them that aren't zero.
//
// Contexts: fuzzers, their tests, the maker of their seeds; hosted.
// Shape, little-endian:
//   u8 knobs: bits 0-1 log2 of the device's block size less 9, bit 2 whether
//     check codes are believed unseen, bits 3-7 as a harness likes;
//   u16 reads after which the device fails, 0 for never;
//   u8 number of volumes (modulo 66), for each u32 its size in 512-byte
//   sectors; then extents to the end: u8 volume (modulo their number), u48
//   offset (modulo the volume's size), u16 length, that many bytes. Later ones
//   go over earlier.
// Failure: none: any bytes are a container. What is missing reads as 0, and an
//   extent is cut where its volume or the input ends.
// Sizes: a container holds no more bytes than its input has.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "fuzz/hammer2/sparse_bytes.h"
#include "lib/base/bits.h"
#include "lib/base/bytes.h"

namespace odo::hammer2::fuzz {

struct Volume {
  std::uint64_t size = 0;
  SparseBytes bytes;
};

struct Container {
  static constexpr unsigned kMaxVolumes = 65;  // one more than the format has
  static constexpr std::uint64_t kSectorBytes = 512;
  // Bytes that repetitions make, in all.
  static constexpr std::uint64_t kMaxRepeated = std::uint64_t{1} << 20;

  std::uint8_t knobs = 0;
  std::uint16_t fail_after = 0;
  std::vector<Volume> volumes;

  [[nodiscard]] std::uint32_t block_bytes() const {
    return 512U << (knobs & 3);
  }
  [[nodiscard]] bool believes() const { return (knobs & 4) != 0; }
};

namespace detail {

class Cursor {
 public:
  explicit Cursor(Bytes bytes) : left_(bytes) {}
  [[nodiscard]] bool empty() const { return left_.empty(); }
  // `width` bytes, or what is left of them.
  std::uint64_t number(std::size_t width) {
    std::byte bytes[8] = {};
    copy_bytes(bytes, take(width));
    return load_le<std::uint64_t>(bytes);
  }
  Bytes take(std::uint64_t length) {
    const Bytes taken = left_.first(static_cast<std::size_t>(
        std::min<std::uint64_t>(length, left_.size())));
    left_ = left_.subspan(taken.size());
    return taken;
  }

 private:
  Bytes left_;
};

inline void put_number(std::vector<std::byte>& to, std::uint64_t value,
                       std::size_t width) {
  std::byte bytes[8];
  store_le(bytes, value);
  to.insert(to.end(), bytes, bytes + width);
}

inline constexpr std::size_t kOffsetBytes = 6;
inline constexpr std::size_t kMaxExtentBytes = 32767;
inline constexpr std::uint64_t kRepeated = 0x8000;
// What the encoder finds repetitions of: blockrefs and a freemap's entries.
inline constexpr std::size_t kPatternBytes = 128;
inline constexpr std::size_t kMinRepeats = 4;
// Zeros between bytes that cost more than an extent of their own.
inline constexpr std::size_t kGapBytes = 9;

// The part of `bytes` from `at` on that one extent holds: from a byte that
// isn't zero to the next long run of zeros. Empty at the end.
inline Bytes next_extent(Bytes bytes, std::size_t& at) {
  const auto zero = [&](std::size_t i) { return bytes[i] == std::byte{0}; };
  while (at < bytes.size() && zero(at)) ++at;
  const std::size_t begin = at;
  std::size_t end = at;
  while (at < bytes.size() && at - begin < kMaxExtentBytes &&
         at - end <= kGapBytes) {
    if (!zero(at)) end = at + 1;
    ++at;
  }
  at = end;
  return bytes.subspan(begin, end - begin);
}

}  // namespace detail

[[nodiscard]] inline Container decode(Bytes input) {
  detail::Cursor cursor(input);
  Container container;
  container.knobs = static_cast<std::uint8_t>(cursor.number(1));
  container.fail_after = static_cast<std::uint16_t>(cursor.number(2));
  container.volumes.resize(cursor.number(1) % (Container::kMaxVolumes + 1));
  for (Volume& volume : container.volumes) {
    volume.size = cursor.number(4) * Container::kSectorBytes;
  }
  if (container.volumes.empty()) return container;
  std::uint64_t repeated = 0;
  while (!cursor.empty()) {
    Volume& volume =
        container.volumes[cursor.number(1) % container.volumes.size()];
    std::uint64_t offset = cursor.number(detail::kOffsetBytes);
    const std::uint64_t length = cursor.number(2);
    std::uint64_t times = 1;
    if ((length & detail::kRepeated) != 0) times = cursor.number(2);
    const Bytes bytes = cursor.take(length & ~detail::kRepeated);
    if (volume.size == 0 || bytes.empty()) continue;
    offset %= volume.size;
    // One run, however often: runs cost more than bytes.
    times = std::min(times,
                     1 + (Container::kMaxRepeated - repeated) / bytes.size());
    std::vector<std::byte> run;
    for (; times > 0; --times) {
      run.insert(run.end(), bytes.begin(), bytes.end());
    }
    repeated += run.size() - std::min(run.size(), bytes.size());
    volume.bytes.write(offset, Bytes(run).first(std::min<std::uint64_t>(
                                   run.size(), volume.size - offset)));
  }
  return container;
}

namespace detail {

class Encoder {
 public:
  [[nodiscard]] std::vector<std::byte> encode(const Container& container) {
    put_number(out_, container.knobs, 1);
    put_number(out_, container.fail_after, 2);
    put_number(out_, container.volumes.size(), 1);
    for (const Volume& volume : container.volumes) {
      put_number(out_, volume.size / Container::kSectorBytes, 4);
    }
    for (volume_ = 0; volume_ < container.volumes.size(); ++volume_) {
      add(container.volumes[volume_]);
    }
    return std::move(out_);
  }

 private:
  // Runs that touch, or nearly do, as one piece.
  void add(const Volume& volume) {
    std::vector<std::byte> piece;
    std::uint64_t begin = 0;
    const auto flush = [&] {
      const auto room = volume.size > begin ? volume.size - begin : 0;
      add(begin,
          Bytes(piece).first(std::min<std::uint64_t>(piece.size(), room)));
      piece.clear();
    };
    for (const auto& [offset, bytes] : volume.bytes.runs()) {
      if (offset - (begin + piece.size()) <= kGapBytes) {
        piece.resize(offset - begin);
      } else {
        flush();
        begin = offset;
      }
      piece.insert(piece.end(), bytes.begin(), bytes.end());
    }
    flush();
  }

  // Repetitions, and what lies between them.
  void add(std::uint64_t offset, Bytes piece) {
    std::size_t done = 0;
    std::size_t at = align_up(offset, std::uint64_t{kPatternBytes}) - offset;
    while (at + kMinRepeats * kPatternBytes <= piece.size()) {
      const Bytes pattern = piece.subspan(at, kPatternBytes);
      std::size_t times = 1;
      while (at + (times + 1) * kPatternBytes <= piece.size() &&
             times < 0xffff &&
             equal_bytes(pattern, piece.subspan(at + times * kPatternBytes,
                                                kPatternBytes))) {
        ++times;
      }
      std::size_t first = 0;
      const std::uint64_t repeated = (times - 1) * kPatternBytes;
      if (times < kMinRepeats || next_extent(pattern, first).empty() ||
          repeated_ + repeated > Container::kMaxRepeated) {
        at += times * kPatternBytes;
        continue;
      }
      add_extents(offset + done, piece.subspan(done, at - done));
      put_place(offset + at, kPatternBytes | kRepeated);
      put_number(out_, times, 2);
      put_bytes(pattern);
      repeated_ += repeated;
      at += times * kPatternBytes;
      done = at;
    }
    add_extents(offset + done, piece.subspan(done));
  }

  void add_extents(std::uint64_t offset, Bytes bytes) {
    std::size_t at = 0;
    for (;;) {
      const Bytes extent = next_extent(bytes, at);
      if (extent.empty()) return;
      put_place(offset + at - extent.size(), extent.size());
      put_bytes(extent);
    }
  }

  void put_place(std::uint64_t offset, std::uint64_t length) {
    put_number(out_, volume_, 1);
    put_number(out_, offset, kOffsetBytes);
    put_number(out_, length, 2);
  }
  void put_bytes(Bytes bytes) {
    out_.insert(out_.end(), bytes.begin(), bytes.end());
  }

  std::vector<std::byte> out_;
  std::size_t volume_ = 0;
  std::uint64_t repeated_ = 0;
};

}  // namespace detail

// An input that decodes to `container`.
[[nodiscard]] inline std::vector<std::byte> encode(const Container& container) {
  return detail::Encoder().encode(container);
}

}  // namespace odo::hammer2::fuzz
