// SPDX-License-Identifier: BSD-3-Clause
// A page store in memory that fails when told to, loses power when told to, and
// stops the test when a page is written that must not be.
//
// Contexts: tests; one thread. Hosted: allocates.
// Power cuts: writes since the last flush are durable, lost or torn, each for
//   itself; `Fate` says which. A torn page has its new bytes in the
//   first quarter or in the rest, which parts a header's fields, too.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/btree/media/error.h"
#include "lib/btree/media/format.h"
#include "lib/btree/media/page_store.h"

namespace odo::btree::media::testing {

enum class Fate : std::uint8_t { kLost, kKept, kTornFirst, kTornLast };

class MemoryPageStore {
 public:
  struct Write {
    std::uint64_t page;
    std::vector<std::byte> bytes;
  };
  // What happened, in order: a write, or a flush (no bytes).
  using Log = std::vector<Write>;

  MemoryPageStore(std::uint32_t page_bytes, std::uint64_t pages)
      : MemoryPageStore(page_bytes,
                        std::vector<std::byte>(page_bytes * pages)) {}
  MemoryPageStore(std::uint32_t page_bytes, std::vector<std::byte> image)
      : page_bytes_(page_bytes),
        durable_(std::move(image)),
        now_(durable_),
        uses_(durable_.size() / page_bytes, Use::kFree) {}

  // --- as a PageStore --------------------------------------------------------

  [[nodiscard]] std::uint32_t page_bytes() const { return page_bytes_; }
  [[nodiscard]] std::uint64_t page_count() const { return uses_.size(); }

  [[nodiscard]] Result<void> read(std::uint64_t page, MutableBytes to) {
    ++reads_;
    if (fails() || page >= page_count()) {
      // What is in the buffer then is nobody's promise.
      std::fill(to.begin(), to.end(), std::byte{0xdb});
      return fail(Error{Code::kReadFailed, Fault::kNone, page});
    }
    ODO_CHECK(to.size() == page_bytes_);
    copy_bytes(to, bytes_of_page(page));
    return {};
  }

  [[nodiscard]] Result<void> write(std::uint64_t page, Bytes from) {
    // What a power cut may bring back is never overwritten.
    ODO_CHECK(page < kHeaderPages || uses_[page] == Use::kFresh);
    ODO_CHECK(from.size() == page_bytes_);
    const bool fault = fails();
    const std::vector<std::byte> bytes(from.begin(), from.end());
    pending_.push_back({page, bytes});
    if (logging_) log_.push_back(pending_.back());
    if (fault) {
      // A failed write may have reached the medium in part.
      apply(now_, pending_.back(), Fate::kTornLast);
      pending_.back().bytes.assign(bytes_of_page(page).begin(),
                                   bytes_of_page(page).end());
      return fail(Error{Code::kWriteFailed, Fault::kNone, page});
    }
    apply(now_, pending_.back(), Fate::kKept);
    return {};
  }

  [[nodiscard]] Result<void> flush() {
    const bool spoilt = flushes_left_ == 0;
    if (flushes_left_ > 0 && flushes_left_ != kAll) --flushes_left_;
    if (fails() || spoilt) return fail(Error{Code::kFlushFailed});
    for (const Write& write : pending_) apply(durable_, write, Fate::kKept);
    pending_.clear();
    if (logging_) log_.push_back({});
    return {};
  }

  [[nodiscard]] Result<std::uint64_t> allocate() {
    if (fails()) return fail(Error{Code::kNoSpace});
    for (std::uint64_t i = 0; i < page_count(); ++i) {
      const std::uint64_t page = (next_ + i) % page_count();
      if (page < kHeaderPages || uses_[page] != Use::kFree) continue;
      uses_[page] = Use::kFresh;
      next_ = page + 1;
      return page;
    }
    return fail(Error{Code::kNoSpace});
  }

  void release(std::uint64_t page) {
    ODO_CHECK(page >= kHeaderPages && page < page_count());
    ODO_CHECK(uses_[page] == Use::kFresh || uses_[page] == Use::kUsed);
    uses_[page] = uses_[page] == Use::kFresh ? Use::kFree : Use::kDying;
  }

