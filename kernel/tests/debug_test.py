# SPDX-License-Identifier: BSD-3-Clause
"""The kernel looked at from inside: what it said.

Environment: as boot_test.py.
"""

import re
import unittest

from kernel.tests import machine
from kernel.tests.machine import Config


class LogTest(unittest.TestCase):

    def test_dmesg_has_the_words_of_the_boot_and_when(self) -> None:
        config = Config(append="cpus=300", extra=("-smp", "2"))
        with machine.boot(config) as guest:
            guest.read_until(machine.PROMPT)
            lines = guest.ask("dmesg").splitlines()
        parts = [re.fullmatch(r"\[ *(\d+\.\d{6})\] (.*)", line)
                 for line in lines]
        self.assertTrue(all(parts), lines)
        self.assertEqual(parts[0][2], "odo: cpus=300: give 1 to 256")
        self.assertRegex(parts[-1][2], r"^Odonata on \d+ MiB, .* 2 CPUs; ")
        times = [float(part[1]) for part in parts]
        self.assertEqual(times, sorted(times))
        self.assertGreater(times[0], 0)

    def test_a_script_that_nothing_was_said_in_has_an_empty_log(self) -> None:
        self.assertEqual(machine.run("dmesg").output, b"")


if __name__ == "__main__":
    unittest.main()
