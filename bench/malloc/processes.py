# SPDX-License-Identifier: BSD-3-Clause
"""Processes, measured by what the kernel says about them when they end."""

import contextlib
import dataclasses
import os
import resource
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.malloc.allocators import check_preloaded
from tools.bench.model import BenchError

_TIMEOUT_S = 300
_START_S = 20


@dataclasses.dataclass(frozen=True)
class Usage:
    """CPU time in user and kernel mode, of all threads, and peak memory."""
    cpu_seconds: float
    peak_kib: int


@contextlib.contextmanager
def measured(what: str, command: list[str], environment: dict[str, str],
             executable: str | None = None
             ) -> Iterator[Callable[[], Usage]]:
    """Starts `command`; the value waits for its end and says what it used.
    Leaving the block ends a process that still runs. `executable` is the file
    where that is not the command's first word."""
    with tempfile.TemporaryFile("w+") as errors:
        try:
            # Not waited for by Popen: wait4() below says more.
            process = subprocess.Popen(  # pylint: disable=consider-using-with
                command, executable=executable, env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=errors)
        except OSError as error:
            missing = executable or command[0]
            raise BenchError(f"{what}: {missing}: {error.strerror}; "
                             "./odo setup installs it") from error
        try:
            yield lambda: _wait(what, process, errors.fileno())
        finally:
            if process.returncode is None:
                process.kill()
                process.wait()


def run(what: str, command: list[str], environment: dict[str, str]) -> Usage:
    with measured(what, command, environment) as wait:
        return wait()


def _wait(what: str, process: subprocess.Popen, errors: int) -> Usage:
    late = threading.Event()

    def give_up() -> None:
        late.set()
        os.kill(process.pid, signal.SIGKILL)

    timer = threading.Timer(_TIMEOUT_S, give_up)
    timer.start()
    try:
        _, status, usage = os.wait4(process.pid, 0)
    finally:
        timer.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    if late.is_set():
        raise BenchError(f"{what}: not done within {_TIMEOUT_S} s")
    stderr = os.pread(errors, 1 << 16, 0).decode(errors="replace")
    check_preloaded(stderr)
    if process.returncode != 0:
        last = stderr.strip().splitlines()[-1:]
        raise BenchError(f"{what}: exited with {process.returncode}"
                         + "".join(f": {line}" for line in last))
    # A process starts with its parent's peak, as long as it is the higher one.
    if usage.ru_maxrss <= resource.getrusage(resource.RUSAGE_SELF).ru_maxrss:
        raise BenchError(f"{what}: uses too little memory to be told from "
                         "this program")
    return Usage(usage.ru_utime + usage.ru_stime, usage.ru_maxrss)


def await_socket(what: str, path: Path) -> None:
    end = time.monotonic() + _START_S
    while not path.is_socket():
        if time.monotonic() > end:
            raise BenchError(f"{what}: no socket within {_START_S} s")
        time.sleep(0.01)
