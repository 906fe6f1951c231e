// SPDX-License-Identifier: BSD-3-Clause
// A file descriptor that closes itself, and writing through one.
//
// Contexts: any thread.
// Failure: one line for the user, as a string.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

#include "lib/base/bytes.h"
#include "lib/base/result.h"

namespace odo::block {

template <class T>
using ImageResult = odo::Result<T, std::string>;

// Owns a descriptor; a negative one is none.
class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  Descriptor(Descriptor&& other) noexcept
      : value_(std::exchange(other.value_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  [[nodiscard]] int get() const { return value_; }
  [[nodiscard]] int release() { return std::exchange(value_, -1); }

 private:
  int value_;
};

// "what: reason".
inline std::string system_error(const std::string& what, int error) {
  return what + ": " + std::strerror(error);
}

// All of `bytes`, at `offset`.
inline ImageResult<void> write_at(int descriptor, std::uint64_t offset,
                                  Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::pwrite(descriptor, bytes.data(), bytes.size(),
                                 static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return fail(system_error("writing", errno));
    offset += static_cast<std::uint64_t>(put);
    bytes = bytes.subspan(static_cast<std::size_t>(put));
  }
  return {};
}

}  // namespace odo::block
