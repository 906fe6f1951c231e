// SPDX-License-Identifier: BSD-3-Clause
// Puts files into a directory of the host.
//
// An image may come from anybody: nothing is ever written outside the
// directory, whatever names and links the image has. Everything is made
// relative to a directory that is held open, never follows a link and never
// overwrites.
//
// Contexts: the tool's main thread; changes the umask while it lives.
// Bounds: three descriptors at any depth: the way back up is "..", proven to be
// the directory that it was.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/block/host/descriptor.h"
#include "tools/h2/sink.h"

namespace odo::h2 {

enum class Owners : std::uint8_t { kKeep, kMine };

class DirectorySink : public Sink {
 public:
  // `folder` is made if it isn't there.
  DirectorySink(const std::string& folder, Owners owners);
  ~DirectorySink() override;

  void begin_directory(const Entry& entry) override;
  void end_directory(const Entry& entry) override;
  void begin_file(const Entry& entry,
                  std::span<const DataRange> extents) override;
  void data(std::uint64_t offset, Bytes bytes) override;
  void end_file(const Entry& entry) override;
  void drop_file(const Entry& entry) override;
  void link(const Entry& entry, std::string_view first) override;
  void symlink(const Entry& entry, const std::string& target) override;
  void special(const Entry& entry) override;
  void finish() override {}

 private:
  // Which directory one is, to know it again.
  struct Identity {
    dev_t device;
    ino_t inode;
  };

  [[nodiscard]] static Identity identity_of(int directory);
  // Owner, mode and times of what `descriptor` is.
  void set_attributes(int descriptor, const Entry& entry) const;
  // The same for what can't be opened.
  void set_attributes_by_name(const Entry& entry) const;
  [[nodiscard]] bool owner_differs(const Entry& entry) const;

  const bool keep_owners_;
  const uid_t my_uid_;
  const gid_t my_gid_;
  const mode_t old_umask_;
  block::Descriptor root_;
  block::Descriptor here_;
  bool groups_inherited_ = false;
  std::vector<Identity> above_;  // the directories over here_
  block::Descriptor file_{-1};
  std::uint64_t written_ = 0;  // the end of the last data
};

}  // namespace odo::h2
