// SPDX-License-Identifier: BSD-3-Clause
// The B+tree under BTreeMap, BTreeSet and their multi variants (map.h, set.h):
// looks up, inserts, erases and walks; knows nodes and positions, not
// iterators.
//
// Invariants (testing/inspector.h asks them all):
//   I1. All leaves are at one depth, linked both ways in key order; keys within
//       a leaf are sorted, strictly if they are unique.
//   I2. A leaf holds kLeastInLeaf elements or more, an inner node kLeastInInner
//       children or more, unless it is the root or on the tree's left or right
//       edge; there a leaf has one element, an inner node two children.
//   I3. Separators part their neighbours' keys (node.h).
//   I4. head_ and tail_ are the outermost leaves; all three pointers are null
//       in an empty tree, and height_ counts the levels of inner nodes.
//   I5. In an augmented tree, each summary is that of its child.
//   I6. A leaf is freed only as the right one of two neighbours under one
//       parent, where its separator goes too: no other inner node names it.
//   I7. Whatever needs memory takes all of it before it changes anything.
//
// Contexts: any; one caller at a time, or readers only. No recursion; stack use
//   is a Path or two. Calls Less, the allocator, and K's and V's moves.
// Failure: insertions, build, split and concatenation by Error, with the tree
//   as it was (I7). Erasing, moving and look-ups don't fail.
// Complexity: look-up, insertion, erasure O(log n); n elements in order O(n).
// Origin: Comer, "The Ubiquitous B-Tree" (1979); spreading over neighbours
//   before a split as in Knuth's B* trees (TAOCP 3, 6.2.4), over three.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

#include "lib/base/annotations.h"
#include "lib/btree/allocator.h"
#include "lib/btree/augment.h"
#include "lib/btree/error.h"
#include "lib/btree/node.h"
#include "lib/btree/path.h"
#include "lib/btree/policy.h"
#include "lib/btree/relocate.h"
#include "lib/btree/search.h"

namespace odo::btree {

template <class K, class V, class Choice, bool Unique>
class Inspector;

namespace detail {

template <class K, class V, class Options, bool Unique>
class Tree {
 public:
  using Key = K;
  using Value = V;
  using Less = Options::Less;
  using Search = Options::Search;
  using Allocator = Options::Allocator;
  using Augment = Options::Augment;
  using Summary = Augment::Summary;
  using LeafT = Leaf<K, V, Options::kLeafBytes>;
  using InnerT = Inner<K, LeafT, Summary, Options::kInnerBytes>;
  using PositionT = Position<LeafT>;
  using PathT = Path<LeafT, InnerT>;
  static_assert(NodeAllocator<Allocator>);
  static_assert(std::is_nothrow_move_constructible_v<K>);

  static constexpr bool kUnique = Unique;
  static constexpr bool kHasValues = LeafT::kHasValues;
  static constexpr bool kSummed = kAugmented<Augment>;
  static constexpr std::uint32_t kLeafSlots = LeafT::kSlots;
  static constexpr std::uint32_t kInnerSlots = InnerT::kSlots;
  static constexpr std::uint32_t kLeastInLeaf =
      policy::least_in_leaf(kLeafSlots, Options::kLeastFillPercent);
  static constexpr std::uint32_t kLeastInInner =
      policy::least_in_inner(kInnerSlots, Options::kLeastFillPercent);
  static_assert(Options::kLeastFillPercent <= policy::kMostLeastFillPercent);
  static_assert(Options::kSpread >= 1 &&
                Options::kSpread <= policy::kMostSpread);

  explicit Tree(const Less& less = Less(),
                const Allocator& allocator = Allocator())
      : less_(less), allocator_(allocator) {}
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;
  Tree(Tree&& other) noexcept
      : less_(other.less_), allocator_(other.allocator_) {
    steal(other);
  }
  Tree& operator=(Tree&& other) noexcept {
    if (this != &other) {
      clear();
      less_ = other.less_;
      allocator_ = other.allocator_;
      steal(other);
    }
    return *this;
  }
  ~Tree() { clear(); }

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] const Less& less() const { return less_; }
  [[nodiscard]] const Allocator& allocator() const { return allocator_; }
  // Of nodes, as asked of the allocator. Linear in nodes.
  [[nodiscard]] std::size_t bytes() const;

