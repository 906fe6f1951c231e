# SPDX-License-Identifier: BSD-3-Clause
"""What every part of the runner talks about: names, samples, contenders."""

import dataclasses
import enum
import math
import re
import statistics

OURS = "ours"


class BenchError(Exception):
    """A run, a file or a name that can't be used; the text says why."""


class Better(enum.StrEnum):
    """Which way a unit improves."""
    LOWER = "lower"
    HIGHER = "higher"


@dataclasses.dataclass(frozen=True)
class Name:
    """`component/case/contender`, and what Google Benchmark adds to it.

    `threads` belongs to the case: the same work with more threads is another
    case, written `component/case/threads:N`.
    """
    component: str
    case: str
    contender: str
    threads: int = 1

    @property
    def key(self) -> str:
        return f"{self.component}/{self.case}"


_PART = r"[A-Za-z0-9][A-Za-z0-9_.+-]*"
_NAME = re.compile(
    rf"(?P<component>{_PART})/(?P<case>{_PART})/(?P<contender>{_PART})"
    r"(?:/(?:iterations:\d+|repeats:\d+|min_time:[\d.]+"
    r"|min_warmup_time:[\d.]+|process_time|real_time|manual_time))*"
    r"(?:/threads:(?P<threads>\d+))?")


def parse_name(text: str) -> Name:
    match = _NAME.fullmatch(text)
    if not match:
        raise BenchError(f"{text}: a benchmark's name has the form "
                         "component/case/contender")
    threads = int(match["threads"] or 1)
    suffix = f"/threads:{threads}" if match["threads"] else ""
    return Name(match["component"], match["case"] + suffix,
                match["contender"], threads)


@dataclasses.dataclass(frozen=True)
class Sample:
    """One repetition's figure for one contender."""
    name: Name
    value: float
    unit: str
    better: Better

    def __post_init__(self) -> None:
        if not math.isfinite(self.value) or self.value <= 0:
            raise BenchError(f"{self.name.key}/{self.name.contender}: "
                             f"{self.value} is not a positive number")


@dataclasses.dataclass(frozen=True)
class Figure:
    """One contender's repetitions, summed up."""
    name: str
    value: float
    spread: float


def percentile(values: list[float], fraction: float) -> float:
    """By linear interpolation between the two nearest ranks."""
    ordered = sorted(values)
    position = fraction * (len(ordered) - 1)
    low = math.floor(position)
    high = math.ceil(position)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def summarise(contender: str, values: list[float]) -> Figure:
    """The median, and (p90 - p10) / median as the spread."""
    middle = statistics.median(values)
    width = percentile(values, 0.9) - percentile(values, 0.1)
    return Figure(contender, middle, width / middle)
