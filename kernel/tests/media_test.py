# SPDX-License-Identifier: BSD-3-Clause
"""Media in QEMU: partitions and RAM disks by name, and images that boot under
BIOS and UEFI, from a CD and from a disk.

Environment: ODO_KERNEL, ODO_QEMU (see boot_test.py), ODO_H2 (default
tools/h2/h2), ODO_LONG (UEFI from a CD, and an ISO as a disk under UEFI).
"""

import hashlib
import os
import re
import shutil
import struct
import subprocess
import tempfile
import time
import unittest
import zlib
from pathlib import Path
from unittest import mock

from kernel.tests import machine
from kernel.tests.machine import Config, Disk
from tools.front import boot, gpt, image

_LONG = "ODO_LONG" in os.environ
_MIB = 1 << 20
_H2 = os.environ.get("ODO_H2", "tools/h2/h2")
_UNPACKED_MODULE_MIB = 64


def h2(*words: str | Path) -> str:
    return subprocess.run([_H2, *map(str, words)], check=True,
                          capture_output=True, text=True).stdout


def put(disk: Path, at: int, data: bytes) -> None:
    with disk.open("r+b") as file:
        file.seek(at)
        file.write(data)


def empty(disk: Path, mib: int) -> Path:
    with disk.open("wb") as file:
        file.truncate(mib * _MIB)
    return disk


def put_image(source: Path, disk: Path, at: int) -> None:
    subprocess.run(["dd", f"if={source}", f"of={disk}", "bs=64K",
                    f"seek={at}", "oflag=seek_bytes", "conv=sparse,notrunc",
                    "status=none"], check=True)


def mbr_entry(kind: int, first: int, blocks: int) -> bytes:
    return struct.pack("<B3sB3sII", 0, b"", kind, b"", first, blocks)


def put_mbr(disk: Path, *entries: bytes) -> None:
    put(disk, 446, b"".join(entries).ljust(64, b"\0") + b"\x55\xaa")


def label64(slice_bytes: int, base: int, *entries: tuple[int, int]) -> bytes:
    """DragonFly's label from its magic number on, for partitions a, b, ..."""
    parts = b"".join(struct.pack("<QQB47x", begin, size, 23)
                     for begin, size in entries).ljust(16 * 64, b"\0")

    def packed(checksum: int) -> bytes:
        return struct.pack("<IIII16xQQQQQ128x", 0xC4464C59, checksum, 4096, 16,
                           slice_bytes, 4096, base, slice_bytes, 0) + parts
    return packed(zlib.crc32(packed(0)))


