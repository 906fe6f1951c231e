// SPDX-License-Identifier: BSD-3-Clause
// What may be asked of a filesystem, as values: to be generated, told in a
// failure's report, and carried out on a model, on a volume or on the host.
//
// Contexts: tests.
// Paths: as in file_tree.h.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/block/sim/random.h"
#include "lib/hammer2/testing/model/description.h"
#include "lib/hammer2/testing/model/file_tree.h"
#include "lib/hammer2/testing/model/result.h"
#include "lib/hammer2/types.h"

namespace odo::hammer2::testing::model {

// --- What changes the tree ---------------------------------------------------

struct Mkdir {
  std::string path;
  std::uint32_t mode = 0755;
};
struct Rmdir {
  std::string path;
};
struct Create {
  std::string path;
  std::uint32_t mode = 0644;
};
struct Mknod {
  std::string path;
  ObjectType type = ObjectType::kFifo;
  std::uint32_t mode = 0600;
  Device device = {};
};
struct Symlink {
  std::string path;
  std::string target;
};
struct Link {
  std::string from;
  std::string to;
};
struct Unlink {
  std::string path;
};
struct Rename {
  std::string from;
  std::string to;
  RenameMode mode = RenameMode::kReplace;
};
// The bytes are pattern(seed).
struct Write {
  std::string file;
  std::uint64_t offset = 0;
  std::size_t length = 0;
  std::uint64_t seed = 0;
};
struct Append {
  std::string file;
  std::size_t length = 0;
  std::uint64_t seed = 0;
};
struct Truncate {
  std::string file;
  std::uint64_t size = 0;
};
struct Chmod {
  std::string path;
  std::uint32_t mode = 0;
};
struct Chown {
  std::string path;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
};
struct Utimes {
  std::string path;
  std::uint64_t mtime_us = 0;
};
struct Open {
  std::string path;
  unsigned handle = 0;
};
struct Close {
  unsigned handle = 0;
};

// --- What doesn't, but for what is durable -----------------------------------

struct Fsync {
  std::string file;
};
struct Sync {};
struct Snapshot {
  std::string label;
};
struct Bulkfree {};

using Operation =
    std::variant<Mkdir, Rmdir, Create, Mknod, Symlink, Link, Unlink, Rename,
                 Write, Append, Truncate, Chmod, Chown, Utimes, Open, Close,
                 Fsync, Sync, Snapshot, Bulkfree>;
using Workload = std::vector<Operation>;

// The bytes of write `seed`: noise, a text that compresses, or zeros, so that
// each way to store a block is taken. Seeds divisible by 4 give zeros.
[[nodiscard]] inline std::vector<std::byte> pattern(std::uint64_t seed,
                                                    std::size_t length) {
  std::vector<std::byte> bytes(length);
  if (seed % 4 == 0) return bytes;
  block::Random random(seed);
  const std::size_t period =
      seed % 4 == 1 ? std::min<std::size_t>(length, 61) : length;
  for (std::size_t i = 0; i < period; i += 8) {
    std::array<std::byte, 8> word;
    store_le(word.data(), random.next() | 1);  // never all zeros
    copy_bytes(MutableBytes(bytes).subspan(i),
               Bytes(word).first(std::min<std::size_t>(8, period - i)));
  }
  for (std::size_t i = period; i < length; ++i) bytes[i] = bytes[i - period];
  return bytes;
}

namespace detail {

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};

inline std::string octal(std::uint32_t mode) {
  char text[16];
  (void)std::snprintf(text, sizeof text, "0%o", mode);
  return text;
}

inline std::string words(std::string_view verb,
                         std::initializer_list<std::string> rest) {
  std::string text(verb);
  for (const std::string& word : rest) text += ' ' + escaped(word);
  return text;
}

inline std::string number(std::uint64_t n) { return std::to_string(n); }

}  // namespace detail

