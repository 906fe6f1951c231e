// SPDX-License-Identifier: BSD-3-Clause
// A complete check of whatever a container holds, and what a checker promises
// of its findings.
//
// Contexts: fuzzers; hosted, one thread. A broken promise ends the program.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "fuzz/hammer2/container.h"
#include "fuzz/hammer2/host_checks.h"
#include "fuzz/hammer2/session.h"
#include "fuzz/hammer2/sparse_device.h"
#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/hammer2/check/checker.h"
#include "lib/hammer2/check/paths.h"

namespace odo::hammer2::fuzz {

// Two workers in one thread, and pieces in the other order: another schedule
// of the same check.
class BackwardExecutor {
 public:
  [[nodiscard]] static constexpr std::size_t workers() { return 2; }
  template <class Piece, class Meanwhile>
  void run(std::size_t pieces, const Piece& piece, const Meanwhile& meanwhile) {
    for (std::size_t i = pieces; i-- > 0;) piece(i, i % 2);
    meanwhile();
  }
};

template <CheckPolicy Checks>
class CheckSession {
 public:
  using Checker = audit::Checker<SparseDevice, Checks>;
  using Stretched = typename Checker::Stretched;

  // Findings that paths are looked for of, in each PFS.
  static constexpr std::size_t kMaxPaths = 16;

  // `memory` is for the reader that names paths.
  CheckSession(const Devices& devices, Checker& checker, MutableBytes memory)
      : devices_(devices), checker_(checker), memory_(memory) {}

  template <audit::Executor E>
  void run(MutableBytes memory, E executor, const audit::Limits& limits) {
    verdicts_ = checker_.run(devices_.all(), memory, executor, limits, *this);
    ODO_CHECK(verdicts_.errors == count_[kError] &&
              verdicts_.warnings == count_[kWarning] &&
              verdicts_.notes == count_[kNote]);
    ODO_CHECK(verdicts_.incomplete <= verdicts_.errors);
    ODO_CHECK(!verdicts_.opened || verdicts_.recognized);
    digest_.add(verdicts_.totals.used_bytes);
    digest_.add(verdicts_.totals.inodes);
    digest_.add(verdicts_.totals.dirents);
    digest_.add(verdicts_.totals.leaked_bytes);
  }

  [[nodiscard]] const audit::Verdicts& verdicts() const { return verdicts_; }
  [[nodiscard]] std::uint64_t digest() const { return digest_.value(); }
  // Findings of blocks that can't be used.
  [[nodiscard]] std::uint64_t bad_blocks() const { return bad_blocks_; }

  // --- What the checker calls -----------------------------------------------

  void header(const audit::HeaderReport& header) {
    ODO_CHECK(!audit::to_string(header.state).empty());
    ODO_CHECK(header.index < format::kVolumeHeaderCount);
    ODO_CHECK(!header.in_use || header.state == audit::HeaderState::kUsable);
    ODO_CHECK(!header.mountable || header.state == audit::HeaderState::kUsable);
    digest_.add(static_cast<std::uint64_t>(header.state));
    digest_.add(header.mirror_tid);
  }
  void found(const audit::Finding& finding) {
    std::array<char, kErrorTextBytes + 128> buffer;
    const std::string_view line = audit::finding_text(finding, buffer);
    ODO_CHECK(!line.empty() && line.size() < buffer.size());
    ODO_CHECK(line.find('\n') == std::string_view::npos);
    ODO_CHECK(!audit::info_of(finding.rule).name.empty());
    ODO_CHECK(!audit::to_string(finding.severity).empty());
    ++count_[static_cast<std::size_t>(finding.severity)];
    if (finding.rule == audit::Rule::kBlock) ++bad_blocks_;
    digest_.add(line);
    digest_.add(finding.pfs);
    digest_.add(finding.at);
    if (finding.at.inum != Error::kUnknown && inums_.size() < kMaxPaths) {
      inums_.push_back(finding.at);
    }
  }
  void pfs_done(std::string_view label, audit::InodeTable& inodes) {
    for (const audit::InodeRecord& record : inodes.slots()) {
      if (record.inum == audit::InodeRecord::kEmpty) continue;
      ODO_CHECK(inodes.find(record.inum) == &record);
    }
    if (!inums_.empty()) name_paths(label, inodes);
    inums_.clear();
  }
  void progress(const audit::Progress& progress) {
    ODO_CHECK(progress.bytes >= last_progress_);
    last_progress_ = progress.bytes;
  }

 private:
  static constexpr auto kNote =
      static_cast<std::size_t>(audit::Severity::kNote);
  static constexpr auto kWarning =
      static_cast<std::size_t>(audit::Severity::kWarning);
  static constexpr auto kError =
      static_cast<std::size_t>(audit::Severity::kError);

  void name_paths(std::string_view label, audit::InodeTable& inodes) {
    using Fs = FileSystem<Stretched, Checks>;
    const auto fs = std::make_unique<Fs>(host_policy<Checks>());
    Pfs pfs;
    Node root;
    if (!fs->open(checker_.stretched(), memory_) || !fs->find_pfs(label, pfs) ||
        !fs->root(pfs, root)) {
      return;
    }
    audit::PathFinder paths(*fs, root, inodes);
    std::array<char, 2048> buffer;
    for (const Error& at : inums_) {
      expect_path(paths.path_of(at.inum, buffer), buffer);
      if (at.type == format::BlockType::kDirent && at.key != Error::kUnknown) {
        expect_path(paths.path_of_entry(at.inum, at.key, buffer), buffer);
      }
    }
  }
  static void expect_path(std::string_view path, std::span<const char> buffer) {
    ODO_CHECK(path.empty() ||
              (path.data() + path.size() == buffer.data() + buffer.size() &&
               path.front() == '/'));
    ODO_CHECK(path.find('\0') == std::string_view::npos);
  }

  const Devices& devices_;
  Checker& checker_;
  MutableBytes memory_;
  audit::Verdicts verdicts_;
  Digest digest_;
  std::array<std::uint64_t, 3> count_ = {};
  std::uint64_t bad_blocks_ = 0;
  std::uint64_t last_progress_ = 0;
  std::vector<Error> inums_;
};

}  // namespace odo::hammer2::fuzz
