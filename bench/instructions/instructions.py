#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Instructions of a fast path, ours beside its peers', counted by callgrind.

Each benchmark below runs twice with a fixed number of iterations; what the
longer run executes more, divided by the iterations more, is what one takes.
Counts repeat to the instruction where time is noise, but say nothing about
cache misses, locked instructions or pipelines: they stand beside the times.

Where one function of a benchmark is counted alone, what an empty one takes is
taken off; where a case has a budget, that is a contender of its own.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

_ROOT = Path(__file__).absolute().parents[2]
if not __package__:  # run as a script: imports start at the root all the same
    sys.path[0] = str(_ROOT)

# pylint: disable=wrong-import-position
from tools.bench import google  # noqa: E402
from tools.bench.model import OURS, BenchError, parse_name  # noqa: E402

# Which cases of which benchmark program, and what an iteration counts.
CASES: dict[str, dict[str, int]] = {
    "tokens_bench": {
        "tokens/exclusive": 1, "tokens/exclusive-passed": 1,
        "tokens/recursive": 1, "tokens/shared": 1,
    },
    "lwkt_bench": {
        "lwkt/switch": 2, "lwkt/switch-fiber": 2, "lwkt/life": 1,
        "lwkt/wake": 1, "lwkt/message-in-place": 1, "lwkt/message-queued": 1,
        "lwkt/message-served": 1,
    },
    "btree_bench": {
        "btree/find-hit-1K": 1, "btree/find-miss-1K": 1,
        "btree/range-100-1K": 1, "btree/scan-1K": 1000,
    },
    "objcache_bench": {"objcache/get-put": 1, "objcache/get-put-bare": 1},
    "kmalloc_bench": {
        "kmalloc/pair-constant": 1, "kmalloc/pair-run-time-64": 1,
        "kmalloc/pair-run-time-mixed": 1, "kmalloc/pair-outlined": 1,
        "kmalloc/batch-256-first-to-last": 256,
        "kmalloc/batch-256-calls": 256, "kmalloc/churn-1000": 1,
    },
}
# Instead of all of the case, functions of it: the part of the name that tells
# them, the case that each becomes, and how many instructions it may take.
FUNCTIONS: dict[str, list[tuple[str, str, int]]] = {
    "kmalloc/pair-outlined": [
        ("outlined_allocate<", "kmalloc/allocate-constant", 12),
        ("outlined_free<", "kmalloc/free-constant", 15),
    ],
}
_EMPTY = "outlined_nothing<"
BUDGET = "budget"
_FEW, _MANY = 2_000, 12_000
_TOTAL = re.compile(r"^(?:summary|totals): (\d+)", re.MULTILINE)


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, metavar="DIR",
                        default=_ROOT / "bazel-bin" / "bench",
                        help="where the benchmark programs are (default: "
                        "where Bazel puts them)")
    parser.add_argument("--quick", action="store_true",
                        help="the same: counts need no repetition")
    parser.add_argument("--records", action="store_true",
                        help="print records for tools/bench/run.py (default)")
    parser.add_argument("--list", action="store_true",
                        help="print the names of the records and stop")
    return parser.parse_args(argv)


def record_name(name: str) -> str:
    """component/case/contender of the count that stands beside `name`."""
    parsed = parse_name(name)
    return f"{parsed.key}-instructions/{parsed.contender}"


def counted(folder: Path) -> list[tuple[Path, str, int]]:
    """Program, benchmark and divisor of everything that is counted."""
    found = []
    for program, cases in CASES.items():
        binary = folder / program
        if not binary.is_file():
            raise BenchError(f"{program} is not built; run: "
                             f"bazel build --config=opt //bench:{program}")
        for name in google.list_names(binary):
            parsed = parse_name(name)
            # Another program of the system's, not a loop of instructions.
            if parsed.contender == "std-thread":
                continue
            if parsed.key in cases:
                found.append((binary, name, cases[parsed.key]))
    return found


def total(text: str) -> int:
    """All instructions, from callgrind's output file."""
    match = _TOTAL.search(text)
    if match is None:
        raise BenchError("callgrind wrote no total")
    return int(match[1])


def run(binary: Path, name: str, iterations: int,
        function: str | None = None) -> int:
    """Instructions of a whole run, or of one function and what it calls."""
    only = [] if function is None else ["--collect-atstart=no",
                                        f"--toggle-collect=*{function}*"]
    with tempfile.TemporaryDirectory(prefix="odo-callgrind-") as folder:
        output = Path(folder, "out")
        environment = dict(os.environ, ODO_BENCH_ITERATIONS=str(iterations))
        escaped = re.sub(r"([\\.\[\](){}*+?^$|])", r"\\\1", name)
        try:
            result = subprocess.run(
                ["valgrind", "--tool=callgrind", "--quiet", *only,
                 f"--callgrind-out-file={output}", str(binary),
                 f"--benchmark_filter=^{escaped}(/|$)"],
                capture_output=True, text=True, stdin=subprocess.DEVNULL,
                env=environment, check=False, timeout=300)
        except FileNotFoundError as error:
            raise BenchError("valgrind is missing; ./odo setup installs "
                             "it") from error
        if result.returncode != 0 or not output.is_file():
            raise BenchError(f"{name}: valgrind exited with "
                             f"{result.returncode}: "
                             f"{result.stderr.strip()[-200:]}")
        return total(output.read_text())


def each(binary: Path, name: str, function: str | None = None) -> float:
    """Of one iteration."""
    more = (run(binary, name, _MANY, function)
            - run(binary, name, _FEW, function))
    return more / (_MANY - _FEW)


def records(binary: Path, name: str, divisor: int,
            ) -> Iterator[tuple[str, Callable[[], float]]]:
    """The names of a benchmark's records, and what counts each."""
    parsed = parse_name(name)
    functions = FUNCTIONS.get(parsed.key)
    if functions is None:
        yield record_name(name), lambda: each(binary, name) / divisor
        return
    for function, case, budget in functions:
        own = f"{case}/{parsed.contender}"
        yield record_name(own), lambda function=function: (
            each(binary, name, function) - each(binary, name, _EMPTY))
        if parsed.contender == OURS:
            yield (record_name(f"{case}/{BUDGET}"),
                   lambda budget=budget: float(budget))


def main(argv: list[str]) -> int:
    arguments = parse(argv)
    try:
        for binary, name, divisor in counted(arguments.folder):
            for record, count in records(binary, name, divisor):
                if arguments.list:
                    print(record)
                    continue
                print(json.dumps({"name": record, "value": round(count(), 2),
                                  "unit": "instructions", "better": "lower"}),
                      flush=True)
    except (BenchError, subprocess.TimeoutExpired) as error:
        print(f"instructions: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
