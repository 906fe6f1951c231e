// SPDX-License-Identifier: BSD-3-Clause
// Walks a path through a tree, following symlinks; whatever the tree is read
// from.
//
// Contexts: thread; blocks where the tree does. No recursion.
// Ownership: refers to the caller's path, tree and room for one call.
// Failure: hammer2::Error. Total on any tree: at most kMaxSymlinks are
//   followed, and Path::kBufferBytes of path may be left over meanwhile.
// Complexity: one look-up a component.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/base/bytes.h"
#include "lib/hammer2/error.h"
#include "lib/hammer2/path.h"
#include "lib/hammer2/types.h"

namespace odo::hammer2 {

inline constexpr unsigned kMaxSymlinks = 40;

// What the walk works in, too large for a stack.
struct ResolveRoom {
  MutableBytes path;  // Path::kBufferBytes
  Node& next;
};

namespace detail {

// Puts the target of the symlink `link` in front of `path`, to be walked from
// `at`, the directory that holds it.
template <class Tree>
Result<void> follow_link(Tree& tree, const Node& link, Path& path, Node& at) {
  const std::uint64_t length = link.attributes.size;
  // An empty target names nothing.
  if (length == 0) return fail(Error{.code = Code::kNotFound});
  if (length > Path::kBufferBytes) {
    return fail(Error{.code = Code::kNameTooLong});
  }
  const MutableBytes room = path.make_room(static_cast<std::size_t>(length));
  if (room.empty()) return fail(Error{.code = Code::kNameTooLong});
  ODO_TRY_VOID(tree.read_link(link, room));
  if (!path.absolute()) return {};
  return tree.node_by_inum(at, format::kRootInum, at);
}

}  // namespace detail

// As FileSystem::resolve(). The tree has its lookup(), node_by_inum() and
// read_link().
template <class Tree>
Result<void> resolve_path(Tree& tree, const Node& start, std::string_view name,
                          FollowLast follow, ResolveRoom room, Node& out) {
  if (name.empty()) return fail(Error{.code = Code::kNotFound});
  Path path(name, room.path);
  if (path.absolute()) {
    ODO_TRY_VOID(tree.node_by_inum(start, format::kRootInum, out));
  } else {
    out = start;
  }
  unsigned links = 0;
  std::string_view component;
  bool directory_wanted = path.absolute();
  while (path.next(component)) {
    ODO_TRY_VOID(tree.lookup(out, component, room.next));
    directory_wanted = !path.at_last();
    if (room.next.is(ObjectType::kSymlink) &&
        (directory_wanted || follow == FollowLast::kYes)) {
      if (++links > kMaxSymlinks) {
        return fail(Error{.code = Code::kSymlinkLoop});
      }
      ODO_TRY_VOID(detail::follow_link(tree, room.next, path, out));
    } else {
      out = room.next;
    }
  }
  if (directory_wanted && !out.is(ObjectType::kDirectory)) {
    return fail(Error{.code = Code::kNotDirectory});
  }
  return {};
}

}  // namespace odo::hammer2
