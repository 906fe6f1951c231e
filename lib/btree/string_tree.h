// SPDX-License-Identifier: BSD-3-Clause
// The B+tree under BTreeStringMap and BTreeStringSet (string_map.h): looks up,
// inserts, erases and walks; knows pages and positions, not iterators.
//
// Invariants (testing/string_inspector.h asks them all):
//   S1. All leaves are at one depth, linked both ways in key order; keys within
//       a page ascend strictly, and all begin with its prefix.
//   S2. A leaf has one element at least, an inner page one child.
//   S3. A separator is greater than every key on its left and not greater than
//       any on its right; it is the shortest string of which that is true among
//       the beginnings of the key on its right when it was made.
//   S4. head_ and tail_ are the outermost leaves; all three pointers are null
//       in an empty tree, and height_ counts the levels of inner pages.
//   S5. Pages are as large as the options say, or, where a few keys need more,
//       of the next power of two.
//   S6. Whatever needs memory takes all of it before it changes anything: new
//       pages are built beside the old ones, and then take their place.
//
// Contexts: any; one caller at a time, or readers only. No recursion; stack use
//   is a Path and a few runs, 2 KiB. Calls the allocator and V's moves.
// Failure: insertions by Error, with the tree as it was (S6). Erasing and
//   look-ups don't fail: where a merge finds no memory, the pages stay.
// Complexity: look-up, insertion, erasure O(log n) pages.
// Origin: Bayer and Unterauer, "Prefix B-Trees" (ACM TODS 2, 1977): shortest
//   separators, chosen within an interval around a page's middle, and prefixes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "lib/base/annotations.h"
#include "lib/base/check.h"
#include "lib/btree/allocator.h"
#include "lib/btree/error.h"
#include "lib/btree/path.h"
#include "lib/btree/string_page.h"
#include "lib/btree/string_run.h"

namespace odo::btree {

template <class V, class Choice>
class StringInspector;

namespace detail {

template <class V, class Options>
class StringTree {
 public:
  using Value = V;
  using Allocator = Options::Allocator;
  using LeafT = StringPage<V, typename Options::Search>;
  using InnerT = StringPage<void*, typename Options::Search>;
  using PositionT = Position<LeafT>;
  using PathT = Path<LeafT, InnerT>;
  static_assert(NodeAllocator<Allocator>);

  static constexpr bool kHasValues = LeafT::kHasValues;
  static constexpr std::uint32_t kLeafBytes = Options::kLeafBytes;
  static constexpr std::uint32_t kInnerBytes = Options::kInnerBytes;
  static constexpr std::size_t kMaxKeyBytes = Options::kMaxKeyBytes;
  static constexpr std::uint32_t kLeastInLeaf =
      kLeafBytes * Options::kLeastFillPercent / 100;
  static constexpr std::uint32_t kLeastInInner =
      kInnerBytes * Options::kLeastFillPercent / 100;
  static constexpr std::size_t kSearchedBytes = 640;
  static_assert(kMaxKeyBytes <= 4096 && kLeafBytes <= 8192 &&
                    kInnerBytes <= 8192,
                "offsets in pages are of 16 bits");
  static_assert(
      LeafT::kValueBytes <= kLeafBytes / 4,
      "a leaf wants several values; keep pointers to such large ones");
  static_assert(kLeafBytes >= 128 && kInnerBytes >= 128);
  static_assert(Options::kLeastFillPercent <= 50);

  explicit StringTree(const Allocator& allocator = Allocator())
      : allocator_(allocator) {}
  StringTree(const StringTree&) = delete;
  StringTree& operator=(const StringTree&) = delete;
  StringTree(StringTree&& other) noexcept : allocator_(other.allocator_) {
    steal(other);
  }
  StringTree& operator=(StringTree&& other) noexcept {
    if (this != &other) {
      clear();
      allocator_ = other.allocator_;
      steal(other);
    }
    return *this;
  }
  ~StringTree() { clear(); }

  [[nodiscard]] std::size_t size() const { return size_; }
  // Of pages, as asked of the allocator.
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

  // --- to look up ------------------------------------------------------------

  [[nodiscard]] PositionT first() const { return {head_, 0}; }
  [[nodiscard]] PositionT end() const {
    return {tail_, tail_ == nullptr ? 0 : tail_->count()};
  }

