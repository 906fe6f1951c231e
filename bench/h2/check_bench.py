#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""h2 check beside the hash that it cannot do without.

The trees are those of create_bench: 20,000 small files, and a GiB of mixed data. Of
as many bytes as h2 check reads, xxhsum takes the XXH64, all in one piece; the
reference's fsck_hammer2 does that block by block and follows references besides.
`two` are two threads beside one. Everything lies in memory (/dev/shm where there is
one).
"""

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).absolute().parents[2]
if not __package__:  # run as a script: imports start at the root all the same
    sys.path[0] = str(_ROOT)

# pylint: disable=wrong-import-position
from bench.h2 import create_bench, h2_bench  # noqa: E402
from tools.bench import script  # noqa: E402
from tools.bench.model import OURS, BenchError  # noqa: E402

LABEL = h2_bench.LABEL
_HASH, _ONE = "xxh64", "one-thread"
_ROUNDS = 9


@dataclass(frozen=True)
class Case:
    name: str
    tree: str
    peer: str


_CASES = (
    Case("check-20K-one", "small", _HASH),
    Case("check-20K-two", "small", _ONE),
    Case("check-1G-one", "mixed", _HASH),
    Case("check-1G-two", "mixed", _ONE),
)


def record_name(case: Case, contender: str) -> str:
    return f"h2/{case.name}/{contender}"


class Images:
    """An image of each tree, made once, and a file as long as what is read."""

    def __init__(self, program: Path, work: Path) -> None:
        script.require(program, LABEL, ("xxhsum",))
        self._program, self._work = str(program), work
        self._read_bytes: dict[str, int] = {}

    def read_bytes(self, tree: str) -> int:
        if tree not in self._read_bytes:
            self._read_bytes[tree] = self._make(tree)
        return self._read_bytes[tree]

    def commands(self, case: Case) -> dict[str, list[str]]:
        check = [self._program, "check", str(self._path(case.tree, "img"))]
        one, two = [*check, "--threads=1"], [*check, "--threads=2"]
        if case.peer == _ONE:
            return {OURS: two, _ONE: one}
        return {OURS: one, _HASH: ["xxhsum", "-H1", "--quiet",
                                   str(self._path(case.tree, "bytes"))]}

    def _path(self, tree: str, ending: str) -> Path:
        return self._work / f"{tree}.{ending}"

    def _make(self, tree: str) -> int:
        folder, image = self._work / tree, self._path(tree, "img")
        if tree == "small":
            create_bench.make_small(folder)
        else:
            folder.mkdir()
            for seed in range(4):
                create_bench.make_mixed(folder / f"{seed}", seed)
        h2_bench.run([self._program, "create", "--image_size", "2G",
                      str(image), str(folder)])
        shutil.rmtree(folder)
        told = subprocess.run(
            [self._program, "check", "--json", str(image)], check=False,
            capture_output=True, text=True)
        if told.returncode != 0:
            raise BenchError("h2 check finds faults in what h2 create made")
        count = json.loads(told.stdout)["totals"]["bytes_read"]
        draw = random.Random(1)
        with self._path(tree, "bytes").open("wb") as file:
            for at in range(0, count, 1 << 20):
                file.write(draw.randbytes(min(1 << 20, count - at)))
        return int(count)


def take(images: Images, cases: list[Case], quick: bool) -> Iterator[dict]:
    """A record for each round of each contender, taking turns."""
    for case in cases:
        amount = images.read_bytes(case.tree)
        commands = images.commands(case)
        order = random.Random(1)
        for _ in range(3 if quick else _ROUNDS):
            for contender in order.sample(list(commands), len(commands)):
                seconds = h2_bench.run(commands[contender])
                yield {"name": record_name(case, contender),
                       "value": amount / seconds, "unit": "B/s",
                       "better": "higher"}


def main(argv: list[str]) -> int:
    arguments = script.parse(argv, __doc__, LABEL)
    cases = [case for case in _CASES if arguments.only in case.name]
    names = [record_name(case, contender) for case in cases
             for contender in (OURS, case.peer)]

    def measure() -> Iterator[dict]:
        with script.memory_folder() as folder:
            yield from take(Images(arguments.program.absolute(), folder),
                            cases, arguments.quick)

    return script.main(arguments, "check_bench", names, measure)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
