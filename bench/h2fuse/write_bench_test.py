# SPDX-License-Identifier: BSD-3-Clause
"""The program's words; what it measures needs a machine that may mount."""

import contextlib
import io
import tempfile
import unittest
from pathlib import Path

from bench.h2fuse import write_bench
from tools.bench import goals
from tools.bench.model import OURS, parse_name


class WordsTest(unittest.TestCase):

    def test_every_case_has_us_a_peer_and_a_goal(self) -> None:
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            self.assertEqual(write_bench.main(["--list"]), 0)
        wanted = goals.load(Path("bench/goals.json"))
        contenders: dict[str, set[str]] = {}
        for line in output.getvalue().split():
            name = parse_name(line)
            contenders.setdefault(name.key, set()).add(name.contender)
            self.assertIsNotNone(goals.find(wanted, name.key))
        self.assertEqual(len(contenders), 4)
        for found in contenders.values():
            self.assertEqual(found, {OURS, "fuse2fs"})

    def test_a_server_that_ends_is_no_mount(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "mnt").mkdir()
            with self.assertRaisesRegex(write_bench.BenchError, "true"):
                write_bench.Mount(["true"], Path(folder))


if __name__ == "__main__":
    unittest.main()
