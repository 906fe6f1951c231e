// SPDX-License-Identifier: BSD-3-Clause
// Breaks a component on purpose, one memory order at a time, to see whether its
// tests notice.
//
// A site is a place in the source where an atomic operation or a fence stands.
// A first run of the tests records the sites, and which programs come there;
// then each site's order is weakened in each possible way, and the tests must
// fail. A program that never comes to a site does the same as before, whatever
// its order, so that only the others need be run.
//
// Contexts: one host thread.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <source_location>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "lib/platform/sim/trace.h"

namespace odo::sim {

enum class SiteKind : std::uint8_t { kLoad, kStore, kUpdate, kFence };

struct Mutation {
  std::string file;  // as the compiler names it
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  SiteKind kind = SiteKind::kLoad;
  std::memory_order from = std::memory_order_relaxed;
  std::memory_order to = std::memory_order_relaxed;

  [[nodiscard]] std::string name() const {
    const auto slash = file.rfind('/');
    const std::string base =
        slash == std::string::npos ? file : file.substr(slash + 1);
    return base + ":" + std::to_string(line) + ":" + std::to_string(column) +
           " " + order_name(from) + " -> " +
           (kind == SiteKind::kFence && to == std::memory_order_relaxed
                ? "none"
                : order_name(to));
  }
};

class Mutator {
 public:
  static constexpr std::uint64_t kNoLimit = ~std::uint64_t{0};

  // Records the sites whose file name ends in `component` (a folder or file,
  // such as "lib/tokens/"); anything else isn't the component's.
  explicit Mutator(std::string component) : component_(std::move(component)) {}

  // From now on this one order is weakened; nullptr for none.
  void apply(const Mutation* mutation) { active_ = mutation; }

  // From now on a program is given up after so many executions.
  void limit(std::uint64_t executions) { most_executions_ = executions; }
  [[nodiscard]] std::uint64_t most_executions() const {
    return most_executions_;
  }

  // Before each program. False where it never comes to the site that is
  // weakened: then it needn't be run.
  [[nodiscard]] bool begin_program(const std::string& name) {
    if (active_ == nullptr) {
      programs_.push_back(name);
      return true;
    }
    const auto site =
        sites_.find(Key{active_->file, active_->line, active_->column,
                        active_->kind, active_->from});
    return site == sites_.end() ||
           std::ranges::any_of(site->second, [&](std::size_t number) {
             return number == 0 || programs_[number - 1] == name;
           });
  }

  [[nodiscard]] std::memory_order order(std::memory_order order, SiteKind kind,
                                        const std::source_location& where) {
    if (active_ == nullptr) {
      record(order, kind, where);
      return order;
    }
    const bool hit = where.line() == active_->line &&
                     where.column() == active_->column &&
                     kind == active_->kind && order == active_->from &&
                     active_->file == where.file_name();
    return hit ? active_->to : order;
  }

  [[nodiscard]] std::size_t sites() const { return sites_.size(); }

  // Every order next weaker than a recorded one. Next weaker is enough: if the
  // tests notice that, they notice what is weaker still.
  [[nodiscard]] std::vector<Mutation> mutations() const {
    std::vector<Mutation> all;
    for (const auto& [key, unused] : sites_) {
      const auto& [file, line, column, kind, from] = key;
      for (const std::memory_order to : weaker(kind, from)) {
        all.push_back({file, line, column, kind, from, to});
      }
    }
    return all;
  }

 private:
  using Key = std::tuple<std::string, std::uint32_t, std::uint32_t, SiteKind,
                         std::memory_order>;

  void record(std::memory_order order, SiteKind kind,
              const std::source_location& where) {
    const std::string file = where.file_name();
    if (file.find(component_) == std::string::npos) return;
    // Each operation of the first run comes here: programs come one after the
    // other, so that a look at the last suffices.
    std::vector<std::size_t>& programs =
        sites_[Key{file, where.line(), where.column(), kind, order}];
    if (programs.empty() || programs.back() != programs_.size()) {
      programs.push_back(programs_.size());
    }
  }

  [[nodiscard]] static std::vector<std::memory_order> weaker(
      SiteKind kind, std::memory_order order) {
    const auto relaxed = std::memory_order_relaxed;
    const auto acquire = std::memory_order_acquire;
    const auto release = std::memory_order_release;
    const auto acq_rel = std::memory_order_acq_rel;
    switch (order) {
      case std::memory_order_seq_cst:
        if (kind == SiteKind::kLoad) return {acquire};
        if (kind == SiteKind::kStore) return {release};
        return {acq_rel};
      case std::memory_order_acq_rel:
        return {acquire, release};
      case std::memory_order_acquire:
      case std::memory_order_consume:
      case std::memory_order_release:
        return {relaxed};
      case std::memory_order_relaxed:
        return {};
    }
    return {};
  }

  std::string component_;
  const Mutation* active_ = nullptr;
  std::uint64_t most_executions_ = kNoLimit;
  std::vector<std::string> programs_;  // of the first run
  // By numbers, from 1 on, of the programs that come there; 0 is none of them.
  std::map<Key, std::vector<std::size_t>> sites_;
};

}  // namespace odo::sim
