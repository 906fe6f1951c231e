// SPDX-License-Identifier: BSD-3-Clause
// Formatting, as `h2 mkfs` and `h2 create` do it.
//
// Contexts: the tool's main thread.
// Failure: Failure, in one line.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "lib/hammer2/write/format_volume.h"
#include "tools/h2/changed_volume.h"
#include "tools/h2/method_names.h"

namespace odo::h2 {

struct FormatSettings {
  std::vector<std::string> labels;
  std::optional<std::uint64_t> size;  // makes the one image anew
  std::optional<std::uint64_t> boot_bytes;
  std::optional<std::uint64_t> aux_bytes;
  std::uint32_t version = hammer2::format::kVersionMultiVolume;
  Compression comp;
  hammer2::format::CheckMethod check = hammer2::format::CheckMethod::kXxhash64;
  std::optional<std::uint64_t> now_us;            // else the clock's
  std::function<void(MutableBytes)> fill_random;  // else the system's
};

// By the flags of `h2 mkfs`.
FormatSettings format_settings();

// An image file of that size, with nothing in it.
inline void make_empty_file(const std::string& name, std::uint64_t size) {
  const block::Descriptor file(
      ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  if (file.get() < 0) throw Failure(block::system_error(name, errno));
  struct stat status = {};
  if (::fstat(file.get(), &status) != 0) {
    throw Failure(block::system_error(name, errno));
  }
  if (!S_ISREG(status.st_mode)) {
    throw Failure(name + ": is no file, whose size could be set");
  }
  if (::ftruncate(file.get(), 0) != 0 ||
      ::ftruncate(file.get(), static_cast<off_t>(size)) != 0) {
    throw Failure(block::system_error(name, errno));
  }
}

// Answers the bytes of all volumes.
inline std::uint64_t make_filesystem(const std::vector<std::string>& names,
                                     const FormatSettings& settings) {
  if (settings.size) {
    if (names.size() != 1) throw UsageError("--image_size is for one image");
    make_empty_file(names[0], *settings.size);
  }
  std::vector<block::FileDevice> devices;
  devices.reserve(names.size());
  std::vector<block::FileDevice*> pointers;
  std::uint64_t total = 0;
  for (const std::string& name : names) {
    devices.push_back(open_for_change(name));
    pointers.push_back(&devices.back());
    total += hammer2::write::volume_bytes(devices.back().size_bytes(),
                                          devices.size() == names.size());
  }
  std::vector<std::string_view> labels;
  for (const std::string& label : settings.labels) {
    if (label != hammer2::kLocalLabel) labels.push_back(label);
  }
  WriteGround ground;
  hammer2::write::FormatOptions options;
  options.labels = labels;
  options.version = settings.version;
  if (settings.boot_bytes) options.boot_bytes = *settings.boot_bytes;
  if (settings.aux_bytes) options.aux_bytes = *settings.aux_bytes;
  options.comp = settings.comp.method;
  options.check = settings.check;
  options.now_us = settings.now_us ? *settings.now_us : ground.now_us();
  for (hammer2::format::Uuid& id : options.ids) {
    const MutableBytes bytes = mutable_bytes_of(id);
    if (settings.fill_random) {
      settings.fill_random(bytes);
    } else {
      ground.fill_random(bytes);
    }
    hammer2::write::mark_random(id);
  }
  alignas(64) static std::array<std::byte, hammer2::format::kVolumeHeaderBytes>
      memory;
  const auto done = hammer2::write::format_volume<block::FileDevice>(
      pointers, options, memory, host_checks());
  if (!done) {
    const hammer2::Error& error = done.error();
    const std::size_t device = error.volume < names.size() ? error.volume : 0;
    throw Failure(names[device] + ": " + text_of(error));
  }
  return total;
}

}  // namespace odo::h2
