// SPDX-License-Identifier: BSD-3-Clause
// Looks through the space that no known block lies in for what may be left of
// files: inodes, directory entries, volume headers that lie elsewhere.
//
// Contexts: thread, one at a time; reads block where the device does.
// Bounds: every byte of the volumes that may hold blocks is read at most once,
//   one piece at a time; what reads badly is tried in blocks of the device.
// Failure: bytes that can't be read are counted and passed over.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/hammer2/check/arena.h"
#include "lib/hammer2/check/space.h"
#include "lib/hammer2/check_codes.h"
#include "lib/hammer2/recover/candidate.h"

namespace odo::hammer2::recover {

struct ScanTotals {
  std::uint64_t bytes = 0;  // looked at
  std::uint64_t unreadable_bytes = 0;
  std::uint64_t inodes = 0;
  std::uint64_t entries = 0;
  std::uint64_t headers = 0;
};

template <class Volumes, CheckPolicy Checks = VerifyChecks>
class Scan {
 public:
  static constexpr std::size_t kPieceBytes = std::size_t{1} << 20;

  // What lies in `known` isn't looked at.
  Scan(const Volumes& volumes, const audit::SpaceMap& known,
       Checks checks = Checks{})
      : volumes_(volumes), known_(known), checks_(checks) {}

  [[nodiscard]] bool init(audit::Arena& arena) {
    buffer_ = arena.take<std::byte>(kPieceBytes);
    return !buffer_.empty();
  }

  // Calls sink.inode(offset, sort, bytes), sink.entry(offset, ref),
  // sink.header(offset) and, now and then, sink.progress(done, total bytes).
  template <class Sink>
  ScanTotals run(Sink& sink) {
    totals_ = {};
    const std::uint64_t total = volumes_.info().total_bytes;
    for (std::uint64_t at = 0; at < total; at += kPieceBytes) {
      const std::uint64_t length =
          std::min<std::uint64_t>(kPieceBytes, total - at);
      if (volumes_.holds_blocks(at, length)) look_through(at, length, sink);
      if (at % (kPieceBytes * 64) == 0) sink.progress(at, total);
    }
    sink.progress(total, total);
    return totals_;
  }

 private:
  template <class Sink>
  void look_through(std::uint64_t offset, std::uint64_t length, Sink& sink) {
    // Volumes are of whole pieces, as they are of whole 8 MiB.
    const auto* volume = volumes_.find(offset, length);
    if (volume == nullptr) return;
    const MutableBytes piece = buffer_.first(static_cast<std::size_t>(length));
    const std::uint64_t inside = offset - volume->offset;
    if (!volume->device->read(inside, piece)) {
      const std::size_t granule = volume->device->block_bytes();
      for (std::size_t at = 0; at < piece.size(); at += granule) {
        const MutableBytes part = piece.subspan(at, granule);
        if (!volume->device->read(inside + at, part)) {
          zero_bytes(part);
          totals_.unreadable_bytes += granule;
        }
      }
    }
    for (std::size_t at = 0; at < piece.size(); at += format::kInodeBytes) {
      if (known_.in_use(offset + at)) continue;
      totals_.bytes += format::kInodeBytes;
      if (at % format::kVolumeHeaderBytes == 0 &&
          is_header(checks_, Bytes(piece).subspan(at))) {
        ++totals_.headers;
        sink.header(offset + at);
      }
      look_at(offset + at, Bytes(piece).subspan(at, format::kInodeBytes), sink);
    }
  }

  template <class Sink>
  void look_at(std::uint64_t offset, Bytes bytes, Sink& sink) {
    if (const auto sort = inode_in(bytes)) {
      ++totals_.inodes;
      sink.inode(offset, *sort, bytes);
    }
    for (std::size_t at = 0; at < bytes.size();
         at += sizeof(format::Blockref)) {
      if (const auto ref = entry_in(bytes.subspan(at))) {
        ++totals_.entries;
        sink.entry(offset + at, *ref);
      }
    }
  }

  const Volumes& volumes_;
  const audit::SpaceMap& known_;
  [[no_unique_address]] Checks checks_;
  MutableBytes buffer_;
  ScanTotals totals_;
};

}  // namespace odo::hammer2::recover
