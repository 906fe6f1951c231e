// SPDX-License-Identifier: BSD-3-Clause
// The allocator against a model of what is allocated: any bytes are a program
// of allocating, freeing and resizing through several lanes of one thread, of
// leaving lanes and taking them, and of pressure, with a page source that fails
// when the program says so.
//
// The model knows each allocation's place, size and contents: nothing may
// overlap, what is written stays, what is to be zero is; there is no null but
// where the source had nothing; and in the end everything goes back to it.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/kmalloc/heap.h"
#include "lib/kmalloc/host/ground.h"

namespace odo::kmalloc {
namespace {

// Zero where the input has ended.
class Input {
 public:
  explicit Input(Bytes bytes) : rest_(bytes) {}
  [[nodiscard]] bool is_empty() const { return rest_.empty(); }
  std::size_t next() {
    if (rest_.empty()) return 0;
    const auto byte = std::to_integer<std::size_t>(rest_[0]);
    rest_ = rest_.subspan(1);
    return byte;
  }

 private:
  Bytes rest_;
};

// The host's memory, as long as there is any.
struct Source {
  std::map<void*, std::size_t> mapped;
  std::size_t good_maps = ~std::size_t{0};  // before one fails
  bool refuses_release = false;
  bool has_failed = false;  // since somebody cleared this
};
Source* source = nullptr;

class FuzzGround : public HostGround {
 public:
  [[nodiscard]] void* map(std::size_t bytes, std::size_t alignment) const {
    ODO_CHECK(bytes % kPageBytes == 0 && alignment % kPageBytes == 0);
    if (source->good_maps == 0) {
      source->good_maps = ~std::size_t{0};
      source->has_failed = true;
      return nullptr;
    }
    --source->good_maps;
    void* memory = HostGround::map(bytes, alignment);
    if (memory == nullptr) {
      source->has_failed = true;
      return nullptr;
    }
    ODO_CHECK(reinterpret_cast<std::uintptr_t>(memory) % alignment == 0);
    source->mapped[memory] = bytes;
    return memory;
  }
  void unmap(void* memory, std::size_t bytes) const {
    const auto it = source->mapped.find(memory);
    ODO_CHECK(it != source->mapped.end() && it->second == bytes);
    source->mapped.erase(it);
    HostGround::unmap(memory, bytes);
  }
  [[nodiscard]] bool release(void* memory, std::size_t bytes) const {
    return !source->refuses_release && HostGround::release(memory, bytes);
  }
};

class World {
 public:
  World() {
    source = &source_;
    heap_.emplace(FuzzGround());
  }
  ~World() { source = nullptr; }

  void run(Input input) {
    for (int steps = 0; !input.is_empty() && steps < 2000; ++steps) {
      source_.has_failed = false;
      step(input);
    }
    finish();
  }

 private:
  using HeapT = Heap<FuzzGround>;
  using LaneT = Lane<FuzzGround>;
  static constexpr std::size_t kLanes = 4;
  static constexpr std::size_t kMostBlocks = 600;
  static constexpr std::size_t kMostBytes = std::size_t{64} * 1024 * 1024;

  struct Block {
    std::size_t bytes = 0;  // asked for
    std::size_t usable = 0;
    std::size_t alignment = 8;
    unsigned char fill = 0;
  };
  using Blocks = std::map<std::uintptr_t, Block>;

  void step(Input& input) {
    const std::size_t how = input.next();
    LaneT* lane = lane_of(how / 16 % kLanes);
    if (lane == nullptr) return;
    const auto own = [lane] { return lane; };
    switch (how % 16) {
      case 0:
      case 1:
      case 2: {
        const std::size_t bytes = size(input);
        if (has_room(bytes)) {
          took(heap_->allocate(*lane, bytes, own), bytes, 1, input);
        }
        return;
      }
      case 3: {
        const std::size_t bytes = size(input);
        const std::size_t alignment = std::size_t{1} << input.next() % 23;
        if (has_room(bytes + alignment)) {
          took(heap_->allocate_aligned(*lane, bytes, alignment, own), bytes,
               alignment, input);
        }
        return;
      }
      case 4: {
        const std::size_t bytes = size(input);
        if (!has_room(bytes)) return;
        void* object = heap_->allocate_zeroed(*lane, bytes, own);
        if (object != nullptr) expect_filled(object, bytes, 0);
        took(object, bytes, 1, input);
        return;
      }
      case 5:
        allocate_batch(*lane, input);
        return;
      case 6:
      case 7:
      case 8:
        if (!blocks_.empty()) {
          heap_->free(*lane, gone(any(input)), own);
        } else {
          heap_->free(*lane, nullptr, own);
        }
        return;
      case 9:
        if (!blocks_.empty()) free_sized(*lane, any(input));
        return;
      case 10:
        free_batch(*lane, input);
        return;
      case 11:
        if (!blocks_.empty()) resize(any(input), input);
        return;
      case 12:
        heap_->leave_lane(*lane);
        lanes_[how / 16 % kLanes] = nullptr;
        return;
      case 13:
        lane->flush();
        return;
      case 14: {
        const std::size_t target = std::size_t{1} << input.next() % 28;
        (void)heap_->reclaim(*lane, target);
        return;
      }
      default:
        trouble(input.next());
        return;
    }
  }
  // What the page source does from now on.
  void trouble(std::size_t how) {
    if (how % 8 == 7) {
      source_.refuses_release = how / 8 % 2 != 0;
    } else {
      source_.good_maps = how / 8 % 8;
    }
  }
  [[nodiscard]] LaneT* lane_of(std::size_t number) {
    LaneT*& lane = lanes_[number];
    if (lane != nullptr) return lane;
    lane = heap_->take_lane();
    ODO_CHECK(lane != nullptr || source_.has_failed);
    ODO_CHECK(lane == nullptr ||
              std::count(lanes_.begin(), lanes_.end(), lane) == 1);
    return lane;
  }

