# SPDX-License-Identifier: BSD-3-Clause
"""./odo boot: boots the kernel in QEMU."""

import argparse
import contextlib
import dataclasses
import os
import re
import shlex
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from tools.front import kvm

KERNEL = os.environ.get("ODO_KERNEL", "bazel-bin/kernel/odonata.elf")
# The same with types, variables and lines.
DEBUG_KERNEL = os.environ.get("ODO_KERNEL_DEBUG",
                              "bazel-bin/kernel/odonata.debug")
# Made by h2 when the kernel is built.
DEFAULT_DISK = os.environ.get("ODO_BOOT_DISK", "bazel-bin/testdata/boot.img")
OVMF = Path(os.environ.get("ODO_OVMF", "/usr/share/OVMF"))
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
# What `--run` may take before it counts as a hang, unless --timeout says else.
_RUN_TIMEOUT_S = 600
TIMED_OUT = 124
_PORTS_OF_AHCI = 6


class Refused(Exception):
    """The command line or an image can't be used; the text says why."""


@dataclasses.dataclass(frozen=True)
class Image:
    """A disk as the command line names it."""
    name: str
    writable: bool = False


@dataclasses.dataclass(frozen=True)
class Disk:
    """A raw image that QEMU can open."""
    path: Path
    writable: bool = False


class _AddImage(argparse.Action):
    """--disk and --disk-rw make one list, in their order."""

    def __call__(self, _parser, namespace, values, option_string=None) -> None:
        images = getattr(namespace, self.dest) or []
        setattr(namespace, self.dest,
                [*images, Image(values, option_string == "--disk-rw")])


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./odo boot",
        description="Build the kernel and boot it in QEMU, its monitor on this "
        "terminal (Ctrl-A X ends QEMU).")
    parser.add_argument("--disk", action=_AddImage, metavar="IMG", dest="images",
                        help="a raw disk image or a .zst of one, which is never "
                        "written to; repeat for vd1, vd2, ...; `none` for no "
                        "disk at all (default: a HAMMER2 image with this "
                        "project's texts, in a copy that the guest may change)")
    parser.add_argument("--disk-rw", action=_AddImage, metavar="IMG",
                        dest="images",
                        help="a raw disk image that the guest may write to; "
                        "counts with --disk for the names of disks")
    parser.add_argument("--disk-bus", choices=("virtio", "nvme", "ahci"),
                        default="virtio", help="what the disks hang on: their "
                        "names are vd0, nvme0 or ad0 and so on (default "
                        "virtio); on the other two the guest may change what "
                        "--disk names, and its changes are dropped at the end")
    parser.add_argument("--run", metavar="CMDS",
                        help="run these monitor commands (separated by ; or "
                        "newlines), print their output alone on stdout, power "
                        "off, exit with the last status; `-` reads them from "
                        "stdin")
    parser.add_argument("--smp", type=int, default=1, metavar="N",
                        help="virtual CPUs (default 1)")
    parser.add_argument("--memory", metavar="M",
                        help="RAM in MiB, or with a suffix M or G (default 256, "
                        "512 with a medium, whose root is in RAM too)")
    parser.add_argument("--timeout", type=float, metavar="S",
                        help="end QEMU after S seconds and exit with "
                        f"{TIMED_OUT} (default: {_RUN_TIMEOUT_S} with --run, "
                        "else none)")
    parser.add_argument("--gdb", action="store_true",
                        help="wait for gdb on port 1234 before the first "
                        "instruction; the line that starts it is told")
    parser.add_argument("--accel", choices=("auto", "kvm", "tcg"),
                        default="auto", help="auto uses KVM only after a guest "
                        "has proved it (default)")
    parser.add_argument("--machine", choices=("q35", "pc"), default="q35",
                        help="QEMU machine type (default q35)")
    parser.add_argument("--append", default="", metavar="'k=v ...'",
                        help="kernel command line, e.g. root=vd1@DATA")
    medium = parser.add_mutually_exclusive_group()
    medium.add_argument("--iso", nargs="?", const="", metavar="FILE",
                        help="boot from a CD through GRUB (default: one that "
                        "./odo image would make), with no other disk but those "
                        "of --disk")
    medium.add_argument("--usb", nargs="?", const="", metavar="FILE",
                        help="the same from a disk")
    parser.add_argument("--uefi", action="store_true",
                        help="boot under UEFI (OVMF) instead of a BIOS; from a "
                        "disk as of --usb unless --iso is given")
    arguments = parser.parse_args(argv)
    if arguments.uefi and arguments.iso is None and arguments.usb is None:
        arguments.usb = ""
    if arguments.append and (arguments.iso or arguments.usb):
        parser.error("--append: the command line of a medium stands on it: give "
                     "it to ./odo image")
    if not 1 <= arguments.smp <= 255:
        parser.error(f"--smp {arguments.smp}: give 1 to 255 CPUs")
    if arguments.memory is None:
        arguments.memory = "512" if is_from_medium(arguments) else "256"
    match = re.fullmatch(r"(\d{1,7})([MG]?)", arguments.memory)
    if not match or int(match[1]) == 0:
        parser.error(f"--memory {arguments.memory}: give MiB, or a number "
                     "with M or G, such as 64 or 1G")
    arguments.memory = f"{match[1]}{match[2] or 'M'}"
    if arguments.timeout is not None and arguments.timeout <= 0:
        parser.error("--timeout: give a positive number of seconds")
    images = arguments.images or []
    if len(images) > 1 and Image("none") in images:
        parser.error("--disk none: stands alone")
    return arguments


