// SPDX-License-Identifier: BSD-3-Clause
// Scores a component's sim tests: breaks each memory order of it in turn and
// lists the breaks that no test noticed.
//
//   MutationReport report = run_mutations("lib/tokens/", [](Mutator* m) {
//     return all_my_sim_programs(m);   // the first failing Report, or the last
//   });
//   EXPECT_TRUE(report.survivors.empty()) << report.text();
//
// Contexts: one host thread.
// Complexity: one run of the tests a mutation; a run ends at its first failure.
//   Those that are known to be equivalent have a short one; ODO_LONG has it
//   whole.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/platform/sim/explore.h"
#include "lib/platform/sim/mutation.h"

namespace odo::sim {

struct MutationReport {
  // The tests fail with nothing broken: no score means anything then.
  std::string baseline_failure;
  std::size_t sites = 0;
  std::vector<std::string> killed;
  std::vector<std::string> survivors;
  // Survivors that the caller declared equivalent, with the reason.
  std::vector<std::string> explained;

  [[nodiscard]] std::string text() const {
    if (!baseline_failure.empty()) {
      return "the tests fail without a mutation: " + baseline_failure;
    }
    std::string out = std::to_string(killed.size()) + " of " +
                      std::to_string(killed.size() + survivors.size()) +
                      " mutations killed, " + std::to_string(explained.size()) +
                      " equivalent, at " + std::to_string(sites) + " sites";
    for (const std::string& name : survivors) out += "\nsurvived: " + name;
    for (const std::string& name : explained) out += "\nequivalent: " + name;
    return out;
  }
};

// A mutation that changes nothing that the model allows. `place` is matched as
// a part of Mutation::name(); a line number alone would rot, so `place` may
// leave it out: "token.h" and the orders say which.
struct Equivalent {
  std::string_view place;
  std::string_view reason;
};

// `component` is a part of the file names whose sites are mutated. `tests` runs
// everything with the given mutator, each program for as long as that lets it,
// and returns the first failing report.
inline MutationReport run_mutations(
    const std::string& component, const std::function<Report(Mutator*)>& tests,
    const std::vector<Equivalent>& equivalents = {},
    std::FILE* progress = nullptr) {
  constexpr std::uint64_t kFirstLook = 2000;
  const bool whole = std::getenv("ODO_LONG") != nullptr;
  MutationReport report;
  Mutator mutator(component);
  // That the tests hold to their end is for the tests to say. A site that is
  // missed here has too few programs run, and its mutations survive.
  mutator.limit(kFirstLook);
  const Report baseline = tests(&mutator);
  if (!baseline.ok()) {
    report.baseline_failure = baseline.text();
    return report;
  }
  const std::vector<Mutation> all = mutator.mutations();
  report.sites = mutator.sites();
  for (const Mutation& mutation : all) {
    const std::string name = mutation.name();
    const auto known = std::find_if(
        equivalents.begin(), equivalents.end(), [&](const Equivalent& e) {
          return name.find(e.place) != std::string::npos;
        });
    mutator.apply(&mutation);
    // The program that catches a mutation needs a few executions for it, while
    // those that don't would run to their end.
    mutator.limit(kFirstLook);
    bool caught = !tests(&mutator).ok();
    if (!caught && (whole || known == equivalents.end())) {
      mutator.limit(Mutator::kNoLimit);
      caught = !tests(&mutator).ok();
    }
    if (caught) {
      report.killed.push_back(name);
    } else if (known != equivalents.end()) {
      report.explained.push_back(name + ": " + std::string(known->reason));
    } else {
      report.survivors.push_back(name);
    }
    if (progress != nullptr) {
      std::fprintf(progress, "%s %s\n", caught ? "killed  " : "SURVIVED",
                   name.c_str());
    }
  }
  mutator.apply(nullptr);
  return report;
}

}  // namespace odo::sim
