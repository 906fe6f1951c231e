// SPDX-License-Identifier: BSD-3-Clause
// One namespace of an NVMe controller as a disk. Satisfies
// block::DiscardingDevice.
//
// Contexts: as the controller: one caller at a time for all of its namespaces.
// Ownership: refers to the controller, which outlives it.
// Failure: see block::Error; the controller says more about the last kIo.
#pragma once

#include <cstdint>

#include "lib/base/annotations.h"
#include "lib/base/bytes.h"
#include "lib/block/device.h"
#include "lib/nvme/controller.h"
#include "lib/nvme/identify.h"

namespace odo::nvme {

template <driver::Registers R, driver::DriverGround G>
class Namespace {
 public:
  Namespace(Controller<R, G>& controller, std::uint32_t id,
            const NamespaceShape& shape)
      : controller_(controller), id_(id), shape_(shape) {}

  [[nodiscard]] std::uint64_t size_bytes() const { return shape_.size_bytes; }
  [[nodiscard]] std::uint32_t block_bytes() const { return shape_.block_bytes; }
  // Every write() is refused.
  [[nodiscard]] bool is_read_only() const { return shape_.is_read_only; }

  ODO_MAY_BLOCK [[nodiscard]] block::Result<void> read(
      std::uint64_t offset_bytes, MutableBytes to) {
    ODO_TRY_VOID(check(offset_bytes, to.size()));
    return controller_.read(id_, shape_.block_bytes, offset_bytes, to);
  }

  ODO_MAY_BLOCK [[nodiscard]] block::Result<void> write(
      std::uint64_t offset_bytes, Bytes from) {
    ODO_TRY_VOID(check(offset_bytes, from.size()));
    if (shape_.is_read_only) return fail(block::Error::kReadOnly);
    return controller_.write(id_, shape_.block_bytes, offset_bytes, from);
  }

  ODO_MAY_BLOCK [[nodiscard]] block::Result<void> flush() {
    return controller_.flush(id_);
  }

  ODO_MAY_BLOCK [[nodiscard]] block::Result<void> discard(
      std::uint64_t offset_bytes, std::uint64_t length_bytes) {
    ODO_TRY_VOID(check(offset_bytes, length_bytes));
    if (shape_.is_read_only) return fail(block::Error::kReadOnly);
    return controller_.discard(id_, shape_.block_bytes, offset_bytes,
                               length_bytes);
  }

 private:
  [[nodiscard]] block::Result<void> check(std::uint64_t offset_bytes,
                                          std::uint64_t length_bytes) const {
    return block::check_request(offset_bytes, length_bytes, shape_.size_bytes,
                                shape_.block_bytes);
  }

  Controller<R, G>& controller_;
  std::uint32_t id_;
  NamespaceShape shape_;
};

}  // namespace odo::nvme
