// SPDX-License-Identifier: BSD-3-Clause
// A reader of the mounted filesystem, and the blocks that all readers share.
//
// Contexts: Blocks any thread, a Reader one at a time.
// Bounds: Blocks keeps to the bytes that it is told; a Reader takes about
//   150 KiB beside, and a buffer as large as the kernel's longest request.
// Failure: h2::Failure where the images can't be opened, or where there is less
//   memory than the readers need at once.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/block/host/file_device.h"
#include "lib/hammer2/cache/frame.h"
#include "lib/hammer2/cache/objcache_frames.h"
#include "lib/hammer2/filesystem.h"
#include "lib/hammer2/shared_cache.h"
#include "lib/objcache/host/ground.h"
#include "lib/platform/host/host_platform.h"
#include "lib/tokens/host/thread_token.h"
#include "tools/h2/volume.h"
#include "tools/h2fuse/frame_backing.h"

namespace odo::h2fuse {

using Frames =
    hammer2::cache::ObjcacheFrames<objcache::HostGround, FrameBacking>;
using Cache =
    hammer2::SharedCache<platform::HostPlatform, tokens::ThreadToken, Frames>;
using FileSystem =
    hammer2::FileSystem<block::FileDevice, hammer2::VerifyChecks, Cache&>;

class Blocks {
 public:
  Blocks(std::size_t bytes, std::size_t readers)
      : mapping_(frames_in(bytes)),
        frames_(frames_in(bytes), {}, FrameBacking(mapping_)),
        tables_(Cache::table_bytes_for(frames_in(bytes))) {
    const auto made = cache_.init(tables_, frames_in(bytes), readers);
    if (!made) throw h2::Failure(h2::text_of(made.error()));
  }
  Blocks(const Blocks&) = delete;
  Blocks& operator=(const Blocks&) = delete;

  [[nodiscard]] Cache& cache() { return cache_; }

 private:
  [[nodiscard]] static std::size_t frames_in(std::size_t bytes) {
    return bytes / sizeof(hammer2::cache::FrameMemory);
  }

  FrameMapping mapping_;
  Frames frames_;
  std::vector<std::byte> tables_;
  Cache cache_{frames_};
};

class Reader {
 public:
  Reader(std::shared_ptr<const h2::Images> images, Cache& cache)
      : images_(std::move(images)),
        memory_(FileSystem::kMinMemoryBytes),
        fs_(hammer2::VerifyChecks(h2::host_checks()), cache) {
    const auto opened = fs_.open(images_->devices(), memory_);
    if (!opened) {
      throw h2::Failure(images_->name() + ": " + h2::text_of(opened.error()));
    }
  }

  [[nodiscard]] FileSystem& fs() { return fs_; }

  // Room for an answer of `bytes`; the kernel's longest request decides how
  // large it becomes.
  [[nodiscard]] MutableBytes room(std::size_t bytes) {
    if (buffer_.size() < bytes) buffer_.resize(bytes);
    return MutableBytes(buffer_).first(bytes);
  }

 private:
  std::shared_ptr<const h2::Images> images_;
  std::vector<std::byte> memory_;
  FileSystem fs_;
  std::vector<std::byte> buffer_;
};

}  // namespace odo::h2fuse
