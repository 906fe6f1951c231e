// SPDX-License-Identifier: BSD-3-Clause
// The programs for a machine of any number of CPUs, as a list.
//
// Contexts: one host thread.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "lib/lwkt/sim/machine_call_programs.h"
#include "lib/lwkt/sim/programs.h"

namespace odo::lwkt {

struct MachineProgram {
  std::string name;
  sim::ExploreOptions options;
  std::function<void(Engine&, unsigned cpus)> run;
};

inline std::vector<MachineProgram> machine_programs() {
  const sim::ExploreOptions seeds = sim::seeds(sim::Mode::kRandom, 1);
  return {
      {"threads wander", seeds, many_cpus},
      {"tokens of all CPUs", seeds, tokens_of_all_cpus},
      {"threads come and go", seeds, threads_come_and_go},
      {"interrupt threads of all CPUs", seeds, interrupt_threads_of_all_cpus},
      {"sleepers of all CPUs", seeds, sleepers_of_all_cpus},
      {"callouts of all CPUs", seeds, callouts_of_all_cpus},
      {"a serializer for all CPUs", seeds, a_serializer_for_all_cpus},
      {"a ring of all CPUs", seeds, a_ring_of_all_cpus},
      {"workers of all CPUs, spinlock", seeds,
       workers_of_all_cpus<SpinPort<LwktSimGround>>},
      {"workers of all CPUs, token", seeds,
       workers_of_all_cpus<TokenPort<LwktSimGround>>},
      {"workers of all CPUs, serializer", seeds,
       workers_of_all_cpus<SerializerPort<LwktSimGround>>},
      {"calls of all CPUs", seeds, calls_of_all_cpus},
      {"a rendezvous of all CPUs", seeds, a_rendezvous_of_all_cpus},
  };
}

}  // namespace odo::lwkt
