# SPDX-License-Identifier: BSD-3-Clause
"""What applications are given, and how they are measured."""

import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

from bench.malloc import allocators, app_bench, app_inputs, processes
from bench.malloc.allocators import Allocator
from bench.malloc.processes import Usage
from tools.bench import goals
from tools.bench.model import BenchError

_LOAD = Path("bench/malloc/python_load.py")


class InputsTest(unittest.TestCase):

    def test_the_script_is_sql_and_always_the_same(self) -> None:
        text = "".join(app_inputs.sql(60))
        self.assertEqual(text, "".join(app_inputs.sql(60)))
        database = sqlite3.connect(":memory:")
        self.addCleanup(database.close)
        database.executescript(text)
        count, = database.execute("SELECT count(*) FROM a").fetchone()
        self.assertEqual(count, 30)

    def test_the_source_compiles(self) -> None:
        subprocess.run(["g++-12", "-std=c++20", "-fsyntax-only", "-x", "c++",
                        "-"], input=app_inputs.cplusplus(12), text=True,
                       check=True, timeout=60)

    def test_the_python_load_runs(self) -> None:
        result = subprocess.run([sys.executable, "-S", str(_LOAD), "7"],
                                capture_output=True, text=True, check=True,
                                timeout=60)
        self.assertEqual(len(result.stdout.split()), 4)


class ProcessesTest(unittest.TestCase):

    def run_python(self, program: str) -> Usage:
        return processes.run("x", [sys.executable, "-c", program], {})

    def test_memory_and_time_are_those_of_the_process(self) -> None:
        usage = self.run_python("x = bytearray(300 << 20)\n"
                                "for i in range(1000): x[i] = i & 255")
        self.assertGreater(usage.peak_kib, 300 << 10)
        self.assertLess(usage.peak_kib, 400 << 10)
        self.assertGreater(usage.cpu_seconds, 0)

    def test_a_small_process_would_show_this_ones_peak(self) -> None:
        with self.assertRaisesRegex(BenchError, "too little memory"):
            processes.run("x", ["true"], {"PATH": "/usr/bin:/bin"})

    def test_failures_say_why(self) -> None:
        with self.assertRaisesRegex(BenchError, "x: exited with 3: because"):
            self.run_python("import sys; print('because', file=sys.stderr); "
                            "sys.exit(3)")
        with self.assertRaisesRegex(BenchError, "x: no-such-program"):
            processes.run("x", ["no-such-program"], {})

    def test_a_process_that_hangs_is_ended(self) -> None:
        with mock.patch.object(processes, "_TIMEOUT_S", 0.2), \
                self.assertRaisesRegex(BenchError, "not done within"):
            processes.run("x", ["/bin/sleep", "60"], {})

    def test_leaving_the_block_ends_the_process(self) -> None:
        start = time.monotonic()
        with self.assertRaises(KeyError), processes.measured(
                "x", ["/bin/sleep", "60"], {}):
            raise KeyError
        self.assertLess(time.monotonic() - start, 30)

    def test_a_socket_that_does_not_come_is_an_error(self) -> None:
        with tempfile.TemporaryDirectory() as folder, \
                mock.patch.object(processes, "_START_S", 0.05), \
                self.assertRaisesRegex(BenchError, "no socket"):
            processes.await_socket("x", Path(folder, "socket"))


class LoadsTest(unittest.TestCase):

    def test_every_application_has_its_goals(self) -> None:
        wanted = goals.load(Path("bench/goals.json"))
        with tempfile.TemporaryDirectory() as folder:
            found = app_bench.loads(Path(folder))
        self.assertEqual([load.name for load in found], [
            "app-redis", "app-sqlite", "app-gcc", "app-python"])
        for load in found:
            self.assertEqual(len(load.names),
                             2 * len(allocators.contenders()))
            for name in load.names:
                goal = goals.find(wanted, name.rpartition("/")[0])
                assert goal is not None
                self.assertEqual(goal.ratio,
                                 0.952 if "-peak/" in name else 1.0)

    def test_a_run_gives_its_time_and_peak(self) -> None:
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(
                processes, "run", return_value=Usage(1.5, 2048)):
            load = app_bench.loads(Path(folder))[1]
            records = load.run(Allocator("glibc", None))
        self.assertEqual([(r.name, r.value, r.unit) for r in records], [
            ("malloc/app-sqlite/glibc", 1.5e9, "ns"),
            ("malloc/app-sqlite-peak/glibc", 2048 * 1024, "B")])


if __name__ == "__main__":
    unittest.main()
