// SPDX-License-Identifier: BSD-3-Clause
// An address space of programs as processors see it: which page is where, with
// which rights. It knows of pages that are mapped and of nothing else; what
// ought to be mapped is for those above to know, who may at any time take away
// what they can put back.
//
// Each table has a lock of its own, in the link that leads to it, and whoever
// changes entries of a table holds that one and no other; only to take an empty
// table away, or to put one where there is none, the table above is locked too.
// The way down is walked without locks: a table is freed only when every CPU
// that might be on its way through has been heard of (tlb.h).
//
// Contexts: threads, outside Critical, which stay on their CPU meanwhile and
//   hold no lock that others spin for. Any number at once, on any pages.
//   Interrupts are held off for kMaxSteps tables at most, or Batch::kMaxPages
//   pages.
// Units: addresses and lengths in bytes, multiples of a page.
// Ownership: tables are the space's; pages are not: what remove() and enter()
//   tell of is the caller's again, who may use it for something else at once.
// Invariants:
//   P1. a link counts the entries in use of the table it leads to; a table that
//       stays has one, unless memory ran out above it or it is the root;
//   P2. links are changed by holders of the lock above, entries by holders of
//       the lock of their table; processors add marks of use to both, so that
//       every change is one atomic operation on the word;
//   P3. no lock is waited for but in Critical, and nobody who holds one waits
//       for another CPU: locks are taken from above to below.
// Ordering: PA: a table's zeros are written, then linked, release; who follows
//   the link, acquire, sees them. PB: a lock is let go, release; and taken,
//   acquire. PC: a CPU marks itself near and then reads links, seq_cst; who
//   takes a link away, seq_cst, then looks who is near (TA in tlb.h). PD: what
//   is in a page is written, then mapped, release; who comes to it through the
//   tables, acquire, finds it.
// Failure: Error::kNoMemory without memory for a table: nothing has changed.
//   Addresses outside of the space are Error::kOutOfRange.
// Complexity: O(levels) and one lock for a page; ranges by their tables and
//   pages, with holes skipped at their own level.
// Origin: locks per page-table page are those of DragonFly's pv entries
//   (sys/platform/pc64/x86_64/pmap.c), which keep a tree of records beside the
//   tables.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <optional>

#include "lib/base/bits.h"
#include "lib/base/check.h"
#include "lib/base/result.h"
#include "lib/pmap/entry.h"
#include "lib/pmap/ground.h"
#include "lib/pmap/shape.h"
#include "lib/pmap/tlb.h"

namespace odo::pmap {

enum class Error : std::uint8_t {
  kNoMemory,    // for a table
  kOutOfRange,  // not in the half that programs have
};

template <class T>
using Result = odo::Result<T, Error>;

struct Range {
  std::uint64_t begin;
  std::uint64_t end;
};

template <PmapGround G>
class Pmap {
 public:
  static constexpr Shape kShape = G::kShape;
  // Tables that are looked at, or holes skipped, with interrupts held off.
  static constexpr unsigned kMaxSteps = 64;

  Pmap(G& ground, Tlb<G>& tlb) : ground_(&ground), tlb_(&tlb) {}
  Pmap(const Pmap&) = delete;
  Pmap& operator=(const Pmap&) = delete;
  ~Pmap() { ODO_CHECK(space_.root == 0); }

  // Before anything else. An empty space.
  [[nodiscard]] Result<void> init() {
    const std::optional<std::uint64_t> root = ground_->make_root();
    if (!root) return fail(Error::kNoMemory);
    tlb_->introduce(space_, *root);
    // Relaxed: nobody else knows of this space yet.
    root_link_.store(entry::link_to(*root), std::memory_order_relaxed);
    return {};
  }

  // Takes everything away, told as by remove(), and ends the space. Nobody else
  // uses it any more, or will.
  template <class Visitor>
  void destroy(Visitor&& visit) {
    if (space_.root == 0) return;
    remove({0, kShape.end()}, visit);
    tlb_->abandon(space_);
    free_below(space_.root, kShape.root_level(), kShape.entries() / 2);
    ground_->free_table(space_.root);
    space_.root = 0;
  }

  // What CPUs are told to use; see tlb.h.
  [[nodiscard]] TlbSpace<G>& space() { return space_; }

