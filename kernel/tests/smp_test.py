# SPDX-License-Identifier: BSD-3-Clause
"""The kernel on several CPUs in QEMU: are they all found, started and told of,
do those that do not answer keep nobody, and do tokens, memory, messages and
threads hold on all of them at once?

Environment: as boot_test.py; ODO_LONG=1 for 64 CPUs, ten minutes of load on
eight, and more boots.
"""

import os
import re
import unittest

from kernel.tests import machine
from kernel.tests.machine import Config

LONG = "ODO_LONG" in os.environ
# Two cores of a busy host may have to be eight CPUs and more.
PATIENCE_S = 300


def config(cpus: int, **changes) -> Config:
    extra = ("-smp", str(cpus), *changes.pop("extra", ()))
    return Config(**{"extra": extra, **changes})


def cpus_of(answer: str) -> list[tuple[int, str]]:
    """APIC id and state of each CPU, as `cpus` lists them."""
    return [(int(number), state) for number, state in
            re.findall(r"^apic (\d+): package \d+ core \d+ thread \d+, (.*)$",
                       answer, re.MULTILINE)]


def running(count: int) -> list[tuple[int, str]]:
    return [(i, f"runs as CPU {i}") for i in range(count)]


class StartTest(unittest.TestCase):

    def test_every_cpu_runs_on_every_machine(self) -> None:
        for name, cpu, count in (("q35", "max", 4), ("q35", "qemu64", 2),
                                 ("pc", "max", 2), ("pc", "qemu64", 8),
                                 ("microvm", "max", 4)):
            with self.subTest(machine=name, cpu=cpu, count=count):
                with machine.boot(config(count, machine=name,
                                         cpu=cpu)) as guest:
                    text = guest.read_until(machine.PROMPT)
                    self.assertNotIn("odo: ", text)
                    self.assertRegex(guest.ask("cpu"),
                                     rf"cpus +{count} running of {count}\n")
                    self.assertEqual(cpus_of(guest.ask("cpus")),
                                     running(count))

    def test_places_are_told(self) -> None:
        topology = "6,sockets=2,cores=3,threads=1"
        with machine.boot(Config(extra=("-smp", topology))) as guest:
            guest.read_until(machine.PROMPT)
            lines = guest.ask("cpus").splitlines()
        self.assertEqual(len(lines), 6)
        self.assertIn("apic 0: package 0 core 0 thread 0", lines[0])
        # Ids of a package begin at a power of two.
        self.assertIn("apic 6: package 1 core 2 thread 0", lines[5])

    def test_the_command_line_limits_them(self) -> None:
        for option, count in (("cpus=2", 2), ("cpus=1", 1), ("cpus=300", 3)):
            with self.subTest(option):
                result = machine.run("cpus", config(3, append=option))
                states = [state for _, state
                          in cpus_of(result.output.decode())]
                self.assertEqual(
                    states, [f"runs as CPU {i}" for i in range(count)]
                    + ["left out"] * (3 - count))
        self.assertIn("odo: cpus=300: give 1 to 256\n", result.console)

    def test_a_script_has_them_too(self) -> None:
        result = machine.run("cpu; poweroff 7", config(2))
        self.assertEqual(result.status, 7)
        self.assertIn(b"2 running of 2\n", result.output)
        self.assertEqual(result.console, "")

    def test_a_cpu_that_does_not_answer_keeps_nobody(self) -> None:
        # Silent for good, or here when nobody waits any more.
        for drill in ("silentcpu", "latecpu"):
            with self.subTest(drill):
                with machine.boot(config(4, append=f"test={drill}")) as guest:
                    text = guest.read_until(machine.PROMPT)
                    self.assertIn("odo: the CPU with APIC id 3 does not "
                                  "answer; going on without it\r\n", text)
                    self.assertEqual(cpus_of(guest.ask("cpus")),
                                     running(3) + [(3, "does not answer")])
                    self.assertRegex(guest.ask("uptime"), r"^up 00:")

    def test_memory_for_few_is_told(self) -> None:
        with machine.boot(config(64, memory="24")) as guest:
            text = guest.read_until(machine.PROMPT, PATIENCE_S)
            match = re.search(r"odo: memory for (\d+) of 64 CPUs: give the "
                              r"machine more\r\n", text)
            assert match, text
            count = int(match[1])
            self.assertGreater(count, 8)
            self.assertEqual([state for _, state
                              in cpus_of(guest.ask("cpus"))].count("left out"),
                             64 - count)

    def test_without_an_apic_or_its_table_one_runs(self) -> None:
        for name, cpu, count in (("q35", "max,-apic", 1),
                                 ("pc,acpi=off", "max", 4)):
            with self.subTest(machine=name, cpu=cpu):
                with machine.boot(config(count, machine=name,
                                         cpu=cpu)) as guest:
                    guest.read_until(machine.PROMPT)
                    answer = guest.ask("cpu")
                    self.assertIn(" 1 running of 1\n", answer)
                    self.assertIn("timer     pit", answer)
        # QEMU has APICs for several CPUs, and leads the 8259 there, whatever
        # CPUID says: such a machine hears no keys.
        result = machine.run("cpu", config(4, cpu="max,-apic"))
        self.assertEqual(result.console,
                         "odo: no I/O APIC: one of 4 CPUs runs\n")
        self.assertIn(b" 1 running of 4\n", result.output)

    def test_idle_cpus_halt(self) -> None:
        with machine.boot(config(4)) as guest:
            guest.read_until(machine.PROMPT)
            for _ in range(machine.TIMEOUT_S * 10):
                if guest.qemu("info registers -a").count("HLT=1") == 4:
                    return
        self.fail("a CPU with nothing to do does not halt")

    def test_a_fault_stops_all_and_is_told_once(self) -> None:
        for fault in ("pagefault", "panic"):
            result = machine.run("", config(8, append=f"test={fault}"))
            self.assertEqual(result.status, 1)
            self.assertEqual(result.console.count("backtrace:"), 1)
            self.assertIn(", on CPU 0\n", result.console)

    @unittest.skipUnless(LONG, "long: ODO_LONG=1")
    def test_many_cpus(self) -> None:
        for count in (64, 255):
            with self.subTest(count):
                with machine.boot(config(count, memory="1024")) as guest:
                    guest.read_until(machine.PROMPT, PATIENCE_S)
                    self.assertEqual(cpus_of(guest.ask("cpus")),
                                     running(count))

    @unittest.skipUnless(LONG, "long: ODO_LONG=1")
    def test_many_boots(self) -> None:
        for number in range(200):
            count = 1 + number % 8
            with self.subTest(number):
                result = machine.run(
                    "cpu", config(count, machine=("q35", "pc")[number % 2]))
                self.assertEqual((result.status, result.console), (0, ""))
                self.assertIn(f" {count} running of {count}\n".encode(),
                              result.output)


