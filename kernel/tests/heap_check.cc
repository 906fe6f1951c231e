// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/tests/heap_check.h"

#include <array>
#include <cstddef>
#include <cstdint>

#include "kernel/x86_64/heap.h"
#include "kernel/x86_64/log.h"
#include "kernel/x86_64/power.h"
#include "kernel/x86_64/ram.h"
#include "lib/base/check.h"
#include "lib/frames/frame_allocator.h"

namespace odo::kernel {
namespace {

using x86::kernel_heap;

// So many fill a chunk but for its header and a few pages.
constexpr std::size_t kPieceBytes = std::size_t{64} << 10;

// The object's own number, in its first and its last bytes: 16 at the least.
struct Stamped {
  std::byte* object = nullptr;
  std::size_t bytes = 0;
  std::uint64_t number = 0;

  void write() const {
    __builtin_memcpy(object, &number, sizeof(number));
    __builtin_memcpy(object + bytes - sizeof(number), &number, sizeof(number));
  }
  void check_and_free() const {
    ODO_CHECK(__builtin_memcmp(object, &number, sizeof(number)) == 0);
    ODO_CHECK(__builtin_memcmp(object + bytes - sizeof(number), &number,
                               sizeof(number)) == 0);
    kernel_heap().free(object);
  }
};

// xorshift64: the same numbers at each boot.
class Numbers {
 public:
  std::uint64_t next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
  }

 private:
  std::uint64_t state_ = 0x6f646f6e61746121;
};

// Objects of up to 256 KiB, small ones the most, that come and go.
void churn() {
  constexpr std::size_t kObjects = 256;
  constexpr int kSteps = 20'000;
  static constinit std::array<Stamped, kObjects> objects{};
  Numbers numbers;
  for (int step = 0; step < kSteps; ++step) {
    Stamped& one = objects[numbers.next() % kObjects];
    if (one.object != nullptr) {
      one.check_and_free();
      one.object = nullptr;
      continue;
    }
    const std::size_t most = std::size_t{16} << (numbers.next() % 15);
    one.bytes = 16 + numbers.next() % most;
    const std::size_t alignment = std::size_t{8} << (numbers.next() % 10);
    one.object =
        static_cast<std::byte*>(kernel_heap().allocate(one.bytes, alignment));
    if (one.object == nullptr) continue;
    ODO_CHECK(reinterpret_cast<std::uintptr_t>(one.object) % alignment == 0);
    one.number = numbers.next();
    one.write();
  }
  for (Stamped& one : objects) {
    if (one.object != nullptr) one.check_and_free();
    one = {};
  }
}

// What is to be zeroed is, though RAM comes as it is.
void check_zeroed() {
  for (const std::size_t bytes :
       {std::size_t{100}, std::size_t{100'000}, std::size_t{3'000'000}}) {
    for (int round = 0; round < 2; ++round) {
      auto* object =
          static_cast<std::byte*>(kernel_heap().allocate_zeroed(bytes));
      ODO_CHECK(object != nullptr);
      for (std::size_t i = 0; i < bytes; ++i) {
        ODO_CHECK(object[i] == std::byte{0});
      }
      __builtin_memset(object, 0xa5, bytes);
      kernel_heap().free(object);
    }
  }
}

// All of the RAM in pieces, each with the address of the one before in it; how
// many there were.
std::uint64_t exhaust() {
  struct Piece {
    Piece* before;
    std::uint64_t number;
  };
  Piece* last = nullptr;
  std::uint64_t count = 0;
  while (void* memory = kernel_heap().allocate(kPieceBytes)) {
    last = ::new (memory) Piece{last, count++};
  }
  for (std::uint64_t left = count; left != 0;) {
    ODO_CHECK(last != nullptr && last->number == --left);
    Piece* before = last->before;
    kernel_heap().free(last);
    last = before;
  }
  return count;
}

struct Moment {
  std::uint64_t free_frames = x86::ram_stats().free_frames;
  x86::HeapStats heap = kernel_heap().stats();
};

}  // namespace

void check_heap() {
  std::uint64_t pieces = 0;
  const auto round = [&] {
    churn();
    check_zeroed();
    pieces = exhaust();
    kernel_heap().reclaim();
    return Moment{};
  };
  const Moment start;
  const Moment first = round();
  const Moment second = round();
  for (const Moment& after : {first, second}) {
    ODO_CHECK(after.heap.objects == start.heap.objects);
    ODO_CHECK(after.heap.object_bytes == start.heap.object_bytes);
  }
  ODO_CHECK(second.heap.mapped_bytes == first.heap.mapped_bytes);
  ODO_CHECK(second.free_frames == first.free_frames);
  ODO_CHECK(second.heap.returned_bytes > first.heap.returned_bytes);
  // One chunk of each kind stays at hand, whatever was given out.
  ODO_CHECK(first.heap.mapped_bytes <=
            start.heap.mapped_bytes + 2 * kmalloc::kChunkBytes);
  x86::log("heap: ", pieces * kPieceBytes >> 20, " MiB given out and back, ",
           second.heap.mapped_bytes >> 20, " MiB kept\n");
  x86::power_off(0);
}

}  // namespace odo::kernel
