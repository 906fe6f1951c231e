# SPDX-License-Identifier: BSD-3-Clause
"""./odo bench: builds the benchmark programs and hands over to the runner."""

import subprocess
import sys

from tools.bench import run


def _programs() -> list[str]:
    query = subprocess.run(
        ["/usr/bin/bazel", "query", "--noshow_progress",
         "--ui_event_filters=-info", "attr(tags, bench, //bench/...)"],
        capture_output=True, text=True, check=False)
    if query.returncode != 0:
        print(query.stderr, file=sys.stderr)
    return query.stdout.split()


def main(argv: list[str]) -> int:
    if {"-h", "--help"} & set(argv):
        return run.main(argv)
    labels = _programs()
    build = subprocess.run(
        ["/usr/bin/bazel", "build", "--config=opt", "--show_result=0",
         "--ui_event_filters=-info", *labels, "//kernel:odonata.elf"],
        check=False)
    if build.returncode != 0 or not labels:
        print("odo: the benchmarks do not build", file=sys.stderr)
        return 1
    folder = subprocess.run(
        ["/usr/bin/bazel", "info", "--config=opt", "bazel-bin"],
        capture_output=True, text=True, check=True).stdout.strip()
    programs = [folder + "/" + label.removeprefix("//").replace(":", "/")
                for label in labels]
    return run.main(["--binaries", *programs, "--programs",
                     "bench/boot_instructions/boot_instructions.py", *argv])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
