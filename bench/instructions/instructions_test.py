# SPDX-License-Identifier: BSD-3-Clause
"""The script's parts, with a benchmark and a valgrind that are made up."""

import contextlib
import io
import json
import os
import stat
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from bench.instructions import instructions
from tools.bench.model import BenchError

_BENCH = """#!/bin/sh
echo tokens/exclusive/ours
echo tokens/exclusive/std-mutex
echo tokens/readers-2/ours/manual_time
"""
_KMALLOC = """#!/bin/sh
echo kmalloc/pair-outlined/ours
echo kmalloc/pair-outlined/glibc
"""
# 1,000 for the program itself, and 30 an iteration; nothing but 4 an iteration
# in functions that do nothing, and 11 in others.
_VALGRIND = """#!/bin/sh
for word; do case $word in
  --callgrind-out-file=*) out=${word#*=} ;;
  --toggle-collect=*nothing*) each=4 ;;
  --toggle-collect=*) each=11 ;;
esac; done
if [ -n "$each" ]; then
  echo "totals: $((each * ODO_BENCH_ITERATIONS))" >"$out"
  exit
fi
echo "events: Ir" >"$out"
echo "summary: $((1000 + 30 * ODO_BENCH_ITERATIONS))" >>"$out"
"""


class InstructionsTest(unittest.TestCase):

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        # One program has benchmarks; the others are there, and list none.
        programs = dict.fromkeys(instructions.CASES, "#!/bin/sh\n")
        programs |= {"tokens_bench": _BENCH, "kmalloc_bench": _KMALLOC,
                     "valgrind": _VALGRIND}
        for name, text in programs.items():
            path = self.folder / name
            path.write_text(text)
            path.chmod(stat.S_IRWXU)
        path = f"{self.folder}:{os.environ['PATH']}"
        self.enterContext(mock.patch.dict(os.environ, {"PATH": path}))

    def output(self, *words: str) -> str:
        text = io.StringIO()
        with contextlib.redirect_stdout(text):
            status = instructions.main(["--folder", str(self.folder), *words])
        self.assertEqual(status, 0)
        return text.getvalue()

    def test_lists_what_it_counts_and_no_more(self) -> None:
        self.assertEqual(self.output("--list").split(), [
            "tokens/exclusive-instructions/ours",
            "tokens/exclusive-instructions/std-mutex",
            "kmalloc/allocate-constant-instructions/ours",
            "kmalloc/allocate-constant-instructions/budget",
            "kmalloc/free-constant-instructions/ours",
            "kmalloc/free-constant-instructions/budget",
            "kmalloc/allocate-constant-instructions/glibc",
            "kmalloc/free-constant-instructions/glibc"])

    def test_counts_what_an_iteration_takes(self) -> None:
        for line in self.output("--records").splitlines():
            record = json.loads(line)
            self.assertEqual(record["better"], "lower")
            if record["name"].startswith("tokens/"):
                self.assertEqual(record["value"], 30.0)

    def test_functions_are_counted_without_their_call(self) -> None:
        values = {record["name"]: record["value"] for record in map(
            json.loads, self.output("--records").splitlines())}
        case = "kmalloc/allocate-constant-instructions"
        self.assertEqual(values[f"{case}/ours"], 7.0)
        self.assertEqual(values[f"{case}/glibc"], 7.0)
        self.assertEqual(values[f"{case}/budget"], 12.0)

    def test_a_program_that_is_not_built_is_named(self) -> None:
        (self.folder / "tokens_bench").unlink()
        with self.assertRaisesRegex(BenchError, "tokens_bench is not built"):
            instructions.counted(self.folder)

    def test_output_without_a_total_is_an_error(self) -> None:
        with self.assertRaisesRegex(BenchError, "no total"):
            instructions.total("events: Ir\n")


if __name__ == "__main__":
    unittest.main()
