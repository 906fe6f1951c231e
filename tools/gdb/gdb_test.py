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
            ["clang++-19", "-std=c++23", "-g", "-O1",
             "-fno-omit-frame-pointer", f"-I{_ROOT}", "-pthread",
             str(_HERE / "parked.cc"), "-o", str(cls.program)], check=True)

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

    def test_shows_where_a_parked_thread_stands(self) -> None:
        output = self.gdb("odo-bt alice", "bt 3")
        cellar = output.find("sleep_in_the_cellar")
        stairs = output.find("go_downstairs")
        self.assertGreater(cellar, 0, output)
        self.assertGreater(stairs, cellar, output)
        # And the process itself stands where it stood.
        self.assertGreater(output.rfind("raise"), stairs, output)

    def test_says_what_is_wrong(self) -> None:
        output = self.gdb("odo-bt nobody", "odo-bt main")
        self.assertRegex(output, "no lwkt thread 'nobody'")
        self.assertRegex(output, "main runs")

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
        self.assertIn("go_downstairs", output)


if __name__ == "__main__":
    unittest.main()
