// SPDX-License-Identifier: BSD-3-Clause
// Recovering and showing what a container holds: it ends, every version and
// name that it tells of makes sense, the content of a file comes in order,
// within its size, with gaps where nothing came, and what is shown of a block
// is no contradiction.
//
// Shape of an input: a container (fuzz/hammer2/container.h). Bit 3 of the
// knobs: the medium isn't scanned, nor is one of more than 64 MiB; bit 4: there
// is memory for few versions; bit 5: data aren't read to be shown; bit 6: there
// is little memory for what has been shown.
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "fuzz/hammer2/container.h"
#include "fuzz/hammer2/custom_mutator.h"
#include "fuzz/hammer2/host_checks.h"
#include "fuzz/hammer2/session.h"
#include "fuzz/hammer2/show_session.h"
#include "fuzz/hammer2/sparse_device.h"
#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/hammer2/block_store.h"
#include "lib/hammer2/check/arena.h"
#include "lib/hammer2/check/space.h"
#include "lib/hammer2/inspect/medium.h"
#include "lib/hammer2/recover/catalogue.h"
#include "lib/hammer2/recover/content.h"

namespace odo::hammer2::fuzz {

std::size_t container_offset(Bytes) { return 0; }
Mutator::Focus mutation_focus() { return Mutator::Focus::kAll; }

namespace {

using Medium = inspect::Medium<SparseDevice>;
using Catalogue = recover::Catalogue<Medium>;
using Store = BlockStore<Medium::Device, VerifyChecks>;

constexpr unsigned kMaxFiles = 24;
constexpr unsigned kMaxChains = 200;
// A scan looks at every KiB, whether there is anything or not.
constexpr std::uint64_t kMaxScanned = std::uint64_t{64} << 20;

struct Observer {
  std::uint64_t done = 0;

  void lost(const Error& error, std::string_view) { check_told(error); }
  void progress(std::uint64_t now, std::uint64_t total) {
    ODO_CHECK(now >= done && now <= total);
    done = now;
  }
};

// Content comes in order and nothing twice.
struct Sink {
  std::uint64_t size;
  std::uint64_t end = 0;
  std::uint64_t data_bytes = 0;
  std::uint64_t lost_bytes = 0;

  bool data(std::uint64_t offset, Bytes bytes) {
    ODO_CHECK(offset >= end && offset <= size && bytes.size() <= size - offset);
    end = offset + bytes.size();
    data_bytes += bytes.size();
    return true;
  }
  void gap(std::uint64_t offset, std::uint64_t length, const Error& error) {
    ODO_CHECK(length != 0 && offset >= end && offset < size &&
              length <= size - offset);
    end = offset + length;
    lost_bytes += length;
    check_told(error);
  }
};

// Any bytes, as they lie there: who makes files of names makes them harmless.
void check_name(const recover::Name& name) {
  ODO_CHECK(!name.view().empty() &&
            name.view().size() <= format::kInodeNameBytes);
}

void check_versions(const Catalogue& catalogue) {
  unsigned chains = 0;
  for (const recover::Version& version : catalogue.versions()) {
    ODO_CHECK(!recover::to_string(catalogue.fate(version)).empty());
    ODO_CHECK(!recover::to_string(version.source).empty());
    if (++chains > kMaxChains) continue;
    std::array<const recover::Name*, Catalogue::kMaxComponents> chain = {};
    std::uint64_t top = 0;
    const std::size_t count = catalogue.chain(version, nullptr, chain, top);
    ODO_CHECK(count <= chain.size());
    for (std::size_t i = 0; i < count; ++i) {
      check_name(*chain[i]);
    }
  }
  for (const recover::Name& name : catalogue.names()) {
    check_name(name);
  }
}

void read_files(Medium& medium, const Catalogue& catalogue,
                MutableBytes memory) {
  const auto store = std::make_unique<Store>(host_policy<VerifyChecks>());
  if (!store->open(medium.devices(), memory)) return;
  unsigned files = 0;
  for (const recover::Version& version : catalogue.versions()) {
    if (version.type == ObjectType::kDirectory || ++files > kMaxFiles) continue;
    Sink sink{.size = version.size};
    const auto read = recover::read_content(
        *store, recover::inode_at(version.offset, version.inum), version.inum,
        sink);
    if (!read) {
      check_told(read.error());
      continue;
    }
    ODO_CHECK(read->data_bytes == sink.data_bytes &&
              read->lost_bytes == sink.lost_bytes);
    ODO_CHECK(read->data_bytes + read->lost_bytes <= read->size);
  }
}

// Memory that is made once: what isn't touched costs nothing.
struct Memory {
  static constexpr std::size_t kMapsBytes = std::size_t{16} << 20;
  static constexpr std::size_t kOwnBytes = std::size_t{24} << 20;
  static constexpr std::size_t kReaderBytes = std::size_t{1} << 20;
  static constexpr std::size_t kAll = kMapsBytes + kOwnBytes + kReaderBytes;

