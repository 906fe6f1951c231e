# SPDX-License-Identifier: BSD-3-Clause
"""./odo test: every test, in every build that it must hold in, and one count.

The last line is `N passed, N failed`, with `, N skipped` where something
could not run here; each skipped and each failed case is named above it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tools.front import bazel, bazel_results, corpus_cache, lint

# Genuine images; beside the checkout, not in it.
_CORPUS = Path("../shared/hammer2")


@dataclass
class Tally:
    passed: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def add(self, step: str, outcome: "bazel_results.Outcome") -> None:
        self.passed += outcome.passed
        self.failed += [f"{step}: {name}" for name in outcome.failed]
        self.skipped += [f"{step}: {name}" for name in outcome.skipped]


def _say(text: str) -> None:
    print(text, flush=True)


# Tests that the sanitizers' steps run, and that prove no more in a plain build.
_NOT_SANITIZED = ["--test_tag_filters=-sanitized",
                  "--build_tag_filters=-sanitized"]


def _bazel_step(config: str | None, targets: list[str],
                extra: list[str]) -> Callable[[], "bazel_results.Outcome"]:
    def run() -> "bazel_results.Outcome":
        with tempfile.TemporaryDirectory(prefix="odo-test-") as folder:
            events = Path(folder, "events.json")
            command = [bazel.BAZEL, "test", "--keep_going",
                       f"--build_event_json_file={events}",
                       "--ui_event_filters=-info,-debug",
                       "--show_result=0", "--test_summary=none",
                       "--show_progress_rate_limit=20"]
            if not sys.stderr.isatty():
                command.append("--noshow_progress")
            if config:
                command.append(f"--config={config}")
            status = subprocess.run(command + extra + ["--"] + targets,
                                    stdin=subprocess.DEVNULL,
                                    check=False).returncode
            return bazel_results.read(events, status)
    return run


def _offer_corpus() -> None:
    if "ODO_CORPUS_DIR" not in os.environ and _CORPUS.is_dir():
        os.environ["ODO_CORPUS_DIR"] = str(_CORPUS.resolve())
    corpus = os.environ.get("ODO_CORPUS_DIR")
    if corpus:
        raw = corpus_cache.unpacked(Path(corpus),
                                    bazel.output_base() / "odo-corpus")
        if raw is not None:
            os.environ["ODO_CORPUS_RAW"] = str(raw)


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./odo test",
        description="Run every test: format and lint, then all Bazel tests "
        "under ASan+UBSan, those with threads under TSan, and plain what no "
        "sanitizer runs. Genuine HAMMER2 images in "
        "../shared/hammer2 are used when they are there.")
    parser.add_argument("--only", metavar="STEP", action="append",
                        choices=("lint", "test", "asan", "tsan"),
                        help="run only this step (lint, test, asan, tsan); "
                        "repeatable")
    parser.add_argument("--long", action="store_true",
                        help="the long forms of explorations too (corpus "
                        "sweeps under sanitizers, ...), and plain builds of "
                        "what sanitizers run")
    parser.add_argument("targets", nargs="*", default=["//..."],
                        help="Bazel targets (default: //...)")
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    arguments = parse(argv)
    extra = []
    _offer_corpus()
    if arguments.long:
        extra += ["--test_env=ODO_LONG=1", "--define=odo_long=1"]
    steps: dict[str, Callable[[], "bazel_results.Outcome"]] = {
        "lint": lint.run,
        "test": _bazel_step(None, arguments.targets,
                            extra if arguments.long
                            else [*extra, *_NOT_SANITIZED]),
        "asan": _bazel_step("asan", arguments.targets, extra),
        "tsan": _bazel_step("tsan", arguments.targets, extra),
    }
    tally = Tally()
    for name, step in steps.items():
        if arguments.only and name not in arguments.only:
            continue
        start = time.monotonic()
        _say(f"== {name}")
        outcome = step()
        tally.add(name, outcome)
        _say(f"   {name}: {outcome.passed} passed, {len(outcome.failed)} "
             f"failed, {len(outcome.skipped)} skipped in "
             f"{time.monotonic() - start:.0f} s")
    for name in tally.skipped:
        _say(f"skipped: {name}")
    for name in tally.failed:
        _say(f"FAILED: {name}")
    ending = f", {len(tally.skipped)} skipped" if tally.skipped else ""
    _say(f"{tally.passed} passed, {len(tally.failed)} failed{ending}")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
