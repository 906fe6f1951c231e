// SPDX-License-Identifier: BSD-3-Clause
// The programs that prove tokens in the simulator, as a list, so that the
// ordinary test and the mutation test run the same ones.
//
// Each program states what must hold by plain data that only the right holders
// may touch (the simulator reports a race), by checks inside, and by its end: a
// lost wake-up is a deadlock, which the simulator reports as well.
//
// Contexts: one host thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "lib/platform/sim/programs.h"
#include "lib/tokens/sim/several_tokens.h"

namespace odo::tokens {

inline std::vector<sim::NamedProgram> sim_programs() {
  constexpr unsigned kAll = ~0U;
  return {
      {"mutual exclusion, 2 threads", sim::exhaustive(kAll),
       [](Engine& m) { mutual_exclusion<0>(m, 2, 1); }},
      {"mutual exclusion, 2 threads, twice", sim::exhaustive(1),
       [](Engine& m) { mutual_exclusion<0>(m, 2, 2); }},
      {"mutual exclusion, 2 threads that spin", sim::exhaustive(2),
       [](Engine& m) { mutual_exclusion<1>(m, 2, 1); }},
      {"mutual exclusion, 3 threads", sim::exhaustive(0),
       [](Engine& m) { mutual_exclusion<0>(m, 3, 1); }},
      {"reader and writer", sim::exhaustive(kAll),
       [](Engine& m) { readers_and_writer<0>(m, 1, 1, false); }},
      {"two readers and a writer", sim::exhaustive(0),
       [](Engine& m) { readers_and_writer<0>(m, 2, 1, false); }},
      {"biased reader and writer", sim::exhaustive(2),
       [](Engine& m) { readers_and_writer<1>(m, 1, 1, true); }},
      {"biased reader and writer that spin", sim::exhaustive(1),
       [](Engine& m) { readers_and_writer<1, 1>(m, 1, 1, true); }},
      {"two biased readers and a writer", sim::exhaustive(0),
       [](Engine& m) { readers_and_writer<1>(m, 2, 1, true); }},
      {"bias comes and goes", sim::exhaustive(1), bias_comes_and_goes},
      {"draining is handed on", sim::exhaustive(0), draining_is_handed_on},
      {"a trier passes on what it learnt", sim::exhaustive(1),
       a_trier_passes_on_what_it_learnt},
      {"a second trier passes on what it learnt", sim::exhaustive(1),
       a_second_trier_passes_on_what_it_learnt},
      {"a trier backs off", sim::exhaustive(1), a_trier_backs_off},
      {"a slot is used again", sim::exhaustive(2), a_slot_is_used_again},
      {"a mark is taken back", sim::exhaustive(1), a_mark_is_taken_back},
      {"a lane is added meanwhile", sim::exhaustive(1),
       a_lane_is_added_meanwhile},
      {"recursion", sim::exhaustive(2), recursion},
      {"nested readers pass a waiting writer", sim::exhaustive(2),
       nested_readers_pass_a_waiting_writer<0>},
      {"nested readers pass a waiting writer, biased", sim::exhaustive(2),
       nested_readers_pass_a_waiting_writer<1>},
      {"opposite orders", sim::exhaustive(1), opposite_orders},
      {"a ring of three", sim::exhaustive(0), a_ring_of_three},
      {"released while blocked", sim::exhaustive(1), released_while_blocked<0>},
      {"released while blocked, biased", sim::exhaustive(1),
       released_while_blocked<1>},
      {"swapped and released", sim::exhaustive(2), swapped_and_released},
      {"a request moves on", sim::exhaustive(0), a_request_moves_on},
      {"readers do not starve a writer", sim::exhaustive(1),
       readers_do_not_starve_a_writer},
      {"polling scheduler, 2 CPUs, 3 threads", sim::exhaustive(0),
       [](Engine& m) { polling_scheduler<1>(m, 2, 3); }},
      {"two readers and a writer, PCT", sim::seeds(sim::Mode::kPct, 2000),
       [](Engine& m) { readers_and_writer<0>(m, 2, 2, false); }},
      {"two biased readers and a writer, PCT",
       sim::seeds(sim::Mode::kPct, 2000),
       [](Engine& m) { readers_and_writer<1>(m, 2, 2, true); }},
      {"a ring of three, PCT", sim::seeds(sim::Mode::kPct, 2000),
       a_ring_of_three},
      {"a request left behind wakes readers, PCT",
       sim::seeds(sim::Mode::kPct, 10000), a_request_left_behind_wakes_readers},
      {"a request moves on, PCT", sim::seeds(sim::Mode::kPct, 2000),
       a_request_moves_on},
      // Two threads of one CPU that poll hand it to and fro: for PCT, where one
      // CPU may outrank the other for ever, that is an endless loop.
      {"polling scheduler, 2 CPUs, 4 threads, random",
       sim::seeds(sim::Mode::kRandom, 2000),
       [](Engine& m) { polling_scheduler<1>(m, 2, 4); }},
      {"mixture, random", sim::seeds(sim::Mode::kRandom, 2000), mixture},
      {"mixture, PCT", sim::seeds(sim::Mode::kPct, 2000), mixture},
  };
}

// Every program; the report of the first that fails, or the last.
inline sim::Report run_sim_programs(sim::Mutator* mutator) {
  return sim::explore_all(sim_programs(), mutator);
}

}  // namespace odo::tokens
