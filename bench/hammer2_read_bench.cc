// SPDX-License-Identifier: BSD-3-Clause
// The HAMMER2 reader beside the libraries that do the same work on the same
// blocks: a file of 64 KiB blocks is read from memory, each block proven by its
// check code and decompressed.
//
// Ours reads through the whole reader: look-up, cache, proof, decompression,
// copy to the caller. The peers are told where the blocks are: they copy each
// from the medium as the reader has to, then call liblz4 or zlib as its method
// says, after libxxhash. The file is larger than the cache, so that every pass
// reads every block anew.
#include <benchmark/benchmark.h>
#include <lz4.h>
#include <xxhash.h>
#include <zlib.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "lib/block/memory_device.h"
#include "lib/check/vector/host_cpu.h"
#include "lib/check/vector/vector_checks.h"
#include "lib/codec/testing/generated.h"
#include "lib/hammer2/filesystem.h"
#include "lib/hammer2/testing/image_builder.h"

namespace odo::hammer2::testing {
namespace {

using Device = block::MemoryDevice;
using Reader = FileSystem<Device, VerifyChecks>;

constexpr std::size_t kBlock = 65536;
constexpr std::size_t kBlocks = 512;
constexpr std::size_t kFileBytes = kBlock * kBlocks;
constexpr std::uint64_t kInum = 1024;
constexpr std::size_t kLz4SizeBytes = 4;  // in front of each LZ4 block

[[noreturn]] void give_up(const char* what) {
  std::fprintf(stderr, "hammer2_read_bench: %s\n", what);
  std::exit(1);
}

// One block as the writer stores it.
std::vector<std::byte> stored(const std::vector<std::byte>& data,
                              CompMethod comp) {
  if (comp == CompMethod::kNone) return data;
  std::vector<std::byte> out(kBlock * 2);
  if (comp == CompMethod::kLz4) {
    const int made = LZ4_compress_default(
        reinterpret_cast<const char*>(data.data()),
        reinterpret_cast<char*>(out.data()) + kLz4SizeBytes,
        static_cast<int>(data.size()),
        static_cast<int>(out.size() - kLz4SizeBytes));
    store_le(out.data(), static_cast<std::uint32_t>(made));
    out.resize(kLz4SizeBytes + static_cast<std::size_t>(made));
    return out;
  }
  uLongf size = out.size();
  compress2(reinterpret_cast<Bytef*>(out.data()), &size,
            reinterpret_cast<const Bytef*>(data.data()),
            static_cast<uLong>(data.size()), 6);
  out.resize(size);
  return out;
}

// A volume with one file, and where its blocks are.
class Sample {
 public:
  explicit Sample(CompMethod comp)
      : comp_(comp), image_(std::uint64_t{128} << 20) {
    for (std::size_t i = 0; i < kBlocks; ++i) {
      const auto data = codec::testing::mixed(kBlock, i);
      blocks_.push_back(image_.put(
          BlockType::kData,
          comp == CompMethod::kNone ? Bytes(data) : Bytes(stored(data, comp)),
          i * kBlock, 16, comp));
    }
    std::vector<Blockref> level = blocks_;
    for (unsigned bits = 22; level.size() > 1; bits += 6) {
      std::vector<Blockref> above;
      for (std::size_t i = 0; i < level.size(); i += 64) {
        const std::size_t end = std::min(i + 64, level.size());
        const std::vector<Blockref> part(
            level.begin() + static_cast<std::ptrdiff_t>(i),
            level.begin() + static_cast<std::ptrdiff_t>(end));
        above.push_back(image_.indirect(part, part.front().key, bits));
      }
      level = above;
    }
    Inode file = ImageBuilder::file(kInum, kFileBytes);
    ImageBuilder::set_refs(file, level);
    Inode root = ImageBuilder::directory(format::kRootInum);
    image_.attach(root, {image_.indexed(file),
                         image_.dirent("file", kInum, ObjectType::kRegular)});
    image_.finish(root);
    device_ = std::make_unique<Device>(image_.bytes());
  }

