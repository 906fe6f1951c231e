# SPDX-License-Identifier: BSD-3-Clause
"""h2fuse --rw under fsx, fsstress, and beside the host's own file system.

Needs /dev/fuse and the right to mount; skipped by name where they are missing.
"""

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from tools.fs_exercise import twin
from tools.h2fuse import h2fuse_test as reading

_H2 = os.environ.get("ODO_H2", "tools/h2/h2")
_FSX = os.environ.get("ODO_FSX", "tools/fs_exercise/fsx")
_FSSTRESS = os.environ.get("ODO_FSSTRESS", "tools/fs_exercise/fsstress")
_LONG = "ODO_LONG" in os.environ
_LIMIT_S = 1200 if _LONG else 120


class ProgramTest(unittest.TestCase):
    """The programs alone; the host's file system is taken to be right."""

    def setUp(self) -> None:
        self.work = Path(self.enterContext(
            tempfile.TemporaryDirectory(
                dir=os.environ.get("TEST_TMPDIR"))))

    def run_program(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([str(word) for word in words],
                              capture_output=True, text=True, check=False,
                              timeout=_LIMIT_S)

    def test_help(self) -> None:
        for program in (_FSX, _FSSTRESS):
            told = self.run_program(program, "--help")
            self.assertIn("--seed", told.stdout)
            self.assertIn("--operations", told.stdout)
            self.assertEqual(self.run_program(program).returncode, 2)

    def test_host(self) -> None:
        ran = self.run_program(_FSX, "--operations=500", self.work / "file")
        self.assertEqual(ran.returncode, 0, ran.stderr)
        ran = self.run_program(_FSSTRESS, "--operations=300", self.work)
        self.assertEqual(ran.returncode, 0, ran.stderr)

    def test_failure_is_told_with_operations(self) -> None:
        ran = self.run_program(_FSX, "--operations=500", "/dev/full")
        self.assertEqual(ran.returncode, 1)
        self.assertIn("fsx: seed 1: ", ran.stderr)
        (self.work / "shared").touch()
        ran = self.run_program(_FSSTRESS, self.work)
        self.assertEqual(ran.returncode, 1)
        self.assertIn("mkdir: File exists", ran.stderr)


class MountTest(reading._MountCase):  # pylint: disable=protected-access
    def setUp(self) -> None:
        super().setUp()
        self.image = self.work / "disk.img"
        self.h2("mkfs", "--image_size", "1G", str(self.image))

    def h2(self, *words: str) -> None:
        ran = subprocess.run([_H2, *words], capture_output=True, text=True,
                             check=False, timeout=_LIMIT_S)
        self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)

    def expect_same(self, found: dict[str, tuple],
                    wanted: dict[str, tuple]) -> None:
        for path in sorted(found.keys() | wanted.keys()):
            self.assertEqual(found.get(path), wanted.get(path), path)

    def run_here(self, *words: str) -> None:
        ran = subprocess.run(words, capture_output=True, text=True,
                             check=False, timeout=_LIMIT_S)
        self.assertEqual(ran.returncode, 0, ran.stderr)

    def end(self, mount: reading.Mount) -> None:
        """Unmounts; what was there is there for the next one, and sound."""
        before = twin.describe(self.at)
        self.assertEqual(mount.end(), 0, mount.lines())
        self.assertEqual(mount.lines(), "")
        self.h2("check", str(self.image))
        with reading.Mount(self.at, str(self.image)) as again:
            self.expect_same(twin.describe(self.at), before)
            self.assertEqual(again.end(), 0)

    def test_fsx(self) -> None:
        with reading.Mount(self.at, "--rw", "--sync=1",
                           str(self.image)) as mount:
            for seed in range(100 if _LONG else 3):
                self.run_here(_FSX, f"--seed={seed}",
                              f"--operations={5000 if _LONG else 1500}",
                              str(self.at / f"file{seed % 4}"))
            self.end(mount)

    def test_fsx_in_little_memory(self) -> None:
        with reading.Mount(self.at, "--rw", "--sync=1", "--cache=8",
                           "--threads=2", str(self.image)) as mount:
            self.run_here(_FSX, "--max_size=8000000", "--operations=600",
                          str(self.at / "file"))
            self.end(mount)

    def test_fsstress(self) -> None:
        with reading.Mount(self.at, "--rw", "--sync=1",
                           str(self.image)) as mount:
            for seed in range(20 if _LONG else 2):
                place = self.at / str(seed)
                place.mkdir()
                self.run_here(_FSSTRESS, f"--seed={seed}", "--processes=4",
                              f"--operations={5000 if _LONG else 800}",
                              str(place))
            self.end(mount)

    def test_as_the_host_has_it(self) -> None:
        theirs = self.work / "plain"
        os.umask(0)
        with reading.Mount(self.at, "--rw", str(self.image)) as mount:
            for seed in range(200 if _LONG else 6):
                places = (self.at / f"seed{seed}", theirs)
                for place in places:
                    place.mkdir()
                both = twin.Twin(places, seed)
                with self.subTest(seed=seed):
                    for _ in range(2000):
                        both.step()
                    self.expect_same(twin.describe(places[0]),
                                     twin.describe(theirs))
                    # Neither all well nor all refused.
                    self.assertGreater(both.done, 200)
                    self.assertGreater(both.failed, 200)
                shutil.rmtree(theirs)
            self.end(mount)


if __name__ == "__main__":
    unittest.main()
