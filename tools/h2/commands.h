// SPDX-License-Identifier: BSD-3-Clause
// All commands of `h2`, in the order in which help shows them. A new one is a
// file of its own, a line here and a line in commands.cc.
#pragma once

#include <span>
#include <string_view>

#include "tools/h2/command.h"

namespace odo::h2 {

extern const Command kInfo;
extern const Command kPfsList;
extern const Command kSnapshots;
extern const Command kLs;
extern const Command kTree;
extern const Command kStat;
extern const Command kCat;
extern const Command kFind;
extern const Command kDu;
extern const Command kExtract;
extern const Command kSha256;
extern const Command kManifest;
extern const Command kDiff;
extern const Command kCheck;
extern const Command kShow;
extern const Command kHexdump;
extern const Command kFreemap;
extern const Command kRecover;
extern const Command kMkfs;
extern const Command kCreate;
extern const Command kMkdir;
extern const Command kPut;
extern const Command kCp;
extern const Command kRm;
extern const Command kMv;
extern const Command kLn;
extern const Command kChmod;
extern const Command kChown;
extern const Command kTruncate;
extern const Command kSnapshot;
extern const Command kPfsCreate;
extern const Command kPfsDelete;
extern const Command kPfsRename;
extern const Command kRollback;
extern const Command kSetcomp;
extern const Command kSetcheck;
extern const Command kBulkfree;
extern const Command kTrim;
extern const Command kCompletion;
extern const Command kMan;

[[nodiscard]] std::span<const Command* const> commands();

// Null where there is none of that name.
[[nodiscard]] const Command* command_named(std::string_view name);

}  // namespace odo::h2
