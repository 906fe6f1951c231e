// SPDX-License-Identifier: BSD-3-Clause
#include "lib/hammer2/volume_set.h"

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "lib/block/memory_device.h"
#include "lib/hammer2/testing/mounted.h"

namespace odo::hammer2::testing {
namespace {

// A large device of which only some stretches hold anything.
class SparseDevice {
 public:
  explicit SparseDevice(std::uint64_t size) : size_(size) {}

  void place(std::uint64_t offset, Bytes bytes) {
    parts_.push_back({offset, {bytes.begin(), bytes.end()}});
  }
  [[nodiscard]] std::uint64_t size_bytes() const { return size_; }
  [[nodiscard]] std::uint32_t block_bytes() const { return 4096; }
  [[nodiscard]] block::Result<void> read(std::uint64_t offset,
                                         MutableBytes to) {
    ODO_TRY_VOID(block::check_request(offset, to.size(), size_, 4096));
    zero_bytes(to);
    for (const Part& part : parts_) {
      for (std::size_t i = 0; i < part.bytes.size(); ++i) {
        const std::uint64_t at = part.offset + i;
        if (at >= offset && at < offset + to.size()) {
          to[at - offset] = part.bytes[i];
        }
      }
    }
    return {};
  }

 private:
  struct Part {
    std::uint64_t offset;
    std::vector<std::byte> bytes;
  };
  std::uint64_t size_;
  std::vector<Part> parts_;
};

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;

using Header = format::VolumeHeader;

// A header that a volume of `size` bytes may have.
std::unique_ptr<Header> plain_header(std::uint64_t size) {
  auto header = std::make_unique<Header>();
  header->magic = format::kVolumeMagic;
  header->volu_size = size;
  header->version = 2;
  header->nvolumes = 1;
  header->fstype = format::kHammer2FsType;
  header->total_size = size;
  header->mirror_tid = 100;
  header->volu_loff.fill(format::kUnusedVolumeOffset);
  header->volu_loff[0] = 0;
  header->sroot_blockset.refs[0].type = BlockType::kInode;
  return header;
}

void place(SparseDevice& device, unsigned index, const Header& header,
           bool damage = false) {
  std::vector<std::byte> bytes(sizeof(Header));
  copy_bytes(bytes, bytes_of(header));
  ImageBuilder::seal_header(bytes);
  if (damage) bytes[60000] ^= std::byte{1};
  device.place(index * format::kVolumeHeaderStride, bytes);
}

struct Opened {
  Result<void> result;
  VolumeInfo info;
};

Opened open(const std::vector<SparseDevice*>& devices) {
  auto set = std::make_unique<VolumeSet<SparseDevice>>();
  std::vector<std::byte> buffer(format::kVolumeHeaderBytes);
  const auto result = set->open(devices, VerifyChecks(), buffer);
  return {result, set->info()};
}

Code code(const std::vector<SparseDevice*>& devices) {
  const Opened opened = open(devices);
  EXPECT_FALSE(opened.result);
  return opened.result ? Code::kNotFound : opened.result.error().code;
}

TEST(VolumeSetTest, TakesTheNewestUsableHeader) {
  const auto chosen = [](std::vector<std::uint64_t> tids,
                         std::vector<bool> damaged) {
    SparseDevice device(8 * kGiB);
    for (unsigned i = 0; i < tids.size(); ++i) {
      auto header = plain_header(8 * kGiB);
      header->mirror_tid = tids[i];
      header->allocator_size = 1000 + i;
      place(device, i, *header, damaged[i]);
    }
    const Opened opened = open({&device});
    EXPECT_TRUE(opened.result);
    EXPECT_EQ(opened.info.allocator_bytes, 1000U + opened.info.header);
    return static_cast<unsigned>(opened.info.header);
  };
  EXPECT_EQ(chosen({5, 6, 7, 8}, {false, false, false, false}), 3U);
  EXPECT_EQ(chosen({9, 6, 7, 8}, {false, false, false, false}), 0U);
  EXPECT_EQ(chosen({5, 6, 7, 8}, {false, false, true, true}), 1U);
  EXPECT_EQ(chosen({5, 5, 5, 5}, {false, false, false, false}), 0U);
  EXPECT_EQ(chosen({5, 5, 5, 5}, {true, false, false, false}), 1U);
  EXPECT_EQ(chosen({1, ~std::uint64_t{0}, 2}, {false, false, false}), 1U);
}

TEST(VolumeSetTest, EveryCrcCounts) {
  for (const std::size_t at :
       {std::size_t{8}, std::size_t{300}, std::size_t{504}, std::size_t{508},
        std::size_t{512}, std::size_t{1023}, std::size_t{1024},
        std::size_t{65531}, std::size_t{65532}, std::size_t{65535}}) {
    SparseDevice device(kGiB);
    auto header = plain_header(kGiB);
    std::vector<std::byte> bytes(sizeof(Header));
    copy_bytes(bytes, bytes_of(*header));
    ImageBuilder::seal_header(bytes);
    bytes[at] ^= std::byte{0x10};
    device.place(0, bytes);
    EXPECT_EQ(code({&device}), Code::kNoUsableHeader) << at;
  }
}

TEST(VolumeSetTest, SaysWhatIsWrong) {
  SparseDevice nothing(kGiB);
  EXPECT_EQ(code({&nothing}), Code::kNoFilesystem);
  SparseDevice tiny(4096);
  EXPECT_EQ(code({&tiny}), Code::kNoFilesystem);
  SparseDevice empty(0);
  EXPECT_EQ(code({&empty}), Code::kNoFilesystem);
  EXPECT_EQ(code({}), Code::kVolumeMissing);

  const auto with = [](auto change) {
    SparseDevice device(kGiB);
    auto header = plain_header(kGiB);
    change(*header);
    place(device, 0, *header);
    return code({&device});
  };
  EXPECT_EQ(with([](Header& h) { h.magic = format::kVolumeMagicSwapped; }),
            Code::kByteSwapped);
  EXPECT_EQ(with([](Header& h) { h.version = 0; }), Code::kBadVersion);
  EXPECT_EQ(with([](Header& h) { h.version = 3; }), Code::kBadVersion);
  EXPECT_EQ(with([](Header& h) { h.volu_size = 0; }), Code::kBadVolumeHeader);
  EXPECT_EQ(with([](Header& h) { h.volu_size += 4096; }),
            Code::kBadVolumeHeader);
  EXPECT_EQ(with([](Header& h) { h.volu_size = ~std::uint64_t{0}; }),
            Code::kBadVolumeHeader);
  EXPECT_EQ(with([](Header& h) { h.volu_size = 2 * kGiB; }),
            Code::kDeviceTooSmall);
  EXPECT_EQ(with([](Header& h) { h.total_size += format::kVolumeAlignBytes; }),
            Code::kBadVolumeHeader);
  EXPECT_EQ(with([](Header& h) { h.fstype.node[0] ^= 1; }),
            Code::kBadVolumeHeader);
  EXPECT_EQ(with([](Header& h) { h.volu_id = 64; }), Code::kBadVolumeHeader);
  EXPECT_EQ(with([](Header& h) { h.volu_id = 1; }), Code::kVolumeMissing);
  EXPECT_EQ(with([](Header& h) { h.nvolumes = 2; }), Code::kVolumeMissing);
  EXPECT_EQ(with([](Header& h) { h.nvolumes = 0; }), Code::kVolumeMissing);
  EXPECT_EQ(with([](Header& h) { h.volu_loff[0] = kGiB; }),
            Code::kVolumeMismatch);
  EXPECT_EQ(with([](Header& h) { h.boot_beg = 1; }), Code::kBadVolumeHeader);
  EXPECT_EQ(with([](Header& h) { h.aux_end = 2 * kGiB; }),
            Code::kBadVolumeHeader);
  EXPECT_EQ(with([](Header& h) { h.allocator_free = 1; }),
            Code::kBadVolumeHeader);
  EXPECT_EQ(with([](Header& h) { h.sroot_blockset = {}; }),
            Code::kBadBlockType);
}

TEST(VolumeSetTest, Version1HasOneVolume) {
  const auto with = [](auto change) {
    SparseDevice device(kGiB);
    auto header = plain_header(kGiB);
    header->version = 1;
    header->nvolumes = 0;
    header->total_size = 0;
    header->volu_loff.fill(0);
    change(*header);
    place(device, 0, *header);
    const Opened opened = open({&device});
    EXPECT_TRUE(!opened.result || opened.info.total_bytes == kGiB);
    return opened.result ? "" : line_of(opened.result.error());
  };
  EXPECT_EQ(with([](Header&) {}), "");
  EXPECT_NE(with([](Header& h) { h.nvolumes = 1; }), "");
  EXPECT_NE(with([](Header& h) { h.total_size = kGiB; }), "");
}

// Three volumes, 1 GiB, 1 GiB and 8 MiB, spoiled by `change`.
struct Three {
  explicit Three(const std::function<void(unsigned, Header&)>& change =
                     [](unsigned, Header&) {}) {
    for (unsigned i = 0; i < 3; ++i) {
      auto header = plain_header(i < 2 ? kGiB : format::kVolumeAlignBytes);
      header->volu_id = static_cast<std::uint8_t>(i);
      header->nvolumes = 3;
      header->total_size = 2 * kGiB + format::kVolumeAlignBytes;
      for (unsigned k = 0; k < 3; ++k) header->volu_loff[k] = k * kGiB;
      change(i, *header);
      place(*all()[i], 0, *header);
    }
  }
  std::vector<SparseDevice*> all() { return {&a, &b, &c}; }