def caller_path(name: str) -> Path:
    """A path as the caller meant it: ./odo itself moves to the repository."""
    return Path(os.environ.get("ODO_CALLER_DIR", "."), name)


def unpacked(image: Image, folder: Path, number: int) -> Disk:
    """The raw image: the file itself, or a sparse unpacked copy in `folder`."""
    path = caller_path(image.name)
    verb = "write to" if image.writable else "read"
    try:
        with path.open("r+b" if image.writable else "rb") as file:
            compressed = file.read(4) == _ZSTD_MAGIC
    except OSError as error:
        raise Refused(f"cannot {verb} the disk image {image.name}: "
                      f"{error.strerror}") from error
    if not compressed:
        return Disk(path.resolve(), image.writable)
    if image.writable:
        raise Refused(f"cannot write to {image.name}: it is compressed; unpack "
                      "it with `zstd -d --sparse` first")
    raw = folder / f"disk{number}.img"
    result = subprocess.run(
        ["zstd", "-q", "-d", "--long=27", "--sparse", "-f", str(path), "-o",
         str(raw)], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        why = result.stderr.strip().splitlines()
        raise Refused(f"cannot unpack {image.name}: "
                      f"{why[-1] if why else 'zstd failed'}")
    return Disk(raw)


def default_disk(folder: Path) -> Disk:
    """A copy of the image in the repository, whatever the caller's folder is;
    what the guest changes in it is gone at the end."""
    copy = folder / "boot.img"
    subprocess.run(["cp", "--sparse=always", DEFAULT_DISK, str(copy)],
                   check=True)
    copy.chmod(0o600)
    return Disk(copy, writable=True)


def is_from_medium(arguments: argparse.Namespace) -> bool:
    return arguments.iso is not None or arguments.usb is not None


def medium_of(arguments: argparse.Namespace, folder: Path) -> Path | None:
    """The CD or disk to boot from, made on the way unless one is named."""
    if not is_from_medium(arguments):
        return None
    name = arguments.usb if arguments.iso is None else arguments.iso
    if name:
        return unpacked(Image(name), folder, len(arguments.images or [])).path
    from tools.front import image  # it is made of what stands here
    made = folder / "medium"
    work = folder / "work"
    work.mkdir()
    plan = image.Plan(Path(DEFAULT_DISK).resolve(), arguments.append, 0)
    (image.make_usb if arguments.iso is None else image.make_iso)(
        plan, made, work)
    return made


def firmware_of(arguments: argparse.Namespace) -> list[str]:
    """QEMU's words for UEFI, whose settings are forgotten at the end."""
    if not arguments.uefi:
        return []
    for name in ("OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"):
        if not (OVMF / name).is_file():
            raise Refused(f"no UEFI firmware: {OVMF / name} is missing (Debian "
                          "package ovmf)")
    return ["-drive", "if=pflash,format=raw,unit=0,readonly=on,"
            f"file={OVMF}/OVMF_CODE_4M.fd",
            "-drive", "if=pflash,format=raw,unit=1,snapshot=on,"
            f"file={OVMF}/OVMF_VARS_4M.fd"]


def disks_of(arguments: argparse.Namespace, folder: Path) -> list[Disk]:
    if arguments.images is None and is_from_medium(arguments):
        return []
    if arguments.images is None:
        return [default_disk(folder)]
    if arguments.images == [Image("none")]:
        return []
    return [unpacked(image, folder, number)
            for number, image in enumerate(arguments.images)]


def disk_words(bus: str, number: int, disk: Disk) -> list[str]:
    """QEMU's words for one disk.

    A virtio disk can be read-only; QEMU's others cannot, so that what the guest
    writes to those is dropped at the end.
    """
    # QEMU's option parser takes a comma inside a value when doubled.
    file = str(disk.path).replace(",", ",,")
    drive = f"file={file},format=raw,if=none,id=disk{number}"
    if bus == "virtio":
        drive += f",readonly={'off' if disk.writable else 'on'}"
    elif not disk.writable:
        drive += ",snapshot=on"
    device = f"drive=disk{number},serial=odo{number}"
    words = ["-drive", drive]
    if bus == "virtio":
        return words + ["-device", f"virtio-blk-pci,{device},disable-legacy=on"]
    if bus == "nvme":
        return words + ["-device", f"nvme,{device}"]
    # A controller of our own, as not every machine has one.
    controller, port = divmod(number, _PORTS_OF_AHCI)
    if port == 0:
        words += ["-device", f"ich9-ahci,id=sata{controller}"]
    return words + ["-device", f"ide-hd,{device},bus=sata{controller}.{port}"]


def qemu_command(arguments: argparse.Namespace, accelerator: str,
                 disks: list[Disk], run_script: Path | None,
                 console_fd: int | None,
                 medium: Path | None = None) -> list[str]:
    command = [
        "qemu-system-x86_64", "-accel", accelerator,
        "-machine", arguments.machine,
        "-cpu", "host" if accelerator == "kvm" else "max",
        "-smp", str(arguments.smp), "-m", arguments.memory,
        "-nodefaults", "-display", "none", "-no-reboot",
        "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
        *firmware_of(arguments),
    ]
    if medium is None:
        command += ["-kernel", KERNEL]
    elif arguments.iso is not None:
        command += ["-cdrom", str(medium).replace(",", ",,"), "-boot", "d"]
    else:
        # What the guest changes is gone at the end.
        file = str(medium).replace(",", ",,")
        command += [
            "-drive", f"file={file},format=raw,if=none,id=medium,snapshot=on",
            "-device", "virtio-blk-pci,drive=medium,serial=medium,"
            "disable-legacy=on,bootindex=0"]
    if arguments.append and medium is None:
        command += ["-append", arguments.append]
    for number, disk in enumerate(disks):
        command += disk_words(arguments.disk_bus, number, disk)
    if run_script is None:
        command += ["-serial", "mon:stdio"]
    else:
        # COM1: the kernel's own words, for stderr. A virtio port, which takes
        # bytes in bulk: what the commands print, untouched.
        command += [
            "-fw_cfg", f"name=opt/odo/run,file={run_script}",
            "-chardev", f"file,id=console,path=/dev/fd/{console_fd},append=on",
            "-serial", "chardev:console",
            "-chardev", "stdio,id=output,signal=off",
            "-device", "virtio-serial-pci,disable-legacy=on",
            "-device", "virtserialport,chardev=output",
        ]
    if arguments.gdb:
        command += ["-s", "-S"]
    return command


def gdb_line() -> str:
    """What to run in another terminal, from any folder."""
    return shlex.join(["gdb", "-cd", os.getcwd(), "-x", "tools/gdb/kernel.gdb",
                       DEBUG_KERNEL])


def exit_status(qemu_status: int) -> int:
    """QEMU's exit status as the guest meant it.

    The kernel powers off by ACPI for 0, and for other statuses writes them to
    isa-debug-exit, which QEMU turns into (status << 1) | 1. So 1 can only be
    QEMU's own failure to start.
    """
    if qemu_status > 1 and qemu_status & 1:
        return qemu_status >> 1
    return qemu_status


@contextlib.contextmanager
def _work_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="odo-boot-") as name:
        yield Path(name)


