// SPDX-License-Identifier: BSD-3-Clause
// Puts files into a tar on standard output, by libarchive: the pax format of
// POSIX, with GNU's sparse maps for holes.
//
// Contexts: the tool's main thread.
// Failure: SinkClosed once nothing more can be written. A file that can't be
// read to its end was promised its size already: zeros stand for the rest.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "tools/h2/sink.h"

struct archive;
struct archive_entry;

namespace odo::h2 {

class TarSink : public Sink {
 public:
  TarSink();

  void begin_directory(const Entry& entry) override;
  void end_directory(const Entry&) override {}
  void begin_file(const Entry& entry,
                  std::span<const DataRange> extents) override;
  void data(std::uint64_t offset, Bytes bytes) override;
  void end_file(const Entry& entry) override;
  void drop_file(const Entry& entry) override { end_file(entry); }
  void link(const Entry& entry, std::string_view first) override;
  void symlink(const Entry& entry, const std::string& target) override;
  void special(const Entry& entry) override;
  void finish() override;

 private:
  struct Free {
    void operator()(archive* value) const;
    void operator()(archive_entry* value) const;
  };

  // The header of `entry` with what all types have, to be completed.
  archive_entry* header(const Entry& entry, unsigned type);
  void put_header();
  void zeros_to(std::uint64_t offset);

  std::unique_ptr<archive, Free> archive_;
  std::unique_ptr<archive_entry, Free> entry_;
  std::uint64_t at_ = 0;  // in the file at hand
};

}  // namespace odo::h2
