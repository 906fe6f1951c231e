# SPDX-License-Identifier: BSD-3-Clause
"""./odo image: media that boot under BIOS and UEFI, from a CD and from a disk.

docs/media.md draws what is on them.
"""

import argparse
import contextlib
import dataclasses
import gzip
import hashlib
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tools.front import boot, gpt

H2 = os.environ.get("ODO_H2", "bazel-bin/tools/h2/h2")
GRUB = Path(os.environ.get("ODO_GRUB", "/usr/lib/grub"))
# Of everything on a medium, so that the same content makes the same bytes.
_DEFAULT_EPOCH = 1767225600
_MIB = 1 << 20
# A root up to here also goes to memory: GRUB reads it where the kernel has no
# driver for what it was booted from.
_MODULE_LIMIT = 256 * _MIB

_COMMON_MODULES = (
    "normal configfile search search_fs_file multiboot2 gzio serial terminal "
    "echo test reboot halt part_gpt part_msdos fat iso9660 all_video").split()
_BIOS_MODULES = ["biosdisk", "vbe"]
_EFI_MODULES = ["efi_gop", "efi_uga"]

_MENU = """\
set timeout={timeout}
set default=0
if serial --unit=0 --speed=115200; then
  terminal_input --append serial
  terminal_output --append serial
fi
menuentry "Odonata" {{
  multiboot2 /boot/odonata.elf {append}
{module}}}
{memory}menuentry "Restart" {{
  reboot
}}
"""


# Whatever filesystems the machine's own disks have.
_IN_MEMORY = """\
menuentry "Odonata, its root in memory" {{
  multiboot2 /boot/odonata.elf {append} root=md0
{module}}}
"""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What goes on a medium."""
    root: Path  # a raw HAMMER2 image
    append: str = ""  # to the kernel's command line
    timeout: int = 2  # seconds that the menu waits


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./odo image",
        description="Make a medium that boots under BIOS and UEFI, with the "
        "kernel and a HAMMER2 root. The same content makes the same bytes "
        "(SOURCE_DATE_EPOCH sets the time on it).")
    parser.add_argument("--iso", metavar="FILE",
                        help="for a CD; boots from a disk or a stick as well")
    parser.add_argument("--usb", metavar="FILE",
                        help="for a disk or a stick: GPT with BIOS boot, EFI "
                        "system and HAMMER2 partitions")
    parser.add_argument("--root", metavar="IMG|DIR",
                        help="the root: a HAMMER2 image, raw or .zst, or a "
                        "folder to make one of (default: this project's texts)")
    parser.add_argument("--root-size", metavar="SIZE",
                        help="how large to make the root of a folder: 64M, 2G "
                        "(default: its content and some room)")
    parser.add_argument("--append", default="", metavar="'k=v ...'",
                        help="kernel command line, e.g. root=vd0p3")
    parser.add_argument("--timeout", type=int, default=2, metavar="S",
                        help="seconds that GRUB's menu waits (default 2)")
    arguments = parser.parse_args(argv)
    if arguments.iso is None and arguments.usb is None:
        parser.error("give --iso FILE, --usb FILE or both")
    if arguments.timeout < 0:
        parser.error("--timeout: give 0 or more seconds")
    if arguments.root_size and not re.fullmatch(r"\d+[KMGT]?",
                                                arguments.root_size):
        parser.error(f"--root-size {arguments.root_size}: give bytes, or a "
                     "number with K, M, G or T")
    if set(arguments.append) & set("\n{}$;"):
        parser.error("--append: GRUB can't take newlines, {, }, $ or ;")
    return arguments


def _epoch() -> int:
    return int(os.environ.get("SOURCE_DATE_EPOCH", _DEFAULT_EPOCH))


def _run(words: Sequence[object], folder: Path | None = None) -> None:
    """Runs a tool quietly; Refused with its last line when it fails."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(_epoch()),
                   "TZ": "UTC", "LC_ALL": "C.UTF-8", "MTOOLS_SKIP_CHECK": "1"}
    try:
        result = subprocess.run([str(word) for word in words], cwd=folder,
                                env=environment, capture_output=True,
                                text=True, errors="replace", check=False)
    except FileNotFoundError as error:
        raise boot.Refused(f"{words[0]} is not installed: ./odo image installs "
                           "it") from error
    if result.returncode != 0:
        why = (result.stderr or result.stdout).strip().splitlines()
        raise boot.Refused(f"{words[0]} failed: {why[-1] if why else '?'}")


def _copy_sparse(source: Path, to: Path, seek: int = 0) -> None:
    """The source's bytes into `to` from `seek` on; zeroes stay holes."""
    _run(["dd", f"if={source}", f"of={to}", "bs=64K", f"seek={seek}",
          "oflag=seek_bytes", "conv=sparse,notrunc", "status=none"])


