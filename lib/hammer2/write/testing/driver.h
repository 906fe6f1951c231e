// SPDX-License-Identifier: BSD-3-Clause
// Carries operations of the model out on a Volume, with paths and handles as a
// kernel would have them above it.
//
// Contexts: tests.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "lib/base/check.h"
#include "lib/hammer2/testing/model/operation.h"
#include "lib/hammer2/write/held.h"
#include "lib/hammer2/write/volume.h"

namespace odo::hammer2::write::testing {

namespace model = hammer2::testing::model;

// In the model's words; what has none there is no answer to any operation.
[[nodiscard]] inline model::Errno errno_of(Code code) {
  switch (code) {
    case Code::kNotFound:
      return model::Errno::kNoEntry;
    case Code::kExists:
      return model::Errno::kExists;
    case Code::kNotDirectory:
      return model::Errno::kNotDirectory;
    case Code::kIsDirectory:
      return model::Errno::kIsDirectory;
    case Code::kNotEmpty:
      return model::Errno::kNotEmpty;
    case Code::kNotRegular:
    case Code::kInvalid:
      return model::Errno::kInvalid;
    case Code::kNameTooLong:
      return model::Errno::kNameTooLong;
    case Code::kFileTooLarge:
      return model::Errno::kTooLarge;
    default:
      return model::Errno::kBadHandle;
  }
}

template <Ground G>
class Driver {
 public:
  // What an operation answers: the model's errors, or one that only a medium
  // has.
  struct Outcome {
    model::Result<void> result;
    std::optional<Error> fault;  // of the device, or no space
  };

  Driver(Volume<G>& volume, OpenInode& root) : volume_(volume), root_(root) {}
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;
  ~Driver() { close_all(); }

  void close_all() {
    for (const auto& [handle, inode] : std::exchange(handles_, {})) {
      volume_.release(*inode);
    }
  }

  [[nodiscard]] Outcome perform(const model::Operation& operation) {
    fault_.reset();
    const model::Result<void> result =
        std::visit([&](const auto& o) { return this->run(o); }, operation);
    return {result, fault_};
  }

 private:
  template <class T>
  using Answer = model::Result<T>;

  using Hold = Held<G>;
  struct Place {
    Hold directory;
    std::string name;
  };

  template <class T>
  Answer<T> told(Result<T> result) {
    if (!result) {
      const Code code = result.error().code;
      if (kind_of(code) != ErrorKind::kRequest || code == Code::kNoSpace ||
          code == Code::kReadOnly || code == Code::kOutOfMemory) {
        fault_ = result.error();
      }
      return fail(errno_of(code));
    }
    if constexpr (std::is_void_v<T>) {
      return {};
    } else {
      return *std::move(result);
    }
  }

  Answer<Hold> look(OpenInode& directory, std::string_view name) {
    if (volume_.attributes(directory).type != ObjectType::kDirectory) {
      return fail(model::Errno::kNotDirectory);
    }
    ODO_TRY(OpenInode * inode, told(volume_.lookup(directory, name)));
    return Hold(volume_, inode);
  }
  Answer<Place> parent_of(std::string_view path) {
    if (!path.starts_with('/')) return fail(model::Errno::kNoEntry);
    path.remove_prefix(1);
    volume_.hold(root_);
    Hold at(volume_, &root_);
    if (path.empty()) return Place{std::move(at), "."};
    for (std::size_t slash; (slash = path.find('/')) != path.npos;) {
      ODO_TRY(at, look(*at, path.substr(0, slash)));
      path.remove_prefix(slash + 1);
    }
    if (volume_.attributes(*at).type != ObjectType::kDirectory) {
      return fail(model::Errno::kNotDirectory);
    }
    return Place{std::move(at), std::string(path)};
  }
  Answer<Hold> resolve(std::string_view path) {
    ODO_TRY(Place place, parent_of(path));
    return look(*place.directory, place.name);
  }
  Answer<Place> vacant(std::string_view path) {
    ODO_TRY(Place place, parent_of(path));
    auto found = look(*place.directory, place.name);
    if (found) return fail(model::Errno::kExists);
    if (found.error() != model::Errno::kNoEntry || place.name.empty()) {
      return fail(found.error());
    }
    return place;
  }
  Answer<Hold> resolve_file(std::string_view file) {
    if (file.starts_with('%')) {
      const auto it = handles_.find(
          static_cast<unsigned>(std::stoul(std::string(file.substr(1)))));
      if (it == handles_.end()) return fail(model::Errno::kBadHandle);
      volume_.hold(*it->second);
      return Hold(volume_, it->second);
    }
    ODO_TRY(Hold inode, resolve(file));
    const ObjectType type = volume_.attributes(*inode).type;
    if (type == ObjectType::kDirectory) {
      return fail(model::Errno::kIsDirectory);
    }
    if (type != ObjectType::kRegular) return fail(model::Errno::kInvalid);
    return inode;
  }
  static bool is_dots(std::string_view name) {
    return name == "." || name == "..";
  }

  Answer<void> make(std::string_view path, std::string_view target,
                    const NewInode& wanted) {
    ODO_TRY(const Place place, vacant(path));
    ODO_TRY(OpenInode * inode,
            told(volume_.make_symlink(*place.directory, place.name, target,
                                      wanted)));
    volume_.release(*inode);
    return {};
  }

