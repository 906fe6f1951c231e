// SPDX-License-Identifier: BSD-3-Clause
// The HAMMER2 reader on media that somebody made on purpose.
//
// An input is a list of changes to a small built volume with a bit of
// everything in it. One byte at the front says how check codes are treated:
// believed whatever they are, so that every change is reached, or proven, so
// that changes are met by the verification. Whatever the volume becomes, each
// operation ends in an answer or an error within a bounded number of reads.
//
// Shape of an input: mode byte, then records of (block, field, value):
//   u8 block number (modulo their count), u16 offset in the block,
//   u8 length (modulo 9), that many bytes to store there.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "fuzz/hammer2/session.h"
#include "lib/block/faulty_device.h"
#include "lib/block/memory_device.h"
#include "lib/hammer2/filesystem.h"
#include "lib/hammer2/testing/image_builder.h"
#include "lib/hammer2/testing/run_check.h"

namespace odo::hammer2::testing {
namespace {

using fuzz::BelieveAll;

// The volume as it is before changes, made once.
class Volume {
 public:
  Volume() {
    ImageBuilder image;
    std::vector<Blockref> data;
    const std::string text(65536, 'd');
    for (std::uint64_t i = 0; i < 6; ++i) {
      data.push_back(image.put(BlockType::kData,
                               as_bytes(std::string_view(text).substr(0, 1000)),
                               i << 16, 16));
    }
    // 65536 times 'a' in LZ4: a token, one literal, a long match, a tail.
    std::string lz4("\x1f\x61\x01\x00", 4);
    lz4.append(256, '\xff');
    lz4 +=
        "\xe7\x50"
        "aaaaa";
    const auto lz4_size = static_cast<std::uint32_t>(lz4.size());
    lz4.insert(0, reinterpret_cast<const char*>(&lz4_size), 4);
    data.push_back(image.put(BlockType::kData, as_bytes(lz4), 6 << 16, 16,
                             CompMethod::kLz4));
    // A zlib stream of one stored block.
    const std::string zlib("\x78\x01\x01\x05\x00\xfa\xffhello\x06\x2c\x02\x15",
                           16);
    data.push_back(image.put(BlockType::kData, as_bytes(zlib), 7 << 16, 16,
                             CompMethod::kZlib));
    Inode big = ImageBuilder::file(1024, 8 << 16);
    const Blockref low =
        image.indirect({data.begin(), data.begin() + 4}, 0, 18);
    const Blockref high =
        image.indirect({data.begin() + 4, data.end()}, 1 << 18, 18);
    ImageBuilder::set_refs(big, {image.indirect({low, high}, 0, 23)});

    Inode folder = ImageBuilder::directory(1026);
    const Blockref long_name =
        image.dirent(std::string(200, 'l'), 1024, ObjectType::kRegular);
    Inode nested = ImageBuilder::directory(1029);
    ImageBuilder::rename(nested, "nested");
    const Blockref nested_ref = image.put(BlockType::kInode, bytes_of(nested),
                                          format::dirhash("nested"));
    image.attach(folder, {long_name, nested_ref,
                          image.dirent("self", 1026, ObjectType::kDirectory),
                          image.dirent("file", 1024, ObjectType::kRegular)});
    Inode root = ImageBuilder::directory(1);
    const std::vector<Blockref> index = {
        image.indexed(big),
        image.indexed(ImageBuilder::embedded(1025, "small")),
        image.indexed(folder),
        image.indexed(ImageBuilder::embedded(1027, "dir/../dir/file",
                                             ObjectType::kSymlink)),
        image.indexed(ImageBuilder::inode(1028, ObjectType::kFifo))};
    std::vector<Blockref> refs = index;
    refs.push_back(image.dirent("big", 1024, ObjectType::kRegular));
    refs.push_back(image.dirent("small", 1025, ObjectType::kRegular));
    refs.push_back(image.dirent("dir", 1026, ObjectType::kDirectory));
    refs.push_back(image.dirent("link", 1027, ObjectType::kSymlink));
    refs.push_back(image.dirent("pipe", 1028, ObjectType::kFifo));
    image.attach(root, refs);
    const Blockref pfs = image.pfs(root, "DATA");
    image.finish_pfs({pfs, image.pfs(ImageBuilder::directory(1), "LOCAL")});
    bytes_ = std::move(image.storage());
    // Blocks lie one after the other from the reserve's end.
    for (std::uint64_t at = format::kZoneReserveBytes; at + 1024 <= used();
         at += 1024) {
      starts_.push_back(at);
    }
    starts_.push_back(0);    // the volume header
    starts_.push_back(512);  // its super-root reference
  }

