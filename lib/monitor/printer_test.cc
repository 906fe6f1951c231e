// SPDX-License-Identifier: BSD-3-Clause
#include "lib/monitor/printer.h"

#include <gtest/gtest.h>

#include <string>

#include "lib/monitor/testing/fake_machine.h"

namespace odo::monitor {
namespace {

using testing::FakeConsole;

template <class F>
std::string printed(F print, Newline newline = Newline::kPlain) {
  FakeConsole console;
  Printer<FakeConsole> out(console, Channel::kOutput);
  out.set_newline(newline);
  print(out);
  out.flush();
  EXPECT_EQ(console.err, "");
  return console.out;
}

TEST(PrinterTest, Numbers) {
  EXPECT_EQ(printed([](auto& o) { o.number(0).text(" ").number(42, 5); }),
            "0    42");
  EXPECT_EQ(printed([](auto& o) { o.number(~std::uint64_t{0}); }),
            "18446744073709551615");
  EXPECT_EQ(printed([](auto& o) { o.hex(0xabc).text(" ").hex(0xf, 4); }),
            "abc 000f");
  EXPECT_EQ(printed([](auto& o) { o.octal(0755, 4).padded_number(7, 3); }),
            "0755007");
  EXPECT_EQ(printed([](auto& o) { o.octal(~std::uint64_t{0}, 1); }),
            "1777777777777777777777");
  EXPECT_EQ(printed([](auto& o) { o.left("ab", 4).left("abcdef", 4); }),
            "ab  abcdef");
}

TEST(PrinterTest, Sizes) {
  auto size = [](std::uint64_t bytes) {
    return printed([&](auto& o) { o.size(bytes); });
  };
  EXPECT_EQ(size(0), "0 bytes");
  EXPECT_EQ(size(1), "1 byte");
  EXPECT_EQ(size(1023), "1023 bytes");
  EXPECT_EQ(size(1024), "1 KiB");
  EXPECT_EQ(size(1536), "1.5 KiB");
  EXPECT_EQ(size((1 << 20) - 1), "1023.9 KiB");
  EXPECT_EQ(size(std::uint64_t{2} << 30), "2 GiB");
  EXPECT_EQ(size(~std::uint64_t{0}), "15.9 EiB");
}

TEST(PrinterTest, StrangersBytesAreEscaped) {
  EXPECT_EQ(printed([](auto& o) {
              o.escaped("a\x1b[2J\n\\ \xff\xc3\xa9\xe2\x80\xae\x7f\xc2\x9b");
            }),
            "a\\x1b[2J\\x0a\\\\ \\xff\xc3\xa9\\xe2\\x80\\xae\\x7f\\xc2\\x9b");
  EXPECT_EQ(printed([](auto& o) { o.escaped(std::string_view("\0", 1)); }),
            "\\x00");
}

TEST(PrinterTest, EveryByteStringComesOutHarmless) {
  for (int a = 0; a < 256; ++a) {
    for (int b = 0; b < 256; ++b) {
      std::string name{static_cast<char>(a), static_cast<char>(b)};
      std::string text = printed([&](auto& o) { o.escaped(name); });
      for (std::string_view rest = text; !rest.empty();) {
        std::size_t length = printable_prefix(rest);
        ASSERT_GT(length, 0u) << a << " " << b;
        rest.remove_prefix(length);
      }
    }
  }
}

TEST(PrinterTest, TerminalsGetCarriageReturns) {
  auto lines = [](auto& o) { o.text("a\nb").raw(Bytes()).text("\n"); };
  EXPECT_EQ(printed(lines), "a\nb\n");
  EXPECT_EQ(printed(lines, Newline::kTerminal), "a\r\nb\r\n");
  std::string file = "x\ny";
  auto raw = [&](auto& o) { o.raw(std::as_bytes(std::span(file))); };
  EXPECT_EQ(printed(raw), "x\ny");
  EXPECT_EQ(printed(raw, Newline::kTerminal), "x\r\ny");
}

TEST(PrinterTest, LongTextKeepsItsOrder) {
  std::string want;
  std::string got = printed([&](auto& o) {
    for (int i = 0; i < 2000; ++i) {
      o.number(static_cast<std::uint64_t>(i)).text(",");
      want += std::to_string(i) + ",";
    }
    std::string bytes(3000, 'z');
    o.raw(std::as_bytes(std::span(bytes))).text("end");
    want += bytes + "end";
  });
  EXPECT_EQ(got, want);
}

}  // namespace
}  // namespace odo::monitor
