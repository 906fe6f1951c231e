# SPDX-License-Identifier: BSD-3-Clause
"""The results as one aligned table, and as JSON (schema 1)."""

from tools.bench.model import Figure
from tools.bench.results import Result

_SCALES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_TIMES = ((1e9, "s"), (1e6, "ms"), (1e3, "us"))


def format_value(value: float, unit: str) -> str:
    """Three digits or more, with the unit's usual prefix."""
    if unit == "ns":
        for size, name in _TIMES:
            if value >= size:
                return f"{_digits(value / size)} {name}"
        return f"{_digits(value)} ns"
    for size, prefix in _SCALES:
        if value >= size:
            return f"{_digits(value / size)} {prefix}{_short(unit)}"
    return f"{_digits(value)} {_short(unit)}"


def _digits(value: float) -> str:
    if value >= 99.95:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def _short(unit: str) -> str:
    return "insn" if unit == "instructions" else unit


def table(results: list[Result]) -> str:
    """One row a case, one column for each place of a peer."""
    width = max((len(result.peers) for result in results), default=0)
    heading = ["case", "ours"]
    heading += ["peer" if width == 1 else f"peer {n + 1}" for n in range(width)]
    heading += ["ratio", "spread", "goal", "met"]
    rows = [heading] + [_row(result, width) for result in results]
    left = {0, *range(2, 2 + width)}
    widths = [max(len(row[n]) for row in rows) for n in range(len(heading))]
    lines = ["  ".join(
        cell.ljust(widths[n]) if n in left else cell.rjust(widths[n])
        for n, cell in enumerate(row)).rstrip() for row in rows]
    lines.insert(1, "-" * max(len(line) for line in lines))
    return "\n".join(lines + _notes(results)) + "\n"


def _row(result: Result, width: int) -> list[str]:
    peers = [f"{peer.name} {format_value(peer.value, result.unit)}"
             for peer in result.peers]
    spread = max(result.ours.spread, result.best.spread if result.best else 0)
    met = {None: "-", True: "yes", False: "NO"}[result.met]
    return [
        result.key,
        format_value(result.ours.value, result.unit),
        *peers, *[""] * (width - len(peers)),
        "-" if result.ratio is None else f"{_digits(result.ratio)}x",
        f"{spread * 100:.1f}%",
        "-" if result.goal is None else f"{result.goal:g}x",
        met + ("?" if result.uncertain else ""),
    ]


def _notes(results: list[Result]) -> list[str]:
    goals = [result for result in results if result.met is not None]
    notes = ["", f"{sum(bool(r.met) for r in goals)} of {len(goals)} goals met"
             f"; {len(results)} case{'s' if len(results) != 1 else ''}"]
    if any(result.uncertain for result in results):
        notes.append("?: the goal lies within the spread; run it again on a "
                     "quieter machine, without --quick")
    return notes


def json_object(results: list[Result], machine: dict, commit: str) -> dict:
    return {
        "schema": 1,
        "machine": machine,
        "commit": commit,
        "results": [_json_result(result) for result in results],
    }


def _json_result(result: Result) -> dict:
    return {
        "component": result.component,
        "case": result.case,
        "unit": result.unit,
        "value": result.ours.value,
        "spread": result.ours.spread,
        "peers": [_json_peer(peer) for peer in result.peers],
        "best_peer": result.best.name if result.best else None,
        "ratio": result.ratio,
        "better": str(result.better),
        "goal": result.goal,
        "met": result.met,
    }


def _json_peer(peer: Figure) -> dict:
    return {"name": peer.name, "value": peer.value, "spread": peer.spread}