  [[nodiscard]] std::vector<std::byte>& bytes() { return bytes_; }
  [[nodiscard]] const std::vector<std::uint64_t>& starts() const {
    return starts_;
  }

 private:
  // The end of the last block that isn't zero.
  [[nodiscard]] std::uint64_t used() const {
    std::size_t end = bytes_.size();
    while (bytes_[end - 1] == std::byte{0}) --end;
    return align_up(end, std::size_t{1024});
  }

  std::vector<std::byte> bytes_;
  std::vector<std::uint64_t> starts_;
};

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size)
      : at_(data), end_(data + size) {}
  [[nodiscard]] bool empty() const { return at_ == end_; }
  std::uint8_t byte() { return empty() ? std::uint8_t{0} : *at_++; }

 private:
  const std::uint8_t* at_;
  const std::uint8_t* end_;
};

using Device = block::FaultyDevice<block::MemoryDevice>;

// Reads that the volume could cost at most, with room to spare: anything more
// is work without a bound.
constexpr std::uint64_t kMaxReads = 2000000;
constexpr unsigned kMaxEntries = 300;
constexpr unsigned kMaxFiles = 16;
constexpr unsigned kMaxDepth = 4;

// Whether the volume is as it was built: then nothing may be called corrupt.
enum class State : std::uint8_t { kChanged, kAsBuilt };

template <CheckPolicy Checks>
class Session {
 public:
  Session(Device& device, MutableBytes memory, State state)
      : device_(device), memory_(memory), state_(state) {}

  void run() {
    look_around();
    check();
    if (device_.reads() > kMaxReads) std::abort();
  }

 private:
  void look_around() {
    Device* devices[] = {&device_};
    if (const auto opened = fs_->open(devices, memory_); !opened) {
      note(opened.error());
      return;
    }
    DirCursor cursor;
    Pfs pfs;
    for (unsigned i = 0; i < 8; ++i) {
      const auto more = fs_->next_pfs(cursor, pfs);
      if (!more) return note(more.error());
      if (!*more) break;
      Node root;
      if (const auto got = fs_->root(pfs, root); !got) {
        note(got.error());
        continue;
      }
      walk(root, 0);
      for (const char* path : {"/link", "/dir/self/../big", "/dir/nested",
                               "/small/", "link/x", "dir/file"}) {
        Node node;
        const auto found = fs_->resolve(root, path, FollowLast::kYes, node);
        if (found) {
          read(node);
        } else {
          note(found.error());
        }
      }
    }
  }

  // A complete check ends, too, and each of its findings can be told.
  void check() {
    Device* devices[] = {&device_};
    const CheckResult result =
        run_check(std::span<Device* const>(devices), {.decode = true},
                  check_memory(), Checks{});
    for (const Found& found : result.findings) {
      if (found.text.empty() || found.text.find('\n') != std::string::npos) {
        std::abort();
      }
      if (found.finding.rule == audit::Rule::kBlock) note(found.finding.at);
    }
  }

