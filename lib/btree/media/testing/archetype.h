// SPDX-License-Identifier: BSD-3-Clause
// The least that a page source and a page store may be. A template that
// compiles over these types uses nothing beyond the concepts; they exist to be
// instantiated, not to run.
//
// Contexts: none. Members are defined so that an explicit instantiation links.
#pragma once

#include <cstdint>

#include "lib/base/bytes.h"
#include "lib/btree/media/page_store.h"

namespace odo::btree::media::testing {

class ArchetypeSource {
 public:
  ArchetypeSource() = delete;
  ArchetypeSource(const ArchetypeSource&) = delete;
  ArchetypeSource& operator=(const ArchetypeSource&) = delete;

  [[nodiscard]] std::uint32_t page_bytes() const { return 0; }
  [[nodiscard]] std::uint64_t page_count() const { return 0; }
  [[nodiscard]] Result<void> read(std::uint64_t page, MutableBytes) {
    return fail(Error{Code::kReadFailed, Fault::kNone, page});
  }
};
static_assert(PageSource<ArchetypeSource>);
static_assert(!PageStore<ArchetypeSource>);

class ArchetypeStore : public ArchetypeSource {
 public:
  [[nodiscard]] Result<void> write(std::uint64_t page, Bytes) {
    return fail(Error{Code::kWriteFailed, Fault::kNone, page});
  }
  [[nodiscard]] Result<void> flush() { return fail(Error{Code::kFlushFailed}); }
  [[nodiscard]] Result<std::uint64_t> allocate() {
    return fail(Error{Code::kNoSpace});
  }
  void release(std::uint64_t) {}
  void settle(Outcome) {}
};
static_assert(PageStore<ArchetypeStore>);

}  // namespace odo::btree::media::testing
