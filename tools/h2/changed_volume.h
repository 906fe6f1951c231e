// SPDX-License-Identifier: BSD-3-Clause
// An image that a command changes.
//
// What the command does becomes the image's state as a whole by finish(), or
// not at all: a command that fails leaves the image as it was.
//
// Contexts: the tool's main thread.
// Failure: Failure, in one line.
#pragma once

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/block/host/file_device.h"
#include "lib/hammer2/pfs_choice.h"
#include "lib/hammer2/write/held.h"
#include "lib/hammer2/write/host/ground.h"
#include "lib/hammer2/write/volume.h"
#include "tools/h2/soundness.h"
#include "tools/h2/volume.h"

namespace odo::h2 {

using WriteGround = hammer2::write::HostGround<block::FileDevice>;
using WritableVolume = hammer2::write::Volume<WriteGround>;
using hammer2::write::OpenInode;

// Opens a file or disk for reading and writing, alone: not while it is mounted,
// nor while another command changes it.
[[nodiscard]] inline block::FileDevice open_for_change(const std::string& name,
                                                       int flags = 0) {
  struct stat status = {};
  const bool disk =
      ::stat(name.c_str(), &status) == 0 && S_ISBLK(status.st_mode);
  // The kernel refuses O_EXCL for a disk that is mounted.
  block::Descriptor file(::open(
      name.c_str(), O_RDWR | O_CLOEXEC | flags | (disk ? O_EXCL : 0), 0666));
  if (file.get() < 0) throw Failure(block::system_error(name, errno));
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    throw Failure(name + ": is mounted, or in use by another command");
  }
  auto device = block::FileDevice::create(file.get());
  if (!device) throw Failure(block::system_error(name, device.error()));
  (void)file.release();
  return std::move(*device);
}

using Held = hammer2::write::Held<WriteGround>;

// Whether the volume is looked through first, or is known to be sound, or to be
// changed as it is.
enum class Damage : std::uint8_t { kRefused, kNotLookedFor };

class ChangedVolume {
 public:
  // Every change happens at `now_us`, if that is given.
  explicit ChangedVolume(const std::vector<std::string>& names,
                         Damage damage = Damage::kRefused,
                         std::optional<std::uint64_t> now_us = std::nullopt,
                         const hammer2::write::Limits& limits = {})
      : name_(names.front()) {
    if (now_us) ground_.stop_clock(*now_us);
    devices_.reserve(names.size());
    for (const std::string& name : names) {
      devices_.push_back(open_for_change(name));
    }
    pointers_.reserve(devices_.size());
    for (block::FileDevice& device : devices_) pointers_.push_back(&device);
    check(volume_.open(pointers_, limits));
    if (damage == Damage::kRefused) refuse_damage(name_, pointers_);
  }

  [[nodiscard]] WritableVolume& operator*() { return volume_; }
  [[nodiscard]] WritableVolume* operator->() { return &volume_; }

  [[nodiscard]] Failure failure(const hammer2::Error& error,
                                std::string_view path = {}) const {
    std::string where = name_;
    if (!path.empty()) where += ": " + std::string(path);
    return Failure(where + ": " + text_of(error));
  }
  // The value of a result, or a Failure about `path`.
  template <class T>
  T check(hammer2::Result<T> result, std::string_view path = {}) const {
    if (!result) throw failure(result.error(), path);
    if constexpr (!std::is_void_v<T>) return *std::move(result);
  }
  Held hold(hammer2::Result<OpenInode*> result, std::string_view path) {
    return {volume_, check(std::move(result), path)};
  }

  // The root of the PFS of that label, or of the default one.
  [[nodiscard]] Held root(const std::string& label) {
    return hold(volume_.open_pfs(label.empty() ? default_label() : label),
                label.empty() ? label : "@" + label);
  }

  // The inode at a path; a symlink at its end isn't followed, others are not
  // either: they are no directories.
  [[nodiscard]] Held find(const std::string& label, std::string_view path) {
    Held at = root(label);
    std::string_view rest = path;
    for (std::string_view name = next_name(rest); !name.empty();
         name = next_name(rest)) {
      at = hold(volume_.lookup(*at, name), path);
    }
    return at;
  }

  // The directory of a path's last name, and that name.
  [[nodiscard]] std::pair<Held, std::string> parent(const std::string& label,
                                                    std::string_view path) {
    while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
    const std::size_t slash = path.rfind('/');
    const std::string_view folder =
        slash == std::string_view::npos ? "/" : path.substr(0, slash + 1);
    return {find(label, folder), std::string(slash == std::string_view::npos
                                                 ? path
                                                 : path.substr(slash + 1))};
  }

  // Makes all changes durable.
  void finish() { check(volume_.sync()); }

  static std::string_view next_name(std::string_view& path) {
    while (path.starts_with('/')) path.remove_prefix(1);
    const std::string_view name = path.substr(0, path.find('/'));
    path.remove_prefix(name.size());
    return name;
  }

 private:
  // As the reader chooses it.
  [[nodiscard]] std::string default_label() {
    hammer2::Pfs pfs;
    check(hammer2::choose_pfs(volume_, pfs));
    return std::string(pfs.label());
  }

  std::string name_;
  std::vector<block::FileDevice> devices_;
  std::vector<block::FileDevice*> pointers_;
  WriteGround ground_;
  WritableVolume volume_{ground_, host_checks()};
};

}  // namespace odo::h2
