// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/symbols/symbol_table.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace odo {
namespace {

constexpr std::uint64_t kBase = 0xffffffff80000000;

struct Entry {
  std::uint32_t offset;
  std::uint32_t size;
  std::string name;
};

std::vector<std::byte> make(const std::vector<Entry>& entries) {
  std::vector<std::byte> bytes;
  const auto put = [&](std::uint32_t value) {
    bytes.resize(bytes.size() + 4);
    store_le(bytes.data() + bytes.size() - 4, value);
  };
  put(SymbolTable::kMagic);
  put(static_cast<std::uint32_t>(entries.size()));
  std::uint32_t at = 0;
  for (const Entry& entry : entries) {
    put(entry.offset);
    put(entry.size);
    put(at);
    at += static_cast<std::uint32_t>(entry.name.size() + 1);
  }
  for (const Entry& entry : entries) {
    for (char c : entry.name) bytes.push_back(static_cast<std::byte>(c));
    bytes.push_back(std::byte{0});
  }
  return bytes;
}

const std::vector<Entry> kEntries{
    {0x1000, 0x10, "first"}, {0x1010, 0, "second(int)"}, {0x2000, 8, "last"}};

std::string name_of(const SymbolTable& table, std::uint64_t offset) {
  const auto symbol = table.find(kBase + offset);
  return symbol ? std::string(symbol->name) : "none";
}

TEST(SymbolTableTest, FindsTheFunctionThatHoldsAnAddress) {
  const std::vector<std::byte> bytes = make(kEntries);
  const SymbolTable table(bytes, kBase);
  EXPECT_EQ(table.size(), 3u);
  EXPECT_EQ(name_of(table, 0xfff), "none");
  EXPECT_EQ(name_of(table, 0x1000), "first");
  EXPECT_EQ(name_of(table, 0x100f), "first");
  EXPECT_EQ(name_of(table, 0x1010), "second(int)");
  EXPECT_EQ(name_of(table, 0x1fff), "second(int)")
      << "unknown size: to the next";
  EXPECT_EQ(name_of(table, 0x2007), "last");
  EXPECT_EQ(name_of(table, 0x2008), "none") << "behind the end";
  EXPECT_EQ(table.find(kBase + 0x1005)->address, kBase + 0x1000);
  EXPECT_FALSE(table.find(0x1000)) << "below the base";
}

TEST(SymbolTableTest, AnEmptyOrForeignTableFindsNothing) {
  EXPECT_FALSE(SymbolTable({}, kBase).find(kBase));
  EXPECT_FALSE(SymbolTable(make({}), kBase).find(kBase));
  std::vector<std::byte> bytes = make(kEntries);
  bytes[0] = std::byte{0};
  EXPECT_EQ(SymbolTable(bytes, kBase).size(), 0u);
}

TEST(SymbolTableTest, DamageIsSurvived) {
  const std::vector<std::byte> good = make(kEntries);
  for (std::size_t size = 0; size < good.size(); ++size) {
    const std::vector<std::byte> cut(good.begin(),
                                     good.begin() + static_cast<long>(size));
    static_cast<void>(name_of(SymbolTable(cut, kBase), 0x1008));
  }
  for (unsigned seed = 0; seed < 2000; ++seed) {
    std::mt19937 random(seed);
    std::vector<std::byte> bytes = good;
    for (int i = 0; i < 4; ++i) {
      bytes[4 + random() % (bytes.size() - 4)] =
          static_cast<std::byte>(random());
    }
    const SymbolTable table(bytes, kBase);
    for (std::uint64_t at = 0xff0; at < 0x2010; at += 7) {
      static_cast<void>(name_of(table, at));
    }
  }
}

}  // namespace
}  // namespace odo
