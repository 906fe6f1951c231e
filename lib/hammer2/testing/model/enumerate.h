// SPDX-License-Identifier: BSD-3-Clause
// All short workloads of a small grammar: two directories with two names each,
// and every operation on them. Most faults of filesystems at a crash need no
// more than three operations to show.
//
// Contexts: tests.
// Shapes: each workload starts from small_start(), durable; every operation in
//   it succeeds there, and none persists what has just been persisted.
// Origin: the bounded black-box crash testing of Mohan et al., "Finding Crash-
//   Consistency Bugs with Bounded Black-Box Crash Testing" (OSDI 2018).
#pragma once

#include <cstddef>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "lib/base/check.h"
#include "lib/hammer2/testing/model/file_tree.h"
#include "lib/hammer2/testing/model/operation.h"

namespace odo::hammer2::testing::model {

// What there is before: the directories, a file that fits in its inode, one
// that doesn't and has a second name, and room for one more name.
[[nodiscard]] inline Workload small_start() {
  return {Mkdir{"/A"},          Mkdir{"/B"},
          Create{"/A/x"},       Write{"/A/x", 0, 300, 1},
          Create{"/B/x"},       Write{"/B/x", 0, 70'000, 3},
          Link{"/B/x", "/B/y"}, Sync{}};
}

// Every operation of the grammar, whether or not it can succeed.
[[nodiscard]] inline std::vector<Operation> small_grammar() {
  const std::vector<std::string> directories = {"/A", "/B"};
  const std::vector<std::string> files = {"/A/x", "/A/y", "/B/x", "/B/y"};
  std::vector<Operation> grammar;
  for (const std::string& file : files) {
    grammar.emplace_back(Create{file});
    grammar.emplace_back(Write{file, 0, 5'000, 5});
    grammar.emplace_back(Append{file, 66'000, 7});
    grammar.emplace_back(Truncate{file, 100});
    grammar.emplace_back(Unlink{file});
    grammar.emplace_back(Symlink{file, "target"});
    grammar.emplace_back(Fsync{file});
    for (const std::string& other : files) {
      if (other == file) continue;
      grammar.emplace_back(Rename{file, other});
      grammar.emplace_back(Link{file, other});
      if (file < other) {
        grammar.emplace_back(Rename{file, other, RenameMode::kExchange});
      }
    }
  }
  for (const std::string& directory : directories) {
    grammar.emplace_back(Mkdir{directory});
    grammar.emplace_back(Rmdir{directory});
    const std::string& other = directories[directory == "/A" ? 1 : 0];
    grammar.emplace_back(Rename{directory, other});
    grammar.emplace_back(Rename{directory, other + "/d"});
  }
  grammar.emplace_back(Mkdir{"/A/y"});
  grammar.emplace_back(Rmdir{"/A/y"});
  grammar.emplace_back(Sync{});
  grammar.emplace_back(Snapshot{"snapshot"});
  grammar.emplace_back(Bulkfree{});
  return grammar;
}

struct EnumerationOptions {
  std::size_t max_length = 3;
  std::vector<Operation> start = small_start();
  std::vector<Operation> grammar = small_grammar();
  // Only the workloads whose numbers are `first` and every `stride` after it.
  std::size_t first = 0;
  std::size_t stride = 1;
};

// Calls callback(const Workload&, std::size_t number) for every workload of one
// to `max_length` operations, shorter ones of the same beginning first. Answers
// how many workloads there are.
template <class Callback>
class Enumeration {
 public:
  Enumeration(const EnumerationOptions& options, Callback& callback)
      : options_(options), callback_(callback) {}

  std::size_t run() {
    FileTree tree;
    for (const Operation& operation : options_.start) {
      ODO_CHECK(perform(tree, operation).has_value());
    }
    extend(tree);
    return number_;
  }

 private:
  // Recursion no deeper than workloads are long.
  void extend(const FileTree& tree) {
    for (const Operation& operation : options_.grammar) {
      if (is_idle(operation)) continue;
      FileTree next = tree;
      if (!perform(next, operation)) continue;
      workload_.push_back(operation);
      const std::size_t number = number_++;
      if (number >= options_.first &&
          (number - options_.first) % options_.stride == 0) {
        callback_(std::as_const(workload_), number);
      }
      if (workload_.size() < options_.max_length) extend(next);
      workload_.pop_back();
    }
  }

  // Persisting again what nothing has changed since; a snapshot's label is free
  // but once.
  [[nodiscard]] bool is_idle(const Operation& operation) const {
    if (!only_persists(operation)) return false;
    if (workload_.empty()) return std::holds_alternative<Sync>(operation);
    for (const Operation& before : workload_) {
      if (std::holds_alternative<Snapshot>(operation) &&
          std::holds_alternative<Snapshot>(before)) {
        return true;
      }
    }
    return operation.index() == workload_.back().index();
  }

  const EnumerationOptions& options_;
  Callback& callback_;
  Workload workload_;
  std::size_t number_ = 0;
};

template <class Callback>
std::size_t for_each_workload(const EnumerationOptions& options,
                              Callback&& callback) {
  return Enumeration<std::remove_reference_t<Callback>>(options, callback)
      .run();
}

}  // namespace odo::hammer2::testing::model
