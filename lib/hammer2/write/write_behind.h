// SPDX-License-Identifier: BSD-3-Clause
// Stores file data that wait, beside a volume's other calls: they are
// compressed and sealed by whoever has time, without the volume's lock.
//
//   WriteBehind<MyGround> behind(volume);
//   ODO_TRY_VOID(behind.init());
//   lock.lock();  // whoever is at the volume has it
//   if (volume.is_behind()) ODO_TRY(const bool more, behind.store_one(lock));
//
// Contexts: threads that hold the volume's lock; store_one() lets it go and
//   takes it again, so what was looked at before may have changed after it. A
//   thread at a time for each WriteBehind, any number of them for a volume.
//   init() and the destructor use the ground, as the volume's calls do.
// Ownership: refers to the volume, which outlives it and may be closed or
//   forgotten meanwhile.
// Invariants:
//   W1. nobody changes the bytes of a block that is on its way: who wants to
//       change the block gives it a copy, and who frees it leaves them;
//   W2. a block is stored only as it is in the file at that moment.
// Bounds: 96 KiB or so for each, and 64 KiB while it is at work.
#pragma once

#include <cstddef>

#include "lib/hammer2/error.h"
#include "lib/hammer2/write/encoder.h"
#include "lib/hammer2/write/ground.h"
#include "lib/hammer2/write/memory.h"
#include "lib/hammer2/write/open_inode.h"
#include "lib/hammer2/write/volume.h"

namespace odo::hammer2::write {

template <Ground G>
class WriteBehind {
 public:
  explicit WriteBehind(Volume<G>& volume)
      : volume_(volume), encoder_(volume.checks()) {}
  WriteBehind(const WriteBehind&) = delete;
  WriteBehind& operator=(const WriteBehind&) = delete;

  [[nodiscard]] Result<void> init() {
    ODO_TRY_VOID(encoder_.init(volume_.ground()));
    return room_.init(volume_.ground(), format::kMaxAllocBytes / 2);
  }

  // The block that has waited longest and that nobody else is at; false where
  // there is none. One that changes meanwhile goes on waiting.
  template <class L>
  [[nodiscard]] Result<bool> store_one(L& lock) {
    OutgoingBlock outgoing;
    ODO_TRY(const bool any, volume_.take_block(outgoing));
    if (!any) return false;
    lock.unlock();
    const PreparedBlock prepared = encoder_.prepare(
        outgoing.methods, Bytes(outgoing.bytes, outgoing.size), room_.span());
    lock.lock();
    ODO_TRY_VOID(volume_.store_block(outgoing, prepared));
    return true;
  }

 private:
  Volume<G>& volume_;
  Encoder<G> encoder_;
  Array<G, std::byte> room_;
};

}  // namespace odo::hammer2::write
