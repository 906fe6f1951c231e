# SPDX-License-Identifier: BSD-3-Clause
"""Rounds of loads under every allocator, as records or as a table.

What the two programs in this folder share: their command line, the order in
which loads run, and what becomes of the figures.
"""

import argparse
import dataclasses
import json
import random
import re
import sys
from collections.abc import Callable
from pathlib import Path

from bench.malloc import allocators
from bench.malloc.allocators import Allocator
from tools.bench import report
from tools.bench.model import OURS, BenchError, Figure, summarise


@dataclasses.dataclass(frozen=True)
class Record:
    """One figure of one contender; less is better unless it is a rate."""
    case: str
    contender: str
    value: float
    unit: str

    @property
    def name(self) -> str:
        return f"{self.case}/{self.contender}"

    def line(self) -> str:
        better = "higher" if self.unit.endswith("/s") else "lower"
        return json.dumps({"name": self.name, "value": self.value,
                           "unit": self.unit, "better": better})


@dataclasses.dataclass(frozen=True)
class Load:
    """Something to run under an allocator, and the records it will give."""
    name: str
    names: list[str]
    run: Callable[[Allocator], list[Record]]
    # How often in each round.
    times: int = 1
    # Looked at before and after all allocators have run: where it has changed
    # by more than a quarter, they didn't run under the same conditions.
    condition: Callable[[], float] | None = None


_CHANGED = 1.25
_TRIES = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--ours", type=Path, metavar="FILE",
                        default=allocators.OUR_LIBRARY,
                        help="our preload library (default: where Bazel puts "
                        "it)")
    parser.add_argument("--only", default="", metavar="RE", type=re.compile,
                        help="only loads whose name this regular expression "
                        "matches somewhere")
    parser.add_argument("--rounds", type=int, default=0, metavar="N",
                        help="runs of each load under each allocator")
    parser.add_argument("--quick", action="store_true",
                        help="measure less: for a first look")
    parser.add_argument("--records", action="store_true",
                        help="print records for tools/bench/run.py")
    parser.add_argument("--list", action="store_true",
                        help="print the names of the records and stop")


def take(loads: list[Load], contenders: list[Allocator], rounds: int
         ) -> list[Record]:
    """Every load under every allocator, `rounds` times.

    All allocators run a load one right after the other, each round in another
    order: what disturbs the machine for longer than a run hits all of them.
    """
    # The order repeats from run to run; the figures don't depend on secrets.
    order = random.Random(1)
    records = []
    for turn in range(rounds):
        for load in loads:
            _progress(f"round {turn + 1} of {rounds}: {load.name}")
            for _ in range(load.times):
                records += _under_one_condition(load, contenders, order)
    _progress("")
    return records


def _under_one_condition(load: Load, contenders: list[Allocator],
                         order: random.Random) -> list[Record]:
    """One run under each; given up and repeated while conditions change."""
    records: list[Record] = []
    for _ in range(_TRIES):
        before = load.condition() if load.condition else 1.0
        records = []
        for allocator in order.sample(contenders, len(contenders)):
            records += load.run(allocator)
        after = load.condition() if load.condition else 1.0
        if max(before, after) <= _CHANGED * min(before, after):
            break
    return records


def _progress(what: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{what}")
        sys.stderr.flush()


def table(records: list[Record]) -> str:
    """Medians and spreads, one row a case, one column a contender."""
    values: dict[str, dict[str, list[float]]] = {}
    units = {record.case: record.unit for record in records}
    columns: dict[str, None] = {}
    for record in records:
        case = values.setdefault(record.case, {})
        case.setdefault(record.contender, []).append(record.value)
        columns[record.contender] = None
    wanted = [name for name in [*allocators.contenders(), *sorted(columns)]
              if name in columns]
    wanted = list(dict.fromkeys(wanted))
    rows = [["case", *wanted]]
    for case, found in values.items():
        rows.append([case] + [
            _cell(summarise(name, found[name]), units[case])
            if name in found else "-" for name in wanted])
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return "".join("  ".join(
        [row[0].ljust(widths[0])]
        + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
    ).rstrip() + "\n" for row in rows)


def _cell(figure: Figure, unit: str) -> str:
    value = report.format_value(figure.value, unit)
    return f"{value} ~{figure.spread * 100:.0f}%"


def main(arguments: argparse.Namespace, loads: list[Load], rounds: int) -> int:
    """Lists, or measures and prints. `rounds` where none are asked for."""
    loads = [load for load in loads if arguments.only.search(load.name)]
    if not loads:
        raise BenchError(f"no load matches {arguments.only.pattern!r}")
    if arguments.list:
        for name in dict.fromkeys(n for load in loads for n in load.names):
            print(name)
        return 0
    found = allocators.peers()
    try:
        found.append(allocators.our_own(arguments.ours))
    except BenchError as error:
        # A record without ours would be no comparison. For a reader, the
        # peers' figures are worth something alone.
        if arguments.records:
            raise
        print(f"{error}; the peers alone:", file=sys.stderr)
    records = take(loads, found, arguments.rounds or rounds)
    if arguments.records:
        print("".join(record.line() + "\n" for record in records), end="")
    else:
        print(table(records), end="")
    return 0


def names(case: str, own: str = "") -> list[str]:
    """The full names of a case under every allocator; with `own`, of a case
    that is only about ours and has this peer."""
    if own:
        return [f"{case}/{OURS}", f"{case}/{own}"]
    return [f"{case}/{contender}" for contender in allocators.contenders()]
