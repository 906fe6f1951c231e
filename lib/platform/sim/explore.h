// SPDX-License-Identifier: BSD-3-Clause
// Runs a small concurrent program again and again, each time another way, until
// something is wrong or there is no other way left.
//
//   sim::Report report = sim::explore({}, [](sim::Engine& m) {
//     sim::SimAtomic<bool> flag(false);
//     m.spawn(0, "a", [&] { flag.store(true, std::memory_order_relaxed); });
//     m.spawn(1, "b", [&] { ... });
//     if (m.run() == sim::Engine::Outcome::kFinished) { ...check... }
//   });
//   EXPECT_TRUE(report.ok()) << report.text();
//
// Modes: kExhaustive tries every schedule with at most `preemption_bound`
// preemptions, every value that a load may read and every place of a store,
// leaving out schedules that only swap independent neighbours (sleep sets). A
// thread is put to sleep only if its own branch was explored without meeting
// the bound, so the bound and the reduction don't hide executions from each
// other. kRandom and kPct draw from seeds: PCT gives threads random priorities
// and lowers them at a few random steps.
//
// Contexts: one host thread.
// Failure: the report holds the first failure, its trace, and the answers that
// lead to it; ODO_SIM_REPLAY=<answers> runs just that execution again.
// Origin: Godefroid, "Partial-Order Methods for the Verification of Concurrent
// Systems" (1996), chapter 5 (sleep sets); Musuvathi and Qadeer, "Iterative
// Context Bounding" (PLDI 2007); Burckhardt et al., "A Randomized Scheduler
// with Probabilistic Guarantees of Finding Bugs" (ASPLOS 2010).
#pragma once

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "lib/base/check.h"
#include "lib/platform/sim/choices.h"
#include "lib/platform/sim/engine.h"
#include "lib/platform/sim/exhaustive.h"
#include "lib/platform/sim/random_choices.h"

namespace odo::sim {

enum class Mode : std::uint8_t { kExhaustive, kRandom, kPct };

struct ExploreOptions {
  Mode mode = Mode::kExhaustive;
  // Exhaustive: preemptions an execution may hold.
  unsigned preemption_bound = ~0U;
  // Exhaustive: give up after so many executions (reported as incomplete).
  // Random and PCT: how many to run.
  std::uint64_t executions = 2'000'000;
  std::uint64_t seed = 1;
  // PCT: number of priority changes.
  unsigned depth = 3;
  Engine::Options engine;
  Mutator* mutator = nullptr;
  // Where progress goes every so often; null for none.
  std::FILE* progress = nullptr;
};

struct Report {
  std::uint64_t executions = 0;  // run to their end
  std::uint64_t pruned = 0;      // given up as equivalent or beyond the bound
  std::uint64_t infeasible = 0;  // bets on a future that did not come
  std::size_t deepest = 0;       // most steps in one execution
  bool complete = false;         // every execution within the bound was tried
  std::string failure;           // empty if none
  std::string trace;
  std::string answers;
  std::uint64_t seed = 0;

  [[nodiscard]] bool ok() const { return failure.empty(); }
  [[nodiscard]] std::string text() const {
    std::string out =
        std::to_string(executions) + " executions, " + std::to_string(pruned) +
        " pruned, " + std::to_string(infeasible) + " infeasible, deepest " +
        std::to_string(deepest) + (complete ? ", complete" : ", incomplete");
    if (!failure.empty()) {
      out += "\nfailure: " + failure + "\nseed " + std::to_string(seed) +
             "; replay with ODO_SIM_REPLAY=" + answers + "\n" + trace;
    }
    return out;
  }
};

namespace detail {

[[nodiscard]] inline std::string join_answers(
    const std::vector<unsigned>& answers) {
  std::string out;
  for (const unsigned answer : answers) {
    if (!out.empty()) out += ',';
    out += std::to_string(answer);
  }
  return out;
}

// A panic inside an execution is a failure of that execution.
inline void panic_in_execution(const PanicSite& site) {
  Engine& engine = Engine::current();
  engine.fail_at(site.text, site.file, site.line);
}

}  // namespace detail

using Program = std::function<void(Engine&)>;

// Runs `program` until it fails or `options` say enough.
inline Report explore(const ExploreOptions& options, const Program& program) {
  Report report;
  report.seed = options.seed;
  StackPool stacks;
  Exhaustive exhaustive(options.preemption_bound);
  RandomChoices random(options.seed,
                       options.mode == Mode::kPct
                           ? RandomChoices::Policy::kPct
                           : RandomChoices::Policy::kUniform,
                       options.depth);
  Replay replay(std::getenv("ODO_SIM_REPLAY"));
  Choices* choices = &exhaustive;
  if (options.mode != Mode::kExhaustive) choices = &random;
  if (replay.active()) choices = &replay;

  const PanicHook outer = panic_hook;
  panic_hook = detail::panic_in_execution;
  bool more = true;
  while (more) {
    Engine engine(stacks, *choices, options.engine, options.mutator);
    program(engine);
    ODO_CHECK(engine.outcome() != Engine::Outcome::kRunning);
    report.deepest = std::max(report.deepest, engine.steps());
    switch (engine.outcome()) {
      case Engine::Outcome::kPruned:
        ++report.pruned;
        break;
      case Engine::Outcome::kInfeasible:
        ++report.infeasible;
        break;
      default:
        ++report.executions;
    }
    if (engine.outcome() == Engine::Outcome::kFailed) {
      report.failure = engine.failure();
      report.trace = engine.trace().text();
      report.answers = detail::join_answers(choices->answers());
      if (options.mode != Mode::kExhaustive) report.seed = random.seed();
      break;
    }
    if (replay.active()) break;
    const std::uint64_t tried =
        report.executions + report.pruned + report.infeasible;
    if (options.progress != nullptr && tried % 100000 == 0) {
      std::fprintf(options.progress, "%s\n", report.text().c_str());
    }
    if (options.mode == Mode::kExhaustive) {
      more = exhaustive.next();
      report.complete = !more;
      if (tried >= options.executions) more = false;
    } else {
      random.next();
      more = tried < options.executions;
    }
  }
  panic_hook = outer;
  return report;
}

}  // namespace odo::sim
