// SPDX-License-Identifier: BSD-3-Clause
// The bytes of a file, with holes, copied for little: copies share pages until
// one of them changes.
//
// Contexts: tests; one thread.
// Invariants: bytes of pages past the size are zero, so that a file that grows
// shows zeros.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>

#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/block/sim/random.h"

namespace odo::hammer2::testing::model {

inline constexpr std::size_t kPageBytes = 4096;

// A hash of content that doesn't tell holes from zeros, nor in which order or
// pieces it was fed. Pieces begin at multiples of kPageBytes; only the last one
// needn't be whole pages.
class ContentHash {
 public:
  void add(std::uint64_t offset_bytes, Bytes bytes) {
    ODO_CHECK(offset_bytes % kPageBytes == 0);
    while (!bytes.empty()) {
      const Bytes page = bytes.first(std::min(bytes.size(), kPageBytes));
      if (!all_zero(page)) sum_ ^= of_page(offset_bytes, page);
      offset_bytes += kPageBytes;
      bytes = bytes.subspan(page.size());
    }
  }

  [[nodiscard]] std::uint64_t value() const { return sum_; }

 private:
  static std::uint64_t of_page(std::uint64_t offset, Bytes page) {
    std::uint64_t hash = offset + 1;
    std::array<std::byte, 8> word;
    for (std::size_t i = 0; i < page.size(); i += word.size()) {
      word.fill(std::byte{0});
      copy_bytes(word, page.subspan(i, std::min(word.size(), page.size() - i)));
      const auto value = load_le<std::uint64_t>(word.data());
      // As if zeros to the page's end didn't exist.
      if (value != 0) hash ^= block::mix(value, i);
    }
    return block::mix(hash);
  }

  std::uint64_t sum_ = 0;
};

class Content {
 public:
  [[nodiscard]] std::uint64_t size_bytes() const { return size_bytes_; }

  void write(std::uint64_t offset_bytes, Bytes from) {
    for_each_page(offset_bytes, from.size(),
                  [&](std::uint64_t number, std::size_t first,
                      std::size_t count, std::size_t done) {
                    copy_bytes(MutableBytes(own(number)).subspan(first),
                               from.subspan(done, count));
                  });
    if (!from.empty()) {
      size_bytes_ = std::max(size_bytes_, offset_bytes + from.size());
    }
  }

  void truncate(std::uint64_t size_bytes) {
    if (size_bytes < size_bytes_) {
      const std::uint64_t last = size_bytes / kPageBytes;
      const auto tail = static_cast<std::size_t>(size_bytes % kPageBytes);
      pages_.erase(pages_.lower_bound(last + (tail > 0 ? 1 : 0)), pages_.end());
      if (tail > 0 && pages_.contains(last)) {
        zero_bytes(MutableBytes(own(last)).subspan(tail));
      }
    }
    size_bytes_ = size_bytes;
  }

  // How many bytes were there to read.
  std::size_t read(std::uint64_t offset_bytes, MutableBytes to) const {
    if (offset_bytes >= size_bytes_) return 0;
    to = to.first(
        std::min<std::uint64_t>(to.size(), size_bytes_ - offset_bytes));
    zero_bytes(to);
    for_each_page(offset_bytes, to.size(),
                  [&](std::uint64_t number, std::size_t first,
                      std::size_t count, std::size_t done) {
                    const auto it = pages_.find(number);
                    if (it == pages_.end()) return;
                    copy_bytes(to.subspan(done),
                               Bytes(*it->second).subspan(first, count));
                  });
    return to.size();
  }

  [[nodiscard]] std::uint64_t hash() const {
    ContentHash hash;
    for (const auto& [number, page] : pages_) {
      hash.add(number * kPageBytes, *page);
    }
    return hash.value();
  }

 private:
  using Page = std::array<std::byte, kPageBytes>;

  template <class F>
  static void for_each_page(std::uint64_t offset, std::size_t length, F&& f) {
    for (std::size_t done = 0; done < length;) {
      const auto first = static_cast<std::size_t>((offset + done) % kPageBytes);
      const std::size_t count = std::min(kPageBytes - first, length - done);
      f((offset + done) / kPageBytes, first, count, done);
      done += count;
    }
  }

  // The page, for change: nobody else's.
  Page& own(std::uint64_t number) {
    std::shared_ptr<Page>& page = pages_[number];
    if (page == nullptr) {
      page = std::make_shared<Page>();
      zero_bytes(*page);
    } else if (page.use_count() > 1) {
      page = std::make_shared<Page>(std::as_const(*page));
    }
    return *page;
  }

  std::uint64_t size_bytes_ = 0;
  std::map<std::uint64_t, std::shared_ptr<Page>> pages_;
};

}  // namespace odo::hammer2::testing::model
