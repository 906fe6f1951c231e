// SPDX-License-Identifier: BSD-3-Clause
// Decompressors beside their peers, as Debian builds them: liblz4 for LZ4
// blocks, zlib and ISA-L for zlib streams. Bytes per second are those of the
// output. LZ4 blocks come from liblz4's ordinary compressor, zlib streams from
// zlib's level 6, which is HAMMER2's default.
#include <benchmark/benchmark.h>
#include <isa-l/igzip_lib.h>
#include <lz4.h>
#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "lib/codec/lz4.h"
#include "lib/codec/testing/generated.h"
#include "lib/codec/zlib.h"

namespace odo::codec {
namespace {

using Data = std::vector<std::byte>;

struct Size {
  const char* name;
  std::size_t bytes;
};
constexpr Size kSizes[] = {{"64B", 64},
                           {"1KiB", 1024},
                           {"16KiB", 16384},
                           {"64KiB", 65536},
                           {"1MiB", 1048576}};

struct Kind {
  const char* name;
  Data (*make)(std::size_t size, std::uint64_t seed);
};
constexpr Kind kKinds[] = {{"text", testing::text_like},
                           {"binary", testing::binary_like},
                           {"mixed", testing::mixed}};

struct Sample {
  Data data;
  Data compressed;
};

Data lz4_compress(const Data& data) {
  const int size = static_cast<int>(data.size());
  Data block(static_cast<std::size_t>(LZ4_compressBound(size)));
  const int made =
      LZ4_compress_default(reinterpret_cast<const char*>(data.data()),
                           reinterpret_cast<char*>(block.data()), size,
                           static_cast<int>(block.size()));
  block.resize(static_cast<std::size_t>(made));
  return block;
}

Data zlib_compress(const Data& data) {
  uLongf size = compressBound(static_cast<uLong>(data.size()));
  Data stream(size);
  compress2(reinterpret_cast<Bytef*>(stream.data()), &size,
            reinterpret_cast<const Bytef*>(data.data()),
            static_cast<uLong>(data.size()), 6);
  stream.resize(size);
  return stream;
}

// Registers one contender: `decompress(stream, out)` answers the size.
template <class F>
void add(const std::string& name, std::shared_ptr<const Sample> sample,
         F decompress) {
  benchmark::RegisterBenchmark(
      name.c_str(), [name, sample, decompress](benchmark::State& state) {
        Data out(sample->data.size());
        if (decompress(Bytes(sample->compressed), MutableBytes(out)) !=
                sample->data.size() ||
            out != sample->data) {
          std::fprintf(stderr, "%s: wrong output\n", name.c_str());
          std::exit(1);
        }
        for (auto _ : state) {
          Bytes in(sample->compressed);
          benchmark::DoNotOptimize(in);
          benchmark::DoNotOptimize(decompress(in, MutableBytes(out)));
          benchmark::ClobberMemory();
        }
        state.SetBytesProcessed(state.iterations() *
                                static_cast<std::int64_t>(sample->data.size()));
      });
}

void add_lz4(const std::string& prefix, const Data& data) {
  const auto sample =
      std::make_shared<const Sample>(Sample{data, lz4_compress(data)});
  add(prefix + "/ours", sample, [](Bytes in, MutableBytes out) {
    return lz4_decompress(in, out).value_or(0);
  });
  add(prefix + "/liblz4", sample, [](Bytes in, MutableBytes out) {
    return static_cast<std::size_t>(LZ4_decompress_safe(
        reinterpret_cast<const char*>(in.data()),
        reinterpret_cast<char*>(out.data()), static_cast<int>(in.size()),
        static_cast<int>(out.size())));
  });
}

void add_zlib(const std::string& prefix, const Data& data) {
  const auto sample =
      std::make_shared<const Sample>(Sample{data, zlib_compress(data)});
  const auto workspace = std::make_shared<InflateWorkspace>();
  add(prefix + "/ours", sample, [workspace](Bytes in, MutableBytes out) {
    return zlib_decompress(in, out, *workspace)
        .value_or(Inflated{0, 0})
        .written;
  });

  // One state, reset for each stream, as a file system would do it.
  const std::shared_ptr<z_stream> z(new z_stream{}, [](z_stream* p) {
    inflateEnd(p);
    delete p;
  });
  inflateInit(z.get());
  add(prefix + "/zlib", sample, [z](Bytes in, MutableBytes out) {
    inflateReset(z.get());
    // zlib's input pointer lacks a const; it does not write.
    z->next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(in.data()));
    z->avail_in = static_cast<uInt>(in.size());
    z->next_out = reinterpret_cast<Bytef*>(out.data());
    z->avail_out = static_cast<uInt>(out.size());
    return ::inflate(z.get(), Z_FINISH) == Z_STREAM_END
               ? static_cast<std::size_t>(z->total_out)
               : 0;
  });

  const auto state = std::make_shared<inflate_state>();
  isal_inflate_init(state.get());
  add(prefix + "/isa-l", sample, [state](Bytes in, MutableBytes out) {
    isal_inflate_reset(state.get());
    state->crc_flag = ISAL_ZLIB;
    state->next_in = const_cast<std::uint8_t*>(
        reinterpret_cast<const std::uint8_t*>(in.data()));
    state->avail_in = static_cast<std::uint32_t>(in.size());
    state->next_out = reinterpret_cast<std::uint8_t*>(out.data());
    state->avail_out = static_cast<std::uint32_t>(out.size());
    return isal_inflate(state.get()) == ISAL_DECOMP_OK &&
                   state->block_state == ISAL_BLOCK_FINISH
               ? static_cast<std::size_t>(state->total_out)
               : 0;
  });
}

void add_all() {
  for (const Kind& kind : kKinds) {
    for (const Size& size : kSizes) {
      const Data data = kind.make(size.bytes, 1);
      const std::string tail = std::string(kind.name) + "-" + size.name;
      add_lz4("codec/lz4-" + tail, data);
      add_zlib("codec/zlib-" + tail, data);
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
