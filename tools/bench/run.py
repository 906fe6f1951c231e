#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs benchmarks beside their peers and prints one table.

This is what `./odo bench` calls once it has built the binaries. It knows two
kinds: Google Benchmark binaries, and programs that print records themselves.
"""

import argparse
import dataclasses
import json
import os
import re
import sys
import time
from pathlib import Path

_ROOT = Path(__file__).absolute().parents[2]
if not __package__:  # run as a script: imports start at the root all the same
    sys.path[0] = str(_ROOT)

# pylint: disable=wrong-import-position
from tools.bench import goals, google, machine, programs, report  # noqa: E402
from tools.bench.model import BenchError, Sample, parse_name  # noqa: E402
from tools.bench.results import (Result, check_contenders,  # noqa: E402
                                 make_result)


@dataclasses.dataclass
class Case:
    """What will run: one case of one binary or program."""
    key: str
    source: Path
    is_program: bool
    names: list[str]


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./odo bench",
        description="Run the benchmarks beside their peers and print one "
        "table (docs/benchmarks.md explains its columns).")
    parser.add_argument("--filter", default="", metavar="RE", type=_expression,
                        help="only cases whose component/case this regular "
                        "expression matches somewhere")
    parser.add_argument("--quick", action="store_true",
                        help="measure less: for a first look, not for a claim")
    parser.add_argument("--json", metavar="FILE",
                        help="write the results there as JSON too")
    parser.add_argument("--binaries", nargs="*", default=[], type=Path,
                        metavar="FILE", help="Google Benchmark binaries "
                        "(./odo gives them)")
    parser.add_argument("--programs", nargs="*", default=[], type=Path,
                        metavar="FILE", help="programs that print records "
                        "(./odo gives them)")
    parser.add_argument("--goals", type=Path, metavar="FILE",
                        default=_ROOT / "bench" / "goals.json",
                        help="the goals (default: bench/goals.json)")
    arguments = parser.parse_args(argv)
    if not arguments.binaries and not arguments.programs:
        parser.error("nothing to run: give --binaries or --programs")
    return arguments


def _expression(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(
            f"{text}: not a regular expression: {error}") from error


def collect(binaries: list[Path], record_programs: list[Path],
            wanted: re.Pattern[str]) -> list[Case]:
    """The cases that `wanted` matches, sorted by name.

    A case lives in one binary or program: contenders that do not run together
    are not measured under the same conditions.
    """
    cases: dict[str, Case] = {}
    sources = [(path, False) for path in binaries]
    sources += [(path, True) for path in record_programs]
    for source, is_program in sources:
        kind = programs if is_program else google
        for name in kind.list_names(source.resolve()):
            key = parse_name(name).key
            case = cases.setdefault(
                key, Case(key, source.resolve(), is_program, []))
            if case.source != source.resolve():
                raise BenchError(f"{key}: is in {case.source.name} and in "
                                 f"{source.name}; its contenders have to run "
                                 "together")
            if name in case.names:
                raise BenchError(f"{name}: is there twice")
            case.names.append(name)
    return [cases[key] for key in sorted(cases) if wanted.search(key)]


class Progress:
    """One line on stderr that says what runs, if that is a terminal."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._start = time.monotonic()
        self._shown = sys.stderr.isatty()

    def next(self, what: str) -> None:
        self._done += 1
        if self._shown:
            passed = int(time.monotonic() - self._start)
            sys.stderr.write(f"\r\033[K[{self._done}/{self._total}] "
                             f"{passed // 60}:{passed % 60:02} {what}")
            sys.stderr.flush()

    def end(self) -> None:
        if self._shown:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()


def measure(cases: list[Case], quick: bool, wanted_goals: list[goals.Goal]
            ) -> tuple[list[Result], list[str]]:
    """Runs them all; a case that fails does not keep the others from it."""
    results: list[Result] = []
    failures: list[str] = []
    by_program: dict[Path, list[Sample]] = {}
    broken: set[Path] = set()
    progress = Progress(len(cases))
    for case in cases:
        progress.next(case.key)
        if case.source in broken:
            continue
        try:
            if not case.is_program:
                samples = google.run_case(
                    case.source, case.names,
                    google.QUICK if quick else google.FULL)
            else:
                if case.source not in by_program:
                    broken.add(case.source)
                    by_program[case.source] = programs.run(case.source, quick)
                    broken.discard(case.source)
                samples = [s for s in by_program[case.source]
                           if s.name.key == case.key]
            listed = {parse_name(name).contender for name in case.names}
            if listed != {sample.name.contender for sample in samples}:
                raise BenchError("not every listed contender has a figure")
            results.append(make_result(samples, wanted_goals))
        except BenchError as error:
            failures.append(f"{case.key}: {error}")
    progress.end()
    return results, failures


def bench(arguments: argparse.Namespace) -> int:
    output = None
    if arguments.json:
        # Relative to the caller's folder: ./odo itself moves to the root.
        output = Path(os.environ.get("ODO_CALLER_DIR", "."), arguments.json)
        if not output.parent.is_dir():
            raise BenchError(f"--json {arguments.json}: there is no folder "
                             f"{Path(arguments.json).parent}")
    wanted_goals = goals.load(arguments.goals)
    cases = collect(arguments.binaries, arguments.programs, arguments.filter)
    if not cases:
        raise BenchError(f"no case matches {arguments.filter.pattern!r}; "
                         "without --filter all of them run")
    for case in cases:
        check_contenders(case.key, [parse_name(n).contender
                                    for n in case.names], wanted_goals)
    results, failures = measure(cases, arguments.quick, wanted_goals)
    if results:
        print(report.table(results), end="")
    if output:
        data = report.json_object(results, machine.describe(
            arguments.binaries), machine.commit())
        output.write_text(json.dumps(data, indent=1) + "\n")
    for failure in failures:
        print(f"odo: {failure}", file=sys.stderr)
    return 1 if failures else 0


def main(argv: list[str]) -> int:
    arguments = parse(argv)
    try:
        return bench(arguments)
    except (BenchError, OSError) as error:
        print(f"odo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
