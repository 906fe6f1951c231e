# SPDX-License-Identifier: BSD-3-Clause
"""Google Benchmark binaries: what they hold, and one case run at a time.

Each case gets processes of its own, in which its contenders' repetitions are
interleaved at random: whatever disturbs the machine meanwhile disturbs all of
them. Several launches, because the layout of memory differs between launches
and stays put inside one.
"""

import contextlib
import dataclasses
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tools.bench.model import BenchError, Better, Sample, parse_name

_NS = {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9}


@dataclasses.dataclass(frozen=True)
class Effort:
    """How long to measure."""
    launches: int
    repetitions: int
    min_time_s: float
    warm_up_s: float


QUICK = Effort(launches=1, repetitions=5, min_time_s=0.05, warm_up_s=0.02)
FULL = Effort(launches=3, repetitions=5, min_time_s=0.2, warm_up_s=0.1)


def list_names(binary: Path) -> list[str]:
    """The names of its benchmarks as the binary writes them."""
    output = _run([str(binary), "--benchmark_list_tests=true"])
    return [line for line in output.splitlines() if line]


def filter_for(names: list[str]) -> str:
    """A POSIX extended expression that matches exactly these names."""
    escaped = [re.sub(r"([\\.\[\](){}*+?^$|])", r"\\\1", n) for n in names]
    return f"^({'|'.join(escaped)})$"


def run_case(binary: Path, names: list[str], effort: Effort) -> list[Sample]:
    """The repetitions of one case's contenders, from every launch."""
    one_cpu = all(parse_name(name).threads == 1 and not _is_wall(name)
                  for name in names)
    samples: list[Sample] = []
    for _ in range(effort.launches):
        with tempfile.TemporaryDirectory(prefix="odo-bench-") as folder:
            report = Path(folder, "report.json")
            with _pinned(one_cpu):
                _run([
                    str(binary),
                    f"--benchmark_filter={filter_for(names)}",
                    "--benchmark_enable_random_interleaving=true",
                    f"--benchmark_repetitions={effort.repetitions}",
                    f"--benchmark_min_time={effort.min_time_s}",
                    f"--benchmark_min_warmup_time={effort.warm_up_s}",
                    f"--benchmark_out={report}",
                    "--benchmark_out_format=json",
                ])
            samples += parse_report(report.read_text())
    return samples


def parse_report(text: str) -> list[Sample]:
    """The repetitions in Google Benchmark's JSON, without its aggregates."""
    try:
        entries = json.loads(text)["benchmarks"]
    except (ValueError, KeyError, TypeError) as error:
        raise BenchError("not a Google Benchmark report") from error
    samples = []
    for entry in entries:
        name = entry.get("run_name", entry["name"])
        if entry.get("error_occurred"):
            raise BenchError(f"{name}: {entry.get('error_message')}")
        if entry["run_type"] == "iteration":
            samples.append(_sample(name, entry))
    return samples


def _is_wall(name: str) -> bool:
    """Does it measure wall-clock time? Then it has threads of its own."""
    return "/real_time" in name or "/manual_time" in name


def _sample(name: str, entry: dict) -> Sample:
    """A rate or a size if the benchmark states one, else an iteration's time."""
    parsed = parse_name(name)
    for counter, unit in (("bytes_per_second", "B/s"),
                          ("items_per_second", "items/s")):
        if counter in entry:
            return Sample(parsed, float(entry[counter]), unit, Better.HIGHER)
    if "bytes" in entry:  # what something takes, not how fast
        return Sample(parsed, float(entry["bytes"]), "B", Better.LOWER)
    time = entry["real_time"] if _is_wall(name) else entry["cpu_time"]
    return Sample(parsed, float(time) * _NS[entry["time_unit"]], "ns",
                  Better.LOWER)


@contextlib.contextmanager
def _pinned(wanted: bool) -> Iterator[None]:
    """Children started meanwhile stay on one CPU, the last that we may use."""
    before = os.sched_getaffinity(0)
    if not wanted:
        yield
        return
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _run(command: list[str]) -> str:
    try:
        result = subprocess.run(command, capture_output=True, text=True,
                                stdin=subprocess.DEVNULL, check=False)
    except OSError as error:
        raise BenchError(f"{command[0]}: {error.strerror}") from error
    if result.returncode != 0:
        raise BenchError(f"{Path(command[0]).name} exited with "
                         f"{result.returncode}: {result.stderr.strip()[-400:]}")
    return result.stdout
