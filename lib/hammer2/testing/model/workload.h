// SPDX-License-Identifier: BSD-3-Clause
// Random work in a space of few names, so that operations meet: most of them
// are on what exists, some are bound to fail.
//
// Contexts: tests.
// Invariants: the same seed, options and tree give the same operations.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "lib/block/sim/random.h"
#include "lib/hammer2/testing/model/file_tree.h"
#include "lib/hammer2/testing/model/operation.h"

namespace odo::hammer2::testing::model {

struct WorkloadOptions {
  unsigned names = 5;      // in a directory: "a", "b", ...
  unsigned max_depth = 3;  // of directories
  unsigned handles = 3;    // that may be open
  std::size_t max_write_bytes = 70'000;
  std::uint64_t max_file_bytes = 300'000;
  // Out of 256: paths that are of no use (too long, dots, missing), and
  // operations that persist.
  unsigned odd_paths = 12;
  unsigned persists = 24;
  // Sizes and offsets are multiples of this, where it isn't 1.
  std::size_t granularity = 1;
};

class WorkloadGenerator {
 public:
  explicit WorkloadGenerator(std::uint64_t seed, WorkloadOptions options = {})
      : random_(seed), options_(options) {}

  // What to do next to `tree`, which is only looked at.
  [[nodiscard]] Operation next(const FileTree& tree) {
    tree_ = &tree;
    paths_ = tree.paths();
    if (random_.chance(options_.persists)) return persist();
    // Names and content change about as often.
    switch (random_.below(24)) {
      case 0:
      case 1:
        return Mkdir{new_path(), mode()};
      case 2:
        return Rmdir{any_path()};
      case 3:
      case 4:
      case 5:
        return Create{new_path(), mode()};
      case 6:
        return mknod();
      case 7:
        return Symlink{new_path(), target()};
      case 8:
        return Link{any_path(), new_path()};
      case 9:
      case 10:
        return Unlink{any_path()};
      case 11:
      case 12:
      case 13:
        return rename();
      case 14:
      case 15:
      case 16:
        return Write{file(), size(options_.max_file_bytes), length(), seed()};
      case 17:
      case 18:
        return Append{file(), length(), seed()};
      case 19:
        return Truncate{file(), size(options_.max_file_bytes)};
      case 20:
        return Chmod{any_path(), mode()};
      case 21:
        return random_.chance(128)
                   ? Operation(Chown{any_path(), id(), id()})
                   : Operation(Utimes{any_path(), random_.below(1U << 30)});
      case 22:
        return Open{file(), handle()};
      default:
        return Close{handle()};
    }
  }

 private:
  Operation persist() {
    switch (random_.below(8)) {
      case 0:
      case 1:
        return Fsync{file()};
      case 2:
        return Bulkfree{};
      case 3:
        return Snapshot{"snapshot-" + std::to_string(snapshots_++)};
      default:
        return Sync{};
    }
  }

  Operation mknod() {
    static constexpr ObjectType kTypes[] = {
        ObjectType::kFifo, ObjectType::kSocket, ObjectType::kCharDevice,
        ObjectType::kBlockDevice};
    const ObjectType type = kTypes[random_.below(std::size(kTypes))];
    Device device;
    if (type == ObjectType::kCharDevice || type == ObjectType::kBlockDevice) {
      device = {id() % 256, id() % 256};
    }
    return Mknod{new_path(), type, mode(), device};
  }

  Operation rename() {
    static constexpr RenameMode kModes[] = {
        RenameMode::kReplace, RenameMode::kReplace, RenameMode::kNoReplace,
        RenameMode::kExchange};
    const RenameMode mode = kModes[random_.below(std::size(kModes))];
    const bool onto_another =
        random_.chance(mode == RenameMode::kExchange ? 224 : 96);
    return Rename{any_path(), onto_another ? any_path() : new_path(), mode};
  }

  // --- Paths ----------------------------------------------------------------

  // Of what there is, but for the root; or an odd one.
  std::string any_path() {
    if (random_.chance(options_.odd_paths)) return odd_path();
    if (paths_.size() < 2) return new_path();
    return paths_[1 + random_.below(paths_.size() - 1)];
  }

