// SPDX-License-Identifier: BSD-3-Clause
// The complete check on built volumes: a sound one, and for each rule one in
// which only that rule is broken.
#include "lib/hammer2/check/checker.h"

#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "lib/block/memory_device.h"
#include "lib/hammer2/testing/image_builder.h"
#include "lib/hammer2/testing/run_check.h"

namespace odo::hammer2::testing {
namespace {

using audit::Rule;

std::string names_of(const std::vector<Found>& findings) {
  std::string names;
  for (const Found& found : findings) {
    if (!names.empty()) names += ", ";
    names += audit::info_of(found.finding.rule).name;
  }
  return names;
}

std::string texts_of(const std::vector<Found>& findings) {
  std::string texts;
  for (const Found& found : findings) {
    texts += "@" + found.pfs + " " + found.path + ": " + found.text + "\n";
  }
  return texts;
}

// A volume with a bit of everything, whose parts a test may change before they
// are put together.
struct Sample {
  ImageBuilder image;
  Inode file = ImageBuilder::file(1024, 3 << 16);
  Inode small = ImageBuilder::embedded(1025, "small");
  Inode folder = ImageBuilder::directory(1026);
  Inode link = ImageBuilder::embedded(1027, "dir/file", ObjectType::kSymlink);
  Inode inner = ImageBuilder::directory(1028);
  Inode root = ImageBuilder::directory(1);
  std::vector<Blockref> data;     // of `file`
  std::vector<Blockref> entries;  // of the root
  std::vector<Blockref> in_folder;
  std::vector<Blockref> index;
  // Applied to the references of the index when they are made.
  std::function<void(Blockref&)> change_indexed = [](Blockref&) {};
  std::function<void(std::vector<Blockref>&)> change_pfss =
      [](std::vector<Blockref>&) {};
  std::function<void(Blockref&)> change_super = [](Blockref&) {};

  explicit Sample(std::size_t bytes = ImageBuilder::kDefaultBytes)
      : image(bytes) {
    image.make_freemap();
    for (std::uint64_t i = 0; i < 3; ++i) {
      data.push_back(
          image.put(BlockType::kData, as_bytes("data"), i << 16, 16));
    }
    file.meta.nlinks = 2;
    inner.meta.iparent = 1026;
    in_folder = {
        image.dirent("file", 1024, ObjectType::kRegular),
        image.dirent(std::string(100, 'n'), 1027, ObjectType::kSymlink),
        image.dirent("inner", 1028, ObjectType::kDirectory),
    };
    entries = {
        image.dirent("file", 1024, ObjectType::kRegular),
        image.dirent("small", 1025, ObjectType::kRegular),
        image.dirent("dir", 1026, ObjectType::kDirectory),
    };
  }

  void finish() {
    ImageBuilder::set_refs(file, {image.indirect(data, 0, 30)});
    image.attach(folder, in_folder);
    for (const Inode* inode : {&file, &small, &folder, &link, &inner}) {
      index.push_back(image.indexed(*inode));
      change_indexed(index.back());
    }
    std::vector<Blockref> refs = index;
    refs.insert(refs.end(), entries.begin(), entries.end());
    image.attach(root, refs);
    std::vector<Blockref> pfss = {
        image.pfs(root, "DATA"),
        image.pfs(ImageBuilder::directory(1), "LOCAL")};
    change_pfss(pfss);
    Inode super = ImageBuilder::directory(0);
    super.meta.pfs_type = format::PfsType::kSuperRoot;
    image.attach(super, pfss);
    Blockref ref = image.put(BlockType::kInode, bytes_of(super));
    ImageBuilder::count(ref, super);
    change_super(ref);
    image.finish_super(ref);
  }

