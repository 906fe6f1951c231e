// SPDX-License-Identifier: BSD-3-Clause
// Threads for the checker: an executor (lib/hammer2/check/executor.h) whose
// first worker is the caller.
//
// The caller waits for pieces that somebody has begun, not for threads: on a
// busy machine one that wakes up late finds nothing left and delays nobody.
//
// Contexts: run() in one thread at a time. A piece must not throw.
// Invariants:
//   T1. a piece is claimed by moving ticket_ on, which holds the round's number
//       beside that of the pieces left, so that nobody claims a piece of
//       another round.
//   T2. run() returns when finished_ has counted every piece; only then may
//       piece_ and pieces_ change.
// Ordering: run() stores ticket_ with release after piece_, pieces_ and
//   finished_; a claim acquires it. Who finishes a piece adds to finished_ with
//   release, and run() acquires that.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace odo::h2 {

class ThreadPool {
 public:
  explicit ThreadPool(std::size_t workers) {
    for (std::size_t i = 1; i < std::max<std::size_t>(workers, 1); ++i) {
      threads_.emplace_back([this, i] { serve(i); });
    }
  }
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  ~ThreadPool() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  [[nodiscard]] std::size_t workers() const { return threads_.size() + 1; }

  template <class Piece, class Meanwhile>
  void run(std::size_t pieces, const Piece& piece, const Meanwhile& meanwhile) {
    // Waking somebody takes longer than a piece or two.
    if (threads_.empty() || pieces < 3) {
      meanwhile();
      for (std::size_t i = 0; i < pieces; ++i) piece(i, std::size_t{0});
      return;
    }
    piece_ = std::cref(piece);
    pieces_ = static_cast<std::uint32_t>(pieces);
    finished_.store(0, std::memory_order_relaxed);  // published by ticket_
    std::uint32_t round = 0;
    {
      const std::lock_guard lock(mutex_);
      round = ++round_;
      ticket_.store(std::uint64_t{round} << 32 | pieces_,
                    std::memory_order_release);
    }
    wake_.notify_all();
    meanwhile();
    work(round, 0);
    std::unique_lock lock(mutex_);
    done_.wait(lock, [&] {
      return finished_.load(std::memory_order_acquire) == pieces;
    });
  }

 private:
  // The number of a piece of that round, if one is left.
  std::optional<std::uint32_t> claim(std::uint32_t round) {
    std::uint64_t ticket = ticket_.load(std::memory_order_acquire);
    for (;;) {
      const auto left = static_cast<std::uint32_t>(ticket);
      if (ticket >> 32 != round || left == 0) return std::nullopt;
      if (ticket_.compare_exchange_weak(ticket, ticket - 1,
                                        std::memory_order_acquire,
                                        std::memory_order_acquire)) {
        return pieces_ - left;  // T2: claimed, so that it can't change
      }
    }
  }
  void work(std::uint32_t round, std::size_t worker) {
    while (const auto piece = claim(round)) {
      const std::uint32_t pieces = pieces_;
      piece_(*piece, worker);
      if (finished_.fetch_add(1, std::memory_order_release) + 1 == pieces) {
        const std::lock_guard lock(mutex_);
        done_.notify_one();
      }
    }
  }
  void serve(std::size_t worker) {
    std::uint32_t seen = 0;
    for (;;) {
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [&] { return stop_ || round_ != seen; });
        if (stop_) return;
        seen = round_;
      }
      work(seen, worker);
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  std::function<void(std::size_t, std::size_t)> piece_;
  std::uint32_t pieces_ = 0;
  std::atomic<std::uint64_t> ticket_{0};  // round, pieces left
  std::atomic<std::uint32_t> finished_{0};
  std::uint32_t round_ = 0;  // under mutex_
  bool stop_ = false;        // under mutex_
  std::vector<std::thread> threads_;
};

}  // namespace odo::h2
