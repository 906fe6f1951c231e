// SPDX-License-Identifier: BSD-3-Clause
// An inode that somebody holds, or whose file data are yet to be written.
//
// Contexts: thread, one at a time.
// Ownership: Volume makes and frees both; a holder gives its hold back with
//   Volume::release().
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/base/list.h"
#include "lib/base/tree.h"
#include "lib/hammer2/write/chain.h"
#include "lib/hammer2/write/encoder.h"

namespace odo::hammer2::write {

struct DataBlock;

// Bytes that are being encoded while others have the volume.
struct OutgoingBlock {
  DataBlock* block = nullptr;  // null once it has other bytes, or is gone
  std::byte* bytes = nullptr;
  std::uint32_t allocated = 0;
  std::uint32_t size = 0;  // to be stored, of these
  DataMethods methods = {};
};

// Up to 64 KiB of a file's content that the medium doesn't have.
struct DataBlock {
  OpenInode* owner = nullptr;
  std::uint64_t offset = 0;    // in the file, a multiple of 64 KiB
  std::byte* bytes = nullptr;  // zero from the file's end on
  std::uint32_t size = 0;      // of bytes; a power of two from 1 to 64 KiB
  bool unwritten = false;      // made for a write that may yet fail
  // Who else has the bytes: nobody changes them then, and whoever has a use for
  // others leaves these to it.
  OutgoingBlock* outgoing = nullptr;
  TreeHook by_offset = {};
  ListHook by_age = {};

  struct KeyOf {
    static std::uint64_t key(const DataBlock& block) { return block.offset; }
  };
};

struct OpenInode {
  Chain* chain = nullptr;    // pinned
  OpenInode* pfs = nullptr;  // the root of its PFS; itself if it is one
  std::uint64_t inum = 0;
  std::uint32_t holds = 0;
  bool unlinked = false;  // has no name and is in no index
  odo::Tree<DataBlock, &DataBlock::by_offset, DataBlock::KeyOf> blocks;
  ListHook all = {};
};

}  // namespace odo::hammer2::write
