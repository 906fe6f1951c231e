// SPDX-License-Identifier: BSD-3-Clause
#include "tools/h2fuse/writing_server.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>

#include "tools/h2/host_words.h"
#include "tools/h2fuse/attributes.h"
#include "tools/h2fuse/position.h"

namespace odo::h2fuse {
namespace {

using hammer2::Code;
using hammer2::Error;
using hammer2::ObjectType;
using hammer2::Result;
using hammer2::write::Changes;
using hammer2::write::NewInode;
using hammer2::write::RenameMode;

// Whatever changes does so through the kernel that asks: it need never ask
// twice. A year, in seconds.
constexpr double kForever = 365.0 * 24 * 3600;

WritingServer& server_of(fuse_req_t request) {
  return *static_cast<WritingServer*>(fuse_req_userdata(request));
}

bool may_write(const fuse_file_info& file) {
  return (file.flags & O_ACCMODE) != O_RDONLY;
}

std::uint64_t now_us() {
  timespec now = {};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return h2::microseconds_of(now);
}

}  // namespace

// For the time that the lock is held.
class WritingServer::Loan {
 public:
  Loan(WritingServer& server, OpenInode& inode)
      : server_(server), inode_(&inode) {}
  Loan(Loan&& other) noexcept
      : server_(other.server_), inode_(std::exchange(other.inode_, nullptr)) {}
  Loan(const Loan&) = delete;
  Loan& operator=(const Loan&) = delete;
  Loan& operator=(Loan&&) = delete;
  ~Loan() {
    if (inode_ != nullptr) server_.volume_->release(*inode_);
  }
  [[nodiscard]] OpenInode& operator*() const { return *inode_; }

