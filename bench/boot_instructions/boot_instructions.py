#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Guest instructions from power-on: Odonata's prompt beside Debian's init.

Both kernels boot on the same QEMU machine, with -icount shift=0,sleep=off:
the guest's time stamp counter is 0 at power-on and advances by one with each
instruction (and through idle time, by one a nanosecond). Each guest reads it
at its mark and prints `boot-instructions N` on the first serial port:
Odonata, told by `bench=boot`, right after it has written its first prompt;
Linux in the first instruction of its first process.
"""

import argparse
import dataclasses
import json
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

_ROOT = Path(__file__).absolute().parents[2]
if not __package__:  # run as a script: imports start at the root all the same
    sys.path[0] = str(_ROOT)

# pylint: disable=wrong-import-position
from bench.boot_instructions import (debian_kernel,  # noqa: E402
                                     initramfs)
from tools.bench import goals  # noqa: E402
from tools.bench.model import BenchError  # noqa: E402

CASE = "boot/power-on"
OURS = "ours"
PEER = "debian-cloud"
# Both guests take seconds; a slow machine under load takes a minute.
_TIMEOUT_S = 300
_MARK = re.compile(rb"^boot-instructions (\d+)\r?$", re.MULTILINE)


class BootError(Exception):
    """A guest that ended without a figure; the text says which and how."""


@dataclasses.dataclass(frozen=True)
class Guest:
    """What differs between the two: the kernel and what it is told."""
    contender: str
    kernel: Path
    append: str
    initrd: Path | None = None


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kernel", type=Path, metavar="ELF",
                        default=_ROOT / "bazel-bin/kernel/odonata.elf",
                        help="Odonata (default: where Bazel puts it)")
    parser.add_argument("--vmlinuz", type=Path, metavar="FILE",
                        help="the Linux kernel (default: Debian's cloud "
                        "kernel, fetched by apt into the cache folder)")
    parser.add_argument("--disk", metavar="IMG",
                        default=str(_ROOT / "testdata/links.img.zst"),
                        help="the disk of both machines, raw or .zst; `none` "
                        "for none (default: ./odo boot's)")
    parser.add_argument("--only", choices=(OURS, PEER),
                        help="boot one of the two")
    parser.add_argument("--runs", type=int, default=3, metavar="N",
                        help="boots of each, with random seeds 1 to N "
                        "(default 3)")
    parser.add_argument("--quick", action="store_true", help="one boot of each")
    parser.add_argument("--records", action="store_true",
                        help="print records for tools/bench/run.py")
    parser.add_argument("--list", action="store_true",
                        help="print the names of the records and stop")
    arguments = parser.parse_args(argv)
    if arguments.runs < 1:
        parser.error(f"--runs {arguments.runs}: give 1 or more")
    return arguments


def qemu_command(guest: Guest, disk: Path | None, seed: int) -> list[str]:
    """The machine; the same for both, down to the clock and the seed."""
    command = [
        "qemu-system-x86_64", "-accel", "tcg",
        "-icount", "shift=0,sleep=off", "-seed", str(seed),
        "-rtc", "base=2026-01-01T00:00:00,clock=vm",
        "-machine", "q35", "-cpu", "max", "-smp", "1", "-m", "256M",
        "-nodefaults", "-display", "none", "-no-reboot",
        "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
        "-serial", "stdio",
        "-kernel", str(guest.kernel), "-append", guest.append,
    ]
    if guest.initrd:
        command += ["-initrd", str(guest.initrd)]
    if disk:
        file = str(disk).replace(",", ",,")
        command += [
            "-drive", f"file={file},format=raw,if=none,id=disk0,readonly=on",
            "-device", "virtio-blk-pci,drive=disk0,disable-legacy=on",
        ]
    return command


def find_mark(output: bytes) -> int | None:
    match = _MARK.search(output)
    return int(match[1]) if match else None


def count(guest: Guest, disk: Path | None, seed: int) -> int:
    """Boots once and returns the guest's own figure."""
    try:
        result = subprocess.run(
            qemu_command(guest, disk, seed), stdin=subprocess.DEVNULL,
            capture_output=True, timeout=_TIMEOUT_S, check=False)
    except FileNotFoundError as error:
        raise BootError("qemu-system-x86_64 is missing; ./odo setup installs "
                        "it") from error
    except subprocess.TimeoutExpired as error:
        raise BootError(f"{guest.contender}: no figure within {_TIMEOUT_S} s"
                        f"{_last_words(error.stdout or b'')}") from error
    instructions = find_mark(result.stdout)
    if instructions is None:
        words = _last_words(result.stderr or result.stdout)
        raise BootError(f"{guest.contender}: the machine ended without a "
                        f"figure (status {result.returncode}){words}")
    return instructions


