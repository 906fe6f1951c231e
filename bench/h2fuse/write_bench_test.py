# SPDX-License-Identifier: BSD-3-Clause
"""The program's words; what it measures needs a machine that may mount."""

import tempfile
import unittest
from pathlib import Path

from bench.h2fuse import write_bench
from tools.bench import listing
from tools.bench.model import OURS


class WordsTest(unittest.TestCase):

    def test_every_case_has_us_a_peer_and_a_goal(self) -> None:
        contenders = listing.contenders(write_bench.main)
        self.assertEqual(len(contenders), 7)
        for found in contenders.values():
            self.assertEqual(found, {OURS, "fuse2fs"})

    def test_a_server_that_ends_is_no_mount(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            with self.assertRaisesRegex(write_bench.BenchError, "true"):
                write_bench.Mount(["true"], Path(folder))


if __name__ == "__main__":
    unittest.main()
