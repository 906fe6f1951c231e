// SPDX-License-Identifier: BSD-3-Clause
// A block device over a file descriptor of the host: a raw image or a disk.
//
// Contexts: thread. pread() and pwrite() keep no position, so any number of
//   threads may read and write at once; flushes go one after the other.
// Ownership: owns the descriptor and closes it.
// Units: the size is what the descriptor has when it is opened, rounded down to
//   whole blocks.
// Failure: create() answers an errno; read() answers kIo for every failed or
//   short read, write() and flush() for every failure, such as a descriptor
//   that isn't open for writing. After a flush() that failed all others do: the
//   kernel tells of what it has lost but once, to whoever asks first.
#pragma once

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>

#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/base/result.h"
#include "lib/block/device.h"
#include "lib/block/host/descriptor.h"

namespace odo::block {

class FileDevice {
 public:
  // Takes `descriptor`, which is open for reading, or for both.
  [[nodiscard]] static odo::Result<FileDevice, int> create(
      int descriptor, std::uint32_t block_bytes = kMinBlockBytes) {
    FileDevice device(descriptor, block_bytes);
    struct stat status = {};
    if (::fstat(descriptor, &status) != 0) return fail(errno);
    std::uint64_t size = static_cast<std::uint64_t>(status.st_size);
    device.is_disk_ = S_ISBLK(status.st_mode);
    if (device.is_disk_) {
      if (::ioctl(descriptor, BLKGETSIZE64, &size) != 0) return fail(errno);
    } else if (!S_ISREG(status.st_mode)) {
      return fail(EINVAL);
    }
    device.size_bytes_ = align_down(size, block_bytes);
    return device;
  }

  FileDevice(FileDevice&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, -1)),
        block_bytes_(other.block_bytes_),
        size_bytes_(other.size_bytes_),
        is_disk_(other.is_disk_),
        flushes_(std::move(other.flushes_)) {}
  FileDevice& operator=(FileDevice&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    block_bytes_ = other.block_bytes_;
    size_bytes_ = other.size_bytes_;
    is_disk_ = other.is_disk_;
    std::swap(flushes_, other.flushes_);
    return *this;
  }
  ~FileDevice() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

  [[nodiscard]] std::uint64_t size_bytes() const { return size_bytes_; }
  [[nodiscard]] std::uint32_t block_bytes() const { return block_bytes_; }

  [[nodiscard]] Result<void> read(std::uint64_t offset_bytes, MutableBytes to) {
    ODO_TRY_VOID(
        check_request(offset_bytes, to.size(), size_bytes_, block_bytes_));
    while (!to.empty()) {
      const ssize_t got = ::pread(descriptor_, to.data(), to.size(),
                                  static_cast<off_t>(offset_bytes));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return fail(Error::kIo);
      const auto n = static_cast<std::size_t>(got);
      to = to.subspan(n);
      offset_bytes += n;
    }
    return {};
  }

  [[nodiscard]] Result<void> write(std::uint64_t offset_bytes, Bytes from) {
    ODO_TRY_VOID(
        check_request(offset_bytes, from.size(), size_bytes_, block_bytes_));
    if (!write_at(descriptor_, offset_bytes, from)) return fail(Error::kIo);
    return {};
  }
  [[nodiscard]] Result<void> flush() {
    const std::scoped_lock turn(flushes_->mutex);
    flushes_->failed |= ::fdatasync(descriptor_) != 0;
    if (flushes_->failed) return fail(Error::kIo);
    return {};
  }

  // A hole in a file; a discard of a disk.
  [[nodiscard]] Result<void> discard(std::uint64_t offset_bytes,
                                     std::uint64_t length_bytes) {
    ODO_TRY_VOID(
        check_request(offset_bytes, length_bytes, size_bytes_, block_bytes_));
    if (length_bytes == 0) return {};
    int failed = 0;
    if (is_disk_) {
      std::array<std::uint64_t, 2> range = {offset_bytes, length_bytes};
      failed = ::ioctl(descriptor_, BLKDISCARD, range.data());
    } else {
      failed = ::fallocate(
          descriptor_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
          static_cast<off_t>(offset_bytes), static_cast<off_t>(length_bytes));
    }
    if (failed == 0) return {};
    return fail(errno == EOPNOTSUPP ? Error::kNotOffered : Error::kIo);
  }

  // The kernel reads the range into its page cache meanwhile.
  void will_read(std::uint64_t offset_bytes, std::uint64_t length_bytes) const {
    (void)::posix_fadvise(descriptor_, static_cast<off_t>(offset_bytes),
                          static_cast<off_t>(length_bytes),
                          POSIX_FADV_WILLNEED);
  }

 private:
  FileDevice(int descriptor, std::uint32_t block_bytes)
      : descriptor_(descriptor), block_bytes_(block_bytes) {}

  // Stays where it is when the device moves.
  struct Flushes {
    std::mutex mutex;
    bool failed = false;
  };

  int descriptor_;
  std::uint32_t block_bytes_;
  std::uint64_t size_bytes_ = 0;
  bool is_disk_ = false;
  std::unique_ptr<Flushes> flushes_ = std::make_unique<Flushes>();
};

static_assert(PrefetchingDevice<FileDevice>);
static_assert(DiscardingDevice<FileDevice>);

}  // namespace odo::block