  // Maps a page at `address`. The answer is what was there before, when no CPU
  // uses it any more; if that is the same page, then without the use that was
  // noted of it, which goes on with the new entry.
  [[nodiscard]] Result<std::optional<Mapped>> enter(std::uint64_t address,
                                                    const Page& page) {
    if (!is_inside({address, address + kShape.page_bytes()})) {
      return fail(Error::kOutOfRange);
    }
    ODO_CHECK((page.physical & ~entry::kAddress) == 0);
    Word before = 0;
    {
      const Walk walk(*this);
      const Leaf leaf = lock_leaf(address, Missing::kMake);
      if (leaf.link == nullptr) return fail(Error::kNoMemory);
      before = put(*leaf.entry, page);
      unlock(*leaf.link, entry::is_present(before) ? 0 : entry::kOneMore);
    }
    if (!entry::is_present(before)) return std::nullopt;
    const Mapped old = entry::mapped(before);
    const bool is_same = old.page.physical == page.physical;
    // A CPU that remembers fewer rights faults, and looks again.
    if (!is_same || old.page.caching != page.caching ||
        !old.page.rights.within(page.rights)) {
      Batch batch;
      batch.add(address);
      tlb_->forget(space_, batch);
    }
    return is_same ? Mapped{old.page, {}} : old;
  }

  // What is mapped at `address`, as it was at some moment of the call.
  [[nodiscard]] std::optional<Mapped> find(std::uint64_t address) {
    if (address >= kShape.end()) return std::nullopt;
    const Walk walk(*this);
    const Way way = walk_down(address, 0);
    // Relaxed: it is told, and nothing is read by it.
    const Word word =
        way.level == 0 ? way.at->load(std::memory_order_relaxed) : 0;
    if (!entry::is_present(word)) return std::nullopt;
    return entry::mapped(word);
  }

  // Takes away what is mapped in the range: visit(address, Mapped) for each
  // page, when no CPU uses it any more. Tables that become empty are freed.
  template <class Visitor>
  void remove(Range range, Visitor&& visit) {
    change(range, [](Word) { return Word{0}; }, entry::kOneMore, visit);
  }

  // Leaves only those rights that `rights` has too: visit(address, Mapped),
  // with what was before, for each page that loses one, when no CPU uses it by
  // the old ones any more.
  template <class Visitor>
  void protect(Range range, Rights rights, Visitor&& visit) {
    change(
        range,
        [allowed = entry::rights_of(rights)](Word word) {
          return (word & ~entry::kRights) |
                 (word & allowed & (entry::kWritable | entry::kUser)) |
                 ((word | allowed) & entry::kNoExecute);
        },
        0, visit);
  }

  // Clears what was noted of pages' use: visit(address, Mapped), with what had
  // been noted, for each that was used. What is used from then on is noted
  // anew, by every CPU.
  template <class Visitor>
  void take_use(Range range, Visitor&& visit) {
    change(
        range,
        [](Word word) { return word & ~(entry::kAccessed | entry::kDirty); }, 0,
        visit);
  }

  // Entries in use of the root: 0 where nothing is mapped and no table is left.
  [[nodiscard]] unsigned top_entries() const {
    return entry::count(root_link_.load(std::memory_order_relaxed));
  }

 private:
  using Word = entry::Word;
  using Entry = typename G::template Atomic<std::uint64_t>;
  using Link = Entry;

  // Tables that one Harvest may hold.
  static constexpr unsigned kMaxTables = 8;
  static_assert(kShape.levels >= 2 && kShape.levels <= kMaxTables);

  // While it lives tables that this CPU may come to are not freed.
  class Walk {
   public:
    explicit Walk(Pmap& pmap)
        : pmap_(pmap), critical_(*pmap.ground_), cpu_(pmap.ground_->cpu()) {
      is_marked_ = !pmap.tlb_->has_loaded(cpu_, pmap.space_);
      // PC: seq_cst.
      if (is_marked_) pmap.space_.near.set(cpu_, std::memory_order_seq_cst);
    }
    Walk(const Walk&) = delete;
    Walk& operator=(const Walk&) = delete;
    ~Walk() {
      // TB: release.
      if (is_marked_) pmap_.space_.near.clear(cpu_, std::memory_order_release);
    }

   private:
    Pmap& pmap_;
    typename G::Critical critical_;
    unsigned cpu_;
    bool is_marked_;
  };

  // What was taken away and is still to be forgotten by CPUs.
  struct Harvest {
    Batch batch;
    std::array<Word, Batch::kMaxPages> words;
    std::array<std::uint64_t, kMaxTables> tables;
    unsigned table_count = 0;

    [[nodiscard]] bool has_room() const {
      return !batch.is_full() && table_count + kShape.levels <= kMaxTables;
    }
    void add(std::uint64_t address, Word word) {
      words[batch.pages().size()] = word;
      batch.add(address);
    }
    void add_table(std::uint64_t physical) {
      tables[table_count++] = physical;
      batch.free_tables();
    }
  };

