// SPDX-License-Identifier: BSD-3-Clause
// The reader against every reference image and every damaged variant.
#include "lib/hammer2/testing/corpus.h"

#include <array>
#include <cstdio>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "lib/hammer2/filesystem.h"
#include "lib/hammer2/format/uuid.h"
#include "lib/hammer2/testing/damage_check.h"
#include "lib/hammer2/testing/run_check.h"
#include "lib/hammer2/testing/tree_check.h"

namespace odo::hammer2::testing {
namespace {

// Named here so that a run without the corpus can say what it leaves out;
// CorpusTest.ListIsComplete compares with the corpus's own index.
constexpr std::array kImages = {
    "bigdir-sha192",
    "bigdir",
    "bigfile-40m-lz4",
    "bigfile-40m",
    "bigfile-two-level",
    "check-disabled",
    "check-freemap",
    "check-iscsi32",
    "check-none",
    "check-sha192",
    "check-xxhash64",
    "collisions",
    "comp-autozero",
    "comp-check-mix",
    "comp-lz4",
    "comp-none",
    "comp-zlib",
    "deep",
    "destroyed-bulkfree",
    "destroyed",
    "duplicates",
    "empty",
    "generations-2",
    "generations",
    "growfs",
    "links",
    "mount-label",
    "mtimes",
    "multi-volume-empty",
    "multi-volume-small",
    "multi-volume",
    "names",
    "newfs-labels",
    "newfs-min",
    "newfs-odd",
    "one-small",
    "owners-devices",
    "pfs-labels-many",
    "pfs-many",
    "random-mix",
    "realistic-other",
    "realistic",
    "reused-space",
    "sizes-nocomp",
    "sizes",
    "small-populated",
    "snapshots",
    "sparse-big",
    "sparse-small",
    "version-1",
    "volhdr-2",
    "volhdr-3",
    "volhdr-4",
};
constexpr std::array kDamaged = {
    "bigdir-sha192", "check-iscsi32", "check-none", "check-sha192",
    "collisions",    "comp-lz4",      "comp-zlib",  "generations-2",
    "generations",   "links",         "names",      "small-populated",
    "snapshots",
};
// Too much data for a sanitizer build.
const std::set<std::string> kLarge = {
    "multi-volume", "bigfile-two-level", "sparse-big",  "bigdir",
    "bigfile-40m",  "bigfile-40m-lz4",   "sparse-small"};

std::string test_name(const ::testing::TestParamInfo<const char*>& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

class CorpusTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    folder_ = corpus_folder();
    if (!folder_) GTEST_SKIP() << "no corpus: ODO_CORPUS_DIR is not set";
  }

  std::optional<std::string> folder_;
};

class CorpusTree : public CorpusTest {
 protected:
  void SetUp() override {
    CorpusTest::SetUp();
    if (folder_ && sanitized() && kLarge.contains(GetParam())) {
      GTEST_SKIP() << "too large for a sanitizer build";
    }
  }

  void open(std::size_t memory_bytes) {
    reference_ = Reference::load(*folder_, GetParam());
    pointers_.clear();
    for (block::FileDevice& device : reference_.devices) {
      pointers_.push_back(&device);
    }
    // Volumes may be given in any order.
    std::reverse(pointers_.begin(), pointers_.end());
    memory_.resize(memory_bytes);
    const auto opened = fs_.open(pointers_, memory_);
    ASSERT_TRUE(opened) << text_of(opened.error());
  }

  void compare_header();
  void compare_pfs_list();
  void check_whole();

