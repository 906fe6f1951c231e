// SPDX-License-Identifier: BSD-3-Clause
// Changes a tree on media by copy-on-write, a transaction at a time: pages of
// the committed tree are never overwritten, and a header page makes the new
// tree the one that counts.
//
//   Writer<Store> writer(store, memory);     // memory: frames for pages
//   ODO_TRY_VOID(writer.open());             // or create(shape, tree)
//   ODO_TRY(bool fresh, writer.insert(key, value));
//   ODO_TRY_VOID(writer.commit());
//
// A transaction begins with the first change after open() or a commit, and may
// be larger than the memory: dirty pages that have to make room are written to
// pages that nothing refers to yet.
//
// Invariants:
//   W1. A page whose generation is the transaction's own is the transaction's:
//       it may be changed where it is. Any other is first given a new number.
//   W2. The ancestors of a dirty page are in frames and dirty: whoever writes a
//       page can tell its parent the check code. So pages are written from the
//       leaves up.
//   W3. An operation takes all that it can be refused (frames, pages, reads)
//       before it changes an entry. On the way, pages may have been copied, or
//       written back, which changes no entry.
//   W4. Inner pages have two children or more, leaves one entry; those off the
//       tree's edges as much as policy.h wants. The ranges of a page's children
//       part its own without gap.
//   W5. Header pages are written after a flush that made the tree below
//       durable, and only the older one of the two.
//
// Contexts: as the store's; one caller at a time. No recursion; about 2 KiB of
//   stack; frames as many as the caller gives: 2 * levels + 6 are enough.
// Failure: Error. The tree is then as before the operation, and the transaction
//   may go on, be committed or aborted, but for these:
//   kMustAbort  a flush failed; abort() and begin again.
//   kInDoubt    the new header may have reached the medium or not. commit()
//               tries that step again; or let the store go and open() anew.
//   The committed tree is intact whatever fails.
// Complexity: look-ups one read a level; changes write each page on their way
//   once a transaction, if the frames hold them.
// Origin: shadowing as in Rodeh, "B-trees, Shadowing, and Clones" (2008);
//   alternating headers as HAMMER2's volume headers.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/btree/media/error.h"
#include "lib/btree/media/format.h"
#include "lib/btree/media/frames.h"
#include "lib/btree/media/header.h"
#include "lib/btree/media/page.h"
#include "lib/btree/media/page_store.h"
#include "lib/btree/policy.h"

namespace odo::btree::media {

// So many neighbours share before there is one leaf more: each is a page that
// has to be written anew.
inline constexpr std::uint32_t kSpread = 3;
static_assert(kSpread <= policy::kMostSpread);

template <PageStore S, std::size_t MaxFrames = 64>
class Writer {
 public:
  // Both outlive the writer.
  Writer(S& store, MutableBytes memory) : store_(store), frames_(memory) {}
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  Writer(Writer&&) = delete;
  Writer& operator=(Writer&&) = delete;
  ~Writer() = default;

  // Makes an empty tree and opens it; `tree` should be unlike any other's. A
  // tree that was there is found until a header of the new one is durable.
  [[nodiscard]] Result<void> create(const Shape& shape, std::uint64_t tree);

  // Opens the newest tree. What is in use, the store must know by then or be
  // told (Reader::verify) before the first change.
  [[nodiscard]] Result<void> open();

  // --- to look up, changes of this transaction included ----------------------

  [[nodiscard]] Result<bool> find(Bytes key, MutableBytes value);
  // The first entry from `key` on, copied; false if there is none.
  [[nodiscard]] Result<bool> lower_bound(Bytes key, MutableBytes found,
                                         MutableBytes value);

  [[nodiscard]] std::uint64_t entries() const { return tree_.entries; }
  [[nodiscard]] std::uint64_t pages() const { return tree_.pages; }
  [[nodiscard]] const Shape& shape() const { return shape_; }
  // The committed tree's.
  [[nodiscard]] const RootHeader& header() const { return header_; }

