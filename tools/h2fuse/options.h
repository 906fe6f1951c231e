// SPDX-License-Identifier: BSD-3-Clause
// The command line of h2fuse.
//
// Contexts: one thread, at start.
// Failure: UsageError, one line.
#pragma once

#include <getopt.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "tools/h2/volume.h"

namespace odo::h2fuse {

inline constexpr std::string_view kUsage =
    R"(usage: h2fuse [OPTIONS] IMAGE [@PFS] MOUNTPOINT

Mounts a PFS of a HAMMER2 filesystem through FUSE, read-only unless --rw is
given. IMAGE is a raw image, a disk, or, for reading, an image compressed with
zstd (unpacked to $TMPDIR). @PFS
names a PFS by its label, as in `h2`; without it the obvious one is taken
(`h2 pfs IMAGE` lists them and marks that one).

  --volume FILE   a further volume of the same filesystem; repeatable
  --rw            let it be written to; nobody else may use IMAGE meanwhile
  --sync SECONDS  with --rw: make changes durable that often (default: 5)
  --fsync-log MIB with --rw: fsync(2) writes to a log of up to that size instead
                  of the volume header, which is faster; after a crash only
                  these tools know to read it (default: 0, no log)
  --foreground    stay here and tell of damaged blocks on standard error;
                  otherwise the system's log has them
  --threads N     answer up to N requests at once (default: the CPUs, up to 8)
  --cache MIB     memory for blocks, shared by all threads (default: 128)
  --allow-other   other users may look, as far as permissions let them
  --help          this text

Examples:
  h2fuse disk.img /mnt                     mount the obvious PFS
  h2fuse backup.img.zst @DATA ~/backup     a PFS of a compressed image
  h2fuse --rw disk.img /mnt                to change it
  h2fuse --volume b.img a.img @ROOT /mnt   a filesystem of two volumes
  fusermount3 -u /mnt                      unmount; as root, `umount /mnt`

Exit status: 0 once it is mounted (with --foreground, once it is unmounted),
1 where that can't be done (one line says why), 2 for a command line that makes
no sense.
)";

class UsageError : public h2::Failure {
 public:
  using Failure::Failure;
};

struct Options {
  static constexpr std::size_t kMostThreads = 64;
  static constexpr std::size_t kMostCacheMib = 65536;
  static constexpr std::size_t kMostSyncSeconds = 3600;
  static constexpr std::size_t kMostLogMib = 31;
  // A thread needs a few blocks at once.
  static constexpr std::size_t kLeastCacheMibPerThread = 1;

  bool help = false;
  bool foreground = false;
  bool allow_other = false;
  bool write = false;
  std::size_t sync_seconds = 5;
  std::size_t log_mib = 0;
  std::size_t threads = 0;
  std::size_t cache_mib = 128;
  std::vector<std::string> images;
  std::string pfs;  // label, empty for the default
  std::string mountpoint;
};

namespace detail {

[[nodiscard]] inline std::size_t number(std::string_view option,
                                        std::string_view text,
                                        std::size_t least, std::size_t most) {
  std::size_t value = 0;
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  const auto [stop, error] = std::from_chars(begin, end, value);
  if (error != std::errc{} || stop != end || value < least || value > most) {
    throw UsageError(std::string(option) + " takes a number from " +
                     std::to_string(least) + " to " + std::to_string(most) +
                     ", not " + std::string(text));
  }
  return value;
}

inline void take_words(const std::vector<std::string>& words, Options& to) {
  std::vector<std::string> plain;
  for (const std::string& word : words) {
    if (!word.starts_with('@')) {
      plain.push_back(word);
    } else if (to.pfs.empty() && word.size() > 1) {
      to.pfs = word.substr(1);
    } else {
      throw UsageError("unexpected argument: " + word);
    }
  }
  if (plain.empty()) throw UsageError("no image given");
  if (plain.size() == 1) throw UsageError("no mount point given");
  if (plain.size() > 2) {
    throw UsageError("unexpected argument: " + plain[2] +
                     " (further volumes take --volume)");
  }
  to.images.insert(to.images.begin(), plain[0]);
  to.mountpoint = plain[1];
}

}  // namespace detail

// `argv` as main() has it; its order may change.
[[nodiscard]] inline Options parse_options(int argc, char** argv) {
  enum : int {
    kVolume,
    kForeground,
    kThreads,
    kCache,
    kAllowOther,
    kRw,
    kSync,
    kFsyncLog,
    kHelp
  };
  static constexpr option kOptions[] = {
      {"volume", required_argument, nullptr, kVolume},
      {"foreground", no_argument, nullptr, kForeground},
      {"threads", required_argument, nullptr, kThreads},
      {"cache", required_argument, nullptr, kCache},
      {"allow-other", no_argument, nullptr, kAllowOther},
      {"rw", no_argument, nullptr, kRw},
      {"sync", required_argument, nullptr, kSync},
      {"fsync-log", required_argument, nullptr, kFsyncLog},
      {"help", no_argument, nullptr, kHelp},
      {nullptr, 0, nullptr, 0}};
  Options options;
  optind = 0;  // from the start, however often this is called
  opterr = 0;
  for (;;) {
    // One thread, and nobody else parses options.
    const int found =  // NOLINTNEXTLINE(concurrency-mt-unsafe)
        ::getopt_long(argc, argv, ":fh", kOptions, nullptr);
    if (found == -1) break;
    switch (found) {
      case kVolume:
        options.images.emplace_back(optarg);
        break;
      case kForeground:
      case 'f':
        options.foreground = true;
        break;
      case kThreads:
        options.threads =
            detail::number("--threads", optarg, 1, Options::kMostThreads);
        break;
      case kCache:
        options.cache_mib =
            detail::number("--cache", optarg, 1, Options::kMostCacheMib);
        break;
      case kAllowOther:
        options.allow_other = true;
        break;
      case kRw:
        options.write = true;
        break;
      case kSync:
        options.sync_seconds =
            detail::number("--sync", optarg, 1, Options::kMostSyncSeconds);
        break;
      case kFsyncLog:
        options.log_mib =
            detail::number("--fsync-log", optarg, 0, Options::kMostLogMib);
        break;
      case kHelp:
      case 'h':
        options.help = true;
        return options;
      case ':':
        throw UsageError(std::string(argv[optind - 1]) + " needs a value");
      default:
        throw UsageError("unknown option: " + std::string(argv[optind - 1]));
    }
  }
  detail::take_words({argv + optind, argv + argc}, options);
  if (options.threads == 0) {
    constexpr std::size_t kUsual = 8;
    options.threads =
        std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, kUsual);
  }
  if (options.cache_mib / options.threads < Options::kLeastCacheMibPerThread) {
    throw UsageError(
        "--cache must be " +
        std::to_string(Options::kLeastCacheMibPerThread * options.threads) +
        " or more for " + std::to_string(options.threads) + " threads");
  }
  return options;
}

}  // namespace odo::h2fuse
