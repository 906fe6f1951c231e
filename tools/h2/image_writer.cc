// SPDX-License-Identifier: BSD-3-Clause
#include "tools/h2/image_writer.h"

#include <algorithm>
#include <span>
#include <string_view>

namespace odo::h2 {
namespace image_writer {
namespace {

using hammer2::ObjectType;

std::string_view folder_in(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view()
                                         : path.substr(0, slash);
}
std::string_view name_in(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

}  // namespace
}  // namespace image_writer

ImageWriter::ImageWriter(ChangedVolume& volume, const WriterSettings& settings)
    : volume_(volume),
      settings_(settings),
      pool_(settings.threads),
      root_(volume.root(settings.label)) {
  for (std::size_t i = 0; i < pool_.workers(); ++i) {
    workers_.encoders.push_back(std::make_unique<Encoder>(host_checks()));
    volume.check(workers_.encoders.back()->init(workers_.ground));
  }
}

// --- Content, by all threads -------------------------------------------------

void ImageWriter::add(SourceEntry entry) {
  std::vector<std::byte> content = std::move(entry.content);
  const std::uint64_t size = entry.same_as.empty() ? entry.size : 0;
  const std::string host_path = entry.host_path;
  const bool from_host = content.empty();
  bytes_ += size;
  Item item;
  item.entry = std::move(entry);
  for (std::uint64_t offset = 0; offset < size || offset == 0;
       offset += kPieceBytes) {
    item.offset = offset;
    item.length = std::min<std::uint64_t>(size - offset, kPieceBytes);
    if (from_host) {
      item.host_path = host_path;
    } else {
      const auto part = std::span(content).subspan(offset, item.length);
      item.content.assign(part.begin(), part.end());
    }
    push(std::move(item));
    item = Item{};
  }
}

void ImageWriter::push(Item item) {
  filling_.bytes += item.length;
  filling_.items.push_back(std::move(item));
  if (filling_.bytes >= kBatchBytes || filling_.items.size() >= kBatchItems) {
    turn();
  }
}

// Prepares the batch that was filled while the one before is written.
void ImageWriter::turn() {
  std::exception_ptr failed;
  pool_.run(
      filling_.items.size(),
      [&](std::size_t i, std::size_t worker) {
        prepare(filling_.items[i], *workers_.encoders[worker]);
      },
      [&] {
        // The threads must be through with the batch before anybody leaves.
        try {
          for (Item& item : ready_.items) write(item);
        } catch (...) {
          failed = std::current_exception();
        }
      });
  if (failed) std::rethrow_exception(failed);
  ready_ = std::move(filling_);
  filling_ = Batch{};
}

// Must not throw: it runs in any thread.
void ImageWriter::prepare(Item& item, Encoder& encoder) const {
  if (item.length == 0) return;
  try {
    const std::size_t last = item.length % kBlockBytes;
    const std::size_t whole = item.length - last;
    const std::size_t padded =
        whole + (last == 0 ? 0 : hammer2::write::data_block_bytes(last));
    item.content.resize(padded);
    if (!item.host_path.empty()) {
      read_piece(item.host_path, item.offset,
                 MutableBytes(item.content).first(item.length));
    }
    if (item.offset == 0 && item.length <= hammer2::format::kEmbeddedBytes) {
      return;  // goes into the inode
    }
    item.packed.resize(padded / 2);
    const Bytes content(item.content);
    for (std::size_t at = 0; at < padded; at += kBlockBytes) {
      const Bytes block =
          content.subspan(at, std::min(kBlockBytes, padded - at));
      item.blocks.push_back(encoder.prepare(
          settings_.methods, block,
          MutableBytes(item.packed).subspan(at / 2, block.size() / 2)));
    }
  } catch (const Failure& error) {
    item.failure = error.what();
  }
}

// --- The volume, by one thread -----------------------------------------------

OpenInode& ImageWriter::folder_of(const std::string& path) {
  const std::string folder(image_writer::folder_in(path));
  if (folder.empty()) return *root_;
  if (folder_ && folder == folder_path_) return **folder_;
  const auto known = inums_.find(folder);
  if (known == inums_.end()) {
    // A tar may leave out the directories on the way.
    SourceEntry missing;
    missing.path = folder;
    missing.type = hammer2::ObjectType::kDirectory;
    missing.mode = 0755;
    begin_entry(std::move(missing));
    return folder_of(path);
  }
  folder_.reset();
  folder_.emplace(volume_.hold(volume_->by_inum(*root_, known->second), path));
  folder_path_ = folder;
  return **folder_;
}

void ImageWriter::set_attributes(OpenInode& inode, const SourceEntry& entry) {
  hammer2::write::Changes changes;
  changes.mode = entry.mode;
  if (settings_.owners) {
    changes.uid = entry.uid;
    changes.gid = entry.gid;
  }
  changes.mtime_us = entry.mtime_us;
  changes.atime_us = entry.mtime_us;
  volume_.check(volume_->set_attributes(inode, changes), entry.path);
}

void ImageWriter::end_file() {
  if (!file_) return;
  set_attributes(**file_, file_entry_);
  file_.reset();
}

void ImageWriter::begin_entry(SourceEntry entry) {
  using hammer2::ObjectType;
  end_file();
  if (entry.path.empty()) {
    // The root is there already.
    folders_.emplace_back(hammer2::format::kRootInum, std::move(entry));
    return;
  }
  OpenInode& folder = folder_of(entry.path);
  const std::string name(image_writer::name_in(entry.path));
  if (!entry.same_as.empty()) {
    const auto first = inums_.find(entry.same_as);
    if (first == inums_.end()) {
      throw Failure(entry.path + ": is a link to " + entry.same_as +
                    ", which wasn't there before");
    }
    const Held inode =
        volume_.hold(volume_->by_inum(*root_, first->second), entry.same_as);
    volume_.check(volume_->link(*inode, folder, name), entry.path);
    return;
  }
  const hammer2::write::NewInode wanted = {
      .type = entry.type,
      .mode = entry.mode,
      .uid = settings_.owners ? entry.uid : 0,
      .gid = settings_.owners ? entry.gid : 0,
      .rmajor = entry.rmajor,
      .rminor = entry.rminor};
  auto made = volume_->make_symlink(folder, name, entry.target, wanted);
  if (!made && made.error().code == hammer2::Code::kExists &&
      entry.type == ObjectType::kDirectory) {
    made = volume_->lookup(folder, name);  // a tar may name one twice
  }
  Held inode = volume_.hold(std::move(made), entry.path);
  const std::uint64_t inum = (*inode).inum;
  inums_.insert_or_assign(entry.path, inum);
  ++files_;
  if (entry.type == ObjectType::kDirectory) {
    folders_.emplace_back(inum, std::move(entry));
    return;
  }
  file_.emplace(std::move(inode));
  file_entry_ = std::move(entry);
}

void ImageWriter::write(Item& item) {
  if (item.entry) begin_entry(*std::move(item.entry));
  if (item.failure) throw Failure(*item.failure);
  if (item.length == 0) return;
  OpenInode& file = **file_;
  if (item.blocks.empty()) {
    volume_.check(volume_->write(file, item.offset,
                                 Bytes(item.content).first(item.length)),
                  file_entry_.path);
    return;
  }
  std::uint64_t offset = item.offset;
  const std::uint64_t end = item.offset + item.length;
  for (const Prepared& block : item.blocks) {
    const std::uint64_t length =
        std::min<std::uint64_t>(end - offset, kBlockBytes);
    volume_.check(volume_->write_prepared(file, offset, length, block),
                  file_entry_.path);
    offset += length;
  }
}

void ImageWriter::finish() {
  turn();
  turn();
  end_file();
  folder_.reset();
  // What is below a directory has changed its times.
  for (const auto& [inum, entry] : folders_) {
    const Held inode = volume_.hold(volume_->by_inum(*root_, inum), entry.path);
    set_attributes(*inode, entry);
  }
}

}  // namespace odo::h2
