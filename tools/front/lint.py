# SPDX-License-Identifier: BSD-3-Clause
"""The checks on the text of the tree: format, clang-tidy, links, house rules.

Each rule is one function from the list of files to the list of complaints, so
that a rule can be tried on files made up for a test.
"""

import concurrent.futures
import os
import re
import runpy
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from tools.front import bazel
from tools.front.bazel_results import Outcome

_CODE = (".h", ".cc", ".S")
_FORMATTED = (".h", ".cc")
# A header longer than this has more than one reason to exist.
_HEADER_LINES = 900
_UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
_INCLUDE = re.compile(r'^#include "lib/([a-z0-9_]+)/', re.MULTILINE)
# docs/architecture.md draws this: a library may include its own floor's
# neighbours only where listed here as lower.
FLOORS = {
    "base": 0, "check": 1, "codec": 1,
    "platform": 2,
    "frames": 3, "tokens": 3, "boot": 3, "acpi": 3, "pci": 3, "rtc": 3,
    "driver": 3, "console": 3, "machine_check": 3,
    "usched": 3, "kmalloc": 3, "btree": 3,
    "block": 4, "lwkt": 4, "objcache": 4,
    "apic": 4, "virtio": 5, "nvme": 5, "ahci": 5, "hpet": 5, "hammer2": 5, "partition": 5,
    "pmap": 5,
    "monitor": 6,
}
_QUOTED_INCLUDE = re.compile(r'^#include "([^"]+)"', re.MULTILINE)
_STARTS_THREADS = re.compile(r"^#include <(thread|pthread\.h)>", re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def tracked_files() -> list[Path]:
    """The files of the tree: what git tracks or would track."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True, check=True).stdout
    paths = (Path(name) for name in listing.decode().split("\0") if name)
    return sorted(path for path in paths if path.is_file())


def _with_suffix(files: Iterable[Path], suffixes: tuple[str, ...]) -> list[Path]:
    return [path for path in files if path.suffix in suffixes]


def format_complaints(files: list[Path]) -> list[str]:
    sources = _with_suffix(files, _FORMATTED)
    if not sources:
        return []
    result = subprocess.run(
        ["clang-format-19", "--dry-run", "-Werror", *map(str, sources)],
        capture_output=True, text=True, check=False)
    names = re.findall(r"^(\S+?):\d+:\d+: error", result.stderr, re.MULTILINE)
    return [f"{name}: run clang-format-19 -i" for name in sorted(set(names))]


def licence_complaints(files: list[Path]) -> list[str]:
    wanted = "SPDX-License-Identifier: BSD-3-Clause"
    sources = _with_suffix(files, (*_CODE, ".py"))
    return [f"{path}: no `{wanted}` in its first three lines"
            for path in sources if path.stat().st_size
            and wanted not in "".join(
                path.read_text(errors="replace").splitlines(True)[:3])]


def mode_complaints(files: list[Path]) -> list[str]:
    """What is to be run says how, and may be; nothing else does."""
    complaints = []
    for path in files:
        with path.open("rb") as file:
            says_how = file.read(2) == b"#!"
        if says_how != os.access(path, os.X_OK):
            complaints.append(f"{path}: begins with #!, but isn't executable"
                              if says_how else
                              f"{path}: executable, but doesn't begin with #!")
    return complaints


def header_complaints(files: list[Path]) -> list[str]:
    complaints = []
    for path in _with_suffix(files, (".h",)):
        text = path.read_text(errors="replace")
        if "#pragma once" not in text:
            complaints.append(f"{path}: no #pragma once")
        if text.count("\n") > _HEADER_LINES:
            complaints.append(f"{path}: over {_HEADER_LINES} lines: split it")
    return complaints


def unfinished_complaints(files: list[Path]) -> list[str]:
    complaints = []
    for path in files:
        # This file and the format of commit hooks name the words themselves.
        if path.name in ("lint.py", "lint_test.py"):
            continue
        if path.suffix not in (*_CODE, ".py", ".bzl", ".ld", ".md", ""):
            continue
        for number, line in enumerate(
                path.read_text(errors="replace").splitlines(), 1):
            if _UNFINISHED.search(line):
                complaints.append(f"{path}:{number}: unfinished work marker")
    return complaints


def link_complaints(files: list[Path]) -> list[str]:
    """Relative links in Markdown that lead nowhere."""
    complaints = []
    for path in _with_suffix(files, (".md",)):
        text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
        for target in _LINK.findall(text):
            if re.match(r"[a-z]+:", target) or target.startswith("#"):
                continue
            if not (path.parent / target.split("#")[0]).exists():
                complaints.append(f"{path}: dead link {target}")
    return complaints


def unbuilt_complaints(files: list[Path]) -> list[str]:
    """C++ files that no BUILD file names, by name or by a glob."""
    complaints = []
    for path in _with_suffix(files, _CODE):
        folder = path.parent
        while folder != Path(".") and not (folder / "BUILD").is_file():
            folder = folder.parent
        build = folder / "BUILD"
        text = build.read_text() if build.is_file() else ""
        name = str(path.relative_to(folder))
        globs = re.findall(r"\"([^\"]*\*[^\"]*)\"", text)
        # A list of tests names them without their endings.
        named = any(f'"{form}"' in text for form in (
            name, path.stem, path.stem.removesuffix("_test")))
        if not named and not any(Path(name).match(g) for g in globs):
            complaints.append(f"{path}: no target of {build} builds it")
    return complaints


def thread_complaints(files: list[Path]) -> list[str]:
    """Tests with threads that no BUILD file gives to TSan.

    A test has threads if it says so itself, or a header that it includes does.
    """
    complaints = []
    for path in _with_suffix(files, (".cc",)):
        if not path.stem.endswith("_test"):
            continue
        text = path.read_text()
        headers = [Path(name) for name in _QUOTED_INCLUDE.findall(text)]
        if not any(_STARTS_THREADS.search(part) for part in (
                text, *(header.read_text() for header in headers
                        if header.is_file()))):
            continue
        build = path.parent / "BUILD"
        targets = build.read_text().split("odo_test(") if build.is_file() \
            else []
        names = (f'"{path.stem}"', f'"{path.stem.removesuffix("_test")}"')
        if not any('threads = ' in target or '"nosan"' in target
                   for target in targets
                   if any(name in target for name in names)):
            complaints.append(f"{path}: has threads: say so in {build}")
    return complaints


def floor_complaints(files: list[Path]) -> list[str]:
    """Library headers that include a library that is not on a floor below."""
    complaints = []
    for path in _with_suffix(files, (".h",)):
        if path.parts[0] != "lib":
            continue
        own = path.parts[1]
        if own not in FLOORS:
            complaints.append(f"{path}: lib/{own} has no floor yet")
            continue
        for other in set(_INCLUDE.findall(path.read_text())):
            if other != own and FLOORS.get(other, 99) >= FLOORS[own]:
                complaints.append(f"{path}: lib/{own} (floor {FLOORS[own]}) "
                                  f"includes lib/{other}")
    return complaints


def _headers_of(query: str) -> list[str]:
    """Headers of libraries, as paths."""
    labels = bazel.query(f"labels(hdrs, {query})")
    return sorted(label.removeprefix("//").replace(":", "/")
                  for label in labels)


def _tidy(headers: list[str]) -> list[str]:
    """clang-tidy over headers in one source: most of its time goes into what
    they include, and all libraries together include hardly more than one."""
    flags = runpy.run_path("tools/flags.bzl")["HOST_COPTS"]
    folders = "|".join(sorted({re.escape(str(Path(header).parent))
                               for header in headers}))
    with tempfile.TemporaryDirectory(prefix="odo-tidy-") as folder:
        source = Path(folder, "headers.cc")
        source.write_text("".join(f'#include "{header}"\n'
                                  for header in headers))
        result = subprocess.run(
            ["clang-tidy-19", "--quiet", "--config-file=.clang-tidy",
             f"--header-filter=^([.]/)?({folders})/[^/]*[.]h$", str(source),
             "--", "-I.", *flags],
            capture_output=True, text=True, check=False)
    if result.returncode == 0:
        return []
    errors = re.findall(r"^\S+:\d+:\d+: error: .*$", result.stdout, re.MULTILINE)
    return errors or [(result.stdout + result.stderr)[-2000:]]


def _gcc(headers: list[str]) -> list[str]:
    """g++ over all headers in one source."""
    flags = runpy.run_path("tools/flags.bzl")
    result = subprocess.run(
        ["g++-12", *flags["STANDARD"], *flags["GCC_WARNINGS"], "-I.",
         "-fsyntax-only", "-x", "c++", "-"],
        input="".join(f'#include "{header}"\n' for header in headers),
        capture_output=True, text=True, check=False)
    if result.returncode == 0:
        return []
    errors = re.findall(r"^\S+:\d+:\d+: (?:fatal )?error: .*$", result.stderr,
                        re.MULTILINE)
    return errors or [result.stderr[-2000:]]


def compiler_complaints(_files: list[Path]) -> list[str]:
    """The headers of all libraries: under g++ all at once, under clang-tidy two
    halves of those that need an operating system and instantiate more, and the
    rest."""
    rule = 'kind("_header_check rule", //...)'
    try:
        everything = _headers_of(rule)
        freestanding = set(_headers_of(f"attr(modes, freestanding, {rule})"))
    except RuntimeError as error:
        return [f"bazel query failed: {str(error)[-300:]}"]
    if not freestanding:
        return ["bazel query found no libraries"]
    hosted = [header for header in everything if header not in freestanding]
    folders = sorted({Path(header).parent for header in hosted})
    half = set(folders[::2])
    parts = [[header for header in hosted if Path(header).parent in half],
             [header for header in hosted if Path(header).parent not in half],
             sorted(freestanding)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = [pool.submit(_tidy, part) for part in parts]
        runs.append(pool.submit(_gcc, everything))
        return sorted({complaint for run in runs for complaint in run.result()})


RULES: dict[str, Callable[[list[Path]], list[str]]] = {
    "clang-format": format_complaints,
    "compilers": compiler_complaints,
    "licence": licence_complaints,
    "modes": mode_complaints,
    "floors": floor_complaints,
    "headers": header_complaints,
    "unfinished": unfinished_complaints,
    "links": link_complaints,
    "unbuilt": unbuilt_complaints,
    "threads": thread_complaints,
}


def run() -> Outcome:
    """Every rule as one test; its complaints are printed as they are found."""
    outcome = Outcome()
    files = tracked_files()
    for name, rule in RULES.items():
        complaints = rule(files)
        for complaint in complaints:
            print(f"   {complaint}", flush=True)
        if complaints:
            outcome.failed.append(f"{name} ({len(complaints)} complaints)")
        else:
            outcome.passed += 1
    return outcome
