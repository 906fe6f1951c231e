// SPDX-License-Identifier: BSD-3-Clause
// The texts that `h2 --help` and `h2 COMMAND --help` print.
//
// Contexts: the tool's main thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "tools/h2/command.h"

namespace odo::h2 {

// What an IMAGE, a @PFS and an exit status are; for help and the manual page.
inline constexpr std::string_view kAboutImages =
    R"(An IMAGE is a raw image, a disk, or an image compressed with zstd (unpacked to
$TMPDIR). Give all volumes of a filesystem that has several, or the others by
--volume. @PFS names a PFS by its label; without it the obvious one is taken:
`h2 pfs` marks it. With several volumes, or an image whose name could be taken
for a path, put @PFS between them.)";

inline constexpr std::string_view kAboutStatus =
    R"(0, or 1 where something is damaged or missing (a line on standard error for
each says what), or 2 for a command line that makes no sense. That of `check`
is the sum of 4 for errors and 8 for what couldn't be checked, or 16 for a
command line that makes no sense; that of `diff` is 1 where there are
differences.)";

[[nodiscard]] inline std::vector<std::string> lines_of(std::string_view text) {
  return absl::StrSplit(absl::string_view(text.data(), text.size()), '\n',
                        absl::SkipEmpty());
}

[[nodiscard]] std::string general_help();
[[nodiscard]] std::string help_of(const Command& command);

}  // namespace odo::h2
