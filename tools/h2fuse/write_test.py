# SPDX-License-Identifier: BSD-3-Clause
"""h2fuse --rw against the kernel: the same operations on a mount and on an
ordinary directory must do the same, and what was synced must survive.

Needs /dev/fuse and the right to mount; skipped by name where they are missing.
"""

import contextlib
import ctypes
import errno
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from tools.fs_exercise import twin
from tools.h2fuse import h2fuse_test as reading

_H2 = os.environ.get("ODO_H2", "tools/h2/h2")
_LIMIT_S = 120
_LONG = "ODO_LONG" in os.environ


def h2(*words: str) -> str:
    ran = subprocess.run([_H2, *words], capture_output=True, text=True,
                         check=False, timeout=_LIMIT_S)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


class WriteTest(reading._MountCase):  # pylint: disable=protected-access
    def setUp(self) -> None:
        super().setUp()
        self.image = self.work / "disk.img"
        h2("mkfs", "--image_size", "256M", str(self.image))

    def expect_clean(self) -> None:
        h2("check", str(self.image))

    def test_as_an_ordinary_directory(self) -> None:
        theirs = self.work / "plain"
        for seed in range(60 if _LONG else 3):
            shutil.rmtree(theirs, ignore_errors=True)
            theirs.mkdir()
            label = f"seed{seed}"
            h2("pfs-create", str(self.image), label)
            with reading.Mount(self.at, "--rw", str(self.image),
                               "@" + label) as mount:
                both = twin.Twin((self.at, theirs), seed)
                for _ in range(400):
                    both.step()
                self.assertEqual(twin.describe(self.at), twin.describe(theirs))
                self.assertEqual(mount.end(), 0, mount.lines())
            self.expect_clean()
            # And as the reader sees it.
            with reading.Mount(self.at, str(self.image), "@" + label) as mount:
                self.assertEqual(twin.describe(self.at), twin.describe(theirs))
                mount.end()

    def test_what_was_synced_survives_a_kill(self) -> None:
        with reading.Mount(self.at, "--rw", "--sync", "3600",
                           str(self.image)) as mount:
            for i in range(50):
                (self.at / f"file{i}").write_bytes(b"x" * i * 100)
            os.mkdir(self.at / "folder")
            descriptor = os.open(self.at / "file7", os.O_RDWR)
            os.pwrite(descriptor, b"synced", 10_000)
            os.fsync(descriptor)
            os.close(descriptor)
            (self.at / "later").write_bytes(b"lost, and nothing with it")
            mount.process.send_signal(signal.SIGKILL)
            mount.process.wait(_LIMIT_S)
        self.expect_clean()
        with reading.Mount(self.at, "--rw", str(self.image)) as mount:
            self.assertEqual((self.at / "file7").read_bytes()[-6:], b"synced")
            for i in range(50):
                if i != 7:
                    self.assertEqual((self.at / f"file{i}").read_bytes(),
                                     b"x" * i * 100)
            self.assertEqual((self.at / "folder").is_dir(), True)
            self.assertEqual(mount.end(), 0)

    def test_what_was_logged_survives_a_kill(self) -> None:
        content = bytearray(os.urandom(1 << 20))
        with reading.Mount(self.at, "--rw", "--sync", "3600", "--fsync-log",
                           "16", str(self.image)) as mount:
            path = self.at / "file"
            path.write_bytes(content)
            descriptor = os.open(path, os.O_RDWR)
            for i in range(200):
                at, word = i * 5003, f"synced {i}".encode()
                os.pwrite(descriptor, word, at)
                content[at:at + len(word)] = word
                os.fsync(descriptor)
            os.fchmod(descriptor, 0o640)
            os.fsync(descriptor)
            os.close(descriptor)
            (self.at / "later").write_bytes(b"lost, and nothing with it")
            mount.process.send_signal(signal.SIGKILL)
            mount.process.wait(_LIMIT_S)
        self.expect_clean()
        # Who only reads is told.
        listed = subprocess.run([_H2, "ls", str(self.image)],
                                capture_output=True, text=True, check=True,
                                timeout=_LIMIT_S)
        self.assertIn("fsynced last", listed.stderr)
        h2("bulkfree", str(self.image))
        self.expect_clean()
        with reading.Mount(self.at, str(self.image)) as mount:
            path = self.at / "file"
            self.assertEqual(path.read_bytes(), content)
            self.assertEqual(path.stat().st_mode & 0o777, 0o640)
            self.assertEqual(mount.end(), 0, mount.lines())

    def test_full_volume(self) -> None:
        small = self.work / "small.img"
        h2("mkfs", "--image_size", "64M", str(small))
        with reading.Mount(self.at, "--rw", str(small)) as mount:
            # Each with other bytes: equal blocks are stored once.
            noise = [os.urandom(1 << 20) for _ in range(80)]
            with self.assertRaises(OSError) as refused:
                for i, content in enumerate(noise):
                    with open(self.at / f"file{i}", "wb") as file:
                        file.write(content)
                        os.fsync(file.fileno())
            self.assertEqual(refused.exception.errno, errno.ENOSPC)
            # A full volume can be emptied, and then filled again.
            for path in list(self.at.iterdir()):
                path.unlink()
            for i in range(20):
                (self.at / f"again{i}").write_bytes(noise[i])
            os.sync()
            for i in range(20):
                self.assertEqual((self.at / f"again{i}").read_bytes(),
                                 noise[i])
            self.assertEqual(mount.end(), 0, mount.lines())
        h2("check", str(small))

    def test_one_at_a_time(self) -> None:
        with reading.Mount(self.at, "--rw", str(self.image)) as mount:
            ran = subprocess.run([_H2, "mkdir", str(self.image), "/no"],
                                 capture_output=True, text=True, check=False)
            self.assertEqual(ran.returncode, 1)
            self.assertIn("is mounted, or in use", ran.stderr)
            mount.end()

    def test_what_open_truncates_does_not_come_back(self) -> None:
        with reading.Mount(self.at, "--rw", str(self.image)) as mount:
            for name in ("short", "behind"):
                (self.at / name).write_bytes(b"old" * 10_000)
            (self.at / "short").write_bytes(b"new")
            with open(self.at / "behind", "wb") as file:
                file.seek(20_000)
                file.write(b"new")
            self.assertEqual(mount.end(), 0)
        with reading.Mount(self.at, str(self.image)) as mount:
            self.assertEqual((self.at / "short").read_bytes(), b"new")
            self.assertEqual((self.at / "behind").read_bytes(),
                             bytes(20_000) + b"new")
            self.assertEqual(mount.end(), 0)

    def test_syncfs_says_nothing_of_removed_files(self) -> None:
        syncfs = ctypes.CDLL(None, use_errno=True).syncfs
        with reading.Mount(self.at, "--rw", str(self.image)) as mount:
            (self.at / "file").write_bytes(b"x")
            # Keeps the kernel's inode, and no file of ours open.
            path = os.open(self.at / "file", os.O_PATH)
            os.unlink(self.at / "file")
            root = os.open(self.at, os.O_RDONLY)
            self.assertEqual(syncfs(root), 0)
            os.close(path)
            os.close(root)
            self.assertEqual(mount.end(), 0)

    def await_no_writer(self, file: int) -> None:
        """The server hears of a close a little later."""
        deadline = time.monotonic() + _LIMIT_S
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                os.lseek(file, 0, os.SEEK_HOLE)
                return
            time.sleep(0.01)

    def test_no_hole_where_data_are_only_in_the_kernel(self) -> None:
        with reading.Mount(self.at, "--rw", str(self.image)) as mount:
            with open(self.at / "file", "wb", buffering=0) as file:
                file.write(b"x" * 1_000_000)
                with open(self.at / "file", "rb") as reader:
                    for whence in (os.SEEK_DATA, os.SEEK_HOLE):
                        with self.assertRaises(OSError) as refused:
                            os.lseek(reader.fileno(), 500_000, whence)
                        self.assertEqual(refused.exception.errno, errno.EINVAL)
            with open(self.at / "file", "rb") as reader:
                self.await_no_writer(reader.fileno())
                self.assertEqual(
                    os.lseek(reader.fileno(), 500_000, os.SEEK_DATA), 500_000)
                self.assertEqual(
                    os.lseek(reader.fileno(), 500_000, os.SEEK_HOLE),
                    1_000_000)
            self.assertEqual(mount.end(), 0)

    def test_holes_and_space(self) -> None:
        with reading.Mount(self.at, "--rw", str(self.image)) as mount:
            path = self.at / "sparse"
            with open(path, "wb") as file:
                file.write(b"head")
                file.seek(1 << 20)
                file.write(b"tail")
            with open(path, "rb") as file:
                self.await_no_writer(file.fileno())
                self.assertEqual(
                    os.lseek(file.fileno(), 4, os.SEEK_HOLE), 65536)
                self.assertEqual(
                    os.lseek(file.fileno(), 65536, os.SEEK_DATA), 1 << 20)
            self.assertEqual(path.stat().st_size, (1 << 20) + 4)
            self.assertLess(os.statvfs(self.at).f_bavail,
                            os.statvfs(self.at).f_blocks)
            mount.end()
        self.expect_clean()


if __name__ == "__main__":
    unittest.main()
