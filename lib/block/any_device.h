// SPDX-License-Identifier: BSD-3-Clause
// A block device of any kind behind one type, for a machine whose disks are
// driven by different drivers. Satisfies DiscardingDevice; what the device
// itself does not offer is answered with an error.
//
// Contexts: as the device itself.
// Ownership: refers to the device, which outlives it; copies reach the same.
// Complexity: one indirect call a request.
#pragma once

#include <cstdint>

#include "lib/base/annotations.h"
#include "lib/base/bytes.h"
#include "lib/block/device.h"

namespace odo::block {

class AnyDevice {
 public:
  template <BlockDevice D>
  explicit AnyDevice(D& device)
      : device_(&device),
        calls_(&kCallsOf<D>),
        size_bytes_(device.size_bytes()),
        block_bytes_(device.block_bytes()),
        is_read_only_(tells_read_only(device)) {}

  [[nodiscard]] std::uint64_t size_bytes() const { return size_bytes_; }
  [[nodiscard]] std::uint32_t block_bytes() const { return block_bytes_; }
  // Every write() is refused.
  [[nodiscard]] bool is_read_only() const { return is_read_only_; }

  ODO_MAY_BLOCK [[nodiscard]] Result<void> read(std::uint64_t offset_bytes,
                                                MutableBytes to) {
    return calls_->read(device_, offset_bytes, to);
  }
  ODO_MAY_BLOCK [[nodiscard]] Result<void> write(std::uint64_t offset_bytes,
                                                 Bytes from) {
    return calls_->write(device_, offset_bytes, from);
  }
  // There is nothing to do where nothing can be written.
  ODO_MAY_BLOCK [[nodiscard]] Result<void> flush() {
    return calls_->flush(device_);
  }
  ODO_MAY_BLOCK [[nodiscard]] Result<void> discard(std::uint64_t offset_bytes,
                                                   std::uint64_t length_bytes) {
    return calls_->discard(device_, offset_bytes, length_bytes);
  }

 private:
  struct Calls {
    Result<void> (*read)(void*, std::uint64_t, MutableBytes);
    Result<void> (*write)(void*, std::uint64_t, Bytes);
    Result<void> (*flush)(void*);
    Result<void> (*discard)(void*, std::uint64_t, std::uint64_t);
  };

  template <class D>
  [[nodiscard]] static bool tells_read_only(const D& device) {
    if constexpr (!WritableBlockDevice<D>) {
      return true;
    } else if constexpr (requires {
                           { device.is_read_only() } -> std::same_as<bool>;
                         }) {
      return device.is_read_only();
    } else {
      return false;
    }
  }

  template <class D>
  static constexpr Calls kCallsOf{
      [](void* device, std::uint64_t offset_bytes, MutableBytes to) {
        return static_cast<D*>(device)->read(offset_bytes, to);
      },
      [](void* device, std::uint64_t offset_bytes, Bytes from) -> Result<void> {
        if constexpr (WritableBlockDevice<D>) {
          return static_cast<D*>(device)->write(offset_bytes, from);
        } else {
          return fail(Error::kReadOnly);
        }
      },
      [](void* device) -> Result<void> {
        if constexpr (WritableBlockDevice<D>) {
          return static_cast<D*>(device)->flush();
        } else {
          return {};
        }
      },
      [](void* device, std::uint64_t offset_bytes,
         std::uint64_t length_bytes) -> Result<void> {
        if constexpr (DiscardingDevice<D>) {
          return static_cast<D*>(device)->discard(offset_bytes, length_bytes);
        } else {
          return fail(Error::kNotOffered);
        }
      }};

  void* device_;
  const Calls* calls_;
  std::uint64_t size_bytes_;
  std::uint32_t block_bytes_;
  bool is_read_only_;
};

static_assert(DiscardingDevice<AnyDevice>);

}  // namespace odo::block
