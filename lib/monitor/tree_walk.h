// SPDX-License-Identifier: BSD-3-Clause
// Walks directories below a starting point, each in the order of its names,
// without recursion and in memory that the caller gives.
//
//   walk.begin("/etc");
//   walk.enter(node);               // the directory that "/etc" names
//   while (true) {
//     auto more = walk.next(item);  // "/etc/hosts", ...
//     if (!more) { complain(walk.directory_path(), more.error()); continue; }
//     if (!*more) break;            // everything was seen
//     if (...) walk.enter(item);    // its entries come next
//   }
//
// Contexts: thread, one at a time; blocks where the filesystem does.
// Ownership: refers to the filesystem and to the memory. An item's strings hold
// until the next call.
// Bounds: kMaxDepth directories deep, kMaxPathBytes of path,
// kMaxDirectories entered in one walk. A directory whose entries do not fit in
// what is left of the memory comes in the order of the medium instead.
// Failure: WalkError; after one the walk goes on with what can still be read.
// Total on any medium: a directory that contains itself is told, not entered.
// Complexity: entering a directory of n entries costs one read of it and
// O(n log n) comparisons; each next() O(1), or one read where it streams.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/base/result.h"
#include "lib/base/text.h"
#include "lib/hammer2/error.h"
#include "lib/hammer2/types.h"

namespace odo::monitor {

struct WalkError {
  enum class Reason : std::uint8_t {
    kMedia,           // `media` tells
    kTooDeep,         // kMaxDepth
    kPathTooLong,     // kMaxPathBytes
    kLoop,            // the directory is one that it lies in
    kTooManyEntered,  // kMaxDirectories
  };
  Reason reason;
  hammer2::Error media;
};

// An entry met on the way.
struct WalkItem {
  std::string_view path;
  std::string_view name;  // the last part of it
  std::uint64_t inum;
  hammer2::ObjectType type;
};

template <class FileSystem>
class TreeWalk {
 public:
  static constexpr std::size_t kMaxDepth = 512;
  static constexpr std::size_t kMaxPathBytes = 16384;
  static constexpr std::uint32_t kMaxDirectories = 1 << 24;

  template <class T>
  using Result = odo::Result<T, WalkError>;

  TreeWalk(FileSystem& fs, MutableBytes memory) : fs_(fs), memory_(memory) {}

  // Forgets any walk under way; the first enter() is of what `path` names. A
  // path beyond the bound is cut in what is shown.
  void begin(std::string_view path) {
    depth_ = 0;
    entered_ = 0;
    path_size_ = std::min(path.size(), kMaxPathBytes);
    std::copy_n(path.begin(), path_size_, path_.begin());
  }

  // Goes into a directory: the one that begin() named, or the item that next()
  // gave last. After a kMedia error the entries that were read come all the
  // same; after any other the directory is passed over.
  [[nodiscard]] Result<void> enter(const hammer2::Node& directory) {
    if (depth_ == kMaxDepth) return refuse(WalkError::Reason::kTooDeep);
    if (entered_ == kMaxDirectories) {
      return refuse(WalkError::Reason::kTooManyEntered);
    }
    for (const Level& above : std::span(levels_).first(depth_)) {
      if (above.inum == directory.inum()) {
        return refuse(WalkError::Reason::kLoop);
      }
    }
    ++entered_;
    any_ = directory;
    Level& level = levels_[depth_++];
    level = Level{};
    level.inum = directory.inum();
    level.path_size = path_size_;
    level.base = depth_ == 1 ? aligned_base() : levels_[depth_ - 2].end;
    level.end = level.base;
    return load(level, directory);
  }

  // The next entry, deepest directory first; false when none is left.
  [[nodiscard]] Result<bool> next(WalkItem& item) {
    while (depth_ > 0) {
      Result<bool> here = next_here(item);
      if (!here || *here) return here;
      --depth_;
    }
    return false;
  }

  // The same, but false already at the end of the directory entered last, which
  // rewind() begins anew.
  [[nodiscard]] Result<bool> next_here(WalkItem& item) {
    Level& level = levels_[depth_ - 1];
    path_size_ = level.path_size;
    if (!level.streams) {
      if (level.at == level.count) return false;
      Record record = record_at(level, level.at++);
      return give(record.name, record.inum, record.type, item);
    }
    if (level.cursor.at_end) return false;
    Result<bool> more = stream(level, entry_);
    if (!more) {
      level.cursor.at_end = true;  // nothing more can be had here
      return more;
    }
    if (!*more) return false;
    return give(entry_.name(), entry_.inum, entry_.type, item);
  }
  void rewind() {
    Level& level = levels_[depth_ - 1];
    level.at = 0;
    level.cursor = {};
  }

  [[nodiscard]] std::size_t depth() const { return depth_; }

  // Where the walk is: of the directory that the last item is in, or, right
  // after a refused enter(), of that item.
  [[nodiscard]] std::string_view path() const {
    return {path_.data(), path_size_};
  }

  // Any node of the filesystem that is walked, to find others by number.
  [[nodiscard]] const hammer2::Node& any() const { return any_; }