  // --- to look up ------------------------------------------------------------

  [[nodiscard]] PositionT first() const { return {head_, 0}; }
  [[nodiscard]] PositionT end() const {
    return {tail_, tail_ == nullptr ? 0 : tail_->count};
  }

  // The first element whose key is not less than `query`, or the end.
  template <class Q>
  [[nodiscard]] ODO_ALWAYS_INLINE PositionT lower_bound(const Q& query) const {
    if (root_ == nullptr) return {};
    LeafT* leaf = descend<kUnique>(query);
    return settled({leaf, lower_in(leaf, query)});
  }

  // The first element whose key is greater than `query`, or the end.
  template <class Q>
  [[nodiscard]] PositionT upper_bound(const Q& query) const {
    if (root_ == nullptr) return {};
    LeafT* leaf = descend<true>(query);
    return settled({leaf, upper_in(leaf, query)});
  }

  // An element with this key (the first of equal ones), or no leaf.
  template <class Q>
  [[nodiscard]] ODO_ALWAYS_INLINE PositionT find(const Q& query) const {
    if (root_ == nullptr) return {};
    LeafT* leaf = descend<kUnique>(query);
    PositionT at{leaf, lower_in(leaf, query)};
    if constexpr (!kUnique) at = settled(at);
    if (at.index == at.leaf->count || less_(query, *at.leaf->key(at.index))) {
      return {};
    }
    return at;
  }

  // Asks for all lines of a leaf that will be read soon.
  static void prefetch_leaf(const LeafT* leaf) {
    constexpr std::size_t kLine = 64;
    const auto* bytes = reinterpret_cast<const std::byte*>(leaf);
    for (std::size_t at = 0; at < sizeof(LeafT) && at < 16 * kLine;
         at += kLine) {
      __builtin_prefetch(bytes + at);
    }
  }

  // find() for `count` queries, kBatch at a time: while one waits for memory,
  // the others go on. answer(i, position) for each, in order within a batch.
  template <class Q, class Answer>
  void find_each(const Q* queries, std::size_t count, Answer&& answer) const;

  // How many elements lie from `from` up to `to`. Linear in leaves.
  [[nodiscard]] static std::size_t distance(PositionT from, PositionT to);

  // --- to change -------------------------------------------------------------

  struct Inserted {
    PositionT at;
    bool fresh;  // false: there was one with this key, and nothing changed
  };

  // Makes a place for `key` and lets fill(K* key, V* value) construct both
  // there (V* is null for sets). Of equal keys the new one comes last.
  template <class Fill>
  [[nodiscard]] ODO_ALWAYS_INLINE Result<Inserted> insert(const K& key,
                                                          Fill&& fill);

  // The same where `hint` may be the place before which it belongs: without a
  // look-up if so.
  template <class Fill>
  [[nodiscard]] Result<Inserted> insert_near(PositionT hint, const K& key,
                                             Fill&& fill);

  // Ends the element at `at` and answers where the next one is.
  PositionT erase(PositionT at);

  // The same for `count` elements from `at` on; so many there are.
  PositionT erase(PositionT at, std::size_t count);

  void clear();

  // Calls change(V&) and mends the summaries above.
  template <class Change>
  void update(PositionT at, Change&& change);

  // --- whole trees (tree_bulk.h) ---------------------------------------------

  // Fills an empty tree from a sorted sequence: fill(iterator, K*, V*)
  // constructs an element.
  template <class I, class S, class Fill>
  [[nodiscard]] Result<void> build(I first, S last, const Fill& fill);

  // Moves all elements not less than `key` into `right`, which is empty and
  // has an equal allocator.
  template <class Q>
  [[nodiscard]] Result<void> split(const Q& key, Tree& right);

  // Takes all elements of `right`, none less than any here.
  [[nodiscard]] Result<void> concatenate(Tree& right);

