// SPDX-License-Identifier: BSD-3-Clause
// h2fuse: mounts a PFS of a HAMMER2 filesystem on Linux, for reading or
// writing.
#include <fcntl.h>
#include <malloc.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdarg>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tools/h2fuse/options.h"
#include "tools/h2fuse/server.h"
#include "tools/h2fuse/writing_server.h"

namespace odo::h2fuse {
namespace {

using h2::Failure;

std::string error_of(const std::string& what, int error) {
  return what + ": " + std::strerror(error);
}

// --- What libfuse says -------------------------------------------------------

// libfuse speaks its mind on standard error, sometimes twice. Its last words
// become part of our one line instead.
std::string last_words;  // NOLINT: libfuse's callback has no user data

void keep_words(fuse_log_level /*level*/, const char* format,
                std::va_list arguments) {
  std::string text(256, '\0');
  const int length =
      std::vsnprintf(text.data(), text.size(), format, arguments);
  if (length <= 0) return;
  text.resize(std::min(static_cast<std::size_t>(length), text.size() - 1));
  while (text.ends_with('\n') || text.ends_with('.')) text.pop_back();
  const std::string_view name = "fuse: ";
  if (text.starts_with(name)) text.erase(0, name.size());
  last_words = text;
}

// --- Mounting ----------------------------------------------------------------

class Arguments {
 public:
  explicit Arguments(const std::string& options) {
    fuse_opt_add_arg(&list_, "h2fuse");
    fuse_opt_add_arg(&list_, "-o");
    fuse_opt_add_arg(&list_, options.c_str());
  }
  Arguments(const Arguments&) = delete;
  Arguments& operator=(const Arguments&) = delete;
  ~Arguments() { fuse_opt_free_args(&list_); }
  [[nodiscard]] fuse_args* get() { return &list_; }