  // --- to change -------------------------------------------------------------

  // False, and no change, if the key is there.
  [[nodiscard]] Result<bool> insert(Bytes key, Bytes value) {
    return put(key, value, IfThere::kKeep);
  }
  // The same, but what is there gets the value; true if it wasn't there.
  [[nodiscard]] Result<bool> assign(Bytes key, Bytes value) {
    return put(key, value, IfThere::kReplace);
  }
  // False if the key isn't there.
  [[nodiscard]] Result<bool> erase(Bytes key);

  // Makes all changes since the last commit durable, at once.
  [[nodiscard]] Result<void> commit();
  // Forgets them.
  [[nodiscard]] Result<void> abort();

 private:
  enum class IfThere : std::uint8_t { kKeep, kReplace };
  enum class State : std::uint8_t { kClosed, kOpen, kMustAbort, kInDoubt };

  // What commit() makes the header of.
  struct TreeState {
    ChildRef root;
    std::uint8_t root_level = 0;
    std::uint64_t entries = 0;
    std::uint64_t pages = 0;
  };

  // The way down that the current operation has taken; by level.
  struct Step {
    std::uint32_t frame;
    std::uint32_t index;  // of the child that the way takes
  };

  struct Place {
    std::uint32_t frame;
    std::uint32_t index;
  };

  // Ends an operation: its frames may be given up.
  struct Pins {
    explicit Pins(Frames<MaxFrames>& all) : frames(all) {}
    Pins(const Pins&) = delete;
    Pins& operator=(const Pins&) = delete;
    Pins(Pins&&) = delete;
    Pins& operator=(Pins&&) = delete;
    ~Pins() { frames.unpin_all(); }
    Frames<MaxFrames>& frames;
  };

  // Pages and frames taken before a change begins (W3); what is left over goes
  // back.
  struct Spares {
    explicit Spares(Writer& writer) : owner(writer) {}
    Spares(const Spares&) = delete;
    Spares& operator=(const Spares&) = delete;
    Spares(Spares&&) = delete;
    Spares& operator=(Spares&&) = delete;
    ~Spares() {
      while (count > 0) {
        const Spare& spare = list[--count];
        owner.store_.release(spare.page);
        owner.frames_.drop(spare.frame);
      }
    }
    [[nodiscard]] Result<void> take() {
      ODO_TRY(const std::uint32_t frame, owner.take_frame());
      ODO_TRY(const std::uint64_t page, owner.allocate());
      owner.frames_.hold(frame, page);
      list[count++] = {page, frame};
      return {};
    }
    // Makes one an empty page of the tree.
    [[nodiscard]] std::uint32_t use(std::uint32_t level) {
      ODO_CHECK(count > 0);
      const Spare spare = list[--count];
      owner.edit(spare.frame)
          .init(static_cast<std::uint8_t>(level), spare.page,
                owner.generation(), owner.header_.tree);
      owner.frames_.set_dirty(spare.frame, true);
      ++owner.tree_.pages;
      return spare.frame;
    }

    struct Spare {
      std::uint64_t page;
      std::uint32_t frame;
    };
    Writer& owner;
    std::uint32_t count = 0;
    Spare list[kMaxLevels + 2];
  };

  // A child on its way into a parent, with the key between it and what is to
  // the left of it (or, for a new first child, to the right).
  struct Newcomer {
    Newcomer(const PageView& page, const std::byte* key)
        : ref{page.page(), 0, page.generation()} {
      copy_bytes(border, {key, page.shape().key_bytes});
    }
    ChildRef ref;
    std::byte border[kMaxKeyBytes];
  };

  // What an erasure will do to one level.
  struct Mend {
    std::uint32_t left;
    std::uint32_t right;
    std::uint32_t parent;
    std::uint32_t at;  // the left one's index there
    bool merges;
  };

  static constexpr std::byte kWhole[kMaxKeyBytes] = {};

  // --- pages and frames (here) -----------------------------------------------

