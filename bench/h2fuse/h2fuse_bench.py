#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""h2fuse on HAMMER2 beside fuse2fs on ext4: the same trees, freshly mounted.

The trees come from genuine HAMMER2 images (ODO_CORPUS_DIR, or
../shared/hammer2); mkfs.ext4 -d packs them again for the peer. Each figure is
that of a new mount, so that nothing is in the kernel's caches but the images
themselves. Client and server share one CPU, which compares their work; the case
`-free` lets the kernel place them, which makes requests slower and may rank the
two otherwise.
Needs /dev/fuse and root, which may mount without asking.
"""

import contextlib
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).absolute().parents[2]
if not __package__:  # run as a script: imports start at the root all the same
    sys.path[0] = str(_ROOT)

# pylint: disable=wrong-import-position
from tools.bench import script  # noqa: E402
from tools.bench.model import OURS, BenchError  # noqa: E402

LABEL = "//tools/h2fuse"
_PEER = "fuse2fs"
_LIMIT_S = 120
_PIECE, _SMALL = 1 << 20, 4096


def _sequential(mountpoint: Path) -> float:
    """Bytes a second over the largest file."""
    file = os.open(_largest(mountpoint), os.O_RDONLY)
    start, total = time.perf_counter(), 0
    while piece := os.read(file, _PIECE):
        total += len(piece)
    seconds = time.perf_counter() - start
    os.close(file)
    return total / seconds


def _random(mountpoint: Path) -> float:
    """Pieces a second, each of the largest file's once, in no order."""
    file = os.open(_largest(mountpoint), os.O_RDONLY)
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_RANDOM)
    offsets = list(range(0, os.fstat(file).st_size, _SMALL))
    random.Random(1).shuffle(offsets)
    start = time.perf_counter()
    for offset in offsets:
        os.pread(file, _SMALL, offset)
    seconds = time.perf_counter() - start
    os.close(file)
    return len(offsets) / seconds


def _find(mountpoint: Path) -> float:
    """Names a second, as find sees a tree that it knows nothing of."""
    start = time.perf_counter()
    names = subprocess.run(["find", str(mountpoint)], check=True,
                           capture_output=True, timeout=_LIMIT_S).stdout
    return names.count(b"\n") / (time.perf_counter() - start)


def _largest(mountpoint: Path) -> Path:
    return max((path for path in mountpoint.iterdir() if path.is_file()),
               key=lambda path: path.stat().st_size)


@dataclass(frozen=True)
class Case:
    name: str
    image: str  # of the corpus
    unit: str
    run: Callable[[Path], float]
    rounds: int
    pinned: bool = True


# fuse2fs takes a quarter of a minute for one find.
_CASES = (
    Case("sequential", "bigfile-40m", "B/s", _sequential, 9),
    Case("random-4KiB", "bigfile-40m", "items/s", _random, 9),
    Case("random-4KiB-free", "bigfile-40m", "items/s", _random, 9,
         pinned=False),
    Case("find-20K", "bigdir", "items/s", _find, 1),
)


def record_name(case: Case, contender: str) -> str:
    return f"h2fuse/{case.name}/{contender}"


@contextlib.contextmanager
def mounted(command: list[str], mountpoint: Path) -> Iterator[None]:
    result = subprocess.run([*command, str(mountpoint)], capture_output=True,
                            text=True, check=False, timeout=_LIMIT_S,
                            stdin=subprocess.DEVNULL)
    if result.returncode != 0:
        last = result.stderr.strip().splitlines()[-1:]
        raise BenchError(f"{command[0]} doesn't mount"
                         + "".join(f": {line}" for line in last))
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(mountpoint)], check=True,
                       timeout=_LIMIT_S)


class Images:
    """Each tree as HAMMER2 and as ext4, in `work`."""

    def __init__(self, program: Path, work: Path) -> None:
        script.require(program, LABEL, (_PEER, "mkfs.ext4"))
        self._corpus = script.open_corpus(work)
        self._program, self._work = program, work
        self.mountpoint = work / "mnt"
        self.mountpoint.mkdir()

    def commands(self, name: str) -> dict[str, list[str]]:
        """What mounts the tree `name`, by contender."""
        ours = [str(self._program), str(self._corpus.unpack(name)[0])]
        packed = self._work / f"{name}.ext4"
        if not packed.exists():
            with mounted(ours, self.mountpoint), packed.open("wb") as file:
                file.truncate(256 << 20)
                subprocess.run(
                    ["mkfs.ext4", "-q", "-N", "32768", "-d",
                     str(self.mountpoint), str(packed)], check=True,
                    capture_output=True, timeout=_LIMIT_S)
        return {OURS: ours, _PEER: [_PEER, "-o", "ro", str(packed)]}


def take(images: Images, cases: list[Case], quick: bool) -> Iterator[dict]:
    """A record for each round of each contender, taking turns."""
    allowed = os.sched_getaffinity(0)
    for case in cases:
        commands = images.commands(case.image)
        # The servers inherit this.
        os.sched_setaffinity(0, {max(allowed)} if case.pinned else allowed)
        order = random.Random(1)
        for _ in range(min(case.rounds, 3) if quick else case.rounds):
            for contender in order.sample(list(commands), len(commands)):
                with mounted(commands[contender], images.mountpoint):
                    value = case.run(images.mountpoint)
                yield {"name": record_name(case, contender), "value": value,
                       "unit": case.unit, "better": "higher"}


def main(argv: list[str]) -> int:
    arguments = script.parse(argv, __doc__, LABEL)
    cases = [case for case in _CASES if arguments.only in case.name]
    names = [record_name(case, contender) for case in cases
             for contender in (OURS, _PEER)]

    def measure() -> Iterator[dict]:
        with tempfile.TemporaryDirectory() as folder:
            images = Images(arguments.program.absolute(),
                            Path(folder).resolve())
            yield from take(images, cases, arguments.quick)

    return script.main(arguments, "h2fuse_bench", names, measure)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
