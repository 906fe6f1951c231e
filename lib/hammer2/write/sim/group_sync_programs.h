// SPDX-License-Identifier: BSD-3-Clause
// The programs that prove GroupSync in the simulator.
//
// What each must keep: who is told that a sync went well has its changes in a
// header that is durable, and that was sealed after they were made; who is told
// that one failed has asked for no other; nobody waits for ever.
//
// Contexts: one host thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <utility>
#include <vector>

#include "lib/base/annotations.h"
#include "lib/base/check.h"
#include "lib/hammer2/write/group_sync.h"
#include "lib/platform/sim/engine.h"
#include "lib/platform/sim/programs.h"
#include "lib/platform/sim/shared_array.h"
#include "lib/platform/sim/sim_platform.h"
#include "lib/platform/spinlock.h"

namespace odo::hammer2::write {

using sim::Engine;

// What is done wrong, to see that the programs notice.
enum class SyncFault : std::uint8_t {
  kNone,
  kWakesNobody,    // who waits is forgotten
  kSealsTooEarly,  // a header misses the change that came last
  kOneFlush,       // told that it is durable before the header is
  kLogsTooLittle,  // a group in the log misses the change that came last
};

// A lock with a place to wait at, on the simulated machine.
class SimTurn {
 public:
  explicit SimTurn(SyncFault fault) : fault_(fault) {}

  // One lock inside another: the analysis knows the inner one alone.
  void lock() ODO_NO_THREAD_SAFETY_ANALYSIS { lock_.lock(); }
  void unlock() ODO_NO_THREAD_SAFETY_ANALYSIS { lock_.unlock(); }
  // A wake-up between the two is not lost.
  void wait() {
    ODO_CHECK(count_ < sleepers_.size());
    sleepers_[count_++] = Engine::current().self();
    unlock();
    Engine::current().block();
    lock();
  }
  void wake_all() {
    if (fault_ == SyncFault::kWakesNobody) return;
    const auto all = sleepers_;
    const std::size_t count = std::exchange(count_, 0);
    for (std::size_t i = 0; i < count; ++i) Engine::current().wake(all[i]);
  }

 private:
  SyncFault fault_;
  platform::SpinLock<sim::SimPlatform> lock_;
  std::array<sim::ThreadId, 8> sleepers_{};
  std::size_t count_ = 0;
};

// Counts changes in the place of a volume: what a header has is the number of
// changes when it was sealed.
class SimVolume {
 public:
  struct Ticket {
    std::size_t number = 0;
    bool logged = false;
    std::size_t changes = 0;  // that are in the log then
    [[nodiscard]] bool pending() const { return number != 0; }
  };

  SimVolume(SyncFault fault, std::optional<std::size_t> bad_flush)
      : fault_(fault), bad_flush_(bad_flush) {}

  [[nodiscard]] std::size_t change() { return ++changes_; }
  [[nodiscard]] bool is_durable(std::size_t change) const {
    return durable_ >= change;
  }
  [[nodiscard]] std::size_t syncs() const { return syncs_; }

  [[nodiscard]] Result<Ticket> begin_sync() {
    if (failed_) return fail(Error{.code = Code::kReadOnly});
    if (is_under_way_) Engine::current().fail("two syncs at once");
    if (changes_ == durable_) return Ticket{};
    is_under_way_ = true;
    has_header_ = false;
    sealed_ = changes_ - (fault_ == SyncFault::kSealsTooEarly ? 1 : 0);
    return Ticket{++syncs_};
  }
  // The log takes every other sync, as one that is full or spoilt does.
  [[nodiscard]] Result<std::optional<Ticket>> begin_log() {
    if (failed_) return fail(Error{.code = Code::kReadOnly});
    if (is_under_way_) Engine::current().fail("two syncs at once");
    logs_ = !logs_;
    if (!logs_) return std::optional<Ticket>();
    if (changes_ == durable_) return std::optional(Ticket{});
    is_under_way_ = true;
    return std::optional(Ticket{
        .number = ++syncs_,
        .logged = true,
        .changes = changes_ - (fault_ == SyncFault::kLogsTooLittle ? 1 : 0)});
  }
  // The one step that takes long, and holds nothing.
  [[nodiscard]] Result<void> flush_devices() {
    if (bad_flush_ == flushes_++)
      return fail(Error{.code = Code::kDeviceError});
    return {};
  }
  [[nodiscard]] Result<bool> continue_sync(Ticket sync,
                                           const Result<void>& flushed) {
    if (!flushed) {
      failed_ = true;
      is_under_way_ = false;
      return fail(flushed.error());
    }
    if (sync.logged) {
      durable_ = sync.changes;
      is_under_way_ = false;
      return false;
    }
    if (fault_ == SyncFault::kOneFlush) {
      is_under_way_ = false;
      return false;
    }
    if (!std::exchange(has_header_, true)) return true;
    durable_ = sealed_;
    is_under_way_ = false;
    return false;
  }