 private:
  // A directory on the way down. Its entries are records in [base, end) of the
  // memory, followed by `count` offsets of theirs in the order of names.
  struct Level {
    std::uint64_t inum = 0;
    hammer2::DirCursor cursor = {};  // where it streams
    std::size_t path_size = 0;
    std::size_t base = 0;
    std::size_t order = 0;  // where the offsets begin
    std::size_t end = 0;
    std::uint32_t count = 0;
    std::uint32_t at = 0;
    bool streams = false;
  };
  struct Record {
    std::string_view name;
    std::uint64_t inum;
    hammer2::ObjectType type;
  };
  // inum, length of the name, type; the name follows.
  static constexpr std::size_t kRecordHead = 8 + 2 + 1;
  using Offset = std::uint32_t;

  [[nodiscard]] static Result<void> refuse(WalkError::Reason reason) {
    return fail(WalkError{reason, {}});
  }
  [[nodiscard]] static WalkError media(const hammer2::Error& error) {
    return {WalkError::Reason::kMedia, error};
  }

  [[nodiscard]] std::size_t aligned_base() const {
    auto address = reinterpret_cast<std::uintptr_t>(memory_.data());
    std::size_t skip = align_up(address, alignof(Offset)) - address;
    return std::min(skip, memory_.size());
  }
  [[nodiscard]] Offset* offsets(std::size_t at) {
    return reinterpret_cast<Offset*>(memory_.data() + at);
  }
  [[nodiscard]] Record read_record(std::size_t at) const {
    const std::byte* head = memory_.data() + at;
    return {{reinterpret_cast<const char*>(head) + kRecordHead,
             load_le<std::uint16_t>(head + 8)},
            load_le<std::uint64_t>(head),
            static_cast<hammer2::ObjectType>(load_le<std::uint8_t>(head + 10))};
  }
  [[nodiscard]] Record record_at(const Level& level, std::uint32_t index) {
    return read_record(level.base + offsets(level.order)[index]);
  }

  // Reads all of `directory` into memory and sorts it. Records grow up from the
  // base and offsets down from the top, until they are moved together.
  [[nodiscard]] Result<void> load(Level& level,
                                  const hammer2::Node& directory) {
    std::size_t top =
        memory_.size() - (memory_.size() - level.base) % sizeof(Offset);
    std::size_t used = level.base;
    Result<void> outcome{};
    hammer2::DirCursor cursor;
    while (true) {
      auto more = fs_.read_directory(directory, cursor, entry_);
      if (!more) {
        outcome = fail(media(more.error()));
        break;
      }
      if (!*more) break;
      std::string_view name = entry_.name();
      if (top - used < kRecordHead + name.size() + 2 * sizeof(Offset) ||
          used - level.base > ~Offset{0}) {
        level.streams = true;
        return {};
      }
      std::byte* head = memory_.data() + used;
      store_le<std::uint64_t>(head, entry_.inum);
      store_le<std::uint16_t>(head + 8, entry_.name_length);
      store_le<std::uint8_t>(head + 10, static_cast<std::uint8_t>(entry_.type));
      std::copy_n(name.data(), name.size(),
                  reinterpret_cast<char*>(head) + kRecordHead);
      top -= sizeof(Offset);
      *offsets(top) = static_cast<Offset>(used - level.base);
      used += kRecordHead + name.size();
      ++level.count;
    }
    std::sort(offsets(top), offsets(top) + level.count,
              [&](Offset a, Offset b) {
                return read_record(level.base + a).name <
                       read_record(level.base + b).name;
              });
    level.order = level.base + align_up(used - level.base, sizeof(Offset));
    level.end = level.order + level.count * sizeof(Offset);
    std::copy_n(offsets(top), level.count, offsets(level.order));
    return outcome;
  }

  [[nodiscard]] Result<bool> stream(Level& level, hammer2::DirEntry& entry) {
    if (any_.inum() != level.inum) {
      // We have been elsewhere since.
      auto found = fs_.node_by_inum(any_, level.inum, stream_node_);
      if (!found) return fail(media(found.error()));
      any_ = stream_node_;
    }
    auto more = fs_.read_directory(any_, level.cursor, entry);
    if (!more) return fail(media(more.error()));
    return *more;
  }

  // Makes an item of an entry of the directory whose path is in path_.
  [[nodiscard]] Result<bool> give(std::string_view name, std::uint64_t inum,
                                  hammer2::ObjectType type, WalkItem& item) {
    std::size_t slash = path_size_ > 0 && path_[path_size_ - 1] != '/' ? 1 : 0;
    if (kMaxPathBytes - path_size_ < slash + name.size()) {
      return fail(WalkError{WalkError::Reason::kPathTooLong, {}});
    }
    if (slash != 0) path_[path_size_++] = '/';
    std::copy_n(name.data(), name.size(), path_.data() + path_size_);
    std::size_t start = path_size_;
    path_size_ += name.size();
    item = {path(), slice(path(), start), inum, type};
    return true;
  }

  FileSystem& fs_;
  MutableBytes memory_;
  std::size_t depth_ = 0;
  std::uint32_t entered_ = 0;
  std::size_t path_size_ = 0;
  hammer2::Node any_;
  hammer2::Node stream_node_;
  hammer2::DirEntry entry_;
  std::array<Level, kMaxDepth> levels_;
  std::array<char, kMaxPathBytes> path_;
};

}  // namespace odo::monitor
