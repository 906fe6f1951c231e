// SPDX-License-Identifier: BSD-3-Clause
// An ordered map of words that any number of threads read and change at once.
// Readers take no lock and write nothing that others read; writers lock the
// nodes that they change.
//
//   ConcurrentBTree<std::uint64_t, std::uint32_t, HostGround> blocks;
//   if (!blocks.insert(key, value)) return fail(...);   // no memory
//   std::optional<std::uint32_t> found = blocks.find(key);
//   blocks.scan(from, 100, [](std::uint64_t key, std::uint32_t value) { ... });
//
// Every operation but scan(), size() and reclaim() is linearizable: it takes
// effect at one moment between its call and its return. docs/
// btree-concurrent.md has the protocol, and what scan() promises.
//
// Contexts: threads; not interrupt handlers, and not the key order, the
//   allocator or a section of the same ground. A scan's visitor may use the
//   tree. Constructor and destructor: while nobody else uses it.
// Ownership: the tree owns its nodes. Memory of those that left it stays until
//   no lane reads in it.
// Invariants:
//   T1. an element lies in the leaf that the separators lead to;
//   T2. every node but the root has kLeafLeast elements or kInnerLeast children
//       at least (kit.h), and all leaves have the same depth;
//   T3. which keys a node may hold changes only while it is locked.
// Ordering: docs/btree-concurrent.md has the pairs; letters beside each order.
// Failure: kNoMemory from insert() and insert_or_assign(), which then changed
//   no element. Nothing else fails.
// Complexity: O(log n). An operation that meets with changes begins anew,
// kTries
//   times at most; then it locks its way down and can't be disturbed.
// Origin: Leis et al. (version_lock.h); B+trees as in the sequential tree.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <type_traits>
#include <utility>

#include "lib/base/result.h"
#include "lib/btree/allocator.h"
#include "lib/btree/concurrent/kit.h"
#include "lib/btree/concurrent/limbo.h"
#include "lib/btree/concurrent/node.h"
#include "lib/btree/concurrent/options.h"
#include "lib/btree/concurrent/platform.h"
#include "lib/btree/concurrent/reshape.h"
#include "lib/btree/concurrent/section.h"
#include "lib/btree/concurrent/walk.h"
#include "lib/btree/error.h"

namespace odo::btree {

template <WordSized Key, WordSized Value, ConcurrentPlatform P,
          class Options = ConcurrentOptions<Key>>
class ConcurrentBTree {
  using Kit = detail::Kit<Key, Value, P, Options>;
  using Node = Kit::Node;
  using Leaf = Kit::Leaf;
  using Inner = Kit::Inner;
  using Less = Kit::Less;
  using Allocator = Options::Allocator;
  static_assert(NodeAllocator<Allocator>);

 public:
  using key_type = Key;
  using mapped_type = Value;

  struct Entry {
    Key key{};
    Value value{};
  };

  explicit ConcurrentBTree(P platform = P(), Allocator allocator = Allocator())
      : platform_(std::move(platform)), allocator_(std::move(allocator)) {}
  ConcurrentBTree(const ConcurrentBTree&) = delete;
  ConcurrentBTree& operator=(const ConcurrentBTree&) = delete;
  ~ConcurrentBTree();

  // --- looking

  [[nodiscard]] std::optional<Value> find(Key key) const;
  [[nodiscard]] bool contains(Key key) const { return find(key).has_value(); }
  // The first element whose key is not less than `key`.
  [[nodiscard]] std::optional<Entry> first_at_or_after(Key key) const;

  // Calls visit(key, value) for up to `limit` elements from `from` on, in
  // order, without holding anything; a visit that returns false is the last.
  // Returns how many there were.
  //
  // An element that is there during the whole scan is visited once; one that is
  // not there at any time of it, never. Others may be or not. What lies in one
  // leaf was there at one moment.
  template <class Visit>
  std::size_t scan(Key from, std::size_t limit, Visit&& visit) const;

  // How many elements there are: exact while nobody changes the tree.
  [[nodiscard]] std::size_t size() const;

  // --- changing

