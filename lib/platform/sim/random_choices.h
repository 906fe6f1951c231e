// SPDX-License-Identifier: BSD-3-Clause
// Choices drawn from a seed, and choices read from a list.
//
// Contexts: one host thread.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "lib/base/check.h"
#include "lib/base/mix.h"
#include "lib/platform/sim/choices.h"

namespace odo::sim {

// Uniform, or by priorities as in PCT; one seed an execution.
class RandomChoices final : public Choices {
 public:
  enum class Policy : std::uint8_t { kUniform, kPct };

  RandomChoices(std::uint64_t seed, Policy policy, unsigned depth)
      : seed_(seed), policy_(policy), depth_(depth) {
    begin();
  }

  // The next execution has the next seed.
  void next() {
    longest_ = std::max(longest_, step_);
    ++seed_;
    begin();
  }
  [[nodiscard]] std::uint64_t seed() const { return seed_; }

  unsigned pick(Question question, unsigned count) override {
    unsigned answer = 0;
    // Most reads are of the newest store, and most operations succeed: an
    // execution in which everything is odd at once finds nothing.
    const bool tame = question != Question::kUser && draw() % 4 != 0;
    if (!tame) answer = static_cast<unsigned>(draw() % count);
    answers_.push_back(answer);
    return answer;
  }

  unsigned schedule(std::span<const Candidate> candidates,
                    std::size_t running) override {
    ++step_;
    unsigned answer = 0;
    if (policy_ == Policy::kUniform) {
      answer = running < candidates.size() && draw() % 2 == 0
                   ? static_cast<unsigned>(running)
                   : static_cast<unsigned>(draw() % candidates.size());
    } else {
      answer = by_priority(candidates, running);
    }
    answers_.push_back(answer);
    return answer;
  }

  [[nodiscard]] std::vector<unsigned> answers() const override {
    return answers_;
  }

 private:
  void begin() {
    state_ = seed_;
    step_ = 0;
    answers_.clear();
    for (std::vector<std::int64_t>& table : priorities_) table.clear();
    changes_.clear();
    for (unsigned i = 1; i < depth_; ++i) {
      changes_.push_back(1 + draw() % std::max<std::uint64_t>(longest_, 8));
    }
    lowest_ = 0;
  }

  std::uint64_t draw() {
    state_ += kMixStep;
    return mix(state_);
  }

  // Drawn when first asked for, and never 0 then. Interrupts, whose numbers are
  // large, have a table of their own.
  std::int64_t& priority(ThreadId thread) {
    constexpr unsigned kTableBits = 30;
    std::vector<std::int64_t>& table =
        priorities_[(thread >> kTableBits & 1) != 0 ? 1 : 0];
    const std::size_t at = thread & ((ThreadId{1} << kTableBits) - 1);
    if (at >= table.size()) table.resize(at + 1, 0);
    if (table[at] == 0) table[at] = static_cast<std::int64_t>(draw() >> 2) + 1;
    return table[at];
  }

  unsigned by_priority(std::span<const Candidate> candidates,
                       std::size_t running) {
    if (running < candidates.size() &&
        std::find(changes_.begin(), changes_.end(), step_) != changes_.end()) {
      priority(candidates[running].thread) = --lowest_;
    }
    std::size_t best = 0;
    std::int64_t highest = priority(candidates[0].thread);
    for (std::size_t i = 1; i < candidates.size(); ++i) {
      const std::int64_t value = priority(candidates[i].thread);
      if (value <= highest) continue;
      highest = value;
      best = i;
    }
    return static_cast<unsigned>(best);
  }

  std::uint64_t seed_;
  Policy policy_;
  unsigned depth_;
  std::uint64_t state_ = 0;
  std::uint64_t step_ = 0;
  std::uint64_t longest_ = 32;
  std::int64_t lowest_ = 0;
  std::vector<std::uint64_t> changes_;
  std::array<std::vector<std::int64_t>, 2> priorities_;
  std::vector<unsigned> answers_;
};

// The answers of one execution, given as "0,1,0,2"; past their end the tamest.
class Replay final : public Choices {
 public:
  explicit Replay(const char* text) : active_(text != nullptr) {
    while (text != nullptr && *text != '\0') {
      char* end = nullptr;
      given_.push_back(static_cast<unsigned>(std::strtoul(text, &end, 10)));
      if (end == text) break;
      text = *end == ',' ? end + 1 : end;
    }
  }
  [[nodiscard]] bool active() const { return active_; }

  unsigned pick(Question /*question*/, unsigned count) override {
    return answer(count);
  }
  unsigned schedule(std::span<const Candidate> candidates,
                    std::size_t /*running*/) override {
    return answer(static_cast<unsigned>(candidates.size()));
  }
  [[nodiscard]] std::vector<unsigned> answers() const override {
    return given_;
  }

 private:
  unsigned answer(unsigned count) {
    const unsigned given = position_ < given_.size() ? given_[position_] : 0;
    ++position_;
    return given < count ? given : 0;
  }

  bool active_;
  std::vector<unsigned> given_;
  std::size_t position_ = 0;
};

}  // namespace odo::sim
