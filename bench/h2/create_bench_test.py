# SPDX-License-Identifier: BSD-3-Clause
"""The program's words and its trees; its figures want a quiet machine."""

import random
import unittest

from bench.h2 import create_bench
from tools.bench import listing
from tools.bench.model import OURS


class WordsTest(unittest.TestCase):

    def test_every_case_has_us_its_peers_and_a_goal(self) -> None:
        contenders = listing.contenders(create_bench.main)
        self.assertEqual(len(contenders), 6)
        for key, found in contenders.items():
            self.assertEqual(found, {OURS, "erofs"} if "source" in key
                             else {OURS, "mksquashfs", "ext4"})

    def test_the_same_seed_makes_the_same_words(self) -> None:
        one, other = (create_bench.words(random.Random(7), 5000)
                      for _ in range(2))
        self.assertEqual(one, other)
        self.assertEqual(len(one), 5000)


if __name__ == "__main__":
    unittest.main()
