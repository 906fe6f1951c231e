# SPDX-License-Identifier: BSD-3-Clause
"""The harness with a load and peers that are made up, and the load itself."""

import contextlib
import io
import json
import shutil
import stat
import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from bench.malloc import allocators, malloc_bench, rounds
from bench.malloc.allocators import Allocator
from bench.malloc.rounds import Load, Record
from tools.bench import goals, programs
from tools.bench.model import BenchError
from tools.bench.results import make_result

_LOAD = Path("bench/malloc/malloc_load")
# Answers as the real one does; under peer.so it is twice as fast.
_FAKE = """#!/bin/sh
case $1 in
  --list) echo pair-16; echo larson; echo scaling-1; echo scaling-2 ;;
  --round-trip) echo 100.0 ;;
  --case)
    file=${LD_PRELOAD##*/}
    [ "$file" = peer.so ] && seconds=1 || seconds=2
    echo '{"name": "'$2'", "operations": 1000000000, "seconds": '$seconds',
           "cpu_seconds": '$seconds',
           "peak_kib": 5000, "allocator": "'${file:-libc.so.6}'"}' ;;
esac
"""
_CACHE = """2 libs found in cache `/etc/ld.so.cache'
\tlibpeer.so.1 (libc6,x86-64) => /lib/x/libpeer.so.1
\tlibpeer.so.1 (libc6) => /lib/y/libpeer.so.1
"""


class HarnessTest(unittest.TestCase):

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.load = self.folder / "malloc_load"
        self.write(_FAKE)
        self.peer = self.folder / "peer.so"
        self.ours = self.folder / "ours.so"
        # Some library that the loader takes and that has no malloc.
        harmless = allocators.loader_cache()["libm.so.6"]
        for library in (self.peer, self.ours):
            shutil.copyfile(harmless, library)
        self.enterContext(mock.patch.object(
            allocators, "contenders", return_value=["ours", "glibc", "peer"]))
        self.enterContext(mock.patch.object(
            allocators, "peers", return_value=[
                Allocator("glibc", None), Allocator("peer", self.peer)]))

    def write(self, text: str) -> None:
        self.load.write_text(text)
        self.load.chmod(stat.S_IRWXU)

    def call(self, *words: str) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = malloc_bench.main(["--load", str(self.load), "--ours",
                                        str(self.ours), *words])
        return status, out.getvalue(), err.getvalue()

    def test_every_listed_name_has_records_and_no_other(self) -> None:
        listed = self.call("--list")[1].split()
        status, text, _ = self.call("--records", "--rounds", "2")
        self.assertEqual(status, 0)
        self.assertEqual(len(listed), len(set(listed)))
        self.assertEqual(set(listed), {json.loads(line)["name"]
                                       for line in text.splitlines()})

    def test_records_become_results_with_goals(self) -> None:
        text = self.call("--records", "--rounds", "2")[1]
        samples = programs.parse_records(text)
        wanted = goals.load(Path("bench/goals.json"))
        results = {key: make_result([s for s in samples if s.name.key == key],
                                    wanted)
                   for key in {s.name.key for s in samples}}
        self.assertEqual({key: (result.unit, result.ratio, result.goal)
                          for key, result in results.items()}, {
            "malloc/pair-16": ("ns", 0.5, 1.25),
            "malloc/larson": ("ns", 0.5, 1.0),
            "malloc/larson-peak": ("B", 1.0, 0.952),
            "malloc/scaling": ("items/s", 1.0, 1.9),
            "malloc/two-threads": ("items/s", 0.5, None),
        })

    def test_a_reader_gets_the_peers_where_ours_is_not_built(self) -> None:
        self.ours.unlink()
        status, text, errors = self.call("--rounds", "1")
        self.assertEqual(status, 0)
        self.assertIn("ours.so is not built; run: bazel build", errors)
        self.assertEqual(text.splitlines()[0].split(),
                         ["case", "glibc", "peer"])

    def test_there_are_no_records_where_ours_is_not_built(self) -> None:
        self.ours.unlink()
        status, text, errors = self.call("--records")
        self.assertEqual((status, text), (1, ""))
        self.assertRegex(errors, "^malloc_bench: ours.so is not built; run: ")

    def test_a_load_that_is_not_built_is_named(self) -> None:
        self.load.unlink()
        self.assertIn("malloc_load is not built; run: bazel build",
                      self.call("--list")[2])

    def test_an_allocator_that_is_not_used_is_an_error(self) -> None:
        self.write(_FAKE.replace("${file:-libc.so.6}", "libc.so.6"))
        self.assertIn("malloc comes from libc.so.6, not from",
                      self.call("--records", "--only", "pair")[2])

    def test_a_library_that_is_not_loaded_is_an_error(self) -> None:
        with self.assertRaisesRegex(BenchError, "x.so.*cannot be preloaded"):
            allocators.check_preloaded(
                "ERROR: ld.so: object 'x.so' from LD_PRELOAD cannot be "
                "preloaded (cannot open shared object file): ignored.\n")

    def test_a_crash_names_case_and_allocator(self) -> None:
        self.write(_FAKE.replace("--case)", "--case) echo why >&2; exit 3;;x)"))
        self.assertRegex(self.call("--records", "--only", "pair")[2],
                         "pair-16 under .*: exited with 3: why")

    def test_nothing_to_run_is_an_error(self) -> None:
        self.assertIn("no load matches", self.call("--only", "nothing")[2])


