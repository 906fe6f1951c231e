// SPDX-License-Identifier: BSD-3-Clause
// What a file holds: its bytes in pieces, a link's target, a digest.
//
// Contexts: the tool's main thread.
// Failure: throws Failure, which names the path.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "lib/base/bytes.h"
#include "lib/check/sha256.h"
#include "lib/hammer2/types.h"
#include "tools/h2/volume.h"

namespace odo::h2 {

inline constexpr std::size_t kPieceBytes = std::size_t{1} << 20;

// The target of a symlink; empty for anything else.
[[nodiscard]] inline std::string target_of(Volume& volume,
                                           const hammer2::Node& node,
                                           const std::string& path) {
  if (!node.is(hammer2::ObjectType::kSymlink)) return {};
  // No target that can be followed is longer; a damaged size may be anything.
  const std::uint64_t size =
      std::min<std::uint64_t>(node.attributes.size, FileSystem::kMaxPathBytes);
  std::string target(static_cast<std::size_t>(size), '\0');
  const auto got =
      volume.fs().read_link(node, std::as_writable_bytes(std::span(target)));
  if (!got) throw volume.failure(got.error(), path);
  target.resize(*got);
  return target;
}

// Calls `take(Bytes)` for `node`'s content from `begin` to `end` or the file's
// end, in pieces of at most kPieceBytes that `buffer` is resized for.
template <class Take>
void read_range(Volume& volume, const hammer2::Node& node,
                const std::string& path, std::uint64_t begin, std::uint64_t end,
                std::vector<std::byte>& buffer, const Take& take) {
  buffer.resize(kPieceBytes);
  while (begin < end) {
    const std::size_t wanted = static_cast<std::size_t>(
        std::min<std::uint64_t>(end - begin, buffer.size()));
    const auto got =
        volume.fs().read(node, begin, MutableBytes(buffer).first(wanted));
    if (!got) throw volume.failure(got.error(), path);
    if (*got == 0) return;
    take(Bytes(buffer).first(*got));
    begin += *got;
  }
}

// All of a file, in pieces.
template <class Take>
void read_file(Volume& volume, const hammer2::Node& node,
               const std::string& path, std::vector<std::byte>& buffer,
               const Take& take) {
  read_range(volume, node, path, 0, ~std::uint64_t{0}, buffer, take);
}

[[nodiscard]] inline std::string hex(const check::Sha256Digest& digest) {
  return absl::BytesToHexString(
      std::string(reinterpret_cast<const char*>(digest.data()), digest.size()));
}

// The SHA-256 of a whole file.
[[nodiscard]] inline std::string sha256_of(Volume& volume,
                                           const hammer2::Node& node,
                                           const std::string& path,
                                           const check::Checks& checks,
                                           std::vector<std::byte>& buffer) {
  auto stream = checks.sha256_stream();
  read_file(volume, node, path, buffer,
            [&](Bytes piece) { stream.update(piece); });
  return hex(stream.value());
}

}  // namespace odo::h2
