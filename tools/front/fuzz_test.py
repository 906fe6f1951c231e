# SPDX-License-Identifier: BSD-3-Clause
"""What `./odo fuzz` makes of names, and of coverage data."""

import os
import tempfile
import unittest
from pathlib import Path

from tools.front import fuzz, fuzz_coverage

LCOV = """SF:/somewhere/lib/codec/a.h
DA:1,5
DA:2,0
end_of_record
SF:lib/codec/a.h
DA:2,0
DA:3,1
end_of_record
SF:lib/codec/testing/b.h
DA:1,0
SF:lib/kmalloc/c.h
DA:1,0
"""


class CoverageTest(unittest.TestCase):
    def setUp(self) -> None:
        self.lines = fuzz_coverage.parse_lcov(LCOV)
        self.text = {"lib/codec/a.h": ["one", "  two", "three"]}

    def test_lines_of_the_reading_side_only_and_each_at_its_best(self) -> None:
        self.assertEqual(self.lines, {"lib/codec/a.h": {1: 5, 2: 0, 3: 1}})

    def test_functions_that_a_program_does_not_call(self) -> None:
        # Line 3 is none to the program that calls the function; line 6 is one
        # of a function that nobody calls.
        lines = fuzz_coverage.parse_lcov(
            "SF:lib/check/x.h\nFN:2,f\nFNDA:0,f\nDA:2,0\nDA:3,0\nDA:4,0\n"
            "FN:6,g\nFNDA:0,g\nDA:6,0\nend_of_record\n"
            "SF:lib/check/x.h\nFN:2,f\nFNDA:7,f\nDA:2,7\nDA:4,0\n")
        self.assertEqual(lines, {"lib/check/x.h": {2: 7, 4: 0, 6: 0}})

    def test_the_total(self) -> None:
        rows, percent = fuzz_coverage.table(self.lines)
        self.assertIn("2/3", rows[-1])
        self.assertAlmostEqual(percent, 200 / 3)
        self.assertEqual(fuzz_coverage.table({})[1], 0)

    def complaints(self, *exceptions: dict) -> list[str]:
        return fuzz_coverage.unexplained(self.lines, list(exceptions),
                                         self.text)

    def test_a_line_without_a_reason(self) -> None:
        complaints = self.complaints()
        self.assertEqual(len(complaints), 1)
        self.assertIn("a.h:2: not reached: two", complaints[0])

    def test_a_line_with_one(self) -> None:
        self.assertEqual(self.complaints(
            {"file": "lib/codec/a.h", "line": "two", "reason": "x"}), [])
        self.assertEqual(self.complaints(
            {"file": "lib/codec/a.h", "line": "one", "count": 2,
             "reason": "x"}), [])
        self.assertEqual(self.complaints(
            {"file": "lib/codec/a.h", "reason": "x"}), [])

    def test_a_reason_without_a_line(self) -> None:
        for stale in ("one", "gone"):
            self.assertEqual(len(self.complaints(
                {"file": "lib/codec/a.h", "line": "two", "reason": "x"},
                {"file": "lib/codec/a.h", "line": stale, "reason": "x"})), 1)
        self.assertEqual(self.complaints(
            {"file": "lib/codec/a.h", "reason": "x"},
            {"file": "lib/codec/d.h", "machine": "m", "reason": "x"}), [])
        self.assertEqual(len(self.complaints(
            {"file": "lib/codec/a.h", "reason": "x"},
            {"file": "lib/codec/d.h", "reason": "x"})), 1)


class OptionsTest(unittest.TestCase):
    def test_the_longest_name_of_a_dictionary_wins(self) -> None:
        before = os.getcwd()
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            try:
                Path("fuzz/dict").mkdir(parents=True)
                Path("fuzz/dict/a.dict").touch()
                Path("fuzz/dict/a_b.dict").touch()
                self.assertEqual(str(fuzz.dictionary("a_b_c")),
                                 "fuzz/dict/a_b.dict")
                self.assertEqual(str(fuzz.dictionary("a_c")),
                                 "fuzz/dict/a.dict")
                self.assertIsNone(fuzz.dictionary("b"))
                self.assertEqual(fuzz.options("b"), [])
                self.assertEqual(fuzz.options("lz4"), fuzz.LIMITS)
            finally:
                os.chdir(before)


if __name__ == "__main__":
    unittest.main()