  // Two bytes: of a kind, and how much.
  [[nodiscard]] static std::size_t size(Input& input) {
    const std::size_t kind = input.next();
    const std::size_t much = input.next();
    switch (kind % 8) {
      case 0:
      case 1:
      case 2:  // small
        return much * (1 + kind / 8 % 8);
      case 3:
      case 4:  // any class
        return much * 130 + kind / 8;
      case 5:  // about the largest class, or a page's end
        return kMaxSmallBytes + (kind / 8) * kPageBytes - 128 + much;
      case 6:  // pages
        return much * kPageBytes + kind / 8;
      default:  // about the largest run, and beyond
        return (1 + kind / 8 % 4) * (std::size_t{1024} * 1024) - 128 + much;
    }
  }
  [[nodiscard]] bool has_room(std::size_t bytes) const {
    return blocks_.size() < kMostBlocks && in_use_ + bytes <= kMostBytes;
  }
  [[nodiscard]] Blocks::iterator any(Input& input) {
    const std::size_t pick = input.next() * 7 % blocks_.size();
    return std::next(blocks_.begin(), static_cast<std::ptrdiff_t>(pick));
  }

  // --- the model -------------------------------------------------------------
  void took(void* object, std::size_t bytes, std::size_t alignment,
            Input& input) {
    if (object == nullptr) {
      ODO_CHECK(source_.has_failed);
      return;
    }
    const auto at = reinterpret_cast<std::uintptr_t>(object);
    alignment = alignment < 8 ? 8 : alignment;
    ODO_CHECK(at % alignment == 0);
    Block block{bytes, heap_->usable_bytes(object), alignment,
                static_cast<unsigned char>(input.next())};
    ODO_CHECK(block.usable >= bytes);
    const auto it = blocks_.emplace(at, block).first;
    expect_alone(it);
    in_use_ += block.usable;
    fill(it);
  }
  // It is about to be freed.
  [[nodiscard]] void* gone(Blocks::iterator it) {
    expect_intact(it);
    in_use_ -= it->second.usable;
    void* object = pointer(it);
    // Whatever a user leaves behind.
    stamp(object, it->second.bytes, 0xa5);
    blocks_.erase(it);
    return object;
  }
  void expect_alone(Blocks::iterator it) const {
    const std::uintptr_t end = it->first + it->second.usable;
    const auto next = std::next(it);
    ODO_CHECK(next == blocks_.end() || end <= next->first);
    if (it == blocks_.begin()) return;
    const auto before = std::prev(it);
    ODO_CHECK(before->first + before->second.usable <= it->first);
  }
  [[nodiscard]] static void* pointer(Blocks::const_iterator it) {
    return reinterpret_cast<void*>(it->first);
  }
  void fill(Blocks::iterator it) {
    stamp(pointer(it), it->second.bytes, it->second.fill);
  }
  void expect_intact(Blocks::const_iterator it) const {
    ODO_CHECK(heap_->usable_bytes(pointer(it)) == it->second.usable);
    expect_stamped(pointer(it), it->second.bytes, it->second.fill);
  }

