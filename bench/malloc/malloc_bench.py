#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""One program's malloc loads under our allocator and under its peers.

malloc_load runs one load a process; each allocator comes to it by LD_PRELOAD,
glibc's is what it has without. Times are by operations, one allocation and one
release: CPU time where one thread runs, else wall-clock time. Peaks are those
of the whole process.

A virtual machine's CPUs are now near each other and now far apart. So loads on
two threads run more often and shorter, and only those runs count around which
a message between the CPUs took the same time under all allocators.
"""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).absolute().parents[2]
if not __package__:  # run as a script: imports start at the root all the same
    sys.path[0] = str(_ROOT)

# pylint: disable=wrong-import-position
from bench.malloc import allocators, rounds  # noqa: E402
from bench.malloc.allocators import Allocator  # noqa: E402
from bench.malloc.rounds import Load, Record  # noqa: E402
from tools.bench.model import OURS, BenchError  # noqa: E402

LABEL = "//bench/malloc:malloc_load"
# Loads with enough memory in use for a peak to say something.
_PEAKS = ("larson", "xmalloc", "sh6", "sh8")
_THREADED = re.compile("producer-consumer|larson|xmalloc|sh8|scaling")
_THREADED_TIMES = 2
# The same function on one and on two threads: not cases by these names.
_ONE, _TWO = "scaling-1", "scaling-2"
_TIMEOUT_S = 300
_ROUNDS, _QUICK_ROUNDS = 9, 3
_QUICK_PERCENT = 25


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--load", type=Path, metavar="FILE",
                        default=_ROOT / "bazel-bin/bench/malloc/malloc_load",
                        help="the program (default: where Bazel puts it)")
    rounds.add_arguments(parser)
    return parser.parse_args(argv)


def run(program: Path, case: str, percent: int, allocator: Allocator) -> dict:
    """One process; its answer, once its allocator is proved to be ours."""
    what = f"{case} under {allocator.contender}"
    try:
        result = subprocess.run(
            [str(program), "--case", case, "--percent", str(percent)],
            capture_output=True, text=True, stdin=subprocess.DEVNULL,
            env=allocator.environment(), check=False, timeout=_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{what}: not done within {_TIMEOUT_S} s") from error
    allocators.check_preloaded(result.stderr)
    if result.returncode != 0:
        last = result.stderr.strip().splitlines()[-1:]
        raise BenchError(f"{what}: exited with {result.returncode}"
                         + "".join(f": {line}" for line in last))
    answer = json.loads(result.stdout)
    if answer["allocator"] != allocator.file_name:
        raise BenchError(f"{what}: malloc comes from {answer['allocator']}, "
                         f"not from {allocator.file_name}")
    return answer


def records(case: str, contender: str, answer: dict) -> list[Record]:
    """What a run of `case` says, as records."""
    # Where one thread runs, what others do to its CPU doesn't matter.
    clock = "seconds" if _THREADED.search(case) else "cpu_seconds"
    each_ns = answer[clock] * 1e9 / answer["operations"]
    key = f"malloc/{case}"
    if case in (_ONE, _TWO):
        # How ours scales is no comparison between allocators; two threads are.
        found = []
        if contender == OURS:
            found.append(Record("malloc/scaling",
                                OURS if case == _TWO else "one-thread",
                                1e9 / each_ns, "items/s"))
        if case == _TWO:
            found.append(Record("malloc/two-threads", contender,
                                1e9 / each_ns, "items/s"))
        return found
    found = [Record(key, contender, each_ns, "ns")]
    if case in _PEAKS:
        found.append(Record(f"{key}-peak", contender,
                            answer["peak_kib"] * 1024, "B"))
    return found


def record_names(case: str) -> list[str]:
    if case == _ONE:
        return rounds.names("malloc/scaling", "one-thread")
    if case == _TWO:
        return rounds.names("malloc/two-threads")
    found = rounds.names(f"malloc/{case}")
    if case in _PEAKS:
        found += rounds.names(f"malloc/{case}-peak")
    return found


def loads(program: Path, percent: int) -> list[Load]:
    if not program.is_file():
        raise BenchError(f"{program.name} is not built; run: "
                         f"bazel build --config=opt {LABEL}")

    def answer(flag: str) -> str:
        return subprocess.run([str(program), flag], capture_output=True,
                              text=True, check=True, timeout=_TIMEOUT_S).stdout

    def load(case: str) -> Load:
        threaded = _THREADED.search(case)
        amount = _QUICK_PERCENT if threaded else percent
        return Load(
            case, record_names(case),
            lambda allocator: records(case, allocator.contender, run(
                program, case, amount, allocator)),
            times=_THREADED_TIMES if threaded else 1,
            condition=(lambda: float(answer("--round-trip"))) if threaded
            else None)

    return [load(case) for case in answer("--list").split()]


def main(argv: list[str]) -> int:
    arguments = parse(argv)
    try:
        percent = _QUICK_PERCENT if arguments.quick else 100
        return rounds.main(arguments,
                           loads(arguments.load.absolute(), percent),
                           _QUICK_ROUNDS if arguments.quick else _ROUNDS)
    except (BenchError, OSError, subprocess.SubprocessError) as error:
        print(f"malloc_bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
