// SPDX-License-Identifier: BSD-3-Clause
// A page of a tree of strings: sorted keys, each with a value or a child, and
// the only kind of node that there is.
//
//   header | prefix | head head ... | spot spot ... | value ... | free | tails
//                     `slots` of each, `count` in use
//
// A spot says how long a key is after the prefix and where its tail lies. Tails
// fill the page from its end downwards in the order in which they came; those
// of keys that are gone are dead bytes until the page is built anew. How many
// slots there are is settled when it is built, by the average of its keys; so
// is the prefix, which every key of the page has, and which may be shorter than
// what they have in common by then.
//
// A leaf's values are the map's. An inner page has a separator and the child on
// its right in each slot, and one child more, the leftmost.
//
// Contexts: any; plain data, one caller at a time or readers only.
// Complexity: look-up O(log count), by heads alone but for ties; put and remove
//   O(count), three memmoves.
// Origin: slotted pages with a prefix each as in Bayer and Unterauer, "Prefix
//   B-Trees" (1977).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <type_traits>

#include "lib/base/annotations.h"
#include "lib/btree/relocate.h"
#include "lib/btree/string_key.h"

namespace odo::btree::detail {

enum class Bound : std::uint8_t {
  kLower,  // the first key that is not less than the query
  kUpper,  // the first that is greater
  kPast,   // the first that is greater and does not begin with it
};

template <class V, class Search>
class StringPage {
 public:
  static constexpr bool kHasValues = !std::is_same_v<V, NoValue>;

  struct Spot {
    std::uint16_t tail;  // its offset in the page
    std::uint16_t size;  // of the key without the prefix
  };
  struct Place {
    std::uint32_t index;
    bool found;  // the query itself is in the page
  };
  // What a page is laid out for.
  struct Shape {
    std::uint32_t first = 0;  // in the run that it is built from (string_run.h)
    std::uint32_t count = 0;
    std::uint32_t prefix = 0;
    std::uint32_t tails = 0;  // bytes of all tails
    [[nodiscard]] std::uint32_t bytes() const {
      return kFixed + prefix + count * kSlotBytes + tails;
    }
  };

  static constexpr std::uint32_t kValueBytes = [] {
    if constexpr (kHasValues) {
      return std::uint32_t{sizeof(V)};
    } else {
      return 0U;
    }
  }();
  static constexpr std::uint32_t kValueAlign = [] {
    if constexpr (kHasValues) {
      return std::uint32_t{alignof(V)};
    } else {
      return 1U;
    }
  }();
  static constexpr std::uint32_t kAlign =
      kValueAlign < 8 ? std::uint32_t{8} : kValueAlign;
  static constexpr std::uint32_t kSlotBytes =
      kHeadBytes + kValueBytes + std::uint32_t{sizeof(Spot)};
  static constexpr std::uint32_t kHeader = 40;
  static_assert(kHeader >= StringKey::kChunk);
  // And what alignment may cost, of heads and of values.
  static constexpr std::uint32_t kFixed = kHeader + 7 + (kValueAlign - 1);

  // Lays `bytes` of memory out for `shape`, with room for more like that.
  static StringPage* create(void* memory, std::uint32_t bytes,
                            const Shape& shape) {
    auto* page = ::new (memory) StringPage;
    page->bytes_ = bytes;
    page->prefix_ = static_cast<std::uint16_t>(shape.prefix);
    const std::uint32_t each =
        kSlotBytes + (shape.tails + shape.count - 1) / shape.count;
    std::uint32_t slots = shape.count + (bytes - shape.bytes()) / each;
    // A few keys tell little about a prefix: it is looked for again soon.
    const std::uint32_t most = 4 * shape.count + 4;
    if (slots > most) slots = most;
    page->slots_ = static_cast<std::uint16_t>(slots);
    const std::uint32_t spots = page->heads_at() + slots * kHeadBytes;
    page->spots_at_ = static_cast<std::uint16_t>(spots);
    page->values_at_ = static_cast<std::uint16_t>(
        up(spots + slots * std::uint32_t{sizeof(Spot)}, kValueAlign));
    page->low_ = static_cast<std::uint16_t>(bytes);
    return page;
  }

