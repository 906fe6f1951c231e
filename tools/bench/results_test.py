# SPDX-License-Identifier: BSD-3-Clause
"""Ratios, goals, and the table and JSON made of them."""

import json
import unittest

from tools.bench import goals, report
from tools.bench.model import BenchError, Better, Sample, parse_name
from tools.bench.results import Result, make_result

_GOALS = goals.parse(json.dumps({
    "codec/lz4-.*": {"ratio": 0.8, "better": "higher"},
    "boot/.*": {"ratio": 20, "better": "lower"},
    "lwkt/spawn": {"exempt": "nothing else does this"},
}))


def samples(key: str, unit: str, better: Better,
            **values: list[float]) -> list[Sample]:
    return [Sample(parse_name(f"{key}/{name.replace('_', '-')}"), value, unit,
                   better)
            for name, many in values.items() for value in many]


def rate(key: str = "codec/lz4-text", **values: list[float]) -> Result:
    return make_result(samples(key, "B/s", Better.HIGHER, **values), _GOALS)


def time(key: str = "boot/power-on", **values: list[float]) -> Result:
    return make_result(samples(key, "ns", Better.LOWER, **values), _GOALS)


class ResultTest(unittest.TestCase):

    def test_of_rates_the_highest_peer_is_the_best(self) -> None:
        result = rate(ours=[9e9], liblz4=[10e9], slow=[1e9])
        self.assertEqual(result.best and result.best.name, "liblz4")
        self.assertAlmostEqual(result.ratio or 0, 0.9)
        self.assertTrue(result.met)

    def test_of_times_the_lowest_peer_is_the_best(self) -> None:
        result = time(ours=[10.0], debian=[190.0], slow=[900.0])
        self.assertEqual(result.best and result.best.name, "debian")
        self.assertAlmostEqual(result.ratio or 0, 19)
        self.assertFalse(result.met)

    def test_the_goal_itself_is_enough(self) -> None:
        self.assertTrue(time(ours=[10.0], debian=[200.0]).met)

    def test_a_case_without_a_goal_is_neither(self) -> None:
        result = rate("codec/zlib-text", ours=[1.0], zlib=[2.0])
        self.assertIsNone(result.goal)
        self.assertIsNone(result.met)

    def test_no_benchmark_without_its_peer(self) -> None:
        with self.assertRaisesRegex(BenchError, "without its peer"):
            rate(ours=[1.0])
        with self.assertRaisesRegex(BenchError, "called `ours`"):
            rate(liblz4=[1.0])

    def test_an_exempt_case_stands_alone(self) -> None:
        result = rate("lwkt/spawn", ours=[1.0])
        self.assertEqual((result.peers, result.ratio, result.met),
                         ((), None, None))
        with self.assertRaisesRegex(BenchError, "exempt"):
            rate("lwkt/spawn", ours=[1.0], peer=[1.0])

    def test_contenders_share_a_unit(self) -> None:
        mixed = samples("a/b", "B/s", Better.HIGHER, ours=[1.0])
        mixed += samples("a/b", "ns", Better.LOWER, peer=[1.0])
        with self.assertRaisesRegex(BenchError, "differ in unit"):
            make_result(mixed, _GOALS)

    def test_a_goal_for_the_other_direction_is_refused(self) -> None:
        with self.assertRaisesRegex(BenchError, "higher is better"):
            make_result(samples("codec/lz4-x", "ns", Better.LOWER, ours=[1.0],
                                liblz4=[1.0]), _GOALS)

    def test_says_when_noise_may_have_decided(self) -> None:
        noisy = rate(ours=[7.0, 8.2, 9.0], liblz4=[9.0, 10.0, 11.0])
        self.assertTrue(noisy.uncertain)
        self.assertFalse(rate(ours=[8.2] * 3, liblz4=[10.0] * 3).uncertain)


class GoalsTest(unittest.TestCase):

    def test_matches_the_whole_key(self) -> None:
        self.assertIsNone(goals.find(_GOALS, "xcodec/lz4-text"))
        self.assertIsNone(goals.find(_GOALS, "lwkt/spawn-many"))
        found = goals.find(_GOALS, "codec/lz4-text")
        self.assertEqual(found and found.ratio, 0.8)

    def test_two_that_match_are_one_too_many(self) -> None:
        two = goals.parse('{"a/.*": {"exempt": "x"}, "a/b": {"exempt": "y"}}')
        with self.assertRaisesRegex(BenchError, "more than one"):
            goals.find(two, "a/b")

    def test_refuses_other_entries(self) -> None:
        for entry in ({}, {"ratio": 1}, {"better": "lower"}, {"exempt": ""},
                      {"ratio": 0, "better": "lower"},
                      {"ratio": "1", "better": "lower"},
                      {"ratio": 1, "better": "faster"},
                      {"ratio": 1, "better": "lower", "exempt": "x"}, 5):
            with self.subTest(entry), self.assertRaises(BenchError):
                goals.parse(json.dumps({"a/b": entry}))
        for text in ("", "[]", '{"a/(": {"exempt": "x"}}'):
            with self.subTest(text), self.assertRaises(BenchError):
                goals.parse(text)


class ReportTest(unittest.TestCase):

    def test_values_have_prefixes(self) -> None:
        for value, unit, text in ((5.447e9, "B/s", "5.45 GB/s"),
                                  (1.563e9, "instructions", "1.56 Ginsn"),
                                  (12.34, "ns", "12.3 ns"),
                                  (999.6, "ns", "1000 ns"),
                                  (1500.0, "ns", "1.50 us"),
                                  (2.5e9, "ns", "2.50 s"),
                                  (7.0, "items/s", "7.00 items/s")):
            self.assertEqual(report.format_value(value, unit), text)

    def test_table_is_aligned_and_says_what_was_met(self) -> None:
        text = report.table([rate(ours=[9e9], liblz4=[10e9], zlib=[1e9]),
                             time(ours=[10.0], debian=[190.0])])
        lines = text.splitlines()
        self.assertRegex(lines[0], "^case +ours +peer 1 +peer 2 +ratio +"
                         "spread +goal +met$")
        self.assertRegex(lines[2], r"^codec/lz4-text +9\.00 GB/s +"
                         r"liblz4 10\.0 GB/s +zlib 1\.00 GB/s +0\.90x +0\.0% "
                         r"+0\.8x +yes$")
        self.assertRegex(lines[3], r"debian 190 ns +19\.0x +0\.0% +20x +NO$")
        self.assertEqual(lines[2].index("0.8x"), lines[3].index("20x") - 1)
        self.assertIn("1 of 2 goals met; 2 cases", lines)

    def test_json_is_schema_1(self) -> None:
        result = rate(ours=[9.0], liblz4=[10.0])
        data = report.json_object([result], {"cpu": "x"}, "abc")
        self.assertEqual(json.loads(json.dumps(data)), {
            "schema": 1, "machine": {"cpu": "x"}, "commit": "abc",
            "results": [{
                "component": "codec", "case": "lz4-text", "unit": "B/s",
                "value": 9.0, "spread": 0.0,
                "peers": [{"name": "liblz4", "value": 10.0, "spread": 0.0}],
                "best_peer": "liblz4", "ratio": 0.9, "better": "higher",
                "goal": 0.8, "met": True}]})


if __name__ == "__main__":
    unittest.main()