  MutableBytes maps;
  MutableBytes own;
  MutableBytes reader;

  static Memory take() {
    static const auto memory =
        std::make_unique_for_overwrite<std::byte[]>(kAll);
    const MutableBytes all(memory.get(), kAll);
    return {.maps = all.first(kMapsBytes),
            .own = all.subspan(kMapsBytes, kOwnBytes),
            .reader = all.last(kReaderBytes)};
  }
};

// The least of `memory` that a catalogue can work with.
std::size_t least_bytes(Catalogue& catalogue, MutableBytes memory) {
  std::size_t low = 0;
  std::size_t high = memory.size();
  while (low < high) {
    const std::size_t middle = (low + high) / 2;
    audit::Arena arena(memory.first(middle));
    if (catalogue.init(arena)) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

void recover_all(const Container& container, const Memory& memory,
                 Medium& medium, audit::Arena& maps) {
  audit::SpaceMap newest;
  audit::SpaceMap older;
  const std::uint64_t bytes = medium.volumes().info().total_bytes;
  if (!newest.init(maps, bytes) || !older.init(maps, bytes)) return;
  const auto catalogue = std::make_unique<Catalogue>(medium, newest, older);
  audit::Arena own(memory.own);
  if ((container.knobs & 16) != 0) {
    constexpr std::size_t kLittle = 4096;
    static const std::size_t least = least_bytes(*catalogue, memory.own);
    own = audit::Arena(memory.own.first(least + kLittle));
  }
  ODO_CHECK(catalogue->init(own));
  Observer observer;
  catalogue->walk_headers(observer);
  if ((container.knobs & 8) == 0 && bytes <= kMaxScanned) {
    catalogue->scan(observer);
  }
  catalogue->finish();
  check_versions(*catalogue);
  read_files(medium, *catalogue, memory.reader);
}

// A header that is shown in the place of another is a part of the device.
void check_header_end(const Medium& medium) {
  constexpr std::size_t kPart = 4096;
  std::array<std::byte, 2 * kPart> whole;
  std::array<std::byte, 2 * kPart> parts;
  for (Medium::Device* device : medium.devices()) {
    const std::uint64_t at = format::kVolumeHeaderBytes - kPart;
    if (!device->read(at, MutableBytes(parts).first(kPart)) ||
        !device->read(at + kPart, MutableBytes(parts).last(kPart)) ||
        !device->read(at, whole)) {
      continue;
    }
    ODO_CHECK(equal_bytes(whole, parts));
  }
}

void inspect_all(const Container& container) {
  Meter budget{.max_reads = 20000, .max_bytes = std::uint64_t{128} << 20};
  if (container.fail_after != 0) budget.max_reads = container.fail_after;
  Meter meter = budget;
  const Devices devices(container, meter);
  const Memory memory = Memory::take();
  audit::Arena maps(memory.maps);
  const auto medium = std::make_unique<Medium>(host_policy<VerifyChecks>());
  if (const auto opened = medium->open(devices.all(), maps); !opened) {
    ODO_CHECK(opened.error().code != Code::kNoMemory);
    check_told(opened.error());
    return;
  }
  check_header_end(*medium);
  recover_all(container, memory, *medium, maps);
  meter = budget;
  audit::Arena own(memory.own);
  ShowSession<Medium>::run(*medium, own,
                           {.read_data = (container.knobs & 32) == 0,
                            .forgets = (container.knobs & 64) != 0});
}

}  // namespace
}  // namespace odo::hammer2::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  using namespace odo::hammer2::fuzz;  // NOLINT: a file of one function
  inspect_all(decode({reinterpret_cast<const std::byte*>(data), size}));
  return 0;
}