  [[nodiscard]] std::uint32_t count() const { return count_; }
  [[nodiscard]] std::uint32_t slots() const { return slots_; }
  [[nodiscard]] std::uint32_t bytes() const { return bytes_; }
  // Bytes that a page built anew would need.
  [[nodiscard]] std::uint32_t used() const {
    return kFixed + prefix_ + count_ * kSlotBytes + (bytes_ - low_ - dead_);
  }
  [[nodiscard]] std::string_view prefix() const {
    return {base() + kHeader, prefix_};
  }
  [[nodiscard]] char* prefix_bytes() { return base() + kHeader; }
  [[nodiscard]] const std::uint64_t* heads() const {
    return reinterpret_cast<const std::uint64_t*>(base() + heads_at());
  }
  [[nodiscard]] std::uint64_t* heads() {
    return reinterpret_cast<std::uint64_t*>(base() + heads_at());
  }
  [[nodiscard]] const Spot& spot(std::uint32_t at) const {
    return reinterpret_cast<const Spot*>(base() + spots_at_)[at];
  }
  [[nodiscard]] Spot* spots() {
    return reinterpret_cast<Spot*>(base() + spots_at_);
  }
  [[nodiscard]] V* value(std::uint32_t at) {
    return reinterpret_cast<V*>(base() + values_at_) + at;
  }
  [[nodiscard]] const V* value(std::uint32_t at) const {
    return reinterpret_cast<const V*>(base() + values_at_) + at;
  }
  [[nodiscard]] StringKey key(std::uint32_t at) const {
    const Spot& where = spot(at);
    return {prefix(), heads()[at], where.size, base() + where.tail};
  }
  static std::uint32_t tail_bytes(std::size_t size) {
    return size > kHeadBytes ? static_cast<std::uint32_t>(size) - kHeadBytes
                             : 0;
  }

  // --- links -----------------------------------------------------------------

  // Of a leaf: its neighbours.
  StringPage* prev = nullptr;
  StringPage* next = nullptr;

  // Of an inner page: its children, one more than keys.
  [[nodiscard]] std::uint32_t degree() const { return count_ + 1; }
  [[nodiscard]] void* child(std::uint32_t at) const {
    return at == 0 ? prev : *value(at - 1);
  }
  void set_child(std::uint32_t at, void* to) {
    if (at == 0) {
      prev = static_cast<StringPage*>(to);
    } else {
      *value(at - 1) = to;
    }
  }

  // --- to look up ------------------------------------------------------------

  template <Bound Beyond>
  [[nodiscard]] ODO_ALWAYS_INLINE Place locate(std::string_view query) const {
    constexpr bool kPast = Beyond == Bound::kPast;
    const std::size_t shorter =
        query.size() < prefix_ ? query.size() : std::size_t{prefix_};
    const char* mine = base() + kHeader;
    // NOLINTNEXTLINE(bugprone-suspicious-stringview-data-usage): as sized.
    const std::size_t same = common_bytes(mine, query.data(), shorter);
    if (same < prefix_) [[unlikely]] {
      const bool before = same == query.size()
                              ? !kPast
                              : static_cast<unsigned char>(query[same]) <
                                    static_cast<unsigned char>(mine[same]);
      return {before ? 0U : count_, false};
    }
    const std::uint64_t head = head_of<kPast>(query, prefix_);
    const std::uint64_t* all = heads();
    const auto first = static_cast<std::uint32_t>(
        Search::lower(all, std::size_t{count_}, head, std::less<>()));
    if (first == count_ || all[first] != head) return {first, false};
    return among_equal<Beyond>(query, first);
  }

  // Whether `key` is greater than all and begins with the prefix.
  [[nodiscard]] ODO_ALWAYS_INLINE bool continues_with(
      std::string_view key) const {
    if (key.size() < prefix_) return false;
    // NOLINTNEXTLINE(bugprone-suspicious-stringview-data-usage): as sized.
    if (common_bytes(base() + kHeader, key.data(), prefix_) < prefix_) {
      return false;
    }
    const std::uint64_t head = head_of(key, prefix_);
    const std::uint64_t last = heads()[count_ - 1];
    return head > last || (head == last && compare<false>(count_ - 1, key) < 0);
  }

  // --- to change -------------------------------------------------------------

  // Whether `key` finds room here as things are.
  [[nodiscard]] bool has_room_for(const StringKey& key) const {
    return key.starts_with(prefix()) && has_room_behind_prefix(key.size());
  }
  // The same for a key of `size` bytes that begins with the prefix.
  [[nodiscard]] bool has_room_behind_prefix(std::size_t size) const {
    return count_ < slots_ && tail_bytes(size - prefix_) <= free_bytes();
  }
  [[nodiscard]] std::uint32_t free_bytes() const {
    return low_ - (values_at_ + slots_ * kValueBytes);
  }

  // Makes a slot at `at` for `key`, which has room; its value is not there yet.
  ODO_ALWAYS_INLINE void put(std::uint32_t at, const StringKey& key) {
    open_slot(heads(), count_, at);
    open_slot(spots(), count_, at);
    if constexpr (kHasValues) open_slot(value(0), count_, at);
    ++count_;
    write(at, key);
  }