  Answer<void> run(const model::Mkdir& o) {
    return make(o.path, {}, {.type = ObjectType::kDirectory, .mode = o.mode});
  }
  Answer<void> run(const model::Create& o) {
    return make(o.path, {}, {.mode = o.mode});
  }
  Answer<void> run(const model::Mknod& o) {
    return make(o.path, {},
                {.type = o.type,
                 .mode = o.mode,
                 .rmajor = o.device.major,
                 .rminor = o.device.minor});
  }
  Answer<void> run(const model::Symlink& o) {
    if (o.target.empty()) return fail(model::Errno::kNoEntry);
    return make(o.path, o.target, {.type = ObjectType::kSymlink, .mode = 0777});
  }
  Answer<void> run(const model::Link& o) {
    ODO_TRY(const Hold inode, resolve(o.from));
    ODO_TRY(const Place place, vacant(o.to));
    if (volume_.attributes(*inode).type == ObjectType::kDirectory) {
      return fail(model::Errno::kNotPermitted);
    }
    return told(volume_.link(*inode, *place.directory, place.name));
  }
  Answer<void> run(const model::Unlink& o) {
    ODO_TRY(const Place place, parent_of(o.path));
    if (is_dots(place.name)) return fail(model::Errno::kIsDirectory);
    ODO_TRY(const Hold inode, look(*place.directory, place.name));
    return told(volume_.unlink(*place.directory, place.name));
  }
  Answer<void> run(const model::Rmdir& o) {
    ODO_TRY(const Place place, parent_of(o.path));
    if (place.name == ".") return fail(model::Errno::kInvalid);
    if (place.name == "..") return fail(model::Errno::kNotEmpty);
    ODO_TRY(const Hold inode, look(*place.directory, place.name));
    return told(volume_.remove_directory(*place.directory, place.name));
  }
  Answer<void> run(const model::Rename& o) {
    ODO_TRY(const Place source, parent_of(o.from));
    ODO_TRY(const Place target, parent_of(o.to));
    if (is_dots(source.name)) return fail(model::Errno::kInvalid);
    if (is_dots(target.name)) {
      return fail(o.mode == model::RenameMode::kNoReplace
                      ? model::Errno::kExists
                      : model::Errno::kInvalid);
    }
    ODO_TRY(const Hold moved, look(*source.directory, source.name));
    if (target.name.empty()) return fail(model::Errno::kNoEntry);
    const auto mode =
        o.mode == model::RenameMode::kReplace     ? RenameMode::kReplace
        : o.mode == model::RenameMode::kNoReplace ? RenameMode::kNoReplace
                                                  : RenameMode::kExchange;
    return told(volume_.rename(*source.directory, source.name,
                               *target.directory, target.name, mode));
  }

  Answer<void> change(std::string_view path, const Changes& changes) {
    ODO_TRY(const Hold inode, resolve(path));
    return told(volume_.set_attributes(*inode, changes));
  }
  Answer<void> run(const model::Chmod& o) {
    return change(o.path, {.mode = o.mode});
  }
  Answer<void> run(const model::Chown& o) {
    return change(o.path, {.uid = o.uid, .gid = o.gid});
  }
  Answer<void> run(const model::Utimes& o) {
    return change(o.path, {.mtime_us = o.mtime_us});
  }

  Answer<void> run(const model::Write& o) {
    ODO_TRY(const Hold file, resolve_file(o.file));
    return told(
        volume_.write(*file, o.offset, model::pattern(o.seed, o.length)));
  }
  Answer<void> run(const model::Append& o) {
    ODO_TRY(const Hold file, resolve_file(o.file));
    return told(volume_.write(*file, volume_.attributes(*file).size,
                              model::pattern(o.seed, o.length)));
  }
  Answer<void> run(const model::Truncate& o) {
    ODO_TRY(const Hold file, resolve_file(o.file));
    return told(volume_.truncate(*file, o.size));
  }
  Answer<void> run(const model::Open& o) {
    if (handles_.contains(o.handle)) return fail(model::Errno::kBadHandle);
    ODO_TRY(Hold file, resolve_file(o.path));
    handles_[o.handle] = file.take();
    return {};
  }
  Answer<void> run(const model::Close& o) {
    const auto it = handles_.find(o.handle);
    if (it == handles_.end()) return fail(model::Errno::kBadHandle);
    OpenInode* inode = it->second;
    handles_.erase(it);
    volume_.release(*inode);
    return {};
  }

  Answer<void> run(const model::Fsync& o) {
    ODO_TRY(const Hold file, resolve_file(o.file));
    return told(volume_.sync());
  }
  Answer<void> run(const model::Sync&) { return told(volume_.sync()); }
  Answer<void> run(const model::Snapshot& o) {
    return told(volume_.snapshot(root_, o.label));
  }
  Answer<void> run(const model::Bulkfree&) {
    ODO_TRY(const BulkfreeResult freed, told(volume_.bulkfree()));
    (void)freed;
    return {};
  }

  Volume<G>& volume_;
  OpenInode& root_;
  std::map<unsigned, OpenInode*> handles_;
  std::optional<Error> fault_;
};

}  // namespace odo::hammer2::write::testing
