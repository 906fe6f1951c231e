# SPDX-License-Identifier: BSD-3-Clause
"""./odo fuzz: one fuzzer on its corpus."""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.front import bazel


def fuzzers() -> list[str]:
    """The names that `./odo fuzz` takes, from the tree itself."""
    return sorted(path.name.removesuffix("_fuzz.cc")
                  for path in Path("fuzz").glob("*_fuzz.cc"))


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="./odo fuzz",
        description="Run one libFuzzer target under ASan+UBSan, starting from "
        "its corpus in fuzz/corpus/NAME. New inputs go to a folder of their "
        "own, never into the tree. Without NAME: list the targets.")
    parser.add_argument("name", nargs="?", help="the target")
    parser.add_argument("--seconds", type=int, default=60, metavar="N",
                        help="how long (default 60)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N",
                        help="processes at once (default 1)")
    parser.add_argument("--findings", metavar="DIR",
                        help="where new inputs and crashes go (default: a new "
                        "folder, named at the start)")
    arguments = parser.parse_args(argv)
    names = fuzzers()
    if arguments.name is None:
        print("\n".join(names))
        return 0
    if arguments.name not in names:
        print(f"odo: no fuzzer '{arguments.name}'; there are: "
              f"{', '.join(names)}", file=sys.stderr)
        return 2
    if arguments.seconds <= 0 or arguments.jobs <= 0:
        parser.error("--seconds and --jobs take positive numbers")
    target = f"{arguments.name}_fuzz"
    if not bazel.build("fuzz", [f"//fuzz:{target}"]):
        return 1
    program = bazel.output_folder("fuzz")
    findings = Path(os.environ.get("ODO_CALLER_DIR", "."),
                    arguments.findings or tempfile.mkdtemp(prefix="odo-fuzz-"))
    corpus = findings / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    print(f"odo: new inputs go to {corpus}, crashes to {findings}",
          file=sys.stderr)
    command = [f"{program}/fuzz/{target}", f"-max_total_time={arguments.seconds}",
               f"-artifact_prefix={findings}/", "-print_final_stats=1"]
    if arguments.jobs > 1:
        command += [f"-jobs={arguments.jobs}", f"-workers={arguments.jobs}"]
    seeds = Path("fuzz/corpus", arguments.name)
    command += [str(corpus)] + ([str(seeds)] if seeds.is_dir() else [])
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
