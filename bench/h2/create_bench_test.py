# SPDX-License-Identifier: BSD-3-Clause
"""The program's words and its trees; its figures want a quiet machine."""

import contextlib
import io
import random
import unittest
from pathlib import Path

from bench.h2 import create_bench
from tools.bench import goals
from tools.bench.model import OURS, parse_name


class WordsTest(unittest.TestCase):

    def test_every_case_has_us_its_peers_and_a_goal(self) -> None:
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            self.assertEqual(create_bench.main(["--list"]), 0)
        wanted = goals.load(Path("bench/goals.json"))
        contenders: dict[str, set[str]] = {}
        for line in output.getvalue().split():
            name = parse_name(line)
            contenders.setdefault(name.key, set()).add(name.contender)
            self.assertIsNotNone(goals.find(wanted, name.key))
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
