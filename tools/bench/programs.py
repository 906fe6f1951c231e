# SPDX-License-Identifier: BSD-3-Clause
"""Whole-program benchmarks: programs that print one JSON record a line.

`PROGRAM --list` prints the full names, one a line, and measures nothing.
`PROGRAM --records [--quick]` measures, and prints for every repetition of
every contender
    {"name": "component/case/contender", "value": 1.0, "unit": "instructions",
     "better": "lower"}
Both exit with 0; with another status the last line of stderr is the reason.
"""

import json
import subprocess
from pathlib import Path

from tools.bench.model import BenchError, Better, Sample, parse_name

_KEYS = {"name", "value", "unit", "better"}


def list_names(program: Path) -> list[str]:
    return [line for line in _run([str(program), "--list"]).splitlines()
            if line]


def run(program: Path, quick: bool) -> list[Sample]:
    output = _run([str(program), "--records"] + (["--quick"] if quick else []))
    return parse_records(output)


def parse_records(text: str) -> list[Sample]:
    samples = []
    for line in filter(None, text.splitlines()):
        try:
            record = json.loads(line)
        except ValueError as error:
            raise BenchError(f"not a JSON record: {line[:80]}") from error
        if not isinstance(record, dict) or set(record) != _KEYS:
            raise BenchError(f"a record has exactly the keys "
                             f"{', '.join(sorted(_KEYS))}: {line[:80]}")
        if record["better"] not in list(Better):
            raise BenchError(f"`better` is lower or higher: {line[:80]}")
        if isinstance(record["value"], bool) or not isinstance(
                record["value"], (int, float)):
            raise BenchError(f"`value` is a number: {line[:80]}")
        samples.append(Sample(parse_name(str(record["name"])),
                              float(record["value"]), str(record["unit"]),
                              Better(record["better"])))
    return samples


def _run(command: list[str]) -> str:
    try:
        result = subprocess.run(command, capture_output=True, text=True,
                                stdin=subprocess.DEVNULL, check=False)
    except OSError as error:
        raise BenchError(f"{command[0]}: {error.strerror}") from error
    if result.returncode != 0:
        lines = result.stderr.strip().splitlines()
        raise BenchError(lines[-1] if lines else
                         f"{Path(command[0]).name} exited with "
                         f"{result.returncode}")
    return result.stdout
