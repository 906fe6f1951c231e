// SPDX-License-Identifier: BSD-3-Clause
// The topology as it is walked here against what `hammer2 show` and `hammer2
// freemap` print of every reference image: the same references, each with the
// same place, type, key and number of key bits.
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "lib/hammer2/inspect/medium.h"
#include "lib/hammer2/inspect/topology.h"
#include "lib/hammer2/testing/corpus.h"
#include "lib/hammer2/testing/run_check.h"
#include "lib/hammer2/testing/tree_check.h"

namespace odo::hammer2::inspect {
namespace {

using testing::corpus_folder;
using testing::Json;
using testing::Reference;

// "inode 8800c0a key 0/0", with how often it is referred to.
using Refs = std::map<std::string, int>;

std::string describe(const std::string& type, std::uint64_t data_off,
                     std::uint64_t key, unsigned bits) {
  std::ostringstream line;
  line << type << std::hex << " " << data_off << " key " << key << std::dec
       << "/" << bits;
  return line.str();
}

// Lines like "  inode.12  0000000008800c0a d6e8905688708001/0", after the line
// of the header in use.
Refs refs_of_dump(const std::string& text) {
  Refs refs;
  std::istringstream in(text);
  std::string line;
  while (std::getline(in, line)) {
    std::istringstream words(line);
    std::string name;
    std::string data_off;
    std::string key;
    if (!(words >> name >> data_off >> key)) continue;
    const std::size_t dot = name.find('.');
    const std::size_t slash = key.find('/');
    if (dot == std::string::npos || data_off.size() != 16 || slash != 16) {
      continue;
    }
    const std::string type = name.substr(0, dot);
    if (type == "volume" || type == "freemap") continue;
    ++refs[describe(type, std::stoull(data_off, nullptr, 16),
                    std::stoull(key.substr(0, 16), nullptr, 16),
                    static_cast<unsigned>(std::stoul(key.substr(17))))];
  }
  return refs;
}

struct Collector {
  Refs topology;
  Refs freemap;
  std::vector<std::string> bad;

  Follow enter(const Visit& visit) {
    static const std::map<format::BlockType, std::string> kNames = {
        {format::BlockType::kInode, "inode"},
        {format::BlockType::kIndirect, "indirect"},
        {format::BlockType::kData, "data"},
        {format::BlockType::kDirent, "dirent"},
        {format::BlockType::kFreemapNode, "freemap_node"},
        {format::BlockType::kFreemapLeaf, "freemap_leaf"},
    };
    const auto it = kNames.find(visit.ref.type);
    ++(visit.freemap() ? freemap : topology)[describe(
        it == kNames.end() ? "?" : it->second, visit.ref.data_off,
        visit.ref.key, visit.ref.keybits)];
    if (visit.error) bad.push_back(testing::text_of(*visit.error));
    return Follow::kYes;
  }
  void leave(const format::Blockref&, unsigned) {}
};

void compare(const Refs& ours, const Refs& theirs, const std::string& name) {
  int shown = 0;
  std::set<std::string> all;
  for (const auto& [ref, count] : ours) all.insert(ref);
  for (const auto& [ref, count] : theirs) all.insert(ref);
  for (const std::string& ref : all) {
    const int here = ours.contains(ref) ? ours.at(ref) : 0;
    const int there = theirs.contains(ref) ? theirs.at(ref) : 0;
    if (here != there && ++shown <= 10) {
      ADD_FAILURE() << name << ": " << ref << ": " << here
                    << " times, in the dump " << there;
    }
  }
}

std::vector<std::string> image_names() {
  std::vector<std::string> names;
  const auto folder = corpus_folder();
  if (!folder) return names;
  const Json index = testing::read_json(*folder + "/index.json");
  const Json& images = index.is_array() ? index : index.at("images");
  for (const Json& image : images) names.push_back(image.at("name"));
  return names;
}

class Dumps : public ::testing::TestWithParam<std::string> {};

TEST_P(Dumps, NameTheSameReferences) {
  const std::string folder = *corpus_folder();
  const std::string dump = folder + "/dumps/" + GetParam();
  Reference reference = Reference::load(folder, GetParam());
  std::vector<block::FileDevice*> devices;
  for (block::FileDevice& device : reference.devices) {
    devices.push_back(&device);
  }
  audit::Arena arena(testing::check_memory());
  auto medium = std::make_unique<Medium<block::FileDevice>>(
      VerifyChecks(testing::host_checks()));
  const auto opened = medium->open(devices, arena);
  ASSERT_TRUE(opened) << testing::text_of(opened.error());
  EXPECT_FALSE(medium->mended());
  audit::SpaceMap space;
  ASSERT_TRUE(space.init(arena, medium->volumes().info().total_bytes));
  TopologyWalk walk(medium->volumes(), medium->reader(), space);
  ASSERT_TRUE(walk.init(arena));
  const auto header = medium->header(medium->volumes().info().header);
  ASSERT_TRUE(header);
  Collector ours;
  walk.run(*header, ours);
  for (const std::string& line : ours.bad) ADD_FAILURE() << line;
  EXPECT_FALSE(ours.topology.empty());
  // Of one image there is no dump but of the headers.
  if (std::ifstream(dump + ".show.txt.zst")) {
    const Refs theirs = refs_of_dump(testing::read_text(dump + ".show.txt"));
    EXPECT_FALSE(theirs.empty());
    compare(ours.topology, theirs, "show");
    compare(ours.freemap,
            refs_of_dump(testing::read_text(dump + ".freemap.txt")), "freemap");
  } else {
    EXPECT_EQ(GetParam(), "multi-volume");
  }
}

INSTANTIATE_TEST_SUITE_P(Images, Dumps, ::testing::ValuesIn(image_names()),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Dumps);

TEST(DumpsList, IsThere) {
  if (!corpus_folder()) GTEST_SKIP() << "no corpus: ODO_CORPUS_DIR is not set";
  EXPECT_FALSE(image_names().empty());
}

}  // namespace
}  // namespace odo::hammer2::inspect
