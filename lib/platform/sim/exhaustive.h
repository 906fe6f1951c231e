// SPDX-License-Identifier: BSD-3-Clause
// Choices by depth-first search over everything that could be chosen, with a
// bound on preemptions and with sleep sets. explore.h says why the two fit
// together.
//
// Contexts: one host thread. After each execution next() moves to the next one.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "lib/base/check.h"
#include "lib/platform/sim/choices.h"

namespace odo::sim {

class Exhaustive final : public Choices {
 public:
  explicit Exhaustive(unsigned preemption_bound) : bound_(preemption_bound) {}

  unsigned pick(Question question, unsigned count) override {
    Node& node = at_next();
    if (fresh_) {
      node.question = question;
      node.count = count;
    }
    ODO_CHECK(!node.is_schedule && node.question == question &&
              node.count == count);
    return node.chosen;
  }

  unsigned pick_read(unsigned count, std::size_t& node) override {
    node = position_;
    return pick(Question::kRead, count);
  }
  std::uint64_t future_value(std::size_t node, unsigned index) override {
    return nodes_[node].futures[index];
  }
  void offer_future(std::size_t node, std::uint64_t value) override {
    std::vector<std::uint64_t>& futures = nodes_[node].futures;
    if (std::find(futures.begin(), futures.end(), value) == futures.end()) {
      futures.push_back(value);
    }
  }

  unsigned schedule(std::span<const Candidate> candidates,
                    std::size_t running) override {
    Node& node = at_next();
    if (fresh_) {
      node.is_schedule = true;
      node.candidates.assign(candidates.begin(), candidates.end());
      node.running = running;
      node.sleep = sleep_;
      if (!first_option(node)) {
        nodes_.pop_back();
        return kPrune;
      }
    }
    ODO_CHECK(node.is_schedule && node.candidates.size() == candidates.size());
    const Candidate& chosen = node.candidates[node.chosen];
    if (node.running < candidates.size() && node.chosen != node.running) {
      ++preemptions_;
    }
    sleep_.clear();
    for (const std::vector<Candidate>* set : {&node.sleep, &node.explored}) {
      for (const Candidate& asleep : *set) {
        if (asleep.thread != chosen.thread &&
            !asleep.op.depends_on(chosen.op)) {
          sleep_.push_back(asleep);
        }
      }
    }
    return node.chosen;
  }

  // Moves on to the next execution; false when there is none.
  bool next() {
    position_ = 0;
    preemptions_ = 0;
    sleep_.clear();
    // A cut below a node that was pruned before it was kept counts for the
    // last node that is.
    if (cut_at_prune_ && !nodes_.empty()) nodes_.back().branch_cut = true;
    cut_at_prune_ = false;
    while (!nodes_.empty()) {
      Node& node = nodes_.back();
      if (advance(node)) return true;
      const bool cut = node.cut;
      nodes_.pop_back();
      if (!nodes_.empty() && cut) nodes_.back().branch_cut = true;
    }
    return false;
  }

  [[nodiscard]] std::vector<unsigned> answers() const override {
    std::vector<unsigned> all;
    all.reserve(nodes_.size());
    for (const Node& node : nodes_) all.push_back(node.chosen);
    return all;
  }

 private:
  struct Node {
    bool is_schedule = false;
    Question question = Question::kUser;
    unsigned count = 0;
    unsigned chosen = 0;
    std::vector<std::uint64_t> futures;
    // Of schedule nodes:
    std::vector<Candidate> candidates;
    std::size_t running = 0;
    std::vector<Candidate> sleep;     // when the node was reached
    std::vector<Candidate> explored;  // branches finished without a cut
    unsigned tried = 0;               // options taken so far, in option order
    bool may_preempt = true;
    bool branch_cut = false;  // the bound cut something below this branch
    bool cut = false;         // the bound cut something below this node
  };

  Node& at_next() {
    fresh_ = position_ == nodes_.size();
    if (fresh_) nodes_.emplace_back();
    return nodes_[position_++];
  }

  [[nodiscard]] static bool asleep(const Node& node, std::size_t index) {
    return std::any_of(node.sleep.begin(), node.sleep.end(),
                       [&](const Candidate& s) {
                         return s.thread == node.candidates[index].thread;
                       });
  }

  // Options in the order in which they are tried: the running thread first.
  [[nodiscard]] static std::size_t option(const Node& node, unsigned nth) {
    if (node.running >= node.candidates.size()) return nth;
    if (nth == 0) return node.running;
    return nth <= node.running ? nth - 1 : nth;
  }

  bool take_option(Node& node) {
    while (node.tried < node.candidates.size()) {
      const std::size_t index = option(node, node.tried++);
      if (asleep(node, index)) continue;
      if (!node.may_preempt && index != node.running) {
        node.cut = true;
        continue;
      }
      node.chosen = static_cast<unsigned>(index);
      return true;
    }
    return false;
  }

  bool first_option(Node& node) {
    node.may_preempt =
        preemptions_ < bound_ || node.running >= node.candidates.size();
    const bool found = take_option(node);
    if (!found && node.cut) cut_at_prune_ = true;
    return found;
  }

  bool advance(Node& node) {
    if (!node.is_schedule) {
      node.cut = node.cut || node.branch_cut;
      node.branch_cut = false;
      if (node.chosen + 1 >= node.count + node.futures.size()) return false;
      ++node.chosen;
      return true;
    }
    if (node.branch_cut) {
      node.cut = true;
      node.branch_cut = false;
    } else {
      node.explored.push_back(node.candidates[node.chosen]);
    }
    return take_option(node);
  }

  unsigned bound_;
  std::vector<Node> nodes_;
  std::size_t position_ = 0;
  bool fresh_ = false;
  unsigned preemptions_ = 0;
  bool cut_at_prune_ = false;
  std::vector<Candidate> sleep_;
};

}  // namespace odo::sim
