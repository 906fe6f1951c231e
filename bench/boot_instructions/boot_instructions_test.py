# SPDX-License-Identifier: BSD-3-Clause
"""The script's parts; and the meter itself, on a guest of known length."""

import json
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from bench.boot_instructions import (boot_instructions, debian_kernel,
                                     initramfs)
from bench.boot_instructions.boot_instructions import BootError, Guest

_HERE = Path(__file__).absolute().parent


class MeterTest(unittest.TestCase):
    """Under -icount, does the counter count instructions?"""

    @classmethod
    def setUpClass(cls) -> None:
        if not shutil.which("qemu-system-x86_64"):
            raise unittest.SkipTest("qemu-system-x86_64 is not installed")
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.kernel = cls.folder / "meter.elf"
        subprocess.run(
            ["clang-19", "-m32", "-static", "-nostdlib", "-fuse-ld=lld-19",
             "-Wl,--image-base=0x100000", "-o", str(cls.kernel),
             str(_HERE / "meter_guest.S")], check=True)

    def test_counts_to_the_instruction(self) -> None:
        guest = Guest("meter", self.kernel, "")
        for seed in (1, 2):
            self.assertEqual(boot_instructions.count(guest, None, seed),
                             2_000_003)

    def test_a_guest_without_a_figure_is_told(self) -> None:
        broken = self.folder / "broken.elf"
        broken.write_bytes(b"no kernel")
        with self.assertRaisesRegex(BootError, "meter: the machine ended"):
            boot_instructions.count(Guest("meter", broken, ""), None, 1)


class MarkTest(unittest.TestCase):

    def test_takes_the_line_alone(self) -> None:
        find = boot_instructions.find_mark
        self.assertEqual(find(b"odo> \r\nboot-instructions 15\r\n"), 15)
        self.assertIsNone(find(b"boot-instructions \n"))
        self.assertIsNone(find(b"no boot-instructions 15 here\n"))


class CommandTest(unittest.TestCase):

    def test_the_machines_differ_in_their_kernels_alone(self) -> None:
        disk = Path("a,b.img")
        ours = boot_instructions.qemu_command(
            Guest("ours", Path("k"), "bench=boot"), disk, 1)
        peer = boot_instructions.qemu_command(
            Guest("peer", Path("v"), "quiet", Path("i")), disk, 1)
        swap = {"k": "v", "bench=boot": "quiet"}
        self.assertEqual([swap.get(word, word) for word in ours],
                         [word for word in peer if word not in
                          ("-initrd", "i")])
        self.assertTrue(any("file=a,,b.img," in word for word in ours))


class InitramfsTest(unittest.TestCase):

    def test_init_is_static_and_starts_with_the_counter(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "init")
            initramfs.build_init(path)
            elf = path.read_bytes()
        self.assertEqual(elf[:4], b"\x7fELF")
        self.assertEqual(int.from_bytes(elf[16:18], "little"), 2, "ET_EXEC")
        entry = int.from_bytes(elf[24:32], "little")
        self.assertEqual(elf[self.file_offset(elf, entry):][:2], b"\x0f\x31",
                         "rdtsc")

    def file_offset(self, elf: bytes, address: int) -> int:
        def number(at: int, size: int) -> int:
            return int.from_bytes(elf[at:at + size], "little")
        for n in range(number(56, 2)):
            header = number(32, 8) + n * number(54, 2)
            self.assertNotIn(number(header, 4), (2, 3), "nothing dynamic")
            start = number(header + 16, 8)
            if number(header, 4) == 1 and (
                    start <= address < start + number(header + 32, 8)):
                return number(header + 8, 8) + address - start
        self.fail("the entry point is in no segment")

    def test_archive_is_newc(self) -> None:
        init = b"\x7fELF7"
        data = initramfs.archive(init)
        names, at = [], 0
        while at < len(data):
            self.assertEqual(data[at:at + 6], b"070701")
            words = [int(data[at + 6 + 8 * n:at + 14 + 8 * n], 16)
                     for n in range(13)]
            name = data[at + 110:at + 110 + words[11]]
            self.assertEqual(name[-1:], b"\0")
            names.append((name[:-1].decode(), words[1]))
            at += 110 + words[11] + -(110 + words[11]) % 4
            if words[6]:
                self.assertEqual(data[at:at + words[6]], init)
            at += words[6] + -words[6] % 4
        self.assertEqual(at, len(data))
        self.assertEqual(names, [("init", 0o100755), ("TRAILER!!!", 0)])


class DebianKernelTest(unittest.TestCase):

    def test_finds_the_versioned_package(self) -> None:
        self.assertEqual(debian_kernel.dependency(
            "linux-image-cloud-amd64\n"
            "  Depends: linux-image-6.1.0-56-cloud-amd64\n"),
            "linux-image-6.1.0-56-cloud-amd64")
        with self.assertRaisesRegex(debian_kernel.FetchError, "apt-get update"):
            debian_kernel.dependency("")

    def test_finds_its_version(self) -> None:
        self.assertEqual(debian_kernel.candidate(
            "x:\n  Installed: (none)\n  Candidate: 6.1.192-2\n"), "6.1.192-2")
        with self.assertRaises(debian_kernel.FetchError):
            debian_kernel.candidate("x:\n  Candidate: (none)\n")


class OutputTest(unittest.TestCase):
    _COUNTS = {"ours": [40_000_000, 41_000_000],
               "debian-cloud": [1_560_000_000, 1_600_000_000]}

    def test_records_are_one_a_boot(self) -> None:
        lines = boot_instructions.records(self._COUNTS).splitlines()
        self.assertEqual(len(lines), 4)
        self.assertEqual(json.loads(lines[2]), {
            "name": "boot/power-on/debian-cloud", "value": 1_560_000_000,
            "unit": "instructions", "better": "lower"})

    def test_summary_shows_both_counts_and_the_ratio(self) -> None:
        text = boot_instructions.summary(self._COUNTS, "linux 6", 20.0)
        for part in ("40,500,000  Odonata", "1,580,000,000  Linux (linux 6)",
                     "39.0x", "goal 20x: met"):
            self.assertIn(part, text)
        self.assertIn("goal 50x: NOT met", boot_instructions.summary(
            self._COUNTS, "linux 6", 50.0))

    def test_the_goal_is_the_tables(self) -> None:
        self.assertEqual(boot_instructions.wanted_ratio(), 20)


if __name__ == "__main__":
    unittest.main()