  Reference reference_;
  std::vector<block::FileDevice*> pointers_;
  std::vector<std::byte> memory_;
  FileSystem<block::FileDevice> fs_{VerifyChecks(host_checks())};
};

std::uint64_t number(const Json& header, const char* field) {
  return std::stoull(header.at(field).get<std::string>(), nullptr, 0);
}

// The fields that `hammer2 volhdr` prints of the header in use.
void CorpusTree::compare_header() {
  const VolumeInfo& info = fs_.info();
  EXPECT_EQ(info.volumes, reference_.devices.size());
  bool found = false;
  for (const Json& header : reference_.manifest.at("volume_headers")) {
    if (number(header, "volu_id") != 0 || header.at("header") != info.header) {
      continue;
    }
    found = true;
    EXPECT_EQ(info.version, number(header, "version"));
    EXPECT_EQ(info.mirror_tid, number(header, "mirror_tid"));
    EXPECT_EQ(info.freemap_tid, number(header, "freemap_tid"));
    EXPECT_EQ(info.allocator_bytes, number(header, "allocator_size"));
    EXPECT_EQ(info.free_bytes, number(header, "allocator_free"));
    EXPECT_EQ(info.boot_beg, number(header, "boot_beg"));
    EXPECT_EQ(info.boot_end, number(header, "boot_end"));
    EXPECT_EQ(info.aux_beg, number(header, "aux_beg"));
    EXPECT_EQ(info.aux_end, number(header, "aux_end"));
    const auto fsid = format::uuid_text(info.fsid);
    EXPECT_EQ(std::string(fsid.data(), fsid.size()),
              header.at("fsid").get<std::string>());
  }
  EXPECT_TRUE(found);
  std::uint64_t total = 0;
  for (const Json& volume : reference_.manifest.at("volumes")) {
    total += volume.at("bytes").get<std::uint64_t>();
  }
  // Formatting rounds an image down to whole 8 MiB.
  EXPECT_LE(info.total_bytes, total);
  EXPECT_LT(total - info.total_bytes,
            format::kVolumeAlignBytes * reference_.devices.size());
}

void CorpusTree::compare_pfs_list() {
  std::map<std::string, const Json*> expected;
  for (const Json& pfs : reference_.manifest.at("pfs")) {
    const std::string label = pfs.at("label");
    if (label != "SUPROOT") expected[label] = &pfs;
  }
  DirCursor cursor;
  Pfs pfs;
  for (;;) {
    const auto more = fs_.next_pfs(cursor, pfs);
    ASSERT_TRUE(more) << text_of(more.error());
    if (!*more) break;
    const auto it = expected.find(std::string(pfs.label()));
    ASSERT_NE(it, expected.end()) << pfs.label();
    const Json& entry = *it->second;
    const auto clid = format::uuid_text(pfs.clid);
    EXPECT_EQ(std::string(clid.data(), clid.size()),
              entry.at("pfs_clid").get<std::string>());
    EXPECT_EQ(pfs.last_inum, number(entry, "pfs_inum"));
    const std::string type = entry.at("pfs_type");
    EXPECT_NE(type.find("(" + std::string(to_string(pfs.type)) + ")"),
              std::string::npos);
    const std::string subtype = entry.at("pfs_subtype");
    EXPECT_NE(subtype.find("(" + std::string(to_string(pfs.subtype)) + ")"),
              std::string::npos);
    expected.erase(it);
  }
  for (const auto& [label, entry] : expected) ADD_FAILURE() << "no " << label;
}

// A complete check has no complaint, and counts what fsck_hammer2 counts, which
// does so for each header.
void CorpusTree::check_whole() {
  std::set<std::array<unsigned long, 4>> counted;
  for (const std::string line : reference_.manifest.at("fsck").at("output")) {
    std::array<unsigned long, 4> n = {};
    if (std::sscanf(line.c_str(),
                    " %*u blockref (%lu inode, %lu indirect, %lu data, "
                    "%lu dirent)",
                    &n[0], &n[1], &n[2], &n[3]) == 4) {
      counted.insert(n);
    }
  }
  const CheckResult result =
      run_check(std::span<block::FileDevice* const>(pointers_),
                {.decode = true}, check_memory(), VerifyChecks(host_checks()));
  for (const Found& found : result.findings) {
    ADD_FAILURE() << "@" << found.pfs << " " << found.path << ": "
                  << found.text;
  }
  const audit::Totals& totals = result.verdicts.totals;
  const std::array<unsigned long, 4> ours = {totals.inodes, totals.indirects,
                                             totals.data, totals.dirents};
  EXPECT_TRUE(counted.contains(ours))
      << ours[0] << " inode, " << ours[1] << " indirect, " << ours[2]
      << " data, " << ours[3] << " dirent: not what fsck_hammer2 counts";
}

TEST_P(CorpusTree, ShowsWhatTheManifestSays) {
  // Small memory on purpose: the cache turns over many times.
  ASSERT_NO_FATAL_FAILURE(
      open(FileSystem<block::FileDevice>::kMinMemoryBytes + (1 << 19)));
  compare_header();
  compare_pfs_list();
  check_whole();
  TreeCheck<block::FileDevice> check(fs_);
  DirCursor cursor;
  Pfs pfs;
  for (;;) {
    const auto more = fs_.next_pfs(cursor, pfs);
    ASSERT_TRUE(more) << text_of(more.error());
    if (!*more) break;
    Node root;
    ASSERT_TRUE(fs_.root(pfs, root));
    const std::string label(pfs.label());
    const Json& trees = reference_.manifest.at("trees");
    if (trees.contains(label)) {
      for (const std::string& line : check.compare(root, trees.at(label))) {
        ADD_FAILURE() << label << ": " << line;
      }
    } else {  // empty, the README says
      DirCursor entries;
      DirEntry entry;
      const auto any = fs_.read_directory(root, entries, entry);
      ASSERT_TRUE(any) << text_of(any.error());
      EXPECT_FALSE(*any) << label << " holds " << entry.name();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Images, CorpusTree, ::testing::ValuesIn(kImages),
                         test_name);

class CorpusDamage : public CorpusTest {};

TEST_P(CorpusDamage, IsNamedOrHarmless) {
  Reference reference = Reference::load(*folder_, GetParam());
  ASSERT_EQ(reference.devices.size(), 1U);
  const Json patches = read_json(*folder_ + "/patches/" + GetParam() + ".json");
  DamageCheck check(reference.devices.front(), reference.manifest);
  // A sanitizer build tries every fifth.
  const std::size_t stride = sanitized() ? 5 : 1;
  const Json& list = patches.at("patches");
  for (std::size_t i = 0; i < list.size(); i += stride) check.run(list[i]);
  // Data without a check code in one image, ten variants.
  if (stride == 1) {
    EXPECT_EQ(check.unnoticed(),
              std::string_view(GetParam()) == "check-none" ? 10U : 0U);
  }
}

INSTANTIATE_TEST_SUITE_P(Images, CorpusDamage, ::testing::ValuesIn(kDamaged),
                         test_name);

TEST(CorpusList, IsComplete) {
  const auto folder = corpus_folder();
  if (!folder) GTEST_SKIP() << "no corpus: ODO_CORPUS_DIR is not set";
  std::set<std::string> listed(kImages.begin(), kImages.end());
  std::set<std::string> there;
  const Json index = read_json(*folder + "/index.json");
  const Json& images = index.is_array() ? index : index.at("images");
  for (const Json& image : images) there.insert(image.at("name"));
  EXPECT_EQ(listed, there);
}

}  // namespace
}  // namespace odo::hammer2::testing
