# SPDX-License-Identifier: BSD-3-Clause
"""./odo bench: builds the benchmark programs and hands over to the runner."""

import sys

from bench.h2 import h2_bench
from bench.h2fuse import h2fuse_bench
from bench.malloc import allocators, malloc_bench

from tools.bench import run
from tools.front import bazel


def main(argv: list[str]) -> int:
    if {"-h", "--help"} & set(argv):
        return run.main(argv)
    try:
        labels = bazel.query("attr(tags, bench, //bench/...)")
    except RuntimeError as error:
        print(error, file=sys.stderr)
        labels = []
    others = ["//kernel:odonata.elf", h2_bench.LABEL, h2fuse_bench.LABEL,
              malloc_bench.LABEL]
    try:
        others += bazel.query(allocators.OUR_LABEL)
    except RuntimeError:
        # Nothing to build: malloc_bench says what is missing.
        pass
    if not labels or not bazel.build("opt", [*labels, *others]):
        print("odo: the benchmarks do not build", file=sys.stderr)
        return 1
    folder = bazel.output_folder("opt")
    programs = [folder + "/" + label.removeprefix("//").replace(":", "/")
                for label in labels]
    return run.main(["--binaries", *programs, "--programs",
                     "bench/boot_instructions/boot_instructions.py",
                     "bench/h2/check_bench.py",
                     "bench/h2/create_bench.py",
                     "bench/h2/h2_bench.py",
                     "bench/h2/space_bench.py",
                     "bench/h2fuse/h2fuse_bench.py",
                     "bench/h2fuse/lookup_bench.py",
                     "bench/h2fuse/write_bench.py",
                     "bench/instructions/instructions.py",
                     "bench/malloc/app_bench.py",
                     "bench/malloc/malloc_bench.py", *argv])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