class MediaCase(unittest.TestCase):
    """A root of two files, and where to make disks with it."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        tree = cls.folder / "tree"
        (tree / "deep").mkdir(parents=True)
        (tree / "motd").write_text("from the medium\n")
        cls.data = bytes(n * 7 % 251 for n in range(200_000))
        (tree / "deep" / "data").write_bytes(cls.data)
        cls.digest = hashlib.sha256(cls.data).hexdigest()
        cls.root = cls.folder / "root.img"
        h2("create", "--reproducible", f"--image_size={_UNPACKED_MODULE_MIB}M",
           cls.root, tree)
        cls.root_bytes = cls.root.stat().st_size

    def expect(self, result: machine.Result, output: str) -> None:
        self.assertEqual(result.status, 0, result.console)
        self.assertEqual(result.output.decode(), output)


class PartitionTest(MediaCase):

    def gpt_disk(self, name: str) -> Path:
        """BIOS boot, a broken entry, the root."""
        disk = empty(self.folder / name, _UNPACKED_MODULE_MIB + 8)
        with disk.open("r+b") as file:
            gpt.write(file, disk.stat().st_size, [
                gpt.Partition(gpt.BIOS_BOOT, "boot", _MIB, _MIB),
                gpt.Partition(gpt.HAMMER2, "over", 2 * _MIB - 512, _MIB),
                gpt.Partition(gpt.HAMMER2, "root", 4 * _MIB, self.root_bytes),
            ], name)
        put_image(self.root, disk, 4 * _MIB)
        return disk

    def test_a_root_in_a_gpt_partition_is_found_and_read(self) -> None:
        disk = self.gpt_disk("gpt.img")
        for append in ("", "root=vd0p3", "root=vd0p3@DATA"):
            result = machine.run("mount; sha256 /deep/data", Config(
                append=append, disks=[Disk(disk, "first")]))
            self.expect(
                result,
                "vd0p3@DATA on /\n"
                "disk vd0: 72 MiB, virtio-blk, GPT, blocks of 512, serial "
                "first, read-only\n"
                "disk vd0p1: 1 MiB, BIOS boot, blocks of 512, read-only\n"
                "disk vd0p3: 64 MiB, HAMMER2, blocks of 512, read-only\n"
                f"{self.digest}  /deep/data\n")
            self.assertEqual(
                result.console.replace("\r", ""),
                "odo: vd0: GPT partition 2 overlaps with partition 1: left "
                "out\n")

    def test_what_is_written_stays_in_the_partition(self) -> None:
        disk = self.gpt_disk("written.img")
        before = disk.read_bytes()
        result = machine.run("put /new some words; cat /new", Config(
            disks=[Disk(disk, writable=True)]))
        self.expect(result, "some words\n")
        after = disk.read_bytes()
        begin, end = 4 * _MIB, 4 * _MIB + self.root_bytes
        self.assertEqual(after[:begin], before[:begin])
        self.assertEqual(after[end:], before[end:])
        part = self.folder / "part.img"
        part.write_bytes(after[begin:end])
        h2("check", part)
        self.assertEqual(h2("cat", part, "/new"), "some words\n")

    def test_a_damaged_gpt_is_read_from_its_backup(self) -> None:
        disk = self.gpt_disk("damaged.img")
        put(disk, 512, bytes(512))
        result = machine.run("cat /motd", Config(disks=[Disk(disk)]))
        self.expect(result, "from the medium\n")
        self.assertIn("odo: vd0: GPT is damaged, its backup at the end of the "
                      "disk is used", result.console)

    def test_a_logical_partition_and_a_disklabel_in_a_slice(self) -> None:
        blocks = self.root_bytes // 512
        disk = empty(self.folder / "mbr.img", 2 * _UNPACKED_MODULE_MIB + 16)
        slice_bytes = self.root_bytes + 2 * _MIB
        put_mbr(disk, mbr_entry(0x6C, 2048, slice_bytes // 512),
                mbr_entry(0x0F, 2048 * 70, 2048 * 70))
        put(disk, _MIB + 512, label64(slice_bytes, _MIB,
                                      (_MIB, self.root_bytes)))
        put_image(self.root, disk, 2 * _MIB)
        put(disk, 70 * _MIB + 446, mbr_entry(0x83, 2048, blocks).ljust(64, b"\0")
            + b"\x55\xaa")
        put_image(self.root, disk, 71 * _MIB)
        for name in ("vd0p1a", "vd0p5"):
            result = machine.run("cat /motd; mount", Config(
                append=f"root={name}", disks=[Disk(disk)]))
            self.expect(
                result,
                "from the medium\n"
                f"{name}@DATA on /\n"
                "disk vd0: 144 MiB, virtio-blk, MBR, blocks of 512, read-only\n"
                "disk vd0p1: 66 MiB, disklabel64, blocks of 512, read-only\n"
                "disk vd0p1a: 64 MiB, HAMMER2, blocks of 512, read-only\n"
                "disk vd0p5: 64 MiB, Linux, blocks of 512, read-only\n")
            self.assertEqual(result.console, "")

    def test_a_module_is_a_disk_that_can_be_written_to(self) -> None:
        result = machine.run(
            "mount; put /new words; sync; cat /new /motd",
            Config(memory="160", extra=("-initrd", str(self.root))))
        self.expect(result, "md0@DATA on /\n"
                    "disk md0: 64 MiB, RAM disk, blocks of 512\n"
                    "words\nfrom the medium\n")

    def test_a_module_that_is_no_disk_does_no_harm(self) -> None:
        short = self.folder / "short"
        short.write_bytes(b"x" * 100)
        result = machine.run("mount", Config(extra=("-initrd", str(short))))
        self.expect(result, "nothing is mounted\n")
        self.assertIn("odo: md0 left out", result.console)


class MadeMediaCase(MediaCase):
    """With ./odo image's media."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        for tool in ("grub-mkimage", "xorriso", "mformat"):
            if not shutil.which(tool):
                raise unittest.SkipTest(f"media: {tool} is not installed")
        for folder in ("i386-pc", "x86_64-efi"):
            if not (image.GRUB / folder).is_dir():
                raise unittest.SkipTest(f"media: GRUB for {folder} is not "
                                        "installed")
        cls.enterClassContext(mock.patch.object(
            boot, "KERNEL", str(machine.kernel_path())))
        # By its command line the ISO is for md0 alone.
        cls.iso = cls.make("iso", image.make_iso)
        cls.usb = cls.make("usb", image.make_usb)

    @classmethod
    def make(cls, name: str, maker) -> Path:
        work = cls.folder / f"{name}-work"
        work.mkdir()
        made = cls.folder / f"made.{name}"
        append = "root=md0" if maker == image.make_iso else ""
        maker(image.Plan(cls.root, append, 0), made, work)
        shutil.rmtree(work)
        return made

    def uefi(self) -> list[str]:
        try:
            return boot.firmware_of(boot.parse(["--uefi"]))
        except boot.Refused as refusal:
            self.skipTest(str(refusal))


