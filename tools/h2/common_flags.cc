// SPDX-License-Identifier: BSD-3-Clause
#include "tools/h2/common_flags.h"

#include <cstdint>
#include <limits>
#include <string>

#include "absl/flags/flag.h"

ABSL_FLAG(bool, json, false, "print JSON for programs");
ABSL_FLAG(std::string, volume, "",
          "FILE: one more volume of the filesystem; may be given again");
ABSL_FLAG(std::string, pfs, "", "LABEL: the PFS, as @LABEL says it too");
ABSL_FLAG(std::uint32_t, depth, std::numeric_limits<std::uint32_t>::max(),
          "N: no deeper than N levels below the start");
ABSL_FLAG(bool, damaged, false,
          "change the image also where it is damaged, which may make it worse");
