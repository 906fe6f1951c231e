// SPDX-License-Identifier: BSD-3-Clause
// Volume headers of up to 64 volumes: which one is taken, what must agree, and
// where blocks may lie after that.
//
// Shape of an input: a container (fuzz/hammer2/container.h).
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "fuzz/hammer2/container.h"
#include "fuzz/hammer2/custom_mutator.h"
#include "fuzz/hammer2/host_checks.h"
#include "fuzz/hammer2/session.h"
#include "fuzz/hammer2/sparse_device.h"
#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/hammer2/check/headers.h"
#include "lib/hammer2/volume_set.h"

namespace odo::hammer2::fuzz {

std::size_t container_offset(Bytes) { return 0; }
Mutator::Focus mutation_focus() { return Mutator::Focus::kHeaders; }

namespace {

using Header = format::VolumeHeader;
using Volumes = VolumeSet<SparseDevice>;

template <class T>
T field(Bytes header, std::size_t offset) {
  return load_le<T>(header.data() + offset);
}

// The magic number and three check codes.
template <CheckPolicy Checks>
bool is_good(const Checks& checks, Bytes header) {
  bool good = field<std::uint64_t>(header, 0) == format::kVolumeMagic;
  for (const format::HeaderCrc& crc : format::kHeaderCrcs) {
    good =
        good && checks.header_crc(header.subspan(crc.begin, crc.length),
                                  field<std::uint32_t>(header, crc.stored_at));
  }
  return good;
}

// The header to be taken, by the letter: the highest transaction, of two alike
// the first.
template <CheckPolicy Checks>
std::optional<unsigned> newest(SparseDevice& device, const Checks& checks,
                               MutableBytes buffer) {
  std::optional<unsigned> best;
  std::uint64_t best_tid = 0;
  for (unsigned i = 0; i < format::kVolumeHeaderCount; ++i) {
    if (!device.read(i * format::kVolumeHeaderStride, buffer)) continue;
    const auto tid = field<std::uint64_t>(buffer, offsetof(Header, mirror_tid));
    if (is_good(checks, buffer) && (!best || tid > best_tid)) {
      best = i;
      best_tid = tid;
    }
  }
  return best;
}

// Where it is; of a device with one header that isn't good, where its copy is.
template <CheckPolicy Checks>
std::optional<std::uint64_t> place_of(std::optional<unsigned> best,
                                      SparseDevice& device,
                                      const Checks& checks,
                                      MutableBytes buffer) {
  constexpr std::uint64_t kCopy = std::uint64_t{62} << 16;
  constexpr std::uint64_t kTwoHeaders = (std::uint64_t{2} << 30) + (4U << 20);
  if (best) return *best * format::kVolumeHeaderStride;
  if (device.size_bytes() < kTwoHeaders && device.read(kCopy, buffer) &&
      is_good(checks, buffer)) {
    return kCopy;
  }
  return std::nullopt;
}

// Where blocks may be, tried at the edges of everything.
void try_places(const Volumes& volumes) {
  const VolumeInfo& info = volumes.info();
  for (const std::uint64_t edge :
       {std::uint64_t{0}, format::kZoneReserveBytes, format::kZoneBytes,
        format::kZoneBytes + format::kZoneReserveBytes, info.boot_beg,
        info.boot_end, info.aux_beg, info.aux_end, info.total_bytes,
        ~std::uint64_t{0}}) {
    for (unsigned radix = 0; radix < 64; ++radix) {
      for (std::uint64_t step = 0; step < 3; ++step) {
        format::Blockref ref = {};
        ref.type = format::BlockType::kData;
        const std::uint64_t bytes = std::uint64_t{1} << radix;
        ref.data_off =
            ((edge + (step - 1) * bytes) & ~std::uint64_t{63}) | radix;
        const auto place = volumes.locate(ref, 0);
        if (!place) {
          check_told(place.error());
          continue;
        }
        const Volumes::Volume& volume = **place;
        const std::uint64_t offset = ref.offset();
        ODO_CHECK(radix >= format::kMinRadix && radix <= format::kMaxRadix);
        ODO_CHECK(offset >= volume.offset &&
                  offset + bytes <= volume.offset + volume.size &&
                  offset + bytes <= info.total_bytes);
        ODO_CHECK(offset % format::kZoneBytes >= format::kZoneReserveBytes);
        ODO_CHECK(offset + bytes <= info.boot_beg || offset >= info.boot_end ||
                  info.boot_beg == info.boot_end);
        ODO_CHECK(offset + bytes <= info.aux_beg || offset >= info.aux_end ||
                  info.aux_beg == info.aux_end);
        ODO_CHECK(volume.size <= volume.device->size_bytes());
        ODO_CHECK(volumes.find(offset, bytes) == &volume);
      }
    }
  }
}

template <CheckPolicy Checks>
void open(const Container& container) {
  static std::vector<std::byte> buffer(format::kVolumeHeaderBytes);
  const Checks checks = host_policy<Checks>();
  Meter meter;
  if (container.fail_after != 0) meter.max_reads = container.fail_after;
  const Devices devices(container, meter);
  const auto volumes = std::make_unique<Volumes>();
  const auto opened = volumes->open(devices.all(), checks, buffer);
  ODO_CHECK(meter.reads <= 5 * devices.all().size());
  if (!opened) check_told(opened.error());
  if (meter.exhausted()) return;

  bool all_have_one = !devices.all().empty();
  for (std::size_t d = 0; d < devices.all().size(); ++d) {
    SparseDevice& device = *devices.all()[d];
    const auto best = newest(device, checks, buffer);
    const auto place = place_of(best, device, checks, buffer);
    all_have_one = all_have_one && place.has_value();
    const audit::HeaderScan scan =
        audit::scan_headers(device, d, checks, buffer);
    const bool has_read = opened && place && device.read(*place, buffer);
    // Some of these may have been refused what the others could read.
    if (meter.exhausted()) return;
    ODO_CHECK(scan.best == best);
    if (!opened) continue;
    ODO_CHECK(has_read);
    const auto id = field<std::uint8_t>(buffer, offsetof(Header, volu_id));
    if (id == 0) {
      ODO_CHECK(volumes->info().header == best.value_or(0) &&
                volumes->info().header_offset == *place);
    }
  }
  ODO_CHECK(!opened || all_have_one);
  if (!opened) {
    const bool none = opened.error().code == Code::kNoUsableHeader ||
                      opened.error().code == Code::kNoFilesystem ||
                      opened.error().code == Code::kByteSwapped;
    ODO_CHECK(!none || !all_have_one);
    return;
  }
  // Every byte belongs to one volume.
  const VolumeInfo& info = volumes->info();
  ODO_CHECK(info.volumes == devices.all().size());
  std::uint64_t offset = 0;
  for (unsigned v = 0; v < info.volumes; ++v) {
    const Volumes::Volume* volume = volumes->find(offset, 1);
    ODO_CHECK(volume != nullptr && volume->offset == offset);
    ODO_CHECK(volume->size % format::kVolumeAlignBytes == 0);
    ODO_CHECK(volumes->index_of(*volume) == v);
    offset += volume->size;
  }
  ODO_CHECK(offset == info.total_bytes && volumes->find(offset, 1) == nullptr);
  ODO_CHECK(volumes->super_root().type == format::BlockType::kInode);
  try_places(*volumes);
}

}  // namespace
}  // namespace odo::hammer2::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  using namespace odo::hammer2::fuzz;  // NOLINT: a file of one function
  const Container container =
      decode({reinterpret_cast<const std::byte*>(data), size});
  if (container.believes()) {
    open<BelieveAll>(container);
  } else {
    open<odo::hammer2::VerifyChecks>(container);
  }
  return 0;
}
