// SPDX-License-Identifier: BSD-3-Clause
// System calls that are expected to succeed.
//
// Contexts: any thread.
// Failure: Failure, one line.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>

#include "lib/block/host/descriptor.h"

namespace odo::fs_exercise {

class Failure : public std::runtime_error {
 public:
  using runtime_error::runtime_error;
};

// What a call has returned, unless that says that it failed.
template <class T>
T good(T result, const char* call) {
  if (result < 0) {
    throw Failure(std::string(call) + ": " + std::strerror(errno));
  }
  return result;
}

// An open file with a scope, whose close() may be asked what it says.
class Descriptor {
 public:
  Descriptor() = default;
  Descriptor(const std::string& path, int flags, mode_t mode = 0)
      : own_(good(::open(path.c_str(), flags | O_CLOEXEC, mode), "open")) {}

  void close() { good(::close(own_.release()), "close"); }
  [[nodiscard]] int operator*() const { return own_.get(); }

 private:
  block::Descriptor own_{-1};
};

inline void write_all(int file, std::size_t offset, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto done = static_cast<std::size_t>(good(
        ::pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(offset)),
        "pwrite"));
    offset += done;
    bytes.remove_prefix(done);
  }
}

// Up to `size` bytes; fewer at the file's end.
inline std::string read_all(int file, std::size_t offset, std::size_t size) {
  std::string bytes(size, '\0');
  std::size_t done = 0;
  while (done < size) {
    const auto got = static_cast<std::size_t>(
        good(::pread(file, bytes.data() + done, size - done,
                     static_cast<off_t>(offset + done)),
             "pread"));
    if (got == 0) break;
    done += got;
  }
  bytes.resize(done);
  return bytes;
}

inline void expect_same(std::size_t offset, std::string_view found,
                        std::string_view wanted) {
  if (found == wanted) return;
  std::size_t at = 0;
  while (at < found.size() && at < wanted.size() && found[at] == wanted[at]) {
    ++at;
  }
  std::string text = "bytes at " + std::to_string(offset) + ": ";
  if (at == found.size() || at == wanted.size()) {
    throw Failure(text + std::to_string(found.size()) + " of them, not " +
                  std::to_string(wanted.size()));
  }
  std::size_t wrong = 0;
  for (std::size_t i = at; i < std::min(found.size(), wanted.size()); ++i) {
    if (found[i] != wanted[i]) ++wrong;
  }
  throw Failure(
      text + "the first wrong one is at " + std::to_string(offset + at) + ", " +
      std::to_string(static_cast<unsigned char>(found[at])) + " for " +
      std::to_string(static_cast<unsigned char>(wanted[at])) + "; " +
      std::to_string(wrong) + " are wrong");
}

}  // namespace odo::fs_exercise
