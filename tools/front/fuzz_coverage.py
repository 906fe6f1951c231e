# SPDX-License-Identifier: BSD-3-Clause
"""Which lines of the code that reads media the fuzzers' corpora reach.

Every line that isn't reached must be named in fuzz/coverage_exceptions.json,
with the reason; one that is named there and reached, or isn't there any more,
is a mistake too, so that the list can't rot.
"""

import bisect
import json
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from tools.front import bazel

LEAST_PERCENT = 97.0
_EXCEPTIONS = Path("fuzz/coverage_exceptions.json")
_COUNTED = re.compile(r"lib/(hammer2|codec|check)/(?!testing/|write/).*\.h$")

# How often each line of each file was run.
Lines = dict[str, dict[int, int]]


def counted(path: str) -> bool:
    """Whether a file belongs to the reading side."""
    return _COUNTED.match(path) is not None


class _Section:
    """What one program has to say of one file."""

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.starts: dict[str, int] = {}  # first lines of functions
        self.called: set[int] = set()  # of these, of functions that ran

    def add(self, kind: str, values: list[str]) -> None:
        if kind == "FN":
            self.starts[values[-1]] = int(values[0])
        elif kind == "FNDA" and int(values[0]) > 0:
            self.called.add(self.starts[values[1]])
        elif kind == "DA":
            line, count = int(values[0]), int(values[1])
            self.counts[line] = max(self.counts.get(line, 0), count)


def _sections(text: str) -> dict[str, list[_Section]]:
    sections: dict[str, list[_Section]] = defaultdict(list)
    section = None
    for record in text.splitlines():
        kind, _, rest = record.partition(":")
        if kind == "SF":
            found = re.search(r"(?:^|/)(lib/.*)$", rest)
            path = found.group(1) if found else rest
            section = _Section()
            if counted(path):
                sections[path].append(section)
        elif section is not None and rest:
            section.add(kind, rest.split(","))
    return sections


def _join(sections: list[_Section]) -> dict[int, int]:
    """Each line's best count. Of a function that a program doesn't call, it
    knows only where it begins and ends: that makes no lines of what those that
    call it don't count as such."""
    starts = sorted({start for section in sections
                     for start in section.starts.values()})
    lines: dict[int, int] = {}
    for line in sorted({n for section in sections for n in section.counts}):
        at = bisect.bisect_right(starts, line)
        start = starts[at - 1] if at else 0
        callers = [s for s in sections if start in s.called]
        counts = [s.counts[line] for s in callers or sections
                  if line in s.counts]
        best = max([*counts, *(s.counts.get(line, 0) for s in sections)])
        if counts or best:
            lines[line] = best
    return lines


def parse_lcov(text: str) -> Lines:
    """Of the reading side's files, each line's best count in any program."""
    return {path: _join(sections)
            for path, sections in _sections(text).items()}


def unexplained(lines: Lines, exceptions: list[dict],
                text_of: dict[str, list[str]]) -> list[str]:
    """Complaints: lines without a reason, and reasons without a line.

    An exception names a file, the text of its first line and how many lines
    it is about; without a line, all that isn't reached in the file. One that
    depends on the machine may be without a line on another.
    """
    missing = {(path, number) for path, counts in lines.items()
               for number, count in counts.items() if count == 0}
    left = set(missing)
    complaints = []
    for exception in exceptions:
        path = exception["file"]
        covered: set[tuple[str, int]] = set()
        if "line" in exception:
            for number, text in enumerate(text_of.get(path, []), 1):
                if text.strip() == exception["line"]:
                    last = number + exception.get("count", 1)
                    covered |= {(path, n) for n in range(number, last)}
        else:
            covered = {key for key in missing if key[0] == path}
        if not covered & missing and "machine" not in exception:
            what = exception.get("line", "the whole file")
            complaints.append(f"{_EXCEPTIONS}: {path}: `{what}` is reached "
                              "or gone: take it out")
        left -= covered
    return complaints + [
        f"{path}:{number}: not reached: {text_of[path][number - 1].strip()}"
        for path, number in sorted(left)]


def table(lines: Lines) -> tuple[list[str], float]:
    """Rows for people, the total last, and the total in percent."""
    rows = []
    total = reached = 0
    for path, counts in sorted(lines.items()):
        here = sum(count > 0 for count in counts.values())
        total += len(counts)
        reached += here
        rows.append(f"{path:<40} {here:>5}/{len(counts):<5} "
                    f"{100 * here / len(counts):6.1f} %")
    percent = 100 * reached / total if total else 0.0
    return [*rows, f"{'total':<40} {reached:>5}/{total:<5} {percent:6.1f} %"
            ], percent


def _replay(program: Path, seeds: list[Path], folder: Path) -> str | None:
    """What one program covers, as lcov writes it; None where it fails.

    One at a time: of a function that several programs contain and not all of
    them call, llvm-cov would take the first record, counts or none.
    """
    raw = folder / f"{program.name}.profraw"
    merged = folder / f"{program.name}.profdata"
    result = subprocess.run(
        [str(program), *map(str, seeds)], check=False, capture_output=True,
        text=True, env={"LLVM_PROFILE_FILE": str(raw)})
    if result.returncode != 0:
        print(f"odo: {program.name}: {result.stderr[-2000:]}", file=sys.stderr)
        return None
    subprocess.run(["llvm-profdata-19", "merge", "-o", str(merged), str(raw)],
                   check=True)
    return subprocess.run(
        ["llvm-cov-19", "export", "-format=lcov", f"-instr-profile={merged}",
         str(program)], check=True, capture_output=True, text=True).stdout


def main(seeds: dict[str, list[Path]]) -> int:
    """Builds, replays and reports; `seeds` are those of each fuzzer."""
    labels = [f"//fuzz:{name}_fuzz_corpus" for name in seeds]
    if not bazel.build("fuzzcov", labels):
        return 1
    output = Path(bazel.output_folder("fuzzcov"), "fuzz")
    records = []
    with tempfile.TemporaryDirectory(prefix="odo-coverage-") as folder:
        for name, files in seeds.items():
            record = _replay(output / f"{name}_fuzz_corpus", files,
                             Path(folder))
            if record is None:
                return 1
            records.append(record)
    lines = parse_lcov("".join(records))
    text_of = {path: Path(path).read_text().splitlines() for path in lines}
    complaints = unexplained(lines, json.loads(_EXCEPTIONS.read_text()),
                             text_of)
    rows, percent = table(lines)
    print("\n".join(rows))
    for complaint in complaints:
        print(complaint)
    if percent < LEAST_PERCENT:
        print(f"odo: {percent:.1f} % is less than {LEAST_PERCENT:.0f} %")
    return 1 if complaints or percent < LEAST_PERCENT else 0