  // In a directory that there is; the name may be taken.
  std::string new_path() {
    if (random_.chance(options_.odd_paths)) return odd_path();
    return below(directory(), name());
  }

  // An open file, or one with a name, or anything.
  std::string file() {
    const std::vector<unsigned> open = tree_->open_handles();
    if (!open.empty() && random_.chance(48)) {
      return "%" + std::to_string(open[random_.below(open.size())]);
    }
    return random_.chance(232) ? existing(ObjectType::kRegular) : any_path();
  }

  std::string directory() {
    const std::string path = existing(ObjectType::kDirectory);
    const auto depth = static_cast<unsigned>(std::ranges::count(path, '/'));
    return path != "/" && depth >= options_.max_depth ? "/" : path;
  }

  std::string existing(ObjectType type) {
    std::vector<const std::string*> found;
    for (const std::string& path : paths_) {
      if (tree_->at(*tree_->resolve(path)).is(type)) found.push_back(&path);
    }
    return found.empty() ? below("/", name())
                         : *found[random_.below(found.size())];
  }

  std::string odd_path() {
    const std::string at = existing(ObjectType::kDirectory);
    switch (random_.below(8)) {
      case 0:
        return below(at, std::string(FileTree::kMaxNameBytes, 'n'));
      case 1:
        return below(at, std::string(FileTree::kMaxNameBytes + 1, 'n'));
      case 2:
        return below(at, ".");
      case 3:
        return below(at, "..");
      case 4:
        return below(below(at, ".."), name());
      case 5:
        return below(existing(ObjectType::kRegular), name());
      case 6:
        return below(below(at, "missing"), name());
      default:
        return below(at, "na\xcc\x88me \x01");  // any byte but '/' and 0
    }
  }

  static std::string below(const std::string& directory,
                           const std::string& name) {
    return (directory == "/" ? "" : directory) + '/' + name;
  }

  std::string name() {
    return std::string(1,
                       static_cast<char>('a' + random_.below(options_.names)));
  }

  // --- Values ---------------------------------------------------------------

  std::string target() {
    return random_.chance(24) ? std::string(1 + random_.below(1023), 't')
                              : "to/" + name();
  }
  std::uint32_t mode() {
    return static_cast<std::uint32_t>(random_.below(01000));
  }
  std::uint32_t id() { return static_cast<std::uint32_t>(random_.below(2000)); }
  unsigned handle() {
    return static_cast<unsigned>(random_.below(options_.handles));
  }
  std::uint64_t seed() { return 1 + random_.below(1000); }

  std::size_t length() {
    return static_cast<std::size_t>(size(options_.max_write_bytes));
  }

  // Small as often as large; often around where blocks end.
  std::uint64_t size(std::uint64_t max) {
    static constexpr std::uint64_t kEdges[] = {512,   1024,  4096,
                                               16384, 65536, 131072};
    std::uint64_t bytes = 0;
    switch (random_.below(3)) {
      case 0:
        bytes = random_.below(600);
        break;
      case 1:
        bytes = kEdges[random_.below(std::size(kEdges))] + random_.below(3) - 1;
        break;
      default:
        bytes = random_.below(max + 1);
        break;
    }
    return std::min(bytes, max) / options_.granularity * options_.granularity;
  }

  block::Random random_;
  WorkloadOptions options_;
  const FileTree* tree_ = nullptr;
  std::vector<std::string> paths_;
  unsigned snapshots_ = 0;
};

// `count` operations from a new tree, with the outcome of each on the model
// taken into account, but not required to be good.
[[nodiscard]] inline Workload generate(std::uint64_t seed, std::size_t count,
                                       WorkloadOptions options = {}) {
  WorkloadGenerator generator(seed, options);
  FileTree tree;
  tree.set_max_file_bytes(options.max_file_bytes);
  Workload workload;
  while (workload.size() < count) {
    workload.push_back(generator.next(tree));
    [[maybe_unused]] const Result<void> any = perform(tree, workload.back());
  }
  return workload;
}

}  // namespace odo::hammer2::testing::model
