// SPDX-License-Identifier: BSD-3-Clause
// Finds a PFS among a filesystem's: by its label, or the one that a user who
// names none expects.
//
// Contexts: thread; blocks where the list does.
// Failure: hammer2::Error; `out` is unspecified after one.
// Complexity: one walk of the list. It has next_pfs(), as FileSystem does.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/hammer2/error.h"
#include "lib/hammer2/types.h"

namespace odo::hammer2 {

template <class List>
[[nodiscard]] Result<void> find_pfs(List& list, std::string_view label,
                                    Pfs& out) {
  DirCursor cursor;
  for (;;) {
    ODO_TRY(const bool found, list.next_pfs(cursor, out));
    if (!found) return fail(Error{.code = Code::kNoSuchPfs});
    if (out.label() == label) return {};
  }
}

// The only one there is; else the only one that is neither a snapshot nor
// "LOCAL", which formatting makes on every volume; else the one labelled
// "ROOT", or "DATA", or "BOOT", in this order. kNoDefaultPfs where that leaves
// none.
template <class List>
[[nodiscard]] Result<void> choose_pfs(List& list, Pfs& out) {
  constexpr std::array<std::string_view, 3> kUsual = {"ROOT", "DATA", "BOOT"};
  // Keys of the last PFS seen of each sort, and of the best usual label.
  std::uint64_t any_key = 0;
  std::uint64_t own_key = 0;
  std::uint64_t usual_key = 0;
  std::size_t any = 0;
  std::size_t own = 0;
  std::size_t usual = kUsual.size();
  DirCursor cursor;
  for (;;) {
    ODO_TRY(const bool found, list.next_pfs(cursor, out));
    if (!found) break;
    const std::uint64_t key = out.root.key;
    any_key = key;
    ++any;
    if (out.label() != kLocalLabel &&
        out.subtype == format::PfsSubtype::kNone) {
      own_key = key;
      ++own;
    }
    for (std::size_t i = 0; i < usual; ++i) {
      if (out.label() == kUsual[i]) {
        usual_key = key;
        usual = i;
      }
    }
  }
  DirCursor chosen;
  if (any == 1) {
    chosen.next_key = any_key;
  } else if (own == 1) {
    chosen.next_key = own_key;
  } else if (usual != kUsual.size()) {
    chosen.next_key = usual_key;
  } else {
    return fail(Error{.code = Code::kNoDefaultPfs});
  }
  ODO_TRY(const bool found, list.next_pfs(chosen, out));
  if (!found) return fail(Error{.code = Code::kNoDefaultPfs});
  return {};
}

}  // namespace odo::hammer2