def _last_words(output: bytes) -> str:
    lines = output.decode(errors="replace").split("\n")
    last = [line.strip() for line in lines if line.strip()][-1:]
    return f": {last[0]}" if last else ""


def linux_guest(folder: Path, vmlinuz: Path) -> Guest:
    init = folder / "init"
    initramfs.build_init(init)
    archive = folder / "initramfs.cpio"
    archive.write_bytes(initramfs.archive(init.read_bytes()))
    # No console and few words: nothing that would cost it instructions. A
    # kernel that panics must end the machine.
    return Guest(PEER, vmlinuz, "quiet panic=-1", archive)


def raw_disk(image: str, folder: Path) -> Path | None:
    if image == "none":
        return None
    path = Path(image)
    if not path.is_file():
        raise BootError(f"--disk {image}: there is no such file")
    if path.suffix != ".zst":
        return path.resolve()
    raw = folder / "disk.img"
    result = subprocess.run(
        ["zstd", "-q", "-d", "--long=27", "--sparse", str(path), "-o",
         str(raw)], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise BootError(f"cannot unpack {image}: {result.stderr.strip()}")
    return raw


def measure(arguments: argparse.Namespace, folder: Path
            ) -> tuple[dict[str, list[int]], str]:
    """Every boot's figure by contender, and what the peer is."""
    disk = raw_disk(arguments.disk, folder)
    guests = []
    peer = ""
    if arguments.only != PEER:
        if not arguments.kernel.is_file():
            raise BootError(f"{arguments.kernel.name} is not built; run: "
                            "bazel build //kernel:odonata.elf")
        guests.append(Guest(OURS, arguments.kernel, "bench=boot"))
    if arguments.only != OURS:
        vmlinuz, peer = arguments.vmlinuz, str(arguments.vmlinuz)
        if vmlinuz is None:
            vmlinuz, peer = debian_kernel.vmlinuz(debian_kernel.cache_folder())
        guests.append(linux_guest(folder, vmlinuz))
    runs = 1 if arguments.quick else arguments.runs
    counts: dict[str, list[int]] = {guest.contender: [] for guest in guests}
    for seed in range(1, runs + 1):
        for guest in guests:
            counts[guest.contender].append(count(guest, disk, seed))
    return counts, peer


def records(counts: dict[str, list[int]]) -> str:
    return "".join(
        json.dumps({"name": f"{CASE}/{contender}", "value": value,
                    "unit": "instructions", "better": "lower"}) + "\n"
        for contender, values in counts.items() for value in values)


def wanted_ratio() -> float | None:
    goal = goals.find(goals.load(_ROOT / "bench" / "goals.json"), CASE)
    return goal.ratio if goal else None


def summary(counts: dict[str, list[int]], peer: str,
            goal: float | None) -> str:
    """The two counts, and how they compare, for a reader."""
    what = {OURS: "Odonata, power-on to the monitor's prompt",
            PEER: f"Linux ({peer}), power-on to the first user instruction"}
    lines = []
    for contender, values in counts.items():
        lines.append(f"{statistics.median(values):>15,.0f}  {what[contender]}")
        if len(values) > 1:
            lines.append(f"{'':15}  {len(values)} boots: {min(values):,} to "
                         f"{max(values):,}")
    if len(counts) == 2:
        ratio = (statistics.median(counts[PEER])
                 / statistics.median(counts[OURS]))
        verdict = ""
        if goal is not None:
            verdict = (f" (goal {goal:g}x: "
                       f"{'met' if ratio >= goal else 'NOT met'})")
        lines.append(f"{ratio:>14.1f}x  fewer for Odonata{verdict}")
    return "\n".join(lines) + "\n"


def main(argv: list[str]) -> int:
    arguments = parse(argv)
    if arguments.list:
        print(f"{CASE}/{OURS}\n{CASE}/{PEER}")
        return 0
    try:
        with tempfile.TemporaryDirectory(prefix="odo-bench-") as folder:
            counts, peer = measure(arguments, Path(folder))
        text = (records(counts) if arguments.records
                else summary(counts, peer, wanted_ratio()))
    except (BootError, BenchError, debian_kernel.FetchError,
            initramfs.InitramfsError) as error:
        print(f"boot_instructions: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