  SparseDevice a{kGiB}, b{kGiB}, c{2 * kGiB};
};

TEST(VolumeSetTest, SeveralVolumesInAnyOrder) {
  Three three;
  for (const auto& order : std::vector<std::vector<SparseDevice*>>{
           {&three.a, &three.b, &three.c},
           {&three.c, &three.a, &three.b},
           {&three.b, &three.c, &three.a}}) {
    const Opened opened = open(order);
    ASSERT_TRUE(opened.result) << line_of(opened.result.error());
    EXPECT_EQ(opened.info.volumes, 3U);
    EXPECT_EQ(opened.info.total_bytes, 2 * kGiB + format::kVolumeAlignBytes);
  }
  EXPECT_EQ(code({&three.a, &three.b}), Code::kVolumeMissing);
  EXPECT_EQ(code({&three.a, &three.b, &three.b}), Code::kVolumeMismatch);
  SparseDevice alone(kGiB);
  place(alone, 0, *plain_header(kGiB));
  EXPECT_EQ(code({&three.a, &three.b, &alone}), Code::kVolumeMismatch);
}

TEST(VolumeSetTest, VolumesMustAgree) {
  const auto with = [](unsigned which, auto change) {
    Three three([&](unsigned i, Header& header) {
      if (i == which) change(header);
    });
    return code(three.all());
  };
  EXPECT_EQ(with(1, [](Header& h) { h.fsid.time_low = 1; }),
            Code::kVolumeMismatch);
  EXPECT_EQ(with(2, [](Header& h) { h.version = 1; }), Code::kVolumeMismatch);
  EXPECT_EQ(with(2, [](Header& h) { h.nvolumes = 2; }), Code::kVolumeMismatch);
  EXPECT_EQ(with(1, [](Header& h) { h.volu_loff[1] = 2 * kGiB; }),
            Code::kVolumeMismatch);
  EXPECT_EQ(with(0, [](Header& h) { h.volu_loff[2] = 3 * kGiB; }),
            Code::kVolumeMismatch);
  // Only the last may end anywhere.
  EXPECT_EQ(
      with(1, [](Header& h) { h.volu_size -= format::kVolumeAlignBytes; }),
      Code::kVolumeMismatch);
}

TEST(VolumeSetTest, MapsOffsets) {
  Three three;
  auto set = std::make_unique<VolumeSet<SparseDevice>>();
  std::vector<std::byte> buffer(format::kVolumeHeaderBytes);
  const std::vector<SparseDevice*> devices = three.all();
  ASSERT_TRUE(set->open(devices, VerifyChecks(), buffer));
  EXPECT_EQ(set->find(0, 1024)->device, &three.a);
  EXPECT_EQ(set->find(kGiB - 1024, 1024)->device, &three.a);
  EXPECT_EQ(set->find(kGiB, 1024)->device, &three.b);
  EXPECT_EQ(set->find(2 * kGiB, 1024)->device, &three.c);
  EXPECT_EQ(set->find(kGiB - 1024, 2048), nullptr);  // across two
  const std::uint64_t end = 2 * kGiB + format::kVolumeAlignBytes;
  EXPECT_NE(set->find(end - 1024, 1024), nullptr);
  EXPECT_EQ(set->find(end, 1024), nullptr);
  EXPECT_EQ(set->find(end - 1024, 2048), nullptr);
  EXPECT_EQ(set->find(~std::uint64_t{0} - 1023, 1024), nullptr);
  // Every zone begins with a reserve.
  EXPECT_FALSE(set->holds_blocks(kGiB, 1024));
  EXPECT_FALSE(
      set->holds_blocks(kGiB + format::kZoneReserveBytes - 1024, 1024));
  EXPECT_TRUE(set->holds_blocks(kGiB + format::kZoneReserveBytes, 1024));
}

}  // namespace
}  // namespace odo::hammer2::testing
