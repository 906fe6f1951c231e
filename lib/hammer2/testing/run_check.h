// SPDX-License-Identifier: BSD-3-Clause
// A complete check whose findings are kept, for tests.
//
// Contexts: tests; hosted.
#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/hammer2/check/checker.h"
#include "lib/hammer2/check/paths.h"
#include "lib/hammer2/filesystem.h"

namespace odo::hammer2::testing {

// A finding that has outlived its check.
struct Found {
  audit::Finding finding;  // but for its texts:
  std::string pfs;
  std::string detail;
  std::string path;
  std::string text;
};

struct CheckResult {
  audit::Verdicts verdicts;
  std::vector<Found> findings;  // errors and warnings
  std::vector<Found> notes;
  std::vector<audit::HeaderReport> headers;
};

template <class Device, class Checks = VerifyChecks>
class CheckObserver {
 public:
  explicit CheckObserver(audit::Checker<Device, Checks>& checker)
      : checker_(checker) {}

  void header(const audit::HeaderReport& header) {
    result.headers.push_back(header);
  }
  void found(const audit::Finding& finding) {
    std::array<char, 512> buffer;
    Found found{.finding = finding,
                .pfs = std::string(finding.pfs),
                .detail = std::string(finding.detail),
                .path = {},
                .text = std::string(audit::finding_text(finding, buffer))};
    (finding.severity == audit::Severity::kNote ? result.notes
                                                : result.findings)
        .push_back(std::move(found));
  }
  void pfs_done(std::string_view label, audit::InodeTable& inodes) {
    const auto here = [&](const Found& found) {
      return found.pfs == label && found.path.empty() &&
             found.finding.at.inum != Error::kUnknown;
    };
    if (std::none_of(result.findings.begin(), result.findings.end(), here)) {
      return;
    }
    // Opened anew each time: few tests get here often.
    auto fs = std::make_unique<FileSystem<Stretched>>();
    std::vector<std::byte> memory(FileSystem<Stretched>::kMinMemoryBytes);
    Pfs pfs;
    Node root;
    if (!fs->open(checker_.stretched(), memory) || !fs->find_pfs(label, pfs) ||
        !fs->root(pfs, root)) {
      return;
    }
    audit::PathFinder paths(*fs, root, inodes);
    std::array<char, 8192> buffer;
    for (Found& found : result.findings) {
      if (!here(found)) continue;
      const Error& at = found.finding.at;
      const bool entry =
          at.type == format::BlockType::kDirent && at.key != Error::kUnknown;
      found.path = entry ? paths.path_of_entry(at.inum, at.key, buffer)
                         : paths.path_of(at.inum, buffer);
    }
  }
  void progress(const audit::Progress& progress) {
    monotonic = monotonic && progress.bytes >= last_.bytes;
    last_ = progress;
  }

  CheckResult result;
  bool monotonic = true;  // progress never went back

 private:
  using Stretched = audit::StretchedDevice<Device>;
  audit::Checker<Device, Checks>& checker_;
  audit::Progress last_;
};

// Memory for checks, made once: it isn't touched before it is used. Fuzzers
// have it too, which may not ask for more than 64 MiB.
inline MutableBytes check_memory() {
  static constexpr std::size_t kBytes = std::size_t{48} << 20;
  static const auto memory =
      std::make_unique_for_overwrite<std::byte[]>(kBytes);
  return {memory.get(), kBytes};
}

template <class Device, class Checks = VerifyChecks>
CheckResult run_check(std::span<Device* const> devices, audit::Limits limits,
                      MutableBytes memory = check_memory(),
                      Checks checks = Checks{}) {
  auto checker = std::make_unique<audit::Checker<Device, Checks>>(checks);
  CheckObserver<Device, Checks> observer(*checker);
  audit::SerialExecutor executor;
  observer.result.verdicts =
      checker->run(devices, memory, executor, limits, observer);
  return std::move(observer.result);
}

}  // namespace odo::hammer2::testing