 private:
  SyncFault fault_;
  std::optional<std::size_t> bad_flush_;
  std::size_t changes_ = 0;
  std::size_t sealed_ = 0;
  std::size_t durable_ = 0;
  std::size_t syncs_ = 0;
  std::size_t flushes_ = 0;
  bool is_under_way_ = false;
  bool logs_ = false;
  bool has_header_ = false;
  bool failed_ = false;
};

// Has one block to store for each sync, so that others get in between.
class SimWriteBehind {
 public:
  [[nodiscard]] Result<bool> store_one(SimTurn& turn) {
    has_stored_ = !has_stored_;
    if (!has_stored_) return false;
    turn.unlock();
    turn.lock();
    return true;
  }

 private:
  bool has_stored_ = false;
};

class SyncScene {
 public:
  SyncScene(SyncFault fault, std::optional<std::size_t> bad_flush)
      : turn(fault), volume(fault, bad_flush) {}

  // Changes something and wants it durable.
  void change_and_sync(SyncKind kind = SyncKind::kHeader) {
    turn.lock();
    const std::size_t mine = volume.change();
    const Result<void> done = syncs.sync(turn, kind);
    if (done && !volume.is_durable(mine)) {
      Engine::current().fail("told that it is durable, and it isn't");
    }
    if (!done && volume.is_durable(mine)) {
      Engine::current().fail("told that it failed, and it is durable");
    }
    failures += done ? 0 : 1;
    turn.unlock();
  }
  void change() {
    turn.lock();
    (void)volume.change();
    turn.unlock();
  }

  // One who doesn't wait for the answer.
  struct Asker : GroupSync<SimVolume, SimWriteBehind, SimTurn>::Request {
    SyncScene* scene;
    std::size_t change = 0;
    bool is_told = false;
  };
  void change_and_ask(Asker& asker) {
    asker.scene = this;
    asker.tell = [](auto& self, const Result<void>& result) {
      auto& own = static_cast<Asker&>(self);
      if (result && !own.scene->volume.is_durable(own.change)) {
        Engine::current().fail("told that it is durable, and it isn't");
      }
      own.is_told = true;
    };
    turn.lock();
    asker.change = volume.change();
    syncs.ask(turn, asker);
    turn.unlock();
  }

  std::array<Asker, 2> askers{};
  SimTurn turn;
  SimVolume volume;
  SimWriteBehind behind;
  GroupSync<SimVolume, SimWriteBehind, SimTurn> syncs{volume, behind};
  std::size_t failures = 0;
};

// A scene that is never destroyed: an execution that is given up leaves threads
// in the middle of it. It has nothing to free.
class SyncWorld {
 public:
  explicit SyncWorld(SyncFault fault = SyncFault::kNone,
                     std::optional<std::size_t> bad_flush = std::nullopt)
      : scene_(::new(room_.data()) SyncScene(fault, bad_flush)) {}
  SyncWorld(const SyncWorld&) = delete;
  SyncWorld& operator=(const SyncWorld&) = delete;
  [[nodiscard]] SyncScene* operator->() { return scene_; }

