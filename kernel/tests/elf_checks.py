# SPDX-License-Identifier: BSD-3-Clause
"""What a linked kernel must and must not hold. Each check answers with a list
of complaints; an empty list is a pass.

Formats: System V ABI, ELF-64; Multiboot2 specification 2.0, section 3.1; Xen's
public/elfnote.h.
"""

import dataclasses
import re
import struct
import subprocess
from pathlib import Path

# FPU instructions are allowed in sections named so and nowhere else: the code
# that saves and restores the registers.
FPU_SECTIONS = (".text.fpu",)

PF_X, PF_W, PF_R = 1, 2, 4
PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE, PT_TLS = 1, 2, 3, 4, 7
PT_GNU_STACK = 0x6474E551
SHT_SYMTAB, SHT_RELA, SHT_REL, SHT_INIT_ARRAY = 2, 4, 9, 14
PAGE = 4096
XEN_ELFNOTE_PHYS32_ENTRY = 18
MULTIBOOT2_MAGIC = 0xE85250D6


@dataclasses.dataclass(frozen=True)
class Segment:
    type: int
    flags: int
    offset: int
    virtual: int
    physical: int
    file_size: int
    memory_size: int


@dataclasses.dataclass(frozen=True)
class Section:
    name: str
    type: int
    offset: int
    size: int
    link: int


