# SPDX-License-Identifier: BSD-3-Clause
"""Which accelerator to trust.

A /dev/kvm may exist, open, and still be unable to run an ordinary guest
(nested virtualisation half switched on, filters in a container). The only
proof is a guest that ran: our own kernel, told to power off with a number
that we chose.
"""

import os
import subprocess
import tempfile

# The proof must not cost a person more than this when KVM hangs.
PROBE_SECONDS = 1.5
_PROBE_STATUS = 42


def kvm_runs_guests(qemu: str, kernel: str) -> bool:
    """True when a guest under KVM ran this kernel to its end and said so."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    with tempfile.NamedTemporaryFile("w", prefix="odo-probe-") as script:
        script.write(f"poweroff {_PROBE_STATUS}\n")
        script.flush()
        command = [
            qemu, "-accel", "kvm", "-machine", "q35", "-cpu", "host",
            "-m", "64", "-nodefaults", "-display", "none", "-no-reboot",
            "-kernel", kernel,
            "-fw_cfg", f"name=opt/odo/run,file={script.name}",
            "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
        ]
        guest = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        try:
            return guest.wait(PROBE_SECONDS) == (_PROBE_STATUS << 1) | 1
        except subprocess.TimeoutExpired:
            guest.kill()
            guest.wait()
            return False


def choose(wanted: str, qemu: str, kernel: str) -> str:
    """Turns auto, kvm or tcg into the accelerator to run with."""
    if wanted != "auto":
        return wanted
    return "kvm" if kvm_runs_guests(qemu, kernel) else "tcg"