  // An element with this key, or no leaf.
  [[nodiscard]] ODO_ALWAYS_INLINE PositionT find(std::string_view key) const {
    if (root_ == nullptr) return {};
    LeafT* leaf = descend<Bound::kUpper>(key);
    const auto place = leaf->template locate<Bound::kLower>(key);
    if (!place.found) return {};
    return {leaf, place.index};
  }

  // The first element behind the bound that `Beyond` says, or the end.
  template <Bound Beyond>
  [[nodiscard]] PositionT bound(std::string_view key) const {
    if (root_ == nullptr) return {};
    // Keys that are equal to a separator are on its right.
    constexpr Bound kChild = Beyond == Bound::kPast ? Beyond : Bound::kUpper;
    LeafT* leaf = descend<kChild>(key);
    return settled({leaf, leaf->template locate<Beyond>(key).index});
  }

  // Asks for the header, the prefix, most heads and spots of a page.
  static void prefetch_page(const void* page) {
    prefetch<kSearchedBytes>(page);
  }
  // For all of a leaf that will be walked.
  static void prefetch_all(const void* leaf) { prefetch<kLeafBytes>(leaf); }

  // --- to change -------------------------------------------------------------

  struct Inserted {
    PositionT at;
    bool fresh;  // false: there was one with this key, and nothing changed
  };

  // Makes a place for `key` and lets fill(V* value) construct the value there
  // (V* is null for sets).
  template <class Fill>
  [[nodiscard]] Result<Inserted> insert(std::string_view key, Fill&& fill);

  // The same for a key that must be greater than all (else kUnsorted): without
  // a look-up while the last leaf has room.
  template <class Fill>
  [[nodiscard]] Result<void> append(std::string_view key, Fill&& fill);

  // Ends the element with this key; false if there is none.
  bool erase(std::string_view key);
  // Ends the element at `at` and answers where the next one is.
  PositionT erase(PositionT at);

  void clear();

 private:
  template <class, class>
  friend class odo::btree::StringInspector;

  // What takes the place of consecutive children of one inner page: at most
  // three, with the separators between them.
  struct Children {
    std::uint32_t first = 0;  // index of the first that goes
    std::uint32_t gone = 1;
    std::uint32_t count = 0;
    void* pages[3] = {};
    StringKey separators[3];  // before each page but the first
  };

  struct Edit {
    InnerT* inner = nullptr;  // null: a new root
    Children children;
  };

  // A change under way: pages that it will need, which go back unless it
  // commits, and pages that it will not need any longer, which go then.
  struct Work {
    explicit Work(StringTree& owner) : tree(owner) {}
    Work(const Work&) = delete;
    Work& operator=(const Work&) = delete;
    Work(Work&&) = delete;
    Work& operator=(Work&&) = delete;
    ~Work() {
      for (std::uint32_t i = 0; i < leaves; ++i) {
        if (leaf[i] != nullptr) tree.free_page(leaf[i]);
      }
      for (std::uint32_t i = 0; i < inners; ++i) tree.free_page(inner[i]);
    }
    LeafT* take_leaf(const LeafT::Shape& shape) {
      LeafT* page = tree.new_page<LeafT>(shape, kLeafBytes);
      if (page != nullptr) leaf[leaves++] = page;
      return page;
    }
    InnerT* take_inner(const InnerT::Shape& shape) {
      InnerT* page = tree.new_page<InnerT>(shape, kInnerBytes);
      if (page != nullptr) inner[inners++] = page;
      return page;
    }
    // The new pages are the tree's.
    void commit() {
      leaves = 0;
      inners = 0;
      for (std::uint32_t i = 0; i < olds; ++i) tree.free_page(old[i]);
    }

    StringTree& tree;
    std::uint32_t leaves = 0;
    std::uint32_t inners = 0;
    std::uint32_t olds = 0;
    LeafT* leaf[3];
    InnerT* inner[2 * kMaxHeight + 1];
    InnerT* old[kMaxHeight];
  };

  // --- pages -----------------------------------------------------------------

  template <class PageT>
  PageT* new_page(const PageT::Shape& shape, std::uint32_t usual) {
    std::uint32_t bytes = usual;
    if (shape.bytes() > bytes) {
      bytes = 1024;
      while (bytes < shape.bytes()) bytes *= 2;
      // An offset of 16 bits reaches up to there (see divide_leaf()).
      ODO_CHECK(bytes <= 32768);
    }
    void* memory = allocator_.allocate(bytes, PageT::kAlign);
    if (memory == nullptr) return nullptr;
    bytes_ += bytes;
    return PageT::create(memory, bytes, shape);
  }
  // Values must have gone from a leaf before.
  template <class PageT>
  void free_page(PageT* page) {
    bytes_ -= page->bytes();
    allocator_.deallocate(page, page->bytes(), PageT::kAlign);
  }

