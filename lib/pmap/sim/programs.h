// SPDX-License-Identifier: BSD-3-Clause
// The programs that prove address spaces in the simulator, as a list, so that
// the ordinary test and the mutation test run the same ones.
//
// Each gives pages and tables away as soon as it may, by writing plain data in
// them: whoever still comes there by something out of date races with that.
//
// Contexts: one host thread.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <vector>

#include "lib/platform/sim/explore.h"
#include "lib/platform/sim/programs.h"
#include "lib/pmap/sim/mmu.h"

namespace odo::pmap {

inline constexpr int kGivenAway = -1;

// Two leaf tables of four pages each.
using Flat = PmapWorld<2, 2>;
// Two leaf tables of two pages each, below one more.
using Deep = PmapWorld<3, 1>;

template <class World>
void pmap_enter(World& w, unsigned address, unsigned frame) {
  (void)w.space.enter(World::Machine::address(address),
                      World::Machine::page(frame));
}
// Takes one page away, if it is there, and gives it to somebody else.
template <class World>
void pmap_remove(World& w, unsigned address, unsigned frame) {
  using Machine = typename World::Machine;
  w.space.remove({Machine::address(address), Machine::address(address + 1)},
                 [&w, frame](std::uint64_t, const Mapped& mapped) {
                   if (mapped.page.physical != Machine::page(frame).physical) {
                     Engine::current().fail("another page was there");
                   }
                   w.machine.frame(frame).set(kGivenAway);
                 });
}
template <class World>
void pmap_read(World& w, unsigned address) {
  const std::optional<int> found =
      w.machine.read(World::Machine::address(address));
  if (found == kGivenAway) Engine::current().fail("a page that is gone");
}
// Before all others: a space with these pages, each at its own number.
template <class World>
void pmap_set_up(World& w, std::initializer_list<unsigned> pages) {
  if (!w.space.init()) Engine::current().fail("no root");
  for (const unsigned page : pages) pmap_enter(w, page, page);
}
template <class World>
void pmap_finish(Engine& m, World& w) {
  if (m.run() != Engine::Outcome::kFinished) return;
  w.space.destroy([](std::uint64_t, const Mapped&) {});
  if (w.machine.live_tables() != 0) m.fail("tables are left");
}
template <class World>
void pmap_use(World& w, unsigned cpu) {
  const typename World::Machine::Critical critical(w.machine);
  w.tlb->use(cpu, w.space.space());
}
template <class World>
void pmap_rest(World& w, unsigned cpu) {
  const typename World::Machine::Critical critical(w.machine);
  w.tlb->rest(cpu);
}
template <class World>
void pmap_leave(World& w, unsigned cpu) {
  const typename World::Machine::Critical critical(w.machine);
  w.tlb->leave(cpu);
}

// --- pages

// One uses a page that another takes away.
inline void removed_while_used(Engine& m) {
  Flat w(2);
  pmap_set_up(w, {0, 1});
  m.spawn(0, "remover", [&] { pmap_remove(w, 0, 0); });
  m.spawn(1, "user", [&] {
    pmap_use(w, 1);
    pmap_read(w, 0);
    pmap_read(w, 0);
    pmap_leave(w, 1);
  });
  pmap_finish(m, w);
}

// It goes away for a while, and comes back to what it remembers.
inline void removed_while_resting(Engine& m) {
  Flat w(2);
  pmap_set_up(w, {0, 1});
  m.spawn(0, "remover", [&] { pmap_remove(w, 0, 0); });
  m.spawn(1, "user", [&] {
    pmap_use(w, 1);
    pmap_read(w, 0);
    pmap_rest(w, 1);
    pmap_use(w, 1);
    pmap_read(w, 0);
    pmap_leave(w, 1);
  });
  pmap_finish(m, w);
}

// The same by way of another space, with a context for each, or one for both.
inline void removed_while_elsewhere(Engine& m, unsigned contexts) {
  Flat w(2, contexts);
  pmap_set_up(w, {0, 1});
  if (!w.other.init()) m.fail("no root");
  m.spawn(0, "remover", [&] { pmap_remove(w, 0, 0); });
  m.spawn(1, "user", [&] {
    pmap_use(w, 1);
    pmap_read(w, 0);
    {
      const Flat::Machine::Critical critical(w.machine);
      w.tlb->use(1, w.other.space());
    }
    if (w.machine.read(0)) Engine::current().fail("the other space's page");
    pmap_use(w, 1);
    pmap_read(w, 0);
    pmap_leave(w, 1);
  });
  if (m.run() != Engine::Outcome::kFinished) return;
  w.other.destroy([](std::uint64_t, const Mapped&) {});
  pmap_finish(m, w);
}

// Two take pages away at once from one who uses both: generations are skipped.
inline void two_removers(Engine& m) {
  Flat w(3);
  pmap_set_up(w, {0, 1, 2});
  m.spawn(0, "remover", [&] { pmap_remove(w, 0, 0); });
  m.spawn(2, "remover", [&] { pmap_remove(w, 1, 1); });
  m.spawn(1, "user", [&] {
    pmap_use(w, 1);
    pmap_read(w, 0);
    pmap_read(w, 1);
    pmap_read(w, 0);
    pmap_leave(w, 1);
  });
  pmap_finish(m, w);
}

// Two who both use the space and take a page away from each other.
inline void removing_from_each_other(Engine& m) {
  Flat w(2);
  pmap_set_up(w, {0, 1, 2});
  for (unsigned cpu = 0; cpu < 2; ++cpu) {
    m.spawn(cpu, "both", [&w, cpu] {
      pmap_use(w, cpu);
      pmap_read(w, 1 - cpu);
      pmap_remove(w, cpu, cpu);
      pmap_leave(w, cpu);
    });
  }
  pmap_finish(m, w);
}

// A page is replaced by another: what was read is one or the other, and the new
// one comes with what was written to it.
inline void replaced(Engine& m) {
  Flat w(2);
  pmap_set_up(w, {0, 1});
  m.spawn(0, "replacer", [&] {
    w.machine.frame(5).set(7);
    const auto before = w.space.enter(0, Flat::Machine::page(5));
    if (!before || !*before || (*before)->page != Flat::Machine::page(0)) {
      Engine::current().fail("not told of the page before");
    }
    w.machine.frame(0).set(kGivenAway);
  });
  m.spawn(1, "user", [&] {
    pmap_use(w, 1);
    pmap_read(w, 0);
    const std::optional<int> found = w.machine.read(0);
    if (found != 0 && found != 7) Engine::current().fail("neither page");
    pmap_leave(w, 1);
  });
  pmap_finish(m, w);
}

// A page comes into use with what was written to it before.
inline void entered(Engine& m) {
  Flat w(2);
  pmap_set_up(w, {1});
  m.spawn(0, "owner", [&] {
    w.machine.frame(0).set(7);
    pmap_enter(w, 0, 0);
  });
  m.spawn(1, "user", [&] {
    pmap_use(w, 1);
    const std::optional<int> found = w.machine.read(0);
    if (found && *found != 7) Engine::current().fail("without its content");
    pmap_leave(w, 1);
  });
  pmap_finish(m, w);
}

// No write is lost to who makes a page read-only and then looks whether it was
// written.
inline void no_write_is_lost(Engine& m) {
  Flat w(2);
  pmap_set_up(w, {0, 1});
  bool was_dirty = false;
  bool has_written = false;
  m.spawn(0, "cleaner", [&] {
    w.space.protect({0, Flat::Machine::address(1)}, Rights{},
                    [&](std::uint64_t, const Mapped& mapped) {
                      was_dirty = mapped.use.dirty;
                      // As it is now is how it will stay.
                      (void)w.machine.frame(0).get();
                    });
  });
  m.spawn(1, "writer", [&] {
    pmap_use(w, 1);
    pmap_read(w, 0);
    has_written = w.machine.write(0, 7);
    pmap_leave(w, 1);
  });
  if (m.run() == Engine::Outcome::kFinished && has_written && !was_dirty) {
    m.fail("a write was not noted");
  }
  pmap_finish(m, w);
}

// Who takes the notes of use away learns of every write since the last time.
inline void use_is_noted_anew(Engine& m) {
  Flat w(2);
  pmap_set_up(w, {0, 1});
  unsigned noted = 0;
  const auto take = [&] {
    w.space.take_use({0, Flat::Machine::address(1)},
                     [&](std::uint64_t, const Mapped& mapped) {
                       noted += mapped.use.dirty ? 1 : 0;
                     });
  };
  bool has_begun = false;
  m.spawn(0, "taker", [&] { take(); });
  m.spawn(1, "writer", [&] {
    pmap_use(w, 1);
    has_begun = w.machine.write(0, 1);
    w.machine.write(0, 2);
    pmap_leave(w, 1);
  });
  if (m.run() != Engine::Outcome::kFinished) return;
  take();
  if (!has_begun || noted == 0) m.fail("a write was not noted");
  pmap_finish(m, w);
}

// --- tables

// One enters a page in the table that another empties, or in one beside it
// below a table that would go as well.
template <class World>
void entering_what_is_emptied(Engine& m, unsigned page) {
  World w(2);
  pmap_set_up(w, {0});
  m.spawn(0, "remover", [&] { pmap_remove(w, 0, 0); });
  m.spawn(1, "enterer", [&w, page] { pmap_enter(w, page, page); });
  if (m.run() == Engine::Outcome::kFinished &&
      (w.space.find(0) || !w.space.find(World::Machine::address(page)))) {
    m.fail("not what was entered is there");
  }
  pmap_finish(m, w);
}

// Two enter pages where there is no table yet.
template <class World>
void entering_side_by_side(Engine& m) {
  World w(2);
  pmap_set_up(w, {});
  for (unsigned cpu = 0; cpu < 2; ++cpu) {
    m.spawn(cpu, "enterer", [&w, cpu] { pmap_enter(w, cpu, cpu); });
  }
  if (m.run() == Engine::Outcome::kFinished) {
    for (unsigned cpu = 0; cpu < 2; ++cpu) {
      if (!w.space.find(World::Machine::address(cpu))) m.fail("a page is lost");
    }
  }
  pmap_finish(m, w);
}

// Two empty the last tables at once.
template <class World>
void emptying_side_by_side(Engine& m) {
  World w(2);
  pmap_set_up(w, {0, 1});
  for (unsigned cpu = 0; cpu < 2; ++cpu) {
    m.spawn(cpu, "remover", [&w, cpu] { pmap_remove(w, cpu, cpu); });
  }
  if (m.run() == Engine::Outcome::kFinished) {
    if (w.space.top_entries() != 0) m.fail("an empty table stays");
    if (w.machine.live_tables() != 1) m.fail("more than the root is left");
  }
  pmap_finish(m, w);
}

// One asks what is there while a table goes.
template <class World>
void finding_what_goes(Engine& m) {
  World w(2);
  pmap_set_up(w, {0});
  m.spawn(0, "remover", [&] { pmap_remove(w, 0, 0); });
  m.spawn(1, "finder", [&] {
    (void)w.space.find(0);
    (void)w.space.find(0);
  });
  pmap_finish(m, w);
}

// The same of one who uses the space, and so isn't marked anew.
template <class World>
void finding_what_a_user_empties(Engine& m) {
  World w(2);
  pmap_set_up(w, {0});
  m.spawn(0, "remover", [&] {
    pmap_use(w, 0);
    pmap_remove(w, 0, 0);
    pmap_leave(w, 0);
  });
  m.spawn(1, "finder", [&] { (void)w.space.find(0); });
  pmap_finish(m, w);
}

// A processor that uses the space, or rests in it, looks at tables by itself.
template <class World>
void a_table_goes(Engine& m, bool rests) {
  World w(2);
  pmap_set_up(w, {0});
  m.spawn(0, "remover", [&] { pmap_remove(w, 0, 0); });
  m.spawn(1, "user", [&w, rests] {
    pmap_use(w, 1);
    pmap_read(w, 0);
    if (rests) pmap_rest(w, 1);
    w.machine.speculate(World::Machine::address(1));
    w.machine.speculate(World::Machine::address(0));
    pmap_leave(w, 1);
  });
  pmap_finish(m, w);
}

// A space ends that a processor still rests in.
inline void ended_while_resting(Engine& m) {
  Flat w(2);
  pmap_set_up(w, {0});
  sim::SimAtomic<bool> rests(false);
  m.spawn(0, "ender", [&] {
    // Whoever ends a space knows that nobody uses it.
    while (!rests.load(std::memory_order_acquire)) Engine::current().relax();
    w.space.destroy([&w](std::uint64_t, const Mapped&) {
      w.machine.frame(0).set(kGivenAway);
    });
  });
  m.spawn(1, "user", [&] {
    pmap_use(w, 1);
    pmap_read(w, 0);
    pmap_rest(w, 1);
    rests.store(true, std::memory_order_release);
    w.machine.speculate(0);
    pmap_leave(w, 1);
  });
  pmap_finish(m, w);
}

// Without memory for a table nothing has changed.
inline void no_memory(Engine& m) {
  Deep w(1);
  pmap_set_up(w, {});
  w.machine.run_out();
  m.spawn(0, "enterer", [&w] {
    const auto entered = w.space.enter(0, Deep::Machine::page(0));
    if (entered.has_value() != w.space.find(0).has_value()) {
      Engine::current().fail("entered in part");
    }
  });
  pmap_finish(m, w);
}

// Anything, of everybody.
template <class World>
void pmap_mixture(Engine& m) {
  World w(3);
  pmap_set_up(w, {0, 1, 2});
  for (unsigned cpu = 0; cpu < 3; ++cpu) {
    m.spawn(cpu, "anybody", [&w, cpu] {
      Engine& engine = Engine::current();
      for (int i = 0; i < 4; ++i) {
        const unsigned page = engine.choose(3);
        switch (engine.choose(6)) {
          case 0:
            pmap_use(w, cpu);
            break;
          case 1:
            pmap_rest(w, cpu);
            break;
          case 2:
            // Of each page only one takes it away.
            pmap_remove(w, cpu, cpu);
            break;
          case 3:
            (void)w.space.find(World::Machine::address(page));
            break;
          case 4:
            w.space.take_use({0, World::Machine::address(3)},
                             [](std::uint64_t, const Mapped&) {});
            break;
          default: {
            const typename World::Machine::Critical critical(w.machine);
            if (w.tlb->has_loaded(cpu, w.space.space())) {
              w.machine.speculate(World::Machine::address(page));
            }
          }
        }
      }
      pmap_use(w, cpu);
      pmap_read(w, 0);
      pmap_read(w, 1);
      pmap_leave(w, cpu);
    });
  }
  pmap_finish(m, w);
}

[[nodiscard]] inline std::vector<sim::NamedProgram> pmap_sim_programs() {
  using sim::exhaustive;
  using sim::Mode;
  using sim::seeds;
  return {
      {"removed while used", exhaustive(2), removed_while_used},
      {"removed while resting", exhaustive(1), removed_while_resting},
      {"removed while elsewhere", exhaustive(1),
       [](Engine& m) { removed_while_elsewhere(m, 2); }},
      {"removed while elsewhere, one context", exhaustive(1),
       [](Engine& m) { removed_while_elsewhere(m, 1); }},
      {"two removers, PCT", seeds(Mode::kPct, 5000), two_removers},
      {"removing from each other, PCT", seeds(Mode::kPct, 5000),
       removing_from_each_other},
      {"replaced", exhaustive(2), replaced},
      {"entered", exhaustive(2), entered},
      {"no write is lost", exhaustive(2), no_write_is_lost},
      {"use is noted anew", exhaustive(2), use_is_noted_anew},
      {"entering what is emptied", exhaustive(1),
       [](Engine& m) { entering_what_is_emptied<Flat>(m, 1); }},
      {"entering what is emptied, deep", exhaustive(1),
       [](Engine& m) { entering_what_is_emptied<Deep>(m, 2); }},
      {"entering side by side", exhaustive(1), entering_side_by_side<Flat>},
      {"entering side by side, deep", exhaustive(1),
       entering_side_by_side<Deep>},
      {"emptying side by side", exhaustive(2), emptying_side_by_side<Flat>},
      {"emptying side by side, deep", exhaustive(1),
       emptying_side_by_side<Deep>},
      {"finding what goes", exhaustive(2), finding_what_goes<Flat>},
      {"finding what goes, deep", exhaustive(1), finding_what_goes<Deep>},
      {"finding what a user empties", exhaustive(1),
       finding_what_a_user_empties<Flat>},
      {"finding what a user empties, deep", exhaustive(1),
       finding_what_a_user_empties<Deep>},
      {"a table goes", exhaustive(2),
       [](Engine& m) { a_table_goes<Flat>(m, false); }},
      {"a table goes, resting", exhaustive(2),
       [](Engine& m) { a_table_goes<Flat>(m, true); }},
      {"a table goes, deep", exhaustive(1),
       [](Engine& m) { a_table_goes<Deep>(m, true); }},
      {"ended while resting", exhaustive(2), ended_while_resting},
      {"no memory", exhaustive(0), no_memory},
      {"mixture, random", seeds(Mode::kRandom, 3000), pmap_mixture<Flat>},
      {"mixture, deep, PCT", seeds(Mode::kPct, 3000), pmap_mixture<Deep>},
  };
}

// Every program; the report of the first that fails, or the last.
inline sim::Report run_pmap_sim_programs(sim::Mutator* mutator) {
  return sim::explore_all(pmap_sim_programs(), mutator);
}

}  // namespace odo::pmap
