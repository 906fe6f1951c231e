// SPDX-License-Identifier: BSD-3-Clause
// Shows the topology of whatever a medium holds, and what a walk promises of
// each visit.
//
// Contexts: fuzzers; hosted, one thread. A broken promise ends the program.
// Bounds: the references that there are, and those in kMaxRepeats blocks.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "fuzz/hammer2/session.h"
#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/hammer2/check/arena.h"
#include "lib/hammer2/check/space.h"
#include "lib/hammer2/format/constants.h"
#include "lib/hammer2/format/volume_header.h"
#include "lib/hammer2/inspect/topology.h"

namespace odo::hammer2::fuzz {

struct ShowChoice {
  bool read_data;
  // What has been reached is remembered of few places only.
  bool forgets;
};

template <class Medium>
class ShowSession {
 public:
  static constexpr std::uint64_t kMaxRepeats = 1000;

  // `arena` has room for a walk.
  static void run(Medium& medium, audit::Arena& arena, ShowChoice choice) {
    audit::SpaceMap space;
    const std::uint64_t bytes = medium.volumes().info().total_bytes;
    audit::Arena few;
    if (choice.forgets) {
      few = audit::Arena(arena.take<std::byte>(few_bytes(bytes)));
    }
    if (!space.init(choice.forgets ? few : arena, bytes)) return;
    Walk walk(medium.volumes(), medium.reader(), space);
    if (!walk.init(arena)) return;
    walk.limit({.repeats = kMaxRepeats, .read_data = choice.read_data});
    const auto got = medium.header(medium.volumes().info().header);
    if (!got) return check_told(got.error());
    const auto header = arena.take<std::byte>(got->size());
    if (header.empty()) return;
    copy_bytes(header, *got);
    Visitor visitor{choice};
    walk.run(header, visitor);
    ODO_CHECK(visitor.open == 0);
  }

 private:
  using Walk = inspect::TopologyWalk<typename Medium::Reader>;
  using State = inspect::State;
  using Reach = inspect::Reach;

  // For the map of a medium with what lies in one of its pages.
  [[nodiscard]] static std::size_t few_bytes(std::uint64_t bytes) {
    constexpr std::size_t kPageBytes = 2200;
    const std::uint64_t pages = bytes / audit::SpaceMap::kPageSpan + 1;
    return static_cast<std::size_t>(pages) * sizeof(void*) + kPageBytes;
  }

  // Every enter() has its leave(), and what is said of a block is no
  // contradiction.
  struct Visitor {
    ShowChoice choice;
    unsigned open = 0;

    inspect::Follow enter(const inspect::Visit& visit) {
      ODO_CHECK(visit.depth == open && open <= Walk::kMaxDepth);
      ++open;
      ODO_CHECK(!inspect::to_string(visit.state).empty());
      ODO_CHECK(!inspect::to_string(visit.reach).empty());
      ODO_CHECK(visit.entry_name().size() <= format::kInodeNameBytes);
      ODO_CHECK(visit.inode_name().size() <= format::kInodeNameBytes);
      ODO_CHECK(visit.pfs.size() <= format::kInodeNameBytes);
      ODO_CHECK((visit.state == State::kBad) == visit.error.has_value());
      if (visit.error) check_told(*visit.error);
      if (visit.freemap()) {
        expect_freemap(visit);
      } else {
        expect_block(visit);
      }
      return inspect::Follow::kYes;
    }
    void leave(const format::Blockref&, unsigned depth) {
      ODO_CHECK(open > 0 && depth == open - 1);
      --open;
    }

   private:
    static void expect_freemap(const inspect::Visit& visit) {
      ODO_CHECK(visit.pfs.empty() && visit.reach == Reach::kUnknown);
      ODO_CHECK(visit.block.size() ==
                (visit.state == State::kGood ? format::kFreemapBlockBytes : 0));
    }
    void expect_block(const inspect::Visit& visit) const {
      const bool data = visit.ref.type == format::BlockType::kData;
      if (visit.state == State::kGood || visit.state == State::kUnchecked) {
        ODO_CHECK(visit.block.size() ==
                  (data ? 0 : std::size_t{1} << visit.ref.radix()));
        ODO_CHECK(!data || choice.read_data);
        ODO_CHECK(choice.forgets || visit.reach != Reach::kUnknown);
      }
      if (visit.state == State::kNoBlock) {
        ODO_CHECK(visit.ref.type == format::BlockType::kDirent);
      }
      // What is the same again is neither read nor followed.
      if (visit.reach == Reach::kAgain) {
        ODO_CHECK(!data && visit.state == State::kNotRead);
      }
      ODO_CHECK(visit.state == State::kBad ||
                visit.inode().has_value() ==
                    (visit.ref.type == format::BlockType::kInode &&
                     visit.state != State::kNotRead));
    }
  };
};

}  // namespace odo::hammer2::fuzz
