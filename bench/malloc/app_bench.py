#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Whole applications under our malloc and under its peers.

A Redis server answers redis-benchmark, the sqlite shell runs a script in
memory, a compiler compiles one large file, Python makes objects. The time is
the application's CPU time, in user and kernel mode: others on the machine
change it little. The peak is its resident memory.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

_ROOT = Path(__file__).absolute().parents[2]
if not __package__:  # run as a script: imports start at the root all the same
    sys.path[0] = str(_ROOT)

# pylint: disable=wrong-import-position
from bench.malloc import app_inputs, processes, rounds  # noqa: E402
from bench.malloc.allocators import Allocator  # noqa: E402
from bench.malloc.processes import Usage  # noqa: E402
from bench.malloc.rounds import Load, Record  # noqa: E402
from tools.bench.model import BenchError  # noqa: E402

_ROUNDS, _QUICK_ROUNDS = 9, 3
_CLIENT_TIMEOUT_S = 120
_SQL_ROWS = 120_000
_CXX_CLASSES = 64
_PYTHON_SCALE = 150
# Debian's own: a private Python may well bring an allocator along.
_PYTHON = "/usr/bin/python3"
_COMPILER = "g++-12"
# Debian's redis-tools has the server under this name only: the package that
# has it under its own starts one with the machine.
_REDIS_SERVER = "redis-check-rdb"
# Small values under many keys, then large ones under fewer.
_REDIS = (
    ["-P", "32", "-c", "20", "-n", "300000", "-r", "100000", "-d", "100",
     "-t", "set,get,incr,lpush,lpop,sadd,hset,zadd"],
    ["-P", "8", "-c", "20", "-n", "40000", "-r", "5000", "-d", "2000",
     "-t", "set,get,lpush"],
)


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    rounds.add_arguments(parser)
    return parser.parse_args(argv)


def redis(allocator: Allocator) -> Usage:
    """The server alone is measured and has the allocator; its client, on
    another CPU if there is one, has what it always has."""
    what = f"redis under {allocator.contender}"
    with tempfile.TemporaryDirectory(prefix="odo-redis-") as folder:
        socket = Path(folder, "socket")
        server = ["redis-server", "--port", "0", "--unixsocket", str(socket),
                  "--dir", folder, "--save", "", "--appendonly", "no"]
        # Debian links it against jemalloc.
        environment = allocator.environment(replaces_another=True)
        with processes.measured(what, server, environment,
                                _REDIS_SERVER) as wait:
            processes.await_socket(what, socket)
            for load in _REDIS:
                _client(["redis-benchmark", "-s", str(socket), "-q", *load])
            # The server is gone before it answers.
            _client(["redis-cli", "-s", str(socket), "shutdown", "nosave"])
            return wait()


def _client(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True,
                       stdin=subprocess.DEVNULL, timeout=_CLIENT_TIMEOUT_S)
    except FileNotFoundError as error:
        raise BenchError(f"{command[0]} is missing; ./odo setup installs "
                         "it") from error
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{command[0]}: not done within "
                         f"{_CLIENT_TIMEOUT_S} s") from error
    except subprocess.CalledProcessError as error:
        last = error.stderr.strip().splitlines()[-1:]
        raise BenchError(f"{command[0]}: exited with {error.returncode}"
                         + "".join(f": {line}" for line in last)) from error


def sqlite(allocator: Allocator, script: Path) -> Usage:
    return processes.run(
        f"sqlite under {allocator.contender}",
        ["sqlite3", "-batch", "-bail", ":memory:", f".read {script}"],
        allocator.environment())


def compiler(allocator: Allocator, program: str, source: Path) -> Usage:
    return processes.run(
        f"gcc under {allocator.contender}",
        [program, "-quiet", "-std=c++20", "-O1", str(source), "-o",
         "/dev/null"], allocator.environment())


def python(allocator: Allocator) -> Usage:
    environment = allocator.environment()
    environment.update(PYTHONMALLOC="malloc", PYTHONHASHSEED="0")
    return processes.run(
        f"python under {allocator.contender}",
        [_PYTHON, "-S", str(Path(__file__).with_name("python_load.py")),
         str(_PYTHON_SCALE)], environment)


def compiler_proper() -> str:
    """The compiler itself: its driver would only start it and wait."""
    try:
        result = subprocess.run(
            [_COMPILER, "-print-prog-name=cc1plus"], capture_output=True,
            text=True, check=True, stdin=subprocess.DEVNULL)
    except OSError as error:
        raise BenchError(f"{_COMPILER} is missing; ./odo setup installs "
                         "it") from error
    return result.stdout.strip()


def records(case: str, contender: str, usage: Usage) -> list[Record]:
    return [
        Record(f"malloc/{case}", contender, usage.cpu_seconds * 1e9, "ns"),
        Record(f"malloc/{case}-peak", contender, usage.peak_kib * 1024, "B"),
    ]


def loads(folder: Path) -> list[Load]:
    """All of them; what they read lies in `folder`."""
    script = folder / "load.sql"
    source = folder / "load.cc"
    with script.open("w") as file:
        file.writelines(app_inputs.sql(_SQL_ROWS))
    source.write_text(app_inputs.cplusplus(_CXX_CLASSES))
    runs = {
        "app-redis": redis,
        "app-sqlite": lambda allocator: sqlite(allocator, script),
        "app-gcc": lambda allocator: compiler(allocator, compiler_proper(),
                                              source),
        "app-python": python,
    }

    def load(case: str) -> Load:
        return Load(
            case,
            rounds.names(f"malloc/{case}") + rounds.names(f"malloc/{case}-peak"),
            lambda allocator: records(case, allocator.contender,
                                      runs[case](allocator)))

    return [load(case) for case in runs]


def main(argv: list[str]) -> int:
    arguments = parse(argv)
    try:
        with tempfile.TemporaryDirectory(prefix="odo-bench-") as folder:
            return rounds.main(arguments, loads(Path(folder)),
                               _QUICK_ROUNDS if arguments.quick else _ROUNDS)
    except (BenchError, OSError, subprocess.SubprocessError) as error:
        print(f"app_bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
