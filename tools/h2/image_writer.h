// SPDX-License-Identifier: BSD-3-Clause
// Puts entries of a source tree into a volume. Threads read and compress one
// batch of content while another is written, in order: the same tree makes the
// same volume, however many threads there are.
//
// Contexts: the tool's main thread.
// Bounds: two batches of kBatchBytes of content, with what they compress to.
// Failure: Failure, in one line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "lib/hammer2/write/encoder.h"
#include "tools/h2/changed_volume.h"
#include "tools/h2/source_tree.h"
#include "tools/h2/thread_pool.h"

namespace odo::h2 {

struct WriterSettings {
  std::string label;
  hammer2::write::DataMethods methods;
  std::size_t threads = 1;
  bool owners = true;
};

class ImageWriter {
 public:
  ImageWriter(ChangedVolume& volume, const WriterSettings& settings);
  ImageWriter(const ImageWriter&) = delete;
  ImageWriter& operator=(const ImageWriter&) = delete;

  void add(SourceEntry entry);
  // All that was added is in the volume, times of directories too.
  void finish();

  [[nodiscard]] std::uint64_t files() const { return files_; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  using Encoder = hammer2::write::Encoder<WriteGround>;
  using Prepared = hammer2::write::PreparedBlock;

  static constexpr std::size_t kBlockBytes = 65536;
  static constexpr std::size_t kPieceBytes = 16 * kBlockBytes;
  static constexpr std::size_t kBatchBytes = std::size_t{8} << 20;
  static constexpr std::size_t kBatchItems = 1024;

  // An entry, a part of the last regular one's content, or both.
  struct Item {
    std::optional<SourceEntry> entry;
    std::string host_path;  // of the content, if it isn't there yet
    std::uint64_t offset = 0;
    std::size_t length = 0;
    std::vector<std::byte> content;  // padded to whole blocks
    std::vector<std::byte> packed;
    std::vector<Prepared> blocks;
    std::optional<std::string> failure;
  };
  struct Batch {
    std::vector<Item> items;
    std::size_t bytes = 0;
  };
  struct Workers {
    WriteGround ground;
    std::vector<std::unique_ptr<Encoder>> encoders;
  };

  void push(Item item);
  void turn();
  void prepare(Item& item, Encoder& encoder) const;
  void write(Item& item);
  void begin_entry(SourceEntry entry);
  void end_file();
  void set_attributes(OpenInode& inode, const SourceEntry& entry);
  [[nodiscard]] OpenInode& folder_of(const std::string& path);
  ChangedVolume& volume_;
  WriterSettings settings_;
  ThreadPool pool_;
  Workers workers_;
  Held root_;
  std::optional<Held> folder_;  // the one that was used last
  std::string folder_path_;
  std::unordered_map<std::string, std::uint64_t> inums_;  // of all entries
  std::vector<std::pair<std::uint64_t, SourceEntry>> folders_;
  std::optional<Held> file_;  // that content goes to
  SourceEntry file_entry_;
  Batch filling_;
  Batch ready_;
  std::uint64_t files_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace odo::h2
