# SPDX-License-Identifier: BSD-3-Clause
"""The kernel looked at from inside: what it said, what its threads do, what a
report of a fault shows of them.

Environment: as boot_test.py.
"""

import re
import time
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


class ThreadsTest(unittest.TestCase):

    def test_threads_of_all_cpus_are_told(self) -> None:
        # Its thread is to sleep, however slow the machine is.
        config = Config(append="sync=86400", extra=("-smp", "3"))
        with machine.boot(config) as guest:
            guest.read_until(machine.PROMPT)
            # It runs for the first time when the monitor waits for a key.
            for _ in range(20):
                lines = guest.ask("threads").splitlines()
                if any("asleep    sync" in line for line in lines):
                    break
                time.sleep(0.1)
            traces = {name: guest.ask(f"backtrace {name}")
                      for name in ("sync", "monitor", "idle")}
            self.assertIn("no thread has this name",
                          guest.ask("backtrace nobody"))
            heap = guest.ask("malloc")
        self.assertEqual(lines[0], "CPU  PRI  STATE     THREAD")
        for pattern in (
                r" +0 +\d+  asleep +console, on 0x[0-9a-f]{16}, in odo::x86::"
                r"\(anonymous namespace\)::serve_interrupts$",
                r" +0 +\d+  asleep +sync, on 0x[0-9a-f]{16}, in odo::kernel::"
                r"Conversation::keep_synced$",
                r" +0 +\d+  running +monitor$",
                r" +1 +0  running +idle$", r" +2 +0  running +idle$"):
            self.assertTrue(any(re.match(pattern, line) for line in lines),
                            (pattern, lines))
        self.assertRegex(
            traces["sync"],
            r"\n    [0-9a-f]{16} odo::kernel::Conversation::keep_synced.*\n"
            r"    [0-9a-f]{16} odo::lwkt::Cpu<.*first_run")
        self.assertRegex(traces["monitor"], r"command_backtrace")
        # It stands on its CPU's stack, not on one that lwkt knows.
        self.assertIn("nothing that can be told", traces["idle"])
        self.assertRegex(heap, r"(?m)^  2 +\d+ +\d+ +\d+ +\d+ +\d+ +\d+$")

    def test_a_cpu_that_does_not_answer_is_told_each_time(self) -> None:
        config = Config(append="test=deafcpu", extra=("-smp", "3"))
        with machine.boot(config) as guest:
            guest.read_until(machine.PROMPT)
            for _ in range(2):
                answer = guest.ask("threads")
                self.assertIn("threads: CPU 2 does not answer\n", answer)
                self.assertRegex(answer, r"(?m)^  1 +0  running +idle$")

    def test_a_script_has_no_threads(self) -> None:
        self.assertEqual(machine.run("threads").output,
                         b"no threads: a script runs without any\n")


class ReportTest(unittest.TestCase):

    def test_a_report_tells_what_each_cpu_was_doing(self) -> None:
        result = machine.run("", Config(append="test=report",
                                        extra=("-smp", "3")))
        self.assertEqual(result.status, 1)
        self.assertRegex(result.console, r"panic: sizeof\(int\) == 3 at "
                         r'[^\n]*, on CPU 0, in thread "culprit"\n')
        self.assertRegex(result.console,
                         r"[0-9a-f]{16} odo::kernel::\(anonymous namespace\)::"
                         r"break_an_invariant_in_a_thread")
        self.assertRegex(result.console, r"\n  CPU 1 was at [0-9a-f]{16} .*"
                         r', in thread "idle"\n')
        self.assertRegex(result.console, r"\n  CPU 2 was at [0-9a-f]{16} "
                         r"odo::kernel::\(anonymous namespace\)::spin_for_ever"
                         r'\(\)\+0x[0-9a-f]+, in thread "spinner"\n\Z')

    def test_a_machine_check_is_told_as_what_it_is(self) -> None:
        with machine.boot(Config(extra=("-smp", "2"))) as guest:
            guest.read_until(machine.PROMPT)
            # A data read of the first-level cache went wrong on CPU 1, at
            # 0x1000; its state is lost.
            guest.qemu("mce 1 2 0xbe00000000000135 5 0x1000 0x8c")
            text = guest.read_until("backtrace:")
            self.assertEqual(guest.wait(), 1)
        self.assertRegex(text, r"exception 18: machine check, error code 0x0, "
                         r'on CPU 1, in thread "idle"')
        self.assertIn("  bank 2: uncorrected, processor context corrupt: "
                      "cache, data read, of data, level 1; "
                      "status 0xbe00000000000135, address 0x0000000000001000",
                      text)

    def test_an_nmi_that_nobody_sent_stops_nothing(self) -> None:
        with machine.boot(Config()) as guest:
            guest.read_until(machine.PROMPT)
            for _ in range(3):
                guest.qemu("nmi")
                guest.read_until("odo: an NMI that nobody sent, on CPU 0; "
                                 "going on\r\n")
            self.assertIn("nobody sent", guest.ask("dmesg"))


if __name__ == "__main__":
    unittest.main()
