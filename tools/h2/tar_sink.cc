// SPDX-License-Identifier: BSD-3-Clause
#include "tools/h2/tar_sink.h"

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "tools/h2/content.h"
#include "tools/h2/print.h"

namespace odo::h2 {
namespace {

using hammer2::ObjectType;

[[noreturn]] void closed(archive* from) {
  const char* text = ::archive_error_string(from);
  throw SinkClosed(std::string("standard output: ") +
                   (text != nullptr ? text : "cannot write"));
}

unsigned type_of(ObjectType type) {
  switch (type) {
    case ObjectType::kFifo:
      return AE_IFIFO;
    case ObjectType::kCharDevice:
      return AE_IFCHR;
    case ObjectType::kBlockDevice:
      return AE_IFBLK;
    default:
      return 0;  // sockets too: a tar has none
  }
}

}  // namespace

void TarSink::Free::operator()(archive* value) const {
  ::archive_write_free(value);
}
void TarSink::Free::operator()(archive_entry* value) const {
  ::archive_entry_free(value);
}

TarSink::TarSink()
    : archive_(::archive_write_new()), entry_(::archive_entry_new()) {
  if (archive_ == nullptr || entry_ == nullptr) throw SinkClosed("no memory");
  ::archive_write_set_format_pax(archive_.get());
  // Names are taken for UTF-8 whatever the user's locale is; libarchive marks
  // those that aren't.
  ::setlocale(LC_CTYPE, "C.UTF-8");
  if (::archive_write_open_fd(archive_.get(), STDOUT_FILENO) != ARCHIVE_OK) {
    closed(archive_.get());
  }
}

archive_entry* TarSink::header(const Entry& entry, unsigned type) {
  const hammer2::Attributes& of = entry.attributes;
  archive_entry* const to = ::archive_entry_clear(entry_.get());
  const std::string path = "./" + std::string(entry.path);
  ::archive_entry_copy_pathname(to, path.c_str());
  ::archive_entry_set_filetype(to, type);
  ::archive_entry_set_perm(to, of.mode & 07777);
  ::archive_entry_set_uid(to, of.uid);
  ::archive_entry_set_gid(to, of.gid);
  const auto seconds = [](std::uint64_t us) {
    return static_cast<time_t>(us / 1000000);
  };
  const auto rest = [](std::uint64_t us) {
    return static_cast<long>(us % 1000000) * 1000;
  };
  ::archive_entry_set_mtime(to, seconds(of.mtime_us), rest(of.mtime_us));
  ::archive_entry_set_size(to, 0);
  return to;
}

void TarSink::put_header() {
  if (::archive_write_header(archive_.get(), entry_.get()) < ARCHIVE_WARN) {
    closed(archive_.get());
  }
}

void TarSink::begin_directory(const Entry& entry) {
  header(entry, AE_IFDIR);
  put_header();
}

void TarSink::begin_file(const Entry& entry,
                         std::span<const DataRange> extents) {
  archive_entry* const to = header(entry, AE_IFREG);
  const std::uint64_t size = entry.attributes.size;
  ::archive_entry_set_size(to, static_cast<std::int64_t>(size));
  const bool whole =
      size == 0 || (extents.size() == 1 && extents.front().offset == 0 &&
                    extents.front().length >= size);
  if (!whole) {
    for (const DataRange& extent : extents) {
      ::archive_entry_sparse_add_entry(
          to, static_cast<std::int64_t>(extent.offset),
          static_cast<std::int64_t>(extent.length));
    }
    // All hole: GNU tar wants a map of something, so the last byte is data.
    if (extents.empty()) {
      ::archive_entry_sparse_add_entry(to, static_cast<std::int64_t>(size) - 1,
                                       1);
    }
  }
  put_header();
  at_ = 0;
  // libarchive puts the map in front of the first data, and without any leaves
  // it out.
  if (extents.empty() && size != 0) zeros_to(1);
}

void TarSink::zeros_to(std::uint64_t offset) {
  static constexpr std::array<std::byte, kPieceBytes> kZeros = {};
  while (at_ < offset) {
    const std::uint64_t count =
        std::min<std::uint64_t>(offset - at_, kZeros.size());
    if (::archive_write_data(archive_.get(), kZeros.data(),
                             static_cast<std::size_t>(count)) < 0) {
      closed(archive_.get());
    }
    at_ += count;
  }
}

void TarSink::data(std::uint64_t offset, Bytes bytes) {
  zeros_to(offset);  // libarchive leaves out what the map calls a hole
  if (::archive_write_data(archive_.get(), bytes.data(), bytes.size()) < 0) {
    closed(archive_.get());
  }
  at_ = offset + bytes.size();
}

void TarSink::end_file(const Entry&) {
  if (::archive_write_finish_entry(archive_.get()) < ARCHIVE_WARN) {
    closed(archive_.get());
  }
}

void TarSink::link(const Entry& entry, std::string_view first) {
  archive_entry* const to = header(entry, AE_IFREG);
  const std::string target = "./" + std::string(first);
  ::archive_entry_copy_hardlink(to, target.c_str());
  put_header();
}

void TarSink::symlink(const Entry& entry, const std::string& target) {
  archive_entry* const to = header(entry, AE_IFLNK);
  ::archive_entry_copy_symlink(to, target.c_str());
  put_header();
}

void TarSink::special(const Entry& entry) {
  const hammer2::Attributes& of = entry.attributes;
  const unsigned type = type_of(of.type);
  if (type == 0) {
    throw Failure(printable(entry.path) + ": a tar can't hold a " +
                  std::string(hammer2::to_string(of.type)));
  }
  archive_entry* const to = header(entry, type);
  if (is_device(of)) {
    ::archive_entry_set_rdev(to, ::makedev(of.rmajor, of.rminor));
  }
  put_header();
}

void TarSink::finish() {
  if (::archive_write_close(archive_.get()) != ARCHIVE_OK) {
    closed(archive_.get());
  }
}

}  // namespace odo::h2
