// SPDX-License-Identifier: BSD-3-Clause
// Everything that a reader may be asked of whatever a container holds, within
// bounds, and what it promises about the answers.
//
// Contexts: fuzzers; hosted, one thread. A broken promise ends the program.
// Bounds: kMax…; a reader that goes beyond them on the device breaks a promise.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz/hammer2/container.h"
#include "fuzz/hammer2/host_checks.h"
#include "fuzz/hammer2/sparse_device.h"
#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/check/xxh64.h"
#include "lib/hammer2/filesystem.h"
#include "lib/hammer2/read_ahead.h"

namespace odo::hammer2::fuzz {

// Believes every check code that it is shown.
struct BelieveAll {
  static constexpr Verdict block(const format::Blockref&, Bytes) {
    return Verdict::kMatch;
  }
  static constexpr bool header_crc(Bytes, std::uint32_t) { return true; }
};
static_assert(CheckPolicy<BelieveAll>);

// An error can be told, in one line.
inline void check_told(const Error& error) {
  std::array<char, kErrorTextBytes> text;
  const std::string_view line = error_text(error, text);
  ODO_CHECK(!line.empty() && line.size() < text.size());
  ODO_CHECK(line.find('\n') == std::string_view::npos);
}

// What all answers were, in short: two readers of the same media have the same.
class Digest {
 public:
  void add(std::uint64_t value) {
    value_ = (value_ ^ value) * 0x9e3779b97f4a7c15;
    value_ ^= value_ >> 29;
  }
  void add(Bytes bytes) { add(check::xxh64(bytes, 1)); }
  void add(std::string_view text) {
    add(std::as_bytes(std::span(text.data(), text.size())));
  }
  void add(const Error& error) {
    add(static_cast<std::uint64_t>(error.code));
    add(static_cast<std::uint64_t>(error.type));
    add(error.offset);
    add(error.key);
    add(error.inum);
    add(error.found);
  }
  [[nodiscard]] std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 1;
};

// Bytes that aren't zero, so to say: what bounds the references there can be.
[[nodiscard]] inline std::uint64_t held_bytes(const Container& container) {
  std::uint64_t held = 0;
  for (const Volume& volume : container.volumes) {
    for (const auto& [offset, run] : volume.bytes.runs()) held += run.size();
  }
  return held;
}

namespace detail {

// Memory that is made once: a fuzzer would spend its time on new pages.
inline MutableBytes scratch(std::size_t which, std::size_t bytes) {
  static std::array<std::vector<std::byte>, 2> all;
  if (all[which].size() < bytes) all[which].resize(bytes);
  return MutableBytes(all[which]).first(bytes);
}

}  // namespace detail

template <CheckPolicy Checks>
class Session {
 public:
  // What a device gives before it stops: an input that asks for more isn't
  // looked at any further, so that none takes long.
  static constexpr std::uint64_t kMaxReads = 20000;
  static constexpr std::uint64_t kMaxBytes = std::uint64_t{64} << 20;
  static constexpr unsigned kMaxPfss = 6;
  static constexpr unsigned kMaxEntries = 200;
  static constexpr unsigned kMaxFiles = 24;
  static constexpr unsigned kMaxDepth = 6;
  static constexpr std::size_t kWholeBytes = 200000;
  static constexpr std::size_t kPartBytes = 70000;

  using Fs = FileSystem<SparseDevice, Checks>;

  Session(const Container& container, MutableBytes memory)
      : meter_(meter_for(container)),
        devices_(container, meter_),
        memory_(memory),
        most_reads_(reads_for(container)) {}

  void run() {
    const auto too_little = fs_->open(devices_.all(), memory_.first(4096));
    ODO_CHECK(!too_little && too_little.error().code == Code::kNoMemory);
    check_told(too_little.error());
    const auto opened =
        counted([&] { return fs_->open(devices_.all(), memory_); });
    if (!opened) {
      opens_ = false;
      return note(opened.error());
    }
    opens_ = true;
    tell_info();
    Pfs pfs;
    if (const auto got = counted([&] { return fs_->default_pfs(pfs); })) {
      digest_.add(pfs.label());
      // It can be found again, or a namesake before it.
      Pfs again;
      const auto found =
          counted([&] { return fs_->find_pfs(pfs.label(), again); });
      ODO_CHECK(found ? again.label() == pfs.label() : fails());
    } else {
      note(got.error());
    }
    walk_pfss();
  }

