// SPDX-License-Identifier: BSD-3-Clause
// The programs that prove threads in the simulator, as a list, so that the
// ordinary test and the mutation test run the same ones.
//
// Contexts: one host thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/lwkt/sim/pair_programs.h"
#include "lib/platform/sim/programs.h"

namespace odo::lwkt {

// Every act beside every other. Some have too many ways at a bound of one for
// every day; ODO_LONG tries those as well.
inline void add_pairs(std::vector<sim::NamedProgram>& programs) {
  const unsigned long_bound = std::getenv("ODO_LONG") != nullptr ? 1 : 0;
  const struct {
    Act act;
    const char* name;
    unsigned bound;
  } acts[] = {
      {Act::kStart, "start", 1},
      {Act::kWake, "wake", long_bound},
      {Act::kSleep, "timed sleep", long_bound},
      {Act::kExit, "exit", 1},
      {Act::kJoin, "join", long_bound},
      {Act::kMove, "move", long_bound},
      {Act::kCall, "call", 1},
      {Act::kYield, "yield", 1},
      {Act::kPreempt, "preempt", 1},
      {Act::kToken, "token wait", 1},
      {Act::kTick, "tick", 1},
      {Act::kCritical, "critical section", 1},
  };
  static_assert(std::size(acts) == kActs);
  for (const auto& [act, name, bound] : acts) {
    const auto run = [first = act](Engine& m) { a_pair_of_acts(m, first); };
    const std::string title = std::string("pairs with ") + name;
    programs.push_back({title, sim::exhaustive(bound), run});
    programs.push_back(
        {title + ", random", sim::seeds(sim::Mode::kRandom, 2000), run});
  }
}

inline std::vector<sim::NamedProgram> lwkt_sim_programs() {
  using OwnedPort = ThreadPort<LwktSimGround>;
  using SharedPort = SpinPort<LwktSimGround>;
  constexpr auto kPct = sim::Mode::kPct;
  constexpr auto kRandom = sim::Mode::kRandom;
  std::vector<sim::NamedProgram> programs = {
      {"join here", sim::exhaustive(2), [](Engine& m) { join_and_exit(m, 1); }},
      {"join from afar", sim::exhaustive(1),
       [](Engine& m) { join_and_exit(m, 0); }},
      {"join from afar, PCT", sim::seeds(kPct, 2000),
       [](Engine& m) { join_and_exit(m, 0); }},
      {"join one that moves", sim::exhaustive(1), join_one_that_moves},
      {"join one that moves, PCT", sim::seeds(kPct, 2000), join_one_that_moves},
      {"a home is found before its thread", sim::exhaustive(1),
       a_home_is_found_before_its_thread},
      {"threads change places", sim::exhaustive(1), threads_change_places},
      {"threads change places, random", sim::seeds(kRandom, 2000),
       threads_change_places},
      {"stacks are handed on", sim::exhaustive(1), stacks_are_handed_on},
      {"no memory for a stack", sim::exhaustive(2), no_memory_for_a_stack},
      {"a call waits for the critical section", sim::exhaustive(2),
       a_call_waits_for_the_critical_section},
      {"an interrupt thread wants a held token", sim::exhaustive(1),
       an_interrupt_thread_wants_a_held_token},
      {"an interrupt thread wants a held token, PCT", sim::seeds(kPct, 2000),
       an_interrupt_thread_wants_a_held_token},
      {"a token is wanted here and there", sim::exhaustive(0),
       [](Engine& m) { a_token_is_wanted_here_and_there(m, 1); }},
      {"a token is wanted here and there, random", sim::seeds(kRandom, 1000),
       [](Engine& m) { a_token_is_wanted_here_and_there(m, 2); }},
      {"a callout is cancelled from afar", sim::exhaustive(0),
       a_callout_is_cancelled_from_afar},
      {"a callout is cancelled from afar, PCT", sim::seeds(kPct, 4000),
       a_callout_is_cancelled_from_afar},
      // Who waits for its turn makes calls meanwhile: too many ways to try all.
      {"two rendezvous, random", sim::seeds(kRandom, 5000), two_rendezvous},
      {"two rendezvous, PCT", sim::seeds(kPct, 10000), two_rendezvous},
      {"two lonely rendezvous", sim::exhaustive(1), two_lonely_rendezvous},
      {"a rendezvous with one at work", sim::exhaustive(0),
       a_rendezvous_with_one_at_work},
      {"a rendezvous with one at work, PCT", sim::seeds(kPct, 5000),
       a_rendezvous_with_one_at_work},
      {"synchronize sees what was done", sim::exhaustive(1),
       synchronize_sees_what_was_done},
      {"a stale interlock and a join", sim::exhaustive(1),
       [](Engine& m) { a_stale_interlock(m, false); }},
      {"a stale interlock, a move and a join", sim::seeds(kPct, 3000),
       [](Engine& m) { a_stale_interlock(m, true); }},
      {"wake the other CPU's sleeper", sim::exhaustive(1),
       [](Engine& m) { wake_all_of(m, 2, 1); }},
      {"wake two from a third", sim::exhaustive(0),
       [](Engine& m) { wake_all_of(m, 3, 2); }},
      {"wake two from a third, PCT", sim::seeds(kPct, 2000),
       [](Engine& m) { wake_all_of(m, 3, 2); }},
      {"wake one by one", sim::exhaustive(0),
       [](Engine& m) { wake_one_by_one(m, 1); }},
      {"wake one by one, PCT", sim::seeds(kPct, 3000),
       [](Engine& m) { wake_one_by_one(m, 1); }},
      {"a timeout meets a wake-up", sim::exhaustive(1),
       a_timeout_meets_a_wakeup},
      {"a token lapses in sleep, here", sim::exhaustive(1),
       [](Engine& m) { a_token_lapses_in_sleep(m, 0); }},
      {"a token lapses in sleep, there", sim::exhaustive(1),
       [](Engine& m) { a_token_lapses_in_sleep(m, 1); }},
      {"a serializer, 2 CPUs", sim::exhaustive(1),
       [](Engine& m) { a_serializer(m, 2, 2); }},
      {"a serializer, neighbours", sim::exhaustive(1),
       [](Engine& m) { a_serializer(m, 2, 1); }},
      {"a serializer, 3 threads, PCT", sim::seeds(kPct, 2000),
       [](Engine& m) { a_serializer(m, 3, 2); }},
      {"a call to a thread, here", sim::exhaustive(1),
       [](Engine& m) { a_call<OwnedPort>(m, 0, 2); }},
      {"a call to a thread, there", sim::exhaustive(0),
       [](Engine& m) { a_call<OwnedPort>(m, 1, 1); }},
      {"a call to a thread, there, PCT", sim::seeds(kPct, 2000),
       [](Engine& m) { a_call<OwnedPort>(m, 1, 2); }},
      {"a call answered at once, here", sim::exhaustive(1),
       [](Engine& m) { a_call<OwnedPort>(m, 0, 3, Serves::kAtOnce); }},
      {"a call answered at once, there, PCT", sim::seeds(kPct, 2000),
       [](Engine& m) { a_call<OwnedPort>(m, 1, 3, Serves::kAtOnce); }},
      {"a call under a spinlock, there", sim::exhaustive(0),
       [](Engine& m) { a_call<SharedPort>(m, 1, 1); }},
      {"a call under a spinlock, there, PCT", sim::seeds(kPct, 2000),
       [](Engine& m) { a_call<SharedPort>(m, 1, 2); }},
      {"a message follows one that moves", sim::exhaustive(0),
       a_message_follows_a_move},
      {"a message follows one that moves, PCT", sim::seeds(kPct, 3000),
       a_message_follows_a_move},
      {"an abort meets a receiver", sim::seeds(kPct, 2000),
       [](Engine& m) { an_abort_meets_a_receiver<OwnedPort>(m); }},
      {"an abort meets a receiver, spinlock", sim::seeds(kPct, 2000),
       [](Engine& m) { an_abort_meets_a_receiver<SharedPort>(m); }},
      {"one of two wakes, beside one, PCT", sim::seeds(kPct, 3000),
       [](Engine& m) { one_of_two_wakes(m, 0); }},
      {"one of two wakes, beside the other, PCT", sim::seeds(kPct, 3000),
       [](Engine& m) { one_of_two_wakes(m, 1); }},
      {"a timeout takes no wake-up", sim::exhaustive(1),
       [](Engine& m) { a_timeout_takes_no_wakeup(m, 1); }},
      {"a timeout takes no wake-up, PCT", sim::seeds(kPct, 3000),
       [](Engine& m) { a_timeout_takes_no_wakeup(m, 0); }},
      {"the clock wakes an idle CPU", sim::exhaustive(1),
       the_clock_wakes_an_idle_cpu},
      {"the clock and a call wake an idle CPU", sim::exhaustive(1),
       the_clock_and_a_call_wake_an_idle_cpu},
      {"the clock and a call wake an idle CPU, PCT", sim::seeds(kPct, 2000),
       the_clock_and_a_call_wake_an_idle_cpu},
      {"woken by name, here", sim::exhaustive(2),
       [](Engine& m) { woken_by_name(m, 0); }},
      {"woken by name, from afar", sim::exhaustive(1),
       [](Engine& m) { woken_by_name(m, 1); }},
      {"a sleeper moves", sim::exhaustive(1),
       [](Engine& m) { sleepers_change_places(m, 1); }},
      {"sleepers change places, PCT", sim::seeds(kPct, 2000),
       [](Engine& m) { sleepers_change_places(m, 2); }},
      {"interrupt threads preempt each other", sim::exhaustive(1),
       [](Engine& m) { interrupt_threads_preempt_each_other(m, false); }},
      {"an interrupt thread moves away, PCT", sim::seeds(kPct, 3000),
       [](Engine& m) { interrupt_threads_preempt_each_other(m, true); }},
      {"a search goes on", sim::exhaustive(0), a_search_goes_on},
      {"a search goes on, PCT", sim::seeds(kPct, 2000), a_search_goes_on},
      {"woken while queued", sim::exhaustive(1), woken_while_queued},
      {"an interrupt thread runs at once", sim::exhaustive(1),
       an_interrupt_thread_runs_at_once},
      {"equals do not preempt", sim::exhaustive(1), equals_do_not_preempt},
      {"equals do not preempt, PCT", sim::seeds(kPct, 3000),
       equals_do_not_preempt},
      {"a call comes while others are made, PCT", sim::seeds(kPct, 3000),
       a_call_comes_while_others_are_made},
      {"a call comes while others are made", sim::exhaustive(1),
       a_call_comes_while_others_are_made},
      {"a timer comes while a call is made", sim::exhaustive(1),
       a_timer_comes_while_a_call_is_made},
      {"a timer comes while a call is made, random", sim::seeds(kRandom, 50000),
       a_timer_comes_while_a_call_is_made},
      {"the highest runs", sim::exhaustive(1), the_highest_runs},
      {"stop waits for threads", sim::exhaustive(1), stop_waits_for_threads},
      {"a tick ends the quantum", sim::exhaustive(0), a_tick_ends_the_quantum},
      {"a tick ends the quantum, PCT", sim::seeds(kPct, 2000),
       a_tick_ends_the_quantum},
  };
  add_pairs(programs);
  return programs;
}

// Those with one of the words in their names; the report of the first that
// fails, or the last.
inline sim::Report run_lwkt_sim_programs(
    sim::Mutator* mutator, std::span<const std::string_view> words) {
  std::vector<sim::NamedProgram> programs = lwkt_sim_programs();
  std::erase_if(programs, [&](const sim::NamedProgram& program) {
    return std::none_of(words.begin(), words.end(), [&](std::string_view word) {
      return program.name.find(word) != std::string::npos;
    });
  });
  return sim::explore_all(programs, mutator);
}

}  // namespace odo::lwkt
