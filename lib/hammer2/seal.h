// SPDX-License-Identifier: BSD-3-Clause
// Check codes on their way out: into references and into volume headers.
//
// Contexts: any; no state.
// Complexity: linear in the bytes covered.
#pragma once

#include "lib/base/bytes.h"
#include "lib/check/checks.h"
#include "lib/hammer2/format/blockref.h"
#include "lib/hammer2/format/volume_header.h"

namespace odo::hammer2 {

// Has `ref` vouch for `block`, all of it as it goes to the medium, by the
// method that `ref` names.
inline void seal(format::Blockref& ref, Bytes block,
                 const check::Checks& checks) {
  ref.check = {};
  switch (format::check_method(ref.methods)) {
    case format::CheckMethod::kIscsi32:
    case format::CheckMethod::kFreemap:
      ref.check.iscsi32.value = checks.crc32c(block);
      break;
    case format::CheckMethod::kXxhash64:
      ref.check.xxhash64.value = checks.xxh64(block, format::kXxhashSeed);
      break;
    case format::CheckMethod::kSha192:
      ref.check.sha192.value = checks.sha192(block);
      break;
    case format::CheckMethod::kNone:
    case format::CheckMethod::kDisabled:
      break;
  }
}

// Brings a header's codes up to date, in the order in which each covers the
// last.
inline void seal_header(MutableBytes header, const check::Checks& checks) {
  for (const format::HeaderCrc& crc : format::kHeaderCrcs) {
    store_le(header.data() + crc.stored_at,
             checks.crc32c(header.subspan(crc.begin, crc.length)));
  }
}

}  // namespace odo::hammer2
