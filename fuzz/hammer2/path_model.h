// SPDX-License-Identifier: BSD-3-Clause
// What a path leads to, found the plain way: a string that is cut at its front
// and grows there where a symlink is followed.
//
// Contexts: fuzzers; hosted.
// Failure: the code that FileSystem::resolve() must fail with, too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "lib/base/bytes.h"
#include "lib/hammer2/filesystem.h"

namespace odo::hammer2::fuzz {

template <class Fs>
[[nodiscard]] Result<Node> model_resolve(Fs& fs, const Node& root,
                                         const Node& start,
                                         std::string_view path,
                                         FollowLast follow) {
  if (path.empty()) return fail(Error{.code = Code::kNotFound});
  std::string left(path);
  Node at = path.front() == '/' ? root : start;
  bool directory_wanted = path.front() == '/';
  unsigned links = 0;
  for (;;) {
    left.erase(0, left.find_first_not_of('/'));  // all, where there is none
    if (left.empty()) break;
    const std::string name = left.substr(0, left.find('/'));
    left.erase(0, name.size());
    Node next;
    ODO_TRY_VOID(fs.lookup(at, name, next));
    directory_wanted = !left.empty();
    if (!next.is(ObjectType::kSymlink) ||
        (!directory_wanted && follow == FollowLast::kNo)) {
      at = next;
      continue;
    }
    if (++links > hammer2::kMaxSymlinks) {
      return fail(Error{.code = Code::kSymlinkLoop});
    }
    const std::uint64_t length = next.attributes.size;
    if (length == 0) return fail(Error{.code = Code::kNotFound});
    if (length > Fs::kMaxPathBytes ||
        length + left.size() > Fs::kMaxPathBytes) {
      return fail(Error{.code = Code::kNameTooLong});
    }
    std::string target(static_cast<std::size_t>(length), '\0');
    ODO_TRY_VOID(fs.read_link(next, std::as_writable_bytes(std::span(target))));
    left.insert(0, target);
    if (left.front() == '/') at = root;
  }
  if (directory_wanted && !at.is(ObjectType::kDirectory)) {
    return fail(Error{.code = Code::kNotDirectory});
  }
  return at;
}

}  // namespace odo::hammer2::fuzz
