# SPDX-License-Identifier: BSD-3-Clause
"""The kernel in QEMU changes its disk: is what it says there, there, and is the
filesystem sound, whatever ends the machine?

Environment: ODO_KERNEL, ODO_QEMU (see boot_test.py), ODO_H2 (default
tools/h2/h2), ODO_BOOT_DISK (default testdata/boot.img), ODO_LONG (more of the
random work).
"""

import hashlib
import json
import os
import random
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from kernel.tests import machine
from kernel.tests.machine import Config, Disk

_LONG = "ODO_LONG" in os.environ


def h2(*words: str | Path) -> str:
    tool = os.environ.get("ODO_H2", "tools/h2/h2")
    return subprocess.run([tool, *map(str, words)], check=True,
                          capture_output=True, text=True).stdout


def quoted(name: str) -> str:
    """A word in the monitor's language."""
    return "'" + name + "'"


class Model:
    """A tree of directories and files, as a shell's user knows it."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.folders = {"/"}

    def inside(self, folder: str) -> str:
        return folder if folder.endswith("/") else folder + "/"

    def below(self, path: str) -> list[str]:
        start = self.inside(path)
        return [p for p in (*self.files, *self.folders)
                if p != path and p.startswith(start)]

    def forget(self, path: str) -> None:
        for name in [path, *self.below(path)]:
            self.files.pop(name, None)
            self.folders.discard(name)

    def move(self, old: str, new: str) -> None:
        self.files.pop(new, None)
        for name in [old, *self.below(old)]:
            there = new + name[len(old):]
            if name in self.files:
                self.files[there] = self.files.pop(name)
            else:
                self.folders.remove(name)
                self.folders.add(there)


class RandomWork:
    """Commands that all succeed, carried out on a model as they are made."""

    def __init__(self, seed: int, most_words: int = 200) -> None:
        self._random = random.Random(seed)
        self._most_words = most_words
        self.model = Model()

    def next(self) -> str:
        choose = self._random.choice
        model = self.model
        kind = choose(("put", "put", "append", "mkdir", "mv", "rm", "rm -r"))
        if kind == "put":
            path = self._free_name() if self._random.random() < 0.7 \
                or not model.files else choose(sorted(model.files))
            words = self._words()
            model.files[path] = words.encode() + b"\n"
            return f"put {quoted(path)} {words}"
        if kind == "append" and model.files:
            path = choose(sorted(model.files))
            words = self._words()
            model.files[path] += words.encode() + b"\n"
            return f"put -a {quoted(path)} {words}"
        if kind == "mv" and (names := self._names()):
            old = choose(names)
            new = self._free_name()
            if not new.startswith(model.inside(old)):
                model.move(old, new)
                return f"mv {quoted(old)} {quoted(new)}"
        if kind == "rm" and model.files:
            path = choose(sorted(model.files))
            model.forget(path)
            return f"rm {quoted(path)}"
        if kind == "rm -r" and self._random.random() < 0.3 \
                and (names := self._names()):
            path = choose(names)
            model.forget(path)
            return f"rm -r {quoted(path)}"
        path = self._free_name()
        model.folders.add(path)
        return f"mkdir {quoted(path)}"

    def _names(self) -> list[str]:
        return sorted((self.model.folders | self.model.files.keys()) - {"/"})

    def _free_name(self) -> str:
        folder = self.model.inside(
            self._random.choice(sorted(self.model.folders)))
        while True:
            name = folder + self._random.choice(("a", "name", "x y", "é")) \
                + str(self._random.randrange(1000))
            if name not in self.model.files and name not in self.model.folders:
                return name

    def _words(self) -> str:
        # A command takes 256 words and 16 KiB; typed, 1 KiB.
        return " ".join(
            "w" * self._random.randrange(1, 60)
            for _ in range(self._random.choice((1, 3, self._most_words))))


class WriteTest(unittest.TestCase):

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.image = self.folder / "disk.img"
        h2("mkfs", "--image_size=128M", "--label=DATA", self.image)

    def config(self, **changes) -> Config:
        return Config(**{"disks": [Disk(self.image, writable=True)], **changes})

    def run_script(self, script: str, **changes) -> str:
        result = machine.run(script, self.config(**changes))
        self.assertEqual(result.status, 0, result.console)
        return result.output.decode()

    def check(self) -> None:
        """No complaint of a complete check, by this machine."""
        self.assertIn("0 errors, 0 warnings", h2("check", self.image))

    def content(self, path: str) -> str:
        return h2("cat", self.image, path)

    def expect_tree(self, model: Model) -> None:
        found_files = {}
        found_folders = {"/"}
        for line in h2("manifest", "--pfs=DATA", self.image).splitlines():
            entry = json.loads(line)
            if entry["type"] == "dir":
                found_folders.add(entry["path"])
            else:
                found_files[entry["path"]] = entry["sha256"]
        self.assertEqual(found_folders, model.folders)
        self.assertEqual(found_files,
                         {path: hashlib.sha256(data).hexdigest()
                          for path, data in model.files.items()})

    def test_what_a_script_changes_is_on_the_disk(self) -> None:
        output = self.run_script(
            "mkdir -p etc/rc; put etc/motd hello; put -a etc/motd again\n"
            "mv etc/motd etc/rc; ln -s rc/motd etc/motd; cat etc/motd\n"
            "ln etc/rc/motd m; snapshot before; put m gone; rm -r etc")
        self.assertEqual(output, "hello\nagain\n")
        self.check()
        self.assertEqual(self.content("/m"), "gone\n")
        self.assertEqual(h2("cat", self.image, "@before", "/etc/rc/motd"),
                         "hello\nagain\n")

    def test_times_are_the_clocks(self) -> None:
        self.run_script("put f x")
        (entry,) = [json.loads(line) for line in
                    h2("manifest", "--pfs=DATA", self.image).splitlines()
                    if '"/f"' in line]
        self.assertLess(abs(entry["mtime_us"] / 1e6 - time.time()), 300)

    def test_poweroff_leaves_a_clean_volume(self) -> None:
        with machine.boot(self.config(append="sync=0")) as guest:
            guest.read_until(machine.PROMPT)
            guest.ask("put f kept")
            guest.type("poweroff\r")
            self.assertEqual(guest.wait(), 0)
        self.check()
        self.assertEqual(self.content("/f"), "kept\n")

    def test_the_sync_thread_keeps_what_was_done_some_time_ago(self) -> None:
        with machine.boot(self.config(append="sync=1")) as guest:
            guest.read_until(machine.PROMPT)
            guest.ask("put f kept")
            deadline = time.monotonic() + machine.TIMEOUT_S
            while "/f" not in h2("find", self.image, "/"):
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.2)
            guest.ask("put f and more")  # the machine dies with it
        self.check()
        self.assertIn(self.content("/f"), ("kept\n", "and more\n"))

    def test_without_a_sync_a_dying_machine_takes_changes_with_it(self) -> None:
        with machine.boot(self.config(append="sync=0")) as guest:
            guest.read_until(machine.PROMPT)
            guest.ask("put f kept; sync; put g lost")
        self.check()
        self.assertEqual(h2("ls", self.image), "f\n")

    def test_a_disk_that_is_read_only_stays_as_it_is(self) -> None:
        before = self.image.read_bytes()
        result = machine.run("put f x", Config(disks=[Disk(self.image)]))
        self.assertEqual(result.status, 1)
        self.assertEqual(result.console,
                         "put: vd0: this disk can't be written to\n")
        self.assertTrue(self.image.read_bytes() == before)

    def test_a_failed_write_is_told_and_never_a_lie(self) -> None:
        self.run_script("put f safe")
        rules = self.folder / "rules"
        rules.write_text('[inject-error]\nevent = "write_aio"\nerrno = "5"\n')
        broken = ["-drive", f"file=blkdebug:{rules}:{self.image},format=raw,"
                  "if=none,id=d0,werror=report", "-device",
                  "virtio-blk-pci,drive=d0"]
        result = machine.run("put f unsafe; sync", Config(extra=broken))
        self.assertEqual(result.status, 1)
        self.assertRegex(result.console, r"\Async: vd0: device error")
        self.assertIn("changes since the last sync are lost", result.console)
        self.check()
        self.assertEqual(self.content("/f"), "safe\n")

    def test_a_full_disk_is_told_and_can_be_emptied(self) -> None:
        h2("mkfs", "--image_size=64M", "--label=DATA", "--comp=none",
           "--boot_size=8M", "--aux_size=8M", self.image)
        big = self.folder / "big"
        space = json.loads(h2("info", "--json", self.image))
        big.write_bytes(os.urandom(space["free_bytes"] - (20 << 20)))
        h2("put", self.image, big, "/big")
        words = " ".join(["w" * 80] * 190)
        for part in range(10):  # as much as a script may hold, each time
            script = "\n".join(f"put f{part}-{i} {part}-{i} {words}"
                               for i in range(270))
            full = machine.run(script, self.config())
            if full.status != 0:
                break
        self.assertIn("no space", full.console)
        self.check()
        self.run_script("rm /big; put g fits; sync; put h fits, too")
        self.check()
        self.assertEqual(self.content("/h"), "fits, too\n")

    def test_the_disk_of_odo_boot_can_be_changed(self) -> None:
        subprocess.run(["cp", "--sparse=always",
                        os.environ.get("ODO_BOOT_DISK", "testdata/boot.img"),
                        self.image], check=True)
        self.image.chmod(0o600)
        output = self.run_script("cat motd; ls docs/README.md; put motd own")
        self.assertIn("docs/README.md", output)
        self.check()
        self.assertEqual(self.content("/motd"), "own\n")

    def test_random_work_does_as_a_model_does(self) -> None:
        for seed in range(200 if _LONG else 3):
            with self.subTest(seed=seed):
                work = RandomWork(seed)
                h2("mkfs", "--image_size=128M", "--label=DATA", self.image)
                script = [work.next() for _ in range(400)]
                script.insert(200, "sync")
                digests = self.run_script(
                    "\n".join([*script, "sha256 -r /"]))
                self.assertEqual(
                    dict(line.split("  ", 1)[::-1]
                         for line in digests.splitlines()),
                    {path: hashlib.sha256(data).hexdigest()
                     for path, data in work.model.files.items()})
                self.check()
                self.expect_tree(work.model)

    def test_a_machine_that_dies_leaves_what_was_synced(self) -> None:
        for seed in range(40 if _LONG else 2):
            with self.subTest(seed=seed):
                work = RandomWork(100 + seed, most_words=12)
                h2("mkfs", "--image_size=128M", "--label=DATA", self.image)
                with machine.boot(self.config(append="sync=0")) as guest:
                    guest.read_until(machine.PROMPT)
                    for _ in range(20):
                        guest.ask(work.next())
                    guest.ask("sync")
                    # Typed, and on its way when the machine dies.
                    guest.type("put after x\rsync\r")
                    time.sleep(random.Random(seed).random() * 0.05)
                self.check()
                try:
                    self.content("/after")
                    work.model.files["/after"] = b"x\n"
                except subprocess.CalledProcessError:
                    pass
                self.expect_tree(work.model)


if __name__ == "__main__":
    unittest.main()
