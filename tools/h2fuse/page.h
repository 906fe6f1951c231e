// SPDX-License-Identifier: BSD-3-Clause
// One answer to readdir, filled as far as it goes.
//
// Contexts: any thread; one at a time.
// Ownership: refers to the request and to the room, which outlive it.
#pragma once

// 3.12: loops are configured by functions.
#define FUSE_USE_VERSION 312  // NOLINT(readability-identifier-naming)
#include <fuse3/fuse_lowlevel.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "lib/base/bytes.h"
#include "lib/hammer2/types.h"
#include "tools/h2fuse/attributes.h"
#include "tools/h2fuse/position.h"

namespace odo::h2fuse {

// Which answer readdir wants: names alone, or a look-up for each of them.
enum class Listing : std::uint8_t { kNames, kPlus };

class Page {
 public:
  Page(fuse_req_t request, MutableBytes room, Listing listing)
      : request_(request), room_(room), listing_(listing) {}

  [[nodiscard]] bool plus() const { return listing_ == Listing::kPlus; }

  // Adds a name, whose listing goes on at `next`. False where it doesn't fit.
  bool add(const std::string& name, const fuse_entry_param& entry,
           std::int64_t next) {
    char* const at = reinterpret_cast<char*>(room_.data()) + used_;
    const std::size_t left = room_.size() - used_;
    const std::size_t needed =
        plus() ? fuse_add_direntry_plus(request_, at, left, name.c_str(),
                                        &entry, next)
               : fuse_add_direntry(request_, at, left, name.c_str(),
                                   &entry.attr, next);
    if (needed > left) return false;
    used_ += needed;
    return true;
  }

  // "." and "..", as far as a listing from `offset` has them: the directory's
  // number and that of the one above. False where one doesn't fit.
  bool add_dots(std::int64_t offset, std::uint64_t own, std::uint64_t above) {
    using hammer2::ObjectType;
    if (offset <= kAtDot &&
        !add(".", named_only(own, ObjectType::kDirectory), kAtDotDot)) {
      return false;
    }
    return offset > kAtDotDot ||
           add("..", named_only(above, ObjectType::kDirectory), kAtEntries);
  }

  // What a listing of names has of an entry: number 0, no look-up made.
  [[nodiscard]] static fuse_entry_param named_only(std::uint64_t inum,
                                                   hammer2::ObjectType type) {
    fuse_entry_param entry = {};
    entry.attr.st_ino = inum;
    entry.attr.st_mode = type_bits(type);
    return entry;
  }

  [[nodiscard]] bool empty() const { return used_ == 0; }
  void send() const {
    fuse_reply_buf(request_, reinterpret_cast<const char*>(room_.data()),
                   used_);
  }

 private:
  fuse_req_t request_;
  MutableBytes room_;
  std::size_t used_ = 0;
  Listing listing_;
};

}  // namespace odo::h2fuse