  void walk(const Node& node, unsigned depth) {
    if (!node.is(ObjectType::kDirectory)) return read(node);
    if (depth == kMaxDepth) return;
    DirCursor cursor;
    DirEntry entry;
    std::uint64_t last = 0;
    for (;;) {
      const auto more = fs_->read_directory(node, cursor, entry);
      if (!more) return note(more.error());
      if (!*more || ++entries_ > kMaxEntries) return;
      // Keys rise, names are possible: what callers rely upon.
      if (entry.key <= last || entry.name().empty() ||
          entry.name().find('/') != std::string_view::npos) {
        std::abort();
      }
      last = entry.key;
      Node child;
      if (const auto found = fs_->lookup(node, entry.name(), child); !found) {
        note(found.error());
        continue;
      }
      walk(child, depth + 1);
    }
  }

  void read(const Node& node) {
    const std::uint64_t size = node.attributes.size;
    if (++files_ > kMaxFiles) return;
    if (node.is(ObjectType::kSymlink)) {
      const auto got = fs_->read_link(node, buffer_);
      if (!got) note(got.error());
      return;
    }
    for (const std::uint64_t offset :
         {std::uint64_t{0}, std::uint64_t{65530}, size / 2,
          size - std::min<std::uint64_t>(size, 1000), size}) {
      const auto got = fs_->read(node, offset, buffer_);
      if (!got) {
        note(got.error());
      } else if (*got != (offset < size ? std::min<std::uint64_t>(
                                              size - offset, buffer_.size())
                                        : 0)) {
        std::abort();
      }
    }
  }

  // Every error can be told, in one line.
  void note(const Error& error) {
    std::array<char, kErrorTextBytes> text;
    const std::string_view line = error_text(error, text);
    if (line.empty() || line.size() == text.size() ||
        line.find('\n') != std::string_view::npos) {
      std::abort();
    }
    if (state_ == State::kAsBuilt &&
        kind_of(error.code) != ErrorKind::kRequest) {
      std::abort();
    }
  }

  Device& device_;
  MutableBytes memory_;
  State state_;
  std::unique_ptr<FileSystem<Device, Checks>> fs_ =
      std::make_unique<FileSystem<Device, Checks>>();
  std::vector<std::byte> buffer_ = std::vector<std::byte>(70000);
  unsigned entries_ = 0;
  unsigned files_ = 0;
};

}  // namespace
}  // namespace odo::hammer2::testing

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  using namespace odo;                    // NOLINT: a file of one function
  using namespace odo::hammer2::testing;  // NOLINT
  static Volume volume;
  static std::vector<std::byte> memory(
      hammer2::FileSystem<Device>::kMinMemoryBytes);
  struct Undo {
    std::uint64_t offset;
    std::byte old;
  };
  std::vector<Undo> undo;
  Input input(data, size);
  const std::uint8_t mode = input.byte();
  while (!input.empty() && undo.size() < 4096) {
    const auto& starts = volume.starts();
    const std::uint64_t start = starts[input.byte() % starts.size()];
    const unsigned low = input.byte();
    const unsigned inside = (low | unsigned{input.byte()} << 8) % 1024;
    for (unsigned n = input.byte() % 9, i = 0; i < n; ++i) {
      const std::uint64_t offset = start + inside + i;
      undo.push_back({offset, volume.bytes()[offset]});
      volume.bytes()[offset] = static_cast<std::byte>(input.byte());
    }
  }
  const std::uint32_t block_bytes = (mode & 2) != 0 ? 4096 : 512;
  block::MemoryDevice below(volume.bytes(), block_bytes);
  Device device(below);
  if ((mode & 4) != 0) device.fail_after(mode >> 3);
  const State state =
      undo.empty() && (mode & 4) == 0 ? State::kAsBuilt : State::kChanged;
  if ((mode & 1) == 0) {
    Session<BelieveAll>(device, memory, state).run();
  } else {
    Session<hammer2::VerifyChecks>(device, memory, state).run();
  }
  for (auto it = undo.rbegin(); it != undo.rend(); ++it) {
    volume.bytes()[it->offset] = it->old;
  }
  return 0;
}
