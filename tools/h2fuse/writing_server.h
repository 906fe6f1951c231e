// SPDX-License-Identifier: BSD-3-Clause
// Answers the kernel's requests about one PFS that may be changed.
//
// The kernel's node numbers are HAMMER2's inode numbers, as in server.h. Files
// that are open are held, so that they outlive their names; nothing else is
// remembered. As everything goes through this mount, the kernel's caches stay
// right, and it may gather writes.
//
// Contexts: any number of threads; one at a time is let at the volume, and none
//   has it while the device flushes.
// Durability: fsync(2) makes everything durable that was done before it, and
//   calls of it that come together share one sync; so does a thread of ours
//   every few seconds, and unmounting.
// Failure: errno to the program that asks (errors.h), one line to the log for a
//   damaged block; EROFS for everything once a device has failed.
#pragma once

// 3.12: loops are configured by functions.
#define FUSE_USE_VERSION 312  // NOLINT(readability-identifier-naming)
#include <fuse3/fuse_lowlevel.h>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <mutex>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "lib/hammer2/write/group_sync.h"
#include "lib/hammer2/write/host/volume_lock.h"
#include "lib/hammer2/write/write_behind.h"
#include "tools/h2/changed_volume.h"
#include "tools/h2fuse/errors.h"
#include "tools/h2fuse/page.h"

namespace odo::h2fuse {

class WritingServer {
 public:
  WritingServer(h2::ChangedVolume& volume, DamageLog& log,
                const std::string& label, std::chrono::seconds interval);
  WritingServer(const WritingServer&) = delete;
  WritingServer& operator=(const WritingServer&) = delete;
  ~WritingServer();

  // Begins to sync from time to time; once the process is what will serve.
  void start();

  // To be given to fuse_session_new() with a WritingServer as its user data.
  [[nodiscard]] static fuse_lowlevel_ops operations();

 private:
  using OpenInode = hammer2::write::OpenInode;
  using VolumeLock = hammer2::write::VolumeLock;
  using Lock = std::scoped_lock<VolumeLock>;
  using Behind = hammer2::write::WriteBehind<h2::WriteGround>;
  using Syncs =
      hammer2::write::GroupSync<h2::WritableVolume, Behind, VolumeLock>;

  // What a request is answered with, or an errno.
  template <class T>
  using Answer = std::expected<T, int>;
  // An inode for the time of one request.
  class Loan;
  // One fsync(2).
  struct SyncRequest;

  struct OpenFile {
    OpenInode* inode = nullptr;
    std::size_t opens = 0;
    std::size_t writers = 0;  // of the opens
  };

  hammer2::Result<OpenInode*> take(fuse_ino_t number);
  Answer<Loan> borrow(fuse_ino_t number);
  // The errno that an error is to programs; who mounted it is told as well.
  int refuse(const hammer2::Error& error);
  template <class T>
  Answer<T> told(const hammer2::Result<T>& result);
  template <class Work>
  auto under_lock(Work work);
  template <class T, class Send>
  static void reply(fuse_req_t request, const Answer<T>& answer, Send send);
  static void reply(fuse_req_t request, const Answer<void>& answer);
  static void reply(fuse_req_t request, const Answer<fuse_entry_param>& answer);
  static void reply(fuse_req_t request, const Answer<struct stat>& answer);
  [[nodiscard]] fuse_entry_param entry_of(const OpenInode& inode) const;
  Answer<fuse_entry_param> entry_of(const hammer2::Result<OpenInode*>& inode);
  void remember_open(OpenInode& inode, fuse_file_info* file);
  [[nodiscard]] static hammer2::write::NewInode wanted(
      fuse_req_t request, const OpenInode& parent,
      const h2::WritableVolume& volume, mode_t mode, dev_t device);

  void lookup(fuse_req_t request, fuse_ino_t parent, const char* name);
  void getattr(fuse_req_t request, fuse_ino_t number);
  void setattr(fuse_req_t request, fuse_ino_t number, const struct stat& to,
               int which);
  void readlink(fuse_req_t request, fuse_ino_t number);
  void make(fuse_req_t request, fuse_ino_t parent, const char* name,
            mode_t mode, dev_t device);
  void symlink(fuse_req_t request, const char* target, fuse_ino_t parent,
               const char* name);
  void remove(fuse_req_t request, fuse_ino_t parent, const char* name,
              bool folder);
  void rename(fuse_req_t request, fuse_ino_t from, const char* old_name,
              fuse_ino_t to, const char* new_name, unsigned flags);
  void link(fuse_req_t request, fuse_ino_t number, fuse_ino_t parent,
            const char* name);
  void create(fuse_req_t request, fuse_ino_t parent, const char* name,
              mode_t mode, fuse_file_info* file);
  void open(fuse_req_t request, fuse_ino_t number, fuse_file_info* file);
  void release(fuse_req_t request, fuse_ino_t number,
               const fuse_file_info& file);
  void read(fuse_req_t request, fuse_ino_t number, std::size_t size,
            off_t offset);
  void write(fuse_req_t request, fuse_ino_t number, Bytes from, off_t offset);
  void sync(fuse_req_t request);
  void allocate(fuse_req_t request, fuse_ino_t number, int mode, off_t offset,
                off_t length);
  void seek(fuse_req_t request, fuse_ino_t number, off_t offset, int whence);
  void list(fuse_req_t request, fuse_ino_t number, std::size_t size,
            off_t offset, Listing listing);
  void statfs(fuse_req_t request);

  Answer<struct stat> change_attributes(fuse_ino_t number,
                                        const struct stat& to, int which);
  Answer<void> change_allocation(fuse_ino_t number, int mode,
                                 std::uint64_t begin, std::uint64_t length);
  Answer<off_t> find(fuse_ino_t number, off_t offset, int whence);
  Answer<void> fill(Page& page, fuse_ino_t number, off_t offset);
  void help_store();
  void sync_from_time_to_time(const std::stop_token& stop);

  h2::ChangedVolume& volume_;
  DamageLog& log_;
  VolumeLock mutex_;
  // Under mutex_:
  OpenInode* root_ = nullptr;
  std::unordered_map<fuse_ino_t, OpenFile> open_;
  Behind sync_behind_;
  Syncs syncs_;
  std::vector<std::unique_ptr<Behind>> helpers_;  // that nobody uses now

  std::chrono::seconds interval_;
  std::condition_variable_any pause_;
  std::jthread syncer_;
};

}  // namespace odo::h2fuse