  // --- summaries (tree_summary.h) --------------------------------------------

  // The summary of all elements.
  [[nodiscard]] Summary summary() const
  requires kSummed;

  // The element with `n` before it, or the end; and how many are before `at`.
  [[nodiscard]] PositionT nth(std::size_t n) const
  requires std::same_as<Augment, CountAugment>;
  template <class Q>
  [[nodiscard]] std::size_t rank(const Q& key) const
  requires std::same_as<Augment, CountAugment>;

  // visit(position) for the elements of every subtree for which enter(summary)
  // holds, in order, while it returns true; stops at the first key for which
  // past(key).
  template <class Enter, class Past, class Visit>
  void walk(const Enter& enter, const Past& past, Visit&& visit) const
  requires kSummed;

 private:
  template <class, class, class, bool>
  friend class odo::btree::Inspector;  // testing/inspector.h

  // Nodes taken before a change begins (I7); what is left over goes back.
  struct Spares {
    explicit Spares(Tree& owner) : tree(owner) {}
    Spares(const Spares&) = delete;
    Spares& operator=(const Spares&) = delete;
    Spares(Spares&&) = delete;
    Spares& operator=(Spares&&) = delete;
    ~Spares() {
      if (leaf != nullptr) tree.free_leaf(leaf);
      while (count > 0) tree.free_inner(inners[--count]);
    }
    bool take_leaf() {
      leaf = tree.new_leaf();
      return leaf != nullptr;
    }
    bool take_inner() {
      InnerT* inner = tree.new_inner();
      if (inner == nullptr) return false;
      inners[count++] = inner;
      return true;
    }
    LeafT* use_leaf() { return std::exchange(leaf, nullptr); }
    InnerT* use_inner() { return inners[--count]; }

    Tree& tree;
    LeafT* leaf = nullptr;
    std::size_t count = 0;
    InnerT* inners[kMaxHeight + 1];
  };

  // A child on its way into a parent, with the separator to its left.
  struct Newcomer {
    void* node;
    InnerT::Separator separator;
  };

  // Orders leaves that stand for their first keys, beside queries.
  struct ByFirstKey {
    const Less& less;
    template <class Q>
    bool operator()(const LeafT* leaf, const Q& query) const {
      return less(*leaf->key(0), query);
    }
    template <class Q>
    bool operator()(const Q& query, const LeafT* leaf) const {
      return less(query, *leaf->key(0));
    }
  };

  static constexpr std::size_t kBatch = 16;

  // --- nodes -----------------------------------------------------------------

  LeafT* new_leaf() {
    void* memory = allocator_.allocate(sizeof(LeafT), alignof(LeafT));
    return memory == nullptr ? nullptr : ::new (memory) LeafT;
  }
  InnerT* new_inner() {
    void* memory = allocator_.allocate(sizeof(InnerT), alignof(InnerT));
    return memory == nullptr ? nullptr : ::new (memory) InnerT;
  }
  // Elements must have gone from a leaf before.
  void free_leaf(LeafT* leaf) {
    allocator_.deallocate(leaf, sizeof(LeafT), alignof(LeafT));
  }
  void free_inner(InnerT* inner) {
    allocator_.deallocate(inner, sizeof(InnerT), alignof(InnerT));
  }

  static void prefetch_inner(const InnerT* inner) {
    constexpr std::size_t kLine = 64;
    const auto* bytes = reinterpret_cast<const std::byte*>(inner);
    constexpr std::size_t kSearched = sizeof(inner->separators) < 8 * kLine
                                          ? sizeof(inner->separators)
                                          : 8 * kLine;
    for (std::size_t at = 0; at < kSearched; at += kLine) {
      __builtin_prefetch(bytes + at);
    }
  }

  // --- searching within nodes ------------------------------------------------

  template <class Q>
  [[nodiscard]] ODO_ALWAYS_INLINE std::uint32_t lower_in(const LeafT* leaf,
                                                         const Q& q) const {
    return static_cast<std::uint32_t>(
        Search::lower(leaf->key(0), leaf->count, q, less_));
  }
  template <class Q>
  [[nodiscard]] ODO_ALWAYS_INLINE std::uint32_t upper_in(const LeafT* leaf,
                                                         const Q& q) const {
    return static_cast<std::uint32_t>(
        Search::upper(leaf->key(0), leaf->count, q, less_));
  }

