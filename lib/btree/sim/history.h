// SPDX-License-Identifier: BSD-3-Clause
// What operations on a map returned, and whether some order of them explains
// it: one in which each takes effect between its call and its return.
//
// Contexts: one host thread.
// Complexity: every order that time allows; for a dozen operations.
// Origin: Herlihy and Wing, "Linearizability: A Correctness Condition for
//   Concurrent Objects" (TOPLAS 12(3), 1990); the search is Wing and Gong's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace odo::btree {

class History {
 public:
  using Key = std::uint32_t;
  using Model = std::map<Key, Key>;
  using Found = std::optional<std::pair<Key, Key>>;

  enum class What : std::uint8_t { kFind, kInsert, kPut, kErase, kFirst };
  struct Operation {
    What what;
    Key key;
    Key value;     // to insert
    Found result;  // found, replaced, erased or in the way; none if nothing was
    std::uint64_t called;
    std::uint64_t returned;
  };

  void start_with(Model model) { start_ = std::move(model); }
  void add(const Operation& operation) { operations_.push_back(operation); }
  [[nodiscard]] std::size_t size() const { return operations_.size(); }

  // Is there an order that ends with `end`?
  [[nodiscard]] bool is_explained(const Model& end) const {
    std::vector<bool> done(operations_.size(), false);
    return explain(start_, end, done, 0);
  }

  // What the operation does to a map.
  static Found apply(const Operation& operation, Model& model) {
    if (operation.what == What::kFirst) {
      const auto it = model.lower_bound(operation.key);
      return it == model.end() ? Found() : Found(*it);
    }
    const auto it = model.find(operation.key);
    const Found before = it == model.end() ? Found() : Found(*it);
    if (operation.what == What::kPut ||
        (operation.what == What::kInsert && !before.has_value())) {
      model[operation.key] = operation.value;
    }
    if (operation.what == What::kErase) model.erase(operation.key);
    return before;
  }

 private:
  [[nodiscard]] bool explain(const Model& model, const Model& end,
                             std::vector<bool>& done, std::size_t count) const {
    if (count == operations_.size()) return model == end;
    for (std::size_t i = 0; i < operations_.size(); ++i) {
      if (done[i] || !may_be_next(i, done)) continue;
      Model after = model;
      if (!agrees(operations_[i], apply(operations_[i], after))) continue;
      done[i] = true;
      if (explain(after, end, done, count + 1)) return true;
      done[i] = false;
    }
    return false;
  }
  // Puts don't tell the value that they replaced.
  [[nodiscard]] static bool agrees(const Operation& operation,
                                   const Found& result) {
    if (operation.what == What::kInsert || operation.what == What::kPut) {
      return operation.result.has_value() == result.has_value();
    }
    return operation.result == result;
  }
  // Nobody returned before it was called who isn't done.
  [[nodiscard]] bool may_be_next(std::size_t i,
                                 const std::vector<bool>& done) const {
    for (std::size_t j = 0; j < operations_.size(); ++j) {
      if (!done[j] && operations_[j].returned < operations_[i].called) {
        return false;
      }
    }
    return true;
  }

  Model start_;
  std::vector<Operation> operations_;
};

}  // namespace odo::btree
