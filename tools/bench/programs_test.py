# SPDX-License-Identifier: BSD-3-Clause
"""The record format of whole-program benchmarks."""

import json
import stat
import tempfile
import unittest
from pathlib import Path

from tools.bench import programs
from tools.bench.model import BenchError, Better

_GOOD = {"name": "boot/x/ours", "value": 12, "unit": "instructions",
         "better": "lower"}


class RecordsTest(unittest.TestCase):

    def test_reads_one_sample_a_line(self) -> None:
        line = json.dumps(_GOOD)
        samples = programs.parse_records(f"{line}\n\n{line}\n")
        self.assertEqual(len(samples), 2)
        self.assertEqual((samples[0].value, samples[0].better),
                         (12.0, Better.LOWER))

    def test_refuses_other_lines(self) -> None:
        for change in ({"value": "12"}, {"value": True}, {"value": 0},
                       {"better": "faster"}, {"name": "boot/ours"},
                       {"extra": 1}):
            with self.subTest(change), self.assertRaises(BenchError):
                programs.parse_records(json.dumps({**_GOOD, **change}))
        short = {key: _GOOD[key] for key in ("name", "value", "unit")}
        for text in ("booting...", "[]", "1", json.dumps(short)):
            with self.subTest(text), self.assertRaises(BenchError):
                programs.parse_records(text)


class RunTest(unittest.TestCase):

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.program = Path(folder.name, "program")

    def write(self, body: str) -> None:
        self.program.write_text("#!/bin/sh\n" + body)
        self.program.chmod(stat.S_IRWXU)

    def test_passes_its_words(self) -> None:
        self.write(f"""
          case "$*" in
            --list) echo boot/x/ours ;;
            --records) echo '{json.dumps(_GOOD)}' ;;
            "--records --quick") echo '{json.dumps({**_GOOD, "value": 3})}' ;;
          esac""")
        self.assertEqual(programs.list_names(self.program), ["boot/x/ours"])
        self.assertEqual(programs.run(self.program, False)[0].value, 12)
        self.assertEqual(programs.run(self.program, True)[0].value, 3)

    def test_the_last_line_of_stderr_is_the_reason(self) -> None:
        self.write("echo trying >&2; echo no network >&2; exit 1\n")
        with self.assertRaisesRegex(BenchError, "^no network$"):
            programs.run(self.program, False)


if __name__ == "__main__":
    unittest.main()
