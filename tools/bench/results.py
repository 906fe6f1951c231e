# SPDX-License-Identifier: BSD-3-Clause
"""From samples to results: ours beside each peer, the ratio and the goal."""

import dataclasses

from tools.bench import goals as goal_file
from tools.bench.model import (OURS, BenchError, Better, Figure, Sample,
                               summarise)


@dataclasses.dataclass(frozen=True)
class Result:
    """One case. `ratio` is ours against the best peer; above 1 ours wins."""
    component: str
    case: str
    unit: str
    better: Better
    ours: Figure
    peers: tuple[Figure, ...]
    best: Figure | None
    ratio: float | None
    goal: float | None

    @property
    def key(self) -> str:
        return f"{self.component}/{self.case}"

    @property
    def met(self) -> bool | None:
        if self.goal is None or self.ratio is None:
            return None
        return self.ratio >= self.goal

    @property
    def uncertain(self) -> bool:
        """The goal lies inside the spread: noise may have decided."""
        if self.goal is None or self.ratio is None or self.best is None:
            return False
        width = (self.ours.spread + self.best.spread) / 2
        return abs(self.ratio - self.goal) < self.ratio * width


def check_contenders(key: str, contenders: list[str],
                     goals: list[goal_file.Goal]) -> None:
    """Refuses a case that would measure something beside nothing."""
    if OURS not in contenders:
        raise BenchError(f"{key}: no contender is called `{OURS}`")
    goal = goal_file.find(goals, key)
    exempt = goal is not None and goal.exempt is not None
    if set(contenders) == {OURS} and not exempt:
        raise BenchError(f"{key}: no benchmark without its peer; add one, or "
                         'an "exempt" reason to the goals')
    if set(contenders) != {OURS} and exempt:
        raise BenchError(f"{key}: has a peer, but the goals exempt it")


def make_result(samples: list[Sample], goals: list[goal_file.Goal]) -> Result:
    """Sums up every sample of one case."""
    first = samples[0]
    key = first.name.key
    values: dict[str, list[float]] = {}
    for sample in samples:
        if (sample.unit, sample.better) != (first.unit, first.better):
            raise BenchError(f"{key}: its contenders differ in unit: "
                             f"{first.unit} and {sample.unit}")
        values.setdefault(sample.name.contender, []).append(sample.value)
    check_contenders(key, list(values), goals)
    ours = summarise(OURS, values.pop(OURS))
    peers = tuple(summarise(name, values[name]) for name in sorted(values))
    goal = goal_file.find(goals, key)
    if goal is not None and goal.better not in (None, first.better):
        raise BenchError(f"{key}: the goal says that {goal.better} is better, "
                         f"but for {first.unit} {first.better} is")
    best = ratio = None
    if peers and first.better is Better.LOWER:
        best = min(peers, key=lambda peer: peer.value)
        ratio = best.value / ours.value
    elif peers:
        best = max(peers, key=lambda peer: peer.value)
        ratio = ours.value / best.value
    return Result(first.name.component, first.name.case, first.unit,
                  first.better, ours, peers, best, ratio,
                  goal.ratio if goal else None)