  [[nodiscard]] std::uint64_t digest() const { return digest_.value(); }
  [[nodiscard]] bool opens() const { return opens_; }
  // Some error was about the devices or the media.
  [[nodiscard]] bool any_bad() const { return any_bad_; }
  // Some read was refused: answers depend on how much was read before.
  [[nodiscard]] bool fails() const { return meter_.exhausted(); }

  [[nodiscard]] Fs& fs() { return *fs_; }
  [[nodiscard]] const Devices& devices() const { return devices_; }

  // An operation, which reads no more than there are blocks to read, and blocks
  // to tell the device of, times the depth of a tree.
  template <class F>
  auto counted(const F& operation) {
    const std::uint64_t before = meter_.reads;
    auto result = operation();
    ODO_CHECK(meter_.reads - before <= most_reads_);
    return result;
  }

 private:
  static Meter meter_for(const Container& container) {
    Meter meter{.max_reads = kMaxReads, .max_bytes = kMaxBytes};
    if (container.fail_after != 0) meter.max_reads = container.fail_after;
    return meter;
  }
  static std::uint64_t reads_for(const Container& container) {
    constexpr std::uint64_t kDepth = 66;
    constexpr std::uint64_t kRefBytes = 12;  // of one that isn't all zeros
    return kDepth * (held_bytes(container) / kRefBytes + 8 +
                     DeviceHints<SparseDevice>::kMaxBlocks) +
           container.volumes.size() * 5;
  }

  void tell_info() {
    const VolumeInfo& info = fs_->info();
    digest_.add(info.header_offset);
    digest_.add(info.total_bytes);
    digest_.add(info.mirror_tid);
    ODO_CHECK(info.volumes == devices_.all().size());
    ODO_CHECK(info.header_offset == format::kShadowHeaderOffset
                  ? info.usable_headers == 0
                  : (info.usable_headers >> info.header & 1) != 0);
    ODO_CHECK(info.free_bytes <= info.allocator_bytes);
    std::uint64_t device_bytes = 0;
    for (const SparseDevice* device : devices_.all()) {
      device_bytes += device->size_bytes();
    }
    ODO_CHECK(info.total_bytes <= device_bytes);
  }

  void walk_pfss() {
    DirCursor cursor;
    Pfs pfs;
    std::uint64_t last = 0;
    for (unsigned i = 0; i < kMaxPfss; ++i) {
      const auto more = counted([&] { return fs_->next_pfs(cursor, pfs); });
      if (!more) return note(more.error());
      if (!*more) {
        ODO_CHECK(cursor.at_end);
        return;
      }
      ODO_CHECK(i == 0 || pfs.root.key > last);
      last = pfs.root.key;
      digest_.add(pfs.label());
      Node root;
      if (const auto got = fs_->root(pfs, root)) {
        entries_ = 0;
        files_ = 0;
        walk(root, 0);
      } else {
        note(got.error());
      }
    }
  }

  void walk(const Node& node, unsigned depth) {
    digest_.add(node.attributes.size);
    digest_.add(node.inum());
    if (!node.is(ObjectType::kDirectory)) return look_into(node);
    expect_refusals(node);
    if (depth == kMaxDepth) return;
    DirCursor cursor;
    DirEntry entry;
    std::uint64_t last = 0;
    for (;;) {
      const auto more =
          counted([&] { return fs_->read_directory(node, cursor, entry); });
      if (!more) return note(more.error());
      if (!*more || ++entries_ > kMaxEntries) return;
      // Keys rise, names are possible: what callers rely upon.
      ODO_CHECK(entry.key > last && entry.key >= format::kDirhashVisible);
      ODO_CHECK(name_possible(entry.name()));
      last = entry.key;
      digest_.add(entry.name());
      Node child;
      const auto found =
          counted([&] { return fs_->lookup(node, entry.name(), child); });
      if (!found) {
        note(found.error());
        continue;
      }
      look_up_again(node, entry, child);
      walk(child, depth + 1);
    }
  }

