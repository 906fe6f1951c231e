# SPDX-License-Identifier: BSD-3-Clause
"""The Linux guest's whole userland: init.cc, compiled, in a cpio archive.

Format: "newc", as described in the Linux kernel's
Documentation/driver-api/early-userspace/buffer-format.rst.
"""

import subprocess
from pathlib import Path

_SOURCE = Path(__file__).absolute().parent / "init.cc"
_EXECUTABLE = 0o100755
COMPILER = "clang++-19"
_FLAGS = ("-std=c++23", "-O2", "-static", "-nostdlib", "-ffreestanding",
          "-fno-exceptions", "-fno-rtti", "-fno-stack-protector", "-fno-pie",
          "-fuse-ld=lld-19", "-Wall", "-Wextra", "-Werror")


class InitramfsError(Exception):
    """The init program could not be compiled."""


def build_init(output: Path) -> None:
    command = [COMPILER, *_FLAGS, "-o", str(output), str(_SOURCE)]
    try:
        result = subprocess.run(command, capture_output=True, text=True,
                                check=False)
    except FileNotFoundError as error:
        raise InitramfsError(
            f"{COMPILER} is missing; ./odo setup installs it") from error
    if result.returncode != 0:
        raise InitramfsError(f"{_SOURCE.name}: {result.stderr.strip()}")


def archive(init: bytes) -> bytes:
    """A newc archive that holds `init` as /init and nothing else."""
    return (_entry("init", _EXECUTABLE, 1, init)
            + _entry("TRAILER!!!", 0, 0, b""))


def _entry(name: str, mode: int, inode: int, data: bytes) -> bytes:
    links = 1
    words = (inode, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0,
             len(name) + 1, 0)
    header = b"070701" + b"".join(b"%08X" % word for word in words)
    return _padded(header + name.encode() + b"\0") + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
