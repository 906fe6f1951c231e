#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Names looked up among a million in one directory of a mount.

Each is looked up once, so that Linux doesn't know it; others have been before, so
that the server has the directory's blocks. Client and server share one CPU. There is
no peer: fuse2fs reads such a directory from its start for every name. Needs
/dev/fuse and root.
"""

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path(__file__).absolute().parents[2]
if not __package__:  # run as a script: imports start at the root all the same
    sys.path[0] = str(_ROOT)

# pylint: disable=wrong-import-position
from bench.h2 import space_bench  # noqa: E402
from bench.h2fuse import h2fuse_bench  # noqa: E402
from tools.bench import script  # noqa: E402
from tools.bench.model import OURS  # noqa: E402

LABEL = h2fuse_bench.LABEL
_NAME = f"h2fuse/lookup-1M/{OURS}"
_FILES, _LOOKED_UP = 1_000_000, 20_000


def look_up(folder: Path, names: list[str]) -> float:
    """Seconds for each."""
    start = time.perf_counter()
    for name in names:
        os.stat(folder / name)
    return (time.perf_counter() - start) / len(names)


def take(program: Path, work: Path, files: int, rounds: int) -> Iterator[dict]:
    image, mountpoint = work / "many.img", work / "mnt"
    mountpoint.mkdir()
    space_bench.create(program.parent.parent / "h2/h2", image, files,
                       in_folder=files)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    command = [str(program), "--cache", "1024", str(image), "@DATA"]
    with h2fuse_bench.mounted(command, mountpoint):
        names = [f"f{i}" for i in range(files)]
        random.Random(1).shuffle(names)
        look_up(mountpoint / "d0", names[:files // 4])
        for i in range(rounds):
            first = files // 4 + i * _LOOKED_UP
            yield {"name": _NAME, "unit": "s", "better": "lower",
                   "value": look_up(mountpoint / "d0",
                                    names[first:first + _LOOKED_UP])}


def main(argv: list[str]) -> int:
    arguments = script.parse(argv, __doc__, LABEL)

    def measure() -> Iterator[dict]:
        with script.memory_folder() as folder:
            # A look is for what is wrong, not for figures of a million.
            yield from take(arguments.program.absolute(), folder,
                            _FILES // 5 if arguments.quick else _FILES,
                            3 if arguments.quick else 9)

    return script.main(arguments, "lookup_bench",
                       [_NAME] if arguments.only in _NAME else [], measure)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
