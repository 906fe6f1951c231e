// SPDX-License-Identifier: BSD-3-Clause
// A run of keys that pages are built from: stretches of pages that there are,
// with new keys between them. Nothing is copied before the new pages are there.
//
// Contexts: any; plain data on the stack, a quarter of a KiB.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/base/check.h"
#include "lib/btree/relocate.h"
#include "lib/btree/string_key.h"

namespace odo::btree::detail {

template <class PageT>
class StringRun {
 public:
  using Shape = PageT::Shape;

  // `count` keys of `page` from `first` on.
  void add(PageT* page, std::uint32_t first, std::uint32_t count) {
    if (count == 0) return;
    ODO_ASSERT(pieces_ < kMaxPieces);
    all_[pieces_++] = {page, first, count, {}, nullptr};
    count_ += count;
  }
  // A new key. The value is `child` in inner pages; in leaves there is none
  // yet.
  void add(const StringKey& key, void* child) {
    ODO_ASSERT(pieces_ < kMaxPieces);
    all_[pieces_++] = {nullptr, 0, 1, key, child};
    ++count_;
  }

  [[nodiscard]] std::uint32_t count() const { return count_; }
  [[nodiscard]] StringKey key(std::uint32_t at) const {
    const Piece* piece = all_;
    for (; at >= piece->count; ++piece) at -= piece->count;
    return piece->page == nullptr ? piece->fresh
                                  : piece->page->key(piece->first + at);
  }

  // The child on the right of key `at`, of an inner page's run.
  [[nodiscard]] void* child(std::uint32_t at) const {
    const Piece* piece = all_;
    for (; at >= piece->count; ++piece) at -= piece->count;
    return piece->page == nullptr ? piece->child
                                  : *piece->page->value(piece->first + at);
  }

  // What a page for `count` keys from `first` on is like.
  [[nodiscard]] Shape shape(std::uint32_t first, std::uint32_t count) const {
    Shape shape{first, count, 0, 0};
    const StringKey begin = key(first);
    std::size_t prefix = 0;
    if (count > 1) {
      prefix = begin.common(key(first + count - 1));
    } else if (first > 0) {
      // A page of one key: more like it and its neighbour may come.
      prefix = begin.common(key(first - 1));
    } else if (count < count_) {
      prefix = begin.common(key(first + count));
    }
    shape.prefix = static_cast<std::uint32_t>(prefix);
    each(first, count,
         [&](const Piece& piece, std::uint32_t from, std::uint32_t number,
             std::uint32_t) {
           if (piece.page == nullptr) {
             shape.tails += PageT::tail_bytes(piece.fresh.size() - prefix);
             return;
           }
           const std::size_t had = piece.page->prefix().size();
           for (std::uint32_t i = from; i < from + number; ++i) {
             shape.tails +=
                 PageT::tail_bytes(had + piece.page->spot(i).size - prefix);
           }
         });
    return shape;
  }

  // Keys of `shape` into the new `page`. Values move from leaves and are copied
  // from inner pages, being pointers.
  void fill(const Shape& shape, PageT* page) const {
    key(shape.first).copy(0, shape.prefix, page->prefix_bytes());
    page->set_count(shape.count);
    each(shape.first, shape.count,
         [&](const Piece& piece, std::uint32_t from, std::uint32_t number,
             std::uint32_t to) {
           if (piece.page == nullptr) {
             page->write(to, piece.fresh);
             if constexpr (requires { *page->value(to) = piece.child; }) {
               if (piece.child != nullptr) *page->value(to) = piece.child;
             }
             return;
           }
           if constexpr (PageT::kHasValues) {
             relocate(page->value(to), piece.page->value(from), number);
           }
           if (piece.page->prefix().size() == shape.prefix) {
             for (std::uint32_t i = 0; i < number; ++i) {
               page->write_same(to + i, *piece.page, from + i);
             }
           } else {
             for (std::uint32_t i = 0; i < number; ++i) {
               page->write(to + i, piece.page->key(from + i));
             }
           }
         });
  }

  // Where `part` of `parts` of the bytes are on the left.
  [[nodiscard]] std::uint32_t divide(std::uint32_t part,
                                     std::uint32_t parts) const {
    std::uint64_t all = 0;
    const auto weigh = [&](auto&& weight) {
      std::uint32_t at = 0;
      for (std::uint32_t p = 0; p < pieces_; ++p) {
        const Piece& piece = all_[p];
        for (std::uint32_t i = 0; i < piece.count; ++i, ++at) {
          const std::uint32_t tail =
              piece.page == nullptr
                  ? 0
                  : PageT::tail_bytes(piece.page->spot(piece.first + i).size);
          if (!weight(at, PageT::kSlotBytes + tail)) return;
        }
      }
    };
    weigh([&](std::uint32_t, std::uint32_t bytes) {
      all += bytes;
      return true;
    });
    std::uint64_t passed = 0;
    std::uint32_t border = count_ / 2;
    weigh([&](std::uint32_t at, std::uint32_t bytes) {
      passed += bytes;
      border = at + 1;
      return passed * parts < all * part;
    });
    return border;
  }

 private:
  static constexpr std::uint32_t kMaxPieces = 6;

  struct Piece {
    PageT* page;  // null: the new key
    std::uint32_t first;
    std::uint32_t count;
    StringKey fresh;
    void* child;
  };

  // visit(piece, first, count, place) for the stretches of `count` keys from
  // `first` on; `place` counts from there.
  template <class Visit>
  void each(std::uint32_t first, std::uint32_t count,
            const Visit& visit) const {
    std::uint32_t begins = 0;
    for (std::uint32_t p = 0; p < pieces_; ++p) {
      const Piece& piece = all_[p];
      const std::uint32_t ends = begins + piece.count;
      const std::uint32_t from = begins < first ? first : begins;
      const std::uint32_t to = ends < first + count ? ends : first + count;
      if (from < to) {
        visit(piece, piece.first + (from - begins), to - from, from - first);
      }
      begins = ends;
    }
  }

  Piece all_[kMaxPieces];
  std::uint32_t pieces_ = 0;
  std::uint32_t count_ = 0;
};

}  // namespace odo::btree::detail
