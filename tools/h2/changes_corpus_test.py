# SPDX-License-Identifier: BSD-3-Clause
"""`h2` changes genuine images: they stay clean, and everything that wasn't
changed stays as their manifests have it.

The short form tries some images, ODO_LONG=1 all of one volume.
"""

import json
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from tools.corpus import corpus

_H2 = Path(os.environ.get("ODO_H2", "tools/h2/h2")).resolve()
# Header versions and counts, check codes, compression, shared blocks, odd
# names, old shapes of trees.
_IMAGES = ("version-1", "volhdr-2", "check-none", "check-freemap", "comp-zlib",
           "snapshots", "collisions", "names", "destroyed", "duplicates")


class ChangesTest(unittest.TestCase):
    """Skipped where there is no corpus."""

    def setUp(self) -> None:
        self._work = Path(tempfile.mkdtemp(prefix="odo-changes-"))
        self.addCleanup(shutil.rmtree, self._work)
        found = corpus.find(self._work)
        if found is None:
            self.skipTest("no corpus: ODO_CORPUS_DIR is not set")
        self._corpus = found

    def _h2(self, *words: str | Path, content: bytes = b"") -> str:
        run = subprocess.run([_H2, *words], input=content,
                             capture_output=True, check=False)
        self.assertEqual(run.returncode, 0,
                         (words, run.stdout[-500:], run.stderr[-500:]))
        return run.stdout.decode(errors="replace")

    def _tree(self, image: Path, label: str) -> dict[bytes, corpus.Json]:
        lines = self._h2("manifest", "--pfs", label, image).splitlines()
        entries = [json.loads(line) for line in lines]
        return {corpus.path_bytes(entry): entry for entry in entries}

    def _change(self, name: str) -> None:
        image, = self._corpus.unpack(name)
        manifest = self._corpus.manifest(name)
        labels = [label for label, tree in manifest["trees"].items()
                  if len(tree) > 1]
        before = {label: self._tree(image, label) for label in labels}
        if not labels:
            return  # nothing in it
        label = labels[0]
        at = "@" + label
        top = min(path.split(b"/")[1] for path in before[label] if path != b"/")
        self._h2("mkdir", image, at, "/of-ours")
        self._h2("put", image, at, "-", "/of-ours/file",
                 content=b"0123456789" * 20_000)
        self._h2("snapshot", image, at, "of-ours")
        self._h2("rm", "--recursive", image, at, b"/" + top)
        self._h2("bulkfree", image)
        self._h2("check", image)
        for other in labels[1:]:
            self.assertEqual(self._tree(image, other), before[other])
        gone = b"/" + top
        expected = {path: entry for path, entry in before[label].items()
                    if path != gone and not path.startswith(gone + b"/")}
        found = self._tree(image, label)
        self.assertEqual(set(found) - set(expected),
                         {b"/of-ours", b"/of-ours/file"})
        for path, entry in expected.items():
            for key in ("mtime_us", "nlink"):  # the root, and links to it
                entry.pop(key, None)
                found[path].pop(key, None)
            self.assertEqual(found[path], entry)
        # What was removed is in the snapshot still.
        kept = self._tree(image, "of-ours")
        self.assertEqual(set(before[label]) - set(kept), set())
        image.unlink()

    def test_changed_images_stay_clean(self) -> None:
        names = list(_IMAGES)
        if "ODO_LONG" in os.environ:
            names = [name for name in self._corpus.index
                     if len(self._corpus.compressed(name)) == 1]
        for name in names:
            with self.subTest(image=name):
                self._change(name)


if __name__ == "__main__":
    unittest.main()
