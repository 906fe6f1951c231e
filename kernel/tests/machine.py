# SPDX-License-Identifier: BSD-3-Clause
"""The kernel in QEMU, for tests: a conversation on its serial line, or a run
script and its output."""

import contextlib
import dataclasses
import os
import re
import select
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

PROMPT = "odo> "
# A boot takes well under a second; a busy machine may take thirty times that.
TIMEOUT_S = 60
_TERMINAL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def kernel_path() -> Path:
    return Path(os.environ.get("ODO_KERNEL", "kernel/odonata.elf"))


@dataclasses.dataclass(frozen=True)
class Disk:
    path: Path
    serial: str = ""
    options: str = ""
    writable: bool = False
    bus: str = "virtio"  # or nvme, ahci, cd


def disk_words(number: int, disk: Disk) -> list[str]:
    drive = f"file={disk.path},format=raw,if=none,id=d{number}"
    if disk.bus in ("virtio", "cd"):
        drive += f",readonly={'off' if disk.writable else 'on'}"
    elif not disk.writable:
        drive += ",snapshot=on"
    device = f"drive=d{number},serial={disk.serial}{disk.options}"
    words = ["-drive", drive]
    if disk.bus == "virtio":
        return words + ["-device", f"virtio-blk-pci,{device}"]
    if disk.bus == "nvme":
        return words + ["-device", f"nvme,id=bus{number},{device}"]
    kind = "ide-cd" if disk.bus == "cd" else "ide-hd"
    return words + ["-device", f"ich9-ahci,id=bus{number}",
                    "-device", f"{kind},bus=bus{number}.0,{device}"]


@dataclasses.dataclass(frozen=True)
class Config:
    machine: str = "q35"
    cpu: str = "max"
    memory: str = "64"
    append: str = ""
    disks: Sequence[Disk] = ()
    extra: Sequence[str] = ()
    from_medium: bool = False  # else QEMU loads the kernel itself


def command(config: Config) -> list[str]:
    words = [
        os.environ.get("ODO_QEMU", "qemu-system-x86_64"), "-accel", "tcg",
        "-machine", config.machine, "-cpu", config.cpu, "-m", config.memory,
        "-nodefaults", "-display", "none", "-no-reboot",
        "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
    ]
    if not config.from_medium:
        words += ["-kernel", str(kernel_path())]
    if config.append:
        words += ["-append", config.append]
    for number, disk in enumerate(config.disks):
        words += disk_words(number, disk)
    return words + list(config.extra)


def status_of(returncode: int) -> int:
    """The guest's own status: see kernel/x86_64/power.h."""
    return returncode >> 1 if returncode > 1 else returncode


@dataclasses.dataclass(frozen=True)
class Result:
    status: int
    output: bytes  # the run output: COM2 or the virtio port
    console: str   # COM1


SERIAL_OUTPUT = ("-serial", "chardev:output")
VIRTIO_OUTPUT = ("-device", "virtio-serial-pci", "-device",
                 "virtserialport,chardev=output")


def run(script: str | bytes, config: Config = Config(),
        timeout: float = TIMEOUT_S,
        output: Sequence[str] = SERIAL_OUTPUT) -> Result:
    """Runs a script of monitor commands to the machine's end."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = script if isinstance(script, bytes) else script.encode()
        (folder / "run").write_bytes(data)
        words = command(config) + [
            "-fw_cfg", f"name=opt/odo/run,file={folder}/run",
            "-serial", f"file:{folder}/console",
            "-chardev", f"file,id=output,path={folder}/output", *output,
        ]
        done = subprocess.run(words, stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=timeout,
                              check=False)
        if done.returncode == 1:
            raise RuntimeError(done.stderr.decode())
        return Result(status_of(done.returncode),
                      (folder / "output").read_bytes(),
                      (folder / "console").read_text(errors="replace"))


class Conversation:
    """A booted machine that can be typed to."""

    def __init__(self, process: subprocess.Popen[bytes],
                 monitor_path: Path) -> None:
        self._process = process
        self._monitor_path = monitor_path
        self._raw = b""
        self._seen = 0  # how much of `text` was answered with
        self.text = ""  # all that came so far, without terminal codes

    def read_until(self, wanted: str, timeout: float = TIMEOUT_S) -> str:
        """What came up to and with `wanted`; AssertionError without it."""
        deadline = time.monotonic() + timeout
        assert self._process.stdout
        while (at := self.text.find(wanted, self._seen)) < 0:
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self._process.stdout], [], [],
                                        max(left, 0))
            chunk = os.read(self._process.stdout.fileno(), 65536) if ready \
                else b""
            if not chunk:
                raise AssertionError(f"no {wanted!r} came; this did:\n"
                                     + self.text[self._seen:])
            self._raw += chunk
            self.text = _TERMINAL.sub("", self._raw.decode(errors="replace"))
        begin, self._seen = self._seen, at + len(wanted)
        return self.text[begin:self._seen]

    def type(self, text: str | bytes) -> None:
        assert self._process.stdin
        self._process.stdin.write(
            text if isinstance(text, bytes) else text.encode())
        self._process.stdin.flush()

    def ask(self, line: str) -> str:
        """Types a command and answers with what it printed."""
        self.type(line + "\r")
        self.read_until("\n")  # the echo
        answer = self.read_until(PROMPT)
        return answer[:-len(PROMPT)].replace("\r", "")

    def qemu(self, line: str) -> str:
        """A command for QEMU's own monitor."""
        deadline = time.monotonic() + TIMEOUT_S
        while not self._monitor_path.exists():
            assert time.monotonic() < deadline, "QEMU has no monitor"
            time.sleep(0.05)
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.connect(str(self._monitor_path))
            monitor.settimeout(TIMEOUT_S)

            def to_prompt() -> str:
                text = b""
                while not text.rstrip().endswith(b"(qemu)"):
                    text += monitor.recv(65536)
                return text.decode(errors="replace")

            to_prompt()
            monitor.sendall(line.encode() + b"\n")
            return to_prompt()

    def wait(self, timeout: float = TIMEOUT_S) -> int:
        """The status with which the machine ended."""
        assert self._process.stdin
        try:
            return status_of(self._process.wait(timeout))
        except subprocess.TimeoutExpired as error:
            raise AssertionError("the machine did not end:\n"
                                 + self.text) from error


def boot(config: Config = Config()
         ) -> contextlib.AbstractContextManager[Conversation]:
    return boot_words(command(config))


@contextlib.contextmanager
def boot_words(words: Sequence[str]) -> Iterator[Conversation]:
    """The machine that QEMU makes of these words, and a line to it."""
    with tempfile.TemporaryDirectory() as name:
        monitor = Path(name, "monitor")
        process = subprocess.Popen(
            [*words, "-serial", "stdio", "-monitor",
             f"unix:{monitor},server=on,wait=off"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            yield Conversation(process, monitor)
        finally:
            process.kill()
            process.wait()
            assert process.stdin and process.stdout
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            process.stdout.close()
