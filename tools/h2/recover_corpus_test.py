# SPDX-License-Identifier: BSD-3-Clause
"""`h2 recover` on genuine images: whole, with deleted files, with older
versions, and damaged, where everything but what the damage hit must be saved.

The short form tries a spread of the damaged variants, ODO_LONG=1 all.
"""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import unittest
from collections.abc import Iterator
from pathlib import Path

from tools.corpus import corpus

_H2 = Path(os.environ.get("ODO_H2", "tools/h2/h2")).resolve()
# In the short form: of each damaged image one variant in so many.
_SHORT_EVERY = 7
_DAMAGED = ("small-populated", "links", "names")


def files_below(folder: Path) -> Iterator[Path]:
    """Regular files and links. Path.rglob() follows links, which may be long."""
    for above, _, names in os.walk(folder):
        yield from (Path(above, name) for name in names)


class RecoverTest(unittest.TestCase):
    """Skipped where there is no corpus."""

    def setUp(self) -> None:
        self._work = Path(tempfile.mkdtemp(prefix="odo-recover-"))
        self.addCleanup(shutil.rmtree, self._work)
        found = corpus.find(self._work)
        if found is None:
            self.skipTest("no corpus: ODO_CORPUS_DIR is not set")
        self._corpus = found

    def _recover(self, image: Path, *flags: str) -> tuple[Path, int, str]:
        """The folder it wrote to, its exit status and what it complained of."""
        target = Path(tempfile.mkdtemp(dir=self._work)) / "out"
        run = subprocess.run([_H2, "recover", *flags, image, target],
                             capture_output=True, check=False)
        return target, run.returncode, run.stderr.decode(errors="replace")

    def _differences(self, folder: Path, tree: list[corpus.Json]) -> list[bytes]:
        """Paths of files that aren't there, or aren't what they should be."""
        different = []
        for entry in tree:
            path = corpus.path_bytes(entry)
            file = os.fsencode(folder) + path
            if entry["type"] == "file" and "sha256" in entry:
                if (not os.path.isfile(file) or hashlib.sha256(
                        Path(os.fsdecode(file)).read_bytes()).hexdigest()
                        != entry["sha256"]):
                    different.append(path)
            elif entry["type"] == "symlink":
                if (not os.path.islink(file) or os.readlink(file)
                        != os.fsencode(entry["target"])):
                    different.append(path)
            elif entry["type"] == "dir" and not os.path.isdir(file):
                different.append(path)
        return different

    def test_whole_images_come_out_whole(self) -> None:
        for name in ("snapshots", "comp-check-mix", "collisions", "deep"):
            with self.subTest(name):
                (image,) = self._corpus.unpack(name)
                target, status, said = self._recover(image)
                self.assertEqual((status, said), (0, ""))
                for label, tree in self._corpus.manifest(name)["trees"].items():
                    self.assertEqual(
                        self._differences(target / f"@{label}", tree), [])
                self.assertFalse((target / "deleted").exists())

    def test_deleted_files_come_back_under_their_names(self) -> None:
        for name in ("destroyed", "destroyed-bulkfree"):
            with self.subTest(name):
                (image,) = self._corpus.unpack(name)
                manifest = self._corpus.manifest(name)
                target, status, said = self._recover(image, "--deleted")
                self.assertEqual((status, said), (0, ""))
                self.assertEqual(
                    self._differences(target / "@DATA",
                                      manifest["trees"]["DATA"]), [])
                commands = self._corpus.manifest("destroyed")["commands"]
                gone = {command.split("D=/")[1].split()[0]
                        for command in commands if "D=/" in command}
                deleted = target / "deleted" / "@DATA"
                self.assertEqual(gone, {
                    str(file.relative_to(deleted))
                    for file in files_below(deleted)})
                self.assertTrue(all((deleted / path).stat().st_size
                                    for path in gone))

    def test_older_versions_are_told_apart(self) -> None:
        (image,) = self._corpus.unpack("snapshots")
        listed = json.loads(subprocess.check_output(
            [_H2, "recover", "--versions", "--json", image]))
        older = [item for item in listed if item["fate"] == "older"]
        self.assertTrue(older)
        current = {(item["pfs"], item["inum"], item["offset"])
                   for item in listed if item["fate"] == "current"}
        for item in older:
            self.assertNotIn((item["pfs"], item["inum"], item["offset"]),
                             current)
        target, status, said = self._recover(image, "--versions")
        self.assertEqual((status, said), (0, ""))
        written = list(files_below(target / "versions"))
        self.assertEqual(len(written), len(older))

    def test_an_older_header_leads_to_its_tree(self) -> None:
        manifest = self._corpus.manifest("generations")
        (image,) = self._corpus.unpack("generations")
        damaged = self._work / "newest.img"
        subprocess.run(["cp", "--sparse=always", image, damaged], check=True)
        newest = manifest["generations"][0]["header"]
        with damaged.open("r+b") as file:
            file.seek(newest << 31)
            file.write(bytes(65536))
        target, status, said = self._recover(damaged)
        self.assertEqual((status, said), (0, ""))
        next_best = manifest["generations"][1]
        self.assertEqual(self._differences(
            target / f"@{next_best['pfs']}", next_best["tree"]), [])

    def test_all_but_what_is_damaged_is_saved(self) -> None:
        every = 1 if os.environ.get("ODO_LONG") == "1" else _SHORT_EVERY
        for name in _DAMAGED:
            trees = self._corpus.manifest(name)["trees"]
            patches = [patch for patch in self._corpus.patches(name)
                       if patch.get("block")]
            for patch in patches[::every]:
                with self.subTest(name, id=patch["id"]):
                    self._try_damaged(name, trees, patch)

    def _try_damaged(self, name: str, trees: dict[str, list[corpus.Json]],
                     patch: corpus.Json) -> None:
        image = self._work / "damaged.img"
        self._corpus.damaged(name, patch, image)
        target, status, said = self._recover(image)
        self.addCleanup(shutil.rmtree, target, ignore_errors=True)
        # Names and folders may be lost with a block: content isn't.
        saved = {hashlib.sha256(file.read_bytes()).hexdigest()
                 for file in files_below(target) if not file.is_symlink()}
        hit = {os.fsencode(path) for path in patch["names"]}
        lost = [entry for tree in trees.values() for entry in tree
                if entry["type"] == "file" and entry["sha256"] not in saved
                and corpus.path_bytes(entry).rsplit(b"/")[-1] not in hit]
        self.assertEqual(lost, [], said)
        self.assertEqual(status, 0 if patch["target"] == "freemap block" else 1,
                         said)


if __name__ == "__main__":
    unittest.main()
