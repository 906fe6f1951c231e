# SPDX-License-Identifier: BSD-3-Clause
"""The program's words and its tree; its figures want a quiet machine."""

import io
import tarfile
import unittest

from bench.h2 import space_bench
from tools.bench import listing


class WordsTest(unittest.TestCase):

    def test_every_case_has_a_goal_or_says_why_not(self) -> None:
        self.assertEqual(set(listing.contenders(space_bench.main)),
                         {"h2/snapshot-1M", "h2/bulkfree-1M",
                          "h2/bulkfree-1M-memory"})

    def test_the_tree_is_a_tar(self) -> None:
        pieces = list(space_bench.tar_of_empty_files(2500, 1000))
        self.assertEqual(len(pieces), 4)
        with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as archive:
            members = archive.getmembers()
        self.assertEqual(len(members), 2500)
        self.assertEqual(members[-1].name, "d2/f2499")
        self.assertTrue(all(m.isfile() and m.size == 0 for m in members))

    def test_what_fails_is_named(self) -> None:
        with self.assertRaisesRegex(space_bench.BenchError, "false"):
            space_bench.run(["false"])


if __name__ == "__main__":
    unittest.main()
