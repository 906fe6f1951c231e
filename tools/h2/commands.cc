// SPDX-License-Identifier: BSD-3-Clause
#include "tools/h2/commands.h"

#include <span>
#include <string_view>

#include "tools/h2/command.h"

namespace odo::h2 {
namespace {

constexpr const Command* kAll[] = {
    &kInfo,      &kPfsList,   &kSnapshots,  &kLs,       &kTree,     &kFind,
    &kStat,      &kCat,       &kExtract,    &kDu,       &kDiff,     &kSha256,
    &kManifest,  &kCheck,     &kShow,       &kHexdump,  &kFreemap,  &kRecover,
    &kMkfs,      &kCreate,    &kMkdir,      &kPut,      &kCp,       &kRm,
    &kMv,        &kLn,        &kChmod,      &kChown,    &kTruncate, &kSnapshot,
    &kPfsCreate, &kPfsDelete, &kPfsRename,  &kRollback, &kSetcomp,  &kSetcheck,
    &kBulkfree,  &kTrim,      &kCompletion, &kMan,
};

}  // namespace

std::span<const Command* const> commands() { return kAll; }

const Command* command_named(std::string_view name) {
  for (const Command* command : kAll) {
    if (command->name == name) return command;
  }
  return nullptr;
}

}  // namespace odo::h2
