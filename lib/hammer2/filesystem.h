// SPDX-License-Identifier: BSD-3-Clause
// Reads a HAMMER2 filesystem: PFSs, directories, files, symlinks.
//
//   hammer2::FileSystem<Device> fs;          // about 3 KiB: not on a stack
//   Device* devices[] = {&disk};
//   ODO_TRY_VOID(fs.open(devices, memory));  // memory for the block cache
//   hammer2::Pfs pfs;
//   ODO_TRY_VOID(fs.default_pfs(pfs));
//   hammer2::Node root, node;
//   ODO_TRY_VOID(fs.root(pfs, root));
//   ODO_TRY_VOID(fs.resolve(root, "/etc/motd", FollowLast::kYes, node));
//   ODO_TRY(std::size_t n, fs.read(node, 0, buffer));
//
// Contexts: thread, one at a time (no locking of its own). Everything but
//   info() may block where the device's read() does. No function here keeps
//   more than 1 KiB on the stack; nothing recurses.
// Ownership: the caller owns the devices and the memory and keeps both until
//   the FileSystem is opened anew or gone. Nodes, cursors and entries are
//   plain values. Media must not change meanwhile.
// Failure: hammer2::Error. Total on any media: a wrong check code, an
//   impossible size, offset, type or key, a loop, damaged compression and a
//   short device are errors that name the block; none leads to undefined
//   behaviour or unbounded work. After an error everything else may still be
//   read. `out` arguments are unspecified after a failure.
// Bounds: kMaxDepth levels of indirect blocks, kMaxSymlinks followed in one
//   resolve(), kMaxPathBytes of path left over while following one; the memory
//   given to open() and no other.
// Complexity: every operation costs O(depth) cached blocks and a binary search
//   in each; a sequential read costs one lookup a 64 KiB block, and another
//   where the device is one that wants to be told ahead.
// Origin: DragonFly hammer2_vfsops.c, hammer2_chain.c (lookup and next),
//   hammer2_xops.c (nresolve, readdir), hammer2_strategy.c (read), by way of
//   kusumi/freebsd_hammer2 v1.2.13. The code shares no line with these: where
//   they keep chains of locked in-memory nodes, this walks blocks by key.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

#include "lib/base/bytes.h"
#include "lib/block/device.h"
#include "lib/hammer2/block_store.h"
#include "lib/hammer2/check_codes.h"
#include "lib/hammer2/error.h"
#include "lib/hammer2/path.h"
#include "lib/hammer2/pfs_choice.h"
#include "lib/hammer2/read_ahead.h"
#include "lib/hammer2/resolve.h"
#include "lib/hammer2/tree.h"
#include "lib/hammer2/types.h"

namespace odo::hammer2 {

// `Cache` is the block cache that it has for itself, or a reference to one that
// FileSystems of other threads, on the same devices, use too.
template <block::BlockDevice Device, CheckPolicy Checks = VerifyChecks,
          class Cache = BlockCache>
class FileSystem {
 public:
  // The blocks below files, for tools that look there.
  using Store = BlockStore<Device, Checks, Cache>;

  // Least memory that open() accepts; more makes a larger cache. Blocks take
  // slots of their own size in 64 KiB frames.
  static constexpr std::size_t kMinMemoryBytes =
      Store::kMinMemoryBytes + Path::kBufferBytes;
  static constexpr std::size_t kMaxPathBytes = Path::kBufferBytes;
  static constexpr std::size_t kMaxNameBytes = 255;

  explicit FileSystem(Checks checks = Checks{})
  requires(!std::is_reference_v<Cache>)
      : store_(checks) {}
  // Refers to `cache` for as long as it lives.
  FileSystem(Checks checks, std::remove_reference_t<Cache>& cache)
  requires std::is_reference_v<Cache>
      : store_(checks, cache) {}
  FileSystem(const FileSystem&) = delete;
  FileSystem& operator=(const FileSystem&) = delete;
  ~FileSystem() { forget_fingers(); }