def root_image(name: str | None, size: str | None, folder: Path) -> Path:
    """The raw HAMMER2 image that the command line means, perhaps made here."""
    if name is None:
        return Path(boot.DEFAULT_DISK).resolve()
    path = boot.caller_path(name)
    if not path.is_dir():
        if size is not None:
            raise boot.Refused(f"--root-size is for folders, and {name} is none")
        return boot.unpacked(boot.Image(name), folder, 0).path
    image = folder / "root.img"
    _run([Path(H2).resolve(), "create", "--reproducible",
          *([f"--image_size={size}"] if size else []), image, path.resolve()])
    return image


class _Maker:
    """The parts that media have in common, made in a folder."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan = plan
        self.folder = folder
        self.tree = folder / "tree"
        self.root_size = plan.root.stat().st_size
        (self.tree / "boot" / "grub").mkdir(parents=True)
        self._fill_tree()
        self.id = self._identify()
        (self.tree / "boot" / f"{self.id}.id").write_bytes(b"")
        self.early = folder / "early.cfg"
        self.early.write_text(
            f"search --no-floppy --file --set=root /boot/{self.id}.id\n"
            "set prefix=($root)/boot/grub\n")
        for path in [*self.tree.rglob("*"), self.tree]:
            os.utime(path, (_epoch(), _epoch()))

    def _fill_tree(self) -> None:
        shutil.copyfile(boot.KERNEL, self.tree / "boot" / "odonata.elf")
        module = ""
        if self.root_size <= _MODULE_LIMIT:
            module = "  module2 /boot/root.img.gz\n"
            with (self.tree / "boot" / "root.img.gz").open("wb") as raw, \
                    gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed, \
                    self.plan.root.open("rb") as source:
                shutil.copyfileobj(source, packed, _MIB)
        else:
            print(f"odo: the root is larger than {_MODULE_LIMIT // _MIB} MiB: "
                  "the kernel needs a driver for the medium to find it",
                  file=sys.stderr)
        (self.tree / "boot" / "grub" / "grub.cfg").write_text(_MENU.format(
            timeout=self.plan.timeout, append=self.plan.append, module=module,
            memory=_IN_MEMORY.format(append=self.plan.append, module=module)
            if module else ""))

    def _identify(self) -> str:
        """A name that no other medium of the machine has."""
        digest = hashlib.sha256()
        for path in sorted(self.tree.rglob("*")):
            if path.is_file():
                digest.update(path.read_bytes())
        with self.plan.root.open("rb") as source:
            while piece := source.read(_MIB):
                digest.update(piece)
        return digest.hexdigest()[:16]

    def grub(self, target: str, modules: Sequence[str]) -> bytes:
        """GRUB in one piece, with all that it needs to find the rest."""
        made = self.folder / f"grub-{target}"
        folder = "x86_64-efi" if target == "x86_64-efi" else "i386-pc"
        if not (GRUB / folder).is_dir():
            raise boot.Refused(f"GRUB for {folder} is not installed: ./odo "
                               "image installs it")
        _run(["grub-mkimage", "-O", target, "-d", GRUB / folder, "-o", made,
              "-p", "/boot/grub", "-c", self.early, *_COMMON_MODULES, *modules])
        return made.read_bytes()

    def efi_system(self, at_least: int, with_tree: bool) -> Path:
        """A FAT filesystem that UEFI starts GRUB from."""
        loader = self.folder / "BOOTX64.EFI"
        loader.write_bytes(self.grub("x86_64-efi", _EFI_MODULES))
        os.utime(loader, (_epoch(), _epoch()))
        content = loader.stat().st_size
        if with_tree:
            content += sum(path.stat().st_size
                           for path in self.tree.rglob("*") if path.is_file())
        # Directories and FATs take some, and files are rounded up.
        size = max(at_least, -(-(content * 9 // 8 + _MIB) // _MIB) * _MIB)
        image = self.folder / "esp.img"
        with image.open("wb") as file:
            file.truncate(size)
        serial = int(self.id[:8], 16)
        _run(["mformat", "-i", image, "-v", "ODONATA", "-N", f"{serial:08x}",
              "-T", size // gpt.BLOCK, "-h", "255", "-s", "63", "::"])
        _run(["mmd", "-i", image, "::/EFI", "::/EFI/BOOT"])
        _run(["mcopy", "-m", "-i", image, loader, "::/EFI/BOOT/BOOTX64.EFI"])
        if with_tree:
            _run(["mmd", "-i", image, "::/boot", "::/boot/grub"])
            for path in sorted(self.tree.rglob("*")):
                if path.is_file():
                    _run(["mcopy", "-m", "-i", image, path,
                          f"::/{path.relative_to(self.tree)}"])
        return image


def make_iso(plan: Plan, to: Path, folder: Path) -> None:
    maker = _Maker(plan, folder)
    core = maker.tree / "boot" / "grub" / "eltorito.img"
    core.write_bytes(maker.grub("i386-pc-eltorito", _BIOS_MODULES))
    os.utime(core, (_epoch(), _epoch()))
    os.utime(core.parent, (_epoch(), _epoch()))
    esp = maker.efi_system(_MIB, with_tree=False)
    to.unlink(missing_ok=True)
    _run(["xorriso", "-as", "mkisofs", "-quiet", "-r", "-V", "ODONATA",
          "-o", to.resolve(),
          # BIOS, from a CD
          "-b", "boot/grub/eltorito.img", "-no-emul-boot", "-boot-load-size",
          "4", "-boot-info-table", "--grub2-boot-info",
          # BIOS, from a disk
          "--grub2-mbr", GRUB / "i386-pc" / "boot_hybrid.img",
          # UEFI, from a disk and from a CD
          "-append_partition", "2", gpt.EFI_SYSTEM, esp,
          "-append_partition", "3", gpt.HAMMER2, plan.root,
          "-appended_part_as_gpt", "-eltorito-alt-boot", "-e",
          "--interval:appended_partition_2:all::", "-no-emul-boot",
          maker.tree])


def _boot_code(core_block: int) -> bytes:
    """GRUB's first sector, told where its core begins (grub-bios-setup)."""
    code = bytearray((GRUB / "i386-pc" / "boot.img").read_bytes())
    struct.pack_into("<Q", code, 0x5C, core_block)
    # Believe the BIOS about the drive only if it names a disk.
    struct.pack_into("<H", code, 0x66, 0x9090)
    return bytes(code)