class BootTest(MadeMediaCase):
    """Each way that a machine may start them."""

    def check(self, disk: str, *words: str) -> None:
        result = machine.run("mount; sha256 /deep/data; ls /", Config(
            memory="320", from_medium=True, extra=words))
        self.assertEqual(result.status, 0, result.console)
        output = result.output.decode()
        for expected in (f"{disk}@DATA on /\n",
                         "disk md0: 64 MiB, RAM disk, ",
                         f"\n{self.digest}  /deep/data\n", "deep\n"):
            self.assertIn(expected, output)

    def as_disk(self, path: Path) -> list[str]:
        return ["-drive", f"file={path},format=raw,if=none,id=m,snapshot=on",
                "-device", "virtio-blk-pci,drive=m,bootindex=0"]

    def test_bios_from_a_cd(self) -> None:
        self.check("md0", "-cdrom", str(self.iso))

    def test_the_cds_own_partition(self) -> None:
        # Its table counts in blocks of 512, the CD in blocks of 2048.
        result = machine.run(
            "mount cd0p3; mount; sha256 /deep/data",
            Config(append="root=none", extra=("-cdrom", str(self.iso))))
        self.assertEqual(result.status, 0, result.console)
        self.assertIn("cd0p3@DATA on /\n", result.output.decode())
        self.assertIn(f"{self.digest}  /deep/data\n", result.output.decode())

    def test_bios_from_a_disk_beside_the_machines_own(self) -> None:
        own = self.folder / "own.img"
        (self.folder / "nothing").mkdir()
        h2("create", "--image_size=64M", own, self.folder / "nothing")
        self.check("vd1p3", "-drive", f"file={own},format=raw,if=none,id=o",
                   "-device", "virtio-blk-pci,drive=o",
                   *self.as_disk(self.usb))

    def test_bios_from_an_iso_on_a_disk(self) -> None:
        self.check("md0", *self.as_disk(self.iso))

    def test_uefi_from_a_disk(self) -> None:
        self.check("vd0p3", *self.uefi(), *self.as_disk(self.usb))

    @unittest.skipUnless(_LONG, "a second start of UEFI: ODO_LONG=1")
    def test_uefi_from_a_cd(self) -> None:
        self.check("md0", *self.uefi(), "-cdrom", str(self.iso))

    @unittest.skipUnless(_LONG, "a third start of UEFI: ODO_LONG=1")
    def test_uefi_from_an_iso_on_a_disk(self) -> None:
        self.check("md0", *self.uefi(), *self.as_disk(self.iso))

    def test_the_same_content_makes_the_same_bytes(self) -> None:
        for path, maker in ((self.iso, image.make_iso),
                            (self.usb, image.make_usb)):
            again = self.make(f"{path.suffix[1:]}-again", maker)
            self.assertTrue(again.read_bytes() == path.read_bytes(), path.name)


class Glyphs:
    """The kernel's font, drawn once more from its strokes, to read a screen's
    pixels with."""

    SIZE = (8, 16)

    def __init__(self) -> None:
        text = Path("lib/console/font.h").read_text()
        self._characters: dict[bytes, str] = {}
        for character, strokes in re.findall(
                r"\{U'\\?([ -~])', +\"([0-9a-f ]*)\"\}", text):
            self._characters[self._draw(strokes)] = character
        assert len(self._characters) == 95, "all of ASCII, each its own"

    @staticmethod
    def _draw(strokes: str) -> bytes:
        rows = bytearray(16)
        for stroke in strokes.split():
            points = [(int(stroke[i], 16), int(stroke[i + 1], 16))
                      for i in range(0, len(stroke), 2)]
            for (x0, y0), (x1, y1) in zip(points, points[1:] or points):
                steps = max(abs(x1 - x0), abs(y1 - y0), 1)
                for step in range(steps + 1):
                    # To the nearest, halves away from the beginning.
                    x, y = (a + int((b - a) * step / steps
                                    + (0.5 if b >= a else -0.5))
                            for a, b in ((x0, x1), (y0, y1)))
                    rows[y] |= 0x80 >> x
        return bytes(rows)

    def read(self, ppm: bytes) -> list[str]:
        """The rows of text of a picture as QEMU dumps it; `?` for what is no
        character of the font."""
        match = re.match(rb"P6\s+(\d+)\s+(\d+)\s+255\s", ppm)
        assert match, ppm[:20]
        width, height = int(match[1]), int(match[2])
        pixels = ppm[match.end():]
        lines = []
        for y0 in range(0, height - 15, 16):
            line = ""
            for x0 in range(0, width - 7, 8):
                rows = bytearray()
                for y in range(y0, y0 + 16):
                    at = 3 * (y * width + x0)
                    bits = 0
                    for x in range(8):
                        bits = bits << 1 | (pixels[at + 3 * x + 1] > 0x60)
                    rows.append(bits)
                line += self._characters.get(bytes(rows), "?")
            lines.append(line.rstrip())
        return lines


