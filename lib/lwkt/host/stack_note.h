// SPDX-License-Identifier: BSD-3-Clause
// What the sanitizers want to know of stacks that they did not make. Empty
// without them.
//
// Contexts: the CPU whose thread switches.
// Origin: sanitizer/common_interface_defs.h, sanitizer/tsan_interface.h.
#pragma once

#include <cstddef>
#include <span>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ODO_LWKT_ASAN 1
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if __has_feature(thread_sanitizer)
#define ODO_LWKT_TSAN 1
#include <sanitizer/tsan_interface.h>
#endif
#endif

namespace odo::lwkt {

class StackNote {
 public:
  StackNote() = default;
  StackNote(const StackNote&) = delete;
  StackNote& operator=(const StackNote&) = delete;

#if defined(ODO_LWKT_ASAN)
  // An empty stack is the one that we are on.
  void make(std::span<std::byte> stack) {
    bottom_ = stack.data();
    bytes_ = stack.size();
    if (!stack.empty()) __asan_unpoison_memory_region(bottom_, bytes_);
  }
  static void before_switch(StackNote& from, StackNote& to, bool ends) {
    came_from_ = &from;
    // Nobody returns from its frames, and the stack is another thread's next.
    if (ends) __asan_unpoison_memory_region(from.bottom_, from.bytes_);
    __sanitizer_start_switch_fiber(ends ? nullptr : &from.fake_, to.bottom_,
                                   to.bytes_);
  }
  static void after_switch(StackNote& now) {
    const void* bottom = nullptr;
    std::size_t bytes = 0;
    __sanitizer_finish_switch_fiber(now.fake_, &bottom, &bytes);
    // A CPU's own stack is learnt from the first switch away from it.
    if (came_from_->bytes_ == 0) {
      came_from_->bottom_ = bottom;
      came_from_->bytes_ = bytes;
    }
  }

 private:
  inline static thread_local StackNote* came_from_ = nullptr;
  void* fake_ = nullptr;
  const void* bottom_ = nullptr;
  std::size_t bytes_ = 0;
#elif defined(ODO_LWKT_TSAN)
  ~StackNote() {
    if (made_) __tsan_destroy_fiber(fiber_);
  }
  void make(std::span<std::byte> stack) {
    made_ = !stack.empty();
    fiber_ = made_ ? __tsan_create_fiber(0) : __tsan_get_current_fiber();
  }
  // Synchronizing (flag 0): threads of one CPU come one after the other.
  // Inlined: at its end a function would leave the other stack's record.
  [[gnu::always_inline]] static void before_switch(StackNote& /*from*/,
                                                   StackNote& to,
                                                   bool /*ends*/) {
    __tsan_switch_to_fiber(to.fiber_, 0);
  }
  static void after_switch(StackNote& /*now*/) {}

 private:
  void* fiber_ = nullptr;
  bool made_ = false;
#else
  void make(std::span<std::byte> /*stack*/) {}
  static void before_switch(StackNote& /*from*/, StackNote& /*to*/,
                            bool /*ends*/) {}
  static void after_switch(StackNote& /*now*/) {}
#endif
};

}  // namespace odo::lwkt