  template <std::size_t Bytes>
  static void prefetch(const void* page) {
    constexpr std::size_t kLine = 64;
    const auto* bytes = static_cast<const std::byte*>(page);
    for (std::size_t at = 0; at < Bytes; at += kLine) {
      __builtin_prefetch(bytes + at);
    }
  }

  // --- ways down -------------------------------------------------------------

  template <Bound Beyond>
  [[nodiscard]] ODO_ALWAYS_INLINE LeafT* descend(std::string_view key) const {
    void* node = root_;
    for (std::uint32_t left = height_; left > 0; --left) {
      const auto* inner = static_cast<const InnerT*>(node);
      node = inner->child(inner->template locate<Beyond>(key).index);
      prefetch_page(node);
    }
    return static_cast<LeafT*>(node);
  }
  ODO_ALWAYS_INLINE void descend(std::string_view key, PathT& path) const {
    void* node = root_;
    path.height = height_;
    for (std::uint32_t level = 0; level < height_; ++level) {
      auto* inner = static_cast<InnerT*>(node);
      const std::uint32_t index =
          inner->template locate<Bound::kUpper>(key).index;
      path.steps[level] = {inner, index};
      node = inner->child(index);
      prefetch_page(node);
    }
    path.leaf = static_cast<LeafT*>(node);
  }

  // An index past a leaf's last element is the next leaf's first.
  [[nodiscard]] static PositionT settled(PositionT at) {
    if (at.index == at.leaf->count() && at.leaf->next != nullptr) {
      return {at.leaf->next, 0};
    }
    return at;
  }

  // --- inserting (string_tree_insert.h) --------------------------------------

  [[nodiscard]] Result<PositionT> make_first(std::string_view key);
  [[nodiscard]] Result<PositionT> make_room(PathT& path, std::string_view key);
  template <class PageT>
  static std::uint32_t best_border(const StringRun<PageT>& run,
                                   std::uint32_t ideal);
  static std::uint32_t shortest_separator(const StringRun<InnerT>& run);
  template <class PageT>
  static std::uint32_t smallest_border(const StringRun<PageT>& run,
                                       std::uint32_t up);
  static bool fits(const InnerT* inner, const Children& children);
  static void apply(InnerT* inner, const Children& children);
  [[nodiscard]] bool plan(const PathT& path, Children children, bool appends,
                          bool prepends, Work& work, Edit& edit);
  void carry_out(const Edit& edit);

  // --- erasing (string_tree_erase.h) -----------------------------------------

  PositionT remove(PathT& path);
  ODO_NOINLINE PositionT remove_slowly(PositionT at);
  PositionT drop_leaf(PathT& path);
  void merge_leaf(PathT& path, PositionT& track);
  bool merge_inner(InnerT* above, std::uint32_t index);
  void mend_up(const PathT& path, std::uint32_t levels);
  static void drop_child(InnerT* inner, std::uint32_t index);

  static void link(LeafT* left, LeafT* right, StringTree& tree) {
    if (left != nullptr) {
      left->next = right;
    } else {
      tree.head_ = right;
    }
    if (right != nullptr) {
      right->prev = left;
    } else {
      tree.tail_ = left;
    }
  }

  void steal(StringTree& other) {
    root_ = std::exchange(other.root_, nullptr);
    head_ = std::exchange(other.head_, nullptr);
    tail_ = std::exchange(other.tail_, nullptr);
    size_ = std::exchange(other.size_, 0);
    bytes_ = std::exchange(other.bytes_, 0);
    height_ = std::exchange(other.height_, 0);
  }

  [[no_unique_address]] Allocator allocator_;
  void* root_ = nullptr;  // a leaf if height_ is 0
  LeafT* head_ = nullptr;
  LeafT* tail_ = nullptr;
  std::size_t size_ = 0;
  std::size_t bytes_ = 0;
  std::uint32_t height_ = 0;
};

}  // namespace detail
}  // namespace odo::btree

#include "lib/btree/string_tree_erase.h"   // IWYU pragma: keep
#include "lib/btree/string_tree_insert.h"  // IWYU pragma: keep
