// SPDX-License-Identifier: BSD-3-Clause
// Programs with names: what a component's simulator test explores one by one,
// and its mutation test all of them, for each mutation.
//
//   std::vector<sim::NamedProgram> programs = {
//       {"two writers", sim::exhaustive(2), two_writers},
//       {"many writers, PCT", sim::seeds(sim::Mode::kPct, 2000), many_writers},
//   };
//
// Contexts: one host thread.
// Failure: as explore.h.
#pragma once

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <span>
#include <string>

#include "lib/platform/sim/explore.h"

namespace odo::sim {

struct NamedProgram {
  std::string name;
  ExploreOptions options;
  Program run;
};

// A program's name as one word, for a test's.
[[nodiscard]] inline std::string identifier_of(const std::string& name) {
  std::string word;
  for (const char c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      word += c;
    } else if (c == ' ') {
      word += '_';
    }
  }
  return word;
}

// Every execution with at most so many preemptions.
[[nodiscard]] inline ExploreOptions exhaustive(unsigned preemptions) {
  ExploreOptions options;
  options.preemption_bound = preemptions;
  return options;
}
// That many, drawn from seeds.
[[nodiscard]] inline ExploreOptions seeds(Mode mode, std::uint64_t executions) {
  ExploreOptions options;
  options.mode = mode;
  options.executions = executions;
  return options;
}

// The report of the first that fails, with its name; else of the last. With a
// mutation, only those that come to its site are run.
inline Report explore_all(std::span<const NamedProgram> programs,
                          Mutator* mutator) {
  Report report;
  for (const NamedProgram& program : programs) {
    ExploreOptions options = program.options;
    if (mutator != nullptr) {
      if (!mutator->begin_program(program.name)) continue;
      options.mutator = mutator;
      options.executions =
          std::min(options.executions, mutator->most_executions());
    }
    report = explore(options, program.run);
    if (!report.ok()) {
      report.failure = program.name + ": " + report.failure;
      break;
    }
  }
  return report;
}

}  // namespace odo::sim
