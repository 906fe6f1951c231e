// SPDX-License-Identifier: BSD-3-Clause
// A simulated machine's translation: processors that walk tables, remember
// pages and tables on the way to them for as long as nothing makes them forget,
// and note uses; and memory that tells when it is touched by who should not.
//
// It remembers everything that a processor may: what a real one loses sooner
// only makes it see less of what is out of date. Tables are not used again, and
// are full of rubbish before they are made.
//
// Contexts: inside an execution, or its set-up.
// Ownership: a PmapMachine belongs to one execution.
// Failure: a walk through a freed table, or a page that is out of date, fails
//   the execution, mostly as a data race.
// Origin: Intel SDM vol. 3 §4.10 (what is cached), §4.8 (accessed and dirty).
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <utility>
#include <vector>

#include "lib/platform/sim/sim_platform.h"
#include "lib/pmap/entry.h"
#include "lib/pmap/ground.h"
#include "lib/pmap/pmap.h"
#include "lib/pmap/shape.h"
#include "lib/pmap/tlb.h"

namespace odo::pmap {

using sim::Engine;

template <unsigned Levels, unsigned IndexBits>
class PmapMachine : public sim::SimPlatform {
 public:
  static constexpr Shape kShape{
      .levels = Levels, .index_bits = IndexBits, .page_bits = 12};
  static constexpr unsigned kMaxContexts = 2;
  using Word = entry::Word;

  class Critical {
   public:
    explicit Critical(PmapMachine& /*machine*/) {
      if (is_inside()) Engine::current().disable_interrupts();
    }
    Critical(const Critical&) = delete;
    Critical& operator=(const Critical&) = delete;
    ~Critical() {
      if (is_inside()) Engine::current().enable_interrupts();
    }
  };

  explicit PmapMachine(unsigned cpus, unsigned contexts = kMaxContexts)
      : contexts_(contexts), cpus_(cpus), frames_(8) {}

  // --- the ground ---
  [[nodiscard]] unsigned cpu() {
    return is_inside() ? Engine::current().cpu() : 0;
  }
  [[nodiscard]] unsigned cpus() { return static_cast<unsigned>(cpus_.size()); }
  [[nodiscard]] unsigned contexts() { return contexts_; }

  void call(const lwkt::CpuMask& mask, Call function, void* argument) {
    sim::SimAtomic<std::uint32_t> left(mask.count());
    mask.for_each([&](unsigned to) {
      Engine::current().send_ipi(to, [this, &left, to, function, argument] {
        const Critical critical(*this);
        function(to, argument);
        (void)left.fetch_sub(1, std::memory_order_release);
      });
    });
    while (left.load(std::memory_order_acquire) != 0) relax();
  }

  void load(std::uint64_t root, unsigned context, bool keep) {
    Cpu& here = cpus_[cpu()];
    here.root = root;
    here.context = context;
    if (!keep) forget_context();
  }
  void load_kernel() { cpus_[cpu()].root = 0; }
  void forget_page(std::uint64_t address) {
    Cpu& here = cpus_[cpu()];
    for (unsigned level = 0; level < Levels; ++level) {
      here.remembered.erase(key(here.context, level, address));
    }
  }
  void forget_context() {
    Cpu& here = cpus_[cpu()];
    std::erase_if(here.remembered, [&here](const auto& item) {
      return item.first.context == here.context;
    });
  }

  [[nodiscard]] std::optional<std::uint64_t> make_root() {
    return make_table();
  }
  [[nodiscard]] std::optional<std::uint64_t> make_table() {
    if (may_run_out_ && Engine::current().inject_fault()) return std::nullopt;
    Table& table = tables_.emplace_back();
    // Others may make tables meanwhile.
    const std::uint64_t physical = tables_.size() * kShape.page_bytes();
    for (auto& at : table.entries) at.store(0, std::memory_order_relaxed);
    table.lives.set(true);
    ++live_tables_;
    return physical;
  }
  void free_table(std::uint64_t physical) {
    Table& table = table_at(physical);
    if (!table.lives.get()) Engine::current().fail("a table is freed twice");
    table.lives.set(false);
    --live_tables_;
  }
  [[nodiscard]] sim::SimAtomic<Word>* table(std::uint64_t physical) {
    Table& table = table_at(physical);
    if (!table.lives.get()) Engine::current().fail("a freed table is walked");
    return table.entries.data();
  }

  // --- for programs ---
  // The page of that number.
  [[nodiscard]] static Page page(unsigned frame,
                                 Rights rights = {.writable = true}) {
    return {(kFirstFrame + frame) * kShape.page_bytes(), rights,
            Caching::kNormal};
  }
  [[nodiscard]] static std::uint64_t address(unsigned index) {
    return index * kShape.page_bytes();
  }
  [[nodiscard]] sim::Plain<int>& frame(unsigned index) {
    return frames_[index];
  }
  [[nodiscard]] unsigned live_tables() const { return live_tables_; }
  // From now on there may be no memory for a table.
  void run_out() { may_run_out_ = true; }

  // One instruction of a program: what it finds in the page, none if it faults.
  [[nodiscard]] std::optional<int> read(std::uint64_t address) {
    const Critical one(*this);
    const Word word = translate(address, false);
    if (word == 0) return std::nullopt;
    return frame_of(word).get();
  }
  bool write(std::uint64_t address, int value) {
    const Critical one(*this);
    const Word word = translate(address, true);
    if (word == 0) return false;
    frame_of(word).set(value);
    return true;
  }
  // What a processor may do by itself while the tables are loaded.
  void speculate(std::uint64_t address) {
    const Critical one(*this);
    if (cpus_[cpu()].root != 0) (void)translate(address, false);
  }

