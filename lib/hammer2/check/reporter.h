// SPDX-License-Identifier: BSD-3-Clause
// Makes findings and counts them.
//
// Contexts: thread, one at a time: the checking thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/hammer2/check/examine.h"
#include "lib/hammer2/check/report.h"

namespace odo::hammer2::audit {

template <Observer O>
class Reporter {
 public:
  explicit Reporter(O& observer) : observer_(observer) {}

  [[nodiscard]] O& observer() { return observer_; }
  [[nodiscard]] std::uint64_t count(Severity severity) const {
    return counts_[static_cast<std::size_t>(severity)];
  }
  // Parts of the check that weren't done for want of memory or for a limit.
  [[nodiscard]] std::uint64_t incomplete() const { return incomplete_; }

  // The PFS that findings belong to from now on; the text outlives that.
  void set_pfs(std::string_view label) { pfs_ = label; }

  void emit(Finding finding) {
    finding.pfs = pfs_;
    ++counts_[static_cast<std::size_t>(finding.severity)];
    if (finding.rule == Rule::kIncomplete &&
        finding.severity == Severity::kError) {
      ++incomplete_;
    }
    observer_.found(finding);
  }
  void emit(Rule rule, const Error& at, std::string_view detail = {}) {
    emit(Finding{.rule = rule,
                 .severity = info_of(rule).severity,
                 .at = at,
                 .detail = detail});
  }
  void emit(Rule rule, const Error& at, std::uint64_t found,
            std::uint64_t expected, std::string_view detail = {}) {
    Finding finding{.rule = rule,
                    .severity = info_of(rule).severity,
                    .at = at,
                    .has_numbers = true,
                    .detail = detail};
    finding.at.found = found;
    finding.at.expected = expected;
    emit(finding);
  }
  void emit_note(Rule rule, std::string_view detail) {
    emit(Finding{.rule = rule, .severity = Severity::kNote, .detail = detail});
  }
  // What examine() found about `block`.
  void emit(const Block& block, const Remark& remark) {
    Error at = error_at(remark.code, block.task.ref, block.inum);
    if (remark.entry != kWholeBlock) {
      at.found = block.refs.key(remark.entry);
      if (remark.rule != Rule::kBlock) at.key = at.found;
    }
    if (remark.has_numbers) {
      emit(remark.rule, at, remark.found, remark.expected, remark.detail);
    } else {
      emit(remark.rule, at, remark.detail);
    }
  }

 private:
  O& observer_;
  std::array<std::uint64_t, 3> counts_ = {};
  std::uint64_t incomplete_ = 0;
  std::string_view pfs_;
};

}  // namespace odo::hammer2::audit
