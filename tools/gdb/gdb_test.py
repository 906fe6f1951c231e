# SPDX-License-Identifier: BSD-3-Clause
"""The gdb commands, on a process that was stopped with threads parked."""

import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

# The sources themselves, wherever this file is linked from: the program is built
# here, with the symbols that the build leaves out.
_HERE = Path(__file__).resolve().parent
_ROOT = _HERE.parents[1]


class GdbTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls) -> None:
        if not shutil.which("gdb"):
            raise unittest.SkipTest("gdb is not installed")
        folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.program = folder / "parked"
        subprocess.run(
            # As it is shipped: what needs frame pointers would not get far.
            ["clang++-19", "-std=c++23", "-g", "-O2", "-fomit-frame-pointer",
             f"-I{_ROOT}", "-pthread", str(_HERE / "parked.cc"),
             "-o", str(cls.program)], check=True)

    def gdb(self, *commands: str) -> str:
        words = ["gdb", "-batch", "-nx", "-ex", "set confirm off",
                 "-ex", "set debuginfod enabled off",
                 "-ex", f"source {_HERE / 'odo_lwkt.py'}", "-ex", "run"]
        for command in commands:
            words += ["-ex", command]
        result = subprocess.run([*words, str(self.program)], text=True,
                                capture_output=True, timeout=120, check=False,
                                stdin=subprocess.DEVNULL)
        return result.stdout + result.stderr

    def test_lists_threads_with_their_places(self) -> None:
        output = self.gdb("odo-threads", "odo-cpus")
        for name in ("alice", "bob"):
            self.assertRegex(output, rf"cpu 0 0x[0-9a-f]+ {name} priority 12 "
                             r"asleep on 0x[0-9a-f]+ in .*sleep", output)
        self.assertRegex(output, r"carol priority 1 queued", output)
        self.assertRegex(output, r"main priority 12 running", output)
        self.assertRegex(output, r"cpu 0: main, \d+ switches", output)

    def assert_shows_way_down(self, output: str) -> None:
        """The whole of it, from the switch to the entry and no further."""
        self.assertRegex(output, r"(?s)#0 .*switch_context.*\n#\d+ .*sleep.*"
                         r"\n#\d+ .*sleep_in_the_cellar.*\n#\d+ .*"
                         r"go_downstairs.*\n#\d+ .*first_run")
        self.assertNotRegex(output, r"(?i)corrupt|backtrace stopped|0x0+ in")

    def test_shows_where_a_parked_thread_stands(self) -> None:
        line = 'printf "%s\\n", "---"'
        output = self.gdb("frame 1", "info registers rip rsp rbp", line,
                          "odo-bt alice", line, "frame",
                          "info registers rip rsp rbp")
        before, shown, after = output.split("---\n")
        self.assert_shows_way_down(shown)
        # And the process itself stands where it stood, looked at from there.
        registers = r"(?m)^r[a-z]+ +0x.*"
        self.assertEqual(len(re.findall(registers, before)), 3, before)
        self.assertEqual(re.findall(registers, before),
                         re.findall(registers, after))
        self.assertRegex(after, r"(?m)^#1 ")

    def test_plain_backtrace_of_a_running_thread_ends_at_its_entry(self) -> None:
        frames = re.findall(r"(?m)^#\d+ .*", self.gdb("bt"))
        entry = next(number for number, frame in enumerate(frames)
                     if "first_run" in frame)
        # All that gdb shows of the null return address, if anything.
        for frame in frames[entry + 1:]:
            self.assertRegex(frame, r"0x0+ in \?\?")
        self.assertLessEqual(len(frames), entry + 2)

    def test_says_what_is_wrong(self) -> None:
        output = self.gdb("odo-bt nobody", "odo-bt main", "odo-bt carol",
                          "odo-bt twin")
        self.assertRegex(output, "no lwkt thread 'nobody'")
        self.assertRegex(output, "main runs")
        self.assertRegex(output, "carol has not run yet; it begins in .*"
                         "first_run")
        self.assertRegex(output, "2 threads are called 'twin'.*0x.* 0x")

    def test_takes_addresses_and_a_machine_by_name(self) -> None:
        listed = self.gdb("odo-threads")
        found = re.search(r"(0x[0-9a-f]+) bob ", listed)
        self.assertIsNotNone(found, listed)
        self.assert_shows_way_down(self.gdb(f"odo-bt {found[1]}"))
        output = self.gdb("odo-system 'odo::lwkt::OverflowWatch::cpu_'",
                          "odo-cpus")
        self.assertRegex(output, r"cpu 0: main, \d+ switches", output)

    def test_says_that_nothing_runs(self) -> None:
        result = subprocess.run(
            ["gdb", "-batch", "-nx", "-ex",
             f"source {_HERE / 'odo_lwkt.py'}", "-ex", "odo-threads",
             str(self.program)],
            text=True, capture_output=True, timeout=120, check=False,
            stdin=subprocess.DEVNULL)
        self.assertIn("there is no process and no core",
                      result.stdout + result.stderr)

    def test_works_on_a_core(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            core = Path(folder, "core")
            self.gdb(f"generate-core-file {core}")
            result = subprocess.run(
                ["gdb", "-batch", "-nx", "-ex",
                 f"source {_HERE / 'odo_lwkt.py'}", "-ex", "odo-threads",
                 "-ex", "odo-bt bob", str(self.program), str(core)],
                text=True, capture_output=True, timeout=120, check=False,
                stdin=subprocess.DEVNULL)
            output = result.stdout + result.stderr
        self.assertIsNotNone(re.search(r"bob priority 12 asleep", output),
                             output)
        self.assert_shows_way_down(output)


if __name__ == "__main__":
    unittest.main()
