#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What h2 takes for a filesystem of a million files, all of it metadata.

`snapshot-1M` is the time of a whole `h2 snapshot --damaged`, that of an empty
volume taken off (without that flag it first looks for damage, which reads all
metadata); `bulkfree-1M` the blocks that a pass of `h2 bulkfree` looks at in a second,
beside `h2 check`, which reads the same; `bulkfree-1M-memory` the most memory
that it had. The image lies in memory (/dev/shm where there is one).
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path(__file__).absolute().parents[2]
if not __package__:  # run as a script: imports start at the root all the same
    sys.path[0] = str(_ROOT)

# pylint: disable=wrong-import-position
from bench.h2 import h2_bench  # noqa: E402
from tools.bench import script  # noqa: E402
from tools.bench.model import OURS, BenchError  # noqa: E402

LABEL = h2_bench.LABEL
_FILES = 1_000_000
_LIMIT_S = 600
_BLOCK = 512  # of a tar
_CHECK = "check"


def tar_of_empty_files(count: int, in_folder: int) -> Iterator[bytes]:
    """`in_folder` to a folder; in pieces of a thousand files."""
    for first in range(0, count, 1000):
        yield b"".join(_header(f"d{i // in_folder}/f{i}".encode())
                       for i in range(first, min(first + 1000, count)))
    yield bytes(2 * _BLOCK)


def create(program: Path, image: Path, files: int, in_folder: int) -> None:
    """An image of empty files, made by h2."""
    with subprocess.Popen(
            [str(program), "create", "--image_size", "4G", "--label", "DATA",
             str(image), "-"], stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as make:
        assert make.stdin is not None
        for piece in tar_of_empty_files(files, in_folder):
            make.stdin.write(piece)
        make.stdin.close()
    if make.returncode != 0:
        raise BenchError("h2 create fails")


def _header(name: bytes) -> bytes:
    head = (name.ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2
            + b"00000000000\0" * 2)
    tail = b"0".ljust(101, b"\0") + b"ustar\0" + b"00"
    # The sum counts its own field as spaces.
    total = sum(head) + 8 * 32 + sum(tail)
    return (head + b"%06o\0 " % total + tail).ljust(_BLOCK, b"\0")


def run(command: list[str]) -> tuple[float, int]:
    """The seconds that a command takes, and the bytes of memory."""
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise BenchError(f"{' '.join(command[:2])} fails")
    return seconds, usage.ru_maxrss * 1024


class Volumes:
    """One with many files, and one that is empty."""

    def __init__(self, program: Path, work: Path, files: int) -> None:
        script.require(program, LABEL, ())
        self._program = str(program)
        self.many, self.empty = work / "many.img", work / "empty.img"
        create(program, self.many, files, in_folder=1000)
        with self.empty.open("wb") as file:
            file.truncate(4 << 30)
        self.h2("mkfs", "--label=DATA", str(self.empty))

    def h2(self, *arguments: str) -> tuple[float, int]:
        return run([self._program, *arguments])

    def snapshot(self, image: Path, label: str) -> float:
        # Without a look for damage, which reads everything there is.
        return self.h2("snapshot", "--damaged", str(image), "@DATA", label)[0]


def take(volumes: Volumes, only: str, files: int, rounds: int) \
        -> Iterator[dict]:
    if only in "h2/snapshot-1M":
        # Differences of single runs would be noise about nothing.
        times: dict[Path, list[float]] = {volumes.many: [], volumes.empty: []}
        for i in range(rounds):
            for image, seen in times.items():
                seen.append(volumes.snapshot(image, f"S{i}"))
        many, empty = (statistics.median(seen) for seen in times.values())
        yield {"name": f"h2/snapshot-1M/{OURS}", "value": max(many - empty, 0),
               "unit": "s", "better": "lower"}
        volumes.h2("pfs-delete", "--damaged", str(volumes.many),
                   *(f"S{i}" for i in range(rounds)))
    for _ in range(rounds if only in "h2/bulkfree-1M-memory" else 0):
        seconds, memory = volumes.h2("bulkfree", "--damaged",
                                     str(volumes.many))
        yield {"name": f"h2/bulkfree-1M/{OURS}", "value": 2 * files / seconds,
               "unit": "items/s", "better": "higher"}
        yield {"name": f"h2/bulkfree-1M-memory/{OURS}", "value": memory,
               "unit": "B", "better": "lower"}
        seconds, _ = volumes.h2("check", "--threads=1", str(volumes.many))
        yield {"name": f"h2/bulkfree-1M/{_CHECK}", "value": files / seconds,
               "unit": "items/s", "better": "higher"}


def main(argv: list[str]) -> int:
    arguments = script.parse(argv, __doc__, LABEL)
    names = [name for name in (
        f"h2/snapshot-1M/{OURS}", f"h2/bulkfree-1M/{OURS}",
        f"h2/bulkfree-1M/{_CHECK}", f"h2/bulkfree-1M-memory/{OURS}")
        if arguments.only in name]

    def measure() -> Iterator[dict]:
        with script.memory_folder() as folder:
            # A look is for what is wrong, not for figures of a million.
            files = _FILES // 10 if arguments.quick else _FILES
            volumes = Volumes(arguments.program.absolute(),
                              folder, files)
            yield from take(volumes, arguments.only, files,
                            2 if arguments.quick else 5)

    return script.main(arguments, "space_bench", names, measure)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
