# SPDX-License-Identifier: BSD-3-Clause
"""The program's words; what it measures needs a machine that may mount."""

import contextlib
import io
import tempfile
import unittest
from pathlib import Path

from bench.h2fuse import h2fuse_bench
from tools.bench import listing
from tools.bench.model import OURS


class WordsTest(unittest.TestCase):

    def test_every_case_has_us_a_peer_and_a_goal(self) -> None:
        contenders = listing.contenders(h2fuse_bench.main)
        self.assertEqual(len(contenders), 4)
        for found in contenders.values():
            self.assertEqual(found, {OURS, "fuse2fs"})

    def test_says_what_is_not_built(self) -> None:
        complaint = io.StringIO()
        with tempfile.TemporaryDirectory() as folder, \
                contextlib.redirect_stderr(complaint):
            status = h2fuse_bench.main(["--program", f"{folder}/none"])
        self.assertEqual(status, 1)
        self.assertIn("bazel build --config=opt //tools/h2fuse",
                      complaint.getvalue())

    def test_largest_file(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for name, size in (("a", 3), ("b", 5), ("c", 1)):
                Path(folder, name).write_bytes(b"x" * size)
            # pylint: disable=protected-access
            self.assertEqual(h2fuse_bench._largest(Path(folder)).name, "b")


if __name__ == "__main__":
    unittest.main()
