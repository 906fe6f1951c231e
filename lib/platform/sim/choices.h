// SPDX-License-Identifier: BSD-3-Clause
// Who decides, wherever a simulated execution could go more than one way.
//
// Contexts: one host thread. An execution asks its questions in order; the same
// answers give the same execution, so a list of answers is a schedule that can
// be printed and replayed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "lib/platform/sim/view.h"

namespace odo::sim {

enum class Question : std::uint8_t {
  kRead,      // which store a load or a read-modify-write takes its value from
  kPlace,     // where in modification order a store goes
  kSpurious,  // does a weak compare-exchange fail for no reason?
  kFault,     // does an operation that may fail, fail?
  kUser,      // whatever the code under test asks the machine
};

// What a thread is about to do, as far as other threads could notice.
struct PendingOp {
  enum class Kind : std::uint8_t {
    kLocal,    // nothing that another thread could notice
    kLoad,     // of `location`
    kWrite,    // a store or read-modify-write of `location`
    kFence,    // not seq_cst: concerns only its own thread
    kScFence,  // reads and writes the order of all seq_cst operations
    kSystem,   // wakes, blocks, interrupts: anything might depend on it
  };
  Kind kind = Kind::kLocal;
  LocationId location = 0;

  // True when swapping two neighbouring operations of different threads might
  // be noticed. Operations on different locations never are: each location has
  // its own modification order and its own seq_cst floor; only seq_cst fences
  // touch all floors at once.
  [[nodiscard]] bool depends_on(const PendingOp& other) const {
    if (kind == Kind::kSystem || other.kind == Kind::kSystem) return true;
    if (kind == Kind::kLocal || other.kind == Kind::kLocal) return false;
    if (kind == Kind::kFence || other.kind == Kind::kFence) return false;
    if (kind == Kind::kScFence || other.kind == Kind::kScFence) return true;
    if (location != other.location) return false;
    return kind == Kind::kWrite || other.kind == Kind::kWrite;
  }
};

// One thread (or pending interrupt) that could run next.
struct Candidate {
  ThreadId thread;
  PendingOp op;
};

class Choices {
 public:
  // Nothing here is worth exploring: give this execution up.
  static constexpr unsigned kPrune = ~0U;

  virtual ~Choices() = default;

  // An answer below `count`; 0 is always the tamest: newest store, last place,
  // no failure.
  virtual unsigned pick(Question question, unsigned count) = 0;

  // Which of `candidates` runs next, or kPrune. `running` is the index of the
  // thread that ran last if it could go on, else candidates.size(): choosing
  // another than it is a preemption.
  virtual unsigned schedule(std::span<const Candidate> candidates,
                            std::size_t running) = 0;

  // A load's choice: below `count` a store, at or above it a value from
  // future_value(). `node` names the question for offer_future().
  virtual unsigned pick_read(unsigned count, std::size_t& node) {
    node = 0;
    return pick(Question::kRead, count);
  }
  virtual std::uint64_t future_value(std::size_t /*node*/, unsigned /*index*/) {
    return 0;
  }
  // A later store could have been what that load read.
  virtual void offer_future(std::size_t /*node*/, std::uint64_t /*value*/) {}

  // All answers so far, to print and to replay.
  [[nodiscard]] virtual std::vector<unsigned> answers() const = 0;
};

}  // namespace odo::sim
