# SPDX-License-Identifier: BSD-3-Clause
"""`h2 extract` and `h2 diff`: what comes out is what went in.

What an image holds is taken from `h2 manifest`, which manifest_test compares
with what the images were made from.
"""

import hashlib
import json
import os
import stat
import subprocess
import sys
import tempfile
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.corpus import corpus

_H2 = os.environ.get("ODO_H2", "tools/h2/h2")
_LINKS = Path("testdata/links.img.zst")
# From the corpus: of each kind of file, name and hole.
_IMAGES = ("owners-devices", "names", "sparse-big", "random-mix")
_MORE_IMAGES = ("deep", "sparse-small", "mtimes")  # in the long form

_TYPES = {stat.S_IFDIR: "dir", stat.S_IFREG: "file", stat.S_IFLNK: "symlink",
          stat.S_IFIFO: "fifo", stat.S_IFCHR: "chardev",
          stat.S_IFBLK: "blockdev", stat.S_IFSOCK: "socket"}


def run(*words: str | Path, status: int = 0) -> subprocess.CompletedProcess:
    done = subprocess.run([_H2, *map(str, words)], check=False,
                          capture_output=True)
    if done.returncode != status:
        raise AssertionError(f"{words}: {done.returncode}: "
                             f"{done.stderr.decode(errors='replace')}")
    return done


