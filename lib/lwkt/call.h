// SPDX-License-Identifier: BSD-3-Clause
// Coroutines that wait for replies: many conversations on one thread.
//
//   Task greet(FrameArena& frames, CallPort<P, int, std::string_view> names) {
//     Reply<std::string_view> name = co_await names.call(7);
//     ...
//   }
//   CallLoop<P> loop(self);
//   if (!loop.run(greet(frames, loop.at(names)))) { ... no room ... }
//
// The message lies in the coroutine's frame: nothing is allocated for a call.
// An answer in place goes on at once, without a suspension. Frames come from
// the arena that is the coroutine's first argument; if it has no room the task
// is empty, which run() and start() answer with false.
//
// Contexts: the thread whose loop it is.
// Ownership: a task owns its frame; the loop borrows it until it is done.
// Failure: an arena without room is a result. A coroutine that ends with
// replies
//   outstanding is a broken invariant, as a frame may not go before its
//   message.
// Complexity: a call costs its message; the arena is a bump with a free list
// for
//   the size it gave last.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

#include "lib/base/check.h"
#include "lib/lwkt/thread_port.h"
#include "lib/lwkt/typed_port.h"

namespace odo::lwkt {

// Where frames live, in memory of the caller's. One thread's.
class FrameArena {
 public:
  explicit FrameArena(std::span<std::byte> memory) : left_(memory) {}
  FrameArena(const FrameArena&) = delete;
  FrameArena& operator=(const FrameArena&) = delete;

  // Null if there is no room.
  [[nodiscard]] void* take(std::size_t bytes) {
    bytes = (bytes + sizeof(Head) + kAlign - 1) / kAlign * kAlign;
    for (Head** at = &free_; *at != nullptr; at = &(*at)->next) {
      Head* found = *at;
      if (found->bytes != bytes) continue;
      *at = found->next;
      return found + 1;
    }
    const auto misplaced = reinterpret_cast<std::uintptr_t>(left_.data());
    const std::size_t skip = (kAlign - misplaced % kAlign) % kAlign;
    if (left_.size() < skip || left_.size() - skip < bytes) return nullptr;
    auto* head = new (left_.data() + skip) Head{this, nullptr, bytes};
    left_ = left_.subspan(skip + bytes);
    return head + 1;
  }
  // What any arena gave.
  static void give(void* frame) {
    Head* head = static_cast<Head*>(frame) - 1;
    head->next = head->arena->free_;
    head->arena->free_ = head;
  }

 private:
  struct alignas(16) Head {
    FrameArena* arena;
    Head* next;
    std::size_t bytes;
  };
  static constexpr std::size_t kAlign = 16;

  std::span<std::byte> left_;
  Head* free_ = nullptr;
};

// A coroutine that returns nothing. It begins when a loop starts it.
class [[nodiscard]] Task {
 public:
  // NOLINTNEXTLINE(readability-identifier-naming): the language asks for it
  struct promise_type {
    template <class... Rest>
    static void* operator new(std::size_t bytes, FrameArena& frames,
                              Rest&... /*rest*/) noexcept {
      return frames.take(bytes);
    }
    static void operator delete(void* frame) { FrameArena::give(frame); }

    static Task get_return_object_on_allocation_failure() { return Task(); }
    Task get_return_object() {
      return Task(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { ODO_PANIC("an exception in a task"); }
  };

  Task() = default;
  Task(Task&& other) noexcept
      : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&&) = delete;
  ~Task() {
    if (handle_ == nullptr) return;
    ODO_CHECK(handle_.done());
    handle_.destroy();
  }

  // False: there was no room for its frame.
  [[nodiscard]] bool exists() const { return handle_ != nullptr; }
  [[nodiscard]] bool done() const { return handle_.done(); }

 private:
  template <LwktPlatform>
  friend class CallLoop;
  explicit Task(std::coroutine_handle<promise_type> handle) : handle_(handle) {}

  std::coroutine_handle<promise_type> handle_ = nullptr;
};

template <class T>
struct Reply {
  Answer answer;
  T value;
};

template <LwktPlatform P>
class CallLoop;

// A port as the coroutines of one loop see it.
template <LwktPlatform P, class Request, class T>
class CallPort {
 public:
  using Target = TypedPort<P, Request, T>;
  CallPort(CallLoop<P>& loop, Target target) : loop_(&loop), target_(target) {}

  auto call(Request request, Where where = Where::current()) const {
    return typename CallLoop<P>::template Call<Request, T>(
        *loop_, target_, std::move(request), where);
  }

 private:
  CallLoop<P>* loop_;
  Target target_;
};

// Where a thread's coroutines wait for their replies.
template <LwktPlatform P>
class CallLoop {
 public:
  explicit CallLoop(Thread<P>& self, const char* name = "calls")
      : self_(&self), port_(self, name) {}

  // A question under way: awaited once, by a coroutine of this loop.
  template <class Request, class T>
  class [[nodiscard]] Call {
   public:
    Call(CallLoop& loop, TypedPort<P, Request, T> target, Request request,
         Where where)
        : loop_(&loop),
          target_(target),
          where_(where),
          message_(loop.port_, std::move(request)) {}
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

    bool await_ready() const noexcept { return false; }
    // Suspends unless the answer is there.
    bool await_suspend(std::coroutine_handle<> waiter) {
      message_.set_context(waiter.address());
      return target_.send(*loop_->self_, message_, where_) == kAsync;
    }
    Reply<T> await_resume() {
      return {message_.answer(), std::move(message_.reply)};
    }

   private:
    CallLoop* loop_;
    TypedPort<P, Request, T> target_;
    Where where_;
    TypedMessage<P, Request, T> message_;
  };

  template <class Request, class T>
  Call<Request, T> call(TypedPort<P, Request, T> target,
                        std::type_identity_t<Request> request,
                        Where where = Where::current()) {
    return Call<Request, T>(*this, target, std::move(request), where);
  }
  // The same as an object: co_await loop.at(names).call(7).
  template <class Request, class T>
  CallPort<P, Request, T> at(TypedPort<P, Request, T> target) {
    return {*this, target};
  }

  // Runs the task up to its first wait. False if it has no frame.
  [[nodiscard]] bool start(Task& task) {
    if (!task.exists()) return false;
    task.handle_.resume();
    return true;
  }
  // Goes on with whoever a reply comes for, until the task is done.
  void finish(Task& task) ODO_MAY_BLOCK {
    while (!task.done()) {
      std::coroutine_handle<>::from_address(port_.wait(*self_).context())
          .resume();
    }
  }
  // Both.
  [[nodiscard]] bool run(Task task) ODO_MAY_BLOCK {
    if (!start(task)) return false;
    finish(task);
    return true;
  }

 private:
  Thread<P>* self_;
  ThreadPort<P> port_;
};

}  // namespace odo::lwkt
