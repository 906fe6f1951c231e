#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""h2 extract beside tar -x and unsquashfs: the same trees into a fresh folder.

The trees come from genuine HAMMER2 images (ODO_CORPUS_DIR, or
../shared/hammer2); tar and mksquashfs (LZ4) pack them again for the peers.
Everything lies in memory (/dev/shm where there is one): a disk's file system
takes ten times as long as any of the three and hides them. All run on one CPU,
unsquashfs with one thread that unpacks.
"""

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).absolute().parents[2]
if not __package__:  # run as a script: imports start at the root all the same
    sys.path[0] = str(_ROOT)

# pylint: disable=wrong-import-position
from tools.bench import script  # noqa: E402
from tools.bench.model import OURS, BenchError  # noqa: E402

LABEL = "//tools/h2"
_LIMIT_S = 120
_PEERS = ("tar", "unsquashfs")


@dataclass(frozen=True)
class Case:
    name: str
    image: str  # of the corpus
    unit: str
    rounds: int


_CASES = (
    Case("extract-20K", "bigdir", "items/s", 7),
    Case("extract-40M", "bigfile-40m-lz4", "B/s", 15),
)


def record_name(case: Case, contender: str) -> str:
    return f"h2/{case.name}/{contender}"


def run(command: list[str]) -> float:
    """The seconds that a command takes."""
    start = time.perf_counter()
    result = subprocess.run(command, capture_output=True, check=False,
                            timeout=_LIMIT_S, stdin=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    if result.returncode != 0:
        last = result.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise BenchError(f"{command[0]} fails" + "".join(f": {l}" for l in last))
    return seconds


class Packed:
    """Each tree as HAMMER2, as a tar and as a squashfs, in `work`."""

    def __init__(self, program: Path, work: Path) -> None:
        script.require(program, LABEL, ("tar", "mksquashfs", "unsquashfs"))
        self._corpus = script.open_corpus(work)
        self._program, self._work = program, work
        self.target = work / "target"

    def source(self, name: str) -> Path:
        """The tree itself, unpacked once."""
        source = self._work / f"{name}.source"
        if not source.exists():
            run([str(self._program), "extract", f"--to={source}",
                 str(self._corpus.unpack(name)[0])])
            run(["tar", "-cf", f"{source}.tar", "-C", str(source), "."])
            run(["mksquashfs", str(source), f"{source}.squashfs", "-comp",
                 "lz4", "-quiet", "-no-progress"])
        return source

    def commands(self, name: str) -> dict[str, list[str]]:
        """What makes the tree `name` below the target, by contender."""
        source = self.source(name)
        return {
            OURS: [str(self._program), "extract", f"--to={self.target}",
                   str(self._corpus.unpack(name)[0])],
            "tar": ["tar", "-xf", f"{source}.tar", "-C", str(self.target)],
            "unsquashfs": ["unsquashfs", "-q", "-n", "-f", "-p", "1", "-d",
                           str(self.target), f"{source}.squashfs"],
        }

    def amount(self, case: Case) -> int:
        """What is made: files, or bytes."""
        files = [path for path in self.source(case.image).rglob("*")
                 if path.is_file()]
        if case.unit == "items/s":
            return len(files)
        return sum(path.stat().st_size for path in files)


def take(packed: Packed, cases: list[Case], quick: bool) -> Iterator[dict]:
    """A record for each round of each contender, taking turns."""
    for case in cases:
        commands = packed.commands(case.image)
        amount = packed.amount(case)
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        order = random.Random(1)
        for _ in range(min(case.rounds, 3) if quick else case.rounds):
            for contender in order.sample(list(commands), len(commands)):
                packed.target.mkdir()
                seconds = run(commands[contender])
                shutil.rmtree(packed.target)
                yield {"name": record_name(case, contender),
                       "value": amount / seconds, "unit": case.unit,
                       "better": "higher"}


def main(argv: list[str]) -> int:
    arguments = script.parse(argv, __doc__, LABEL)
    cases = [case for case in _CASES if arguments.only in case.name]
    names = [record_name(case, contender) for case in cases
             for contender in (OURS, *_PEERS)]

    def measure() -> Iterator[dict]:
        with script.memory_folder() as folder:
            packed = Packed(arguments.program.absolute(),
                            folder)
            yield from take(packed, cases, arguments.quick)

    return script.main(arguments, "h2_bench", names, measure)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