  // The transaction that changes belong to.
  [[nodiscard]] std::uint64_t generation() const {
    return header_.generation + 1;
  }
  [[nodiscard]] PageView view(std::uint32_t frame) const {
    return {shape_, frames_.bytes(frame)};
  }
  [[nodiscard]] PageEdit edit(std::uint32_t frame) {
    return {shape_, frames_.bytes(frame)};
  }

  [[nodiscard]] Result<void> ready() const {
    switch (state_) {
      case State::kOpen:
        return {};
      case State::kMustAbort:
        return fail(Error{Code::kMustAbort});
      case State::kInDoubt:
        return fail(Error{Code::kInDoubt});
      case State::kClosed:
        break;
    }
    return fail(Error{Code::kClosed});
  }

  void adopt(const RootHeader& header) {
    header_ = header;
    tree_ = {header.root, header.root_level, header.entries, header.pages};
    changed_ = false;
    state_ = State::kOpen;
  }

  [[nodiscard]] Result<std::uint64_t> allocate() {
    ODO_TRY(const std::uint64_t page, store_.allocate());
    // A map of free pages that was made from a damaged tree may be wrong.
    if (page < kHeaderPages || page >= store_.page_count() ||
        frames_.find(page) != kNoFrame) {
      return fail(Error{Code::kCorrupt, Fault::kAllocation, page});
    }
    return page;
  }

  // An empty frame, pinned.
  [[nodiscard]] Result<std::uint32_t> take_frame() {
    const std::uint32_t frame = frames_.victim();
    if (frame == kNoFrame) return fail(Error{Code::kNoFrames});
    if (frames_.dirty(frame)) ODO_TRY_VOID(write_back(frame));
    frames_.drop(frame);
    frames_.pin(frame);
    return frame;
  }

  // Writes a dirty page that has no dirty child, and tells its parent (W2).
  [[nodiscard]] Result<void> write_back(std::uint32_t frame) {
    PageEdit page = edit(frame);
    const std::uint64_t check = page.seal();
    const ChildRef ref{page.page(), check, page.generation()};
    if (page.level() == tree_.root_level) {
      tree_.root = ref;
    } else {
      std::uint32_t parent = frames_.find(tree_.root.page);
      for (std::uint32_t level = tree_.root_level; parent != kNoFrame;
           --level) {
        const std::uint32_t i = view(parent).child_for(page.low());
        const std::uint64_t child = view(parent).child(i).page;
        if (level == page.level() + 1U) {
          ODO_CHECK(child == ref.page);
          edit(parent).set_child(i, ref);
          break;
        }
        parent = frames_.find(child);
      }
      ODO_CHECK(parent != kNoFrame);
    }
    ODO_TRY_VOID(store_.write(ref.page, frames_.span(frame)));
    frames_.set_dirty(frame, false);
    return {};
  }

  // The frame of the page expected, pinned.
  [[nodiscard]] Result<std::uint32_t> fetch(const Expected& expected) {
    std::uint32_t frame = frames_.find(expected.ref.page);
    Fault fault = Fault::kNone;
    if (frame != kNoFrame) {
      // It was right where it was met first; is that here?
      fault = check_place(view(frame), expected);
    } else {
      ODO_TRY(frame, take_frame());
      ODO_TRY_VOID(store_.read(expected.ref.page, frames_.span(frame)));
      fault = check_page(shape_, frames_.span(frame), expected);
    }
    if (fault != Fault::kNone) {
      return fail(Error{Code::kCorrupt, fault, expected.ref.page});
    }
    frames_.hold(frame, expected.ref.page);
    frames_.pin(frame);
    return frame;
  }
  [[nodiscard]] Result<std::uint32_t> fetch_root() {
    return fetch({tree_.root, tree_.root_level, kWhole, kWhole, header_.tree,
                  store_.page_count()});
  }
  [[nodiscard]] Result<std::uint32_t> fetch_child(std::uint32_t parent,
                                                  std::uint32_t i) {
    const PageView page = view(parent);
    return fetch({page.child(i), static_cast<std::uint8_t>(page.level() - 1),
                  page.key(i), page.child_high(i), header_.tree,
                  store_.page_count()});
  }

