# SPDX-License-Identifier: BSD-3-Clause
"""What a benchmark program's tests look at: the names of its records."""

import contextlib
import io
from collections.abc import Callable
from pathlib import Path

from tools.bench import goals
from tools.bench.model import BenchError, parse_name

_GOALS = Path("bench/goals.json")


def contenders(main: Callable[[list[str]], int]) -> dict[str, set[str]]:
    """Who has part in each case that `main` lists; each has a goal."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        if main(["--list"]) != 0:
            raise BenchError("--list fails")
    wanted = goals.load(_GOALS)
    found: dict[str, set[str]] = {}
    for line in output.getvalue().split():
        name = parse_name(line)
        if goals.find(wanted, name.key) is None:
            raise BenchError(f"{name.key} has no goal")
        found.setdefault(name.key, set()).add(name.contender)
    return found
