# SPDX-License-Identifier: BSD-3-Clause
"""bench/goals.json: what each case has to reach, or why it has no peer.

    {"codec/lz4-.*": {"ratio": 0.8, "better": "higher"},
     "lwkt/spawn": {"exempt": "nothing else starts a thread this way"}}

The key is a regular expression over the whole of `component/case`.
"""

import dataclasses
import json
import re
from pathlib import Path

from tools.bench.model import BenchError, Better


@dataclasses.dataclass(frozen=True)
class Goal:
    """One entry. `better` guards against a goal meant for another unit."""
    pattern: re.Pattern[str]
    ratio: float | None = None
    better: Better | None = None
    exempt: str | None = None


def load(path: Path) -> list[Goal]:
    try:
        return parse(path.read_text())
    except OSError as error:
        raise BenchError(f"{path}: {error.strerror}") from error
    except BenchError as error:
        raise BenchError(f"{path}: {error}") from error


def parse(text: str) -> list[Goal]:
    try:
        entries = json.loads(text)
    except ValueError as error:
        raise BenchError(f"not JSON: {error}") from error
    if not isinstance(entries, dict):
        raise BenchError("not an object of goals")
    return [_goal(key, entry) for key, entry in entries.items()]


def _goal(key: str, entry: object) -> Goal:
    try:
        pattern = re.compile(key)
    except re.error as error:
        raise BenchError(f"{key}: not a regular expression: {error}") from error
    if isinstance(entry, dict):
        reason = entry.get("exempt")
        if set(entry) == {"exempt"} and isinstance(reason, str) and (
                reason.strip()):
            return Goal(pattern, exempt=reason)
        ratio = entry.get("ratio")
        better = entry.get("better")
        if (set(entry) == {"ratio", "better"} and better in list(Better)
                and isinstance(ratio, (int, float)) and ratio > 0):
            return Goal(pattern, float(ratio), Better(better))
    raise BenchError(f'{key}: give {{"ratio": R, "better": "lower" or '
                     '"higher"}, or {"exempt": "the reason"}')


def find(goals: list[Goal], key: str) -> Goal | None:
    found = [goal for goal in goals if goal.pattern.fullmatch(key)]
    if len(found) > 1:
        names = ", ".join(goal.pattern.pattern for goal in found)
        raise BenchError(f"{key}: more than one goal matches: {names}")
    return found[0] if found else None
