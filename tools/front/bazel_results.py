# SPDX-License-Identifier: BSD-3-Clause
"""Counts single test cases in what one `bazel test` left behind.

The build event file says which targets were to be tested and where each one's
test.xml is; the XML, which GoogleTest writes itself, holds the cases. A target
that broke before it could write its cases counts as one failure.
"""

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlparse


@dataclass
class Outcome:
    """What a step found; failed and skipped hold names."""
    passed: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def _cases(label: str, xml: Path, outcome: Outcome) -> bool:
    """Adds the cases of one test.xml; False if it holds none."""
    try:
        root = ElementTree.parse(xml).getroot()
    except (OSError, ElementTree.ParseError):
        return False
    found = False
    for case in root.iter("testcase"):
        found = True
        name = f"{label} {case.get('classname', '')}.{case.get('name', '')}"
        if case.find("failure") is not None or case.find("error") is not None:
            outcome.failed.append(name)
        elif (case.find("skipped") is not None
              or case.get("result") == "skipped"
              or case.get("status") == "notrun"):
            skip = case.find("skipped")
            why = skip.get("message", "") if skip is not None else ""
            first = why.strip().splitlines()[-1] if why.strip() else ""
            outcome.skipped.append(f"{name} ({first})" if first else name)
        else:
            outcome.passed += 1
    return found


def read(events: Path, status: int) -> Outcome:
    """The outcome of the run that wrote `events` and exited with `status`."""
    outcome = Outcome()
    tested: dict[str, str] = {}
    xml: dict[str, list[Path]] = {}
    configured: set[str] = set()
    broken: set[str] = set()
    try:
        lines = events.read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        event = json.loads(line)
        kind = event["id"]
        if "targetCompleted" in kind:
            label = kind["targetCompleted"]["label"]
            configured.add(label)
            if not event.get("completed", {}).get("success", False) \
                    and "aborted" not in event:
                broken.add(label)
            elif event.get("aborted", {}).get("reason") not in (
                    None, "SKIPPED"):
                broken.add(label)
        elif "testResult" in kind:
            label = kind["testResult"]["label"]
            for output in event["testResult"].get("testActionOutput", []):
                if output["name"] == "test.xml":
                    path = Path(unquote(urlparse(output["uri"]).path))
                    xml.setdefault(label, []).append(path)
        elif "testSummary" in kind:
            label = kind["testSummary"]["label"]
            tested[label] = event["testSummary"].get("overallStatus", "")
    for label in sorted(tested):
        before = len(outcome.failed)
        found = [_cases(label, path, outcome) for path in xml.get(label, [])]
        passed = tested[label] in ("PASSED", "FLAKY")
        if passed and not any(found):
            outcome.passed += 1
        elif not passed and len(outcome.failed) == before:
            # It died outside any case: a crash, a sanitizer's report, a limit.
            outcome.failed.append(f"{label} ({tested[label]})")
    for label in sorted(broken - set(tested)):
        outcome.failed.append(f"{label} (does not build)")
    if status != 0 and not outcome.failed:
        outcome.failed.append(f"bazel exited with {status} and named no test")
    return outcome
