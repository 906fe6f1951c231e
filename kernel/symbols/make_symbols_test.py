# SPDX-License-Identifier: BSD-3-Clause
"""The generator of the kernel's symbol table."""

import unittest

from kernel.symbols import make_symbols

NM = """\
0000000000100037 t multiboot2_entry
ffffffff80109000 T kernel_begin
ffffffff80109000 T trap_stubs
ffffffff80109010 t odo::f(int, std::span<char const>)
ffffffff80109020 W odo::g()
ffffffff8010a000 T text_end
ffffffff8010a000 T rodata_begin
ffffffff8010b000 r odo::kTable
ffffffff8010c000 B odo::buffer
                 U missing
""".splitlines()


class MakeSymbolsTest(unittest.TestCase):

    def test_keeps_functions_of_the_image_with_their_reach(self) -> None:
        self.assertEqual(make_symbols.read_symbols(NM), [
            (0x109000, 0x10, "trap_stubs"),
            (0x109010, 0x10, "odo::f(int, std::span<char const>)"),
            (0x109020, 0xFE0, "odo::g()"),
        ])

    def test_nothing_gives_an_empty_table(self) -> None:
        self.assertEqual(make_symbols.read_symbols([]), [])

    def test_a_told_size_wins_over_an_unsized_alias(self) -> None:
        symbols = make_symbols.read_symbols([
            "ffffffff80100000 t alias",
            "ffffffff80100000 0000000000000008 T real",
            "ffffffff80100100 T text_end",
        ])
        self.assertEqual(symbols, [(0x100000, 8, "real")])

    def test_long_names_are_cut(self) -> None:
        symbols = make_symbols.read_symbols(
            ["ffffffff80100000 T " + "x" * 1000])
        self.assertEqual(len(symbols[0][2]), make_symbols.MAX_NAME)
        self.assertTrue(symbols[0][2].endswith("..."))

    def test_names_are_quoted_for_the_assembler(self) -> None:
        self.assertEqual(make_symbols.quote('a"b\\c\u00e9'),
                         "a\\042b\\134c\\303\\251")
        self.assertEqual(make_symbols.quote("odo::f<int>(char*)"),
                         "odo::f<int>(char*)")


if __name__ == "__main__":
    unittest.main()
