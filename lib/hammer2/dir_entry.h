// SPDX-License-Identifier: BSD-3-Clause
// What a leaf of a directory's tree says: a name, a number and a type.
//
// Contexts: thread; may block where the device does, as long names and inodes
//   that stand in directories have blocks of their own.
// Failure: what fetching that block says; kBadDirent for a name that can't be.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/base/bytes.h"
#include "lib/hammer2/error.h"
#include "lib/hammer2/format/inode.h"
#include "lib/hammer2/inode_fields.h"
#include "lib/hammer2/path.h"
#include "lib/hammer2/types.h"
#include "lib/hammer2/validate.h"

namespace odo::hammer2 {

template <class Store>
[[nodiscard]] Result<void> fill_entry(Store& store, const format::Blockref& ref,
                                      std::uint64_t directory_inum,
                                      DirEntry& out) {
  std::string_view name;
  typename Store::Pin pin;
  out.key = ref.key;
  if (ref.type == format::BlockType::kDirent) {
    const format::Dirent& dirent = ref.embed.dirent;
    out.inum = dirent.inum;
    out.type = dirent.type;
    if (dirent.name_len <= format::kEmbeddedNameBytes) {
      name = {ref.check.name.data(), dirent.name_len};
    } else if (dirent.name_len <= format::kInodeNameBytes) {
      ODO_TRY(pin,
              store.fetch(ref, Tree::kDirectory, KeyRange{}, directory_inum));
      name = detail::as_text(pin.bytes().first(dirent.name_len));
    }
  } else {
    ODO_TRY(pin,
            store.fetch(ref, Tree::kDirectory, KeyRange{}, directory_inum));
    const Bytes inode = pin.bytes();
    out.inum = detail::meta_field<std::uint64_t>(
        inode, offsetof(format::InodeMeta, inum));
    out.type = static_cast<ObjectType>(detail::meta_field<std::uint8_t>(
        inode, offsetof(format::InodeMeta, type)));
    name = detail::inode_name(inode);
  }
  if (!name_possible(name)) {
    Error error = error_at(Code::kBadDirent, ref, directory_inum);
    error.found = ref.key;
    return fail(error);
  }
  out.name_length = static_cast<std::uint16_t>(name.size());
  std::copy_n(name.data(), name.size(), out.name_chars.data());
  return {};
}

}  // namespace odo::hammer2
