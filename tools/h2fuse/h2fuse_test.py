# SPDX-License-Identifier: BSD-3-Clause
"""h2fuse against the kernel: mounts of genuine images, compared with manifests.

Needs /dev/fuse and the right to mount; skipped by name where they are missing.
"""

import contextlib
import errno
import hashlib
import json
import os
import re
import signal
import stat
import subprocess
import tempfile
import time
import unittest
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tools.corpus import corpus

_PROGRAM = os.environ.get("ODO_H2FUSE", "tools/h2fuse/h2fuse")
_LIMIT_S = 60
_TYPES = {"dir": stat.S_IFDIR, "file": stat.S_IFREG, "symlink": stat.S_IFLNK,
          "fifo": stat.S_IFIFO, "chardev": stat.S_IFCHR,
          "blockdev": stat.S_IFBLK, "socket": stat.S_IFSOCK}
# Between them: every kind of entry, odd names, each compression, embedded
# data, holes, indirect blocks, several volumes, several PFSs, 20,000 entries.
_TREES = ("bigdir", "bigfile-40m-lz4", "comp-zlib", "deep",
          "multi-volume-small", "names", "owners-devices", "random-mix",
          "sizes", "snapshots", "sparse-small")


def why_not() -> str:
    """Why nothing can be mounted here; empty where it can."""
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR))
    except OSError as error:
        return f"/dev/fuse can't be used: {error.strerror}"
    if os.geteuid() != 0:
        probe = subprocess.run(["fusermount3", "--version"],
                               capture_output=True, check=False)
        if probe.returncode != 0:
            return "fusermount3 doesn't work"
    with tempfile.TemporaryDirectory(dir=os.environ.get("TEST_TMPDIR")) as at:
        probe = subprocess.run(
            [_PROGRAM, "testdata/links.img.zst", at], capture_output=True,
            text=True, check=False, timeout=_LIMIT_S)
        if probe.returncode == 0:
            subprocess.run(["umount" if os.geteuid() == 0 else "fusermount3",
                            *([] if os.geteuid() == 0 else ["-u"]), at],
                           check=True, timeout=_LIMIT_S)
            return ""
        if re.search("not permitted|denied", probe.stderr):
            return f"mounting is not allowed: {probe.stderr.strip()}"
    return ""


_WHY_NOT = why_not()


def digest(path: bytes) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_mounted(mountpoint: Path) -> bool:
    return f" {mountpoint} " in Path("/proc/self/mountinfo").read_text()


class Mount:
    """A mount in the foreground, whose log lines can be read afterwards."""

    def __init__(self, mountpoint: Path, *words: str) -> None:
        self.mountpoint = mountpoint
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [_PROGRAM, "--foreground", *words, str(mountpoint)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=self.log)
        deadline = time.monotonic() + _LIMIT_S
        while not is_mounted(mountpoint):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                raise AssertionError(f"no mount: {self.lines()}")
            time.sleep(0.005)

    def lines(self) -> str:
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def end(self) -> int:
        """Unmounts; the server's exit status."""
        if os.geteuid() == 0:
            command = ["umount", str(self.mountpoint)]
        else:
            command = ["fusermount3", "-u", str(self.mountpoint)]
        subprocess.run(command, check=True, timeout=_LIMIT_S)
        return self.process.wait(_LIMIT_S)

    def __enter__(self) -> "Mount":
        return self

    def __exit__(self, *_) -> None:
        # Whatever happened, no mount stays behind.
        self.process.kill()
        self.process.wait()
        if is_mounted(self.mountpoint):
            subprocess.run(
                ["umount", "-l", str(self.mountpoint)] if os.geteuid() == 0
                else ["fusermount3", "-u", "-z", str(self.mountpoint)],
                check=False, timeout=_LIMIT_S)
        self.log.close()


