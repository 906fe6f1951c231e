# SPDX-License-Identifier: BSD-3-Clause
"""The kernel in QEMU on real buses: NVMe, SATA disks and CDs that work, that
have odd shapes, that do not answer, that vanish.

Environment: ODO_KERNEL, ODO_QEMU (see boot_test.py), ODO_H2 (default
tools/h2/h2).
"""

import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

from kernel.tests import machine
from kernel.tests.machine import Config, Disk

_IMAGE = Path("testdata/links.img.zst")
_MANIFEST = Path("testdata/links.json")
# What a bus's first disk is called.
_NAMES = {"nvme": "nvme0", "ahci": "ad0", "cd": "cd0"}
_ON_ANY_BUS = ("nvme", "ahci")


def h2(*words: str | Path) -> str:
    tool = os.environ.get("ODO_H2", "tools/h2/h2")
    return subprocess.run([tool, *map(str, words)], check=True,
                          capture_output=True, text=True).stdout


class BusTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.image = cls.folder / "links.img"
        subprocess.run(["zstd", "-q", "-d", "--long=27", "--sparse", "-f",
                        str(_IMAGE), "-o", str(cls.image)], check=True)
        manifest = json.loads(_MANIFEST.read_text())
        cls.digests = {e["path"]: e["sha256"] for e in manifest["trees"]["DATA"]
                       if e["type"] == "file" and "sha256" in e}

    def made(self, name: str) -> Path:
        """An empty filesystem."""
        path = self.folder / name
        h2("mkfs", "--image_size=64M", "--label=DATA", "--boot_size=8M",
           "--aux_size=8M", path)
        return path

    def check_digests(self, config: Config) -> machine.Result:
        paths = ("/big1", "/h2", "/one")
        result = machine.run("mount; sha256 " + " ".join(paths), config)
        self.assertEqual(result.status, 0, result.console)
        output = result.output.decode()
        for path in paths:
            self.assertIn(f"{self.digests[path]}  {path}\n", output)
        return result


class GoodDiskTest(BusTest):

    def test_files_have_their_digests_on_every_bus(self) -> None:
        for bus, name in _NAMES.items():
            for kind in ("q35", "pc"):
                with self.subTest(bus=bus, machine=kind):
                    result = self.check_digests(Config(
                        machine=kind, append=f"root={name}@DATA",
                        disks=[Disk(self.image, "SER1", bus=bus)]))
                    blocks = 2048 if bus == "cd" else 512
                    self.assertRegex(
                        result.output.decode(),
                        rf"{name}@DATA on /\ndisk {name}: 2 GiB, \S+ "
                        rf"\(QEMU [^)]*\), blocks of {blocks}, serial SER1")

    def test_what_is_written_is_there_after_a_reboot(self) -> None:
        for bus in _ON_ANY_BUS:
            with self.subTest(bus=bus):
                image = self.made(f"{bus}.img")
                config = Config(disks=[Disk(image, bus=bus, writable=True)],
                                append=f"root={_NAMES[bus]} sync=0")
                with machine.boot(config) as guest:
                    guest.read_until(machine.PROMPT)
                    guest.ask("mkdir d; put d/f kept; sync; put g lost")
                with machine.boot(config) as guest:
                    guest.read_until(machine.PROMPT)
                    self.assertEqual(guest.ask("cat d/f").strip(), "kept")
                    self.assertNotIn("g", guest.ask("ls /").split())
                    guest.ask("mv d/f d/h")
                    guest.type("poweroff\r")
                    self.assertEqual(guest.wait(), 0)
                self.assertEqual(h2("ls", image, "/d"), "h\n")
                h2("check", image)

    def test_many_disks_of_all_kinds_have_names(self) -> None:
        noise = self.folder / "noise"
        noise.write_bytes(os.urandom(1 << 20))
        disks = [Disk(noise, f"s{number}", bus=bus) for number, bus in
                 enumerate(("nvme", "ahci", "cd", "virtio", "nvme", "ahci"))]
        result = machine.run("mount", Config(disks=disks, append="root=none"))
        names = [line.split()[1] for line in result.output.decode().splitlines()
                 if line.startswith("disk ")]
        self.assertEqual(names, ["nvme0:", "ad0:", "cd0:", "vd0:", "nvme1:",
                                 "ad1:"])

    def test_namespaces_are_disks_whatever_their_blocks(self) -> None:
        large = self.made("large.img")
        spaces = ["-device", "nvme,id=n,serial=many"]
        for number, (path, options) in enumerate((
                (self.image, "nsid=1"),
                (large, "nsid=5,logical_block_size=4096,"
                 "physical_block_size=4096"),
                (self.folder / "links.img", "nsid=7,ms=8,mset=1"))):
            spaces += ["-drive", f"file={path},format=raw,if=none,id=s{number},"
                       + ("" if number == 1 else "snapshot=on"),
                       "-device", f"nvme-ns,bus=n,drive=s{number},{options}"]
        config = Config(extra=spaces, append="root=nvme0n5")
        result = machine.run("put f on large blocks; mount", config)
        self.assertEqual(result.status, 0, result.console)
        self.assertRegex(result.output.decode(), r"nvme0n5@DATA on /.*\n"
                         r"disk nvme0: .*blocks of 512, serial many\n"
                         r"disk nvme0n5: .*blocks of 4096, serial many\n\Z")
        self.assertRegex(result.console, r"\Aodo: disk at .* namespace 7 left "
                         r"out: its blocks carry metadata or protection\n")
        h2("check", large)
        self.assertEqual(h2("ls", large), "f\n")

    def test_odd_controllers_are_read_right(self) -> None:
        for bus, options in (("nvme", ",mdts=1"), ("nvme", ",max_ioqpairs=1"),
                             ("ahci", ",logical_block_size=512,"
                              "physical_block_size=4096")):
            with self.subTest(bus=bus, options=options):
                self.check_digests(Config(disks=[
                    Disk(self.image, bus=bus, options=options)]))


