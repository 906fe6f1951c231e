# SPDX-License-Identifier: BSD-3-Clause
"""The program's words; what it measures needs a machine that may mount."""

import tempfile
import unittest
from pathlib import Path

from bench.h2fuse import lookup_bench
from tools.bench import listing


class WordsTest(unittest.TestCase):

    def test_the_case_has_a_goal_or_says_why_not(self) -> None:
        self.assertEqual(set(listing.contenders(lookup_bench.main)),
                         {"h2fuse/lookup-1M"})

    def test_a_name_that_is_missing_is_no_figure(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "there").touch()
            self.assertGreater(
                lookup_bench.look_up(Path(folder), ["there"]), 0)
            with self.assertRaises(FileNotFoundError):
                lookup_bench.look_up(Path(folder), ["there", "missing"])


if __name__ == "__main__":
    unittest.main()