def on_disk(path: bytes) -> dict[str, Any]:
    """The same keys as a manifest has, of a file of the host."""
    status = os.lstat(path)
    kind = _TYPES[stat.S_IFMT(status.st_mode)]
    entry: dict[str, Any] = {"type": kind,
                             "mtime_us": status.st_mtime_ns // 1000}
    if kind != "symlink":  # Linux gives them all one
        entry["mode"] = f"{stat.S_IMODE(status.st_mode):04o}"
    if kind != "dir":
        entry["nlink"] = status.st_nlink
    if os.geteuid() == 0:
        entry["uid"], entry["gid"] = status.st_uid, status.st_gid
    if kind == "file":
        entry["size"] = status.st_size
        if status.st_size < 1 << 30:
            entry["sha256"] = hashlib.sha256(
                Path(os.fsdecode(path)).read_bytes()).hexdigest()
    if kind == "symlink":
        entry["target"] = os.fsdecode(os.readlink(path))
    return entry


def data_offsets(shown: dict[str, Any]) -> Iterator[int]:
    """Of the data blocks in what `h2 show --json` printed."""
    if shown.get("type") == "data":
        yield shown["offset"]
    for child in shown["children"]:
        yield from data_offsets(child)


class ExtractTest(unittest.TestCase):

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(dir=os.environ.get("TEST_TMPDIR"))
        self.addCleanup(folder.cleanup)
        self.work = Path(folder.name)

    def manifest(self, image: Path, *words: str) -> dict[bytes, dict[str, Any]]:
        lines = run("manifest", image, *words).stdout.splitlines()
        return {corpus.path_bytes(e): e for e in map(json.loads, lines)}

    def compare(self, image: Path, folder: Path) -> None:
        expected = self.manifest(image)
        root = os.fsencode(folder)
        found = {b"/"}
        for above, directories, files in os.walk(root):
            for name in directories + files:
                found.add(os.path.join(above, name)[len(root):])
        self.assertEqual(sorted(expected), sorted(found))
        for path, entry in expected.items():
            got = on_disk(root + path)
            for key, value in got.items():
                if key == "target" and "target_hex" in entry:
                    value = os.fsencode(value).hex()
                    key = "target_hex"
                self.assertEqual(entry[key], value, (path, key))

    def images(self) -> list[Path]:
        found = corpus.find(self.work)
        names = _IMAGES + (_MORE_IMAGES if "ODO_LONG" in os.environ else ())
        return [_LINKS] + [image for name in (names if found else ())
                           for image in found.unpack(name)]

    def may_hold(self, image: Path) -> bool:
        return os.geteuid() == 0 or "devices" not in image.name

    def test_a_directory_has_what_the_image_has(self) -> None:
        for image in filter(self.may_hold, self.images()):
            with self.subTest(image=image.name):
                folder = self.work / f"{image.name}.folder"
                run("extract", f"--to={folder}", image)
                self.compare(image, folder)

    def test_a_tar_has_what_the_image_has(self) -> None:
        for image in filter(self.may_hold, self.images()):
            with self.subTest(image=image.name):
                folder = self.work / f"{image.name}.tar.folder"
                folder.mkdir()
                tar = self.work / "x.tar"
                tar.write_bytes(run("extract", "--tar", image).stdout)
                subprocess.run(["tar", "-xpf", tar, "-C", folder], check=True,
                               stderr=subprocess.DEVNULL)
                self.compare(image, folder)

    def test_holes_stay_holes(self) -> None:
        found = corpus.find(self.work)
        if found is None:
            self.skipTest("no corpus: ODO_CORPUS_DIR is not set")
        (image,) = found.compressed("sparse-big")
        run("extract", f"--to={self.work}/out", image)
        huge = os.stat(self.work / "out" / "huge")
        self.assertEqual((1 << 40) + 1, huge.st_size)
        self.assertLess(huge.st_blocks * 512, 1 << 20)

    def test_one_file_goes_below_the_target(self) -> None:
        run("extract", f"--to={self.work}/out", _LINKS, "@DATA", "/deep/x/c")
        self.assertEqual(["c"], os.listdir(self.work / "out"))

    def test_nothing_is_overwritten(self) -> None:
        (self.work / "out").mkdir()
        kept = self.work / "out" / "one"
        kept.write_text("mine")
        done = run("extract", f"--to={self.work}/out", _LINKS, status=1)
        self.assertEqual("mine", kept.read_text())
        self.assertIn(b"one: File exists", done.stderr)
        self.assertTrue((self.work / "out" / "big1").exists())

    def test_links_in_the_target_are_not_followed(self) -> None:
        outside = self.work / "outside"
        outside.mkdir()
        (self.work / "out").mkdir()
        (self.work / "out" / "deep").symlink_to(outside)
        run("extract", f"--to={self.work}/out", _LINKS, status=1)
        self.assertEqual([], os.listdir(outside))

    def test_a_damaged_file_is_told_of_and_left_out(self) -> None:
        raw = self.work / "raw.img"
        subprocess.run(["zstd", "-dqf", "--sparse", _LINKS, "-o", raw],
                       check=True)
        inode = json.loads(run("stat", "--json", raw, "/big1").stdout)
        self.assertEqual(2, inode["nlink"])
        shown = run("show", "--json", raw, "@DATA", "/big1").stdout
        with raw.open("r+b") as file:
            file.seek(next(data_offsets(json.loads(shown))))
            file.write(b"spoilt")
        done = run("extract", f"--to={self.work}/out", raw, status=1)
        self.assertIn(b"check code mismatch", done.stderr)
        self.assertFalse((self.work / "out" / "big1").exists())
        self.assertTrue((self.work / "out" / "one").exists())

    def test_a_wrong_command_line_is_told(self) -> None:
        self.assertIn(b"say where", run("extract", _LINKS, status=2).stderr)
        self.assertIn(b"exclude each other",
                      run("extract", "--tar", "--to=x", _LINKS,
                          status=2).stderr)


class DiffTest(unittest.TestCase):

    def test_an_image_equals_itself(self) -> None:
        self.assertEqual(b"", run("diff", _LINKS, _LINKS).stdout)

    def test_snapshots_differ_as_their_manifests_do(self) -> None:
        with tempfile.TemporaryDirectory(
                dir=os.environ.get("TEST_TMPDIR")) as folder:
            found = corpus.find(Path(folder))
            if found is None:
                self.skipTest("no corpus: ODO_CORPUS_DIR is not set")
            (image,) = found.compressed("snapshots")
            trees = {label: {corpus.path_bytes(e): e for e in tree}
                     for label, tree in
                     found.manifest("snapshots")["trees"].items()}
        for old in trees:
            for new in trees:
                shown = json.loads(run(
                    "diff", "--json", "--notimes", image, f"@{old}",
                    f"@{new}", status=0 if old == new else 1).stdout)
                told = {corpus.path_bytes(e): e["change"] for e in shown}
                self.assertEqual(self.expected(trees[old], trees[new]), told,
                                 (old, new))

    def expected(self, old: dict[bytes, Any],
                 new: dict[bytes, Any]) -> dict[bytes, str]:
        def bare(entry: Any) -> Any:
            return {k: v for k, v in entry.items() if k != "mtime_us"}

        def told(path: bytes, other: dict[bytes, Any]) -> bool:
            # Below a directory that only one has nothing more is said.
            above = os.path.dirname(path)
            return above in other or above == path

        changes = {}
        for path in sorted(old.keys() | new.keys()):
            if path not in new:
                if told(path, new):
                    changes[path] = "removed"
            elif path not in old:
                if told(path, old):
                    changes[path] = "added"
            elif bare(old[path]) != bare(new[path]):
                changes[path] = "changed"
        return changes

    def test_a_wrong_command_line_is_told(self) -> None:
        self.assertIn(b"nothing to compare with",
                      run("diff", _LINKS, status=2).stderr)
        self.assertIn(b"no PFS of that label",
                      run("diff", _LINKS, "@DATA", "@NOPE", status=1).stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv)
