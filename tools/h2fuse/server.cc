// SPDX-License-Identifier: BSD-3-Clause
#include "tools/h2fuse/server.h"

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "lib/hammer2/extents.h"
#include "lib/hammer2/format/constants.h"
#include "tools/h2fuse/attributes.h"
#include "tools/h2fuse/page.h"
#include "tools/h2fuse/position.h"

namespace odo::h2fuse {
namespace {

using hammer2::Node;
using hammer2::ObjectType;

// Media don't change while they are mounted, so that the kernel need never ask
// twice. A year, in seconds.
constexpr double kForever = 365.0 * 24 * 3600;

static_assert(hammer2::format::kRootInum == FUSE_ROOT_ID);

Server& server_of(fuse_req_t request) {
  return *static_cast<Server*>(fuse_req_userdata(request));
}

}  // namespace

// --- Nodes -------------------------------------------------------------------

bool Server::find(Reader& reader, fuse_req_t request, fuse_ino_t number,
                  Node& out) {
  if (number == FUSE_ROOT_ID) {
    out = root_;
    return true;
  }
  const auto found = reader.fs().node_by_inum(root_, number, out);
  if (found) return true;
  if (found.error().code == hammer2::Code::kNotFound) {
    // A number that the kernel never had from us.
    fuse_reply_err(request, ESTALE);
  } else {
    fail(request, found.error());
  }
  return false;
}

fuse_entry_param Server::entry_of(const Node& node) const {
  fuse_entry_param entry = {};
  entry.attr = stat_of(node.attributes);
  entry.attr_timeout = kForever;
  entry.entry_timeout = kForever;
  // A node must be found again by its number alone. One that stands in a
  // directory, as only a damaged or made-up volume has it, isn't.
  const bool numbered = node.ref.key == node.inum() && node.inum() != 0;
  if (node.ref.data_off == root_.ref.data_off) {
    entry.ino = FUSE_ROOT_ID;
  } else if (numbered && type_bits(node.attributes.type) != 0) {
    entry.ino = node.inum();
  }
  return entry;
}

void Server::fail(fuse_req_t request, const hammer2::Error& error) {
  log_.report(error);
  fuse_reply_err(request, errno_of(error.code));
}

// --- Requests ----------------------------------------------------------------

void Server::init(fuse_conn_info& connection) {
  without_open_ = (connection.capable & FUSE_CAP_NO_OPEN_SUPPORT) != 0;
  without_opendir_ = (connection.capable & FUSE_CAP_NO_OPENDIR_SUPPORT) != 0;
  connection.want |= connection.capable & FUSE_CAP_CACHE_SYMLINKS;
  connection.time_gran = 1000;  // HAMMER2 keeps microseconds
}

void Server::lookup(fuse_req_t request, fuse_ino_t parent, const char* name) {
  const Readers::Loan reader(readers_);
  Node directory;
  if (!find(*reader, request, parent, directory)) return;
  Node node;
  const auto found = reader->fs().lookup(directory, name, node);
  if (!found && found.error().code == hammer2::Code::kNotFound) {
    // The kernel may remember that there is no such name.
    fuse_entry_param entry = {};
    entry.entry_timeout = kForever;
    fuse_reply_entry(request, &entry);
    return;
  }
  if (!found) return fail(request, found.error());
  const fuse_entry_param entry = entry_of(node);
  if (entry.ino == 0) {
    return fail(request, hammer2::error_at(hammer2::Code::kBadInode, node.ref,
                                           node.inum()));
  }
  fuse_reply_entry(request, &entry);
}

void Server::getattr(fuse_req_t request, fuse_ino_t number) {
  const Readers::Loan reader(readers_);
  Node node;
  if (!find(*reader, request, number, node)) return;
  const struct stat status = stat_of(node.attributes);
  fuse_reply_attr(request, &status, kForever);
}

void Server::readlink(fuse_req_t request, fuse_ino_t number) {
  const Readers::Loan reader(readers_);
  Node node;
  if (!find(*reader, request, number, node)) return;
  if (node.attributes.size >= PATH_MAX) {
    fuse_reply_err(request, ENAMETOOLONG);
    return;
  }
  std::array<char, PATH_MAX> target = {};
  const auto got = reader->fs().read_link(
      node, std::as_writable_bytes(std::span(target)).first(PATH_MAX - 1));
  if (!got) return fail(request, got.error());
  fuse_reply_readlink(request, target.data());
}

// A kernel that knows how is told once never to ask again: files need no
// opening, and their pages stay right.
void Server::open(fuse_req_t request, fuse_file_info* file) const {
  if (without_open_) {
    fuse_reply_err(request, ENOSYS);
    return;
  }
  file->keep_cache = 1;
  fuse_reply_open(request, file);
}

void Server::opendir(fuse_req_t request, fuse_file_info* file) const {
  if (without_opendir_) {
    fuse_reply_err(request, ENOSYS);
    return;
  }
  file->keep_cache = 1;
  file->cache_readdir = 1;
  fuse_reply_open(request, file);
}

void Server::read(fuse_req_t request, fuse_ino_t number, std::size_t size,
                  off_t offset) {
  const Readers::Loan reader(readers_);
  Node node;
  if (!find(*reader, request, number, node)) return;
  const MutableBytes room = reader->room(size);
  const auto got =
      reader->fs().read(node, static_cast<std::uint64_t>(offset), room);
  if (!got) return fail(request, got.error());
  fuse_reply_buf(request, reinterpret_cast<const char*>(room.data()), *got);
}

void Server::statfs(fuse_req_t request) {
  const Readers::Loan reader(readers_);
  const struct statvfs status = statvfs_of(reader->fs().info(), pfs_);
  fuse_reply_statfs(request, &status);
}

void Server::lseek(fuse_req_t request, fuse_ino_t number, off_t offset,
                   int whence) {
  const Readers::Loan reader(readers_);
  Node node;
  if (!find(*reader, request, number, node)) return;
  const auto from = static_cast<std::uint64_t>(offset);
  if (!node.is(ObjectType::kRegular) ||
      (whence != SEEK_DATA && whence != SEEK_HOLE)) {
    fuse_reply_err(request, EINVAL);
    return;
  }
  if (offset < 0 || from >= node.attributes.size) {
    fuse_reply_err(request, ENXIO);
    return;
  }
  const auto to = whence == SEEK_DATA ? next_data(reader->fs(), node, from)
                                      : next_hole(reader->fs(), node, from);
  if (!to) return fail(request, to.error());
  if (!*to) {
    fuse_reply_err(request, ENXIO);
    return;
  }
  fuse_reply_lseek(request, static_cast<off_t>(**to));
}

// --- Directories -------------------------------------------------------------

void Server::list(fuse_req_t request, fuse_ino_t number, std::size_t size,
                  off_t offset, Listing listing) {
  const Readers::Loan reader(readers_);
  Node directory;
  if (!find(*reader, request, number, directory)) return;
  Page page(request, reader->room(size), listing);
  const std::uint64_t above = number == FUSE_ROOT_ID
                                  ? directory.inum()
                                  : directory.attributes.parent_inum;
  if (!page.add_dots(offset, directory.inum(), above)) return page.send();
  hammer2::DirCursor cursor = cursor_at(offset);
  hammer2::DirEntry found;
  Node node;
  for (;;) {
    const auto more = reader->fs().read_directory(directory, cursor, found);
    if (!more) {
      // What was found before the damage is shown first; asked to go on, the
      // next call meets it at its start.
      if (page.empty()) return fail(request, more.error());
      break;
    }
    if (!*more) break;
    fuse_entry_param entry = Page::named_only(found.inum, found.type);
    if (page.plus()) {
      const auto known = reader->fs().node_by_inum(directory, found.inum, node);
      // Whoever asks for the damaged one is told by lookup().
      if (known) {
        const fuse_entry_param looked_up = entry_of(node);
        if (looked_up.ino != 0 && looked_up.ino != FUSE_ROOT_ID) {
          entry = looked_up;
        }
      } else {
        log_.report(known.error());
      }
    }
    if (!page.add(std::string(found.name()), entry,
                  position_after(found.key))) {
      break;
    }
  }
  page.send();
}

// --- The table ---------------------------------------------------------------

fuse_lowlevel_ops Server::operations() {
  fuse_lowlevel_ops table = {};
  table.init = [](void* server, fuse_conn_info* connection) {
    static_cast<Server*>(server)->init(*connection);
  };
  table.lookup = [](fuse_req_t request, fuse_ino_t parent, const char* name) {
    server_of(request).lookup(request, parent, name);
  };
  table.getattr = [](fuse_req_t request, fuse_ino_t number, fuse_file_info*) {
    server_of(request).getattr(request, number);
  };
  table.readlink = [](fuse_req_t request, fuse_ino_t number) {
    server_of(request).readlink(request, number);
  };
  table.open = [](fuse_req_t request, fuse_ino_t, fuse_file_info* file) {
    server_of(request).open(request, file);
  };
  table.opendir = [](fuse_req_t request, fuse_ino_t, fuse_file_info* file) {
    server_of(request).opendir(request, file);
  };
  table.read = [](fuse_req_t request, fuse_ino_t number, std::size_t size,
                  off_t offset, fuse_file_info*) {
    server_of(request).read(request, number, size, offset);
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
  table.lseek = [](fuse_req_t request, fuse_ino_t number, off_t offset,
                   int whence, fuse_file_info*) {
    server_of(request).lseek(request, number, offset, whence);
  };
  // What isn't here answers ENOSYS. The kernel then answers for itself from
  // there on: ENOTSUP for extended attributes, success for flush.
  return table;
}

}  // namespace odo::h2fuse
