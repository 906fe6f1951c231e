// SPDX-License-Identifier: BSD-3-Clause
// Stacks of their own for simulated threads, all on one host thread.
//
// Contexts: one host thread. A fiber is entered by resume() from the stack that
// drives it and gives control back by Fiber::suspend(); a fiber never resumes
// another.
// Ownership: a Fiber owns its stack; stacks are kept for reuse by StackPool. A
// fiber that is dropped half-way is not unwound: objects on its stack are not
// destroyed. Simulated threads therefore own no host memory across an
// operation.
// Origin: System V x86-64 ABI, section 3.2.1: the registers that a call keeps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <utility>
#include <vector>

#include "lib/base/check.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define ODO_SIM_ASAN 1
#endif
#endif

namespace odo::sim {

namespace detail {

// Saves what a call must keep, stores the stack pointer, and continues on the
// other stack where that one stopped. MXCSR and the x87 control word stay: the
// simulation changes neither.
[[gnu::naked, gnu::noinline]] inline void switch_stack(
    [[maybe_unused]] void** save, [[maybe_unused]] void* load) {
  asm("push %rbp\n\t"
      "push %rbx\n\t"
      "push %r12\n\t"
      "push %r13\n\t"
      "push %r14\n\t"
      "push %r15\n\t"
      "mov %rsp, (%rdi)\n\t"
      "mov %rsi, %rsp\n\t"
      "pop %r15\n\t"
      "pop %r14\n\t"
      "pop %r13\n\t"
      "pop %r12\n\t"
      "pop %rbx\n\t"
      "pop %rbp\n\t"
      "ret");
}

}  // namespace detail

// Stacks of one size, handed out again after use.
class StackPool {
 public:
  static constexpr std::size_t kStackBytes = std::size_t{64} * 1024;

  StackPool() = default;
  StackPool(const StackPool&) = delete;
  StackPool& operator=(const StackPool&) = delete;
  ~StackPool() {
    for (void* stack : free_) std::free(stack);
  }

  [[nodiscard]] void* take() {
    if (!free_.empty()) {
      void* stack = free_.back();
      free_.pop_back();
      return stack;
    }
    void* stack = std::aligned_alloc(4096, kStackBytes);
    ODO_CHECK(stack != nullptr);
    return stack;
  }
  void give(void* stack) {
#if defined(ODO_SIM_ASAN)
    // A dropped fiber leaves its frames' red zones behind.
    __asan_unpoison_memory_region(stack, kStackBytes);
#endif
    free_.push_back(stack);
  }

 private:
  std::vector<void*> free_;
};

class Fiber {
 public:
  Fiber(StackPool& pool, std::function<void()> body)
      : pool_(pool), stack_(pool.take()), body_(std::move(body)) {
    // What switch_stack() pops: six registers, then the entry's address. The
    // slot above it is where a return address would be after a call.
    auto* top = reinterpret_cast<std::uintptr_t*>(static_cast<char*>(stack_) +
                                                  StackPool::kStackBytes);
    *--top = 0;
    *--top = reinterpret_cast<std::uintptr_t>(&Fiber::enter);
    for (int i = 0; i < 6; ++i) *--top = 0;
    sp_ = top;
  }
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;
  ~Fiber() { pool_.give(stack_); }

  [[nodiscard]] bool done() const { return done_; }

  // Runs the fiber until it suspends or ends.
  void resume() {
    ODO_ASSERT(!done_);
    running_ = this;
#if defined(ODO_SIM_ASAN)
    __sanitizer_start_switch_fiber(&driver_fake_, stack_,
                                   StackPool::kStackBytes);
#endif
    detail::switch_stack(&driver_sp_, sp_);
#if defined(ODO_SIM_ASAN)
    __sanitizer_finish_switch_fiber(driver_fake_, nullptr, nullptr);
#endif
    running_ = nullptr;
  }

  // From inside a fiber: back to whoever resumed it.
  static void suspend() {
    Fiber* self = running_;
#if defined(ODO_SIM_ASAN)
    __sanitizer_start_switch_fiber(self->done_ ? nullptr : &self->fake_,
                                   self->driver_stack_, self->driver_bytes_);
#endif
    detail::switch_stack(&self->sp_, self->driver_sp_);
#if defined(ODO_SIM_ASAN)
    __sanitizer_finish_switch_fiber(self->fake_, &self->driver_stack_,
                                    &self->driver_bytes_);
#endif
  }

 private:
  static void enter() {
    Fiber* self = running_;
#if defined(ODO_SIM_ASAN)
    __sanitizer_finish_switch_fiber(nullptr, &self->driver_stack_,
                                    &self->driver_bytes_);
#endif
    self->body_();
    self->done_ = true;
    suspend();
    __builtin_unreachable();
  }

  inline static Fiber* running_ = nullptr;

  StackPool& pool_;
  void* stack_;
  std::function<void()> body_;
  void* sp_ = nullptr;
  void* driver_sp_ = nullptr;
  bool done_ = false;
#if defined(ODO_SIM_ASAN)
  void* fake_ = nullptr;
  void* driver_fake_ = nullptr;
  const void* driver_stack_ = nullptr;
  std::size_t driver_bytes_ = 0;
#endif
};

}  // namespace odo::sim
