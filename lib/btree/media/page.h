// SPDX-License-Identifier: BSD-3-Clause
// One page in memory: its fields, its entries, and whether it is right.
//
// Entries are alike in leaves and inner pages, a key and a payload, so that one
// set of moves serves both: key i of an inner page is where child i's range
// begins, and key 0 repeats the page's own `low`.
//
// Contexts: any; no I/O. PageView and PageEdit refer to the caller's bytes, and
//   trust them: check_page() must have found no fault in what came from media.
// Failure: check_page() and check_header() are total on any bytes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/base/bytes.h"
#include "lib/btree/media/error.h"
#include "lib/btree/media/format.h"
#include "lib/btree/partition.h"
#include "lib/btree/policy.h"

namespace odo::btree::media {

class PageView {
 public:
  PageView(const Shape& shape, const std::byte* bytes)
      : shape_(&shape), bytes_(bytes) {}

  [[nodiscard]] const Shape& shape() const { return *shape_; }
  [[nodiscard]] std::uint64_t check() const {
    return load_le<std::uint64_t>(bytes_ + offsetof(PageHeader, check));
  }
  [[nodiscard]] std::uint8_t level() const {
    return load_le<std::uint8_t>(bytes_ + offsetof(PageHeader, level));
  }
  [[nodiscard]] std::uint32_t count() const {
    return load_le<std::uint32_t>(bytes_ + offsetof(PageHeader, count));
  }
  [[nodiscard]] std::uint64_t page() const {
    return load_le<std::uint64_t>(bytes_ + offsetof(PageHeader, page));
  }
  [[nodiscard]] std::uint64_t generation() const {
    return load_le<std::uint64_t>(bytes_ + offsetof(PageHeader, generation));
  }
  [[nodiscard]] std::uint32_t slots() const { return shape_->slots(level()); }

  [[nodiscard]] const std::byte* low() const {
    return bytes_ + shape_->low_at();
  }
  [[nodiscard]] const std::byte* high() const {
    return bytes_ + shape_->high_at();
  }
  // Whether the page is at the tree's left or right edge.
  [[nodiscard]] bool leftmost() const {
    return is_zero_key(low(), shape_->key_bytes);
  }
  [[nodiscard]] bool rightmost() const {
    return is_zero_key(high(), shape_->key_bytes);
  }
  [[nodiscard]] policy::Edge edge() const {
    if (leftmost()) {
      return rightmost() ? policy::Edge::kBoth : policy::Edge::kLeft;
    }
    return rightmost() ? policy::Edge::kRight : policy::Edge::kNone;
  }

  [[nodiscard]] const std::byte* key(std::uint32_t i) const {
    return bytes_ + shape_->keys_at() + std::size_t{i} * shape_->key_bytes;
  }
  [[nodiscard]] const std::byte* payload(std::uint32_t i) const {
    return bytes_ + shape_->payloads_at(level()) +
           std::size_t{i} * shape_->payload_bytes(level());
  }
  // Of a leaf.
  [[nodiscard]] Bytes value(std::uint32_t i) const {
    return {payload(i), shape_->value_bytes};
  }
  // Of an inner page: a child, and where its range ends.
  [[nodiscard]] ChildRef child(std::uint32_t i) const {
    const std::byte* at = payload(i);
    return {load_le<std::uint64_t>(at + offsetof(ChildRef, page)),
            load_le<std::uint64_t>(at + offsetof(ChildRef, check)),
            load_le<std::uint64_t>(at + offsetof(ChildRef, generation))};
  }
  [[nodiscard]] const std::byte* child_high(std::uint32_t i) const {
    return i + 1 < count() ? key(i + 1) : high();
  }

  // How many keys are less than `query`.
  [[nodiscard]] std::uint32_t lower(const std::byte* query) const {
    return first_not(count(), [&](std::uint32_t i) {
      return compare_keys(key(i), query, shape_->key_bytes) < 0;
    });
  }
  // The child of an inner page whose range holds `query`, which lies in the
  // page's.
  [[nodiscard]] std::uint32_t child_for(const std::byte* query) const {
    return first_not(count() - 1, [&](std::uint32_t i) {
      return compare_keys(key(i + 1), query, shape_->key_bytes) <= 0;
    });
  }
  [[nodiscard]] bool is_at(std::uint32_t i, const std::byte* query) const {
    return i < count() && compare_keys(key(i), query, shape_->key_bytes) == 0;
  }

 protected:
  const Shape* shape_;
  const std::byte* bytes_;

 private:
  // A page's slots are counted in 32 bits.
  template <class Before>
  [[nodiscard]] static std::uint32_t first_not(std::uint32_t count,
                                               const Before& before) {
    return static_cast<std::uint32_t>(partition(count, [&](std::size_t i) {
      return before(static_cast<std::uint32_t>(i));
    }));
  }
};

// A page that may be changed. Slots that it gives up are zeroed, so that no
// medium shows what a page held before.
class PageEdit : public PageView {
 public:
  PageEdit(const Shape& shape, std::byte* bytes)
      : PageView(shape, bytes), edit_(bytes) {}