  // True when inserted, false when the key was there: then nothing changed.
  [[nodiscard]] Result<bool> insert(Key key, Value value) {
    return put<Write::kInsert>(key, value);
  }
  // True when inserted, false when its value was replaced.
  Result<bool> insert_or_assign(Key key, Value value) {
    return put<Write::kPut>(key, value);
  }
  // False when there is no such key.
  bool assign(Key key, Value value) {
    Request request{key, value, {}};
    (void)write<Write::kAssign>(request);
    return request.before.has_value();
  }
  // The value that it had, if there was one.
  std::optional<Value> erase(Key key) {
    Request request{key, {}, {}};
    (void)write<Write::kErase>(request);
    return request.before;
  }

  // Frees what left the tree and nobody can be reading; returns how many nodes.
  // To be called where memory is short: the tree itself does this in batches.
  std::size_t reclaim() {
    return limbo_.collect(platform_, [this](Node& node) { free(node); });
  }

 private:
  template <class>
  friend class ConcurrentInspector;

  enum class Write : std::uint8_t { kInsert, kPut, kAssign, kErase };
  enum class Step : std::uint8_t { kDone, kAgain, kReshaped, kNeedsNodes };
  enum class Plan : std::uint8_t { kNothing, kChange, kReshape };

  struct Request {
    Key key;
    Value value;
    std::optional<Value> before;
  };
  // What a step of a write needs and leaves.
  struct Work {
    detail::SpareNodes spares;
    Node* gone = nullptr;
  };
  // Elements of one leaf.
  struct Page {
    Entry entries[Kit::kLeafSlots];
    std::size_t count = 0;
    bool is_bounded = false;
    Key bound{};
  };

  // Sizes are counted in a few places, so that writers seldom share one.
  static constexpr unsigned kCounts = 8;
  struct alignas(detail::kLineBytes) Count {
    P::template Atomic<std::uint64_t> elements{0};
  };

  static constexpr bool makes(Write what) {
    return what == Write::kInsert || what == Write::kPut;
  }

  template <Write What>
  Result<bool> put(Key key, Value value) {
    Request request{key, value, {}};
    ODO_TRY_VOID(write<What>(request));
    return !request.before.has_value();
  }
  template <Write What>
  Result<void> write(Request& request);
  template <Write What>
  Step try_write(Request& request, Work& work);
  template <Write What>
  Step write_locked(Request& request, Work& work);
  template <Write What>
  Step plant(Request& request, Work& work);
  template <Write What, class Held>
  Step reshape(Held& held, Inner* parent, std::size_t index, Node& node,
               Work& work);
  template <Write What>
  static Plan plan(std::size_t n, bool is_there, bool is_root);
  template <Write What>
  static bool wants_reshape(const Inner& inner, bool is_root);
  template <Write What>
  void change(Leaf& leaf, std::size_t at, std::size_t n, bool is_there,
              Request& request);

  template <class Look>
  void look(Key key, Look&& look) const;
  template <class Look>
  void look_locked(Key key, Look& look) const;
  void read_page(Key from, Page& page) const;

  Result<void> stock(detail::SpareNodes& spares);
  void finish(Work& work);
  void bury(Node* gone);
  void free(Node& node);
  void count(std::uint64_t change) {
    // Relaxed: nothing depends on it.
    counts_[platform_.lane() % kCounts].elements.fetch_add(
        change, std::memory_order_relaxed);
  }
  [[nodiscard]] void* allocate(std::size_t bytes) {
    return allocator_.allocate(bytes, detail::kLineBytes);
  }
  void deallocate(void* memory, std::size_t bytes) {
    if (memory == nullptr) return;
    allocator_.deallocate(memory, bytes, detail::kLineBytes);
  }

  [[no_unique_address]] mutable P platform_;
  [[no_unique_address]] Allocator allocator_;
  [[no_unique_address]] Less less_;
  // Written when the root changes, read by everybody.
  alignas(detail::kLineBytes) mutable Kit::Anchor anchor_;
  Count counts_[kCounts];
  detail::Limbo<P, Node> limbo_;
};

}  // namespace odo::btree

// The definitions, by what they are about.
#include "lib/btree/concurrent_look.h"   // IWYU pragma: export
#include "lib/btree/concurrent_write.h"  // IWYU pragma: export