 private:
  WritingServer& server_;
  OpenInode* inode_;
};

// --- Life --------------------------------------------------------------------

WritingServer::WritingServer(h2::ChangedVolume& volume, DamageLog& log,
                             const std::string& label,
                             std::chrono::seconds interval)
    : volume_(volume),
      log_(log),
      sync_behind_(*volume),
      syncs_(*volume, sync_behind_),
      interval_(interval) {
  volume_.check(sync_behind_.init());
  for (unsigned i = 0; i < std::max(1U, std::thread::hardware_concurrency());
       ++i) {
    helpers_.push_back(std::make_unique<Behind>(*volume));
    volume_.check(helpers_.back()->init());
  }
  const h2::Held root = volume.root(label);
  root_ = &*root;
  volume_->hold(*root_);
}

WritingServer::~WritingServer() {
  syncer_ = {};
  for (const auto& [number, file] : open_) {
    for (std::size_t i = 0; i < file.opens; ++i) {
      volume_->release(*file.inode);
    }
  }
  volume_->release(*root_);
}

void WritingServer::start() {
  syncer_ = std::jthread(
      [this](const std::stop_token& stop) { sync_from_time_to_time(stop); });
}

struct WritingServer::SyncRequest : Syncs::Request {
  WritingServer* server;
  fuse_req_t request;
};

void WritingServer::sync_from_time_to_time(const std::stop_token& stop) {
  const Lock lock(mutex_);
  for (;;) {
    pause_.wait_for(mutex_, stop, interval_, [] { return false; });
    if (stop.stop_requested()) return;
    if (volume_->read_only()) continue;
    const auto done = syncs_.sync(mutex_);
    if (!done) log_.report(done.error());
  }
}

// --- Answers -----------------------------------------------------------------

// Once the lock is free: who is answered may be back before this returns.
template <class Work>
auto WritingServer::under_lock(Work work) {
  const Lock lock(mutex_);
  return work();
}

int WritingServer::refuse(const Error& error) {
  log_.report(error);
  return errno_of(error.code);
}

template <class T>
WritingServer::Answer<T> WritingServer::told(const Result<T>& result) {
  if (!result) return odo::fail(refuse(result.error()));
  if constexpr (std::is_void_v<T>) {
    return {};
  } else {
    return *result;
  }
}

// `send` takes what the answer holds; an errno is sent here.
template <class T, class Send>
void WritingServer::reply(fuse_req_t request, const Answer<T>& answer,
                          Send send) {
  if (!answer) {
    fuse_reply_err(request, answer.error());
  } else if constexpr (std::is_void_v<T>) {
    send();
  } else {
    send(*answer);
  }
}

void WritingServer::reply(fuse_req_t request, const Answer<void>& answer) {
  reply(request, answer, [&] { fuse_reply_err(request, 0); });
}

void WritingServer::reply(fuse_req_t request,
                          const Answer<fuse_entry_param>& answer) {
  reply(request, answer, [&](const fuse_entry_param& entry) {
    fuse_reply_entry(request, &entry);
  });
}

void WritingServer::reply(fuse_req_t request,
                          const Answer<struct stat>& answer) {
  reply(request, answer, [&](const struct stat& status) {
    fuse_reply_attr(request, &status, kForever);
  });
}

// --- Inodes ------------------------------------------------------------------

Result<WritingServer::OpenInode*> WritingServer::take(fuse_ino_t number) {
  if (number == FUSE_ROOT_ID) {
    volume_->hold(*root_);
    return root_;
  }
  // One without a name is in no index.
  if (const auto open = open_.find(number); open != open_.end()) {
    volume_->hold(*open->second.inode);
    return open->second.inode;
  }
  return volume_->by_inum(*root_, number);
}

WritingServer::Answer<WritingServer::Loan> WritingServer::borrow(
    fuse_ino_t number) {
  const auto inode = take(number);
  if (inode) return Loan(*this, **inode);
  if (inode.error().code == Code::kNotFound) return odo::fail(ESTALE);
  return odo::fail(refuse(inode.error()));
}

fuse_entry_param WritingServer::entry_of(const OpenInode& inode) const {
  fuse_entry_param entry = {};
  entry.ino = &inode == root_ ? FUSE_ROOT_ID : inode.inum;
  entry.attr = stat_of(volume_->attributes(inode));
  entry.attr_timeout = kForever;
  entry.entry_timeout = kForever;
  return entry;
}

// Gives back the inode that it answers with.
WritingServer::Answer<fuse_entry_param> WritingServer::entry_of(
    const Result<OpenInode*>& inode) {
  if (!inode) return odo::fail(refuse(inode.error()));
  const fuse_entry_param entry = entry_of(**inode);
  volume_->release(**inode);
  return entry;
}

// Takes over a hold.
void WritingServer::remember_open(OpenInode& inode, fuse_file_info* file) {
  OpenFile& open = open_[inode.inum];
  open.inode = &inode;
  ++open.opens;
  if (may_write(*file)) ++open.writers;
  file->keep_cache = 1;
}

NewInode WritingServer::wanted(fuse_req_t request, const OpenInode& parent,
                               const h2::WritableVolume& volume, mode_t mode,
                               dev_t device) {
  const fuse_ctx* context = fuse_req_ctx(request);
  NewInode inode = {.type = h2::type_of_mode(mode),
                    .mode = mode & 07777U,
                    .uid = context->uid,
                    .gid = context->gid,
                    .rmajor = major(device),
                    .rminor = minor(device)};
  // As Linux has it: a directory with the setgid bit hands its group down.
  const hammer2::Attributes above = volume.attributes(parent);
  if ((above.mode & S_ISGID) != 0) {
    inode.gid = above.gid;
    if (inode.type == ObjectType::kDirectory) inode.mode |= S_ISGID;
  }
  return inode;
}

// --- Names -------------------------------------------------------------------

void WritingServer::lookup(fuse_req_t request, fuse_ino_t parent,
                           const char* name) {
  reply(request, under_lock([&]() -> Answer<fuse_entry_param> {
          ODO_TRY(const Loan directory, borrow(parent));
          const auto found = volume_->lookup(*directory, name);
          if (!found && found.error().code == Code::kNotFound) {
            // The kernel may remember that there is no such name.
            fuse_entry_param entry = {};
            entry.entry_timeout = kForever;
            return entry;
          }
          return entry_of(found);
        }));
}

void WritingServer::make(fuse_req_t request, fuse_ino_t parent,
                         const char* name, mode_t mode, dev_t device) {
  reply(request, under_lock([&]() -> Answer<fuse_entry_param> {
          ODO_TRY(const Loan directory, borrow(parent));
          return entry_of(volume_->make(
              *directory, name,
              wanted(request, *directory, *volume_, mode, device)));
        }));
}

void WritingServer::symlink(fuse_req_t request, const char* target,
                            fuse_ino_t parent, const char* name) {
  reply(
      request, under_lock([&]() -> Answer<fuse_entry_param> {
        ODO_TRY(const Loan directory, borrow(parent));
        NewInode inode = wanted(request, *directory, *volume_, 0777, 0);
        inode.type = ObjectType::kSymlink;
        return entry_of(volume_->make_symlink(*directory, name, target, inode));
      }));
}

void WritingServer::link(fuse_req_t request, fuse_ino_t number,
                         fuse_ino_t parent, const char* name) {
  reply(request, under_lock([&]() -> Answer<fuse_entry_param> {
          ODO_TRY(const Loan inode, borrow(number));
          ODO_TRY(const Loan directory, borrow(parent));
          ODO_TRY_VOID(told(volume_->link(*inode, *directory, name)));
          return entry_of(*inode);
        }));
}

void WritingServer::remove(fuse_req_t request, fuse_ino_t parent,
                           const char* name, bool folder) {
  reply(request, under_lock([&]() -> Answer<void> {
          ODO_TRY(const Loan directory, borrow(parent));
          return told(folder ? volume_->remove_directory(*directory, name)
                             : volume_->unlink(*directory, name));
        }));
}

void WritingServer::rename(fuse_req_t request, fuse_ino_t from,
                           const char* old_name, fuse_ino_t to,
                           const char* new_name, unsigned flags) {
  RenameMode mode = RenameMode::kReplace;
  if (flags == RENAME_NOREPLACE) {
    mode = RenameMode::kNoReplace;
  } else if (flags == RENAME_EXCHANGE) {
    mode = RenameMode::kExchange;
  } else if (flags != 0) {
    fuse_reply_err(request, EINVAL);
    return;
  }
  reply(request, under_lock([&]() -> Answer<void> {
          ODO_TRY(const Loan source, borrow(from));
          ODO_TRY(const Loan target, borrow(to));
          return told(
              volume_->rename(*source, old_name, *target, new_name, mode));
        }));
}

// --- Attributes --------------------------------------------------------------

void WritingServer::getattr(fuse_req_t request, fuse_ino_t number) {
  reply(request, under_lock([&]() -> Answer<struct stat> {
          ODO_TRY(const Loan inode, borrow(number));
          return stat_of(volume_->attributes(*inode));
        }));
}

WritingServer::Answer<struct stat> WritingServer::change_attributes(
    fuse_ino_t number, const struct stat& to, int which) {
  // The kernel still has times for a file whose last name and last opener are
  // gone. An error would be syncfs(2)'s, for a file that nobody can see.
  constexpr int kTimes = FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_CTIME;
  const auto inode = borrow(number);
  if (!inode) {
    if (inode.error() == ESTALE && (which & FUSE_SET_ATTR_CTIME) != 0 &&
        (which & ~kTimes) == 0) {
      struct stat nothing = {};
      return nothing;
    }
    return odo::fail(inode.error());
  }
  if ((which & FUSE_SET_ATTR_SIZE) != 0) {
    ODO_TRY_VOID(told(
        volume_->truncate(**inode, static_cast<std::uint64_t>(to.st_size))));
  }
  Changes changes;
  if ((which & FUSE_SET_ATTR_MODE) != 0) changes.mode = to.st_mode & 07777U;
  if ((which & FUSE_SET_ATTR_UID) != 0) changes.uid = to.st_uid;
  if ((which & FUSE_SET_ATTR_GID) != 0) changes.gid = to.st_gid;
  if ((which & FUSE_SET_ATTR_ATIME_NOW) != 0) {
    changes.atime_us = now_us();
  } else if ((which & FUSE_SET_ATTR_ATIME) != 0) {
    changes.atime_us = h2::microseconds_of(to.st_atim);
  }
  if ((which & FUSE_SET_ATTR_MTIME_NOW) != 0) {
    changes.mtime_us = now_us();
  } else if ((which & FUSE_SET_ATTR_MTIME) != 0) {
    changes.mtime_us = h2::microseconds_of(to.st_mtim);
  }
  if ((which & FUSE_SET_ATTR_CTIME) != 0) {
    changes.ctime_us = h2::microseconds_of(to.st_ctim);
  }
  if ((which & ~FUSE_SET_ATTR_SIZE) != 0) {
    ODO_TRY_VOID(told(volume_->set_attributes(**inode, changes)));
  }
  return stat_of(volume_->attributes(**inode));
}

void WritingServer::setattr(fuse_req_t request, fuse_ino_t number,
                            const struct stat& to, int which) {
  reply(request,
        under_lock([&] { return change_attributes(number, to, which); }));
}

void WritingServer::readlink(fuse_req_t request, fuse_ino_t number) {
  std::array<char, PATH_MAX> target = {};
  const auto got = under_lock([&]() -> Answer<std::size_t> {
    ODO_TRY(const Loan inode, borrow(number));
    if (volume_->attributes(*inode).size >= PATH_MAX) {
      return odo::fail(ENAMETOOLONG);
    }
    return told(volume_->read_link(
        *inode, std::as_writable_bytes(std::span(target)).first(PATH_MAX - 1)));
  });
  reply(request, got,
        [&](std::size_t) { fuse_reply_readlink(request, target.data()); });
}

void WritingServer::statfs(fuse_req_t request) {
  const hammer2::write::Space space =
      under_lock([&] { return volume_->space(*root_); });
  struct statvfs status = {};
  status.f_bsize = hammer2::format::kMaxAllocBytes;
  status.f_frsize = hammer2::format::kMinAllocBytes;
  status.f_blocks = space.total_bytes / status.f_frsize;
  status.f_bfree = space.free_bytes / status.f_frsize;
  status.f_bavail = space.available_bytes / status.f_frsize;
  status.f_files = space.inodes;
  status.f_namemax = hammer2::format::kInodeNameBytes - 1;
  fuse_reply_statfs(request, &status);
}

// --- Content -----------------------------------------------------------------

void WritingServer::create(fuse_req_t request, fuse_ino_t parent,
                           const char* name, mode_t mode,
                           fuse_file_info* file) {
  const auto entry = under_lock([&]() -> Answer<fuse_entry_param> {
    ODO_TRY(const Loan directory, borrow(parent));
    ODO_TRY(OpenInode * made,
            told(volume_->make(*directory, name,
                               wanted(request, *directory, *volume_,
                                      S_IFREG | (mode & 07777), 0))));
    remember_open(*made, file);
    return entry_of(*made);
  });
  reply(request, entry, [&](const fuse_entry_param& made) {
    fuse_reply_create(request, &made, file);
  });
}

void WritingServer::open(fuse_req_t request, fuse_ino_t number,
                         fuse_file_info* file) {
  const auto opened = under_lock([&]() -> Answer<void> {
    ODO_TRY(const Loan inode, borrow(number));
    // libfuse lets the kernel leave this to us.
    if ((file->flags & O_TRUNC) != 0) {
      ODO_TRY_VOID(told(volume_->truncate(*inode, 0)));
    }
    volume_->hold(*inode);
    remember_open(*inode, file);
    return {};
  });
  reply(request, opened, [&] { fuse_reply_open(request, file); });
}

void WritingServer::release(fuse_req_t request, fuse_ino_t number,
                            const fuse_file_info& file) {
  // Nobody waits for what this does.
  fuse_reply_err(request, 0);
  const Lock lock(mutex_);
  const auto open = open_.find(number);
  if (open == open_.end()) return;
  OpenInode* inode = open->second.inode;
  if (may_write(file)) --open->second.writers;
  if (--open->second.opens == 0) open_.erase(open);
  volume_->release(*inode);
}

void WritingServer::read(fuse_req_t request, fuse_ino_t number,
                         std::size_t size, off_t offset) {
  std::vector<std::byte> room(size);
  const auto got = under_lock([&]() -> Answer<std::size_t> {
    ODO_TRY(const Loan inode, borrow(number));
    return told(
        volume_->read(*inode, static_cast<std::uint64_t>(offset), room));
  });
  reply(request, got, [&](std::size_t length) {
    fuse_reply_buf(request, reinterpret_cast<const char*>(room.data()), length);
  });
}

void WritingServer::write(fuse_req_t request, fuse_ino_t number, Bytes from,
                          off_t offset) {
  bool is_behind = false;
  const auto written = under_lock([&]() -> Answer<void> {
    ODO_TRY(const Loan inode, borrow(number));
    ODO_TRY_VOID(
        told(volume_->write(*inode, static_cast<std::uint64_t>(offset), from)));
    is_behind = volume_->is_behind();
    return {};
  });
  reply(request, written, [&] { fuse_reply_write(request, from.size()); });
  if (is_behind) help_store();
}

// Whoever writes faster than its data are stored lends a hand, so that what
// waits doesn't reach the limit at which everybody would.
void WritingServer::help_store() {
  constexpr int kBlocks = 4;  // more than one request brings
  const Lock lock(mutex_);
  if (helpers_.empty()) return;
  auto helper = std::move(helpers_.back());
  helpers_.pop_back();
  for (int i = 0; i < kBlocks && volume_->is_behind(); ++i) {
    // What went wrong, later calls will tell.
    if (!helper->store_one(mutex_).value_or(false)) break;
  }
  helpers_.push_back(std::move(helper));
}

// Its thread leads the sync if nobody does; others take requests meanwhile.
void WritingServer::sync(fuse_req_t request) {
  const Lock lock(mutex_);
  auto* const asked = new SyncRequest;
  asked->tell = [](Syncs::Request& self, const Result<void>& result) {
    const std::unique_ptr<SyncRequest> own(&static_cast<SyncRequest&>(self));
    own->server->reply(own->request, own->server->told(result));
  };
  asked->server = this;
  asked->request = request;
  asked->kind = hammer2::write::SyncKind::kLogOrHeader;
  syncs_.ask(mutex_, *asked);
}

WritingServer::Answer<void> WritingServer::change_allocation(
    fuse_ino_t number, int mode, std::uint64_t begin, std::uint64_t length) {
  ODO_TRY(const Loan inode, borrow(number));
  const std::uint64_t end = begin + length;
  const std::uint64_t size = volume_->attributes(*inode).size;
  const bool clears =
      (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) != 0;
  const bool keeps_size = (mode & FALLOC_FL_KEEP_SIZE) != 0;
  if ((mode & ~(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE |
                FALLOC_FL_KEEP_SIZE)) != 0) {
    return odo::fail(EOPNOTSUPP);
  }
  if (clears) {
    // Whole blocks of zeros become holes when they are stored.
    static constexpr std::array<std::byte, 65536> kZeros = {};
    for (std::uint64_t at = begin; at < std::min(end, size);) {
      const std::uint64_t step =
          std::min<std::uint64_t>(std::min(end, size) - at, kZeros.size());
      ODO_TRY_VOID(told(volume_->write(*inode, at, Bytes(kZeros).first(step))));
      at += step;
    }
  }
  // Copy-on-write can't promise space for what will be written: a file that is
  // made longer is so by a hole.
  if (keeps_size || end <= size) return {};
  return told(volume_->truncate(*inode, end));
}

void WritingServer::allocate(fuse_req_t request, fuse_ino_t number, int mode,
                             off_t offset, off_t length) {
  reply(request, under_lock([&] {
          return change_allocation(number, mode,
                                   static_cast<std::uint64_t>(offset),
                                   static_cast<std::uint64_t>(length));
        }));
}

WritingServer::Answer<off_t> WritingServer::find(fuse_ino_t number,
                                                 off_t offset, int whence) {
  ODO_TRY(const Loan inode, borrow(number));
  const hammer2::Attributes of = volume_->attributes(*inode);
  const auto from = static_cast<std::uint64_t>(offset);
  if (of.type != ObjectType::kRegular ||
      (whence != SEEK_DATA && whence != SEEK_HOLE)) {
    return odo::fail(EINVAL);
  }
  // What somebody writes may be in the kernel's pages alone, behind our end of
  // the file too: neither holes nor the end are known until the file is closed.
  // Programs that are told that there is no SEEK_DATA read everything.
  if (const auto open = open_.find(number);
      open != open_.end() && open->second.writers != 0) {
    return odo::fail(EINVAL);
  }
  if (offset < 0 || from >= of.size) return odo::fail(ENXIO);
  ODO_TRY(const std::uint64_t to,
          told(whence == SEEK_DATA ? volume_->next_data(*inode, from)
                                   : volume_->next_hole(*inode, from)));
  if (whence == SEEK_DATA && to >= of.size) return odo::fail(ENXIO);
  return static_cast<off_t>(to);
}

void WritingServer::seek(fuse_req_t request, fuse_ino_t number, off_t offset,
                         int whence) {
  const auto to = under_lock([&] { return find(number, offset, whence); });
  reply(request, to, [&](off_t found) { fuse_reply_lseek(request, found); });
}

// --- Directories -------------------------------------------------------------

WritingServer::Answer<void> WritingServer::fill(Page& page, fuse_ino_t number,
                                                off_t offset) {
  ODO_TRY(const Loan directory, borrow(number));
  const std::uint64_t above = number == FUSE_ROOT_ID
                                  ? (*directory).inum
                                  : volume_->attributes(*directory).parent_inum;
  if (!page.add_dots(offset, (*directory).inum, above)) return {};
  hammer2::DirCursor cursor = cursor_at(offset);
  hammer2::DirEntry found;
  for (;;) {
    const auto more = volume_->read_directory(*directory, cursor, found);
    if (!more) {
      const int refusal = refuse(more.error());
      if (page.empty()) return odo::fail(refusal);
      return {};
    }
    if (!*more) return {};
    fuse_entry_param entry = Page::named_only(found.inum, found.type);
    if (page.plus()) {
      if (const auto inode = volume_->by_inum(*root_, found.inum)) {
        entry = entry_of(**inode);
        volume_->release(**inode);
      }
    }
    if (!page.add(std::string(found.name()), entry,
                  position_after(found.key))) {
      return {};
    }
  }
}

void WritingServer::list(fuse_req_t request, fuse_ino_t number,
                         std::size_t size, off_t offset, Listing listing) {
  std::vector<std::byte> bytes(size);
  Page page(request, bytes, listing);
  const auto filled = under_lock([&] { return fill(page, number, offset); });
  reply(request, filled, [&] { page.send(); });
}

// --- The table ---------------------------------------------------------------

fuse_lowlevel_ops WritingServer::operations() {
  fuse_lowlevel_ops table = {};
  table.init = [](void*, fuse_conn_info* connection) {
    connection->want |= connection->capable &
                        (FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_CACHE_SYMLINKS);
    connection->time_gran = 1000;  // HAMMER2 keeps microseconds
  };
  table.lookup = [](fuse_req_t request, fuse_ino_t parent, const char* name) {
    server_of(request).lookup(request, parent, name);
  };
  table.getattr = [](fuse_req_t request, fuse_ino_t number, fuse_file_info*) {
    server_of(request).getattr(request, number);
  };
  table.setattr = [](fuse_req_t request, fuse_ino_t number, struct stat* to,
                     int which, fuse_file_info*) {
    server_of(request).setattr(request, number, *to, which);
  };
  table.readlink = [](fuse_req_t request, fuse_ino_t number) {
    server_of(request).readlink(request, number);
  };
  table.mknod = [](fuse_req_t request, fuse_ino_t parent, const char* name,
                   mode_t mode, dev_t device) {
    server_of(request).make(request, parent, name, mode, device);
  };
  table.mkdir = [](fuse_req_t request, fuse_ino_t parent, const char* name,
                   mode_t mode) {
    server_of(request).make(request, parent, name, S_IFDIR | (mode & 07777), 0);
  };
  table.symlink = [](fuse_req_t request, const char* target, fuse_ino_t parent,
                     const char* name) {
    server_of(request).symlink(request, target, parent, name);
  };
  table.link = [](fuse_req_t request, fuse_ino_t number, fuse_ino_t parent,
                  const char* name) {
    server_of(request).link(request, number, parent, name);
  };
  table.unlink = [](fuse_req_t request, fuse_ino_t parent, const char* name) {
    server_of(request).remove(request, parent, name, false);
  };
  table.rmdir = [](fuse_req_t request, fuse_ino_t parent, const char* name) {
    server_of(request).remove(request, parent, name, true);
  };
  table.rename = [](fuse_req_t request, fuse_ino_t from, const char* old_name,
                    fuse_ino_t to, const char* new_name, unsigned flags) {
    server_of(request).rename(request, from, old_name, to, new_name, flags);
  };
  table.create = [](fuse_req_t request, fuse_ino_t parent, const char* name,
                    mode_t mode, fuse_file_info* file) {
    server_of(request).create(request, parent, name, mode, file);
  };
  table.open = [](fuse_req_t request, fuse_ino_t number, fuse_file_info* file) {
    server_of(request).open(request, number, file);
  };
  table.release = [](fuse_req_t request, fuse_ino_t number,
                     fuse_file_info* file) {
    server_of(request).release(request, number, *file);
  };
  table.opendir = [](fuse_req_t request, fuse_ino_t, fuse_file_info* file) {
    file->keep_cache = 1;
    file->cache_readdir = 1;
    fuse_reply_open(request, file);
  };
  table.read = [](fuse_req_t request, fuse_ino_t number, std::size_t size,
                  off_t offset, fuse_file_info*) {
    server_of(request).read(request, number, size, offset);
  };
  table.write = [](fuse_req_t request, fuse_ino_t number, const char* from,
                   std::size_t size, off_t offset, fuse_file_info*) {
    server_of(request).write(request, number,
                             std::as_bytes(std::span(from, size)), offset);
  };
  table.fsync = [](fuse_req_t request, fuse_ino_t, int, fuse_file_info*) {
    server_of(request).sync(request);
  };
  table.fsyncdir = table.fsync;
  table.fallocate = [](fuse_req_t request, fuse_ino_t number, int mode,
                       off_t offset, off_t length, fuse_file_info*) {
    server_of(request).allocate(request, number, mode, offset, length);
  };
  table.lseek = [](fuse_req_t request, fuse_ino_t number, off_t offset,
                   int whence, fuse_file_info*) {
    server_of(request).seek(request, number, offset, whence);
  };
  table.readdir = [](fuse_req_t request, fuse_ino_t number, std::size_t size,
                     off_t offset, fuse_file_info*) {
    server_of(request).list(request, number, size, offset, Listing::kNames);
  };
  table.readdirplus = [](fuse_req_t request, fuse_ino_t number,
                         std::size_t size, off_t offset, fuse_file_info*) {
    server_of(request).list(request, number, size, offset, Listing::kPlus);
  };
  table.statfs = [](fuse_req_t request, fuse_ino_t) {
    server_of(request).statfs(request);
  };
  // What isn't here answers ENOSYS. The kernel then answers for itself from
  // there on: ENOTSUP for extended attributes, success for flush.
  return table;
}

}  // namespace odo::h2fuse