  // Makes it an empty page over all keys.
  void init(std::uint8_t level, std::uint64_t page, std::uint64_t generation,
            std::uint64_t tree) {
    zero_bytes({edit_, shape_->page_bytes});
    store_le(edit_ + offsetof(PageHeader, magic), kPageMagic);
    store_le(edit_ + offsetof(PageHeader, version), kVersion);
    store_le(edit_ + offsetof(PageHeader, level), level);
    store_le(edit_ + offsetof(PageHeader, tree), tree);
    set_identity(page, generation);
  }
  void set_identity(std::uint64_t page, std::uint64_t generation) {
    store_le(edit_ + offsetof(PageHeader, page), page);
    store_le(edit_ + offsetof(PageHeader, generation), generation);
  }
  // Computes the check code; the page is as it shall be.
  std::uint64_t seal() {
    const std::uint64_t code = check_of({edit_, shape_->page_bytes});
    store_le(edit_ + offsetof(PageHeader, check), code);
    return code;
  }

  void set_low(const std::byte* key) { put_key(edit_ + shape_->low_at(), key); }
  void set_high(const std::byte* key) {
    put_key(edit_ + shape_->high_at(), key);
  }
  void set_key(std::uint32_t i, const std::byte* key) {
    put_key(key_at(i), key);
  }
  void set_value(std::uint32_t i, Bytes value) {
    copy_bytes({payload_at(i), shape_->value_bytes}, value);
  }
  void set_child(std::uint32_t i, const ChildRef& ref) {
    std::byte* at = payload_at(i);
    store_le(at + offsetof(ChildRef, page), ref.page);
    store_le(at + offsetof(ChildRef, check), ref.check);
    store_le(at + offsetof(ChildRef, generation), ref.generation);
  }

  // Makes a hole of one entry at `at`; the caller fills it.
  void open_entry(std::uint32_t at) {
    shift(at, at + 1, count() - at);
    set_count(count() + 1);
  }
  void close_entry(std::uint32_t at) {
    const std::uint32_t left = count() - 1;
    shift(at + 1, at, left - at);
    wipe(left, 1);
    set_count(left);
  }

  // The last `n` entries of this page become the first of `right`.
  void push_right(PageEdit& right, std::uint32_t n) {
    const std::uint32_t keep = count() - n;
    right.shift(0, n, right.count());
    right.take(0, *this, keep, n);
    wipe(keep, n);
    right.set_count(right.count() + n);
    set_count(keep);
  }
  // The first `n` entries of `right`, which is not changed, become the last of
  // this page: for a page that is to be forgotten.
  void append_from(const PageView& right, std::uint32_t n) {
    take(count(), right, 0, n);
    set_count(count() + n);
  }
  void pull_left(PageEdit& right, std::uint32_t n) {
    append_from(right, n);
    const std::uint32_t left = right.count() - n;
    right.shift(n, 0, left);
    right.wipe(left, n);
    right.set_count(left);
  }

 private:
  [[nodiscard]] std::byte* key_at(std::uint32_t i) const {
    return edit_ + (key(i) - bytes_);
  }
  [[nodiscard]] std::byte* payload_at(std::uint32_t i) const {
    return edit_ + (payload(i) - bytes_);
  }
  void set_count(std::uint32_t count) {
    store_le(edit_ + offsetof(PageHeader, count), count);
  }
  void put_key(std::byte* at, const std::byte* key) const {
    __builtin_memmove(at, key, shape_->key_bytes);
  }
  void shift(std::uint32_t from, std::uint32_t to, std::uint32_t n) {
    __builtin_memmove(key_at(to), key(from),
                      std::size_t{n} * shape_->key_bytes);
    __builtin_memmove(payload_at(to), payload(from),
                      std::size_t{n} * shape_->payload_bytes(level()));
  }
  void take(std::uint32_t to, const PageView& from, std::uint32_t at,
            std::uint32_t n) {
    __builtin_memcpy(key_at(to), from.key(at),
                     std::size_t{n} * shape_->key_bytes);
    __builtin_memcpy(payload_at(to), from.payload(at),
                     std::size_t{n} * shape_->payload_bytes(level()));
  }
  void wipe(std::uint32_t at, std::uint32_t n) {
    zero_bytes({key_at(at), std::size_t{n} * shape_->key_bytes});
    zero_bytes(
        {payload_at(at), std::size_t{n} * shape_->payload_bytes(level())});
  }

