// SPDX-License-Identifier: BSD-3-Clause
// The programs that prove the allocator in the simulator, as a list, so that
// the ordinary test and the mutation test run the same ones.
//
// Each program states what must hold by data in the objects, which only who has
// them may touch (the simulator reports a race), by a model of what is given
// out, and by the counts at its end.
//
// Contexts: one host thread.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "lib/kmalloc/sim/lane_programs.h"
#include "lib/kmalloc/sim/left_programs.h"
#include "lib/kmalloc/sim/typed_programs.h"
#include "lib/platform/sim/programs.h"

namespace odo::kmalloc {

// Without a bound on preemptions; `most` where that takes too long for every
// day, and ODO_LONG tries for longer.
inline std::vector<sim::NamedProgram> kmalloc_sim_programs() {
  constexpr unsigned kAll = ~0U;
  const unsigned longer = std::getenv("ODO_LONG") != nullptr ? 1 : 0;
  const auto most = [longer](unsigned bound) { return bound + longer; };
  // Without faults where none are asked for: each map() would be one.
  const auto exhaustive = [](unsigned preemptions, unsigned faults = 0) {
    sim::ExploreOptions options = sim::exhaustive(preemptions);
    options.engine.max_faults = faults;
    return options;
  };
  return {
      {"freed from afar", exhaustive(kAll),
       [](Engine& m) { freed_from_afar(m, 1, 2); }},
      {"freed from afar by two", exhaustive(kAll),
       [](Engine& m) { freed_from_afar(m, 2, 1); }},
      {"freed twice from afar", exhaustive(kAll), freed_twice_from_afar},
      {"sent by two to one word", exhaustive(kAll),
       [](Engine& m) { sent_by_two(m, 3, 5); }},
      {"sent by two to two words", exhaustive(kAll),
       [](Engine& m) { sent_by_two(m, 3, 70); }},
      {"a batch against a harvest", exhaustive(kAll),
       a_batch_against_a_harvest},
      {"freed again while being freed", exhaustive(kAll),
       freed_again_while_being_freed},
      {"a slab changes hands under a teller", exhaustive(kAll),
       a_slab_changes_hands_under_a_teller},
      {"a slab changes hands behind a second", exhaustive(kAll),
       a_slab_changes_hands_behind_a_second},
      {"a chunk goes under a teller", exhaustive(kAll),
       a_chunk_goes_under_a_teller},
      {"units through the depot", exhaustive(kAll),
       [](Engine& m) { units_through_the_depot(m, 2, 1); }},
      {"units through a full depot", exhaustive(most(2)),
       [](Engine& m) { units_through_the_depot(m, 2, 2); }},
      {"from hand to hand", exhaustive(kAll),
       [](Engine& m) { from_hand_to_hand(m, 1); }},
      {"from hand to hands", exhaustive(kAll),
       [](Engine& m) { from_hand_to_hand(m, 2); }},
      {"emptied from afar", exhaustive(kAll), emptied_from_afar},
      {"large ones", exhaustive(most(2)), large_ones},
      {"left while told", exhaustive(kAll),
       [](Engine& m) { left_while_told(m, 1); }},
      {"left while told by two", exhaustive(most(2)),
       [](Engine& m) { left_while_told(m, 2); }},
      {"two minders", exhaustive(kAll),
       [](Engine& m) { two_minders(m, true); }},
      {"two minders of two slabs", exhaustive(kAll),
       [](Engine& m) { two_minders(m, false); }},
      {"adopted while minded", exhaustive(kAll), adopted_while_minded},
      {"left and adopted", exhaustive(kAll),
       [](Engine& m) { left_and_adopted(m, false); }},
      {"left, adopted and flushed", exhaustive(kAll),
       [](Engine& m) { left_and_adopted(m, true); }},
      {"minded and adopted", exhaustive(most(2)), minded_and_adopted},
      {"two take lanes, none left", exhaustive(most(2)),
       [](Engine& m) { two_take_lanes(m, 0); }},
      {"two take lanes, one left", exhaustive(kAll),
       [](Engine& m) { two_take_lanes(m, 1); }},
      {"two take lanes, two left", exhaustive(kAll),
       [](Engine& m) { two_take_lanes(m, 2); }},
      {"a lane is made and found", exhaustive(kAll), a_lane_is_made_and_found},
      {"reclaimed while told", exhaustive(most(2)),
       [](Engine& m) { reclaimed_while_told(m, false); }},
      {"reclaimed by the owner while told", exhaustive(kAll),
       [](Engine& m) { reclaimed_while_told(m, true); }},
      {"no memory", exhaustive(most(1), 2), no_memory},
      {"one at a time", exhaustive(kAll),
       [](Engine& m) { one_at_a_time(m, 1); }},
      {"one at a time, two wait", exhaustive(most(1)),
       [](Engine& m) { one_at_a_time(m, 2); }},
      {"waits for memory", exhaustive(kAll), waits_for_memory},
      {"waits while others free", exhaustive(most(2)),
       [](Engine& m) { waits_while_others_free(m, 1); }},
      {"two wait while others free", exhaustive(most(1)),
       [](Engine& m) { waits_while_others_free(m, 2); }},
      {"waits while another allocates", exhaustive(kAll),
       waits_while_another_allocates},
      {"room without memory", exhaustive(most(2)),
       [](Engine& m) { room_without_memory(m, Flags::kNoWait); }},
      {"room without memory, and waits", exhaustive(most(2)),
       [](Engine& m) { room_without_memory(m, Flags::kNone); }},
      {"comes home to a sleeper", exhaustive(most(0)), comes_home_to_a_sleeper},
      {"counted meanwhile", exhaustive(most(2)), counted_meanwhile},
      {"mixture, random", sim::seeds(sim::Mode::kRandom, 10000),
       kmalloc_mixture},
      {"mixture, PCT", sim::seeds(sim::Mode::kPct, 10000), kmalloc_mixture},
  };
}

// Every program; the report of the first that fails, or the last.
inline sim::Report run_kmalloc_sim_programs(sim::Mutator* mutator) {
  return sim::explore_all(kmalloc_sim_programs(), mutator);
}

}  // namespace odo::kmalloc
