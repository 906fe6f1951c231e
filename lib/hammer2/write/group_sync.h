// SPDX-License-Identifier: BSD-3-Clause
// Lets many threads ask for a sync of one volume: those who ask while one is
// under way share the next, and none holds the volume while devices flush.
//
//   WriteBehind<MyGround> behind(volume);
//   ODO_TRY_VOID(behind.init());
//   GroupSync<Volume<MyGround>, WriteBehind<MyGround>, MyLock> syncs(volume,
//                                                                  behind);
//   lock.lock();  // whoever is at the volume has it
//   const auto done = syncs.sync(lock);
//
// Contexts: threads that hold the volume's lock; sync() lets it go and takes it
//   again, so what was looked at before may have changed after it.
// Invariants:
//   S1. one thread leads at a time, all fields are under the lock;
//   S2. a request is answered by a sync that began after it was made: whoever
//       leads takes the requests that are there when begin_sync() has answered,
//   S3. nobody waits while nobody leads.
// Failure: everyone whose request a sync was for is told what came of it.
// Bounds: the lock is held to store one block of data at a time, then for what
//   has changed since and for the inodes and indirect blocks, as many as Limits
//   let be in memory, and never while data are encoded or devices flush.
// Complexity: one sync for any number of requests that wait.
// Origin: group commit: DeWitt et al., "Implementation Techniques for Main
//   Memory Database Systems" (SIGMOD 1984), section 5.2.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "lib/base/list.h"
#include "lib/hammer2/error.h"

namespace odo::hammer2::write {

// wait() lets the lock go and takes it again, at the earliest when somebody
// called wake_all() since; wake_all() is called with the lock held.
template <class L>
concept SyncLock = requires(L& lock) {
  { lock.lock() } -> std::same_as<void>;
  { lock.unlock() } -> std::same_as<void>;
  { lock.wait() } -> std::same_as<void>;
  { lock.wake_all() } -> std::same_as<void>;
};

// What makes changes durable: a volume header that has them all; or, where that
// will do, a group in the intent log, which only this library knows to read.
enum class SyncKind : std::uint8_t { kHeader, kLogOrHeader };

// `V` is a Volume, or has its sync in steps; `B` is its WriteBehind.
template <class V, class B, SyncLock L>
class GroupSync {
 public:
  GroupSync(V& volume, B& behind) : volume_(volume), behind_(behind) {}
  GroupSync(const GroupSync&) = delete;
  GroupSync& operator=(const GroupSync&) = delete;

  // Somebody who is to be told, in the thread that leads and under the lock,
  // what came of it. Whoever asks owns it, and may free it then.
  struct Request {
    void (*tell)(Request& self, const Result<void>& result);
    SyncKind kind = SyncKind::kHeader;
    ListHook hook = {};
  };

  // For everything that was done before. Whoever asks while nobody leads does
  // so, until nobody waits; others come back at once.
  void ask(L& lock, Request& request) {
    waiting_.push_back(request);
    if (std::exchange(is_led_, true)) return;
    while (!waiting_.empty()) serve(lock);
    is_led_ = false;
  }

  // Asks, and comes back with the answer.
  [[nodiscard]] Result<void> sync(L& lock, SyncKind kind = SyncKind::kHeader) {
    struct Waiter : Request {
      std::optional<Result<void>> answer = {};
    };
    Waiter waiter;
    waiter.tell = [](Request& self, const Result<void>& result) {
      static_cast<Waiter&>(self).answer = result;
    };
    waiter.kind = kind;
    ask(lock, waiter);
    while (!waiter.answer) lock.wait();
    return *waiter.answer;
  }

 private:
  using Requests = List<Request, &Request::hook>;

  // One sync for all who ask until it begins.
  void serve(L& lock) {
    Requests served;
    const Result<void> result = run(lock, served);
    while (Request* request = served.pop_front()) {
      request->tell(*request, result);
    }
    lock.wake_all();
  }

  [[nodiscard]] auto begin(L& lock)
      -> decltype(std::declval<V&>().begin_sync()) {
    if (wanted() == SyncKind::kLogOrHeader) {
      ODO_TRY(const auto logged, volume_.begin_log());
      if (logged) return *logged;
    }
    // What is written meanwhile comes behind what waits already.
    for (std::size_t i = 0; i < kMostTurns; ++i) {
      ODO_TRY(const bool more, behind_.store_one(lock));
      if (!more) break;
    }
    return volume_.begin_sync();
  }

  // A header serves everybody.
  [[nodiscard]] SyncKind wanted() {
    for (const Request& request : waiting_) {
      if (request.kind == SyncKind::kHeader) return SyncKind::kHeader;
    }
    return SyncKind::kLogOrHeader;
  }

  // S2: `served` are those whose changes the sync has.
  [[nodiscard]] Result<void> run(L& lock, Requests& served) {
    const auto sync = begin(lock);
    while (Request* request = waiting_.pop_front()) served.push_back(*request);
    if (!sync) return fail(sync.error());
    for (bool more = sync->pending(); more;) {
      lock.unlock();
      const Result<void> flushed = volume_.flush_devices();
      lock.lock();
      ODO_TRY(more, volume_.continue_sync(*sync, flushed));
    }
    return {};
  }

  // More than the waiting data that Limits usually allow.
  static constexpr std::size_t kMostTurns = 1024;

  V& volume_;
  B& behind_;
  bool is_led_ = false;
  Requests waiting_;
};

}  // namespace odo::hammer2::write