  // Of what is large, the beginning and the end of each page.
  template <class F>
  static void for_parts(std::size_t bytes, F f) {
    if (bytes <= kPageBytes) {
      f(std::size_t{0}, bytes);
    } else {
      for_edges(bytes, f);
    }
  }
  template <class F>
  static void for_edges(std::size_t bytes, F f) {
    constexpr std::size_t kEdge = 16;
    for (std::size_t at = 0; at < bytes; at += kPageBytes) {
      const std::size_t here = std::min(bytes - at, kPageBytes);
      f(at, std::min(here, kEdge));
      f(at + here - std::min(here, kEdge), std::min(here, kEdge));
    }
  }
  static void stamp(void* object, std::size_t bytes, unsigned char value) {
    auto* data = static_cast<unsigned char*>(object);
    for_parts(bytes, [&](std::size_t at, std::size_t count) {
      std::memset(data + at, value, count);
    });
  }
  static void expect_stamped(const void* object, std::size_t bytes,
                             unsigned char value) {
    const auto* data = static_cast<const unsigned char*>(object);
    for_parts(bytes, [&](std::size_t at, std::size_t count) {
      expect_filled(data + at, count, value);
    });
  }
  // What both sizes have of it.
  static void expect_kept(const void* object, const Block& block,
                          std::size_t bytes) {
    const std::size_t both = std::min(block.bytes, bytes);
    const auto* data = static_cast<const unsigned char*>(object);
    if (block.bytes <= kPageBytes) {
      expect_filled(data, both, block.fill);
      return;
    }
    for_edges(both / kPageBytes * kPageBytes,
              [&](std::size_t at, std::size_t count) {
                expect_filled(data + at, count, block.fill);
              });
  }
  static void expect_filled(const void* object, std::size_t bytes,
                            unsigned char value) {
    const auto* data = static_cast<const unsigned char*>(object);
    ODO_CHECK(bytes == 0 || (data[0] == value &&
                             std::memcmp(data, data + 1, bytes - 1) == 0));
  }

  // --- more than one line ----------------------------------------------------
  void allocate_batch(LaneT& lane, Input& input) {
    const std::size_t bytes = size(input);
    std::array<void*, 64> objects{};
    const std::size_t count = 1 + input.next() % objects.size();
    if (!has_room(bytes * count)) return;
    const std::size_t have =
        heap_->allocate_batch(lane, bytes, std::span(objects).first(count),
                              [&lane] { return &lane; });
    ODO_CHECK(have == count || source_.has_failed);
    for (std::size_t i = 0; i < have; ++i) took(objects[i], bytes, 1, input);
  }
  void free_batch(LaneT& lane, Input& input) {
    std::array<void*, 64> objects{};
    const std::size_t count = input.next() % objects.size();
    std::size_t have = 0;
    while (have < count && !blocks_.empty()) objects[have++] = gone(any(input));
    heap_->free_batch(lane, std::span(objects).first(have),
                      [&lane] { return &lane; });
  }
  void free_sized(LaneT& lane, Blocks::iterator it) {
    const Block& block = it->second;
    // A small one that was resized, or has the place of a large one for its
    // alignment, has no size to name but its class's.
    const std::size_t bytes =
        block.usable <= kMaxSmallBytes ? block.usable : block.bytes;
    const bool can = block.usable <= kMaxSmallBytes || bytes > kMaxSmallBytes;
    void* object = gone(it);
    const auto own = [&lane] { return &lane; };
    if (can) {
      heap_->free_sized(lane, object, bytes, own);
    } else {
      heap_->free(lane, object, own);
    }
  }
  void resize(Blocks::iterator it, Input& input) {
    Block& block = it->second;
    const std::size_t kind = input.next();
    std::size_t bytes = 0;
    if (kind % 4 == 0) {
      bytes = size(input);
    } else {  // about what it may use already
      const std::size_t step = kind % 4 == 1 ? 1 : kPageBytes;
      const std::size_t by = input.next() % 128 * step;
      bytes = kind >= 128 ? block.usable + by
                          : block.usable - std::min(block.usable, by);
    }
    if (bytes > block.usable && !has_room(bytes)) return;
    const bool done = heap_->resize(pointer(it), bytes);
    if (!done) {
      expect_intact(it);
      return;
    }
    in_use_ -= block.usable;
    expect_kept(pointer(it), block, bytes);
    block.usable = heap_->usable_bytes(pointer(it));
    ODO_CHECK(block.usable >= bytes);
    block.bytes = bytes;
    block.fill = static_cast<unsigned char>(input.next());
    expect_alone(it);
    in_use_ += block.usable;
    fill(it);
  }

  // Everything goes back.
  void finish() {
    source_.good_maps = ~std::size_t{0};
    source_.refuses_release = false;
    LaneT* lane = lane_of(0);
    if (lane == nullptr) return;  // the host has no memory
    while (!blocks_.empty()) {
      heap_->free(*lane, gone(blocks_.begin()), [lane] { return lane; });
    }
    for (LaneT*& other : lanes_) {
      if (other == nullptr || other == lane) continue;
      heap_->leave_lane(*other);
      other = nullptr;
    }
    (void)heap_->reclaim(*lane, ~std::size_t{0});
    const ArenaCounts counts = heap_->counts();
    ODO_CHECK(counts.in_use == 0);
    ODO_CHECK(counts.kept == 0);
    heap_->leave_lane(*lane);
    heap_.reset();
    ODO_CHECK(source_.mapped.empty());
  }

  Source source_;
  std::optional<HeapT> heap_;
  std::array<LaneT*, kLanes> lanes_{};
  Blocks blocks_;
  std::size_t in_use_ = 0;  // by the blocks
};

}  // namespace
}  // namespace odo::kmalloc

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  odo::kmalloc::World world;
  world.run(odo::kmalloc::Input(
      odo::Bytes(reinterpret_cast<const std::byte*>(data), size)));
  return 0;
}
