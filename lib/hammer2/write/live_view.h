// SPDX-License-Identifier: BSD-3-Clause
// A volume that is being changed, read by the calls of FileSystem: what shows
// files can show those that no sync() has reached yet.
//
//   LiveView<MyGround> view(volume);
//   hammer2::Pfs pfs;
//   ODO_TRY_VOID(choose_pfs(view, pfs));
//   ODO_TRY_VOID(view.root(pfs, root));
//   ODO_TRY_VOID(view.resolve(root, "/etc/motd", FollowLast::kYes, node));
//
// Contexts: as Volume; one thread at a time.
// Ownership: refers to the volume. Holds the root of the PFS that root() was
//   asked for last, to which all nodes belong; close() gives it back, before
//   the volume closes. Nodes are plain values, and name an inode by its number:
//   a node of one that is gone isn't found.
// Failure: hammer2::Error; `out` arguments are unspecified after one.
// Complexity: as FileSystem, and a look-up of the inode's number in each call.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/hammer2/error.h"
#include "lib/hammer2/path.h"
#include "lib/hammer2/pfs_choice.h"
#include "lib/hammer2/resolve.h"
#include "lib/hammer2/types.h"
#include "lib/hammer2/write/volume.h"

namespace odo::hammer2::write {

template <Ground G>
class LiveView {
 public:
  explicit LiveView(Volume<G>& volume) : volume_(volume) {}
  LiveView(const LiveView&) = delete;
  LiveView& operator=(const LiveView&) = delete;
  ~LiveView() { close(); }

  void close() {
    if (root_ != nullptr) volume_.release(*root_);
    root_ = nullptr;
  }

  // As it would be after a sync().
  [[nodiscard]] VolumeInfo info() const {
    VolumeInfo info = volume_.info();
    info.free_bytes = volume_.space(*root_).free_bytes;
    return info;
  }

  [[nodiscard]] Result<bool> next_pfs(DirCursor& cursor, Pfs& out) {
    return volume_.next_pfs(cursor, out);
  }

  [[nodiscard]] Result<void> root(const Pfs& pfs, Node& out) {
    ODO_TRY(OpenInode * opened, volume_.open_pfs(pfs.label()));
    close();
    root_ = opened;
    fill(*root_, out);
    return {};
  }

  [[nodiscard]] Result<void> node_by_inum(const Node& /*any*/,
                                          std::uint64_t inum, Node& out) {
    ODO_TRY(OpenInode * inode, volume_.by_inum(*root_, inum));
    show(*inode, out);
    return {};
  }

  [[nodiscard]] Result<void> lookup(const Node& directory,
                                    std::string_view name, Node& out) {
    ODO_TRY(OpenInode * folder, open(directory));
    const Result<OpenInode*> inode = volume_.lookup(*folder, name);
    volume_.release(*folder);
    if (!inode) return fail(inode.error());
    show(**inode, out);
    return {};
  }

  [[nodiscard]] Result<void> resolve(const Node& start, std::string_view path,
                                     FollowLast follow, Node& out) {
    return resolve_path(*this, start, path, follow, {path_room_, next_}, out);
  }

  [[nodiscard]] Result<bool> read_directory(const Node& directory,
                                            DirCursor& cursor, DirEntry& out) {
    return with(directory, [&](OpenInode& inode) {
      return volume_.read_directory(inode, cursor, out);
    });
  }
  [[nodiscard]] Result<std::size_t> read(const Node& file, std::uint64_t offset,
                                         MutableBytes to) {
    return with(file, [&](OpenInode& inode) {
      return volume_.read(inode, offset, to);
    });
  }
  [[nodiscard]] Result<std::size_t> read_link(const Node& link,
                                              MutableBytes to) {
    return with(link,
                [&](OpenInode& inode) { return volume_.read_link(inode, to); });
  }

  // The inode that a node names, held: for changes.
  [[nodiscard]] Result<OpenInode*> open(const Node& node) {
    return volume_.by_inum(*root_, node.inum());
  }
  // Of the PFS that is shown.
  [[nodiscard]] OpenInode& root_inode() {
    ODO_ASSERT(root_ != nullptr);
    return *root_;
  }

 private:
  void fill(const OpenInode& inode, Node& out) {
    out.ref = inode.chain->ref;
    out.pfs_root = root_->chain->ref;
    out.attributes = volume_.attributes(inode);
    // Readers take it from where they were asked for: a root's own is free.
    if (&inode == root_) out.attributes.inum = format::kRootInum;
  }
  void show(OpenInode& inode, Node& out) {
    fill(inode, out);
    volume_.release(inode);
  }

  template <class Use>
  auto with(const Node& node, Use use)
      -> decltype(use(std::declval<OpenInode&>())) {
    ODO_TRY(OpenInode * inode, open(node));
    auto result = use(*inode);
    volume_.release(*inode);
    return result;
  }

  Volume<G>& volume_;
  OpenInode* root_ = nullptr;
  Node next_;  // resolve()'s next node
  std::array<std::byte, Path::kBufferBytes> path_room_;
};

}  // namespace odo::hammer2::write
