// SPDX-License-Identifier: BSD-3-Clause
// The reader against the genuine image in testdata/ and its damaged variants:
// what corpus_test.cc does for all reference images, wherever the tree goes.
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "lib/hammer2/filesystem.h"
#include "lib/hammer2/testing/corpus.h"
#include "lib/hammer2/testing/damage_check.h"
#include "lib/hammer2/testing/tree_check.h"

namespace odo::hammer2::testing {
namespace {

class TestdataTest : public ::testing::Test {
 protected:
  static Reference& reference() {
    static Reference links = [] {
      Reference made;
      made.manifest = read_json("testdata/links.json");
      made.devices.push_back(Reference::open("testdata/links.img.zst"));
      return made;
    }();
    return links;
  }
};

TEST_F(TestdataTest, ShowsWhatTheManifestSays) {
  FileSystem<block::FileDevice> fs{VerifyChecks(host_checks())};
  std::vector<std::byte> memory(FileSystem<block::FileDevice>::kMinMemoryBytes);
  block::FileDevice* devices[] = {&reference().devices.front()};
  ASSERT_TRUE(fs.open(devices, memory));
  Pfs pfs;
  ASSERT_TRUE(fs.default_pfs(pfs));
  EXPECT_EQ(pfs.label(), "DATA");
  Node root;
  ASSERT_TRUE(fs.root(pfs, root));
  TreeCheck<block::FileDevice> check(fs);
  const Json& tree = reference().manifest.at("trees").at("DATA");
  for (const std::string& line : check.compare(root, tree)) {
    ADD_FAILURE() << line;
  }
  // The comparison itself can fail.
  Json other = tree;
  other.erase(other.size() - 1);
  other[1]["nlink"] = 77;
  EXPECT_EQ(check.compare(root, other).size(), 2U);
}

TEST_F(TestdataTest, DamageIsNamedOrHarmless) {
  const Json patches = read_json("testdata/links.patches.json");
  DamageCheck check(reference().devices.front(), reference().manifest);
  for (const Json& patch : patches.at("patches")) check.run(patch);
}

}  // namespace
}  // namespace odo::hammer2::testing