  std::byte* edit_;
};

// What a page's parent, or the header, says of it.
struct Expected {
  ChildRef ref;
  std::uint8_t level;
  const std::byte* low;
  const std::byte* high;
  std::uint64_t tree;
  std::uint64_t page_count;  // of the medium
};

// Whether a page that is right in itself is the one expected at this place.
[[nodiscard]] inline Fault check_place(PageView page,
                                       const Expected& expected) {
  const std::uint32_t key_bytes = page.shape().key_bytes;
  if (page.page() != expected.ref.page) return Fault::kMisplaced;
  if (page.generation() != expected.ref.generation) return Fault::kStale;
  if (page.level() != expected.level) return Fault::kLevel;
  if (compare_keys(page.low(), expected.low, key_bytes) != 0 ||
      compare_keys(page.high(), expected.high, key_bytes) != 0) {
    return Fault::kRange;
  }
  return Fault::kNone;
}

namespace detail {

// Of a page whose level and count are in bounds.
[[nodiscard]] inline Fault check_entries(PageView page,
                                         std::uint64_t page_count) {
  const std::uint32_t key_bytes = page.shape().key_bytes;
  const std::uint32_t count = page.count();
  if (!below(page.low(), page.high(), key_bytes)) return Fault::kRange;
  if (compare_keys(page.key(0), page.low(), key_bytes) < 0 ||
      !below(page.key(count - 1), page.high(), key_bytes)) {
    return Fault::kOutside;
  }
  for (std::uint32_t i = 1; i < count; ++i) {
    if (compare_keys(page.key(i - 1), page.key(i), key_bytes) >= 0) {
      return Fault::kOrder;
    }
  }
  if (page.level() == 0) return Fault::kNone;
  if (compare_keys(page.key(0), page.low(), key_bytes) != 0) {
    return Fault::kFirstKey;
  }
  for (std::uint32_t i = 0; i < count; ++i) {
    const ChildRef child = page.child(i);
    if (child.page < kHeaderPages || child.page >= page_count) {
      return Fault::kChildPage;
    }
    if (child.generation == 0 || child.generation > page.generation()) {
      return Fault::kChildGeneration;
    }
  }
  return Fault::kNone;
}

}  // namespace detail

// Whether `bytes`, of shape.page_bytes, is the page expected. A page that
// passes can be used without another look at its fields.
[[nodiscard]] inline Fault check_page(const Shape& shape, Bytes bytes,
                                      const Expected& expected) {
  const auto start = read_struct<PageHeader>(bytes, 0);
  if (!start) return Fault::kMagic;
  const PageHeader& header = *start;
  if (header.magic != kPageMagic) return Fault::kMagic;
  if (header.version != kVersion) return Fault::kVersion;
  if (header.check != check_of(bytes)) return Fault::kCheck;
  if (header.page != expected.ref.page) return Fault::kMisplaced;
  if (header.tree != expected.tree) return Fault::kForeign;
  if (header.check != expected.ref.check) return Fault::kStale;
  if (header.reserved0f != 0 || header.reserved14 != 0) {
    return Fault::kReserved;
  }
  const PageView page(shape, bytes.data());
  if (header.level != expected.level) return Fault::kLevel;
  if (header.count < (header.level == 0 ? 1U : 2U) ||
      header.count > shape.slots(header.level)) {
    return Fault::kCount;
  }
  if (const Fault fault = check_place(page, expected); fault != Fault::kNone) {
    return fault;
  }
  return detail::check_entries(page, expected.page_count);
}

// Whether `bytes` is a header that belongs at page `slot` of a medium of
// `page_count` pages.
[[nodiscard]] inline Fault check_header(Bytes bytes, std::uint64_t slot,
                                        std::uint64_t page_count) {
  const auto start = read_struct<RootHeader>(bytes, 0);
  if (!start) return Fault::kMagic;
  const RootHeader& header = *start;
  if (header.magic != kHeaderMagic) return Fault::kMagic;
  if (header.version != kVersion) return Fault::kVersion;
  if (header.check != check_of(bytes)) return Fault::kCheck;
  if (header.page != slot) return Fault::kMisplaced;
  if (header.reserved0e != 0) return Fault::kReserved;
  for (const std::uint8_t byte : header.reserved49) {
    if (byte != 0) return Fault::kReserved;
  }
  if (header.page_bytes != bytes.size() ||
      !Shape::make(header.page_bytes, header.key_bytes, header.value_bytes)) {
    return Fault::kShape;
  }
  if (header.generation == 0 || header.generation > kMaxGeneration ||
      header.generation % kHeaderPages != slot) {
    return Fault::kGeneration;
  }
  if (header.page_count < kHeaderPages || header.page_count > page_count) {
    return Fault::kTotals;
  }
  if (header.root.page == 0) {
    const bool nothing = header.root == ChildRef{} && header.root_level == 0 &&
                         header.entries == 0 && header.pages == 0;
    return nothing ? Fault::kNone : Fault::kRoot;
  }
  if (header.root.page < kHeaderPages ||
      header.root.page >= header.page_count || header.root.generation == 0 ||
      header.root.generation > header.generation ||
      header.root_level >= kMaxLevels) {
    return Fault::kRoot;
  }
  // verify() counts; what is asked here keeps a writer's own counts in bounds.
  if (header.entries == 0 || header.entries > kMaxTotal || header.pages == 0 ||
      header.pages > kMaxTotal) {
    return Fault::kTotals;
  }
  return Fault::kNone;
}

}  // namespace odo::btree::media
