// SPDX-License-Identifier: BSD-3-Clause
// Which bytes of files their readers will want next, so that devices can be
// told before they are asked.
//
// A file that is read from one place to the next has up to kWindowBytes told
// ahead of its reader, refilled when half of them are read: the device has a
// queue of that depth to work on. Reads may come a little out of order and with
// gaps, as they do when several readers share the requests of one program.
//
// Contexts: thread, one at a time.
// Invariants:
//   A1. nothing is told of a file before two reads of it stood end to end, or
//       three near each other in rising order: random reads of a large file
//       have nothing told;
//   A2. what is told lies behind the read, within kWindowBytes of its end, and
//       is told once for as long as the file is remembered.
// Bounds: kStreams files are remembered.
// Failure: none; all of it is advice.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "lib/block/device.h"

namespace odo::hammer2 {

class ReadAhead {
 public:
  static constexpr std::uint64_t kWindowBytes = std::uint64_t{1} << 20;
  // How far apart neighbouring reads may stand.
  static constexpr std::uint64_t kGapBytes = kWindowBytes / 2;
  static constexpr std::size_t kStreams = 4;

  // [begin, end) of a file; empty where there is nothing to tell.
  struct Range {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;

    friend bool operator==(const Range&, const Range&) = default;
  };

  // `file`, which is not 0, is about to be read in [offset, offset + length),
  // inside its `size`. What to tell the device of.
  [[nodiscard]] Range on_read(std::uint64_t file, std::uint64_t offset,
                              std::uint64_t length, std::uint64_t size) {
    const std::uint64_t end = offset + length;
    Stream& stream = stream_of(file);
    const std::uint64_t before = stream.end;
    const std::uint64_t apart =
        offset > before ? offset - before : before - offset;
    if (stream.run == 0 || apart > kGapBytes) {
      stream.run = kFirst;
      stream.end = end;
      stream.told = end;
      return {};
    }
    if (offset < before) return {};  // late, or the same again
    stream.run =
        std::min(stream.run + (offset == before ? kJoined : kNear), kToTell);
    stream.end = end;
    stream.told = std::max(stream.told, end);
    if (stream.run < kToTell || stream.told - end > kWindowBytes / 2) return {};
    const Range range = {stream.told, end + std::min(kWindowBytes, size - end)};
    if (range.begin >= range.end) return {};
    stream.told = range.end;
    return range;
  }

 private:
  static constexpr unsigned kFirst = 1;
  static constexpr unsigned kNear = 1;
  static constexpr unsigned kJoined = 2;
  static constexpr unsigned kToTell = 3;

  struct Stream {
    std::uint64_t file = 0;
    std::uint64_t end = 0;   // of the furthest read
    std::uint64_t told = 0;  // up to here
    std::uint64_t last_use = 0;
    unsigned run = 0;
  };

  // The file's, or that of the file unused longest, begun anew.
  [[nodiscard]] Stream& stream_of(std::uint64_t file) {
    Stream* found = &streams_[0];
    for (Stream& stream : streams_) {
      if (stream.file == file) {
        found = &stream;
        break;
      }
      if (stream.last_use < found->last_use) found = &stream;
    }
    if (found->file != file) *found = Stream{.file = file};
    found->last_use = ++uses_;
    return *found;
  }

  std::array<Stream, kStreams> streams_ = {};
  std::uint64_t uses_ = 0;
};

// Passes ranges of devices on to them, neighbours as one.
template <block::PrefetchingDevice Device>
class DeviceHints {
 public:
  // Blocks told in one go at most, however small they are.
  static constexpr unsigned kMaxBlocks = 64;

  DeviceHints() = default;
  DeviceHints(const DeviceHints&) = delete;
  DeviceHints& operator=(const DeviceHints&) = delete;
  ~DeviceHints() { pass_on(); }

  [[nodiscard]] bool full() const { return blocks_ == kMaxBlocks; }
  void add(Device& device, std::uint64_t offset, std::uint64_t bytes) {
    ++blocks_;
    if (&device != device_ || offset != end_) {
      pass_on();
      device_ = &device;
      begin_ = offset;
    }
    end_ = offset + bytes;
  }

 private:
  void pass_on() {
    if (device_ != nullptr) device_->will_read(begin_, end_ - begin_);
  }

  Device* device_ = nullptr;
  std::uint64_t begin_ = 0;
  std::uint64_t end_ = 0;
  unsigned blocks_ = 0;
};

}  // namespace odo::hammer2