@unittest.skipIf(_WHY_NOT, _WHY_NOT)
class _MountCase(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(
            dir=os.environ.get("TEST_TMPDIR"))
        self.addCleanup(folder.cleanup)
        self.work = Path(folder.name).resolve()
        self.at = self.work / "mnt"
        self.at.mkdir()

    def compare(self, entries: list[corpus.Json], every: int = 1) -> None:
        """The tree that is mounted, with its manifest: all names, and all that
        is known of one entry in `every`."""
        base = os.fsencode(self.at)
        seen = {b"/"}
        for folder, folders, files in os.walk(base):
            for name in folders + files:
                seen.add(os.path.join(folder, name)[len(base):])
        self.assertEqual(seen, {corpus.path_bytes(e) for e in entries})
        numbers: dict[str, set[int]] = {}
        for entry in entries[::every]:
            path = base + corpus.path_bytes(entry)
            status = os.lstat(path)
            with self.subTest(path=corpus.path_bytes(entry)):
                self.compare_one(path, status, entry)
            if entry["type"] == "file" and entry.get("nlink", 1) > 1:
                numbers.setdefault(entry.get("sha256", ""), set()).add(
                    status.st_ino)
        for found in numbers.values():
            self.assertEqual(len(found), 1, "hard links share their number")

    def compare_one(self, path: bytes, status: os.stat_result,
                    entry: corpus.Json) -> None:
        self.assertEqual(stat.S_IFMT(status.st_mode), _TYPES[entry["type"]])
        self.assertEqual(stat.S_IMODE(status.st_mode), int(entry["mode"], 8))
        self.assertEqual((status.st_uid, status.st_gid),
                         (entry["uid"], entry["gid"]))
        if entry["mtime_us"] is not None:
            self.assertEqual(status.st_mtime_ns, entry["mtime_us"] * 1000)
        if entry["type"] != "dir" and "nlink" in entry:
            self.assertEqual(status.st_nlink, entry["nlink"])
        if entry["type"] == "file":
            self.assertEqual(status.st_size, entry["size"])
            if "sha256" in entry:
                self.assertEqual(digest(path), entry["sha256"])
        if "target" in entry:
            self.assertEqual(os.readlink(path), entry["target"].encode())
        if "rmajor" in entry:
            number = status.st_rdev
            self.assertEqual((os.major(number), os.minor(number)),
                             (entry["rmajor"], entry["rminor"]))


class TreeTest(_MountCase):
    """The image in the tree itself: always there."""

    _COMPRESSED = "testdata/links.img.zst"

    @classmethod
    def setUpClass(cls) -> None:
        folder = tempfile.TemporaryDirectory(
            dir=os.environ.get("TEST_TMPDIR"))
        cls.addClassCleanup(folder.cleanup)
        cls._IMAGE = os.path.join(folder.name, "links.img")
        subprocess.run(["zstd", "-dq", "--long=27", "--sparse",
                        os.path.realpath(cls._COMPRESSED), "-o", cls._IMAGE],
                       check=True)

    def setUp(self) -> None:
        super().setUp()
        self.entries = json.loads(Path(
            "testdata/links.json").read_text())["trees"]["DATA"]

    def test_whole_tree(self) -> None:
        with Mount(self.at, self._IMAGE, "@DATA") as mount:
            self.compare(self.entries)
            self.assertEqual(mount.end(), 0)
            self.assertEqual(mount.lines(), "")

    def test_one_thread_and_little_memory(self) -> None:
        with Mount(self.at, self._IMAGE, "--threads=1", "--cache=2"):
            self.compare(self.entries)

    def test_read_only(self) -> None:
        with Mount(self.at, self._IMAGE):
            for attempt in (lambda: (self.at / "new").touch(),
                            lambda: (self.at / "one").write_text("x"),
                            lambda: (self.at / "one").unlink()):
                with self.assertRaises(OSError) as caught:
                    attempt()
                self.assertEqual(caught.exception.errno, errno.EROFS)

    def test_missing_names_and_attributes(self) -> None:
        with Mount(self.at, self._IMAGE):
            for name in ("none", "none", "n" * 255):
                self.assertFalse((self.at / name).exists())
            with self.assertRaises(OSError) as caught:
                os.getxattr(self.at / "one", "user.x")
            self.assertEqual(caught.exception.errno, errno.ENOTSUP)
            with self.assertRaises(OSError) as caught:
                os.listxattr(self.at / "one")
            self.assertEqual(caught.exception.errno, errno.ENOTSUP)

    def test_statfs(self) -> None:
        with Mount(self.at, self._IMAGE):
            status = os.statvfs(self.at)
            # As `h2 info` and the image's own volume header say.
            self.assertEqual(status.f_bfree * status.f_frsize, 2004680704)
            self.assertGreater(status.f_blocks, status.f_bfree)
            self.assertGreater(status.f_files, 10)
            self.assertEqual(status.f_namemax, 255)

    def test_background_and_compressed(self) -> None:
        run = subprocess.run([_PROGRAM, self._COMPRESSED, str(self.at)],
                             capture_output=True, check=False,
                             timeout=_LIMIT_S)
        try:
            self.assertEqual((run.returncode, run.stderr), (0, b""))
            self.assertTrue((self.at / "one").exists())
        finally:
            subprocess.run(["fusermount3", "-u", str(self.at)], check=True,
                           timeout=_LIMIT_S)
        self.assertFalse(is_mounted(self.at))

    def test_signal_unmounts(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            with Mount(self.at, self._IMAGE) as mount:
                os.listdir(self.at)
                mount.process.send_signal(number)
                self.assertEqual(mount.process.wait(_LIMIT_S), 0)
                self.assertFalse(is_mounted(self.at))

    def test_killed_then_mounted_again(self) -> None:
        with Mount(self.at, self._IMAGE) as first:
            held = os.open(self.at / "one", os.O_RDONLY)
            first.process.kill()
            first.process.wait()
            with self.assertRaises(OSError) as caught:
                os.listdir(self.at)
            self.assertEqual(caught.exception.errno, errno.ENOTCONN)
            with contextlib.suppress(OSError):  # so does its close()
                os.close(held)
            run = subprocess.run([_PROGRAM, self._IMAGE, str(self.at)],
                                 capture_output=True, check=False,
                                 timeout=_LIMIT_S)
            try:
                self.assertEqual((run.returncode, run.stderr), (0, b""))
                self.compare(self.entries)
            finally:
                subprocess.run(["fusermount3", "-u", str(self.at)],
                               check=True, timeout=_LIMIT_S)

    def test_damage_is_that_files_alone(self) -> None:
        image = self.work / "damaged.img"
        subprocess.run(["cp", "--sparse=always", self._IMAGE, str(image)],
                       check=True)
        patches = json.loads(Path(
            "testdata/links.patches.json").read_text())["patches"]
        files = {os.path.basename(e["path"]) for e in self.entries
                 if e["type"] == "file"}
        patch = next(p for p in patches if p["target"] == "file data block"
                     and files >= set(p["names"]))
        with image.open("r+b") as file:
            for change in patch["changes"]:
                file.seek(change["offset"])
                file.write(bytes.fromhex(change["new"]))
        names = {os.fsencode(name) for name in patch["names"]}
        with Mount(self.at, str(image), "@DATA") as mount:
            bad = set()
            for entry in self.entries:
                if entry["type"] != "file":
                    continue
                path = corpus.path_bytes(entry)
                try:
                    self.assertEqual(digest(os.fsencode(self.at) + path),
                                     entry["sha256"])
                except OSError as error:
                    self.assertEqual(error.errno, errno.EIO)
                    bad.add(path)
            self.assertEqual(mount.end(), 0)
            self.assertEqual({os.path.basename(path) for path in bad}, names)
            self.assertRegex(
                mount.lines(), r"\Ah2fuse: .*: check code mismatch: data "
                rf"block at {patch['block']['offset']:#x} .*\n\Z")

    def test_complaints(self) -> None:
        for words, status, text in (
                ([self._IMAGE, "@NOPE", self.at], 1, "@NOPE: no PFS of that"),
                ([self._IMAGE, self.at / "no"], 1, "No such file"),
                ([self._IMAGE, "testdata/links.json"], 1, "Not a directory"),
                (["testdata/links.json", self.at], 1, "no HAMMER2 filesystem"),
                ([self._IMAGE], 2, "no mount point given")):
            run = subprocess.run([_PROGRAM, *map(str, words)],
                                 capture_output=True, text=True, check=False,
                                 timeout=_LIMIT_S)
            self.assertEqual(run.returncode, status, words)
            self.assertRegex(run.stderr, rf"\Ah2fuse: .*{text}.*\n\Z")
            self.assertFalse(is_mounted(self.at))


class CorpusTest(_MountCase):
    def setUp(self) -> None:
        super().setUp()
        found = corpus.find(self.work)
        if found is None:
            self.skipTest("no corpus: ODO_CORPUS_DIR is not set")
        self.corpus = found

    def words(self, name: str) -> list[str]:
        first, *further = map(str, self.corpus.unpack(name))
        return [first, *(f"--volume={volume}" for volume in further)]

    def test_trees(self) -> None:
        for name in _TREES:
            for label, entries in self.corpus.manifest(name)["trees"].items():
                with self.subTest(image=name, pfs=label), \
                        Mount(self.at, *self.words(name), "@" + label) as mount:
                    self.compare(entries, 1 + len(entries) // 2000)
                    self.assertEqual(mount.end(), 0)
                    self.assertEqual(mount.lines(), "")

    def test_positions_in_a_large_directory(self) -> None:
        with Mount(self.at, *self.words("bigdir")):
            (folder,) = [entry for entry in os.scandir(self.at)
                         if entry.is_dir()]
            names = os.listdir(folder.path)
            self.assertEqual(len(names), len(set(names)))
            self.assertGreaterEqual(len(names), 20000)
            # Another process, another moment: the same order.
            again = subprocess.run(
                ["ls", "-U", folder.path], capture_output=True, text=True,
                check=True, timeout=_LIMIT_S).stdout.split()
            self.assertEqual(names, again)

    def test_parallel_readers(self) -> None:
        entries = [e for e in self.corpus.manifest("random-mix")["trees"][
            "DATA"] if e["type"] == "file"]
        paths = [os.fsencode(self.at) + corpus.path_bytes(e) for e in entries]
        with Mount(self.at, *self.words("random-mix"), "--threads=4") as mount, \
                ProcessPoolExecutor(4) as pool:
            for order in (1, -1):
                found = list(pool.map(digest, paths[::order], chunksize=8))
                self.assertEqual(found[::order],
                                 [e["sha256"] for e in entries])
            self.assertIsNone(mount.process.poll())

    def test_holes(self) -> None:
        name = "sparse-big"
        holes = 0
        with Mount(self.at, *self.words(name), "@DATA"):
            for entry in self.corpus.manifest(name)["trees"]["DATA"]:
                if entry["type"] != "file":
                    continue
                path = os.fsencode(self.at) + corpus.path_bytes(entry)
                with open(path, "rb") as file:
                    holes += self.walk_holes(file.fileno(), entry)
        self.assertGreater(holes, 0)

    def walk_holes(self, file: int, entry: corpus.Json) -> int:
        """Proves what SEEK_DATA and SEEK_HOLE say of a file; its holes."""
        size, at, holes = entry["size"], 0, 0
        data = []
        while at < size:
            try:
                start = os.lseek(file, at, os.SEEK_DATA)
            except OSError as error:
                self.assertEqual(error.errno, errno.ENXIO)
                holes += 1
                break
            holes += start > at
            at = os.lseek(file, start, os.SEEK_HOLE)
            self.assertGreater(at, start)
            data.append((start, at))
            self.assertTrue(any(os.pread(file, min(at - start, 1 << 20),
                                         start)))
        with self.assertRaises(OSError):
            os.lseek(file, size, os.SEEK_DATA)
        # All that the manifest knows to be data lies in what we call data.
        for known in entry.get("data_ranges", []):
            first = known["offset"]
            last = first + known["length"] - 1
            self.assertTrue(any(a <= first and last < b for a, b in data)
                            or any(a <= first < b for a, b in data), known)
        return holes


if __name__ == "__main__":
    unittest.main()