class LoadTest(unittest.TestCase):

    DONE = re.compile(
        r"^smp: (\d+) CPUs, \d+ s: (\d+) rounds of tokens, (\d+) of the heap, "
        r"(\d+) messages and calls, (\d+) moves, (\d+) bells, "
        r"(\d+) preemptions\r$", re.MULTILINE)

    def check(self, count: int, seconds: int, **changes) -> None:
        with machine.boot(config(
                count, append=f"test=smp seconds={seconds}",
                **changes)) as guest:
            text = guest.read_until("preemptions\r\n",
                                    seconds + PATIENCE_S)
            match = self.DONE.search(text)
            assert match, text
            self.assertEqual(int(match[1]), count)
            for number in match.groups()[1:]:
                self.assertGreater(int(number), 0, text)
            self.assertEqual(guest.wait(), 0)

    def test_holds_on_1_2_4_and_8_cpus(self) -> None:
        for count in (1, 2, 4, 8):
            with self.subTest(count):
                self.check(count, 2)

    def test_holds_with_the_old_timer(self) -> None:
        self.check(1, 1, cpu="qemu64,-apic", machine="pc")

    @unittest.skipUnless(LONG, "long: ODO_LONG=1")
    def test_holds_for_ten_minutes_on_8_cpus(self) -> None:
        self.check(8, 600)

    @unittest.skipUnless(LONG, "long: ODO_LONG=1")
    def test_holds_on_64_cpus(self) -> None:
        self.check(64, 60, memory="512")


if __name__ == "__main__":
    unittest.main()