  // The path of one name is that name, and a child knows its way up.
  void look_up_again(const Node& directory, const DirEntry& entry,
                     const Node& child) {
    Node again;
    const auto found = counted([&] {
      return fs_->resolve(directory, entry.name(), FollowLast::kNo, again);
    });
    if (found) {
      ODO_CHECK(again.inum() == child.inum() &&
                again.ref.data_off == child.ref.data_off);
    } else {
      ODO_CHECK(fails());
    }
    if (!child.is(ObjectType::kDirectory)) return;
    const auto up = counted([&] { return fs_->lookup(child, "..", again); });
    if (up) {
      ODO_CHECK(again.is(ObjectType::kDirectory));
      digest_.add(again.inum());
    } else {
      note(up.error());
    }
  }

  void expect_refusals(const Node& directory) {
    std::array<std::byte, 16> few;
    const auto read = fs_->read(directory, 0, few);
    ODO_CHECK(!read && read.error().code == Code::kIsDirectory);
    const auto link = fs_->read_link(directory, few);
    ODO_CHECK(!link && link.error().code == Code::kNotSymlink);
    static const std::string long_name(256, 'n');
    Node node;
    const auto found = fs_->lookup(directory, long_name, node);
    ODO_CHECK(!found && found.error().code == Code::kNameTooLong);
    ODO_CHECK(fs_->lookup(directory, ".", node));
    ODO_CHECK(node.ref.data_off == directory.ref.data_off);
  }

  void look_into(const Node& node) {
    if (++files_ > kMaxFiles) return;
    if (node.is(ObjectType::kSymlink)) {
      const auto got = counted([&] { return fs_->read_link(node, buffer_); });
      if (!got) return note(got.error());
      digest_.add(Bytes(buffer_).first(*got));
      return;
    }
    DirCursor cursor;
    DirEntry entry;
    const auto listed = fs_->read_directory(node, cursor, entry);
    ODO_CHECK(!listed && listed.error().code == Code::kNotDirectory);
    if (!node.is(ObjectType::kRegular)) {
      const auto got = fs_->read(node, 0, buffer_);
      ODO_CHECK(!got && got.error().code == Code::kNotRegular);
      return;
    }
    read_file(node);
  }

  void read_file(const Node& node) {
    const std::uint64_t size = node.attributes.size;
    const auto read = [&](std::uint64_t offset, MutableBytes to) {
      auto got = counted([&] { return fs_->read(node, offset, to); });
      if (got) {
        ODO_CHECK(*got == (offset < size ? std::min<std::uint64_t>(
                                               size - offset, to.size())
                                         : 0));
      }
      return got;
    };
    const auto whole = read(0, whole_);
    if (whole) {
      digest_.add(Bytes(whole_).first(*whole));
    } else {
      note(whole.error());
    }
    // The first goes on where the whole ended: the device hears what follows.
    for (const std::uint64_t offset :
         {std::uint64_t{kWholeBytes}, std::uint64_t{65530}, size / 2,
          size - std::min<std::uint64_t>(size, 1000), size}) {
      const auto got = read(offset, buffer_);
      if (!got) {
        note(got.error());
        continue;
      }
      const Bytes part = Bytes(buffer_).first(*got);
      digest_.add(part);
      if (whole && offset <= *whole) {
        const std::size_t both = std::min<std::size_t>(
            *got, *whole - static_cast<std::size_t>(offset));
        ODO_CHECK(equal_bytes(
            part.first(both),
            Bytes(whole_).subspan(static_cast<std::size_t>(offset), both)));
      }
    }
  }

  void note(const Error& error) {
    check_told(error);
    digest_.add(error);
    // Blocks that hold nothing are sound, and too many of them a search's end.
    any_bad_ = any_bad_ || (kind_of(error.code) != ErrorKind::kRequest &&
                            error.code != Code::kTooDeep);
    // What nobody did wrong can't happen.
    ODO_CHECK(error.code != Code::kNoMemory);
    ODO_CHECK(error.code != Code::kDeviceError || fails());
  }

  Meter meter_;
  Devices devices_;
  MutableBytes memory_;
  std::uint64_t most_reads_;
  std::unique_ptr<Fs> fs_ = std::make_unique<Fs>(host_policy<Checks>());
  MutableBytes whole_ = detail::scratch(0, kWholeBytes);
  MutableBytes buffer_ = detail::scratch(1, kPartBytes);
  Digest digest_;
  unsigned entries_ = 0;
  unsigned files_ = 0;
  bool opens_ = false;
  bool any_bad_ = false;
};

}  // namespace odo::hammer2::fuzz
