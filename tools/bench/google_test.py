# SPDX-License-Identifier: BSD-3-Clause
"""Google Benchmark's JSON as version 1.7.1 writes it, and its filter."""

import json
import os
import re
import stat
import tempfile
import unittest
from pathlib import Path

from tools.bench import google
from tools.bench.model import BenchError, Better


def entry(name: str, **changes: object) -> dict[str, object]:
    made: dict[str, object] = {
        "name": name, "run_name": name, "run_type": "iteration",
        "repetitions": 2, "repetition_index": 0, "threads": 1,
        "iterations": 1000, "real_time": 3.0, "cpu_time": 2.0,
        "time_unit": "us",
    }
    made.update(changes)
    return made


def report(*entries: dict[str, object]) -> str:
    return json.dumps({"context": {"host_name": "h"}, "benchmarks": entries})


class ReportTest(unittest.TestCase):

    def test_time_is_cpu_time_in_nanoseconds(self) -> None:
        sample, = google.parse_report(report(entry("a/b/ours")))
        self.assertEqual((sample.value, sample.unit, sample.better),
                         (2000.0, "ns", Better.LOWER))

    def test_wall_time_where_the_benchmark_asks_for_it(self) -> None:
        for word in ("real_time", "manual_time"):
            sample, = google.parse_report(report(entry(f"a/b/ours/{word}")))
            self.assertEqual(sample.value, 3000.0)

    def test_rates_come_before_times(self) -> None:
        both = entry("a/b/ours", bytes_per_second=5e9, items_per_second=7.0)
        sample, = google.parse_report(report(both))
        self.assertEqual((sample.value, sample.unit, sample.better),
                         (5e9, "B/s", Better.HIGHER))
        items = entry("a/b/ours", items_per_second=7.0)
        sample, = google.parse_report(report(items))
        self.assertEqual((sample.value, sample.unit), (7.0, "items/s"))

    def test_a_size_is_no_time(self) -> None:
        sized = entry("a/b/ours", bytes=19.3)
        sample, = google.parse_report(report(sized))
        self.assertEqual((sample.value, sample.unit, sample.better),
                         (19.3, "B", Better.LOWER))

    def test_aggregates_are_left_out(self) -> None:
        mean = entry("a/b/ours_mean", run_name="a/b/ours",
                     run_type="aggregate", aggregate_name="mean")
        samples = google.parse_report(report(
            entry("a/b/ours"), entry("a/b/ours", repetition_index=1), mean))
        self.assertEqual(len(samples), 2)

    def test_an_error_in_the_benchmark_is_an_error_here(self) -> None:
        bad = entry("a/b/ours", error_occurred=True, error_message="wrong sum")
        with self.assertRaisesRegex(BenchError, "a/b/ours: wrong sum"):
            google.parse_report(report(bad))

    def test_refuses_what_is_no_report(self) -> None:
        for text in ("", "[]", "{}", "null", "5"):
            with self.subTest(text), self.assertRaises(BenchError):
                google.parse_report(text)


class FilterTest(unittest.TestCase):

    def test_matches_exactly_the_names(self) -> None:
        names = ["check/xxh64-1.5KiB/ours", "check/a+b/peer"]
        pattern = google.filter_for(names)
        for name in names:
            self.assertRegex(name, pattern)
        for other in ("check/xxh64-1x5KiB/ours", "check/aab/peer",
                      "check/a+b/peer2", "x" + names[0]):
            self.assertIsNone(re.search(pattern, other), other)


# Stands in for a binary: answers as one would, and says where it ran.
_FAKE = """#!/usr/bin/env python3
import json, os, sys
words = dict(w.lstrip("-").split("=", 1) for w in sys.argv[1:])
names = ["a/b/ours", "a/b/peer"]
if "benchmark_list_tests" in words:
    print("\\n".join(names))
    sys.exit()
assert words["benchmark_enable_random_interleaving"] == "true"
count = int(words["benchmark_repetitions"])
made = [{"name": n, "run_name": n, "run_type": "iteration", "cpu_time": 1.0,
         "real_time": 1.0, "time_unit": "ns",
         "items_per_second": float(len(os.sched_getaffinity(0)))}
        for n in names for _ in range(count)]
json.dump({"benchmarks": made}, open(words["benchmark_out"], "w"))
"""


class RunTest(unittest.TestCase):

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.binary = Path(folder.name, "fake_bench")
        self.write(_FAKE)

    def write(self, text: str) -> None:
        self.binary.write_text(text)
        self.binary.chmod(stat.S_IRWXU)

    def test_lists(self) -> None:
        self.assertEqual(google.list_names(self.binary),
                         ["a/b/ours", "a/b/peer"])

    def test_gathers_every_launch_and_stays_on_one_cpu(self) -> None:
        before = os.sched_getaffinity(0)
        effort = google.Effort(launches=2, repetitions=3, min_time_s=0.01,
                               warm_up_s=0.0)
        samples = google.run_case(self.binary, ["a/b/ours", "a/b/peer"],
                                  effort)
        self.assertEqual(len(samples), 2 * 2 * 3)
        self.assertEqual({sample.value for sample in samples}, {1.0})
        self.assertEqual(os.sched_getaffinity(0), before)

    def test_threads_of_its_own_get_every_cpu(self) -> None:
        samples = google.run_case(self.binary, ["a/b/ours/manual_time"],
                                  google.QUICK)
        self.assertEqual({sample.value for sample in samples},
                         {float(len(os.sched_getaffinity(0)))})

    def test_more_threads_get_every_cpu(self) -> None:
        samples = google.run_case(self.binary, ["a/b/ours/threads:2"],
                                  google.QUICK)
        self.assertEqual({sample.value for sample in samples},
                         {float(len(os.sched_getaffinity(0)))})

    def test_a_crash_is_told(self) -> None:
        self.write("#!/bin/sh\necho no luck >&2\nexit 3\n")
        with self.assertRaisesRegex(BenchError, "exited with 3: no luck"):
            google.run_case(self.binary, ["a/b/ours"], google.QUICK)

    def test_a_missing_binary_is_told(self) -> None:
        with self.assertRaisesRegex(BenchError, "No such file"):
            google.list_names(self.binary.parent / "absent")


if __name__ == "__main__":
    unittest.main()
