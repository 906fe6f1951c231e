// SPDX-License-Identifier: BSD-3-Clause
// Is a filesystem sound enough to be changed? All that leads to data is looked
// at, and the freemap, so that nothing in use is given out again; data
// themselves, which a change doesn't build on, are not.
//
// Contexts: the tool's main thread.
// Failure: Failure, which names the first fault.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "absl/strings/str_format.h"
#include "lib/block/host/file_device.h"
#include "lib/hammer2/check/checker.h"
#include "lib/hammer2/check/executor.h"
#include "tools/h2/amount.h"
#include "tools/h2/meter.h"
#include "tools/h2/volume.h"

namespace odo::h2 {

namespace detail {

// Keeps the first error. A header that can't be used is none: another one is,
// and a power cut leaves one now and then.
class FirstFault {
 public:
  void header(const hammer2::audit::HeaderReport& /*header*/) {}
  void found(const hammer2::audit::Finding& finding) {
    using hammer2::audit::Rule;
    using hammer2::audit::Severity;
    if (finding.severity != Severity::kError || !text.empty() ||
        finding.rule == Rule::kVolumeHeader) {
      return;
    }
    std::array<char, hammer2::kErrorTextBytes + 256> buffer;
    text = hammer2::audit::finding_text(finding, buffer);
  }
  void pfs_done(std::string_view /*label*/,
                hammer2::audit::InodeTable& /*inodes*/) {}
  void progress(const hammer2::audit::Progress& progress) {
    if (!meter_.due()) return;
    meter_.show(absl::StrFormat("looking for damage, %s so far",
                                amount(static_cast<double>(progress.bytes))));
  }
  void end() { meter_.clear(); }

  std::string text;

 private:
  Meter meter_;
};

}  // namespace detail

inline void refuse_damage(const std::string& name,
                          std::span<block::FileDevice* const> devices) {
  using Checker = hammer2::audit::Checker<block::FileDevice>;
  std::uint64_t total = 0;
  for (const block::FileDevice* device : devices) total += device->size_bytes();
  const MappedMemory memory(check_memory_bytes(total), MAP_NORESERVE,
                            "not enough memory");
  const auto checker =
      std::make_unique<Checker>(hammer2::VerifyChecks(host_checks()));
  hammer2::audit::SerialExecutor here;
  hammer2::audit::Limits limits;
  limits.read_data = false;
  limits.shared_blocks = check_shared_blocks(total);
  detail::FirstFault fault;
  (void)checker->run(devices, memory.bytes(), here, limits, fault);
  fault.end();
  if (fault.text.empty()) return;
  throw Failure(
      name + ": is damaged: " + fault.text +
      "; `h2 check` tells all of it, and --damaged changes it all the "
      "same");
}

}  // namespace odo::h2
