# SPDX-License-Identifier: BSD-3-Clause
"""Calls of Bazel, by its Debian name, whatever else is called `bazel` here."""

import subprocess
from pathlib import Path

BAZEL = "/usr/bin/bazel"


def query(expression: str) -> list[str]:
    """The labels that match; raises RuntimeError with what Bazel said."""
    result = subprocess.run(
        [BAZEL, "query", "--noshow_progress", "--ui_event_filters=-info",
         expression], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise RuntimeError(result.stderr.strip())
    return result.stdout.split()


def build(config: str, labels: list[str]) -> bool:
    """Builds with Bazel's own words on stderr; False if it does not build."""
    return subprocess.run(
        [BAZEL, "build", f"--config={config}", "--show_result=0",
         "--ui_event_filters=-info", *labels], check=False).returncode == 0


def _info(*words: str) -> str:
    return subprocess.run(
        [BAZEL, "info", "--ui_event_filters=-info", *words],
        capture_output=True, text=True, check=True).stdout.strip()


def output_base() -> Path:
    """Where Bazel keeps all that is this checkout's."""
    return Path(_info("output_base"))


def output_folder(config: str) -> str:
    """Where that configuration's programs lie. The bazel-bin link itself may
    point at another configuration's tree by the time they run."""
    return _info(f"--config={config}", "bazel-bin")