  void settle(Outcome outcome) {
    const bool committed = outcome == Outcome::kCommitted;
    for (Use& use : uses_) {
      if (use == Use::kFresh) use = committed ? Use::kUsed : Use::kFree;
      if (use == Use::kDying) use = committed ? Use::kFree : Use::kUsed;
    }
  }

  // --- what is in use --------------------------------------------------------

  void forget_uses() { std::fill(uses_.begin(), uses_.end(), Use::kFree); }
  void mark_used(std::uint64_t page) { uses_[page] = Use::kUsed; }
  [[nodiscard]] std::uint64_t used() const {
    return static_cast<std::uint64_t>(std::count_if(
        uses_.begin(), uses_.end(), [](Use use) { return use != Use::kFree; }));
  }

  // --- failures --------------------------------------------------------------

  // The calls after the next `n` fail: `times` of them.
  void fail_after(std::uint64_t n, std::uint64_t times = 1) {
    calls_left_ = n;
    failures_left_ = times;
  }
  // Flushes after the next `n` fail.
  void fail_flushes_after(std::uint64_t n) { flushes_left_ = n; }
  void fail_never() {
    failures_left_ = 0;
    flushes_left_ = kAll;
  }
  // Whether a failure that was asked for is still to come.
  [[nodiscard]] bool failure_waits() const { return failures_left_ > 0; }
  [[nodiscard]] std::uint64_t reads() const { return reads_; }

  // --- power -----------------------------------------------------------------

  [[nodiscard]] std::size_t pending() const { return pending_.size(); }
  // Cuts the power: fate(i) is that of the i-th write since the last flush.
  template <class Fates>
  void cut(const Fates& fate) {
    for (std::size_t i = 0; i < pending_.size(); ++i) {
      apply(durable_, pending_[i], fate(i));
    }
    pending_.clear();
    now_ = durable_;
  }

  void start_log() {
    logging_ = true;
    log_.clear();
  }
  [[nodiscard]] const Log& log() const { return log_; }
  [[nodiscard]] const std::vector<std::byte>& image() const { return now_; }
  [[nodiscard]] std::vector<std::byte>& image() { return now_; }

  // Lets one write come to what its fate says.
  static void apply(std::vector<std::byte>& image, const Write& write,
                    Fate fate) {
    const std::size_t size = write.bytes.size();
    const std::size_t part = size / 4;
    const std::size_t begin = fate == Fate::kTornLast ? part : 0;
    std::size_t end = fate == Fate::kTornFirst ? part : size;
    if (fate == Fate::kLost) end = begin;
    std::copy(
        write.bytes.begin() + static_cast<std::ptrdiff_t>(begin),
        write.bytes.begin() + static_cast<std::ptrdiff_t>(end),
        image.begin() + static_cast<std::ptrdiff_t>(write.page * size + begin));
  }

 private:
  enum class Use : std::uint8_t {
    kFree,
    kUsed,   // by the committed tree
    kFresh,  // allocated by the transaction
    kDying,  // the committed tree's, and released by the transaction
  };

  static constexpr std::uint64_t kAll =
      std::numeric_limits<std::uint64_t>::max();

  [[nodiscard]] std::span<std::byte> bytes_of_page(std::uint64_t page) {
    return std::span(now_).subspan(page * page_bytes_, page_bytes_);
  }

  bool fails() {
    if (failures_left_ == 0) return false;
    if (calls_left_ > 0) {
      --calls_left_;
      return false;
    }
    --failures_left_;
    return true;
  }

  std::uint32_t page_bytes_;
  std::vector<std::byte> durable_;
  std::vector<std::byte> now_;
  std::vector<Use> uses_;
  std::vector<Write> pending_;
  Log log_;
  bool logging_ = false;
  std::uint64_t next_ = kHeaderPages;
  std::uint64_t calls_left_ = 0;
  std::uint64_t failures_left_ = 0;
  std::uint64_t flushes_left_ = kAll;
  std::uint64_t reads_ = 0;
};

static_assert(PageStore<MemoryPageStore>);

}  // namespace odo::btree::media::testing
