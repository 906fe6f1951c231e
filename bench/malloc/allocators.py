# SPDX-License-Identifier: BSD-3-Clause
"""The allocators that are compared, and how a process comes to use one."""

import dataclasses
import os
import re
import subprocess
from pathlib import Path

from tools.bench.model import OURS, BenchError

_ROOT = Path(__file__).absolute().parents[2]
OUR_LABEL = "//tools:libodomalloc.so"
OUR_LIBRARY = _ROOT / "bazel-bin/tools/libodomalloc.so"

# What Debian calls the peers: library and package.
_PEERS = {
    "jemalloc": ("libjemalloc.so.2", "libjemalloc2"),
    "mimalloc": ("libmimalloc.so.2", "libmimalloc2.0"),
    "tcmalloc": ("libtcmalloc_minimal.so.4", "libtcmalloc-minimal4"),
}
_FOLDERS = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu",
            "/usr/lib64", "/usr/lib", "/usr/local/lib")
_C_LIBRARY = "libc.so.6"


@dataclasses.dataclass(frozen=True)
class Allocator:
    """One contender; `library` is None for what a program has anyway."""
    contender: str
    library: Path | None

    @property
    def file_name(self) -> str:
        """The file in which the process finds its malloc."""
        return self.library.name if self.library else _C_LIBRARY

    def environment(self, replaces_another: bool = False) -> dict[str, str]:
        """For a process with this malloc. A program linked against a malloc
        of its own (`replaces_another`) gets the C library's by preload too."""
        environment = {name: value for name, value in os.environ.items()
                       if name != "LD_PRELOAD"}
        if self.library:
            environment["LD_PRELOAD"] = str(self.library)
        elif replaces_another:
            environment["LD_PRELOAD"] = _C_LIBRARY
        return environment


def check_preloaded(stderr: str) -> None:
    """A library that can't be loaded is only a warning to the loader."""
    for line in stderr.splitlines():
        if "LD_PRELOAD" in line and "cannot be preloaded" in line:
            raise BenchError(line.strip())


def contenders() -> list[str]:
    """Every contender by name, whether its library is there or not."""
    return [OURS, "glibc", *_PEERS]


def peers() -> list[Allocator]:
    known = loader_cache()
    found = [Allocator("glibc", None)]
    for contender, (library, package) in _PEERS.items():
        path = known.get(library) or _in_folders(library)
        if path is None:
            raise BenchError(f"{library} is missing; ./odo setup installs it "
                             f"(package {package})")
        found.append(Allocator(contender, path))
    return found


def our_own(library: Path) -> Allocator:
    if not library.is_file():
        raise BenchError(f"{library.name} is not built; run: "
                         f"bazel build --config=opt {OUR_LABEL}")
    return Allocator(OURS, library.absolute())


def loader_cache() -> dict[str, Path]:
    """The libraries that the loader knows, by name."""
    for program in ("ldconfig", "/sbin/ldconfig"):
        try:
            result = subprocess.run([program, "-p"], capture_output=True,
                                    text=True, check=False)
        except OSError:
            continue
        return parse_cache(result.stdout)
    return {}


def parse_cache(text: str) -> dict[str, Path]:
    """Libraries by name, from `ldconfig -p`; the first of a name wins."""
    found: dict[str, Path] = {}
    for name, path in re.findall(r"^\s+(\S+) \(.*\) => (/\S+)$", text,
                                 re.MULTILINE):
        found.setdefault(name, Path(path))
    return found


def _in_folders(library: str) -> Path | None:
    paths = (Path(folder, library) for folder in _FOLDERS)
    return next((path for path in paths if path.is_file()), None)
