// SPDX-License-Identifier: BSD-3-Clause
#include "lib/boot/multiboot2.h"

#include <gtest/gtest.h>
#include <string.h>

#include <random>
#include <string>

#include "lib/boot/testing.h"

namespace odo::boot {
namespace {

constexpr std::uint64_t kAt = 0x12340;
constexpr std::uint64_t kLimit = std::uint64_t{1} << 45;

class Tags {
 public:
  Tags& tag(std::uint32_t type, const std::vector<std::byte>& body) {
    builder_.le(type).le(static_cast<std::uint32_t>(8 + body.size()));
    builder_.bytes().insert(builder_.bytes().end(), body.begin(), body.end());
    builder_.pad_to(8);
    return *this;
  }
  [[nodiscard]] std::vector<std::byte> finish() const {
    Builder all;
    all.le(static_cast<std::uint32_t>(8 + builder_.bytes().size())).le(0u);
    all.bytes().insert(all.bytes().end(), builder_.bytes().begin(),
                       builder_.bytes().end());
    return all.bytes();
  }

 private:
  Builder builder_;
};

std::vector<std::byte> memory_body(std::uint32_t entry_size = 24) {
  Builder body;
  body.le(entry_size).le(0u);
  for (std::uint64_t i = 0; i < 2; ++i) {
    body.le(i * 0x1000000).le(std::uint64_t{0x800000}).le(1u).le(0u);
    for (std::uint32_t extra = 24; extra < entry_size; extra += 4) {
      body.le(0xffffffffu);
    }
  }
  return body.bytes();
}

std::vector<std::byte> text(std::string_view text) {
  return Builder().text(text).le('\0').bytes();
}

Result<void> parse(const std::vector<std::byte>& bytes, BootInfo& info) {
  IslandMemory memory;
  memory.put(kAt, bytes);
  return parse_multiboot2(memory, kAt, kLimit, info);
}

Tags usual() {
  Tags tags;
  tags.tag(1, text("root=none test=ud"))
      .tag(2, text("GRUB 2.06"))
      .tag(3, Builder().le(0x800000u).le(0x801000u).text("m").bytes())
      .tag(6, memory_body());
  return tags;
}

std::vector<std::byte> framebuffer_body(std::uint8_t type) {
  return Builder()
      .le(std::uint64_t{0xfd000000})
      .le(3200u)
      .le(800u)
      .le(600u)
      .le(std::uint8_t{32})
      .le(type)
      .le(std::uint16_t{0})
      .le(0x08080810u)  // red from bit 16, green from bit 8: 8 bits each
      .le(std::uint16_t{0x0800})
      .bytes();
}

TEST(Multiboot2Test, ReadsAFramebufferOfColours) {
  BootInfo info;
  ASSERT_TRUE(
      parse(usual().tag(8, framebuffer_body(1)).tag(0, {}).finish(), info));
  ASSERT_TRUE(info.framebuffer);
  EXPECT_EQ(info.framebuffer->address, 0xfd000000u);
  EXPECT_EQ(info.framebuffer->pitch_bytes, 3200u);
  EXPECT_EQ(info.framebuffer->width, 800u);
  EXPECT_EQ(info.framebuffer->height, 600u);
  EXPECT_EQ(info.framebuffer->pixel_bits, 32);
  EXPECT_EQ(info.framebuffer->red.shift, 16);
  EXPECT_EQ(info.framebuffer->green.shift, 8);
  EXPECT_EQ(info.framebuffer->blue.shift, 0);
  EXPECT_EQ(info.framebuffer->blue.bits, 8);
}

TEST(Multiboot2Test, PassesOverOtherFramebuffers) {
  std::vector<std::byte> cut = framebuffer_body(1);
  cut.pop_back();
  for (const auto& body : {framebuffer_body(0), framebuffer_body(2), cut}) {
    BootInfo info;
    ASSERT_TRUE(parse(usual().tag(8, body).tag(0, {}).finish(), info));
    EXPECT_FALSE(info.framebuffer);
  }
}

TEST(Multiboot2Test, ReadsTheTagsThatMatter) {
  BootInfo info;
  Tags tags = usual();
  tags.tag(14, text("RSD PTR one")).tag(0, {});
  ASSERT_TRUE(parse(tags.finish(), info));
  EXPECT_EQ(info.protocol, Protocol::kMultiboot2);
  EXPECT_EQ(info.command_line(), "root=none test=ud");
  ASSERT_EQ(info.modules().size(), 1u);
  EXPECT_EQ(info.modules()[0].end, 0x801000u);
  ASSERT_EQ(info.memory.ranges().size(), 2u);
  EXPECT_EQ(info.memory.ranges()[1],
            (MemoryRange{0x1000000, 0x1800000, MemoryKind::kUsable}));
  EXPECT_EQ(memcmp(info.rsdp_bytes.data(), "RSD PTR one", 11), 0);
  EXPECT_EQ(info.rsdp_size, 12u);
}

TEST(Multiboot2Test, LargerMemoryEntriesAreStrodeOver) {
  BootInfo info;
  ASSERT_TRUE(parse(Tags().tag(6, memory_body(40)).tag(0, {}).finish(), info));
  ASSERT_EQ(info.memory.ranges().size(), 2u);
  EXPECT_EQ(info.memory.ranges()[1].base, 0x1000000u);
}

TEST(Multiboot2Test, TheNewerRootPointerWinsInEitherOrder) {
  for (bool newer_first : {false, true}) {
    Tags tags = usual();
    tags.tag(newer_first ? 15 : 14, text(newer_first ? "new" : "old"));
    tags.tag(newer_first ? 14 : 15, text(newer_first ? "old" : "new"));
    BootInfo info;
    ASSERT_TRUE(parse(tags.tag(0, {}).finish(), info));
    EXPECT_EQ(memcmp(info.rsdp_bytes.data(), "new", 3), 0);
  }
}

TEST(Multiboot2Test, ARootPointerLongerThanAnyIsCut) {
  BootInfo info;
  Tags tags = usual();
  tags.tag(15, std::vector<std::byte>(200, std::byte{7})).tag(0, {});
  ASSERT_TRUE(parse(tags.finish(), info));
  EXPECT_EQ(info.rsdp_size, BootInfo::kMaxRsdpBytes);
}

TEST(Multiboot2Test, NamesWhatIsWrong) {
  BootInfo info;
  EXPECT_EQ(parse({}, info).error(), Error::kUnreadable);
  EXPECT_EQ(parse(Tags().tag(0, {}).finish(), info).error(),
            Error::kNoMemoryMap);
  EXPECT_EQ(parse(usual().finish(), info).error(), Error::kTruncated)
      << "no end tag";
  std::vector<std::byte> bytes = usual().tag(0, {}).finish();
  bytes.resize(bytes.size() - 4);
  EXPECT_EQ(parse(bytes, info).error(), Error::kUnreadable);
  bytes = usual().tag(0, {}).finish();
  store_le(bytes.data() + 12, 7u);  // a tag shorter than its own header
  EXPECT_EQ(parse(bytes, info).error(), Error::kTruncated);
  store_le(bytes.data() + 12, 0xfffffff9u);
  EXPECT_EQ(parse(bytes, info).error(), Error::kTruncated);
  store_le(bytes.data(), 0x80000000u);
  EXPECT_EQ(parse(bytes, info).error(), Error::kTruncated);
  EXPECT_EQ(
      parse(Tags().tag(6, memory_body(24)).tag(3, {}).finish(), info).error(),
      Error::kTruncated);
}

TEST(Multiboot2Test, AnyBytesGiveAnAnswer) {
  const std::vector<std::byte> good =
      usual().tag(15, text("x")).tag(0, {}).finish();
  for (unsigned seed = 0; seed < 5000; ++seed) {
    std::mt19937_64 random(seed);
    std::vector<std::byte> bytes = good;
    for (unsigned flips = 1 + random() % 8; flips > 0; --flips) {
      bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    }
    BootInfo info;
    if (parse(bytes, info)) {
      for (const MemoryRange& range : info.memory.ranges()) {
        ASSERT_LT(range.base, range.end);
        ASSERT_LE(range.end, kLimit);
      }
    }
  }
}

}  // namespace
}  // namespace odo::boot