 private:
  static constexpr std::uint64_t kFirstFrame = 4096;
  static constexpr Word kRubbish = 0x7ff000 | entry::kPresent;

  struct Table {
    std::array<sim::SimAtomic<Word>, kShape.entries()> entries;
    sim::Plain<bool> lives{false};

    Table() : Table(std::make_index_sequence<kShape.entries()>()) {}
    template <std::size_t... Index>
    explicit Table(std::index_sequence<Index...> /*each*/)
        : entries{((void)Index, sim::SimAtomic<Word>(kRubbish))...} {}
  };
  // Not before or after all threads, when there are no interrupts.
  [[nodiscard]] static bool is_inside() {
    return Engine::current().self() != 0;
  }

  // An entry of that level for an address.
  struct Key {
    unsigned context;
    unsigned level;
    std::uint64_t number;

    friend auto operator<=>(const Key&, const Key&) = default;
  };
  struct Cpu {
    std::uint64_t root = 0;
    unsigned context = 0;
    std::map<Key, Word> remembered;
  };

  [[nodiscard]] static Key key(unsigned context, unsigned level,
                               std::uint64_t address) {
    return {context, level, address / kShape.span_bytes(level)};
  }
  [[nodiscard]] Table& table_at(std::uint64_t physical) {
    const std::uint64_t number = physical / kShape.page_bytes();
    if (number == 0 || number > tables_.size()) {
      Engine::current().fail("no such table");
    }
    return tables_[number - 1];
  }
  [[nodiscard]] sim::Plain<int>& frame_of(Word word) {
    const std::uint64_t number =
        entry::physical(word) / kShape.page_bytes() - kFirstFrame;
    if (number >= frames_.size()) Engine::current().fail("no such page");
    return frames_[number];
  }

  // The entry of the page, with its use noted; 0: a fault.
  [[nodiscard]] Word translate(std::uint64_t address, bool writes) {
    Cpu& here = cpus_[cpu()];
    const Key leaf = key(here.context, 0, address);
    const Word wanted =
        entry::kPresent | (writes ? entry::kWritable | entry::kDirty : Word{0});
    if (const auto known = here.remembered.find(leaf);
        known != here.remembered.end()) {
      if ((known->second & wanted) == wanted) return known->second;
      here.remembered.erase(known);
    }
    for (;;) {
      const Word word = walk(here, address, writes);
      if (word == 0) return 0;
      if (word == kAgain) continue;
      here.remembered[leaf] = word;
      return word;
    }
  }
  static constexpr Word kAgain = ~Word{0};
  [[nodiscard]] Word walk(Cpu& here, std::uint64_t address, bool writes) {
    std::uint64_t at = here.root;
    unsigned level = kShape.root_level();
    // The lowest table that it remembers the way to.
    for (unsigned i = 1; i < Levels; ++i) {
      const auto known = here.remembered.find(key(here.context, i, address));
      if (known == here.remembered.end()) continue;
      at = entry::physical(known->second);
      level = i - 1;
      break;
    }
    for (;; --level) {
      auto& word_at = table(at)[kShape.index_of(address, level)];
      Word word = word_at.load(std::memory_order_acquire);
      if (!entry::is_present(word)) return 0;
      if (level != 0) {
        here.remembered[key(here.context, level, address)] = word;
        at = entry::physical(word);
        continue;
      }
      if (writes && (word & entry::kWritable) == 0) return 0;
      const Word used = word | entry::kAccessed | (writes ? entry::kDirty : 0);
      if (used != word && !word_at.compare_exchange_strong(
                              word, used, std::memory_order_acq_rel,
                              std::memory_order_acquire)) {
        return kAgain;
      }
      return used;
    }
  }

  unsigned contexts_;
  std::vector<Cpu> cpus_;
  std::deque<Table> tables_;
  std::vector<sim::Plain<int>> frames_;
  unsigned live_tables_ = 0;
  bool may_run_out_ = false;
};

// A machine with two spaces.
template <unsigned Levels, unsigned IndexBits>
struct PmapWorld {
  using Machine = PmapMachine<Levels, IndexBits>;

  explicit PmapWorld(unsigned cpus, unsigned contexts = Machine::kMaxContexts)
      : machine(cpus, contexts),
        tlb(std::make_unique<Tlb<Machine>>(machine)),
        space(*new(memory_[0].bytes) Pmap<Machine>(machine, *tlb)),
        other(*new(memory_[1].bytes) Pmap<Machine>(machine, *tlb)) {}
  PmapWorld(const PmapWorld&) = delete;
  PmapWorld& operator=(const PmapWorld&) = delete;

 private:
  // An execution may be given up at any moment: spaces are never looked at when
  // they go.
  struct Memory {
    alignas(Pmap<Machine>) std::byte bytes[sizeof(Pmap<Machine>)];
  };
  std::array<Memory, 2> memory_;

 public:
  Machine machine;
  std::unique_ptr<Tlb<Machine>> tlb;
  Pmap<Machine>& space;
  Pmap<Machine>& other;
};

}  // namespace odo::pmap
