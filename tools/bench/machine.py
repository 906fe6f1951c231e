# SPDX-License-Identifier: BSD-3-Clause
"""What the figures were measured on: no host name, no path."""

import os
import platform
import re
import subprocess
from pathlib import Path

_ROOT = Path(__file__).absolute().parents[2]


def describe(binaries: list[Path]) -> dict[str, object]:
    cpuinfo = _read("/proc/cpuinfo")
    flags = _field(cpuinfo, "flags").split()
    return {
        "cpu": _field(cpuinfo, "model name") or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE")
        * os.sysconf("SC_PHYS_PAGES"),
        "virtual": "hypervisor" in flags,
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/"
                          "scaling_governor").strip() or None,
        "os": os_name(_read("/etc/os-release")),
        "kernel": platform.release(),
        "compiler": compiler(b"".join(
            path.read_bytes() for path in binaries[:1])),
    }


def os_name(os_release: str) -> str:
    match = re.search(r'^PRETTY_NAME="?([^"\n]*)', os_release, re.MULTILINE)
    return match[1] if match else platform.system()


def compiler(binary: bytes) -> str | None:
    """What the .comment section names; GCC's start files are in every one."""
    for pattern in (rb"(?:[A-Za-z]+ )?clang version [0-9.]+",
                    rb"GCC: \([^)]*\) [0-9.]+"):
        if match := re.search(pattern, binary):
            return match[0].decode()
    return None


def commit() -> str:
    """The commit's hash, with `-dirty` where the tree differs from it."""
    def git(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["git", "-C", str(_ROOT), *words], text=True,
                              capture_output=True, check=False)
    try:
        head = git("rev-parse", "--verify", "HEAD")
        if head.returncode != 0:
            return "unknown"
        dirty = git("status", "--porcelain").stdout.strip()
    except OSError:
        return "unknown"
    return head.stdout.strip() + ("-dirty" if dirty else "")


def _field(cpuinfo: str, name: str) -> str:
    match = re.search(rf"^{name}\s*: (.*)$", cpuinfo, re.MULTILINE)
    return match[1].strip() if match else ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""
