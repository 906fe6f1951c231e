# SPDX-License-Identifier: BSD-3-Clause
"""`h2 manifest` of every genuine image, against what the image was made from.

Every PFS and snapshot that a manifest gives a tree for, and every older
generation of the images that say what it held: there the newer volume headers
are spoilt first.
"""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tools.corpus import corpus

_H2 = os.environ.get("ODO_H2", "tools/h2/h2")
_HEADER_STRIDE = 2 << 30
_HEADER_BYTES = 65536

# What the source of an image had that the image itself doesn't hold.
_NOT_ON_MEDIA = {"sparse_source"}


def lines_of(output: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def by_path(tree: Iterable[dict[str, Any]]) -> dict[bytes, dict[str, Any]]:
    return {corpus.path_bytes(entry): entry for entry in tree}


class ManifestTest(unittest.TestCase):

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(dir=os.environ.get("TEST_TMPDIR"))
        self.addCleanup(folder.cleanup)
        self.work = Path(folder.name)
        found = corpus.find(self.work)
        if found is None:
            self.skipTest("no corpus: ODO_CORPUS_DIR is not set")
        self.corpus = found

    def manifest(self, images: list[Path], label: str) -> list[dict[str, Any]]:
        first, *others = images
        command = [_H2, "manifest", "--pfs", label, str(first)]
        command += [f"--volume={other}" for other in others]
        done = subprocess.run(command, check=False, capture_output=True)
        self.assertEqual(0, done.returncode, done.stderr.decode())
        self.assertEqual(b"", done.stderr)
        return lines_of(done.stdout)

    def compare(self, ours: list[dict[str, Any]],
                theirs: list[dict[str, Any]]) -> None:
        mine, other = by_path(ours), by_path(theirs)
        self.assertEqual(len(mine), len(ours), "a path is told twice")
        self.assertEqual(sorted(other), sorted(mine))
        for path, entry in other.items():
            expected = {key: value for key, value in entry.items()
                        if key not in _NOT_ON_MEDIA}
            got = dict(mine[path])
            if expected["mtime_us"] is None:  # not taken from the source
                del expected["mtime_us"], got["mtime_us"]
            self.assertEqual(expected, got, path)

    def test_every_tree_of_every_image(self) -> None:
        for name in sorted(self.corpus.index):
            manifest = self.corpus.manifest(name)
            trees = manifest["trees"]
            labels = {pfs["label"] for pfs in manifest["pfs"]
                      if "SUPROOT" not in pfs["pfs_type"]}
            images = self.corpus.unpack(name)
            for label in sorted(labels | set(trees)):
                with self.subTest(image=name, pfs=label):
                    ours = self.manifest(images, label)
                    if label in trees:
                        self.compare(ours, trees[label])
                    else:  # nothing was ever put there
                        self.assertEqual(["/"], [e["path"] for e in ours])
            for image in images:
                image.unlink()

    def test_older_generations(self) -> None:
        for name in sorted(self.corpus.index):
            generations = self.corpus.manifest(name).get("generations", [])
            if not generations:
                continue
            (raw,) = self.corpus.unpack(name)
            for at, generation in enumerate(generations):
                with self.subTest(image=name, header=generation["header"]):
                    ours = self.manifest([raw], generation["pfs"])
                    self.compare(ours, generation["tree"])
                if at + 1 < len(generations):
                    with raw.open("r+b") as file:
                        file.seek(generation["header"] * _HEADER_STRIDE)
                        file.write(bytes(_HEADER_BYTES))
            raw.unlink()


if __name__ == "__main__":
    unittest.main(argv=sys.argv)
