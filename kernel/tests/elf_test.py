# SPDX-License-Identifier: BSD-3-Clause
"""The linked kernel, by elf_checks.py; and the checks themselves, on small
programs that break one rule each.

The kernel is $ODO_KERNEL, or kernel/odonata.elf where Bazel puts it.
"""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

from kernel.tests import elf_checks

_GOOD = """
  .globl _start
  .text
_start:
  mov %rdi, %rax
  crc32q %rsi, %rax
  ret
  .data
  .quad 1
"""

_SCRIPT = """
PHDRS {
  text PT_LOAD FLAGS(5);
  data PT_LOAD FLAGS(DATA_FLAGS);
  stack PT_GNU_STACK FLAGS(6);
}
SECTIONS {
  . = 0x100000;
  .text : { *(.text*) } :text
  DATA_ALIGN
  .data : { *(.data*) *(.init_array) } :data
}
"""


def kernel_path() -> Path:
    return Path(os.environ.get("ODO_KERNEL", "kernel/odonata.elf"))


class KernelTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls) -> None:
        cls.elf = elf_checks.Elf(kernel_path().read_bytes())

    def test_no_page_is_writable_and_executable(self) -> None:
        self.assertEqual(elf_checks.rights(self.elf), [])

    def test_nothing_is_undefined_dynamic_or_run_by_itself(self) -> None:
        self.assertEqual(elf_checks.completeness(self.elf), [])

    def test_both_boot_protocols_find_their_entry(self) -> None:
        self.assertEqual(elf_checks.boot_entries(self.elf), [])

    def test_no_fpu_instruction(self) -> None:
        self.assertEqual(elf_checks.fpu(kernel_path()), [])

    def test_symbol_table_is_there_and_last(self) -> None:
        names = [s.name for s in self.elf.sections]
        self.assertIn(".symbols", names)
        section = self.elf.sections[names.index(".symbols")]
        self.assertGreater(section.size, 1000)
        last = max(self.elf.loads(), key=lambda s: s.virtual)
        self.assertEqual(last.offset, section.offset)


class CheckerTest(unittest.TestCase):
    """Each check must be able to fail."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def build(self, source: str, data_flags: int = 6,
              data_align: str = ". = ALIGN(4096);",
              options: tuple[str, ...] = ()) -> Path:
        assembly = self.folder / "fixture.S"
        assembly.write_text(source)
        script = self.folder / "fixture.ld"
        script.write_text(_SCRIPT.replace("DATA_FLAGS", str(data_flags))
                          .replace("DATA_ALIGN", data_align))
        elf = self.folder / "fixture.elf"
        subprocess.run(["clang-19", "-c", str(assembly), "-o",
                        str(self.folder / "fixture.o")], check=True)
        subprocess.run(["ld.lld-19", "-static", "-T", str(script), *options,
                        "-o", str(elf), str(self.folder / "fixture.o")],
                       check=True)
        return elf

    def elf(self, *args, **kwargs) -> elf_checks.Elf:
        return elf_checks.Elf(self.build(*args, **kwargs).read_bytes())

    def test_a_clean_program_passes(self) -> None:
        path = self.build(_GOOD)
        elf = elf_checks.Elf(path.read_bytes())
        self.assertEqual(elf_checks.rights(elf), [])
        self.assertEqual(elf_checks.completeness(elf), [])
        self.assertEqual(elf_checks.fpu(path), [])

    def test_finds_a_writable_and_executable_segment(self) -> None:
        self.assertRegex(str(elf_checks.rights(self.elf(_GOOD, 7))),
                         "writable and executable")

    def test_finds_a_page_with_two_rights(self) -> None:
        bad = elf_checks.rights(self.elf(_GOOD, data_align=""))
        self.assertRegex(str(bad), "different rights")

    def test_finds_an_undefined_weak_symbol(self) -> None:
        elf = self.elf(_GOOD + "  .weak nowhere\n  .quad nowhere\n")
        self.assertEqual(elf_checks.completeness(elf),
                         ["undefined symbol nowhere"])

    def test_finds_a_constructor(self) -> None:
        elf = self.elf(
            _GOOD + '  .section .init_array,"aw",@init_array\n  .quad _start\n')
        # The linker gives the output section the type of its members.
        self.assertTrue(any(s.name == ".data" for s in elf.sections))
        subprocess.run(
            ["ld.lld-19", "-static", "-o", str(self.folder / "plain.elf"),
             str(self.folder / "fixture.o")], check=True)
        plain = elf_checks.Elf((self.folder / "plain.elf").read_bytes())
        self.assertEqual(elf_checks.completeness(plain),
                         ["constructors to be run in .init_array"])

    def test_finds_missing_boot_entries(self) -> None:
        bad = str(elf_checks.boot_entries(self.elf(_GOOD)))
        self.assertRegex(bad, "PVH")
        self.assertRegex(bad, "0 Multiboot2 headers")

    def test_finds_fpu_instructions_in_a_program(self) -> None:
        for instruction in ("addss %xmm0, %xmm1", "fld1", "emms",
                            "movq %mm0, %rax", "vaddps %ymm0, %ymm1, %ymm2",
                            "fxsave (%rsp)", "rep movsq; cvtsi2sd %rax, %xmm3",
                            "ldmxcsr (%rsp)", "fwait", "vzeroupper"):
            with self.subTest(instruction):
                path = self.build(_GOOD.replace("  ret", f"  {instruction}\n"
                                                "  ret"))
                self.assertEqual(len(elf_checks.fpu(path)), 1)

    def test_marked_code_may_use_the_fpu(self) -> None:
        listing = ["Disassembly of section .text.fpu:", "",
                   "0000000000000000 <save>:", "       0:\tfxsave\t(%rdi)"]
        self.assertEqual(elf_checks.fpu_in_listing(listing), [])
        listing[0] = "Disassembly of section .text:"
        self.assertEqual(elf_checks.fpu_in_listing(listing),
                         ["FPU instruction in save: 0:\tfxsave\t(%rdi)"])

    def test_integer_code_is_no_fpu_code(self) -> None:
        for text in ("mov\t%rax, %fs:0x28", "crc32q\t%rax, %rdx",
                     "rep\t\tstosq\t%rax, %es:(%rdi)", "popcntq\t%rax, %rax",
                     "lock\t\tcmpxchgq\t%rcx, (%rdx)", "jmp\t0x10 <odo::fma>",
                     "lea\t0x5(%rip), %rax # 0x10 <%xmm0>", "int3"):
            with self.subTest(text):
                self.assertFalse(elf_checks.fpu_line(f"  ffffffff8: {text}"))


if __name__ == "__main__":
    unittest.main()
