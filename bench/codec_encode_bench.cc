// SPDX-License-Identifier: BSD-3-Clause
// Compressors beside their peers, as Debian builds them: liblz4's ordinary one
// for LZ4 blocks, zlib's at the same level for zlib streams. Bytes per second
// are those of the input. Ours must be as small as the peer's: to a fiftieth
// for LZ4, to a hundredth for zlib.
//
// Cases that end in -half have HAMMER2's limit: a block that doesn't fit in
// half of its size is stored as it is. There, no answer is one.
#include <benchmark/benchmark.h>
#include <lz4.h>
#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lib/codec/lz4_encode.h"
#include "lib/codec/testing/generated.h"
#include "lib/codec/zlib_encode.h"

namespace odo::codec {
namespace {

using Data = std::vector<std::byte>;

struct Size {
  const char* name;
  std::size_t bytes;
};
constexpr Size kSizes[] = {{"4KiB", 4096}, {"64KiB", 65536}};

Data zeros(std::size_t size, std::uint64_t) { return Data(size); }

struct Kind {
  const char* name;
  Data (*make)(std::size_t size, std::uint64_t seed);
};
constexpr Kind kKinds[] = {{"text", testing::text_like},
                           {"binary", testing::binary_like},
                           {"mixed", testing::mixed},
                           {"noise", testing::noise},
                           {"zeros", zeros}};

struct Case {
  std::string name;
  Kind kind;
  std::size_t size;
  std::size_t room;  // of the output

  // 1 MiB in all, so that no branch predictor learns a block by heart.
  [[nodiscard]] std::vector<Data> blocks() const {
    std::vector<Data> blocks;
    const std::size_t count = (std::size_t{1} << 20) / size;
    blocks.reserve(count);
    for (std::uint64_t seed = 0; seed < count; ++seed) {
      blocks.push_back(kind.make(size, seed));
    }
    return blocks;
  }
};

// What compresses a block into an output and answers the size, or 0 for none.
using Compress = std::function<std::size_t(Bytes block, MutableBytes out)>;
using Decompress = std::function<Data(Bytes stream, std::size_t size)>;

struct Format {
  Compress ours;
  const char* peer;
  Compress theirs;
  Decompress decompress;
  // Ours may be so many times as long as the peer's, and a little.
  double most;
};

// What is wrong with our output, or null.
const char* fault(const Case& c, const std::vector<Data>& blocks,
                  const Format& format) {
  std::size_t ours = 0;
  std::size_t theirs = 0;
  Data out(c.room);
  for (const Data& block : blocks) {
    const std::size_t size = format.ours(block, out);
    if (size != 0 &&
        format.decompress(Bytes(out).first(size), c.size) != block) {
      return "wrong output";
    }
    ours += size == 0 ? c.size : size;
    const std::size_t their_size = format.theirs(block, out);
    theirs += their_size == 0 ? c.size : their_size;
  }
  return static_cast<double>(ours) > format.most * static_cast<double>(theirs) +
                                         8 * static_cast<double>(blocks.size())
             ? "longer than the peer's"
             : nullptr;
}

void add(const Case& c, const Format& format, const char* contender,
         const Compress& compress) {
  const std::string name = "codec/" + c.name + "/" + contender;
  benchmark::RegisterBenchmark(
      name.c_str(), [c, format, compress](benchmark::State& state) {
        const std::vector<Data> blocks = c.blocks();
        if (const char* what = fault(c, blocks, format)) {
          state.SkipWithError(what);
          return;
        }
        Data out(c.room);
        std::size_t next = 0;
        for (auto _ : state) {
          benchmark::DoNotOptimize(compress(blocks[next], out));
          benchmark::ClobberMemory();
          next = next + 1 == blocks.size() ? 0 : next + 1;
        }
        state.SetBytesProcessed(state.iterations() *
                                static_cast<std::int64_t>(c.size));
      });
}

void add(const Case& c, const Format& format) {
  add(c, format, "ours", format.ours);
  add(c, format, format.peer, format.theirs);
}

Format lz4_format() {
  const auto workspace = std::make_shared<Lz4Workspace>();
  Format format;
  format.ours = [workspace](Bytes in, MutableBytes out) {
    return lz4_compress(in, out, *workspace).value_or(0);
  };
  format.peer = "liblz4";
  format.theirs = [](Bytes in, MutableBytes out) {
    return static_cast<std::size_t>(LZ4_compress_default(
        reinterpret_cast<const char*>(in.data()),
        reinterpret_cast<char*>(out.data()), static_cast<int>(in.size()),
        static_cast<int>(out.size())));
  };
  format.decompress = [](Bytes block, std::size_t size) {
    Data data(size);
    LZ4_decompress_safe(reinterpret_cast<const char*>(block.data()),
                        reinterpret_cast<char*>(data.data()),
                        static_cast<int>(block.size()), static_cast<int>(size));
    return data;
  };
  format.most = 1.02;
  return format;
}

Format zlib_format(unsigned level) {
  const auto workspace = std::make_shared<DeflateWorkspace>();
  Format format;
  format.ours = [workspace, level](Bytes in, MutableBytes out) {
    return zlib_compress(in, out, level, *workspace).value_or(0);
  };
  format.peer = "zlib";
  // One state, reset for each stream, as a file system would do it.
  const std::shared_ptr<z_stream> z(new z_stream{}, [](z_stream* p) {
    deflateEnd(p);
    delete p;
  });
  deflateInit(z.get(), static_cast<int>(level));
  format.theirs = [z](Bytes in, MutableBytes out) {
    deflateReset(z.get());
    // zlib's input pointer lacks a const; it does not write.
    z->next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(in.data()));
    z->avail_in = static_cast<uInt>(in.size());
    z->next_out = reinterpret_cast<Bytef*>(out.data());
    z->avail_out = static_cast<uInt>(out.size());
    return ::deflate(z.get(), Z_FINISH) == Z_STREAM_END
               ? static_cast<std::size_t>(z->total_out)
               : 0;
  };
  format.decompress = [](Bytes stream, std::size_t size) {
    Data data(size);
    uLongf written = size;
    uncompress(reinterpret_cast<Bytef*>(data.data()), &written,
               reinterpret_cast<const Bytef*>(stream.data()), stream.size());
    return data;
  };
  format.most = 1.01;
  return format;
}

void add_all() {
  const Format lz4 = lz4_format();
  const Format zlib_1 = zlib_format(1);
  const Format zlib_6 = zlib_format(6);
  const Format zlib_9 = zlib_format(9);
  for (const Kind& kind : kKinds) {
    for (const Size& size : kSizes) {
      const std::string tail = std::string(kind.name) + "-" + size.name;
      Case c{.name = {},
             .kind = kind,
             .size = size.bytes,
             .room = size.bytes + size.bytes / 255 + 64};
      const auto add_named = [&](const std::string& name,
                                 const Format& format) {
        c.name = name;
        add(c, format);
      };
      add_named("encode-lz4-" + tail, lz4);
      add_named("encode-zlib6-" + tail, zlib_6);
      if (size.bytes != 65536) continue;
      add_named("encode-zlib1-" + tail, zlib_1);
      add_named("encode-zlib9-" + tail, zlib_9);
      c.room = size.bytes / 2 - 8;
      add_named("encode-lz4-" + tail + "-half", lz4);
      add_named("encode-zlib6-" + tail + "-half", zlib_6);
    }
  }
}

}  // namespace
}  // namespace odo::codec

int main(int argc, char** argv) {
  odo::codec::add_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