  [[nodiscard]] static constexpr bool is_inside(Range range) {
    return range.begin < range.end && range.end <= kShape.end() &&
           is_aligned(range.begin, kShape.page_bytes()) &&
           is_aligned(range.end, kShape.page_bytes());
  }

  [[nodiscard]] Entry& entry_of(Word link, std::uint64_t address,
                                unsigned level) {
    return ground_->table(
        entry::physical(link))[kShape.index_of(address, level)];
  }

  // --- locks ---
  // False: the link leads nowhere any more. Waits for who holds it.
  [[nodiscard]] bool lock(Link& link) {
    // Relaxed: the exchange below is what counts.
    Word seen = link.load(std::memory_order_relaxed);
    for (;;) {
      if (!entry::is_present(seen)) return false;
      if ((seen & entry::kLocked) != 0) {
        ground_->relax();
        seen = link.load(std::memory_order_relaxed);
        continue;
      }
      // PB: acquire.
      if (link.compare_exchange_weak(seen, seen | entry::kLocked,
                                     std::memory_order_acquire,
                                     std::memory_order_relaxed)) {
        return true;
      }
    }
  }
  // `more` is kOneMore for each entry that has come into use, less for each
  // that has gone. The answer is the count.
  unsigned unlock(Link& link, Word more) {
    // PB: release. One addition, so that marks of use are not lost: the lock is
    // there to be subtracted, and the count has room.
    const Word change = more - entry::kLocked;
    return entry::count(link.fetch_add(change, std::memory_order_release) +
                        change);
  }

  // --- the way down ---
  struct Way {
    Entry* at;       // the entry that the way ends with
    unsigned level;  // of the table that it is in
    Link* above;     // leads to that table
  };

  // To the entry of the table of level `bottom` for `address`, or the first on
  // the way that leads nowhere.
  [[nodiscard]] Way walk_down(std::uint64_t address, unsigned bottom) {
    Link* above = &root_link_;
    // Where the root is doesn't change: relaxed.
    Word linked = root_link_.load(std::memory_order_relaxed);
    for (unsigned level = kShape.root_level();; --level) {
      Entry* const at = &entry_of(linked, address, level);
      if (level == bottom) return {at, level, above};
      // PA: acquire. PC: seq_cst.
      linked = at->load(std::memory_order_seq_cst);
      if (!entry::is_present(linked)) return {at, level, above};
      above = at;
    }
  }

  enum class Missing : std::uint8_t { kMake, kTell };
  struct Leaf {
    Link* link;      // locked; null where there is no table, or no memory
    Entry* entry;    // of the address
    unsigned level;  // where one is missing
  };
  [[nodiscard]] Leaf lock_leaf(std::uint64_t address, Missing missing) {
    for (;;) {
      const Way way = walk_down(address, 1);
      if (lock(*way.at)) {
        if (way.level == 1) {
          // Relaxed: PB has shown who linked it last.
          const Word linked = way.at->load(std::memory_order_relaxed);
          return {way.at, &entry_of(linked, address, 0), 0};
        }
        // Somebody has made what was missing.
        unlock(*way.at, 0);
        continue;
      }
      if (missing == Missing::kTell) return {nullptr, nullptr, way.level};
      if (!make_table(way)) return {nullptr, nullptr, way.level};
    }
  }

  // Puts a table where the way ends. False without memory.
  [[nodiscard]] bool make_table(const Way& way) {
    const std::optional<std::uint64_t> made = ground_->make_table();
    if (!made) return false;
    bool is_used = false;
    // Else the table that the link is in has been taken away.
    if (lock(*way.above)) {
      // Relaxed: PB. Where the table above is another one by now, the link is
      // in one that nobody finds, and its CPUs have not been heard of yet.
      const Word above = way.above->load(std::memory_order_relaxed);
      is_used = is_in_table(above, *way.at) &&
                !entry::is_present(way.at->load(std::memory_order_relaxed));
      if (is_used) {
        // PA: release.
        way.at->store(entry::link_to(*made), std::memory_order_release);
      }
      unlock(*way.above, is_used ? entry::kOneMore : 0);
    }
    if (!is_used) ground_->free_table(*made);
    return true;
  }
  [[nodiscard]] bool is_in_table(Word link, const Link& place) {
    const Link* const table = ground_->table(entry::physical(link));
    return &place >= table && &place < table + kShape.entries();
  }

