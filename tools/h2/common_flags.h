// SPDX-License-Identifier: BSD-3-Clause
// Flags that more than one command takes.
#pragma once

#include <cstdint>
#include <string>

#include "absl/flags/declare.h"

ABSL_DECLARE_FLAG(bool, json);
ABSL_DECLARE_FLAG(std::string, volume);
ABSL_DECLARE_FLAG(std::string, pfs);
ABSL_DECLARE_FLAG(std::uint32_t, depth);
ABSL_DECLARE_FLAG(bool, damaged);