  // Writes the key of slot `at`, of which nothing is there yet.
  ODO_ALWAYS_INLINE void write(std::uint32_t at, const StringKey& key) {
    const auto size = static_cast<std::uint32_t>(key.size() - prefix_);
    const std::uint32_t tail = tail_bytes(size);
    low_ = static_cast<std::uint16_t>(low_ - tail);
    std::uint64_t head = 0;
    key.copy(prefix_, size - tail, reinterpret_cast<char*>(&head));
    heads()[at] = std::byteswap(head);
    spots()[at] = {low_, static_cast<std::uint16_t>(size)};
    if (tail > 0) key.copy(prefix_ + kHeadBytes, tail, base() + low_);
  }

  // The same from another page with the same prefix.
  ODO_ALWAYS_INLINE void write_same(std::uint32_t at, const StringPage& from,
                                    std::uint32_t from_at) {
    const Spot& where = from.spot(from_at);
    const std::uint32_t tail = tail_bytes(where.size);
    low_ = static_cast<std::uint16_t>(low_ - tail);
    heads()[at] = from.heads()[from_at];
    spots()[at] = {low_, where.size};
    copy_words(base() + low_, from.base() + where.tail, tail);
  }
  void set_count(std::uint32_t count) {
    count_ = static_cast<std::uint16_t>(count);
  }

  // Forgets `gone` slots from `at` on; ends their values.
  void remove(std::uint32_t at, std::uint32_t gone) {
    for (std::uint32_t i = at; i < at + gone; ++i) {
      dead_ = static_cast<std::uint16_t>(dead_ + tail_bytes(spot(i).size));
    }
    close_slots(heads(), count_, at, gone);
    close_slots(spots(), count_, at, gone);
    if constexpr (kHasValues) close_slots(value(0), count_, at, gone);
    count_ = static_cast<std::uint16_t>(count_ - gone);
  }

 private:
  StringPage() = default;

  [[nodiscard]] static constexpr std::uint32_t up(std::uint32_t at,
                                                  std::uint32_t align) {
    return (at + align - 1) / align * align;
  }
  [[nodiscard]] char* base() { return reinterpret_cast<char*>(this); }
  [[nodiscard]] const char* base() const {
    return reinterpret_cast<const char*>(this);
  }
  [[nodiscard]] std::uint32_t heads_at() const {
    return up(kHeader + prefix_, 8);
  }

  // Slots from `first` on have the query's head: tails decide.
  template <Bound Beyond>
  [[nodiscard]] Place among_equal(std::string_view query,
                                  std::uint32_t first) const {
    constexpr bool kPast = Beyond == Bound::kPast;
    std::uint32_t left = 1;
    const std::uint64_t* all = heads();
    if (first + 1 < count_ && all[first + 1] == all[first]) {
      left = static_cast<std::uint32_t>(Search::upper(
          all + first, std::size_t{count_} - first, all[first], std::less<>()));
    }
    while (left > 0) {
      const std::uint32_t half = left / 2;
      const int order = compare<kPast>(first + half, query);
      if (order == 0) {
        return {first + half + (Beyond == Bound::kUpper ? 1U : 0U), true};
      }
      if (order < 0) {
        first += half + 1;
        left -= half + 1;
      } else {
        left = half;
      }
    }
    return {first, false};
  }

  // The order of slot `at` and the query, whose prefix and head are the same.
  template <bool Past>
  [[nodiscard]] ODO_ALWAYS_INLINE int compare(std::uint32_t at,
                                              std::string_view query) const {
    const Spot& where = spot(at);
    const std::size_t rest = query.size() - prefix_;
    const std::size_t mine = tail_bytes(where.size);
    const std::size_t asked = tail_bytes(rest);
    const std::size_t shorter = mine < asked ? mine : asked;
    if (shorter > 0) {
      const char* a = base() + where.tail;
      const char* b = query.data() + prefix_ + kHeadBytes;
      const std::size_t same = common_bytes(a, b, shorter);
      if (same < shorter) {
        return static_cast<unsigned char>(a[same]) <
                       static_cast<unsigned char>(b[same])
                   ? -1
                   : 1;
      }
    }
    if (Past) return -1;
    return where.size < rest ? -1 : (where.size > rest ? 1 : 0);
  }

  std::uint32_t bytes_ = 0;  // of the whole page
  std::uint16_t count_ = 0;
  std::uint16_t slots_ = 0;
  std::uint16_t prefix_ = 0;  // its length
  std::uint16_t values_at_ = 0;
  std::uint16_t spots_at_ = 0;
  std::uint16_t low_ = 0;   // where tails begin
  std::uint16_t dead_ = 0;  // bytes of tails that no slot has
  [[maybe_unused]] std::uint16_t unused_ = 0;
};

static_assert(sizeof(StringPage<void*, int>) ==
              StringPage<void*, int>::kHeader);

}  // namespace odo::btree::detail