  // Finds the newest usable volume header on `devices`, which are all volumes
  // of one filesystem in any order, and takes `memory` for the block cache.
  // May be called again; whatever was open is forgotten.
  [[nodiscard]] Result<void> open(std::span<Device* const> devices,
                                  MutableBytes memory);

  [[nodiscard]] const VolumeInfo& info() const { return store_.info(); }

  // The PFSs in the order of their keys. False, and `out` untouched, after the
  // last. The super-root itself isn't one of them.
  [[nodiscard]] Result<bool> next_pfs(DirCursor& cursor, Pfs& out);

  [[nodiscard]] Result<void> find_pfs(std::string_view label, Pfs& out) {
    return hammer2::find_pfs(*this, label, out);
  }

  // The PFS that a user who names none expects; see choose_pfs().
  [[nodiscard]] Result<void> default_pfs(Pfs& out) {
    return choose_pfs(*this, out);
  }

  [[nodiscard]] Result<void> root(const Pfs& pfs, Node& out);

  // The node of that number in the PFS that `any` belongs to.
  [[nodiscard]] Result<void> node_by_inum(const Node& any, std::uint64_t inum,
                                          Node& out);

  // The entry `name` of `directory`; "." and ".." as usual, ".." of a PFS's
  // root being the root itself. Symlinks aren't followed.
  [[nodiscard]] Result<void> lookup(const Node& directory,
                                    std::string_view name, Node& out);

  // Walks `path` from `start`, or from the PFS's root where it begins with '/',
  // following symlinks on the way. A trailing '/' asks for a directory. The
  // empty path isn't found.
  [[nodiscard]] Result<void> resolve(const Node& start, std::string_view path,
                                     FollowLast follow, Node& out) {
    return resolve_path(*this, start, path, follow, {path_buffer_, next_}, out);
  }

  // The next entry of `directory` at or after `cursor`, in the order of keys
  // (which is no order of names); moves the cursor past it. False, and `out`
  // untouched, at the end.
  [[nodiscard]] Result<bool> read_directory(const Node& directory,
                                            DirCursor& cursor, DirEntry& out);

  // Reads from a regular file; answers how many bytes, which is fewer than
  // asked for only at the file's end. Holes read as zeros.
  [[nodiscard]] Result<std::size_t> read(const Node& file, std::uint64_t offset,
                                         MutableBytes to);

  // The target of a symlink, cut to what fits; answers how many bytes.
  [[nodiscard]] Result<std::size_t> read_link(const Node& link,
                                              MutableBytes to);

  [[nodiscard]] Store& blocks() { return store_; }

 private:
  using Pin = typename Store::Pin;

  Result<void> fill_node(const format::Blockref& ref,
                         const format::Blockref& pfs_root,
                         std::uint64_t expected_inum, Node& out);
  Result<std::size_t> read_body(const Node& node, std::uint64_t offset,
                                MutableBytes to);
  Result<std::size_t> read_blocks(const Node& node, std::uint64_t offset,
                                  MutableBytes to);
  void read_ahead(const Node& node, std::uint64_t offset, std::size_t length)
  requires block::PrefetchingDevice<Device>;

  // Where the last search ended, or null: in a cache that others use too,
  // blocks don't stay pinned from call to call.
  [[nodiscard]] static Finger<Store>* kept(Finger<Store>& finger) {
    return std::is_reference_v<Cache> ? nullptr : &finger;
  }
  // The cache goes with the filesystem, and its memory may be gone already.
  void forget_fingers() {
    inodes_.forget();
    entries_.forget();
  }

  struct NoReadAhead {};

  Store store_;
  MutableBytes path_buffer_;
  DirEntry entry_;         // lookup()'s candidate
  Node next_;              // resolve()'s next node
  format::Blockref leaf_;  // the leaf under examination
  Finger<Store> inodes_;   // node_by_inum()'s
  Finger<Store> entries_;  // read_directory()'s
  [[no_unique_address]] std::conditional_t<block::PrefetchingDevice<Device>,
                                           ReadAhead, NoReadAhead> ahead_;
};

}  // namespace odo::hammer2

#include "lib/hammer2/filesystem_impl.h"