@contextlib.contextmanager
def _console_relay(wanted: bool) -> Iterator[int | None]:
    """A descriptor whose bytes end up on our stderr, whatever that is.

    QEMU opens its ports by name, and a name for stderr itself would not do: a
    socket has none, and a file would be opened at its start.
    """
    if not wanted:
        yield None
        return
    reader, writer = os.pipe()

    def relay() -> None:
        while chunk := os.read(reader, 65536):
            sys.stderr.buffer.write(chunk)
            sys.stderr.buffer.flush()

    thread = threading.Thread(target=relay)
    thread.start()
    try:
        yield writer
    finally:
        os.close(writer)
        thread.join()
        os.close(reader)


def boot(arguments: argparse.Namespace) -> int:
    timeout = arguments.timeout
    if timeout is None and arguments.run is not None and not arguments.gdb:
        timeout = _RUN_TIMEOUT_S
    with _work_folder() as folder:
        disks = disks_of(arguments, folder)
        medium = medium_of(arguments, folder)
        run_script = None
        if arguments.run is not None:
            run_script = folder / "run"
            text = sys.stdin.read() if arguments.run == "-" else arguments.run
            run_script.write_text(text + "\n", errors="surrogateescape")
        accelerator = kvm.choose(arguments.accel, "qemu-system-x86_64", KERNEL)
        if arguments.gdb:
            print(f"odo: waiting for gdb: {gdb_line()}", file=sys.stderr)
        sys.stdout.flush()
        with _console_relay(run_script is not None) as console_fd:
            command = qemu_command(arguments, accelerator, disks, run_script,
                                   console_fd, medium)
            guest = subprocess.Popen(
                command, stdin=subprocess.DEVNULL if run_script else None,
                pass_fds=[] if console_fd is None else [console_fd])
            try:
                return exit_status(guest.wait(timeout))
            except subprocess.TimeoutExpired:
                print(f"odo: the machine did not power off within {timeout:g} "
                      "s; give it longer with --timeout", file=sys.stderr)
                return TIMED_OUT
            finally:
                _end(guest)


def _end(guest: subprocess.Popen[bytes]) -> None:
    if guest.poll() is not None:
        return
    guest.terminate()
    try:
        guest.wait(5)
    except subprocess.TimeoutExpired:
        guest.kill()
        guest.wait()


def main(argv: list[str]) -> int:
    try:
        return boot(parse(argv))
    except Refused as refusal:
        print(f"odo: {refusal}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
