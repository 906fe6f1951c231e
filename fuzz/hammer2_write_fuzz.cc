// SPDX-License-Identifier: BSD-3-Clause
// Changing what a container holds, whatever that is: every operation ends with
// a result or an error, what was synced can be opened again, and a filesystem
// that had no fault has none afterwards.
//
// Shape of an input: a container (fuzz/hammer2/container.h).
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz/hammer2/container.h"
#include "fuzz/hammer2/custom_mutator.h"
#include "fuzz/hammer2/host_checks.h"
#include "fuzz/hammer2/session.h"
#include "fuzz/hammer2/sparse_device.h"
#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/block/sim/crash_disk.h"
#include "lib/hammer2/testing/run_check.h"
#include "lib/hammer2/write/host/ground.h"
#include "lib/hammer2/write/volume.h"

namespace odo::hammer2::fuzz {

std::size_t container_offset(Bytes) { return 0; }
Mutator::Focus mutation_focus() { return Mutator::Focus::kAll; }

namespace {

using Disk = block::CrashDisk<SparseDevice>;
using TestVolume = write::Volume<write::HostGround<Disk>>;
using write::OpenInode;

constexpr int kMostEntries = 24;
// A check of more takes too long; a volume's freemap is read whole.
constexpr std::uint64_t kMostVolumeBytes = std::uint64_t{16} << 30;

class Changes {
 public:
  Changes(const Container& container, Meter& meter)
      : meter_(meter), below_(container, meter) {
    for (SparseDevice* device : below_.all()) {
      disks_.emplace_back(*device);
      pointers_.push_back(&disks_.back());
    }
  }

  void run() {
    std::uint64_t bytes = 0;
    for (const Disk& disk : disks_) bytes += disk.size_bytes();
    if (bytes > kMostVolumeBytes) return;
    const bool clean = is_clean();
    ground_.stop_clock(1'000'000);
    if (const auto opened = volume_.open(pointers_, kLimits); !opened) {
      return told(opened.error());
    }
    DirCursor cursor;
    Pfs pfs;
    for (int i = 0; i < 3; ++i) {
      const auto more = volume_.next_pfs(cursor, pfs);
      if (!more) return told(more.error());
      if (!*more) break;
      change(std::string(pfs.label()));
    }
    ask(volume_.bulkfree());
    const auto synced = volume_.sync();
    if (!synced) return told(synced.error());
    volume_.forget();
    const auto again = volume_.open(pointers_, kLimits);
    ODO_CHECK(again.has_value() || !clean || meter_.exhausted());
    volume_.forget();
    if (clean) ODO_CHECK(is_clean() || meter_.exhausted());
  }

 private:
  static constexpr write::Limits kLimits = {
      .cache_bytes = std::size_t{1} << 20,
      .chain_bytes = std::size_t{64} << 10,
      .data_bytes = std::size_t{64} << 10,
      .dedup_entries = 64};

  static void told(const Error& error) { check_told(error); }
  template <class T>
  static bool ask(const Result<T>& result) {
    if (!result) told(result.error());
    return result.has_value();
  }

  bool is_clean() {
    const auto result = hammer2::testing::run_check<Disk>(
        pointers_, audit::Limits{}, hammer2::testing::check_memory(),
        host_policy<VerifyChecks>());
    return result.verdicts.opened && result.findings.empty();
  }

  void change(const std::string& label) {
    const auto root = volume_.open_pfs(label);
    if (!ask(root)) return;
    if (const auto made = volume_.make(**root, "of the fuzzer",
                                       {.type = ObjectType::kDirectory});
        ask(made)) {
      change_directory(**root, **made);
      volume_.release(**made);
    }
    ask(volume_.snapshot(**root, label + "!"));
    volume_.release(**root);
  }

  void change_directory(OpenInode& directory, OpenInode& ours) {
    DirCursor cursor;
    DirEntry entry;
    for (int i = 0; i < kMostEntries; ++i) {
      const auto more = volume_.read_directory(directory, cursor, entry);
      if (!ask(more) || !*more) return;
      const std::string name(entry.name());
      const auto inode = volume_.lookup(directory, name);
      if (!ask(inode)) continue;
      change_inode(**inode, i);
      if (i % 3 == 0) {
        ask(volume_.link(**inode, ours, std::to_string(i)));
      }
      volume_.release(**inode);
      switch (i % 4) {
        case 0:
          ask(volume_.unlink(directory, name));
          break;
        case 1:
          ask(volume_.rename(directory, name, ours, std::to_string(i) + "moved",
                             write::RenameMode::kReplace));
          break;
        case 2:
          ask(volume_.remove_directory(directory, name));
          break;
        default:
          ask(volume_.sync());
          break;
      }
    }
  }

  void change_inode(OpenInode& inode, int i) {
    static std::array<std::byte, 70'000> buffer;
    ask(volume_.read(inode, static_cast<std::uint64_t>(i) * 10'000, buffer));
    ask(volume_.read_link(inode, buffer));
    ask(volume_.set_attributes(inode, {.mode = 0600}));
    buffer.fill(static_cast<std::byte>(i));
    ask(volume_.write(inode, static_cast<std::uint64_t>(i) * 5'000,
                      Bytes(buffer).first(20'000)));
    if (i % 2 == 0) {
      ask(volume_.truncate(inode, static_cast<std::uint64_t>(i) * 100));
    }
  }

  Meter& meter_;
  Devices below_;
  std::deque<Disk> disks_;
  std::vector<Disk*> pointers_;
  write::HostGround<Disk> ground_;
  TestVolume volume_{ground_};
};

}  // namespace
}  // namespace odo::hammer2::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  using namespace odo::hammer2::fuzz;  // NOLINT: a file of one function
  const Container container =
      decode({reinterpret_cast<const std::byte*>(data), size});
  Meter meter{.max_reads = 20'000, .max_bytes = std::uint64_t{128} << 20};
  if (container.fail_after != 0) meter.max_reads = container.fail_after;
  const auto changes = std::make_unique<Changes>(container, meter);
  changes->run();
  return 0;
}
