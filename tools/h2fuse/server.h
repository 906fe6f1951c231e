// SPDX-License-Identifier: BSD-3-Clause
// Answers the kernel's requests about one PFS.
//
// Nothing is remembered between requests: the kernel's node numbers are the
// inode numbers of HAMMER2 (root directories have FUSE's own number for roots,
// 1), offsets in directories are made from keys (position.h), and files are
// read without being opened. So there is nothing to look up, lock or forget,
// and memory doesn't grow with what the kernel knows.
//
// Contexts: any number of threads, up to the number of readers at once.
// Failure: errno to the program that asks (errors.h), one line to the log for
// a damaged block.
#pragma once

// 3.12: loops are configured by functions.
#define FUSE_USE_VERSION 312  // NOLINT(readability-identifier-naming)
#include <fuse3/fuse_lowlevel.h>

#include <cstddef>
#include <cstdint>

#include "lib/hammer2/types.h"
#include "tools/h2fuse/errors.h"
#include "tools/h2fuse/page.h"
#include "tools/h2fuse/readers.h"

namespace odo::h2fuse {

class Server {
 public:
  // `root` is the root directory of `pfs`.
  Server(Readers& readers, DamageLog& log, const hammer2::Pfs& pfs,
         const hammer2::Node& root)
      : readers_(readers), log_(log), pfs_(pfs), root_(root) {}

  // To be given to fuse_session_new() with a Server as its user data.
  [[nodiscard]] static fuse_lowlevel_ops operations();

 private:
  void init(fuse_conn_info& connection);
  void lookup(fuse_req_t request, fuse_ino_t parent, const char* name);
  void getattr(fuse_req_t request, fuse_ino_t number);
  void readlink(fuse_req_t request, fuse_ino_t number);
  void open(fuse_req_t request, fuse_file_info* file) const;
  void opendir(fuse_req_t request, fuse_file_info* file) const;
  void read(fuse_req_t request, fuse_ino_t number, std::size_t size,
            off_t offset);
  void list(fuse_req_t request, fuse_ino_t number, std::size_t size,
            off_t offset, Listing listing);
  void statfs(fuse_req_t request);
  void lseek(fuse_req_t request, fuse_ino_t number, off_t offset, int whence);

  // The node of the kernel's number. False once the request is answered with an
  // error.
  bool find(Reader& reader, fuse_req_t request, fuse_ino_t number,
            hammer2::Node& out);
  // What the kernel may know about `node`; `ino` stays 0 where the node can't
  // be shown.
  fuse_entry_param entry_of(const hammer2::Node& node) const;
  void fail(fuse_req_t request, const hammer2::Error& error);

  Readers& readers_;
  DamageLog& log_;
  hammer2::Pfs pfs_;
  hammer2::Node root_;
  bool without_open_ = false;  // set before the first request that reads them
  bool without_opendir_ = false;
};

}  // namespace odo::h2fuse
