// SPDX-License-Identifier: BSD-3-Clause
// make_built_seeds DIR: containers of what no genuine image has, in the folders
// of DIR that fuzzers have their seeds in.
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "fuzz/hammer2/container.h"
#include "fuzz/hammer2/testing/built_images.h"
#include "lib/hammer2/testing/image_builder.h"

namespace odo::hammer2::fuzz {
namespace {

using format::Blockref;
using format::BlockType;
using format::Inode;
using testing::ImageBuilder;

// Of the knobs of hammer2_recover.
constexpr std::uint8_t kFewVersions = 16;
constexpr std::uint8_t kForgets = 64;

Inode small_root(ImageBuilder& image) {
  Inode root = ImageBuilder::directory(1);
  image.attach(root,
               {image.indexed(ImageBuilder::embedded(1024, "small")),
                image.dirent("small", 1024, format::ObjectType::kRegular)});
  return root;
}

// A header lies where blocks may.
Container header_elsewhere() {
  ImageBuilder image;
  image.finish(small_root(image));
  image.store_header(std::uint64_t{6} << 20);
  return contain(image.bytes());
}

// The only header is damaged, and there is the copy of it.
Container copy_of_the_header() {
  ImageBuilder image;
  image.make_freemap();
  image.finish(small_root(image));
  image.store_header(format::kShadowHeaderOffset);
  image.bytes()[offsetof(format::VolumeHeader, sroot_blockset)] ^=
      std::byte{0xff};
  return contain(image.bytes());
}

// A directory is in itself, twice, and far from what leads to it; nothing
// proves it.
Container directory_in_itself() {
  constexpr std::size_t kFarBytes = std::size_t{4} << 20;
  ImageBuilder image(4 * kFarBytes);
  image.use(format::CheckMethod::kNone);
  Inode loop = ImageBuilder::directory(1024);
  const Blockref ref = image.indexed(loop);
  Blockref again = ref;
  again.key = 1025;
  ImageBuilder::set_refs(loop, {ref, again});
  copy_bytes(image.bytes().subspan(ref.offset()), bytes_of(loop));
  const std::vector<std::byte> nothing(format::kMaxAllocBytes);
  for (std::size_t at = 0; at < kFarBytes; at += nothing.size()) {
    (void)image.put(BlockType::kData, nothing);
  }
  Inode root = ImageBuilder::directory(1);
  image.attach(root, {ref});
  image.finish(root);
  Container container = contain(image.bytes());
  container.knobs |= kForgets;
  return container;
}

// Two files have one data block, which is bad.
Container bad_data_twice() {
  ImageBuilder image;
  const std::string text(2000, 'x');
  const Blockref data =
      image.put(BlockType::kData, testing::as_bytes(text), 0, 16);
  Inode one = ImageBuilder::file(1024, text.size());
  Inode two = ImageBuilder::file(1025, text.size());
  image.attach(one, {data});
  image.attach(two, {data});
  Inode root = ImageBuilder::directory(1);
  image.attach(root, {image.indexed(one), image.indexed(two)});
  image.finish(root);
  image.bytes()[data.offset()] ^= std::byte{1};
  return contain(image.bytes());
}

// A file of one whole block, which the device refuses to read.
Container refused_data() {
  ImageBuilder image;
  const std::string text(format::kMaxAllocBytes, 'x');
  Inode file = ImageBuilder::file(1024, text.size());
  image.attach(file,
               {image.put(BlockType::kData, testing::as_bytes(text), 0, 16)});
  Inode root = ImageBuilder::directory(1);
  image.attach(root,
               {image.indexed(file),
                image.dirent("large", 1024, format::ObjectType::kRegular)});
  image.finish(root);
  Container container = contain(image.bytes());
  // The header twice, and two inodes.
  container.fail_after = 4;
  return container;
}

// More files, and more text in their names, than there is memory for.
Container many_files() {
  constexpr std::uint64_t kFiles = 48;
  ImageBuilder image;
  std::vector<Blockref> refs;
  for (std::uint64_t i = 0; i < kFiles; ++i) {
    const std::uint64_t inum = 1024 + i;
    refs.push_back(image.indexed(ImageBuilder::embedded(inum, "x")));
    refs.push_back(image.dirent("file number " + std::to_string(i), inum,
                                format::ObjectType::kRegular));
  }
  Inode root = ImageBuilder::directory(1);
  image.attach(root, refs);
  image.finish(root);
  Container container = contain(image.bytes());
  container.knobs |= kFewVersions;
  return container;
}

bool store(const std::string& path, const Container& container) {
  const std::vector<std::byte> encoded = encode(container);
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(encoded.data()),
            static_cast<std::streamsize>(encoded.size()));
  out.close();
  std::printf("%s: %zu bytes\n", path.c_str(), encoded.size());
  return static_cast<bool>(out);
}

}  // namespace
}  // namespace odo::hammer2::fuzz

int main(int argc, char** argv) {
  using namespace odo::hammer2::fuzz;  // NOLINT: a file of one function
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_built_seeds DIR\n");
    return 2;
  }
  const std::string shared = std::string(argv[1]) + "/hammer2_containers/";
  const std::string recover = std::string(argv[1]) + "/hammer2_recover/";
  const bool stored =
      store(shared + "copy-of-the-header", copy_of_the_header()) &&
      store(shared + "directory-in-itself", directory_in_itself()) &&
      store(shared + "bad-data-twice", bad_data_twice()) &&
      store(shared + "refused-data", refused_data()) &&
      store(recover + "header-elsewhere", header_elsewhere()) &&
      store(recover + "many-files", many_files());
  if (!stored) std::fprintf(stderr, "make_built_seeds: cannot write\n");
  return stored ? 0 : 1;
}
