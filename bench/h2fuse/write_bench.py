#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""h2fuse --rw on HAMMER2 beside fuse2fs on ext4: the same work on empty volumes.

`untar-20K` unpacks 20,000 small files, unmounts, and waits for the server to end,
so that all is in the image; `dbench-4` is the throughput of four of dbench's
clients, `fsync-4KiB` random writes of 4 KiB, an fsync after each, by one and by
four jobs of fio; `fsync-log-4KiB` is the same with `--fsync-log`.
`longest-call` is the longest that a mkdir or an rmdir takes while fio writes and has
every 4 MiB synced. Images lie in memory (/dev/shm where there is one): what is
compared is the work of the servers, not a disk. With four jobs it is what they
share.
Needs /dev/fuse and root, which may mount without asking.
"""

import contextlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).absolute().parents[2]
if not __package__:  # run as a script: imports start at the root all the same
    sys.path[0] = str(_ROOT)

# pylint: disable=wrong-import-position
from bench.h2 import create_bench  # noqa: E402
from bench.h2fuse.h2fuse_bench import LABEL  # noqa: E402
from tools.bench import script  # noqa: E402
from tools.bench.model import OURS, BenchError  # noqa: E402

_PEER = "fuse2fs"
_LIMIT_S = 300
_IMAGE_BYTES = 2 << 30


@dataclass(frozen=True)
class Case:
    name: str
    unit: str
    run: Callable[["Mount", "Images", int], float]
    options: tuple[str, ...] = ()  # of h2fuse
    better: str = "higher"
    rounds: int = 5


class Mount:
    """A server in the foreground, on a volume that nothing is on yet."""

    def __init__(self, command: list[str], point: Path) -> None:
        self.point = point
        self._server = subprocess.Popen(
            [*command, str(self.point)], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + _LIMIT_S
        while not os.path.ismount(self.point):
            if self._server.poll() is not None or time.monotonic() > deadline:
                raise BenchError(f"{command[0]} doesn't mount")
            time.sleep(0.01)

    def end(self) -> None:
        """Unmounts, and waits until everything is in the image."""
        if self._server.poll() is None:
            subprocess.run(["umount", str(self.point)], check=True,
                           timeout=_LIMIT_S)
            self._server.wait(_LIMIT_S)


@contextlib.contextmanager
def mounted(command: list[str], point: Path) -> Iterator[Mount]:
    mount = Mount(command, point)
    try:
        yield mount
    finally:
        mount.end()


def _untar(mount: Mount, images: "Images", _seconds: int) -> float:
    archive = images.tar()
    start = time.perf_counter()
    subprocess.run(["tar", "-xf", str(archive), "-C", str(mount.point),
                    "--no-same-owner"], check=True, timeout=_LIMIT_S)
    mount.end()
    return create_bench.SMALL_FILES / (time.perf_counter() - start)


def _dbench(mount: Mount, _images: "Images", seconds: int) -> float:
    output = subprocess.run(
        ["dbench", "-t", str(seconds), "-D", str(mount.point), "4"],
        check=True, capture_output=True, text=True, timeout=_LIMIT_S).stdout
    found = re.search(r"Throughput ([0-9.]+) MB/sec", output)
    if found is None:
        raise BenchError("dbench tells no throughput")
    return float(found[1]) * 1e6


def _fsync(jobs: int) -> Callable[[Mount, "Images", int], float]:
    def run(mount: Mount, _images: "Images", seconds: int) -> float:
        output = subprocess.run(
            ["fio", "--name=w", f"--directory={mount.point}",
             f"--numjobs={jobs}", "--group_reporting", "--rw=randwrite",
             "--bs=4k", "--size=16m", "--fsync=1", "--fallocate=none",
             f"--runtime={seconds}", "--time_based", "--output-format=json"],
            check=True, capture_output=True, text=True,
            timeout=_LIMIT_S).stdout
        # fio may say something before.
        result = json.loads(output[output.index("{"):])
        return float(result["jobs"][0]["write"]["iops"])
    return run


def _longest_call(mount: Mount, _images: "Images", seconds: int) -> float:
    writer = subprocess.Popen(
        ["fio", "--name=w", f"--directory={mount.point}", "--rw=write",
         "--bs=64k", "--size=128m", "--fsync=64", "--fallocate=none",
         f"--runtime={seconds}", "--time_based"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    place = mount.point / "folder"
    longest = 0.0
    try:
        time.sleep(seconds / 5)
        until = time.perf_counter() + seconds * 3 / 5
        while (start := time.perf_counter()) < until:
            for call in (os.mkdir, os.rmdir):
                call(place)
                now = time.perf_counter()
                longest, start = max(longest, now - start), now
            time.sleep(0.0005)
    finally:
        if writer.wait(_LIMIT_S) != 0:
            raise BenchError("fio failed")
    return longest


_LOG = ("--fsync-log", "31")
_CASES = (
    Case("untar-20K", "items/s", _untar),
    Case("dbench-4", "B/s", _dbench),
    Case("fsync-4KiB", "items/s", _fsync(1)),
    Case("fsync-4KiB-four", "items/s", _fsync(4)),
    Case("longest-call", "s", _longest_call, better="lower"),
    Case("fsync-log-4KiB", "items/s", _fsync(1), _LOG),
    Case("fsync-log-4KiB-four", "items/s", _fsync(4), _LOG),
)


def record_name(case: Case, contender: str) -> str:
    return f"h2fuse/{case.name}/{contender}"


class Images:
    """An empty volume of each kind, made anew for each round."""

    def __init__(self, program: Path, work: Path) -> None:
        script.require(program, LABEL, (_PEER, "mkfs.ext4", "dbench", "fio"))
        self._program, self._work = program, work
        self.mountpoint = work / "mnt"
        self.mountpoint.mkdir()

    def tar(self) -> Path:
        """The small files of create_bench, packed once."""
        made = self._work / "tree.tar"
        if not made.exists():
            tree = self._work / "tree"
            create_bench.make_small(tree)
            subprocess.run(["tar", "-cf", str(made), "-C", str(self._work),
                            tree.name], check=True, timeout=_LIMIT_S)
            shutil.rmtree(tree)
        return made

    def command(self, contender: str, options: tuple[str, ...]) -> list[str]:
        image = self._work / f"{contender}.img"
        image.unlink(missing_ok=True)
        with image.open("wb") as file:
            file.truncate(_IMAGE_BYTES)
        if contender == OURS:
            make = [str(self._program.parent.parent / "h2/h2"), "mkfs",
                    "--label=DATA", str(image)]
            serve = [str(self._program), "--rw", "--foreground", *options,
                     str(image), "@DATA"]
        else:
            make = ["mkfs.ext4", "-q", "-F", "-N", "65536", str(image)]
            serve = [_PEER, "-f", str(image)]
        subprocess.run(make, check=True, capture_output=True, timeout=_LIMIT_S)
        return serve


def take(images: Images, cases: list[Case], quick: bool) -> Iterator[dict]:
    """A record for each round of each contender, taking turns."""
    order = random.Random(1)
    for case in cases:
        for _ in range(1 if quick else case.rounds):
            for contender in order.sample((OURS, _PEER), 2):
                with mounted(images.command(contender, case.options),
                             images.mountpoint) as mount:
                    value = case.run(mount, images, 2 if quick else 5)
                yield {"name": record_name(case, contender), "value": value,
                       "unit": case.unit, "better": case.better}


def main(argv: list[str]) -> int:
    arguments = script.parse(argv, __doc__, LABEL)
    cases = [case for case in _CASES if arguments.only in case.name]
    names = [record_name(case, contender) for case in cases
             for contender in (OURS, _PEER)]

    def measure() -> Iterator[dict]:
        with script.memory_folder() as folder:
            images = Images(arguments.program.absolute(),
                            folder)
            yield from take(images, cases, arguments.quick)

    return script.main(arguments, "write_bench", names, measure)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
