// SPDX-License-Identifier: BSD-3-Clause
// Media whose check codes are right and whose content makes no sense: what
// somebody could make on purpose.
#include <lz4.h>
#include <zlib.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "lib/hammer2/testing/mounted.h"

namespace odo::hammer2::testing {
namespace {

// A PFS with the one file "/f", whose inode and data blocks `make` provides.
Code code_of_file(const std::function<Inode(ImageBuilder&)>& make) {
  ImageBuilder image;
  const Inode file = make(image);
  Inode root = ImageBuilder::directory(1);
  image.attach(root, {image.indexed(file),
                      image.dirent("f", 1024, ObjectType::kRegular)});
  image.finish(root);
  Mounted at(image);
  const Code code = at.code("/f");
  // What reading finds, verifying finds, and stops.
  EXPECT_FALSE(at.verify().empty());
  return code;
}

// A file of one data block that `change` spoils the reference of.
Code code_of_ref(const std::function<void(Blockref&)>& change) {
  return code_of_file([&](ImageBuilder& image) {
    Inode file = ImageBuilder::file(1024, 65536);
    Blockref ref = image.put(BlockType::kData, as_bytes("data"), 0, 16);
    change(ref);
    ImageBuilder::set_refs(file, {ref});
    return file;
  });
}

// The same for the inode's own bytes.
Code code_of_inode(const std::function<void(Inode&)>& change) {
  return code_of_file([&](ImageBuilder&) {
    Inode file = ImageBuilder::embedded(1024, "data");
    change(file);
    return file;
  });
}

TEST(HostileTest, BlockSizes) {
  for (const unsigned radix : {0U, 1U, 9U, 17U, 31U, 32U, 63U}) {
    EXPECT_EQ(code_of_ref(
                  [&](Blockref& ref) { ref.data_off = ref.offset() | radix; }),
              Code::kBadBlockSize)
        << radix;
  }
  EXPECT_EQ(code_of_ref([](Blockref& ref) { ref.data_off = 0; }),
            Code::kBadBlockSize);
  // More bytes than the key range has room for.
  EXPECT_EQ(code_of_ref([](Blockref& ref) {
              ref.keybits = 10;
              ref.data_off = ref.offset() | 11;
            }),
            Code::kBadBlockSize);
}

TEST(HostileTest, BlockOffsets) {
  const std::vector<std::uint64_t> offsets = {
      0,                                // the volume header
      65536,                            // freemap
      (std::uint64_t{4} << 20) - 1024,  // end of the reserve
      (std::uint64_t{5} << 20) + 64,    // not a multiple of 1 KiB
      (std::uint64_t{5} << 20) + 512,
      ImageBuilder::kDefaultBytes,  // past the volume
      (std::uint64_t{1} << 30) + (std::uint64_t{8} << 20),
      ~std::uint64_t{0} & ~std::uint64_t{1023},
  };
  for (const std::uint64_t offset : offsets) {
    EXPECT_EQ(code_of_ref([&](Blockref& ref) { ref.data_off = offset | 10; }),
              Code::kBadBlockOffset)
        << offset;
  }
  // Across a 64 KiB boundary, and across the volume's end.
  EXPECT_EQ(code_of_ref([](Blockref& ref) {
              ref.data_off = ((std::uint64_t{5} << 20) + 65536 - 1024) | 11;
            }),
            Code::kBadBlockOffset);
  EXPECT_EQ(code_of_ref([](Blockref& ref) {
              ref.data_off = (ImageBuilder::kDefaultBytes - 1024) | 16;
            }),
            Code::kBadBlockOffset);
}

TEST(HostileTest, BlocksInBootAndAuxiliaryAreas) {
  for (const bool boot : {true, false}) {
    ImageBuilder image;
    Inode root = ImageBuilder::directory(1);
    const Blockref file = image.indexed(ImageBuilder::embedded(1024, "x"));
    image.attach(root, {file, image.dirent("f", 1024, ObjectType::kRegular)});
    if (boot) {
      image.header().boot_beg = file.offset();
      image.header().boot_end = file.offset() + 1;
    } else {
      image.header().aux_beg = file.offset() + 1023;
      image.header().aux_end = file.offset() + 1024;
    }
    image.finish(root);
    Mounted at(image);
    EXPECT_EQ(at.code("/f"), Code::kBadBlockOffset);
  }
}

TEST(HostileTest, Methods) {
  for (unsigned check = 6; check < 16; ++check) {
    EXPECT_EQ(code_of_ref([&](Blockref& ref) {
                ref.methods = static_cast<std::uint8_t>(check << 4);
              }),
              Code::kBadCheckMethod);
  }
  for (unsigned comp = 4; comp < 16; ++comp) {
    EXPECT_EQ(code_of_ref([&](Blockref& ref) {
                ref.methods = static_cast<std::uint8_t>(0x30 | comp);
              }),
              Code::kBadCompMethod);
  }
}

TEST(HostileTest, KeysOfReferences) {
  // Not a multiple of the range, ranges of impossible size.
  EXPECT_EQ(code_of_ref([](Blockref& ref) { ref.key = 1; }), Code::kBadKey);
  for (const unsigned bits : {0U, 9U, 17U, 63U, 64U, 128U, 255U}) {
    EXPECT_EQ(code_of_ref([&](Blockref& ref) {
                ref.keybits = static_cast<std::uint8_t>(bits);
              }),
              Code::kBadKey)
        << bits;
  }
  const auto two = [](std::uint64_t a, std::uint64_t b) {
    return code_of_file([&](ImageBuilder& image) {
      Inode file = ImageBuilder::file(1024, 1 << 20);
      ImageBuilder::set_refs(
          file, {image.put(BlockType::kData, as_bytes("a"), a, 16),
                 image.put(BlockType::kData, as_bytes("b"), b, 16)});
      return file;
    });
  };
  EXPECT_EQ(two(65536, 0), Code::kBadKey);  // out of order
  EXPECT_EQ(two(0, 0), Code::kBadKey);      // twice the same
}

TEST(HostileTest, OverlappingRanges) {
  EXPECT_EQ(
      code_of_file([](ImageBuilder& image) {
        const Blockref data = image.put(BlockType::kData, as_bytes("a"), 0, 16);
        Inode file = ImageBuilder::file(1024, 1 << 20);
        ImageBuilder::set_refs(file, {image.indirect({data}, 0, 20),
                                      image.put(BlockType::kData, as_bytes("b"),
                                                std::uint64_t{1} << 19, 16)});
        return file;
      }),
      Code::kBadKey);
}

TEST(HostileTest, ChildrenOutsideTheirParent) {
  const auto child = [](std::uint64_t key, unsigned bits, bool data) {
    return code_of_file([&](ImageBuilder& image) {
      Inode file = ImageBuilder::file(1024, std::uint64_t{1} << 40);
      const Blockref leaf = image.put(BlockType::kData, as_bytes("a"), key, 16);
      const Blockref inner = data ? leaf : image.indirect({leaf}, key, bits);
      ImageBuilder::set_refs(file, {image.indirect({inner}, 0, 23)});
      return file;
    });
  };
  EXPECT_EQ(child(std::uint64_t{1} << 23, 16, true), Code::kBadKey);
  EXPECT_EQ(child(std::uint64_t{1} << 23, 20, false), Code::kBadKey);
  EXPECT_EQ(child(0, 23, false), Code::kBadKey);  // as large as its parent
  EXPECT_EQ(child(0, 24, false), Code::kBadKey);
  EXPECT_EQ(child(0, 63, false), Code::kBadKey);
  EXPECT_EQ(child(0, 0, false), Code::kBadKey);
}

// A block can refer to itself when it has no check code to get right.
TEST(HostileTest, IndirectBlockInItself) {
  EXPECT_EQ(code_of_file([](ImageBuilder& image) {
              image.use(CheckMethod::kNone);
              Blockref self = image.indirect({Blockref{}, Blockref{}}, 0, 30);
              copy_bytes(image.bytes().subspan(self.offset()), bytes_of(self));
              Inode file = ImageBuilder::file(1024, 1 << 20);
              ImageBuilder::set_refs(file, {self});
              return file;
            }),
            Code::kBadKey);
}

TEST(HostileTest, DirectoryInodeInItself) {
  ImageBuilder image;
  image.use(CheckMethod::kNone);
  Inode self = ImageBuilder::directory(1024);
  ImageBuilder::rename(self, "again");
  Blockref ref =
      image.put(BlockType::kInode, bytes_of(self), format::dirhash("again"));
  ImageBuilder::set_refs(self, {ref});
  copy_bytes(image.bytes().subspan(ref.offset()), bytes_of(self));
  Inode root = ImageBuilder::directory(1);
  image.attach(root, {ref});
  image.finish(root);
  Mounted at(image);
  // A path is as long as it is; a check follows each block once.
  std::string path;
  for (int i = 0; i < 300; ++i) path += "/again";
  EXPECT_EQ(at.names(path), std::vector<std::string>{"again"});
  EXPECT_TRUE(at.finds(audit::Rule::kDoublyUsed));
}

// The deepest tree that key ranges allow can be read.
TEST(HostileTest, DeepestTree) {
  ImageBuilder image;
  Blockref ref = image.put(BlockType::kData, as_bytes("deep down"), 0, 10);
  for (unsigned bits = 11; bits <= 63; ++bits) {
    ref = image.indirect({ref}, 0, bits);
  }
  Inode file = ImageBuilder::file(1024, 9);
  ImageBuilder::set_refs(file, {ref});
  Inode root = ImageBuilder::directory(1);
  image.attach(root, {image.indexed(file),
                      image.dirent("f", 1024, ObjectType::kRegular)});
  image.finish(root);
  Mounted at(image);
  EXPECT_EQ(at.content("/f"), "deep down");
  EXPECT_TRUE(at.verify().empty());
}

// Indirect blocks that hold nothing are passed over, however many.
TEST(HostileTest, EmptyIndirectBlocks) {
  ImageBuilder image;
  const Blockref nothing = image.indirect({Blockref{}}, kHighKey, 40);
  std::vector<Blockref> many;
  for (std::uint64_t i = 0; i < 500; ++i) {
    Blockref ref = nothing;
    ref.key = kHighKey | i << 40;
    many.push_back(ref);
  }
  Blockref last = image.dirent("z", 1024, ObjectType::kRegular);
  last.key = ~std::uint64_t{0};
  many.push_back(last);
  Inode root = ImageBuilder::directory(1);
  image.attach(root, {image.indexed(ImageBuilder::embedded(1024, "x")),
                      image.indirect(many, kHighKey, 63)});
  image.finish(root);
  Mounted at(image);
  EXPECT_EQ(at.names("/"), std::vector<std::string>{"z"});
  EXPECT_TRUE(at.verify().empty());
}

// Far below many levels, of which each holds hundreds of blocks that hold
// nothing: a search doesn't go there again and again.
TEST(HostileTest, EmptyIndirectBlocksWithoutEnd) {
  ImageBuilder image(std::uint64_t{16} << 20);
  const Blockref nothing =
      image.put(BlockType::kIndirect, std::vector<std::byte>(65536), 0, 1);
  Blockref inner = {};
  for (unsigned bits = 40; bits <= 63; ++bits) {
    const std::uint64_t base = ~std::uint64_t{0} << bits;
    std::vector<Blockref> refs;
    for (std::uint64_t i = 0; i < 511; ++i) {
      refs.push_back(nothing);
      refs.back().keybits = static_cast<std::uint8_t>(bits - 10);
      refs.back().key = base + (i << (bits - 10));
    }
    if (inner.type == BlockType::kIndirect) refs.push_back(inner);
    inner = image.indirect(refs, base, bits);
  }
  Inode root = ImageBuilder::directory(1);
  image.attach(root, {inner});
  image.finish(root);
  Mounted at(image);
  EXPECT_EQ(at.code("/"), Code::kTooDeep);
  EXPECT_LT(at.device().reads(), kMaxSearchBlocks + 100U);
}

TEST(HostileTest, TypesOfBlocks) {
  for (const BlockType type :
       {BlockType::kInode, BlockType::kDirent, BlockType::kFreemapNode,
        BlockType::kFreemapLeaf, BlockType::kInvalid, BlockType::kFreemap,
        BlockType::kVolume, static_cast<BlockType>(100)}) {
    EXPECT_EQ(code_of_ref([&](Blockref& ref) {
                ref.type = type;
                ref.keybits = 0;
              }),
              Code::kBadBlockType);
  }
  // In a directory, and in the super-root.
  for (const BlockType type : {BlockType::kData, BlockType::kFreemapLeaf}) {
    ImageBuilder image;
    Inode root = ImageBuilder::directory(1);
    image.attach(root, {image.put(type, as_bytes("x"), kHighKey, 0)});
    image.finish(root);
    Mounted at(image);
    EXPECT_EQ(at.code("/"), Code::kBadBlockType);

    ImageBuilder other;
    other.finish_pfs({other.put(type, as_bytes("x"), kHighKey, 0)});
    Mounted at_other(other);
    EXPECT_EQ(at_other.code("/"), Code::kBadBlockType);
  }
  // The volume header's own reference.
  ImageBuilder image;
  image.finish_super(image.put(BlockType::kIndirect, as_bytes("x"), 0, 63));
  Mounted at(image);
  EXPECT_EQ(at.code("/"), Code::kBadBlockType);
  ImageBuilder empty;
  empty.finish_super(Blockref{});
  Mounted at_empty(empty);
  EXPECT_EQ(at_empty.code("/"), Code::kBadBlockType);
}

TEST(HostileTest, Inodes) {
  EXPECT_EQ(code_of_inode([](Inode& i) { i.meta.version = 0; }),
            Code::kBadInode);
  EXPECT_EQ(code_of_inode([](Inode& i) { i.meta.version = 2; }),
            Code::kBadInode);
  EXPECT_EQ(code_of_inode([](Inode& i) { i.meta.name_len = 257; }),
            Code::kBadInode);
  EXPECT_EQ(code_of_inode([](Inode& i) { i.meta.size = 513; }),
            Code::kBadInode);
  EXPECT_EQ(code_of_inode([](Inode& i) {
              i.meta.size = std::uint64_t{1} << 63;
              i.meta.op_flags = 0;
              i.payload.blockset = {};
            }),
            Code::kBadInode);
  EXPECT_EQ(
      code_of_inode([](Inode& i) { i.meta.type = ObjectType::kDirectory; }),
      Code::kBadInode);
}

TEST(HostileTest, InodeUnderAnothersNumber) {
  ImageBuilder image;
  Inode root = ImageBuilder::directory(1);
  Blockref ref = image.indexed(ImageBuilder::embedded(1024, "x"));
  ref.key = 1025;
  image.attach(root, {ref, image.dirent("f", 1025, ObjectType::kRegular)});
  image.finish(root);
  Mounted at(image);
  EXPECT_EQ(at.code("/f"), Code::kBadInode);
  EXPECT_TRUE(at.finds(audit::Rule::kInodeNumber));
}

TEST(HostileTest, PfsRootThatIsNoDirectory) {
  ImageBuilder image;
  Inode root = ImageBuilder::embedded(1, "x");
  ImageBuilder::rename(root, "DATA");
  image.finish_pfs(
      {image.put(BlockType::kInode, bytes_of(root), format::dirhash("DATA"))});
  Mounted at(image);
  EXPECT_EQ(at.code("/"), Code::kBadInode);
}

TEST(HostileTest, PfsLabels) {
  for (const std::string label : {"", "a/b", "..", "."}) {
    ImageBuilder image;
    Inode root = ImageBuilder::directory(1);
    image.finish_pfs({image.pfs(root, label)});
    Mounted at(image);
    EXPECT_EQ(at.code("/"), Code::kBadInode);
  }
}

TEST(HostileTest, SuperRootThatIsNoDirectory) {
  ImageBuilder image;
  Inode super = ImageBuilder::embedded(0, "x");
  image.finish_super(image.put(BlockType::kInode, bytes_of(super)));
  Mounted at(image);
  EXPECT_EQ(at.code("/"), Code::kBadInode);
}

TEST(HostileTest, DirectoryEntries) {
  const auto with = [](const std::function<void(Blockref&)>& change) {
    ImageBuilder image;
    Inode root = ImageBuilder::directory(1);
    Blockref ref = image.dirent("name", 1024, ObjectType::kRegular);
    change(ref);
    image.attach(root, {image.indexed(ImageBuilder::embedded(1024, "x")), ref});
    image.finish(root);
    Mounted at(image);
    return at.code("/");
  };
  for (const unsigned length : {0U, 257U, 1024U, 65535U}) {
    EXPECT_EQ(with([&](Blockref& ref) {
                ref.embed.dirent.name_len = static_cast<std::uint16_t>(length);
              }),
              Code::kBadDirent)
        << length;
  }
  // A long name without a block, and one that would be outside.
  EXPECT_EQ(with([](Blockref& ref) { ref.embed.dirent.name_len = 65; }),
            Code::kBadBlockSize);
  EXPECT_EQ(with([](Blockref& ref) {
              ref.embed.dirent.name_len = 200;
              ref.data_off = (std::uint64_t{1} << 40) | 10;
            }),
            Code::kBadBlockOffset);
  const auto named = [&](std::string_view name) {
    return with([&](Blockref& ref) {
      ref.embed.dirent.name_len = static_cast<std::uint16_t>(name.size());
      std::copy(name.begin(), name.end(), ref.check.name.begin());
    });
  };
  EXPECT_EQ(named("."), Code::kBadDirent);
  EXPECT_EQ(named(".."), Code::kBadDirent);
  EXPECT_EQ(named("a/b"), Code::kBadDirent);
  EXPECT_EQ(named(std::string_view("a\0b", 3)), Code::kBadDirent);
  EXPECT_EQ(with([](Blockref& ref) { ref.keybits = 1; }), Code::kBadKey);
}

TEST(HostileTest, EntriesWithoutAnInode) {
  for (const std::uint64_t inum : {std::uint64_t{0}, std::uint64_t{2000},
                                   kHighKey | 1024, ~std::uint64_t{0}}) {
    ImageBuilder image;
    Inode root = ImageBuilder::directory(1);
    image.attach(root, {image.indexed(ImageBuilder::embedded(1024, "x")),
                        image.dirent("f", inum, ObjectType::kRegular)});
    image.finish(root);
    Mounted at(image);
    EXPECT_EQ(at.code("/f"), Code::kMissingInode);
  }
  // An entry in place of an inode in the index.
  ImageBuilder image;
  Inode root = ImageBuilder::directory(1);
  Blockref ref = image.dirent("g", 1, ObjectType::kRegular);
  ref.key = 1024;
  image.attach(root, {ref, image.dirent("f", 1024, ObjectType::kRegular)});
  image.finish(root);
  Mounted at(image);
  EXPECT_EQ(at.code("/f"), Code::kBadBlockType);
}

// ".." through a directory whose parent makes no sense.
TEST(HostileTest, ParentsOfDirectories) {
  const auto up = [](std::uint64_t parent) {
    ImageBuilder image;
    Inode folder = ImageBuilder::directory(1024);
    folder.meta.iparent = parent;
    Inode root = ImageBuilder::directory(1);
    image.attach(root, {image.indexed(folder),
                        image.indexed(ImageBuilder::embedded(1025, "x")),
                        image.dirent("d", 1024, ObjectType::kDirectory)});
    image.finish(root);
    Mounted at(image);
    Node node;
    const auto found = at.find("/d/../d/..", node);
    return found ? std::to_string(node.inum()) : line_of(found.error());
  };
  EXPECT_EQ(up(1), "1");
  // Itself its parent: ".." stays there, and it holds no "d".
  EXPECT_EQ(up(1024), "no such file or directory");
  EXPECT_EQ(up(77), "no such file or directory");
  EXPECT_NE(up(1025).find("impossible inode"), std::string::npos);
}

TEST(HostileTest, CompressedData) {
  const auto with = [](CompMethod method, const std::string& packed,
                       unsigned keybits = 16) {
    return code_of_file([&](ImageBuilder& image) {
      Inode file = ImageBuilder::file(1024, std::uint64_t{1} << keybits);
      ImageBuilder::set_refs(
          file,
          {image.put(BlockType::kData, as_bytes(packed), 0, keybits, method)});
      return file;
    });
  };
  const auto lz4 = [](std::uint32_t size, const std::string& payload) {
    std::string packed(4, '\0');
    std::memcpy(packed.data(), &size, 4);
    return packed + payload;
  };
  std::string good(2000, '\0');
  const std::string text(65536, 'a');
  good.resize(static_cast<std::size_t>(
      LZ4_compress_default(text.data(), good.data(), 65536, 2000)));
  const auto size = static_cast<std::uint32_t>(good.size());
  EXPECT_EQ(with(CompMethod::kLz4, lz4(1021, good)), Code::kBadCompression);
  EXPECT_EQ(with(CompMethod::kLz4, lz4(~0U, good)), Code::kBadCompression);
  EXPECT_EQ(with(CompMethod::kLz4, lz4(0, good)), Code::kBadCompression);
  EXPECT_EQ(with(CompMethod::kLz4, lz4(size - 1, good)), Code::kBadCompression);
  // Right, but for a block that covers less.
  EXPECT_EQ(with(CompMethod::kLz4, lz4(size, good), 15), Code::kBadCompression);

  std::string deflated(70000, '\0');
  uLongf length = deflated.size();
  compress2(reinterpret_cast<Bytef*>(deflated.data()), &length,
            reinterpret_cast<const Bytef*>(text.data()), text.size(), 9);
  deflated.resize(length);
  EXPECT_EQ(with(CompMethod::kZlib, std::string(1024, '\0')),
            Code::kBadCompression);
  EXPECT_EQ(with(CompMethod::kZlib, deflated.substr(0, length / 2)),
            Code::kBadCompression);
  std::string wrong_sum = deflated;
  wrong_sum.back() ^= 1;
  EXPECT_EQ(with(CompMethod::kZlib, wrong_sum), Code::kBadCompression);
  EXPECT_EQ(with(CompMethod::kZlib, deflated, 15), Code::kBadCompression);
}

// One block under two descriptions isn't taken from the cache for the other.
TEST(HostileTest, CacheKeepsDescriptionsApart) {
  ImageBuilder image;
  const Blockref data = image.put(BlockType::kData, as_bytes("bytes"), 0, 16);
  Blockref wrong_sum = data;
  wrong_sum.check.xxhash64.value ^= 1;
  Blockref as_inode = data;
  as_inode.type = BlockType::kInode;
  as_inode.key = 1026;
  as_inode.keybits = 0;
  Inode good = ImageBuilder::file(1024, 5);
  ImageBuilder::set_refs(good, {data});
  Inode bad = ImageBuilder::file(1025, 5);
  ImageBuilder::set_refs(bad, {wrong_sum});
  Inode root = ImageBuilder::directory(1);
  image.attach(root, {image.indexed(good), image.indexed(bad), as_inode,
                      image.dirent("good", 1024, ObjectType::kRegular),
                      image.dirent("bad", 1025, ObjectType::kRegular),
                      image.dirent("inode", 1026, ObjectType::kRegular)});
  image.finish(root);
  Mounted at(image);
  EXPECT_EQ(at.content("/good"), "bytes");
  EXPECT_EQ(at.code("/bad"), Code::kCheckMismatch);
  EXPECT_EQ(at.code("/inode"), Code::kBadInode);
  EXPECT_EQ(at.content("/good"), "bytes");
}

TEST(HostileTest, ErrorsNameTheBlock) {
  ImageBuilder image;
  image.use(CheckMethod::kSha192);
  Inode file = ImageBuilder::file(1936, 1024);
  const Blockref data = image.put(BlockType::kData, as_bytes("x"), 0, 16);
  image.attach(file, {data});
  Inode root = ImageBuilder::directory(1);
  image.attach(root, {image.indexed(file),
                      image.dirent("f", 1936, ObjectType::kRegular)});
  image.finish(root);
  image.bytes()[data.offset()] ^= std::byte{0x80};
  Mounted at(image);
  EXPECT_EQ(at.content("/f"),
            "check code mismatch: data block at 0x400000 (1 KiB, sha192) of "
            "inode 1936 key 0x0");
}

}  // namespace
}  // namespace odo::hammer2::testing
