// SPDX-License-Identifier: BSD-3-Clause
// make_seed OUT ENTRIES BLOCKS BYTES HEADERS IMAGE...: the image, raw or
// compressed, as a container with so many entries of each directory, so many
// blocks of at most so many bytes of each file, and so many headers of each
// volume.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <vector>

#include "fuzz/hammer2/container.h"
#include "fuzz/hammer2/prune.h"
#include "lib/block/host/image_file.h"

int main(int argc, char** argv) {
  using namespace odo;                 // NOLINT: a file of one function
  using namespace odo::hammer2::fuzz;  // NOLINT
  if (argc < 7) {
    std::fprintf(stderr,
                 "usage: make_seed OUT ENTRIES BLOCKS BYTES HEADERS "
                 "IMAGE...\n");
    return 2;
  }
  const auto number = [&](int i) {
    return static_cast<std::size_t>(std::strtoull(argv[i], nullptr, 10));
  };
  Container whole;
  for (int i = 6; i < argc; ++i) {
    auto device = block::open_image(argv[i]);
    if (!device) {
      std::fprintf(stderr, "make_seed: %s\n", device.error().c_str());
      return 1;
    }
    Volume volume;
    volume.size = device->size_bytes();
    std::vector<std::byte> piece(std::size_t{1} << 16);
    for (std::uint64_t at = 0; at < volume.size; at += piece.size()) {
      piece.resize(std::min<std::uint64_t>(piece.size(), volume.size - at));
      if (!device->read(at, piece)) {
        std::fprintf(stderr, "make_seed: %s: read error\n", argv[i]);
        return 1;
      }
      if (!all_zero(piece)) volume.bytes.write(at, piece);
    }
    whole.volumes.push_back(std::move(volume));
  }
  const PruneLimits limits{.entries = number(2),
                           .blocks = number(3),
                           .block_bytes = number(4),
                           .headers = number(5)};
  const std::vector<std::byte> encoded = encode(Pruner(whole, limits).prune());
  std::ofstream out(argv[1], std::ios::binary);
  out.write(reinterpret_cast<const char*>(encoded.data()),
            static_cast<std::streamsize>(encoded.size()));
  out.close();
  if (!out) {
    std::fprintf(stderr, "make_seed: cannot write %s\n", argv[1]);
    return 1;
  }
  std::printf("%s: %zu bytes\n", argv[1], encoded.size());
  return 0;
}