class RoundsTest(unittest.TestCase):

    def runs(self, conditions: list[float]) -> int:
        """How often each allocator ran while the condition went so."""
        seen = iter(conditions)
        ran: list[str] = []

        def run(allocator: Allocator) -> list[Record]:
            ran.append(allocator.contender)
            return [Record("malloc/x", allocator.contender, 1.0, "ns")]

        load = Load("x", [], run, condition=lambda: next(seen))
        both = [Allocator("a", None), Allocator("b", None)]
        records = rounds.take([load], both, 1)
        self.assertEqual(sorted(r.contender for r in records), ["a", "b"])
        self.assertEqual(ran.count("a"), ran.count("b"))
        return ran.count("a")

    def test_runs_under_steady_conditions_count(self) -> None:
        self.assertEqual(self.runs([100, 110]), 1)

    def test_runs_under_changing_conditions_are_repeated(self) -> None:
        self.assertEqual(self.runs([40, 900, 1000, 990]), 2)

    def test_they_are_not_repeated_for_ever(self) -> None:
        self.assertEqual(self.runs([1, 9] * 10), 3)


class AllocatorsTest(unittest.TestCase):

    def test_the_first_library_of_a_name_is_taken(self) -> None:
        self.assertEqual(allocators.parse_cache(_CACHE),
                         {"libpeer.so.1": Path("/lib/x/libpeer.so.1")})

    def test_the_environment_holds_this_allocator_alone(self) -> None:
        with mock.patch.dict("os.environ", {"LD_PRELOAD": "other.so"}):
            plain = Allocator("glibc", None)
            self.assertNotIn("LD_PRELOAD", plain.environment())
            self.assertEqual(plain.environment(True)["LD_PRELOAD"],
                             "libc.so.6")
            self.assertEqual(Allocator("x", Path("/x.so")).environment()
                             ["LD_PRELOAD"], "/x.so")


class LoadTest(unittest.TestCase):

    def run_load(self, *words: str) -> subprocess.CompletedProcess:
        return subprocess.run([_LOAD.absolute(), *words], capture_output=True,
                              text=True, check=False, timeout=60)

    def test_every_case_runs_and_says_what_it_did(self) -> None:
        names = self.run_load("--list").stdout.split()
        self.assertGreater(len(names), 30)
        for name in names:
            with self.subTest(name):
                result = self.run_load("--case", name, "--percent", "1")
                answer = json.loads(result.stdout)
                self.assertEqual(answer["name"], name)
                self.assertGreater(answer["operations"], 0)
                self.assertGreater(answer["seconds"], 0)
                self.assertGreater(answer["cpu_seconds"], 0)
                self.assertGreater(answer["peak_kib"], 0)
                self.assertEqual(answer["allocator"], "libc.so.6")

    def test_loads_take_any_number_of_threads(self) -> None:
        for name in ("larson", "xmalloc", "sh8"):
            for threads in ("1", "3", "5"):
                with self.subTest(name, threads=threads):
                    self.assertEqual(self.run_load(
                        "--case", name, "--percent", "1", "--threads",
                        threads).returncode, 0)

    def test_every_case_has_at_most_one_goal(self) -> None:
        wanted = goals.load(Path("bench/goals.json"))
        for load in malloc_bench.loads(_LOAD.absolute(), 1):
            for name in load.names:
                key = name.rpartition("/")[0]
                self.assertEqual(goals.find(wanted, key) is None,
                                 key == "malloc/two-threads", key)

    def test_the_round_trip_is_a_number(self) -> None:
        self.assertGreater(float(self.run_load("--round-trip").stdout), 0)

    def test_nonsense_is_refused(self) -> None:
        for words in ((), ("--case",), ("--case", "none"),
                      ("--case", "pair-16", "--percent", "0"),
                      ("--case", "pair-16", "--percent", "x"),
                      ("--case", "pair-16", "--threads", "1000"),
                      ("--other", "1")):
            with self.subTest(words):
                result = self.run_load(*words)
                self.assertEqual(result.returncode, 2)
                self.assertIn("usage:", result.stderr)


if __name__ == "__main__":
    unittest.main()
