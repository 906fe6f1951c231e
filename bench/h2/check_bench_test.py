# SPDX-License-Identifier: BSD-3-Clause
"""The program's words; its figures want a quiet machine."""

import unittest

from bench.h2 import check_bench
from tools.bench import listing
from tools.bench.model import OURS


class WordsTest(unittest.TestCase):

    def test_one_thread_is_beside_a_hash_and_two_beside_one(self) -> None:
        contenders = listing.contenders(check_bench.main)
        self.assertEqual(len(contenders), 4)
        for key, found in contenders.items():
            self.assertEqual(found, {OURS, "xxh64" if key.endswith("one")
                                     else "one-thread"})


if __name__ == "__main__":
    unittest.main()
