// SPDX-License-Identifier: BSD-3-Clause
// The simulated ground of the shared cache: a token of few steps, frames that
// notice who touches them, and a reader's way through a cache.
//
// Contexts: inside an execution, or in its set-up.
// Ownership: a World belongs to one execution. Its cache is not destroyed: a
//   failed execution leaves threads in the middle of things.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "lib/base/annotations.h"
#include "lib/hammer2/shared_cache.h"
#include "lib/platform/sim/memory_source.h"
#include "lib/platform/sim/sim_platform.h"

namespace odo::hammer2 {

using sim::Engine;

// What a token promises about one shard, in few steps: tokens themselves are
// proved in lib/tokens. Words are changed by read-modify-writes alone, so that
// each finds the newest; who holds the token is decided in the same step.
// Readers order nothing among themselves, as those in lanes don't.
class ODO_CAPABILITY("token") SimToken {
 public:
  explicit SimToken(const tokens::TokenClass& /*kind*/) {}

  void lock() ODO_ACQUIRE() ODO_NO_THREAD_SAFETY_ANALYSIS {
    for (;;) {
      // Acquire, with the release in unlock().
      (void)writers_.fetch_add(0, std::memory_order_acquire);
      if (!std::exchange(written_, true)) break;
      Engine::current().relax();
    }
    for (;;) {
      // Acquire, with the release in unlock_shared().
      (void)readers_.fetch_add(0, std::memory_order_acquire);
      if (reading_ == 0) break;
      Engine::current().relax();
    }
  }
  void unlock() ODO_RELEASE() ODO_NO_THREAD_SAFETY_ANALYSIS {
    // Release, with the acquires of writers_.
    (void)writers_.fetch_add(1, std::memory_order_release);
    written_ = false;
  }
  void lock_shared() ODO_ACQUIRE_SHARED() ODO_NO_THREAD_SAFETY_ANALYSIS {
    for (;;) {
      // Acquire, with the release in unlock().
      (void)writers_.fetch_add(0, std::memory_order_acquire);
      if (!written_) break;
      Engine::current().relax();
    }
    ++reading_;
  }
  void unlock_shared() ODO_RELEASE_SHARED() ODO_NO_THREAD_SAFETY_ANALYSIS {
    // Release, with the acquire of readers_.
    (void)readers_.fetch_add(1, std::memory_order_release);
    --reading_;
  }

 private:
  sim::SimAtomic<std::uint32_t> writers_{0};
  sim::SimAtomic<std::uint32_t> readers_{0};
  bool written_ = false;
  unsigned reading_ = 0;
};

// Frames whose halves are watched: programs use blocks of 32 KiB.
class SimFrames {
 public:
  static constexpr unsigned kRadix = 15;
  static constexpr std::size_t kBlockBytes = std::size_t{1} << kRadix;

  [[nodiscard]] cache::FrameMemory* take() {
    void* const at = memory_.allocate(sizeof(cache::FrameMemory),
                                      alignof(cache::FrameMemory));
    if (at == nullptr) return nullptr;
    auto* const memory = ::new (at) cache::FrameMemory();
    frames_.push_back(std::make_unique<Watched>(memory));
    return memory;
  }
  void give(cache::FrameMemory& memory) {
    // Whoever still reads it is in a race with this.
    for (std::size_t i = 0; i < kBlocks; ++i) {
      content(memory.bytes + i * kBlockBytes).set(0);
    }
    memory_.free(&memory);
  }
  void release_idle() {}

  // What stands for the bytes of the block there.
  [[nodiscard]] sim::Plain<std::uint64_t>& content(const std::byte* at) {
    for (const auto& frame : frames_) {
      for (std::size_t i = 0; i < kBlocks; ++i) {
        if (at == frame->memory->bytes + i * kBlockBytes) {
          return frame->content[i];
        }
      }
    }
    ODO_PANIC("a block that is in no frame");
  }
  [[nodiscard]] std::size_t live() const { return memory_.live(); }

 private:
  static constexpr std::size_t kBlocks = cache::kFrameBytes / kBlockBytes;

  struct Watched {
    explicit Watched(cache::FrameMemory* at) : memory(at) {}
    cache::FrameMemory* memory;
    sim::Plain<std::uint64_t> content[kBlocks];
  };

  sim::MemorySource memory_{sim::MemorySource::Failure::kNever,
                            sim::MemorySource::Freed::kKept};
  std::vector<std::unique_ptr<Watched>> frames_;
};

// A cache of a few frames, without a promise of room.
class World {
 public:
  using Cache = SharedCache<sim::SimPlatform, SimToken, SimFrames>;

  explicit World(std::size_t frames) : tables_(Cache::table_bytes_for(frames)) {
    cache_ = ::new (place_) Cache(frames_);
    ODO_CHECK(cache_->init(tables_, frames, 0).has_value());
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  ~World() = default;

  [[nodiscard]] static BlockId id_of(std::uint64_t number) {
    BlockId id;
    id.data_off = number << 16 | SimFrames::kRadix;
    return id;
  }

  // The block, if it is there.
  [[nodiscard]] Cache::Pin find(std::uint64_t number) {
    Cache::Pin pin = cache_->find(id_of(number));
    if (pin.held()) expect(pin, number);
    return pin;
  }
  // The block, read if it isn't there; not held where there is no room.
  [[nodiscard]] Cache::Pin fetch(std::uint64_t number) {
    Cache::Pin pin = find(number);
    if (pin.held()) return pin;
    const Cache::Room room = cache_->reserve(id_of(number), SimFrames::kRadix);
    if (!room.held()) return {};
    frames_.content(room.space().data()).set(number);
    pin = cache_->publish(room, id_of(number),
                          static_cast<std::uint32_t>(number));
    expect(pin, number);
    return pin;
  }
  // A block that turns out to be damaged.
  void fetch_in_vain(std::uint64_t number) {
    const Cache::Room room = cache_->reserve(id_of(number), SimFrames::kRadix);
    if (!room.held()) return;
    frames_.content(room.space().data()).set(number);
    cache_->discard(room, id_of(number));
  }
  // Looks at a pinned block again.
  void expect(const Cache::Pin& pin, std::uint64_t number) {
    if (frames_.content(pin.bytes().data()).get() != number ||
        pin.count() != number) {
      Engine::current().fail("a pinned block is another one");
    }
  }
  // What only a program that is wrong does.
  void expect_bytes(Bytes block, std::uint64_t number) {
    if (frames_.content(block.data()).get() != number) {
      Engine::current().fail("a block is another one");
    }
  }
  void overwrite(Bytes block, std::uint64_t number) {
    frames_.content(block.data()).set(number);
  }

  void reclaim(std::size_t target) {
    if (cache_->reclaim(target) > target) {
      Engine::current().fail("reclaimed more than asked for");
    }
  }

  // Runs to the end, and then no pin is lost and no frame: all can be had back.
  void finish(Engine& m) {
    if (m.run() != Engine::Outcome::kFinished) return;
    const std::size_t live = frames_.live();
    if (live > cache_->frames()) return m.fail("more frames than the limit");
    if (cache_->reclaim(~std::size_t{0}) != live) m.fail("a pin was lost");
    if (frames_.live() != 0) m.fail("a frame was lost");
  }

 private:
  SimFrames frames_;
  std::vector<std::byte> tables_;
  alignas(Cache) std::byte place_[sizeof(Cache)];
  Cache* cache_ = nullptr;
};

}  // namespace odo::hammer2
