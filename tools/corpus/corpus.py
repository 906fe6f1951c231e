# SPDX-License-Identifier: BSD-3-Clause
"""Access to the corpus of genuine HAMMER2 images, for tests in Python.

The corpus lies outside the tree; ODO_CORPUS_DIR names it. Its own README says
what manifests and patches hold. ODO_CORPUS_RAW may name a folder with the images
unpacked: these are copied, which is fast as they are sparse.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

Json = dict[str, Any]


class Corpus:
    """The images of one corpus folder, unpacked into `work` as needed."""

    def __init__(self, folder: Path, work: Path) -> None:
        self._folder = folder
        self._work = work
        self.index: dict[str, Json] = {
            entry["name"]: entry
            for entry in json.loads((folder / "index.json").read_text())}

    def manifest(self, name: str) -> Json:
        path = self._folder / self.index[name]["manifest"]
        if path.suffix == ".zst":
            text = subprocess.run(["zstd", "-dcq", str(path)], check=True,
                                  capture_output=True).stdout
            return json.loads(text)
        return json.loads(path.read_text())

    def patches(self, name: str) -> list[Json]:
        relative = self.index[name].get("patches")
        if not relative:
            return []
        return json.loads((self._folder / relative).read_text())["patches"]

    def patched_names(self) -> list[str]:
        return sorted(n for n, e in self.index.items() if e.get("patches"))

    def compressed(self, name: str) -> list[Path]:
        return [self._folder / v["file"] for v in self.index[name]["volumes"]]

    def unpack(self, name: str) -> list[Path]:
        """The raw volumes, sparse; unpacked once."""
        raws = []
        for source in self.compressed(name):
            raw = self._work / source.name.removesuffix(".zst")
            unpacked = Path(os.environ.get("ODO_CORPUS_RAW", ""), raw.name)
            if raw.exists():
                pass
            elif unpacked.is_absolute() and unpacked.exists():
                subprocess.run(["cp", "--sparse=always", str(unpacked),
                                str(raw)], check=True)
            else:
                subprocess.run(
                    ["zstd", "-dq", "--long=27", "--sparse", str(source), "-o",
                     str(raw)], check=True)
            raws.append(raw)
        return raws

    def damaged(self, name: str, patch: Json, target: Path) -> None:
        """A copy of a one-volume image with `patch` applied."""
        (source,) = self.unpack(name)
        subprocess.run(["cp", "--sparse=always", str(source), str(target)],
                       check=True)
        with target.open("r+b") as file:
            for change in patch["changes"]:
                if "new" in change:
                    data = bytes.fromhex(change["new"])
                elif "copy_from" in change:
                    file.seek(change["copy_from"])
                    data = file.read(change["length"])
                else:
                    data = bytes([change["fill"]]) * change["length"]
                file.seek(change["offset"])
                file.write(data)
            if "truncate" in patch:
                file.truncate(patch["truncate"])


def find(work: Path) -> Corpus | None:
    """The corpus that the environment names, or None."""
    folder = os.environ.get("ODO_CORPUS_DIR")
    if not folder or not Path(folder, "index.json").is_file():
        return None
    if shutil.which("zstd") is None:
        return None
    return Corpus(Path(folder), work)


def path_bytes(entry: Json) -> bytes:
    """An entry's path, which need not be UTF-8."""
    if "path_hex" in entry:
        return bytes.fromhex(entry["path_hex"])
    return entry["path"].encode()