def make_usb(plan: Plan, to: Path, folder: Path) -> None:
    maker = _Maker(plan, folder)
    core = bytearray(maker.grub("i386-pc", _BIOS_MODULES))
    begin = _MIB
    if len(core) > _MIB:
        raise boot.Refused("GRUB's core is larger than its partition")
    # The core's first sector loads the others, which follow it.
    struct.pack_into("<Q", core, 0x1F4, begin // gpt.BLOCK + 1)
    esp = maker.efi_system(16 * _MIB, with_tree=True)
    esp_size = esp.stat().st_size
    root_begin = 2 * _MIB + esp_size
    root_size = -(-maker.root_size // gpt.BLOCK) * gpt.BLOCK
    size = -(-(root_begin + root_size + gpt.TAIL_BYTES) // _MIB) * _MIB
    to.unlink(missing_ok=True)
    with to.open("wb") as file:
        file.truncate(size)
        gpt.write(file, size, [
            gpt.Partition(gpt.BIOS_BOOT, "GRUB", begin, _MIB),
            gpt.Partition(gpt.EFI_SYSTEM, "EFI", 2 * _MIB, esp_size),
            gpt.Partition(gpt.HAMMER2, "root", root_begin, root_size),
        ], maker.id, _boot_code(begin // gpt.BLOCK))
        file.seek(begin)
        file.write(core)
    _copy_sparse(esp, to, 2 * _MIB)
    _copy_sparse(plan.root, to, root_begin)


def make(argv: list[str]) -> int:
    arguments = parse(argv)
    with tempfile.TemporaryDirectory(prefix="odo-image-") as name:
        folder = Path(name)
        plan = Plan(root_image(arguments.root, arguments.root_size, folder),
                    arguments.append, arguments.timeout)
        for kind, maker in (("iso", make_iso), ("usb", make_usb)):
            wanted = getattr(arguments, kind)
            if wanted is None:
                continue
            to = boot.caller_path(wanted)
            work = folder / kind
            work.mkdir()
            # Whole or not at all, and a device is not a file to be replaced.
            if to.exists() and not to.is_file():
                raise boot.Refused(f"{wanted} is no file: write the image to a "
                                   "file, then the file to the device "
                                   "(docs/metal.md)")
            half = to.with_name(f".{to.name}.odo")
            try:
                maker(plan, half, work)
                half.replace(to)
            except OSError as error:
                raise boot.Refused(f"cannot write {wanted}: "
                                   f"{error.strerror}") from error
            finally:
                with contextlib.suppress(OSError):
                    half.unlink()
            print(f"odo: {wanted}: {to.stat().st_size / _MIB:.0f} MiB",
                  file=sys.stderr)
    return 0


def main(argv: list[str]) -> int:
    try:
        return make(argv)
    except boot.Refused as refusal:
        print(f"odo: {refusal}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