class ScreenTest(MadeMediaCase):
    """A machine with a display and a keyboard, and nobody at its line."""

    def dump(self, guest: machine.Conversation) -> list[str]:
        picture = self.folder / "screen.ppm"
        picture.unlink(missing_ok=True)
        guest.qemu(f"screendump {picture}")
        return self.glyphs.read(picture.read_bytes())

    def wait_for(self, guest: machine.Conversation, wanted: str) -> list[str]:
        deadline = time.monotonic() + machine.TIMEOUT_S
        while True:
            lines = self.dump(guest)
            if any(wanted in line for line in lines):
                return lines
            self.assertLess(time.monotonic(), deadline,
                            f"no {wanted!r}:\n" + "\n".join(lines))
            time.sleep(0.3)

    def press(self, guest: machine.Conversation, *keys: str) -> None:
        for key in keys:
            guest.qemu(f"sendkey {key} 20")
            time.sleep(0.05)

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.glyphs = Glyphs()

    def test_a_display_and_a_keyboard_are_enough(self) -> None:
        with machine.boot(Config(
                memory="320", from_medium=True,
                extra=("-vga", "std", "-cdrom", str(self.iso)))) as guest:
            lines = self.wait_for(guest, "odo> ?")  # and the cursor
            self.assertTrue(any("md0@DATA is mounted" in line
                                for line in lines), lines)
            self.press(guest, *"ls", "spc", "slash", "ret")
            lines = self.wait_for(guest, "motd")
            at = lines.index("odo> ls /")
            self.assertEqual(lines[at + 1:at + 3], ["deep", "motd"])
            self.press(guest, *"cat", "spc", "m", "tab", "ret")
            self.wait_for(guest, "from the medium")
            # More than a screen, back to its beginning, and on.
            self.press(guest, *"help", "ret", *"help", "ret", *"uptime", "ret")
            self.wait_for(guest, "up 00:00:")
            self.assertNotIn("odo> ls /", self.dump(guest))
            self.press(guest, *["shift-pgup"] * 4)
            self.wait_for(guest, "odo> ls /")
            self.press(guest, "u", "p", "ctrl-c")
            self.wait_for(guest, "up 00:00:")

    @unittest.skipUnless(_LONG, "one more start of UEFI: ODO_LONG=1")
    def test_uefi_has_a_screen(self) -> None:
        with machine.boot(Config(
                memory="320", from_medium=True,
                extra=("-vga", "std", *self.uefi(), "-cdrom",
                       str(self.iso)))) as guest:
            self.wait_for(guest, "odo> ?")

    def test_a_report_is_on_the_screen_as_well(self) -> None:
        work = self.folder / "fault-work"
        work.mkdir()
        disc = self.folder / "fault.iso"
        image.make_iso(image.Plan(self.root, "test=pagefault", 0), disc, work)
        # Without isa-debug-exit the machine halts, and the report stays.
        words = machine.command(Config(
            memory="320", from_medium=True,
            extra=("-vga", "std", "-cdrom", str(disc))))
        exit_at = next(i for i, word in enumerate(words)
                       if word.startswith("isa-debug-exit"))
        with machine.boot_words(words[:exit_at - 1]
                                + words[exit_at + 1:]) as guest:
            lines = self.wait_for(guest, "backtrace")
            text = "\n".join(lines)
        self.assertIn("odo: exception 14: page fault, error code 0x0", text)
        self.assertIn("fault_by_unmapped_read()+0x", text)


if __name__ == "__main__":
    unittest.main()
