# SPDX-License-Identifier: BSD-3-Clause
"""./odo fuzz: one fuzzer on its corpus, or what all corpora cover."""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.front import bazel, fuzz_coverage

# Fuzzers of what reads bytes that somebody else wrote: no input of up to 1 MiB
# may take longer or more memory than this.
HOSTILE = ("check", "hammer2_", "lz4", "zlib")
LIMITS = ["-timeout=1", "-malloc_limit_mb=64"]


def fuzzers() -> list[str]:
    """The names that `./odo fuzz` takes, from the tree itself."""
    return sorted(path.name.removesuffix("_fuzz.cc")
                  for path in Path("fuzz").glob("*_fuzz.cc"))


def dictionary(name: str) -> Path | None:
    """The one called as the fuzzer, or as the beginning of its name."""
    words = name.split("_")
    for length in range(len(words), 0, -1):
        path = Path("fuzz/dict", "_".join(words[:length]) + ".dict")
        if path.is_file():
            return path
    return None


def seeds(name: str) -> list[Path]:
    """The seed files of a fuzzer, as its target lists them."""
    labels = bazel.query(f"labels(srcs, //fuzz:{name}_fuzz_seeds)")
    return [Path("fuzz", label.partition(":")[2]) for label in labels]


def options(name: str) -> list[str]:
    """libFuzzer's options that belong to the fuzzer."""
    made = LIMITS if name.startswith(HOSTILE) else []
    words = dictionary(name)
    return made + ([f"-dict={words}"] if words else [])


def run(name: str, arguments: argparse.Namespace) -> int:
    target = f"{name}_fuzz"
    if not bazel.build("fuzz", [f"//fuzz:{target}"]):
        return 1
    program = bazel.output_folder("fuzz")
    findings = Path(os.environ.get("ODO_CALLER_DIR", "."),
                    arguments.findings or tempfile.mkdtemp(prefix="odo-fuzz-"))
    corpus = findings / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    print(f"odo: new inputs go to {corpus}, crashes to {findings}",
          file=sys.stderr)
    command = [f"{program}/fuzz/{target}",
               f"-max_total_time={arguments.seconds}",
               f"-artifact_prefix={findings}/", "-print_final_stats=1",
               *options(name)]
    if arguments.jobs > 1:
        command += [f"-jobs={arguments.jobs}", f"-workers={arguments.jobs}"]
    folders = sorted({str(path.parent) for path in seeds(name)})
    return subprocess.run([*command, str(corpus), *folders],
                          check=False).returncode


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="./odo fuzz",
        description="Run one libFuzzer target under ASan+UBSan, starting from "
        "its corpus in fuzz/corpus/. New inputs go to a folder of their own, "
        "never into the tree. Without NAME: list the targets.")
    parser.add_argument("name", nargs="?", help="the target")
    parser.add_argument("--seconds", type=int, default=60, metavar="N",
                        help="how long (default 60)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N",
                        help="processes at once (default 1)")
    parser.add_argument("--findings", metavar="DIR",
                        help="where new inputs and crashes go (default: a new "
                        "folder, named at the start)")
    parser.add_argument("--coverage", action="store_true",
                        help="instead: which lines of the code that reads "
                        "media the corpora reach; fails below 97 %% or where "
                        "a line that isn't reached has no explanation")
    arguments = parser.parse_args(argv)
    names = fuzzers()
    if arguments.coverage:
        if arguments.name is not None:
            parser.error("--coverage is about all fuzzers")
        return fuzz_coverage.main({
            name: seeds(name) for name in names if name.startswith(HOSTILE)})
    if arguments.name is None:
        print("\n".join(names))
        return 0
    if arguments.name not in names:
        print(f"odo: no fuzzer '{arguments.name}'; there are: "
              f"{', '.join(names)}", file=sys.stderr)
        return 2
    if arguments.seconds <= 0 or arguments.jobs <= 0:
        parser.error("--seconds and --jobs take positive numbers")
    return run(arguments.name, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