[[nodiscard]] inline std::string to_string(const Operation& operation) {
  using detail::number;
  using detail::octal;
  using detail::words;
  return std::visit(
      detail::Overloaded{
          [](const Mkdir& o) {
            return words("mkdir", {o.path, octal(o.mode)});
          },
          [](const Rmdir& o) { return words("rmdir", {o.path}); },
          [](const Create& o) {
            return words("create", {o.path, octal(o.mode)});
          },
          [](const Mknod& o) {
            return words(
                "mknod",
                {o.path, std::string(hammer2::to_string(o.type)), octal(o.mode),
                 number(o.device.major), number(o.device.minor)});
          },
          [](const Symlink& o) { return words("symlink", {o.path, o.target}); },
          [](const Link& o) { return words("link", {o.from, o.to}); },
          [](const Unlink& o) { return words("unlink", {o.path}); },
          [](const Rename& o) {
            const char* how = o.mode == RenameMode::kReplace     ? "rename"
                              : o.mode == RenameMode::kNoReplace ? "move"
                                                                 : "exchange";
            return words(how, {o.from, o.to});
          },
          [](const Write& o) {
            return words("write", {o.file, number(o.offset), number(o.length),
                                   "seed", number(o.seed)});
          },
          [](const Append& o) {
            return words("append",
                         {o.file, number(o.length), "seed", number(o.seed)});
          },
          [](const Truncate& o) {
            return words("truncate", {o.file, number(o.size)});
          },
          [](const Chmod& o) {
            return words("chmod", {o.path, octal(o.mode)});
          },
          [](const Chown& o) {
            return words("chown", {o.path, number(o.uid), number(o.gid)});
          },
          [](const Utimes& o) {
            return words("utimes", {o.path, number(o.mtime_us)});
          },
          [](const Open& o) {
            return words("open", {o.path, "%" + number(o.handle)});
          },
          [](const Close& o) {
            return words("close", {"%" + number(o.handle)});
          },
          [](const Fsync& o) { return words("fsync", {o.file}); },
          [](const Sync&) { return std::string("sync"); },
          [](const Snapshot& o) { return words("snapshot", {o.label}); },
          [](const Bulkfree&) { return std::string("bulkfree"); },
      },
      operation);
}

// One a line, numbered from 0.
[[nodiscard]] inline std::string to_string(
    std::span<const Operation> operations) {
  std::string text;
  for (std::size_t i = 0; i < operations.size(); ++i) {
    text += std::to_string(i) + ": " + to_string(operations[i]) + '\n';
  }
  return text;
}

// Carries it out on the model. Those that only make things durable look whether
// the file is there.
inline Result<void> perform(FileTree& tree, const Operation& operation) {
  return std::visit(
      detail::Overloaded{
          [&](const Mkdir& o) { return tree.mkdir(o.path, o.mode); },
          [&](const Rmdir& o) { return tree.rmdir(o.path); },
          [&](const Create& o) { return tree.create(o.path, o.mode); },
          [&](const Mknod& o) {
            return tree.mknod(o.path, o.type, o.mode, o.device);
          },
          [&](const Symlink& o) { return tree.symlink(o.path, o.target); },
          [&](const Link& o) { return tree.link(o.from, o.to); },
          [&](const Unlink& o) { return tree.unlink(o.path); },
          [&](const Rename& o) { return tree.rename(o.from, o.to, o.mode); },
          [&](const Write& o) {
            return tree.write(o.file, o.offset, pattern(o.seed, o.length));
          },
          [&](const Append& o) {
            return tree.append(o.file, pattern(o.seed, o.length));
          },
          [&](const Truncate& o) { return tree.truncate(o.file, o.size); },
          [&](const Chmod& o) { return tree.chmod(o.path, o.mode); },
          [&](const Chown& o) { return tree.chown(o.path, o.uid, o.gid); },
          [&](const Utimes& o) { return tree.utimes(o.path, o.mtime_us); },
          [&](const Open& o) { return tree.open(o.path, o.handle); },
          [&](const Close& o) { return tree.close(o.handle); },
          [&](const Fsync& o) -> Result<void> {
            const auto there = tree.read(o.file, 0, {});
            if (!there) return fail(there.error());
            return {};
          },
          [](const auto&) -> Result<void> { return {}; },
      },
      operation);
}

// Whether it leaves the tree as it is, whatever comes of it.
[[nodiscard]] inline bool only_persists(const Operation& operation) {
  return std::holds_alternative<Fsync>(operation) ||
         std::holds_alternative<Sync>(operation) ||
         std::holds_alternative<Snapshot>(operation) ||
         std::holds_alternative<Bulkfree>(operation);
}

}  // namespace odo::hammer2::testing::model
