// SPDX-License-Identifier: BSD-3-Clause
// fsstress: several processes change one tree at once. Each has a part of its
// own, whose state it knows, and meets the others in a part that all share.
#include <sys/wait.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_format.h"
#include "tools/fs_exercise/calls.h"
#include "tools/fs_exercise/dice.h"
#include "tools/fs_exercise/history.h"
#include "tools/fs_exercise/own_tree.h"
#include "tools/fs_exercise/shared_tree.h"

ABSL_FLAG(std::uint64_t, seed, 1, "what all random choices come from");
ABSL_FLAG(std::uint64_t, operations, 1000, "how many each process does");
ABSL_FLAG(std::uint64_t, processes, 4, "how many change the tree at once");
ABSL_FLAG(std::uint64_t, last, 30, "operations to show where one fails");

namespace odo::fs_exercise {
namespace {

namespace fs = std::filesystem;

struct Work {
  fs::path root;
  fs::path shared;
  std::uint64_t seed;
  std::uint64_t operations;
  std::size_t last;
};

// One process; its exit status.
int work(const Work& of, std::uint64_t index) {
  History history(of.last);
  Dice dice(of.seed * 1000 + index);
  try {
    OwnTree own(of.root / absl::StrFormat("own%d", index), dice, history);
    SharedTree shared(of.shared, dice, history);
    for (std::uint64_t i = 0; i < of.operations; ++i) {
      if (dice.one_in(3)) {
        shared.act();
      } else {
        own.act();
      }
    }
    history.add("compare all");
    own.check_all();
  } catch (const std::exception& failure) {
    history.tell(std::cerr);
    std::cerr << absl::StrFormat("fsstress: seed %d, process %d: %s\n", of.seed,
                                 index, failure.what());
    return 1;
  }
  return 0;
}

bool all_work(const Work& of, std::uint64_t processes) {
  std::vector<pid_t> children;
  for (std::uint64_t i = 0; i < processes; ++i) {
    const pid_t child = good(::fork(), "fork");
    if (child == 0) ::_exit(work(of, i));
    children.push_back(child);
  }
  bool well = true;
  for (const pid_t child : children) {
    int status = 0;
    good(::waitpid(child, &status, 0), "waitpid");
    well = well && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
  return well;
}

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(
      "several processes change one tree at once, and check it\n\n"
      "  fsstress [--seed N] [--processes N] [--operations N] DIRECTORY\n\n"
      "Makes DIRECTORY/own0, own1, ... and DIRECTORY/shared, and leaves them "
      "there.\nExit status: 0 if all was as it must be; 1 if not, with the "
      "last operations; 2 for\na command line that makes no sense.");
  const std::vector<char*> words = absl::ParseCommandLine(argc, argv);
  if (words.size() != 2) {
    std::cerr << "fsstress: takes one DIRECTORY; `fsstress --help` shows how\n";
    return 2;
  }
  ::umask(0);
  const fs::path root = words[1];
  const Work of = {.root = root,
                   .shared = root / "shared",
                   .seed = absl::GetFlag(FLAGS_seed),
                   .operations = absl::GetFlag(FLAGS_operations),
                   .last = absl::GetFlag(FLAGS_last)};
  try {
    good(::mkdir(of.shared.c_str(), 0755), "mkdir");
    if (!all_work(of, absl::GetFlag(FLAGS_processes))) return 1;
    SharedTree::check_all(of.shared);
  } catch (const std::exception& failure) {
    std::cerr << absl::StrFormat("fsstress: seed %d: %s\n", of.seed,
                                 failure.what());
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace odo::fs_exercise

int main(int argc, char** argv) { return odo::fs_exercise::main(argc, argv); }
