// SPDX-License-Identifier: BSD-3-Clause
#include "fuzz/hammer2/mutator.h"

#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "fuzz/hammer2/sparse_device.h"
#include "fuzz/hammer2/testing/built_images.h"
#include "gtest/gtest.h"
#include "lib/hammer2/testing/run_check.h"

namespace odo::hammer2::fuzz {
namespace {

Mutator::ByteMutator flipping(std::uint32_t seed) {
  return [random = std::mt19937(seed)](MutableBytes bytes) mutable {
    bytes[random() % bytes.size()] ^=
        static_cast<std::byte>(1 + random() % 255);
  };
}

testing::CheckResult check(const Container& container) {
  Meter meter;
  const Devices devices(container, meter);
  return testing::run_check(devices.all(), {.decode = true});
}

// How many findings say that a check code doesn't fit.
std::size_t mismatches(const Container& container) {
  std::size_t count = 0;
  for (const testing::Found& found : check(container).findings) {
    const bool header = found.finding.rule == audit::Rule::kVolumeHeader;
    if (header || found.finding.at.code == Code::kCheckMismatch) ++count;
  }
  return count;
}

// Changes a byte of each block in turn.
TEST(TopologyTest, SealingMakesEveryChangeBelieved) {
  const Container original = built_container();
  ASSERT_EQ(check(original).verdicts.errors, 0U);
  Container seen = original;
  const std::size_t nodes = Topology(seen).nodes().size();
  EXPECT_GE(nodes, 15U);
  for (std::size_t n = 0; n < nodes; ++n) {
    Container changed = original;
    Topology topology(changed);
    const Place block = topology.nodes()[n].place;
    // The length of an inode's name, the class of a freemap's first entry, a
    // part of the header that nobody looks at: nothing that hides other blocks.
    const Place at{block.volume, block.offset + 0xd8, 1};
    changed.volumes[0].bytes.write(at.offset, std::vector(1, std::byte{0x5a}));
    EXPECT_EQ(mismatches(changed), 1U) << n;
    topology.seal({at});
    EXPECT_EQ(mismatches(changed), 0U) << n;
  }
}

TEST(TopologyTest, SealsEveryMethod) {
  for (unsigned method = 0; method < 6; ++method) {
    Container container = built_container();
    Topology topology(container);
    std::vector<Place> changed;
    for (const Topology::Ref& ref : topology.refs()) {
      if (ref.child == Topology::kNone) continue;
      if (topology.nodes()[ref.child].type == BlockType::kFreemapLeaf) continue;
      Place at = topology.place_of(ref);
      at.offset += offsetof(Blockref, methods);
      at.length = 1;
      container.volumes[0].bytes.write(
          at.offset, std::vector(1, static_cast<std::byte>(method << 4)));
      changed.push_back(at);
    }
    topology.seal(changed);
    EXPECT_EQ(check(container).verdicts.errors, 0U) << method;
  }
}

TEST(TopologyTest, FindsWhatTheReaderFinds) {
  Container container = built_container();
  const Topology topology(container);
  std::map<BlockType, unsigned> count;
  for (const Topology::Node& node : topology.nodes()) ++count[node.type];
  EXPECT_EQ(count[BlockType::kVolume], 1U);
  EXPECT_EQ(count[BlockType::kInode], 7U);  // three roots, four nodes
  EXPECT_EQ(count[BlockType::kIndirect], 4U);
  EXPECT_EQ(count[BlockType::kData], 6U);
  EXPECT_EQ(count[BlockType::kDirent], 1U);  // the long name's
  EXPECT_EQ(count[BlockType::kFreemapLeaf], 1U);
}

TEST(TopologyTest, ChildrenComeBeforeParents) {
  Container container = built_container();
  const Topology topology(container);
  std::set<std::size_t> done;
  for (const std::size_t n : topology.order()) {
    for (const std::size_t r : topology.nodes()[n].refs) {
      const std::size_t child = topology.refs()[r].child;
      EXPECT_TRUE(child == Topology::kNone || done.contains(child));
    }
    done.insert(n);
  }
  EXPECT_EQ(done.size(), topology.nodes().size());
}

TEST(TopologyTest, KeepsItsLimits) {
  Container container = built_container();
  EXPECT_LE(Topology(container, {.nodes = 5, .refs = 100}).nodes().size(), 5U);
  EXPECT_LE(Topology(container, {.nodes = 50, .refs = 7}).refs().size(), 7U);
}

TEST(MutatorTest, TheSameSeedGivesTheSame) {
  const Container original = built_container();
  std::set<std::vector<std::byte>> results;
  for (std::uint32_t seed = 0; seed < 200; ++seed) {
    Container one = original;
    Container two = original;
    Mutator(seed, flipping(seed)).mutate(one);
    Mutator(seed, flipping(seed)).mutate(two);
    const auto encoded = encode(one);
    EXPECT_EQ(encoded, encode(two));
    results.insert(encoded);
  }
  EXPECT_GT(results.size(), 150U);
}

// Most changes are sealed, so that they get behind the check codes, and all
// sorts of rules are broken.
TEST(MutatorTest, ChangesGetBehindCheckCodes) {
  const Container original = built_container();
  std::map<audit::Rule, unsigned> broken;
  std::map<Code, unsigned> codes;
  unsigned unsealed = 0;
  constexpr std::uint32_t kRounds = 1500;
  for (std::uint32_t seed = 0; seed < kRounds; ++seed) {
    Container changed = original;
    Mutator(seed, flipping(seed)).mutate(changed);
    EXPECT_EQ(encode(decode(encode(changed))), encode(changed));
    bool mismatch = false;
    for (const testing::Found& found : check(changed).findings) {
      ++broken[found.finding.rule];
      if (audit::has_code(found.finding.rule)) ++codes[found.finding.at.code];
      mismatch = mismatch || found.finding.at.code == Code::kCheckMismatch;
    }
    if (mismatch) ++unsealed;
  }
  EXPECT_LT(unsealed, kRounds / 4);
  EXPECT_GT(unsealed, kRounds / 100);
  EXPECT_GE(broken.size(), 20U);
  EXPECT_GE(codes.size(), 12U);
}

TEST(MutatorTest, NothingComesOfNothing) {
  Container empty;
  for (std::uint32_t seed = 0; seed < 100; ++seed) {
    Mutator(seed, flipping(seed)).mutate(empty);
  }
  Container blank;
  blank.volumes.resize(1);
  blank.volumes[0].size = 1 << 20;
  Mutator mutator(1, flipping(1));
  EXPECT_FALSE(mutator.splice(blank, empty));
}

TEST(MutatorTest, SplicesSubTrees) {
  std::set<std::vector<std::byte>> results;
  for (std::uint32_t seed = 0; seed < 50; ++seed) {
    Container to = built_container();
    Container from = built_container();
    Mutator(seed, flipping(seed)).mutate(from);
    EXPECT_TRUE(Mutator(seed + 1, flipping(seed)).splice(to, from));
    results.insert(encode(to));
  }
  EXPECT_GT(results.size(), 30U);
}

}  // namespace
}  // namespace odo::hammer2::fuzz
