// SPDX-License-Identifier: BSD-3-Clause
// Any device as one type, so that what looks at it is compiled once.
//
// Contexts: tests.
// Ownership: refers to the device.
#pragma once

#include <cstdint>
#include <functional>

#include "lib/base/bytes.h"
#include "lib/block/device.h"

namespace odo::hammer2::write::testing {

class AnyDevice {
 public:
  template <block::WritableBlockDevice D>
  requires(!std::same_as<D, AnyDevice>)
  explicit AnyDevice(D& device)
      : size_bytes_(device.size_bytes()),
        block_bytes_(device.block_bytes()),
        read_([&device](std::uint64_t offset, MutableBytes to) {
          return device.read(offset, to);
        }),
        write_([&device](std::uint64_t offset, Bytes from) {
          return device.write(offset, from);
        }),
        flush_([&device] { return device.flush(); }) {}

  [[nodiscard]] std::uint64_t size_bytes() const { return size_bytes_; }
  [[nodiscard]] std::uint32_t block_bytes() const { return block_bytes_; }
  [[nodiscard]] block::Result<void> read(std::uint64_t offset,
                                         MutableBytes to) {
    return read_(offset, to);
  }
  [[nodiscard]] block::Result<void> write(std::uint64_t offset, Bytes from) {
    return write_(offset, from);
  }
  [[nodiscard]] block::Result<void> flush() { return flush_(); }

 private:
  std::uint64_t size_bytes_;
  std::uint32_t block_bytes_;
  std::function<block::Result<void>(std::uint64_t, MutableBytes)> read_;
  std::function<block::Result<void>(std::uint64_t, Bytes)> write_;
  std::function<block::Result<void>()> flush_;
};

}  // namespace odo::hammer2::write::testing