  CheckResult run(audit::Limits limits = {},
                  MutableBytes memory = check_memory()) {
    block::MemoryDevice device(image.bytes(), 512);
    block::MemoryDevice* devices[] = {&device};
    return run_check(std::span<block::MemoryDevice* const>(devices), limits,
                     memory);
  }
  // The one finding of the check.
  Found only() {
    const CheckResult result = run();
    EXPECT_EQ(result.findings.size(), 1U) << texts_of(result.findings);
    return result.findings.empty() ? Found{} : result.findings.front();
  }
};

// Broken by `change`, the sample has one fault, of that rule and in that place.
Found expect_only(Rule rule, const std::function<void(Sample&)>& change,
                  const std::string& pfs = "DATA",
                  const std::string& path = "") {
  Sample sample;
  change(sample);
  sample.finish();
  Found found = sample.only();
  EXPECT_EQ(audit::info_of(found.finding.rule).name, audit::info_of(rule).name)
      << found.text;
  EXPECT_EQ(found.pfs, pfs) << found.text;
  EXPECT_EQ(found.path, path) << found.text;
  return found;
}

TEST(CheckerTest, SoundVolumeHasNoFindings) {
  Sample sample;
  sample.finish();
  const CheckResult result = sample.run({.decode = true});
  EXPECT_EQ(texts_of(result.findings), "");
  EXPECT_EQ(texts_of(result.notes), "");
  EXPECT_TRUE(result.verdicts.opened);
  const audit::Totals& totals = result.verdicts.totals;
  EXPECT_EQ(totals.pfss, 2U);
  EXPECT_EQ(totals.inodes, 8U);  // with the super-root
  EXPECT_EQ(totals.dirents, 6U);
  EXPECT_EQ(totals.data, 3U);
  EXPECT_EQ(totals.indirects, 3U);
  ASSERT_EQ(result.headers.size(), 1U);
  EXPECT_TRUE(result.headers[0].in_use);
  EXPECT_TRUE(result.headers[0].mountable);
}

// --- Blocks ------------------------------------------------------------------

TEST(CheckerTest, DamagedDataNameTheFile) {
  Sample sample;
  sample.finish();
  sample.image.bytes()[sample.data[1].offset()] ^= std::byte{1};
  const Found found = sample.only();
  EXPECT_EQ(found.finding.rule, Rule::kBlock);
  EXPECT_EQ(found.finding.at.code, Code::kCheckMismatch);
  EXPECT_EQ(found.finding.at.offset, sample.data[1].offset());
  EXPECT_EQ(found.finding.at.key, 65536U);
  EXPECT_EQ(found.finding.at.inum, 1024U);
  EXPECT_EQ(found.pfs, "DATA");
  // One of its two names.
  EXPECT_TRUE(found.path == "/file" || found.path == "/dir/file") << found.path;
}

TEST(CheckerTest, DataAreLeftOutWhereThatIsWanted) {
  Sample sample;
  sample.finish();
  sample.image.bytes()[sample.data[1].offset()] ^= std::byte{1};
  audit::Limits limits;
  limits.read_data = false;
  EXPECT_EQ(names_of(sample.run(limits).findings), "");
  sample.image.bytes()[sample.index[1].offset() + 600] ^= std::byte{1};
  EXPECT_EQ(names_of(sample.run(limits).findings), "block");
}

TEST(CheckerTest, DamagedInodeHidesNothingElse) {
  Sample sample;
  sample.finish();
  sample.image.bytes()[sample.index[1].offset() + 600] ^= std::byte{1};
  const Found found = sample.only();
  EXPECT_EQ(found.finding.at.code, Code::kCheckMismatch);
  EXPECT_EQ(found.finding.at.inum, 1025U);
  EXPECT_EQ(found.path, "/small");
}

// What hung below isn't called missing, and a note says what wasn't judged.
TEST(CheckerTest, DamagedDirectory) {
  Sample sample;
  sample.finish();
  sample.image.bytes()[sample.index[2].offset()] ^= std::byte{1};
  const CheckResult result = sample.run();
  EXPECT_EQ(names_of(result.findings), "block") << texts_of(result.findings);
  EXPECT_EQ(result.findings[0].path, "/dir");
  EXPECT_EQ(names_of(result.notes), "incomplete");
}

TEST(CheckerTest, GoesOnAfterEveryFault) {
  Sample sample;
  sample.finish();
  for (const Blockref& ref : sample.data) {
    sample.image.bytes()[ref.offset()] ^= std::byte{1};
  }
  sample.image.bytes()[sample.index[1].offset() + 600] ^= std::byte{1};
  EXPECT_EQ(names_of(sample.run().findings), "block, block, block, block");
}

TEST(CheckerTest, ReferencesOutOfOrder) {
  expect_only(
      Rule::kBlock,
      [](Sample& s) {
        s.data[1].key = 0;  // where the first lies
      },
      "DATA", "/file");
}

TEST(CheckerTest, MirrorTid) {
  const Found found = expect_only(
      Rule::kMirrorTid, [](Sample& s) { s.data[1].mirror_tid = 18; }, "DATA",
      "/file");
  EXPECT_EQ(found.finding.at.found, 18U);
  EXPECT_EQ(found.finding.at.expected, 17U);
}

TEST(CheckerTest, Statistics) {
  // Each is wrong by as much above as below: only one place is at fault.
  const auto change = [](auto field, std::uint64_t by) {
    return [=](Sample& s) {
      s.change_indexed = [=](Blockref& ref) {
        if (ref.key == 1024) field(ref) += static_cast<std::uint16_t>(by);
      };
    };
  };
  Found found = expect_only(
      Rule::kStatistics,
      change([](Blockref& r) -> auto& { return r.embed.stats.data_count; }, 9),
      "DATA", "/file");
  EXPECT_EQ(found.detail, "data_count");
  EXPECT_EQ(found.finding.at.found, found.finding.at.expected + 9);
  found = expect_only(
      Rule::kStatistics,
      change([](Blockref& r) -> auto& { return r.embed.stats.inode_count; }, 1),
      "DATA", "/file");
  EXPECT_EQ(found.detail, "inode_count");
  expect_only(Rule::kLeafCount,
              change([](Blockref& r) -> auto& { return r.leaf_count; }, 1),
              "DATA", "/file");
}

TEST(CheckerTest, StatisticsOfTheSuperRoot) {
  // PFSs made by formatting aren't counted; half a PFS is.
  Sample formatted;
  formatted.change_super = [](Blockref& ref) {
    ref.embed.stats.inode_count -= 2;
    ref.embed.stats.data_count -= 2048;
  };
  formatted.finish();
  EXPECT_EQ(texts_of(formatted.run().findings), "");
  expect_only(
      Rule::kStatistics,
      [](Sample& s) {
        s.change_super = [](Blockref& ref) { ++ref.embed.stats.data_count; };
      },
      "");
}

// --- Space -------------------------------------------------------------------

TEST(CheckerTest, SharedDataAreLegalAndProvenOnce) {
  Sample sample;
  sample.data[1] = sample.data[0];
  sample.data[1].key = 1 << 16;
  sample.finish();
  const CheckResult result = sample.run();
  EXPECT_EQ(texts_of(result.findings), "");
  EXPECT_EQ(result.verdicts.totals.data, 3U);
  EXPECT_EQ(result.verdicts.totals.shared_refs, 1U);
}

// Blocks whose offsets differ as their methods do, and in nothing else.
TEST(CheckerTest, NeighboursOfOtherMethodsAreBothProven) {
  Sample sample;
  sample.image.use(CheckMethod::kNone);
  // Two of 1 KiB in 2 KiB, so that bit 10 tells their offsets apart.
  const Blockref pair =
      sample.image.put(BlockType::kData, std::vector<std::byte>(2048), 0, 16);
  sample.data[0] = pair;
  sample.data[0].data_off = pair.offset() | 10;
  sample.data[1] = sample.data[0];
  sample.data[1].key = std::uint64_t{1} << 16;
  sample.data[1].data_off ^= 0x400;
  sample.data[1].methods ^= 0x04;  // no such compression
  sample.finish();
  const Found found = sample.only();
  EXPECT_EQ(found.finding.rule, Rule::kBlock);
  EXPECT_EQ(found.finding.at.code, Code::kBadCompMethod);
}

TEST(CheckerTest, OverlappingBlocks) {
  Sample sample;
  // 2 KiB that begin where the first block does and reach past its end.
  sample.data[2].data_off =
      (sample.data[0].offset() & ~std::uint64_t{2047}) | 11;
  sample.image.seal(sample.data[2]);
  sample.finish();
  // That the space after it is in use by nobody else is as well.
  const CheckResult result = sample.run();
  ASSERT_FALSE(result.findings.empty());
  EXPECT_EQ(result.findings[0].finding.rule, Rule::kDoublyUsed);
}

TEST(CheckerTest, MetadataReachedTwice) {
  Sample sample;
  Inode other = ImageBuilder::file(1029, 3 << 16);
  const Blockref shared = sample.image.indirect(sample.data, 0, 30);
  ImageBuilder::set_refs(other, {shared});
  Inode third = ImageBuilder::file(1030, 3 << 16);
  ImageBuilder::set_refs(third, {shared});
  sample.entries.push_back(sample.image.indexed(other));
  sample.entries.push_back(sample.image.indexed(third));
  sample.entries.push_back(
      sample.image.dirent("b", 1029, ObjectType::kRegular));
  sample.entries.push_back(
      sample.image.dirent("c", 1030, ObjectType::kRegular));
  sample.finish();
  const Found found = sample.only();
  EXPECT_EQ(found.finding.rule, Rule::kDoublyUsed);
  EXPECT_EQ(found.finding.at.offset, shared.offset());
}

// Sixty levels of indirect blocks, each of which refers to the next twice:
// without memory of what was seen, 2^60 blocks.
TEST(CheckerTest, FanInIsBounded) {
  Sample sample;
  std::vector<Blockref> refs = {
      sample.image.put(BlockType::kData, as_bytes("x"), 0, 10)};
  for (unsigned bits = 11; bits < 60; ++bits) {
    Blockref second = refs[0];
    if (second.type == BlockType::kIndirect) {
      second.key = std::uint64_t{1} << (bits - 1);
      refs.push_back(second);
    }
    refs = {sample.image.indirect(refs, 0, bits)};
  }
  Inode deep = ImageBuilder::file(1029, std::uint64_t{1} << 62);
  ImageBuilder::set_refs(deep, refs);
  sample.entries.push_back(sample.image.indexed(deep));
  sample.entries.push_back(
      sample.image.dirent("deep", 1029, ObjectType::kRegular));
  sample.finish();
  const CheckResult result = sample.run();
  EXPECT_LT(result.verdicts.totals.blocks_read, 100U);
  EXPECT_FALSE(result.findings.empty());
}

// Directory inodes inside each other, each another block.
TEST(CheckerTest, NestingIsBounded) {
  Sample sample;
  Inode inode = ImageBuilder::directory(2000);
  for (std::uint64_t i = 0; i < 140; ++i) {
    ImageBuilder::rename(inode, "n");
    Blockref ref = sample.image.put(BlockType::kInode, bytes_of(inode),
                                    format::dirhash("n"));
    ImageBuilder::count(ref, inode);
    inode = ImageBuilder::directory(2001 + i);
    inode.meta.iparent = 2002 + i;
    ImageBuilder::set_refs(inode, {ref});
  }
  ImageBuilder::rename(inode, "n");
  inode.meta.iparent = 1;
  Blockref ref = sample.image.put(BlockType::kInode, bytes_of(inode),
                                  format::dirhash("n"));
  ImageBuilder::count(ref, inode);
  sample.entries.push_back(ref);
  sample.finish();
  bool too_deep = false;
  for (const Found& found : sample.run().findings) {
    too_deep |= found.finding.at.code == Code::kTooDeep;
  }
  EXPECT_TRUE(too_deep);
}

// More files than one batch has room for, and than the least memory.
TEST(CheckerTest, ManyFiles) {
  const auto build = [](Sample& sample, std::uint64_t files) {
    constexpr std::uint64_t kFirst = std::uint64_t{1} << 20;
    std::vector<Blockref> index;
    for (std::uint64_t i = 0; i < files; ++i) {
      const Inode file = ImageBuilder::embedded(kFirst + i, "x");
      index.push_back(sample.image.indexed(file));
    }
    std::vector<Blockref> groups;
    for (std::uint64_t i = 0; i < files; i += 64) {
      const auto begin = index.begin() + static_cast<std::ptrdiff_t>(i);
      groups.push_back(
          sample.image.indirect({begin, begin + 64}, kFirst + i, 6));
    }
    sample.entries.push_back(sample.image.indirect(groups, kFirst, 20));
    sample.root.meta.pfs_inum = 2 * kFirst;
    sample.finish();
  };
  Sample sample(std::size_t{64} << 20);
  build(sample, 32768);
  const CheckResult result = sample.run();
  // Nothing names them, which is worth a note each.
  EXPECT_EQ(texts_of(result.findings), "");
  EXPECT_EQ(result.notes.size(), 32768U);
  // Their numbers don't fit into half of what the fixed parts leave.
  const CheckResult small =
      sample.run({}, check_memory().first(
                         audit::Checker<block::MemoryDevice>::kMinMemoryBytes));
  EXPECT_EQ(names_of(small.findings), "incomplete");
  EXPECT_EQ(small.findings[0].pfs, "DATA");
}

// PFSs that share everything: each is walked, up to the limit.
TEST(CheckerTest, SharedTreesAreWalkedInEachPfs) {
  const auto make = [](Sample& sample) {
    sample.change_pfss = [&sample](std::vector<Blockref>& pfss) {
      Inode snapshot = sample.root;
      snapshot.meta.pfs_subtype = format::PfsSubtype::kSnapshot;
      pfss.push_back(sample.image.pfs(snapshot, "SNAP"));
    };
    sample.finish();
  };
  Sample sample;
  make(sample);
  CheckResult result = sample.run();
  EXPECT_EQ(texts_of(result.findings), "");
  EXPECT_EQ(result.verdicts.totals.dirents, 12U);
  result = sample.run({.shared_blocks = 3});
  EXPECT_EQ(names_of(result.findings), "incomplete")
      << texts_of(result.findings);
  EXPECT_EQ(result.verdicts.incomplete, 1U);
  // A fault in what they share is told of in each.
  sample.image.bytes()[sample.index[1].offset() + 600] ^= std::byte{1};
  result = sample.run();
  EXPECT_EQ(result.findings.size(), 2U) << texts_of(result.findings);
}

// --- Inodes ------------------------------------------------------------------

TEST(CheckerTest, InodeNumber) {
  const Found found = expect_only(
      Rule::kInodeNumber,
      [](Sample& s) {
        s.change_indexed = [](Blockref& ref) {
          if (ref.key == 1028) ref.key = 1030;
        };
        s.in_folder[2].embed.dirent.inum = 1030;
        ImageBuilder::rename(s.inner, "0x0000000000000406");
        s.inner.meta.name_key = 1030;
      },
      "DATA", "");
  EXPECT_EQ(found.finding.at.found, 1028U);
  EXPECT_EQ(found.finding.at.expected, 1030U);
}

TEST(CheckerTest, InodeName) {
  expect_only(
      Rule::kInodeName,
      [](Sample& s) {
        ImageBuilder::rename(s.small, "0x0000000000000400");
        s.small.meta.name_key = 1025;
      },
      "DATA", "/small");
}

TEST(CheckerTest, InodeFields) {
  for (std::uint8_t format::InodeMeta::* field :
       {&format::InodeMeta::comp_algo, &format::InodeMeta::check_algo}) {
    expect_only(
        Rule::kInodeField, [&](Sample& s) { s.root.meta.*field = 6; }, "DATA",
        "/");
  }
  expect_only(
      Rule::kInodeField, [](Sample& s) { s.small.meta.comp_algo = 4; }, "DATA",
      "/small");
  expect_only(
      Rule::kInodeField, [](Sample& s) { s.small.meta.check_algo = 6; }, "DATA",
      "/small");
  expect_only(
      Rule::kInodeField,
      [](Sample& s) { s.inner.meta.op_flags = format::kInodePfsRoot; }, "DATA",
      "/dir/inner");
  expect_only(
      Rule::kBlock, [](Sample& s) { s.small.meta.version = 2; }, "DATA",
      "/small");
}

TEST(CheckerTest, DuplicateInode) {
  expect_only(
      Rule::kDuplicateInode,
      [](Sample& s) {
        // The same number again, in the place of an entry.
        Inode twin = ImageBuilder::embedded(1024, "twin");
        ImageBuilder::rename(twin, "twin");
        s.file.meta.nlinks = 3;
        s.in_folder.push_back(s.image.put(BlockType::kInode, bytes_of(twin),
                                          format::dirhash("twin")));
      },
      "DATA", "/file");
}

TEST(CheckerTest, LastInode) {
  const Found found = expect_only(
      Rule::kLastInode, [](Sample& s) { s.root.meta.pfs_inum = 1027; }, "DATA",
      "/");
  EXPECT_EQ(found.finding.at.expected, 1028U);
}

TEST(CheckerTest, DataBeyondTheEnd) {
  expect_only(
      Rule::kBeyondEnd, [](Sample& s) { s.file.meta.size = 65537; }, "DATA",
      "/file");
}

TEST(CheckerTest, Quota) {
  Sample sample;
  sample.root.meta.data_quota = 1024;
  sample.finish();
  const CheckResult result = sample.run();
  EXPECT_EQ(texts_of(result.findings), "");
  EXPECT_EQ(names_of(result.notes), "quota");
}

// --- Directories -------------------------------------------------------------

TEST(CheckerTest, EntryNames) {
  expect_only(
      Rule::kEntryName, [](Sample& s) { s.entries[1].check.name[0] = 'S'; },
      "DATA", "/");
  // In a block of its own, whose check code is right.
  expect_only(
      Rule::kEntryName,
      [](Sample& s) {
        s.image.bytes()[s.in_folder[1].offset()] = std::byte{'m'};
        s.image.seal(s.in_folder[1]);
      },
      "DATA", "/dir/m" + std::string(99, 'n'));
}

TEST(CheckerTest, EntryType) {
  expect_only(
      Rule::kEntryType,
      [](Sample& s) { s.entries[1].embed.dirent.type = ObjectType::kFifo; },
      "DATA", "/small");
  // Two entries that disagree.
  expect_only(
      Rule::kEntryType,
      [](Sample& s) { s.entries[0].embed.dirent.type = ObjectType::kFifo; },
      "DATA", "/file");
}

TEST(CheckerTest, MissingInode) {
  const Found found = expect_only(
      Rule::kMissingInode,
      [](Sample& s) {
        s.in_folder.push_back(
            s.image.dirent("ghost", 1040, ObjectType::kRegular));
      },
      "DATA", "/dir/ghost");
  EXPECT_EQ(found.finding.at.inum, 1026U);
  EXPECT_EQ(found.finding.at.found, 1040U);
}

TEST(CheckerTest, LinkCount) {
  const auto change = [](std::uint64_t nlinks) {
    return [=](Sample& s) { s.small.meta.nlinks = nlinks; };
  };
  Found found = expect_only(Rule::kLinkCount, change(2), "DATA", "/small");
  EXPECT_EQ(found.finding.at.found, 2U);
  EXPECT_EQ(found.finding.at.expected, 1U);
  expect_only(Rule::kLinkCount, change(0), "DATA", "/small");
}

TEST(CheckerTest, InodeWithoutAnEntryIsANote) {
  Sample sample;
  sample.entries.erase(sample.entries.begin() + 1);
  sample.finish();
  const CheckResult result = sample.run();
  EXPECT_EQ(texts_of(result.findings), "");
  EXPECT_EQ(names_of(result.notes), "unlinked");
}

TEST(CheckerTest, Parent) {
  const Found found = expect_only(
      Rule::kParent, [](Sample& s) { s.inner.meta.iparent = 1; }, "DATA",
      "/dir/inner");
  EXPECT_EQ(found.finding.at.expected, 1026U);
}

TEST(CheckerTest, DirectoriesThatHoldEachOther) {
  Sample sample;
  Inode a = ImageBuilder::directory(1030);
  Inode b = ImageBuilder::directory(1031);
  a.meta.iparent = 1031;
  b.meta.iparent = 1030;
  ImageBuilder::set_refs(
      a, {sample.image.dirent("b", 1031, ObjectType::kDirectory)});
  ImageBuilder::set_refs(
      b, {sample.image.dirent("a", 1030, ObjectType::kDirectory)});
  sample.entries.push_back(sample.image.indexed(a));
  sample.entries.push_back(sample.image.indexed(b));
  sample.finish();
  EXPECT_EQ(sample.only().finding.rule, Rule::kDetached);
}

// --- PFSs --------------------------------------------------------------------

TEST(CheckerTest, PfsRoots) {
  const auto with = [](const std::function<void(Sample&)>& change) {
    return expect_only(Rule::kPfs, change, "DATA", "/").detail;
  };
  EXPECT_EQ(with([](Sample& s) {
              s.change_pfss = [](std::vector<Blockref>& pfss) {
                pfss[0].flags = 0;
              };
            }),
            "flags of its reference");
  EXPECT_EQ(with([](Sample& s) {
              s.change_pfss = [](std::vector<Blockref>& pfss) {
                pfss[0].key = format::dirhash("OTHER");
              };
            }),
            "label");
}

TEST(CheckerTest, PfsLabelsAndIds) {
  expect_only(
      Rule::kPfsId,
      [](Sample& s) {
        s.change_pfss = [&s](std::vector<Blockref>& pfss) {
          Inode other = ImageBuilder::directory(1);
          Blockref ref = s.image.pfs(other, "OTHER");
          const MutableBytes bytes = s.image.bytes().subspan(
              ref.offset() + offsetof(format::InodeMeta, pfs_fsid), 16);
          copy_bytes(bytes, s.image.bytes().subspan(
                                pfss[1].offset() +
                                    offsetof(format::InodeMeta, pfs_fsid),
                                16));
          const format::BlockrefEmbed embed = ref.embed;
          s.image.seal(ref);
          ref.embed = embed;
          pfss.push_back(ref);
        };
      },
      "OTHER", "/");
  Sample sample;
  sample.change_pfss = [&sample](std::vector<Blockref>& pfss) {
    Blockref ref = sample.image.pfs(ImageBuilder::directory(1), "LOCAL");
    ref.key += 1;
    pfss.push_back(ref);
  };
  sample.finish();
  EXPECT_EQ(names_of(sample.run().findings), "pfs-label, pfs-id");
}

// --- The freemap -------------------------------------------------------------

// Changes the entry for 4 to 8 MiB, where all blocks lie, and how much the
// volume header says is free.
Found with_entry(const std::function<void(format::BmapData&)>& change,
                 std::uint64_t more_free = 0) {
  Sample sample;
  sample.finish();
  const MutableBytes bytes = sample.image.bytes().subspan(
      ImageBuilder::kFreemapLeaf + sizeof(format::BmapData),
      sizeof(format::BmapData));
  format::BmapData entry;
  copy_bytes(mutable_bytes_of(entry), bytes);
  change(entry);
  copy_bytes(bytes, bytes_of(entry));
  sample.image.header().allocator_free += more_free;
  sample.image.seal_freemap();
  return sample.only();
}

TEST(CheckerTest, UsedButFree) {
  const Found found = with_entry(
      [](format::BmapData& entry) {
        entry.bitmap[0] &= ~std::uint64_t{3};
        entry.avail += 16384;
      },
      16384);
  EXPECT_EQ(found.finding.rule, Rule::kUsedButFree);
  EXPECT_EQ(found.finding.at.offset, std::uint64_t{4} << 20);
  EXPECT_EQ(found.finding.at.bytes, 16384U);
}

TEST(CheckerTest, FreeBytesOfTheVolumeHeader) {
  const Found found = with_entry([](format::BmapData&) {}, 16384);
  EXPECT_EQ(found.finding.rule, Rule::kFreemapCount);
  EXPECT_EQ(found.detail, "allocator_free");
}

// What a header refers to is no newer than it.
TEST(CheckerTest, TransactionOfTheVolumeHeader) {
  Sample sample;
  sample.finish();
  sample.image.header().mirror_tid -= 1;
  sample.image.store_header(0);
  const CheckResult result = sample.run();
  EXPECT_FALSE(result.findings.empty());
  for (const Found& found : result.findings) {
    EXPECT_EQ(found.finding.rule, Rule::kMirrorTid) << found.text;
  }
}

// Nor may the header say that something is in use where no freemap does.
TEST(CheckerTest, FreeBytesWithoutAFreemap) {
  Sample sample;
  sample.finish();
  sample.image.header().freemap_blockset = {};
  sample.image.header().allocator_free = sample.image.header().allocator_size;
  sample.image.header().freemap_tid = 0;
  sample.image.store_header(0);
  EXPECT_TRUE(sample.run().findings.empty());
  sample.image.header().allocator_free -= 16384;
  sample.image.store_header(0);
  const Found found = sample.only();
  EXPECT_EQ(found.finding.rule, Rule::kFreemapCount);
  EXPECT_EQ(found.detail, "allocator_free");
}

// The header's word for where the allocator begins may be any number.
TEST(CheckerTest, AllocatorThatBeginsBehindTheEnd) {
  for (const std::uint64_t begin :
       {std::uint64_t{ImageBuilder::kDefaultBytes} + 1, std::uint64_t{1} << 63,
        ~std::uint64_t{0}}) {
    Sample sample;
    sample.finish();
    sample.image.header().allocator_beg = begin;
    sample.image.seal_freemap();
    const CheckResult result = sample.run();
    EXPECT_TRUE(result.verdicts.opened);
    EXPECT_FALSE(result.findings.empty());
  }
}

TEST(CheckerTest, FreemapStates) {
  EXPECT_EQ(with_entry([](format::BmapData& entry) {
              entry.linear = (4 << 20) + 1024;
            }).finding.rule,
            Rule::kFreemapState);
  EXPECT_EQ(with_entry([](format::BmapData& entry) {
              entry.alloc_class = 0x0110 + 1;
            }).finding.rule,
            Rule::kFreemapState);
  EXPECT_EQ(
      with_entry([](format::BmapData& entry) { ++entry.avail; }).finding.rule,
      Rule::kFreemapCount);
}

TEST(CheckerTest, StagedAndLeakedSpaceIsCounted) {
  Sample sample;
  (void)sample.image.put(BlockType::kData, std::vector<std::byte>(65536));
  sample.finish();
  CheckResult result = sample.run();
  EXPECT_EQ(texts_of(result.findings), "");
  EXPECT_GE(result.verdicts.totals.leaked_bytes, 65536U - 16384U);
}

TEST(CheckerTest, DamagedFreemap) {
  Sample sample;
  sample.finish();
  sample.image.bytes()[ImageBuilder::kFreemapLeaf + 5] ^= std::byte{1};
  const Found found = sample.only();
  EXPECT_EQ(found.finding.rule, Rule::kFreemapBlock);
  EXPECT_EQ(found.finding.at.code, Code::kCheckMismatch);
  EXPECT_EQ(found.finding.at.offset, ImageBuilder::kFreemapLeaf);
}

TEST(CheckerTest, FreemapThatLagsNeedNotKnowNewBlocks) {
  Sample sample;
  sample.finish();
  sample.image.header().freemap_tid = 16;
  sample.image.bytes()[ImageBuilder::kFreemapLeaf + sizeof(format::BmapData) +
                       offsetof(format::BmapData, bitmap)] = std::byte{0};
  sample.image.seal_freemap();
  for (const Found& found : sample.run().findings) {
    EXPECT_EQ(found.finding.rule, Rule::kFreemapCount) << found.text;
  }
}

// --- Volumes -----------------------------------------------------------------

TEST(CheckerTest, ShortDeviceIsCheckedAsFarAsItGoes) {
  Sample sample;
  sample.finish();
  sample.image.storage().resize(sample.index[1].offset());
  const CheckResult result = sample.run();
  ASSERT_FALSE(result.findings.empty());
  EXPECT_EQ(result.findings[0].finding.rule, Rule::kVolumeSet);
  EXPECT_EQ(result.findings[0].finding.at.code, Code::kDeviceTooSmall);
  EXPECT_TRUE(result.verdicts.opened);
}

TEST(CheckerTest, DamagedHeader) {
  Sample sample;
  sample.finish();
  sample.image.bytes()[0x60] ^= std::byte{1};
  const CheckResult result = sample.run();
  EXPECT_EQ(names_of(result.findings), "volume-header, volume-set");
  EXPECT_FALSE(result.verdicts.opened);
  EXPECT_TRUE(result.verdicts.recognized);
}

TEST(CheckerTest, NoFilesystem) {
  std::vector<std::byte> bytes(std::size_t{8} << 20);
  block::MemoryDevice device(bytes, 512);
  block::MemoryDevice* devices[] = {&device};
  const CheckResult result =
      run_check(std::span<block::MemoryDevice* const>(devices), {});
  EXPECT_FALSE(result.verdicts.recognized);
  EXPECT_GE(result.verdicts.errors, 1U);
}

// --- The check itself --------------------------------------------------------

TEST(CheckerTest, TooLittleMemorySaysSo) {
  Sample sample;
  sample.finish();
  const CheckResult result = sample.run({}, check_memory().first(1 << 20));
  EXPECT_EQ(names_of(result.findings), "incomplete");
  EXPECT_EQ(result.verdicts.incomplete, 1U);
  EXPECT_EQ(
      texts_of(
          sample
              .run({},
                   check_memory().first(
                       audit::Checker<block::MemoryDevice>::kMinMemoryBytes))
              .findings),
      "");
}

// Runs pieces backwards and on several workers' buffers in turn.
class OddExecutor {
 public:
  [[nodiscard]] static std::size_t workers() { return 3; }
  template <class Piece, class Meanwhile>
  void run(std::size_t pieces, const Piece& piece, const Meanwhile& meanwhile) {
    for (std::size_t i = pieces; i-- > 0;) piece(i, i % 3);
    meanwhile();
  }
};

TEST(CheckerTest, AnyOrderOfPiecesFindsTheSame) {
  Sample sample;
  sample.finish();
  sample.image.bytes()[sample.data[1].offset()] ^= std::byte{1};
  block::MemoryDevice device(sample.image.bytes(), 512);
  block::MemoryDevice* devices[] = {&device};
  auto checker = std::make_unique<audit::Checker<block::MemoryDevice>>();
  CheckObserver<block::MemoryDevice> observer(*checker);
  OddExecutor executor;
  const audit::Verdicts verdicts =
      checker->run(std::span<block::MemoryDevice* const>(devices),
                   check_memory(), executor, {}, observer);
  EXPECT_EQ(names_of(observer.result.findings), "block");
  EXPECT_TRUE(observer.monotonic);
  EXPECT_EQ(verdicts.errors, 1U);
}

}  // namespace
}  // namespace odo::hammer2::testing