class BadDiskTest(BusTest):

    def test_a_disk_that_does_not_answer_is_an_error_not_a_hang(self) -> None:
        # The first 64 KiB take seconds.
        slow = ["-object", "throttle-group,id=slow,x-bps-total=20000",
                "-blockdev", f"driver=file,filename={self.image},"
                "node-name=file", "-blockdev",
                "driver=throttle,throttle-group=slow,file=file,node-name=disk"]
        for bus, device in (("nvme", "nvme,serial=s,drive=disk"),
                            ("ahci", "ide-hd,bus=ide.0,drive=disk")):
            with self.subTest(bus=bus):
                result = machine.run("ls /", Config(
                    extra=[*slow, "-device", device], append="disk-wait=1"))
                self.assertEqual(result.status, 1)
                self.assertRegex(result.console,
                                 rf"\Amount: {_NAMES[bus]}: device error")

    def test_a_bad_place_on_the_medium_fails_alone(self) -> None:
        rules = self.folder / "rules"
        # Where /big1 has its inode.
        rules.write_text('[inject-error]\nevent = "read_aio"\nerrno = "5"\n'
                         f'sector = "{0x8802c00 // 512}"\n')
        for bus, device in (("nvme", "nvme,serial=s,drive=d0"),
                            ("ahci", "ide-hd,bus=ide.0,drive=d0")):
            with self.subTest(bus=bus):
                broken = ["-drive", f"file=blkdebug:{rules}:{self.image},"
                          "format=raw,if=none,id=d0,snapshot=on,rerror=report",
                          "-device", device]
                result = machine.run("sha256 /big1; sha256 /h2",
                                     Config(extra=broken))
                self.assertEqual(result.output.decode(),
                                 f"{self.digests['/h2']}  /h2\n")
                self.assertRegex(result.console,
                                 r"\Asha256: /big1: device error[^\n]*\n\Z")

    def test_a_disk_that_vanishes_is_an_error_not_a_hang(self) -> None:
        devices = {
            "nvme": ["-device", "nvme,id=n,addr=6,drive=d0,serial=s"],
            "ahci": ["-device", "ich9-ahci,id=n,addr=6",
                     "-device", "ide-hd,bus=n.0,drive=d0"],
        }
        for bus, words in devices.items():
            with self.subTest(bus=bus):
                image = self.made(f"gone-{bus}.img")
                drive = ["-drive", f"file={image},format=raw,if=none,id=d0"]
                with machine.boot(Config(
                        machine="pc", extra=[*drive, *words],
                        append="disk-wait=1 sync=0")) as guest:
                    guest.read_until(machine.PROMPT)
                    guest.ask("put f kept; sync; put g lost")
                    # As if pulled out: the slot is told to let go at once.
                    guest.qemu("device_del n")
                    guest.qemu("o /w 0xae10 0")
                    guest.qemu("o /w 0xae08 0x40")
                    self.assertIn("device error", guest.ask("sync"))
                    self.assertIn(_NAMES[bus], guest.ask("mount"))
                    self.assertIn("device error",
                                  guest.ask(f"mount {_NAMES[bus]}"))
                h2("check", image)
                self.assertEqual(h2("ls", image), "f\n")

    def test_an_empty_drive_is_told_and_the_boot_goes_on(self) -> None:
        result = self.check_digests(Config(
            disks=[Disk(self.image)], extra=["-device", "ide-cd,bus=ide.3"]))
        self.assertRegex(result.console, r"\Aodo: disk at 00:1f.2 port 3 left "
                         r"out: the drive is empty\n\Z")


if __name__ == "__main__":
    unittest.main()
