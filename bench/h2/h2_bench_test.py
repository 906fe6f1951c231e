# SPDX-License-Identifier: BSD-3-Clause
"""The program's words; its figures want a quiet machine."""

import contextlib
import io
import tempfile
import unittest

from bench.h2 import h2_bench
from tools.bench import listing
from tools.bench.model import OURS, BenchError


class WordsTest(unittest.TestCase):

    def test_every_case_has_us_its_peers_and_a_goal(self) -> None:
        contenders = listing.contenders(h2_bench.main)
        self.assertEqual(len(contenders), 2)
        for found in contenders.values():
            self.assertEqual(found, {OURS, "tar", "unsquashfs"})

    def test_says_what_is_not_built(self) -> None:
        complaint = io.StringIO()
        with tempfile.TemporaryDirectory() as folder, \
                contextlib.redirect_stderr(complaint):
            status = h2_bench.main(["--program", f"{folder}/none"])
        self.assertEqual(status, 1)
        self.assertIn("bazel build --config=opt //tools/h2",
                      complaint.getvalue())

    def test_a_command_that_fails_ends_the_measurement(self) -> None:
        with self.assertRaisesRegex(BenchError, "^false fails"):
            h2_bench.run(["false"])


if __name__ == "__main__":
    unittest.main()
