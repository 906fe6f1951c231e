# SPDX-License-Identifier: BSD-3-Clause
"""What benchmark programs in Python share: their words, and how they end."""

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tools.bench.model import BenchError
from tools.corpus import corpus

_ROOT = Path(__file__).absolute().parents[2]
_MEMORY = Path("/dev/shm")


def parse(argv: list[str], doc: str | None, label: str) -> argparse.Namespace:
    """`label` names the program that is measured, "//tools/name"."""
    folder = label.removeprefix("//")
    name = folder.rsplit("/", 1)[-1]
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--program", type=Path, metavar="FILE",
                        default=_ROOT / "bazel-bin" / folder / name,
                        help=f"{name} (default: where Bazel puts it)")
    parser.add_argument("--only", default="", metavar="TEXT",
                        help="only cases whose name contains this")
    parser.add_argument("--quick", action="store_true",
                        help="measure less: for a first look")
    parser.add_argument("--records", action="store_true",
                        help="print records for tools/bench/run.py (always so)")
    parser.add_argument("--list", action="store_true",
                        help="print the names of the records and stop")
    return parser.parse_args(argv)


def main(arguments: argparse.Namespace, name: str, names: list[str],
         measure: Callable[[], Iterable[dict]]) -> int:
    """Prints the names or the records; the exit status."""
    if arguments.list:
        print("\n".join(names))
        return 0
    try:
        for record in measure():
            print(json.dumps(record), flush=True)
        return 0
    except (BenchError, OSError, subprocess.SubprocessError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def require(program: Path, label: str, tools: Iterable[str]) -> None:
    """Complains of what is missing."""
    if not program.is_file():
        raise BenchError(f"{program.name} is not built; run: "
                         f"bazel build --config=opt {label}")
    for tool in tools:
        if shutil.which(tool) is None:
            raise BenchError(f"{tool} is missing: ./odo setup")


def open_corpus(work: Path) -> corpus.Corpus:
    """The genuine images, unpacked into `work` as needed."""
    os.environ.setdefault("ODO_CORPUS_DIR",
                          str(_ROOT.parent / "shared/hammer2"))
    found = corpus.find(work)
    if found is None:
        raise BenchError("no corpus: ODO_CORPUS_DIR is not set")
    return found


@contextlib.contextmanager
def memory_folder() -> Iterator[Path]:
    """A folder for a while, in memory where there is a place for that."""
    with tempfile.TemporaryDirectory(
            dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None) as folder:
        yield Path(folder).resolve()