  // Which child to enter: Upper, the last that may hold keys equal to `q`;
  // else the first.
  template <bool Upper, class Q>
  [[nodiscard]] ODO_ALWAYS_INLINE std::uint32_t child_for(const InnerT* inner,
                                                          const Q& q) const {
    const auto* separators = inner->separators.items;
    const std::size_t count = inner->count - 1;
    if constexpr (kCopiedSeparators<K>) {
      return static_cast<std::uint32_t>(
          Upper ? Search::upper(separators, count, q, less_)
                : Search::lower(separators, count, q, less_));
    } else {
      const ByFirstKey order{less_};
      return static_cast<std::uint32_t>(
          Upper ? BinarySearch::upper(separators, count, q, order)
                : BinarySearch::lower(separators, count, q, order));
    }
  }

  // The root is there.
  template <bool Upper, class Q>
  [[nodiscard]] ODO_ALWAYS_INLINE LeafT* descend(const Q& query) const {
    void* node = root_;
    for (std::uint32_t left = height_; left > 0; --left) {
      const auto* inner = static_cast<const InnerT*>(node);
      node = inner->children[child_for<Upper>(inner, query)];
      if (left > 1) {
        prefetch_inner(static_cast<const InnerT*>(node));
      } else {
        prefetch_leaf(static_cast<const LeafT*>(node));
      }
    }
    return static_cast<LeafT*>(node);
  }

  template <bool Upper, class Q>
  ODO_ALWAYS_INLINE void descend(const Q& query, PathT& path) const {
    void* node = root_;
    path.height = height_;
    for (std::uint32_t level = 0; level < height_; ++level) {
      auto* inner = static_cast<InnerT*>(node);
      const std::uint32_t index = child_for<Upper>(inner, query);
      path.steps[level] = {inner, index};
      node = inner->children[index];
      if (level + 1 < height_) {
        prefetch_inner(static_cast<const InnerT*>(node));
      } else {
        prefetch_leaf(static_cast<const LeafT*>(node));
      }
    }
    path.leaf = static_cast<LeafT*>(node);
  }

  // Down the left (or right) edge below path.steps[level - 1].
  void descend_edge(PathT& path, std::uint32_t level, bool right) const;
  // To the next leaf; there is one.
  void advance(PathT& path) const;
  // To the leaf at `at`, which is no end.
  [[nodiscard]] PathT path_to(PositionT at) const;

  // An index past a leaf's last element is the next leaf's first.
  [[nodiscard]] static PositionT settled(PositionT at) {
    if (at.index == at.leaf->count && at.leaf->next != nullptr) {
      return {at.leaf->next, 0};
    }
    return at;
  }

  // --- tree_insert.h ---------------------------------------------------------

  template <class Fill>
  void put(LeafT* leaf, std::uint32_t at, Fill&& fill);
  [[nodiscard]] Result<PositionT> make_room(PathT& path, const K& key);
  [[nodiscard]] bool take_inners(const PathT& path, std::uint32_t levels,
                                 Spares& spares);
  void add_child(PathT& path, std::uint32_t levels, std::uint32_t at,
                 Newcomer newcomer, Spares& spares);
  PositionT spread(PathT& path, std::uint32_t first, std::uint32_t leaves,
                   LeafT* fresh, const K& key);
  [[nodiscard]] static bool on_edge(const PathT& path, std::uint32_t levels,
                                    bool right);
  static void insert_child(InnerT* inner, std::uint32_t at, Newcomer newcomer,
                           std::uint32_t child_height);
  static void split_inner(InnerT* left, InnerT* right, std::uint32_t keep,
                          InnerT::Separator& between);

  static void link_after(LeafT* leaf, LeafT* fresh) {
    fresh->prev = leaf;
    fresh->next = leaf->next;
    if (leaf->next != nullptr) leaf->next->prev = fresh;
    leaf->next = fresh;
  }