 private:
  fuse_args list_ = {0, nullptr, 0};
};

std::string mount_options(const Options& options) {
  std::string text = options.write ? "rw" : "ro";
  text += ",default_permissions,subtype=h2fuse,fsname=";
  for (const char c : options.images.front()) {
    if (c == ',' || c == '\\') text += '\\';
    text += c;
  }
  if (!options.pfs.empty()) {
    text += '@';
    for (const char c : options.pfs) {
      if (c == ',' || c == '\\') text += '\\';
      text += c;
    }
  }
  if (options.allow_other) text += ",allow_other";
  return text;
}

// A mount whose server was killed stays and answers ENOTCONN. It is taken away,
// so that mounting again is all that is needed.
void detach_if_dead(const std::string& mountpoint) {
  struct stat status = {};
  if (::stat(mountpoint.c_str(), &status) == 0) {
    if (!S_ISDIR(status.st_mode)) throw Failure(error_of(mountpoint, ENOTDIR));
    return;
  }
  if (errno != ENOTCONN) throw Failure(error_of(mountpoint, errno));
  if (::umount2(mountpoint.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) return;
  const char* const words[] = {"fusermount3",      "-u",   "-z", "-q", "--",
                               mountpoint.c_str(), nullptr};
  pid_t child = 0;
  int result = 0;
  if (::posix_spawnp(&child, words[0], nullptr, nullptr,
                     const_cast<char* const*>(words), environ) != 0 ||
      ::waitpid(child, &result, 0) != child || result != 0) {
    throw Failure(mountpoint + ": holds a dead mount that can't be taken away");
  }
}

class Session {
 public:
  template <class S>
  Session(const Options& options, S& server)
      : arguments_(mount_options(options)), table_(S::operations()) {
    fuse_set_log_func(keep_words);
    session_ =
        fuse_session_new(arguments_.get(), &table_, sizeof(table_), &server);
    if (session_ == nullptr) throw failure("cannot start FUSE");
    if (fuse_session_mount(session_, options.mountpoint.c_str()) != 0) {
      const Failure why = failure(options.mountpoint + ": cannot mount");
      fuse_session_destroy(session_);
      throw why;
    }
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() {
    fuse_session_unmount(session_);
    fuse_session_destroy(session_);
  }

  // Answers requests until it is unmounted or a signal says that it is enough.
  void serve(std::size_t threads) {
    if (fuse_set_signal_handlers(session_) != 0) {
      throw failure("cannot set signal handlers");
    }
    struct Free {
      void operator()(fuse_loop_config* config) const {
        fuse_loop_cfg_destroy(config);
      }
    };
    const std::unique_ptr<fuse_loop_config, Free> config(
        fuse_loop_cfg_create());
    fuse_loop_cfg_set_max_threads(config.get(), static_cast<unsigned>(threads));
    fuse_loop_cfg_set_idle_threads(config.get(),
                                   static_cast<unsigned>(threads));
    const int result = fuse_session_loop_mt(session_, config.get());
    fuse_remove_signal_handlers(session_);
    if (result < 0) throw Failure(error_of("serving failed", -result));
  }

 private:
  static Failure failure(const std::string& what) {
    return Failure(last_words.empty() ? what : what + ": " + last_words);
  }

  Arguments arguments_;
  fuse_lowlevel_ops table_;
  fuse_session* session_ = nullptr;
};

// What there is to say of damage goes to whoever is there to read it.
DamageLog::Sink sink_for(const Options& options) {
  const std::string name = options.images.front();
  ::openlog("h2fuse", LOG_PID, LOG_DAEMON);
  if (options.foreground) {
    return [name](const std::string& line) {
      std::cerr << "h2fuse: " + name + ": " + line + "\n";
    };
  }
  return [name](const std::string& line) {
    ::syslog(LOG_ERR, "%s: %s", name.c_str(), line.c_str());
  };
}

// From here on the mount is there; in the background the caller goes on.
void go_on(const Options& options) {
  if (fuse_daemonize(options.foreground ? 1 : 0) != 0) {
    throw Failure(error_of("cannot go to the background", errno));
  }
}

void run_reading(const Options& options) {
  const auto images = std::make_shared<const h2::Images>(options.images);
  hammer2::Pfs pfs;
  hammer2::Node root;
  {
    h2::Volume volume(images, h2::Volume::kMemoryBytes);
    pfs = volume.pfs_of(options.pfs);
    root = volume.root_of(pfs);
  }
  Readers readers(images, options.threads, options.cache_mib << 20);
  DamageLog log(sink_for(options));
  Server server(readers, log, pfs, root);
  Session session(options, server);
  go_on(options);
  session.serve(options.threads);
}

// File data that wait come and go in blocks of 64 KiB: without this the top of
// the heap would go back to the system with one, and come back with the next,
// a page fault for each 4 KiB.
void keep_freed_memory() {
  constexpr int kKept = 64 << 20;
  ::mallopt(M_TRIM_THRESHOLD, kKept);
  ::mallopt(M_TOP_PAD, kKept / 16);
}

void run_writing(const Options& options) {
  keep_freed_memory();
  hammer2::write::Limits limits;
  const std::size_t memory = options.cache_mib << 20;
  limits.cache_bytes = memory / 4;
  limits.chain_bytes = memory / 2;
  limits.data_bytes = memory / 4;
  limits.log_bytes = options.log_mib << 20;
  h2::ChangedVolume volume(options.images, h2::Damage::kNotLookedFor,
                           std::nullopt, limits);
  DamageLog log(sink_for(options));
  {
    WritingServer server(volume, log, options.pfs,
                         std::chrono::seconds(options.sync_seconds));
    Session session(options, server);
    go_on(options);
    server.start();
    // One of them may lead a sync.
    session.serve(options.threads + 1);
  }
  volume.finish();
}

void run(const Options& options) {
  detach_if_dead(options.mountpoint);
  if (options.write) {
    run_writing(options);
  } else {
    run_reading(options);
  }
}

int main(int argc, char** argv) {
  try {
    Options options = parse_options(argc, argv);
    if (options.help) {
      std::cout << kUsage;
      return 0;
    }
    run(options);
    return 0;
  } catch (const UsageError& error) {
    std::cerr << "h2fuse: " << error.what() << "; `h2fuse --help` shows how\n";
    return 2;
  } catch (const std::exception& error) {
    std::cerr << "h2fuse: " << error.what() << "\n";
    return 1;
  }
}

}  // namespace
}  // namespace odo::h2fuse

int main(int argc, char** argv) { return odo::h2fuse::main(argc, argv); }
