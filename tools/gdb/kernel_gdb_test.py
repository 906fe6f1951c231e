# SPDX-License-Identifier: BSD-3-Clause
"""The gdb commands on the kernel, in QEMU.

Environment: as kernel/tests/boot_test.py; ODO_KERNEL_DEBUG (default
kernel/odonata.debug).
"""

import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from kernel.tests import machine
from kernel.tests.machine import Config

# Where the sources are that gdb shows lines of, wherever this is linked from.
_HERE = Path(__file__).resolve().parent
_DEBUG = Path(os.environ.get("ODO_KERNEL_DEBUG",
                             "kernel/odonata.debug")).resolve()


class KernelGdbTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls) -> None:
        if not shutil.which("gdb"):
            raise unittest.SkipTest("gdb is not installed")
        folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        cls.socket = Path(folder, "gdb")
        # As tools/gdb/kernel.gdb has it, but for the port: tests share those.
        script = (_HERE / "kernel.gdb").read_text()
        assert "target remote :1234\n" in script
        cls.script = Path(folder, "kernel.gdb")
        cls.script.write_text(script.replace(":1234", str(cls.socket)))

    def config(self, *words: str) -> Config:
        return Config(extra=("-smp", "2", "-gdb",
                             f"unix:{self.socket},server=on,wait=off", *words))

    def gdb(self, *commands: str) -> str:
        words = ["gdb", "-batch", "-nx", "-cd", str(_HERE.parents[1]),
                 "-iex", "set debuginfod enabled off", "-x", str(self.script)]
        for command in commands:
            words += ["-ex", command]
        result = subprocess.run([*words, str(_DEBUG)], text=True,
                                capture_output=True, timeout=60, check=False,
                                stdin=subprocess.DEVNULL)
        return result.stdout + result.stderr

    def test_threads_and_their_places_are_told(self) -> None:
        with machine.boot(self.config()) as guest:
            guest.read_until(machine.PROMPT)
            output = self.gdb("odo-threads", "odo-cpus", "odo-bt sync",
                              'printf "---\\n"', "bt", "detach")
            # It goes on as if nothing had been.
            self.assertIn("running   monitor", guest.ask("threads"))
        self.assertRegex(output, r"cpu 0 0x[0-9a-f]+ monitor priority 12 asleep"
                         r" on 0x[0-9a-f]+ in .*wait_for_key")
        self.assertRegex(output, r"cpu 0: idle, \d+ switches")
        self.assertRegex(output, r"cpu 1: idle, \d+ switches")
        parked, current = output.split("---\n")
        self.assertRegex(parked, r"(?s)#0 .*switch_context.*\n#\d+ .*"
                         r"keep_synced.* at (\./)?kernel/conversation\.cc:\d+\n"
                         r"(.*\n)*#\d+ .*first_run")
        self.assertNotRegex(parked, r"(?i)corrupt|backtrace stopped")
        # The CPU itself, with lines.
        self.assertRegex(current, r"wait_for_interrupt.* at "
                         r"(\./)?kernel/x86_64/cpu\.h:\d+")

    def test_stops_where_it_is_told_from_the_first_instruction_on(self) -> None:
        with machine.boot(self.config("-S")) as guest:
            output = self.gdb("odo-threads", "break odo::x86::start_threads",
                              "continue", "odo-threads", "bt", "delete",
                              "detach")
            guest.read_until(machine.PROMPT)
        self.assertEqual(len(re.findall("the kernel has no threads yet",
                                        output)), 2, output)
        self.assertRegex(output, r"#\d+ .*kernel_main.* at "
                         r"(\./)?kernel/main\.cc:\d+")


if __name__ == "__main__":
    unittest.main()
