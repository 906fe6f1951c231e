// SPDX-License-Identifier: BSD-3-Clause
// The volumes of one filesystem as a space of blocks that can be read, proven,
// and written.
//
// Contexts: thread, one at a time; everything may block where devices do.
// Ownership: refers to the ground and the devices; what it takes from the
//   ground it gives back.
// Failure: hammer2::Error naming the block. After a failed write the medium
//   holds, of that block, anything.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>

#include "lib/base/bytes.h"
#include "lib/hammer2/block_store.h"
#include "lib/hammer2/check_codes.h"
#include "lib/hammer2/error.h"
#include "lib/hammer2/write/buffered_device.h"
#include "lib/hammer2/write/ground.h"
#include "lib/hammer2/write/memory.h"

namespace odo::hammer2::write {

template <Ground G>
class Media {
 public:
  using Device = typename G::Device;
  using Buffered = BufferedDevice<Device>;
  using Store = BlockStore<Buffered, VerifyChecks>;
  using Volume = typename VolumeSet<Buffered>::Volume;

  Media(G& ground, check::Checks checks)
      : ground_(ground), store_(VerifyChecks(checks)) {}
  Media(const Media&) = delete;
  Media& operator=(const Media&) = delete;
  ~Media() { close(); }

  // `cache_bytes` of memory for blocks that were read; raised to the least that
  // will do.
  [[nodiscard]] Result<void> open(std::span<Device* const> devices,
                                  std::size_t cache_bytes) {
    close();
    failed_ = false;
    if (devices.empty() || devices.size() > format::kMaxVolumes) {
      return fail(Error{.code = Code::kVolumeMissing});
    }
    std::array<Buffered*, format::kMaxVolumes> buffered = {};
    for (std::size_t i = 0; i < devices.size(); ++i) {
      ODO_TRY(const MutableBytes memory,
              take(sizeof(Buffered) + Buffered::kMemoryBytes));
      buffers_[i] = memory;
      buffered[i] = ::new (memory.data()) Buffered;
      buffered[i]->init(*devices[i], memory.subspan(sizeof(Buffered)));
    }
    cache_bytes = cache_bytes < Store::kMinMemoryBytes ? Store::kMinMemoryBytes
                                                       : cache_bytes;
    ODO_TRY(cache_, take(cache_bytes));
    return store_.open(std::span(buffered).first(devices.size()), cache_);
  }

  // Forgets all that wasn't flushed.
  void close() {
    give_back(cache_);
    for (MutableBytes& memory : buffers_) give_back(memory);
  }

  [[nodiscard]] Store& store() { return store_; }
  [[nodiscard]] const VolumeSet<Buffered>& volumes() const {
    return store_.volumes();
  }

  // All of it lies in one volume and in one 64 KiB extent, as blocks do.
  [[nodiscard]] Result<void> write(std::uint64_t offset, Bytes from) {
    const Volume* volume = volumes().find(offset, from.size());
    if (volume == nullptr) return fail(error_for(offset, from.size()));
    if (failed_) return fail(Error{.code = Code::kReadOnly});
    store_.note_write();
    return noted(told(volume->device->write(offset - volume->offset, from),
                      offset, from.size()));
  }

  // Reads whole device blocks; for what isn't a block that a blockref names.
  [[nodiscard]] Result<void> read(std::uint64_t offset, MutableBytes to) {
    const Volume* volume = volumes().find(offset, to.size());
    if (volume == nullptr) return fail(error_for(offset, to.size()));
    return told(volume->device->read(offset - volume->offset, to), offset,
                to.size());
  }

  // At least the smallest block of the format.
  [[nodiscard]] std::uint32_t coarsest_block_bytes() const {
    std::uint32_t most = format::kMinAllocBytes;
    for (const Volume& volume : volumes().all()) {
      most = std::max(most, volume.device->block_bytes());
    }
    return most;
  }

  // A write or a flush has failed: what is on the media since the last flush is
  // unknown, and nothing more is written.
  [[nodiscard]] bool failed() const { return failed_; }

  // Everything written to any volume is durable.
  [[nodiscard]] Result<void> flush() {
    ODO_TRY_VOID(drain());
    return noted(flush_devices());
  }
  // Everything written is in the devices' hands.
  [[nodiscard]] Result<void> drain() {
    if (failed_) return fail(Error{.code = Code::kReadOnly});
    for (const Volume& volume : volumes().all()) {
      ODO_TRY_VOID(noted(told(volume.device->drain(), volume.offset, 0)));
    }
    return {};
  }
  // The other half of flush(). Touches nothing but the devices: whoever calls
  // it beside others tells what came of it by note().
  [[nodiscard]] Result<void> flush_devices() const {
    for (const Volume& volume : volumes().all()) {
      ODO_TRY_VOID(told(volume.device->device().flush(), volume.offset, 0));
    }
    return {};
  }
  // A range that lies in one volume, and whose content nobody needs.
  [[nodiscard]] Result<void> discard(std::uint64_t offset, std::uint64_t bytes)
  requires block::DiscardingDevice<Device>
  {
    const Volume* volume = volumes().find(offset, bytes);
    if (volume == nullptr) return fail(error_for(offset, 0));
    return told(
        volume->device->device().discard(offset - volume->offset, bytes),
        offset, 0);
  }
  Result<void> note(const Result<void>& flushed) { return noted(flushed); }

 private:
  static constexpr std::size_t kAlign = 64;
  static_assert(alignof(Buffered) <= kAlign);

  [[nodiscard]] Result<MutableBytes> take(std::size_t bytes) {
    void* memory = ground_.allocate(bytes, kAlign);
    if (memory == nullptr) return fail(no_memory(bytes));
    return MutableBytes(static_cast<std::byte*>(memory), bytes);
  }
  void give_back(MutableBytes& memory) {
    if (!memory.empty()) {
      ground_.deallocate(memory.data(), memory.size(), kAlign);
    }
    memory = {};
  }

  [[nodiscard]] Result<void> noted(Result<void> result) {
    failed_ |= !result;
    return result;
  }
  [[nodiscard]] static Error error_for(std::uint64_t offset,
                                       std::size_t bytes) {
    Error error{.code = Code::kDeviceError};
    error.device = block::Error::kOutOfRange;
    error.offset = offset;
    error.bytes = static_cast<std::uint32_t>(bytes);
    return error;
  }
  [[nodiscard]] static Result<void> told(const block::Result<void>& result,
                                         std::uint64_t offset,
                                         std::size_t bytes) {
    if (result) return {};
    Error error = error_for(offset, bytes);
    error.device = result.error();
    return fail(error);
  }

  G& ground_;
  std::array<MutableBytes, format::kMaxVolumes> buffers_ = {};
  MutableBytes cache_;
  Store store_;
  bool failed_ = false;
};

}  // namespace odo::hammer2::write
