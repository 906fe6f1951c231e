# SPDX-License-Identifier: BSD-3-Clause
"""Names and sums."""

import math
import unittest

from tools.bench.model import (BenchError, Better, Sample, parse_name,
                               percentile, summarise)


class NameTest(unittest.TestCase):

    def test_takes_three_parts(self) -> None:
        name = parse_name("check/crc32c-64KiB/isa-l")
        self.assertEqual((name.component, name.case, name.contender),
                         ("check", "crc32c-64KiB", "isa-l"))
        self.assertEqual(name.key, "check/crc32c-64KiB")
        self.assertEqual(name.threads, 1)

    def test_threads_belong_to_the_case(self) -> None:
        name = parse_name("lock/pair/ours/real_time/threads:8")
        self.assertEqual(name.key, "lock/pair/threads:8")
        self.assertEqual(name.contender, "ours")
        self.assertEqual(name.threads, 8)

    def test_measuring_words_are_no_part_of_it(self) -> None:
        name = parse_name("a/b/c/iterations:5/repeats:3/manual_time")
        self.assertEqual((name.key, name.contender), ("a/b", "c"))

    def test_refuses_other_forms(self) -> None:
        for text in ("", "a", "a/b", "a//c", "a/b/c/d", "/a/b/c", "a/b/c/",
                     "a/b/ c", "a/b/c/threads:", "a/b/c/threads:2/x"):
            with self.subTest(text), self.assertRaises(BenchError):
                parse_name(text)


class SampleTest(unittest.TestCase):

    def test_refuses_what_no_ratio_can_be_made_of(self) -> None:
        for value in (0.0, -1.0, math.nan, math.inf):
            with self.subTest(value), self.assertRaises(BenchError):
                Sample(parse_name("a/b/c"), value, "ns", Better.LOWER)


class SumsTest(unittest.TestCase):

    def test_percentile_interpolates(self) -> None:
        values = [50.0, 10.0, 40.0, 20.0, 30.0]
        self.assertEqual(percentile(values, 0.0), 10)
        self.assertEqual(percentile(values, 0.5), 30)
        self.assertEqual(percentile(values, 1.0), 50)
        self.assertAlmostEqual(percentile(values, 0.9), 46)
        self.assertEqual(percentile([7.0], 0.9), 7)

    def test_median_and_spread(self) -> None:
        figure = summarise("x", [50.0, 10.0, 40.0, 20.0, 30.0])
        self.assertEqual(figure.value, 30)
        self.assertAlmostEqual(figure.spread, (46 - 14) / 30)

    def test_one_outlier_does_not_move_the_median(self) -> None:
        self.assertEqual(summarise("x", [10.0, 10.0, 10.0, 900.0]).value, 10)

    def test_one_repetition_has_no_spread(self) -> None:
        self.assertEqual(summarise("x", [5.0]).spread, 0)


if __name__ == "__main__":
    unittest.main()