  [[nodiscard]] Device& device() { return *device_; }
  [[nodiscard]] const std::vector<Blockref>& blocks() const { return blocks_; }
  [[nodiscard]] CompMethod comp() const { return comp_; }
  [[nodiscard]] Bytes bytes(const Blockref& ref) {
    return Bytes(image_.bytes())
        .subspan(ref.offset(), std::size_t{1} << ref.radix());
  }

 private:
  CompMethod comp_;
  ImageBuilder image_;
  std::vector<Blockref> blocks_;
  std::unique_ptr<Device> device_;
};

void ours(benchmark::State& state, Sample& sample) {
  std::vector<std::byte> memory(std::size_t{4} << 20);
  const auto reader = std::make_unique<Reader>(VerifyChecks(
      check::Checks(check::vector_engines(check::host_features()))));
  Device* devices[] = {&sample.device()};
  Pfs pfs;
  Node root;
  Node file;
  if (!reader->open(devices, memory) || !reader->default_pfs(pfs) ||
      !reader->root(pfs, root) || !reader->lookup(root, "file", file)) {
    give_up("the sample can't be opened");
  }
  std::vector<std::byte> out(kBlock);
  for (auto _ : state) {
    for (std::size_t i = 0; i < kBlocks; ++i) {
      const auto got = reader->read(file, i * kBlock, out);
      if (!got || *got != kBlock) give_up("the sample can't be read");
      benchmark::DoNotOptimize(out.data());
    }
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(
      static_cast<std::size_t>(state.iterations()) * kFileBytes));
}

void libraries(benchmark::State& state, Sample& sample) {
  std::vector<std::byte> block(kBlock);
  std::vector<std::byte> out(kBlock);
  for (auto _ : state) {
    for (const Blockref& ref : sample.blocks()) {
      const Bytes medium = sample.bytes(ref);
      std::memcpy(block.data(), medium.data(), medium.size());
      if (XXH64(block.data(), medium.size(), format::kXxhashSeed) !=
          ref.check.xxhash64.value) {
        give_up("a check code is wrong");
      }
      if (sample.comp() == CompMethod::kLz4) {
        const auto size = load_le<std::uint32_t>(block.data());
        LZ4_decompress_safe(
            reinterpret_cast<const char*>(block.data()) + kLz4SizeBytes,
            reinterpret_cast<char*>(out.data()), static_cast<int>(size),
            static_cast<int>(kBlock));
      } else if (sample.comp() == CompMethod::kZlib) {
        uLongf size = kBlock;
        uncompress(reinterpret_cast<Bytef*>(out.data()), &size,
                   reinterpret_cast<const Bytef*>(block.data()),
                   static_cast<uLong>(medium.size()));
      } else {
        std::memcpy(out.data(), block.data(), kBlock);
      }
      benchmark::DoNotOptimize(out.data());
    }
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(
      static_cast<std::size_t>(state.iterations()) * kFileBytes));
}

void register_all() {
  constexpr struct {
    const char* name;
    CompMethod comp;
  } kCases[] = {{"raw", CompMethod::kNone},
                {"lz4", CompMethod::kLz4},
                {"zlib", CompMethod::kZlib}};
  for (const auto& [name, comp] : kCases) {
    const auto sample = std::make_shared<Sample>(comp);
    const std::string base = std::string("hammer2-read/") + name;
    benchmark::RegisterBenchmark(
        (base + "/ours").c_str(),
        [sample](benchmark::State& state) { ours(state, *sample); });
    benchmark::RegisterBenchmark(
        (base + "/libraries").c_str(),
        [sample](benchmark::State& state) { libraries(state, *sample); });
  }
}

}  // namespace
}  // namespace odo::hammer2::testing

int main(int argc, char** argv) {
  odo::hammer2::testing::register_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