  // To the leaf whose range holds `key`; the tree isn't empty.
  [[nodiscard]] Result<void> descend(const std::byte* key) {
    ODO_TRY(path_[tree_.root_level].frame, fetch_root());
    for (std::uint32_t level = tree_.root_level; level > 0; --level) {
      Step& step = path_[level];
      step.index = view(step.frame).child_for(key);
      ODO_TRY(path_[level - 1].frame, fetch_child(step.frame, step.index));
    }
    return {};
  }

  // Makes a page the transaction's own (W1); its parent is (kNoFrame: it is the
  // root).
  [[nodiscard]] Result<void> own(std::uint32_t frame, std::uint32_t parent,
                                 std::uint32_t index) {
    PageEdit page = edit(frame);
    if (page.generation() != generation()) {
      ODO_TRY(const std::uint64_t fresh, allocate());
      store_.release(page.page());
      page.set_identity(fresh, generation());
      frames_.hold(frame, fresh);
      const ChildRef ref{fresh, 0, generation()};
      if (parent == kNoFrame) {
        tree_.root = ref;
      } else {
        edit(parent).set_child(index, ref);
      }
      changed_ = true;
    }
    frames_.set_dirty(frame, true);
    return {};
  }
  [[nodiscard]] Result<void> own_path() {
    std::uint32_t parent = kNoFrame;
    for (std::uint32_t level = tree_.root_level + 1U; level-- > 0;) {
      const std::uint32_t frame = path_[level].frame;
      ODO_TRY_VOID(
          own(frame, parent, parent == kNoFrame ? 0 : path_[level + 1].index));
      parent = frame;
    }
    return {};
  }

  // Takes a page out of the tree.
  void forget_page(std::uint32_t frame) {
    store_.release(view(frame).page());
    frames_.drop(frame);
    // A header may have lied; one that says 0 would not be believed.
    if (tree_.pages > 1) --tree_.pages;
  }

  // --- writer_insert.h -------------------------------------------------------

  [[nodiscard]] Result<bool> put(Bytes key, Bytes value, IfThere if_there);
  [[nodiscard]] Result<void> plant();
  [[nodiscard]] Result<Place> make_room(const std::byte* key, std::uint32_t at);
  [[nodiscard]] Place grow_edge(const std::byte* key, std::uint32_t at,
                                Spares& spares);
  [[nodiscard]] Place spread(const std::uint32_t* list, std::uint32_t leaves,
                             std::uint32_t fresh, std::uint32_t first,
                             const std::byte* key, std::uint32_t at);
  void add_child(std::uint32_t level, std::uint32_t at, Newcomer newcomer,
                 Spares& spares);
  void insert_child(std::uint32_t frame, std::uint32_t at,
                    const Newcomer& newcomer);
  [[nodiscard]] Result<void> take_inners(Spares& spares);

  // --- writer_erase.h --------------------------------------------------------

  [[nodiscard]] Result<std::uint32_t> plan_mends(Mend* mends);
  void mend(const Mend& plan);
  void collapse_root();

  // --- writer_commit.h -------------------------------------------------------

  [[nodiscard]] Result<void> write_header(RootHeader& header);

  S& store_;
  Frames<MaxFrames> frames_;
  State state_ = State::kClosed;
  bool changed_ = false;
  Shape shape_;
  RootHeader header_{};
  TreeState tree_;
  Step path_[kMaxLevels]{};
};

}  // namespace odo::btree::media

// The definitions, by what they are about.
#include "lib/btree/media/writer_commit.h"  // IWYU pragma: export
#include "lib/btree/media/writer_erase.h"   // IWYU pragma: export
#include "lib/btree/media/writer_insert.h"  // IWYU pragma: export
