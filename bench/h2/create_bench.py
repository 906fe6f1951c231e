#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""h2 create beside mksquashfs (LZ4), mkfs.ext4 -d and mkfs.erofs (LZ4).

All make images of the same trees. Two are made here, from a seed: 20,000 small
files of words, and 256 MiB of words, noise, and blocks that are half empty. The
third is the first 180 MB of this machine's /usr/include and /usr/share/doc; of
that, the images' sizes are compared as well. Everything lies in memory
(/dev/shm where there is one). `one` has one thread, `two` has two; the peer of
each has as many (mkfs.ext4 and mkfs.erofs have one).
"""

import random
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).absolute().parents[2]
if not __package__:  # run as a script: imports start at the root all the same
    sys.path[0] = str(_ROOT)

# pylint: disable=wrong-import-position
from bench.h2 import h2_bench  # noqa: E402
from tools.bench import script  # noqa: E402
from tools.bench.model import OURS  # noqa: E402

LABEL = h2_bench.LABEL
_SOURCES = (Path("/usr/include"), Path("/usr/share/doc"))
_SOURCE_BYTES = 180_000_000
SMALL_FILES = 20_000
_MIB = 1 << 20


@dataclass(frozen=True)
class Case:
    name: str
    tree: str
    threads: int
    unit: str
    rounds: int = 7
    peers: tuple[str, ...] = ("mksquashfs", "ext4")
    has_size: bool = False  # the images' sizes are compared, too


_CASES = (
    Case("create-20K-one", "small", 1, "items/s"),
    Case("create-20K-two", "small", 2, "items/s"),
    Case("create-256M-one", "mixed", 1, "B/s"),
    Case("create-256M-two", "mixed", 2, "B/s"),
    Case("create-source-two", "source", 2, "B/s", peers=("erofs",),
         has_size=True),
)


def record_name(case: Case, contender: str) -> str:
    return f"h2/{case.name}/{contender}"


def size_name(case: Case, contender: str) -> str:
    return f"h2/{case.name}-bytes/{contender}"


def words(draw: random.Random, length: int) -> bytes:
    known = [f"word{i % 97}{'x' * (i % 7)}" for i in range(400)]
    text = " ".join(draw.choices(known, k=length // 6 + 1))
    return text.encode()[:length]


def make_small(folder: Path) -> int:
    draw = random.Random(1)
    for i in range(SMALL_FILES):
        below = folder / f"d{i // 200}"
        below.mkdir(parents=True, exist_ok=True)
        (below / f"f{i}").write_bytes(
            words(draw, int(min(60_000, draw.expovariate(1 / 2100)))))
    return SMALL_FILES


def make_mixed(folder: Path, seed: int = 2) -> int:
    draw = random.Random(seed)
    folder.mkdir()
    for i in range(64):
        noise = draw.randbytes(4 * _MIB)
        content = (words(draw, 4 * _MIB) if i % 3 == 0 else
                   noise if i % 3 == 1 else
                   b"".join(noise[at:at + 32768] + bytes(32768)
                            for at in range(0, len(noise), 65536)))
        (folder / f"f{i}").write_bytes(content)
    return 64 * 4 * _MIB


def copy_source(folder: Path) -> int:
    """Files of this machine, up to an amount; how much it came to."""
    total = 0
    for path in sorted(p for source in _SOURCES for p in source.rglob("*")):
        if total >= _SOURCE_BYTES:
            break
        if path.is_symlink() or not path.is_file():
            continue
        copy = folder / path.relative_to("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        total += path.stat().st_size
    return total


class Trees:
    """Each tree in `work`, made once, with what it amounts to."""

    def __init__(self, program: Path, work: Path) -> None:
        script.require(program, LABEL,
                       ("mksquashfs", "mkfs.ext4", "mkfs.erofs"))
        self._program, self._work = program, work
        self._amounts: dict[str, int] = {}

    def amount(self, name: str) -> int:
        if name not in self._amounts:
            make = {"small": make_small, "mixed": make_mixed,
                    "source": copy_source}[name]
            self._amounts[name] = make(self._work / name)
        return self._amounts[name]

    def image(self, contender: str) -> Path:
        return self._work / f"{contender}.img"

    def commands(self, case: Case) -> dict[str, list[str]]:
        tree = str(self._work / case.tree)
        threads = str(case.threads)
        size = ["--fit"] if case.has_size else ["--image_size", "768M"]
        commands = {
            OURS: [str(self._program), "create", "--threads", threads, *size,
                   str(self.image(OURS)), tree],
            "mksquashfs": ["mksquashfs", tree, str(self.image("mksquashfs")),
                           "-comp", "lz4", "-processors", threads, "-quiet",
                           "-no-progress"],
            "ext4": ["mkfs.ext4", "-q", "-F", "-N", "65536", "-d", tree,
                     str(self.image("ext4")), "768M"],
            "erofs": ["mkfs.erofs", "-zlz4", str(self.image("erofs")), tree],
        }
        return {name: commands[name] for name in (OURS, *case.peers)}


def take(trees: Trees, cases: list[Case], quick: bool) -> Iterator[dict]:
    """A record for each round of each contender, taking turns."""
    for case in cases:
        amount = trees.amount(case.tree)
        commands = trees.commands(case)
        order = random.Random(1)
        for _ in range(min(case.rounds, 3) if quick else case.rounds):
            for contender in order.sample(list(commands), len(commands)):
                trees.image(contender).unlink(missing_ok=True)
                seconds = h2_bench.run(commands[contender])
                yield {"name": record_name(case, contender),
                       "value": amount / seconds, "unit": case.unit,
                       "better": "higher"}
        for contender in commands if case.has_size else ():
            yield {"name": size_name(case, contender),
                   "value": trees.image(contender).stat().st_size,
                   "unit": "B", "better": "lower"}


def main(argv: list[str]) -> int:
    arguments = script.parse(argv, __doc__, LABEL)
    cases = [case for case in _CASES if arguments.only in case.name]
    names = [name(case, contender) for case in cases
             for name in ((record_name, size_name) if case.has_size
                          else (record_name,))
             for contender in (OURS, *case.peers)]

    def measure() -> Iterator[dict]:
        with script.memory_folder() as folder:
            trees = Trees(arguments.program.absolute(), folder)
            yield from take(trees, cases, arguments.quick)

    return script.main(arguments, "create_bench", names, measure)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
