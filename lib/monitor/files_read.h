// SPDX-License-Identifier: BSD-3-Clause
// The commands that read what files hold: cat and sha256.
//
// Contexts: thread; they block where the disks do. Memory: one piece of a file
// at a time, however large the file.
// Failure: a Status; every trouble was told on the error channel.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/base/text.h"
#include "lib/check/sha256.h"
#include "lib/hammer2/error.h"
#include "lib/hammer2/types.h"
#include "lib/monitor/files_list.h"
#include "lib/monitor/options.h"
#include "lib/monitor/session.h"

namespace odo::monitor {

namespace detail {

// Hands a regular file's bytes to `take`, a piece at a time.
template <class S, class Take>
[[nodiscard]] Status read_file(S& s, std::string_view command,
                               std::string_view path, const hammer2::Node& file,
                               Take take) {
  std::uint64_t offset = 0;
  while (true) {
    if (s.interrupted()) return Status::kInterrupted;
    auto got = s.fs.read(file, offset, s.io);
    if (!got) return s.complain(command, path, got.error());
    if (*got == 0) return Status::kDone;
    take(Bytes(s.io.first(*got)));
    offset += *got;
  }
}

// "digest  path". A path with bytes that may not be shown, or a backslash, is
// escaped and its line begins with a backslash, as with sha256sum; beyond that
// program's \n, \r and \\ there is \xNN.
template <class S>
void print_digest(S& s, const check::Sha256Digest& digest,
                  std::string_view path) {
  bool plain = true;
  for (std::string_view rest = path; !rest.empty();) {
    std::size_t length = printable_prefix(rest);
    if (length == 0 || rest[0] == '\\') {
      plain = false;
      break;
    }
    rest.remove_prefix(length);
  }
  if (!plain) s.out.text("\\");
  for (std::byte b : digest) s.out.hex(std::to_integer<unsigned>(b), 2);
  s.out.text("  ");
  for (std::size_t at = 0; at < path.size();) {
    std::size_t end = path.find_first_of("\n\r", at);
    s.out.escaped(slice(path, at, end - at));
    if (end == std::string_view::npos) break;
    s.out.text(path[end] == '\n' ? "\\n" : "\\r");
    at = end + 1;
  }
  s.out.text("\n");
}

template <class S>
[[nodiscard]] Status digest_file(S& s, std::string_view path,
                                 const hammer2::Node& file) {
  auto stream = s.checks.sha256_stream();
  Status status = read_file(s, "sha256", path, file,
                            [&](Bytes piece) { stream.update(piece); });
  if (status == Status::kDone) print_digest(s, stream.value(), path);
  return status;
}

// Every regular file below the directory s.node; symlinks are not followed.
template <class S>
[[nodiscard]] Status digest_tree(S& s, std::string_view path) {
  Status worst = Status::kDone;
  s.walk.begin(path);
  if (!enter(s, "sha256", s.node, worst)) return worst;
  WalkItem item;
  while (worst != Status::kInterrupted) {
    auto more = s.walk.next(item);
    if (!more) {
      worst = s.complain("sha256", s.walk.path(), more.error());
      continue;
    }
    if (!*more) return worst;
    bool directory = item.type == ObjectType::kDirectory;
    if (!directory && item.type != ObjectType::kRegular) continue;
    auto found = s.fs.node_by_inum(s.walk.any(), item.inum, s.child);
    if (!found) {
      worst = s.complain("sha256", item.path, found.error());
    } else if (directory) {
      (void)enter(s, "sha256", s.child, worst);
      if (s.interrupted()) return Status::kInterrupted;
    } else {
      worst = worse(worst, digest_file(s, item.path, s.child));
    }
  }
  return worst;
}

}  // namespace detail

template <class S>
[[nodiscard]] Status command_cat(S& s, Words words) {
  auto options = parse_options(words, "");
  if (!options) return s.bad_option("cat", options.error());
  if (options->operands.empty()) return s.bad_usage("cat", "no file named");
  if (!s.need_mount("cat")) return Status::kFailed;
  Status worst = Status::kDone;
  for (std::string_view path : options->operands) {
    auto found = s.resolve(path, hammer2::FollowLast::kYes, s.node);
    Status status =
        found ? detail::read_file(s, "cat", path, s.node,
                                  [&](Bytes piece) { s.out.raw(piece); })
              : s.complain("cat", path, found.error());
    worst = worse(worst, status);
    if (worst == Status::kInterrupted) break;
  }
  return worst;
}

template <class S>
[[nodiscard]] Status command_sha256(S& s, Words words) {
  auto options = parse_options(words, "r");
  if (!options) return s.bad_option("sha256", options.error());
  if (options->operands.empty()) return s.bad_usage("sha256", "no file named");
  if (!s.need_mount("sha256")) return Status::kFailed;
  Status worst = Status::kDone;
  for (std::string_view path : options->operands) {
    auto found = s.resolve(path, hammer2::FollowLast::kYes, s.node);
    Status status;
    if (!found) {
      status = s.complain("sha256", path, found.error());
    } else if (!s.node.is(hammer2::ObjectType::kDirectory)) {
      status = detail::digest_file(s, path, s.node);
    } else if (options->letters != 0) {
      status = detail::digest_tree(s, path);
    } else {
      status = s.complain("sha256", path,
                          "is a directory: -r takes every file in it");
    }
    worst = worse(worst, status);
    if (worst == Status::kInterrupted) break;
  }
  return worst;
}

}  // namespace odo::monitor
