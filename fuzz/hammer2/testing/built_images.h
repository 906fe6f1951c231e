// SPDX-License-Identifier: BSD-3-Clause
// Containers of built images with a bit of everything in them.
//
// Contexts: tests; hosted.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fuzz/hammer2/container.h"
#include "lib/hammer2/testing/image_builder.h"

namespace odo::hammer2::fuzz {

// What isn't zero in `bytes`, as one volume.
inline Container contain(Bytes bytes) {
  constexpr std::size_t kPiece = 1024;
  Container container;
  container.volumes.resize(1);
  container.volumes[0].size = bytes.size();
  for (std::size_t at = 0; at < bytes.size(); at += kPiece) {
    const Bytes piece = bytes.subspan(at, kPiece);
    std::size_t begin = 0;
    if (!detail::next_extent(piece, begin).empty()) {
      container.volumes[0].bytes.write(at, piece);
    }
  }
  return container;
}

// A PFS "DATA" with directories, a file of two levels of indirect blocks, a
// small one, a symlink, a long name; "LOCAL"; a freemap.
inline Container built_container() {
  using format::ObjectType;
  using testing::as_bytes;
  using testing::ImageBuilder;
  ImageBuilder image;
  image.make_freemap();
  std::vector<format::Blockref> data;
  data.reserve(6);
  for (std::uint64_t i = 0; i < 6; ++i) {
    data.push_back(image.put(format::BlockType::kData,
                             as_bytes("block " + std::to_string(i)), i << 16,
                             16));
  }
  format::Inode big = ImageBuilder::file(1024, 6 << 16);
  ImageBuilder::set_refs(
      big, {image.indirect({data.begin(), data.begin() + 4}, 0, 18),
            image.indirect({data.begin() + 4, data.end()}, 1 << 18, 18)});
  format::Inode folder = ImageBuilder::directory(1026);
  image.attach(folder, {image.dirent(std::string(200, 'l'), 1024,
                                     ObjectType::kRegular)});
  format::Inode root = ImageBuilder::directory(1);
  big.meta.nlinks = 2;
  image.attach(root, {image.indexed(big),
                      image.indexed(ImageBuilder::embedded(1025, "small")),
                      image.indexed(folder),
                      image.indexed(ImageBuilder::embedded(
                          1027, "dir/../small", ObjectType::kSymlink)),
                      image.dirent("big", 1024, ObjectType::kRegular),
                      image.dirent("small", 1025, ObjectType::kRegular),
                      image.dirent("dir", 1026, ObjectType::kDirectory),
                      image.dirent("link", 1027, ObjectType::kSymlink)});
  image.finish_pfs({image.pfs(root, "DATA"),
                    image.pfs(ImageBuilder::directory(1), "LOCAL")});
  return contain(image.bytes());
}

}  // namespace odo::hammer2::fuzz