class Elf:
    """As much of an ELF-64 file as the checks need."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        if data[:6] != b"\x7fELF\x02\x01":
            raise ValueError("not a little-endian ELF-64 file")
        (self.entry, phoff, shoff, _, _, phsize, phnum, shsize, shnum,
         names) = struct.unpack_from("<QQQIHHHHHH", data, 24)
        self.segments = []
        for i in range(phnum):
            kind, flags, offset, virtual, physical, filesz, memsz = (
                struct.unpack_from("<IIQQQQQ", data, phoff + i * phsize))
            self.segments.append(Segment(kind, flags, offset, virtual,
                                         physical, filesz, memsz))
        raw = []
        for i in range(shnum):
            name, kind, _, _, offset, size, link = struct.unpack_from(
                "<IIQQQQI", data, shoff + i * shsize)
            raw.append((name, kind, offset, size, link))
        self.sections = [
            Section(self._text(raw[names][2], name), kind, offset, size, link)
            for name, kind, offset, size, link in raw]

    def _text(self, table: int, at: int) -> str:
        begin = table + at
        return self.data[begin:self.data.index(b"\0", begin)].decode()

    def loads(self) -> list[Segment]:
        return [s for s in self.segments
                if s.type == PT_LOAD and s.memory_size]

    def undefined_symbols(self) -> list[str]:
        names = []
        for section in self.sections:
            if section.type != SHT_SYMTAB:
                continue
            strings = self.sections[section.link].offset
            # The first symbol is always the undefined one without a name.
            for at in range(24, section.size, 24):
                name, _, _, index = struct.unpack_from(
                    "<IBBH", self.data, section.offset + at)
                if index == 0:
                    names.append(self._text(strings, name))
        return names


def rights(elf: Elf) -> list[str]:
    """No segment writable and executable; no page with the rights of two."""
    bad = [f"segment at {s.virtual:#x} is writable and executable"
           for s in elf.loads() if s.flags & PF_W and s.flags & PF_X]
    pages: dict[int, Segment] = {}
    for segment in elf.loads():
        first = segment.virtual // PAGE
        last = (segment.virtual + segment.memory_size - 1) // PAGE
        for page in {first, last}:
            other = pages.setdefault(page, segment)
            if other is not segment and other.flags != segment.flags:
                bad.append(f"page {page * PAGE:#x} is shared by segments of "
                           "different rights")
    stacks = [s for s in elf.segments if s.type == PT_GNU_STACK]
    if not stacks or stacks[0].flags & PF_X:
        bad.append("the stack is not marked as not executable")
    return bad


def completeness(elf: Elf) -> list[str]:
    """Everything is resolved at link time and nothing runs by itself."""
    bad = [f"undefined symbol {name}" for name in elf.undefined_symbols()]
    for section in elf.sections:
        if section.type in (SHT_RELA, SHT_REL) and section.size:
            bad.append(f"relocations left in {section.name}")
        if section.type == SHT_INIT_ARRAY or section.name == ".ctors":
            bad.append(f"constructors to be run in {section.name}")
    for segment in elf.segments:
        if segment.type in (PT_DYNAMIC, PT_INTERP, PT_TLS):
            bad.append(f"segment of type {segment.type}: dynamic linking or "
                       "thread-local storage")
    return bad


def boot_entries(elf: Elf) -> list[str]:
    """Both boot protocols find what they look for."""
    bad = []
    executable = [(s.physical, s.physical + s.file_size) for s in elf.loads()
                  if s.flags & PF_X]

    def in_code(address: int) -> bool:
        return any(begin <= address < end for begin, end in executable)

    notes = []
    for segment in elf.segments:
        if segment.type != PT_NOTE:
            continue
        note = elf.data[segment.offset:segment.offset + segment.file_size]
        name_size, size, kind = struct.unpack_from("<III", note)
        if (kind == XEN_ELFNOTE_PHYS32_ENTRY and size == 8
                and note[12:12 + name_size] == b"Xen\0"):
            notes.append(struct.unpack_from("<Q", note, 12 + name_size)[0])
    if len(notes) != 1 or not in_code(notes[0]):
        bad.append(f"PVH entry notes: {[hex(n) for n in notes]}")

    head = elf.data[:32768]
    headers = [at for at in range(0, len(head) - 16, 8)
               if struct.unpack_from("<I", head, at)[0] == MULTIBOOT2_MAGIC]
    if len(headers) != 1:
        bad.append(f"{len(headers)} Multiboot2 headers in the first 32 KiB")
    for at in headers:
        words = struct.unpack_from("<IIII", head, at)
        if sum(words) % (1 << 32):
            bad.append("the Multiboot2 header has a wrong check sum")
        tag = at + 16
        while tag < at + words[2]:
            kind, _, size = struct.unpack_from("<HHI", head, tag)
            if kind == 3 and not in_code(
                    struct.unpack_from("<I", head, tag + 8)[0]):
                bad.append("the Multiboot2 entry is not in code")
            if size < 8:
                bad.append("a Multiboot2 tag without size")
                break
            tag += (size + 7) & ~7
    return bad


_SECTION = re.compile(r"^Disassembly of section (\S+):$")
_LABEL = re.compile(r"^[0-9a-f]+ <(.*)>:$")
_LINE = re.compile(r"^\s*(?P<address>[0-9a-f]+):\s+(?P<mnemonic>\S+)"
                   r"(?:\s+(?P<operands>.*))?$")
_REGISTERS = re.compile(r"%(?:[xyz]mm\d+|mm[0-7]\b|st\b|k[0-7]\b|tmm\d)")
# Every x86 mnemonic that begins with f is the x87's or 3DNow!'s.
_MNEMONICS = re.compile(
    r"^(?:f\w+|wait|emms|v?ldmxcsr|v?stmxcsr|vzero\w+|xsave\w*|xrstor\w*)$")
_PREFIXES = {"lock", "rep", "repe", "repne", "notrack", "data16", "cs", "ds",
             "es", "fs", "gs", "ss"}


def fpu_line(line: str) -> bool:
    """Whether a line of llvm-objdump (without raw bytes) touches the FPU."""
    match = _LINE.match(line.split("#")[0].rstrip())
    if not match:
        return False
    mnemonic, operands = match["mnemonic"], match["operands"] or ""
    while mnemonic in _PREFIXES and operands:
        mnemonic, _, operands = operands.partition(" ")
    return bool(_MNEMONICS.match(mnemonic) or _REGISTERS.search(operands))


def fpu_in_listing(lines: list[str]) -> list[str]:
    bad, section, function = [], "", "?"
    for line in lines:
        if match := _SECTION.match(line):
            section = match[1]
        elif match := _LABEL.match(line):
            function = match[1]
        elif section not in FPU_SECTIONS and fpu_line(line):
            bad.append(f"FPU instruction in {function}: {line.strip()}")
    return bad


def fpu(path: Path) -> list[str]:
    """No floating-point, MMX, SSE or AVX instruction outside FPU_SECTIONS."""
    listing = subprocess.run(
        ["llvm-objdump-19", "-d", "--no-show-raw-insn", "--demangle",
         str(path)], capture_output=True, text=True, check=True).stdout
    lines = listing.splitlines()
    instructions = sum(1 for line in lines if _LINE.match(line))
    if instructions < 3:
        return ["no code was disassembled"]
    return fpu_in_listing(lines)


def all_checks(path: Path) -> list[str]:
    elf = Elf(path.read_bytes())
    return rights(elf) + completeness(elf) + boot_entries(elf) + fpu(path)