 private:
  alignas(SyncScene) std::array<std::byte, sizeof(SyncScene)> room_{};
  SyncScene* scene_;
};

template <SyncFault Fault>
void two_ask(Engine& m) {
  SyncWorld w(Fault);
  for (sim::CpuId c = 0; c < 2; ++c) {
    m.spawn(c, "asks", [&w] { w->change_and_sync(); });
  }
  m.run();
}

// One would take the log, the other wants a header.
template <SyncFault Fault>
void one_logs_and_one_asks(Engine& m) {
  SyncWorld w(Fault);
  m.spawn(0, "logs", [&w] {
    w->change_and_sync(SyncKind::kLogOrHeader);
    w->change_and_sync(SyncKind::kLogOrHeader);
  });
  m.spawn(1, "asks", [&w] { w->change_and_sync(); });
  m.run();
}

inline void many_log(Engine& m) {
  SyncWorld w;
  for (sim::CpuId c = 0; c < 4; ++c) {
    m.spawn(c, "logs", [&w, c] {
      for (int i = 0; i < 4; ++i) {
        w->change_and_sync(c == 0 ? SyncKind::kHeader : SyncKind::kLogOrHeader);
      }
    });
  }
  m.run();
}

inline void two_ask_twice(Engine& m) {
  SyncWorld w;
  for (sim::CpuId c = 0; c < 2; ++c) {
    m.spawn(c, "asks twice", [&w] {
      w->change_and_sync();
      w->change_and_sync();
    });
  }
  m.run();
}

inline void three_ask(Engine& m) {
  SyncWorld w;
  for (sim::CpuId c = 0; c < 3; ++c) {
    m.spawn(c, "asks", [&w] { w->change_and_sync(); });
  }
  m.run();
}

// Changes go on while one syncs.
inline void one_asks_and_one_changes(Engine& m) {
  SyncWorld w;
  m.spawn(0, "asks", [&w] { w->change_and_sync(); });
  m.spawn(1, "changes", [&w] {
    w->change();
    w->change();
  });
  m.run();
}

// The first flush, or the second, goes wrong: all who are told of failure were
// in that sync or a later one.
template <std::size_t Bad>
void a_flush_fails(Engine& m) {
  SyncWorld w(SyncFault::kNone, Bad);
  for (sim::CpuId c = 0; c < 2; ++c) {
    m.spawn(c, "asks", [&w] { w->change_and_sync(); });
  }
  if (m.run() == Engine::Outcome::kFinished && w->failures == 0) {
    m.fail("nobody was told");
  }
}

// Who leads answers those who have gone away, too; whoever that is.
inline void two_ask_and_go(Engine& m) {
  SyncWorld w;
  m.spawn(0, "asks and goes", [&w] { w->change_and_ask(w->askers[0]); });
  m.spawn(1, "asks and goes", [&w] { w->change_and_ask(w->askers[1]); });
  if (m.run() == Engine::Outcome::kFinished &&
      !(w->askers[0].is_told && w->askers[1].is_told)) {
    m.fail("nobody was told");
  }
}

inline void one_asks_and_goes_as_one_waits(Engine& m) {
  SyncWorld w;
  m.spawn(0, "asks and goes", [&w] { w->change_and_ask(w->askers[0]); });
  m.spawn(1, "asks", [&w] { w->change_and_sync(); });
  if (m.run() == Engine::Outcome::kFinished && !w->askers[0].is_told) {
    m.fail("nobody was told");
  }
}

inline void many_ask(Engine& m) {
  SyncWorld w;
  for (sim::CpuId c = 0; c < 6; ++c) {
    m.spawn(c, "asks", [&w] {
      for (int i = 0; i < 4; ++i) w->change_and_sync();
    });
  }
  if (m.run() == Engine::Outcome::kFinished && w->volume.syncs() > 24) {
    m.fail("more syncs than requests");
  }
}

[[nodiscard]] inline std::vector<sim::NamedProgram> group_sync_programs() {
  return {
      {"two ask", sim::exhaustive(3), two_ask<SyncFault::kNone>},
      {"two ask twice", sim::exhaustive(2), two_ask_twice},
      {"three ask, PCT", sim::seeds(sim::Mode::kPct, 5000), three_ask},
      {"one asks and one changes", sim::exhaustive(3),
       one_asks_and_one_changes},
      {"the first flush fails", sim::exhaustive(3), a_flush_fails<0>},
      {"the second flush fails", sim::exhaustive(3), a_flush_fails<1>},
      {"two ask and go", sim::exhaustive(3), two_ask_and_go},
      {"one asks and goes as one waits", sim::exhaustive(3),
       one_asks_and_goes_as_one_waits},
      {"one logs and one asks", sim::exhaustive(3),
       one_logs_and_one_asks<SyncFault::kNone>},
      {"many log", sim::seeds(sim::Mode::kPct, 2000), many_log},
      {"many ask", sim::seeds(sim::Mode::kPct, 2000), many_ask},
  };
}

}  // namespace odo::hammer2::write