  // --- changes ---
  // Writes a page's entry, with the use that was noted of the same page before.
  // What was there.
  [[nodiscard]] static Word put(Entry& at, const Page& page) {
    // Relaxed: the lock is held (PB), and of what processors add nothing else
    // depends.
    Word word = at.load(std::memory_order_relaxed);
    for (;;) {
      const bool is_same =
          entry::is_present(word) && entry::physical(word) == page.physical;
      const Word use = is_same ? word & (entry::kAccessed | entry::kDirty) : 0;
      // PD: release.
      if (at.compare_exchange_weak(word, entry::of_page(page) | use,
                                   std::memory_order_release,
                                   std::memory_order_relaxed)) {
        return word;
      }
    }
  }
  // Makes `to(word)` of an entry that is present. What it was, if that is
  // something else.
  template <class Make>
  [[nodiscard]] static std::optional<Word> alter(Entry& at, Make to) {
    // Relaxed, all: as in put(), and no page comes into use.
    Word word = at.load(std::memory_order_relaxed);
    while (entry::is_present(word) && to(word) != word) {
      if (at.compare_exchange_weak(word, to(word), std::memory_order_relaxed,
                                   std::memory_order_relaxed)) {
        return word;
      }
    }
    return std::nullopt;
  }

  // Makes to(word) of each entry in the range; `less` is kOneMore where that is
  // nothing.
  template <class Make, class Visitor>
  void change(Range range, Make to, Word less, Visitor&& visit) {
    if (!is_inside(range)) return;
    std::uint64_t at = range.begin;
    while (at < range.end) {
      Harvest harvest;
      {
        const Walk walk(*this);
        for (unsigned steps = 0;
             steps < kMaxSteps && at < range.end && harvest.has_room();
             ++steps) {
          at = change_table(at, range.end, to, less, harvest);
        }
      }
      if (harvest.batch.is_empty()) continue;
      tlb_->forget(space_, harvest.batch);
      for (unsigned i = 0; i < harvest.table_count; ++i) {
        ground_->free_table(harvest.tables[i]);
      }
      for (std::size_t i = 0; i < harvest.batch.pages().size(); ++i) {
        visit(harvest.batch.pages()[i], entry::mapped(harvest.words[i]));
      }
    }
  }

  // The pages from `at` on that are in one leaf table, as long as there is room
  // for them. Where to go on.
  template <class Make>
  [[nodiscard]] std::uint64_t change_table(std::uint64_t at, std::uint64_t end,
                                           Make to, Word less,
                                           Harvest& harvest) {
    const Leaf leaf = lock_leaf(at, Missing::kTell);
    if (leaf.link == nullptr) {
      return std::min(end, kShape.next(at, leaf.level));
    }
    const std::uint64_t first = at;
    const std::uint64_t stop = std::min(end, kShape.next(at, 1));
    Word gone = 0;
    for (Entry* entry = leaf.entry; at < stop && !harvest.batch.is_full();
         ++entry, at += kShape.page_bytes()) {
      const std::optional<Word> before = alter(*entry, to);
      if (!before) continue;
      gone += less;
      harvest.add(at, *before);
    }
    const unsigned left = unlock(*leaf.link, Word{0} - gone);
    if (left == 0 && gone != 0) prune(first, harvest);
    return at;
  }

  // Takes the leaf table for `address` away if it is empty, and those above it
  // that become so.
  void prune(std::uint64_t address, Harvest& harvest) {
    for (unsigned level = 1; level < kShape.levels; ++level) {
      const Way way = walk_down(address, level);
      // From above to below (P3).
      if (way.level != level || !lock(*way.above)) return;
      // Relaxed: PB.
      const Word above = way.above->load(std::memory_order_relaxed);
      if (!is_in_table(above, *way.at) || !lock(*way.at)) {
        unlock(*way.above, 0);
        return;
      }
      // Relaxed: PB.
      const Word link = way.at->load(std::memory_order_relaxed);
      if (entry::count(link) != 0) {
        unlock(*way.at, 0);
        unlock(*way.above, 0);
        return;
      }
      // PC: seq_cst. Its lock is gone with it: who waits for that looks anew.
      (void)way.at->exchange(0, std::memory_order_seq_cst);
      harvest.add_table(entry::physical(link));
      if (unlock(*way.above, Word{0} - entry::kOneMore) != 0) return;
    }
  }

  // Frees the tables below one, of which `entries` are looked at.
  void free_below(std::uint64_t table, unsigned level, unsigned entries) {
    if (level == 0) return;
    for (unsigned i = 0; i < entries; ++i) {
      // Relaxed: nobody else is left.
      const Word word =
          ground_->table(table)[i].load(std::memory_order_relaxed);
      if (!entry::is_present(word)) continue;
      free_below(entry::physical(word), level - 1, kShape.entries());
      ground_->free_table(entry::physical(word));
    }
  }

  G* ground_;
  Tlb<G>* tlb_;
  TlbSpace<G> space_;
  // Stands for the link above the root, with its lock and count.
  Link root_link_{std::uint64_t{0}};
};

}  // namespace odo::pmap