  // What stands for `leaf`'s left border once `key` has come to `coming`.
  [[nodiscard]] static InnerT::Separator separator_of(LeafT* leaf,
                                                      PositionT coming,
                                                      const K& key) {
    if constexpr (!kCopiedSeparators<K>) {
      return leaf;
    } else {
      return coming == PositionT{leaf, 0} ? key : *leaf->key(0);
    }
  }

  // --- tree_erase.h ----------------------------------------------------------

  static void move_elements(LeafT* from, std::uint32_t from_at, LeafT* to,
                            std::uint32_t to_at, std::uint32_t count);
  static void push_right(LeafT* left, LeafT* right, std::uint32_t count);
  static void pull_left(LeafT* left, LeafT* right, std::uint32_t count);
  static void pull_children(InnerT* left, InnerT* right, std::uint32_t count,
                            InnerT::Separator& between);
  static void push_children(InnerT* left, InnerT* right, std::uint32_t count,
                            InnerT::Separator& between);
  static void drop_child(InnerT* parent, std::uint32_t index);
  void cut(LeafT* leaf, std::uint32_t at, std::uint32_t count);
  PositionT erase_chunk(PathT& path, std::uint32_t count);
  bool fix_leaf(InnerT* parent, std::uint32_t index, PositionT& track);
  bool fix_inner(InnerT* parent, std::uint32_t index, std::uint32_t height);
  void fix_up(const PathT& path, std::uint32_t levels);
  void fix_edge(bool right);
  void collapse_root();

  // --- tree_summary.h --------------------------------------------------------

  static void count_in(Summary& sum, LeafT* leaf, std::uint32_t i) {
    if constexpr (kHasValues) {
      Augment::include(sum, *leaf->key(i), *leaf->value(i));
    } else {
      Augment::include(sum, *leaf->key(i), NoValue{});
    }
  }
  static void count_out(Summary& sum, LeafT* leaf, std::uint32_t i) {
    if constexpr (kHasValues) {
      Augment::exclude(sum, *leaf->key(i), *leaf->value(i));
    } else {
      Augment::exclude(sum, *leaf->key(i), NoValue{});
    }
  }
  [[nodiscard]] static Summary summary_of(void* node, std::uint32_t height);
  static void resum(InnerT* inner, std::uint32_t index,
                    std::uint32_t child_height);
  static void resum(const PathT& path);

  // --- tree_bulk.h -----------------------------------------------------------

  // Whether `b` may come right after `a`.
  [[nodiscard]] bool in_order(const K& a, const K& b) const {
    return kUnique ? less_(a, b) : !less_(b, a);
  }
  template <class I, class S, class Fill>
  [[nodiscard]] static std::uint32_t fill_leaf(LeafT* leaf, I& first,
                                               const S& last, const Fill& fill);
  [[nodiscard]] bool index_leaves(std::size_t leaves);
  void resum_all();
  void recount(Tree& right);

  void steal(Tree& other) {
    root_ = std::exchange(other.root_, nullptr);
    head_ = std::exchange(other.head_, nullptr);
    tail_ = std::exchange(other.tail_, nullptr);
    size_ = std::exchange(other.size_, 0);
    height_ = std::exchange(other.height_, 0);
  }

  void* root_ = nullptr;
  LeafT* head_ = nullptr;
  LeafT* tail_ = nullptr;
  std::size_t size_ = 0;
  std::uint32_t height_ = 0;
  [[no_unique_address]] Less less_;
  [[no_unique_address]] Allocator allocator_;
};

}  // namespace detail
}  // namespace odo::btree

// The definitions, by what they are about.
#include "lib/btree/tree_bulk.h"     // IWYU pragma: export
#include "lib/btree/tree_erase.h"    // IWYU pragma: export
#include "lib/btree/tree_find.h"     // IWYU pragma: export
#include "lib/btree/tree_insert.h"   // IWYU pragma: export
#include "lib/btree/tree_summary.h"  // IWYU pragma: export
