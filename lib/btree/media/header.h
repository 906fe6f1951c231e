// SPDX-License-Identifier: BSD-3-Clause
// Which of the two header pages counts, and how the next one is made.
//
// Contexts: as the store's.
// Failure: a header that can't be read is an error, not a reason to take the
//   other one: that might be an older tree. A header that was read and isn't
//   right is what a power cut leaves, and the other one counts.
#pragma once

#include <cstdint>

#include "lib/base/bytes.h"
#include "lib/btree/media/error.h"
#include "lib/btree/media/format.h"
#include "lib/btree/media/page.h"
#include "lib/btree/media/page_store.h"

namespace odo::btree::media {

// Whether a store has pages that this format can fill.
template <PageSource S>
[[nodiscard]] bool can_hold_tree(const S& store) {
  return is_power_of_two(store.page_bytes()) &&
         store.page_bytes() >= kMinPageBytes &&
         store.page_bytes() <= kMaxPageBytes &&
         store.page_count() >= kHeaderPages;
}

// The newest right header. `buffer` is a page's.
template <PageSource S>
[[nodiscard]] Result<RootHeader> newest_header(S& store, MutableBytes buffer) {
  RootHeader newest{};
  Fault fault = Fault::kNone;
  for (std::uint64_t slot = 0; slot < kHeaderPages; ++slot) {
    ODO_TRY_VOID(store.read(slot, buffer));
    fault = check_header(buffer, slot, store.page_count());
    if (fault != Fault::kNone) continue;
    const auto header = *read_struct<RootHeader>(buffer, 0);
    if (header.generation > newest.generation) newest = header;
  }
  if (newest.generation == 0) {
    return fail(Error{Code::kNoTree, fault, kHeaderPages - 1});
  }
  return newest;
}

// Lays `header` into `page`, with its check code, which it is given too.
inline void seal_header(RootHeader& header, MutableBytes page) {
  zero_bytes(page);
  copy_bytes(page, bytes_of(header));
  header.check = check_of(page);
  store_le(page.data(), header.check);
}

}  // namespace odo::btree::media
