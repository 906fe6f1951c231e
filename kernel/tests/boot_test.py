# SPDX-License-Identifier: BSD-3-Clause
"""The kernel in QEMU: does it boot, say what is wrong, and end as it should?

Environment: ODO_KERNEL (default kernel/odonata.elf), ODO_QEMU (default
qemu-system-x86_64), ODO_CORPUS_DIR (reference images; tests that need them are
skipped without).
"""

import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from kernel.tests import machine
from kernel.tests.machine import Config, Disk

_DEFAULT_IMAGE = Path("testdata/links.img.zst")
_DEFAULT_MANIFEST = Path("testdata/links.json")


def unpack(image: Path, folder: Path) -> Path:
    raw = folder / image.name.removesuffix(".zst")
    subprocess.run(["zstd", "-q", "-d", "--long=27", "--sparse", "-f",
                    str(image), "-o", str(raw)], check=True)
    return raw


class MachineTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.image = unpack(_DEFAULT_IMAGE, cls.folder)
        manifest = json.loads(_DEFAULT_MANIFEST.read_text())
        cls.digests = {e["path"]: e["sha256"] for e in manifest["trees"]["DATA"]
                       if e["type"] == "file" and "sha256" in e}

    def config(self, **changes) -> Config:
        return Config(**{"disks": [Disk(self.image)], **changes})

    def file_of(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(data)
        return path


class BootTest(MachineTest):

    def test_reaches_the_prompt_on_every_machine_and_cpu(self) -> None:
        for name in ("q35", "pc"):
            for cpu in ("max", "qemu64", "Nehalem"):
                with self.subTest(machine=name, cpu=cpu):
                    with machine.boot(self.config(machine=name,
                                                  cpu=cpu)) as guest:
                        text = guest.read_until(machine.PROMPT)
                        self.assertIn("vd0@DATA is mounted", text)
                        self.assertIn("big1", guest.ask("ls /"))

    def test_reaches_the_prompt_with_little_and_much_memory(self) -> None:
        for memory in ("24", "32", "512", "6G"):
            with self.subTest(memory=memory):
                with machine.boot(self.config(memory=memory)) as guest:
                    guest.read_until(machine.PROMPT)
                    self.assertIn("big1", guest.ask("ls /"))

    def test_too_little_memory_is_told_in_one_line(self) -> None:
        for name in ("q35", "pc"):
            result = machine.run("ls", self.config(machine=name, memory="16"))
            self.assertEqual(result.status, 1)
            self.assertRegex(result.console, r"\A[^\n]*needs at least 24 MiB"
                             r"[^\n]*\n\Z")

    def test_no_modern_cpu_is_told_in_one_line(self) -> None:
        for cpu, words in (("qemu32", "64-bit"), ("qemu64,-nx", "NX")):
            with self.subTest(cpu=cpu):
                result = machine.run("ls", self.config(cpu=cpu, machine="pc"))
                self.assertEqual(result.status, 1)
                self.assertRegex(result.console,
                                 rf"\Aodo: [^\n]*{words}[^\n]*\n\Z")

    def test_no_page_is_writable_and_executable(self) -> None:
        for memory in ("64", "5G"):
            with machine.boot(self.config(memory=memory)) as guest:
                guest.read_until(machine.PROMPT)
                lines = re.findall(
                    r"^([0-9a-f]{16}): [0-9a-f]{16} ([-XGPDACTUW]{9})",
                    guest.qemu("info tlb").replace("\r", ""), re.MULTILINE)
                self.assertGreater(len(lines), 100)
                # X stands for the no-execute bit.
                bad = [line for line in lines
                       if "W" in line[1] and "X" not in line[1]]
                self.assertEqual(bad, [])
                self.assertEqual([line for line in lines
                                  if "X" not in line[1]
                                  and not line[0].startswith("ffffffff8")], [])
                self.assertEqual([line for line in lines if "U" in line[1]],
                                 [])
                self.assertEqual([line for line in lines
                                  if line[0] < "ffff8"], [],
                                 "nothing is left of the identity map")

    def test_an_idle_prompt_halts_the_cpu(self) -> None:
        with machine.boot(self.config()) as guest:
            guest.read_until(machine.PROMPT)
            deadline = time.monotonic() + machine.TIMEOUT_S
            while "HLT=1" not in guest.qemu("info registers"):
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.05)

    def test_a_long_line_typed_at_once_arrives_whole(self) -> None:
        with machine.boot(self.config()) as guest:
            guest.read_until(machine.PROMPT)
            words = " ".join(f"word{n}" for n in range(120))
            self.assertTrue(guest.ask(f"echo {words}").endswith(f"{words}\n"))

    def test_poweroff_and_reboot_end_the_machine(self) -> None:
        for name in ("q35", "pc"):
            for line, status in (("poweroff", 0), ("poweroff 5", 5),
                                 ("reboot", 0)):
                with self.subTest(machine=name, line=line):
                    with machine.boot(self.config(machine=name)) as guest:
                        guest.read_until(machine.PROMPT)
                        guest.type(line + "\r")
                        self.assertEqual(guest.wait(), status)

    def speed_by(self, machine_name: str, clock: str) -> tuple[int, str]:
        """The TSC's MHz, and what told them."""
        result = machine.run("uptime", self.config(
            machine=machine_name, append=f"clock={clock}"))
        self.assertEqual(result.status, 0)
        found = re.search(rf"odo: clock={clock}: (\d+) MHz by (\w+)",
                          result.console)
        self.assertIsNotNone(found, result.console)
        return int(found[1]), found[2]

    def test_every_clock_tells_the_same_speed(self) -> None:
        first = 0
        for machine_name, clock, source in (
                ("q35", "acpi", "acpi"), ("q35", "hpet", "hpet"),
                ("q35", "pit", "pit"), ("pc", "hpet", "hpet"),
                ("q35,hpet=off", "hpet", "pit")):
            with self.subTest(machine=machine_name, clock=clock):
                mhz, by = self.speed_by(machine_name, clock)
                self.assertEqual(by, source)
                first = first or mhz
                # The emulated counters stop and go with the host's load.
                self.assertGreater(mhz, first / 2)
                self.assertLess(mhz, first * 2)

    def test_an_unknown_clock_lists_the_clocks(self) -> None:
        result = machine.run("ls", self.config(append="clock=sun"))
        self.assertIn("odo: clock=sun: give cpu, acpi, hpet or pit",
                      result.console)

    def test_boot_cost_is_printed_for_the_bench(self) -> None:
        with machine.boot(self.config(append="bench=boot")) as guest:
            text = guest.read_until("boot-instructions ")
            self.assertIn(machine.PROMPT, text)
            self.assertRegex(guest.read_until("\n"), r"^\d+\r\n$")
            self.assertEqual(guest.wait(), 0)


class FaultTest(MachineTest):
    """Every fault ends in a report with registers, names and status 1."""

    def report(self, fault: str) -> str:
        result = machine.run("ls", Config(memory="32",
                                          append=f"test={fault}"))
        self.assertEqual(result.status, 1, result.console)
        return result.console

    def check(self, fault: str, *expected: str) -> None:
        report = self.report(fault)
        for pattern in (*expected, r"\n  rip [0-9a-f]{16}", r"cr2 [0-9a-f]{16}",
                        r"r15 [0-9a-f]{16}", r"backtrace:",
                        r"[0-9a-f]{16} kernel_main\+0x"):
            self.assertRegex(report, pattern)

    def test_page_fault(self) -> None:
        self.check("pagefault", "exception 14: page fault, error code 0x0",
                   "reading at 0x0000123456789abc: not mapped",
                   "cr2 0000123456789abc", r"fault_by_unmapped_read\(\)\+0x",
                   "run_fault_test")

    def test_undefined_instruction(self) -> None:
        self.check("ud", "exception 6: invalid opcode",
                   r"fault_by_undefined_instruction\(\)\+0x")

    def test_general_protection(self) -> None:
        self.check("gp", "exception 13: general protection",
                   r"fault_by_bad_address\(\)\+0x")

    def test_double_fault_has_a_stack_of_its_own(self) -> None:
        self.check("doublefault", "exception 8: double fault",
                   r"fault_without_stack\(\)\+0x")

    def test_data_is_not_executable(self) -> None:
        self.check("nx", "executing at 0xffffffff80[0-9a-f]{6}: not allowed")

    def test_text_is_not_writable(self) -> None:
        self.check("wp", "writing at 0xffffffff80[0-9a-f]{6}: not allowed",
                   r"fault_by_writing_text\(\)\+0x")

    def test_a_call_of_nothing(self) -> None:
        self.check("nullcall",
                   "executing at 0x0000000000000000: not mapped")

    def test_a_stack_that_overflows_meets_its_guard(self) -> None:
        self.check_stack(self.report("stackguard"))

    def check_stack(self, report: str) -> None:
        self.assertIn("double fault", report)
        self.assertIn("the boot stack overflowed into its guard page", report)
        self.assertGreater(report.count("recurse_for_ever"), 20)

    def test_broken_invariant(self) -> None:
        report = self.report("panic")
        self.assertRegex(report, r"panic: sizeof\(void\*\) == 4 at "
                         r"kernel/tests/faults.cc:\d+")
        self.assertRegex(report, r"break_an_invariant\(\)\+0x")
        self.assertRegex(report, r"kernel_main\+0x")

    def test_memory_that_is_freed_twice(self) -> None:
        report = self.report("doublefree")
        self.assertRegex(report, r"memory at 0xffff8[0-9a-f]{11}, of 48 bytes: "
                         r"freed twice\n\nodo: panic: memory was misused")
        self.assertRegex(report, r"fault_by_freeing_twice\(\)\+0x")

    def test_memory_that_is_freed_inside(self) -> None:
        report = self.report("badfree")
        self.assertRegex(report, r"memory at 0xffff8[0-9a-f]{10}8, of 0 bytes: "
                         "freed, but never allocated")
        self.assertRegex(report, r"fault_by_freeing_inside\(\)\+0x")

    def test_unknown_name_lists_the_names(self) -> None:
        self.assertRegex(self.report("bogus"),
                         r"test=bogus: no such test, there are: pagefault ud")


class HeapTest(MachineTest):

    HEAP = re.compile(r"^heap .*, in use \d.* by (\d+) objects,.*$",
                      re.MULTILINE)

    def test_all_memory_can_be_had_and_comes_back(self) -> None:
        for memory, least in (("24", 15), ("512", 480)):
            with self.subTest(memory=memory):
                with machine.boot(self.config(memory=memory,
                                              append="test=heap")) as guest:
                    text = guest.read_until(" MiB kept")
                    match = re.search(r"heap: (\d+) MiB given out and back",
                                      text)
                    self.assertTrue(match, text)
                    assert match
                    self.assertGreaterEqual(int(match[1]), least)
                    self.assertEqual(guest.wait(), 0)

    def test_commands_leave_nothing_behind(self) -> None:
        lines = ("mount vd0", "ls -lR /", "find / -type f", "sha256 -r /",
                 "cat /nosuchfile", "df", "mem")
        with machine.boot(self.config()) as guest:
            guest.read_until(machine.PROMPT)
            heaps = []
            for _ in range(3):
                for line in lines:
                    answer = guest.ask(line)
                match = self.HEAP.search(answer)
                self.assertTrue(match, answer)
                assert match
                heaps.append(match[0])
                self.assertGreaterEqual(int(match[1]), 4)
            self.assertEqual(len(set(heaps)), 1, heaps)

    def test_each_disk_is_in_the_heap(self) -> None:
        counts = []
        for disks in (0, 1, 3):
            result = machine.run("mem", Config(
                disks=[Disk(self.image)] * disks, append="root=none"))
            match = self.HEAP.search(result.output.decode())
            self.assertTrue(match, result.output)
            assert match
            counts.append(int(match[1]))
        # Its driver, what that shares with the device, and the disk by its name.
        self.assertEqual([n - counts[0] for n in counts], [0, 3, 9])


class DiskTest(MachineTest):

    def test_no_disk(self) -> None:
        with machine.boot(Config()) as guest:
            guest.read_until(machine.PROMPT)
            self.assertIn("this machine has no disk", guest.ask("ls /"))
        result = machine.run("ls /", Config())
        self.assertEqual(result.status, 1)
        self.assertIn("no disk", result.console)

    def test_random_bytes_are_no_filesystem(self) -> None:
        noise = random.Random(2).randbytes(1 << 20)
        disk = Disk(self.file_of("noise.img", noise))
        result = machine.run("ls /", Config(disks=[disk]))
        self.assertNotEqual(result.status, 0)
        self.assertRegex(result.console, r"mount: vd0: \S")
        self.assertNotIn("exception", result.console)

    def test_truncated_image(self) -> None:
        with self.image.open("rb") as file:
            head = file.read(12 << 20)
        disk = Disk(self.file_of("cut.img", head))
        result = machine.run("sha256 /big1", Config(disks=[disk]))
        self.assertNotEqual(result.status, 0)
        self.assertEqual(result.output, b"")
        self.assertRegex(result.console, r"vd0|big1")
        self.assertNotIn("exception", result.console)

    def test_unknown_pfs(self) -> None:
        result = machine.run("ls /", self.config(append="root=vd0@NOWHERE"))
        self.assertEqual(result.status, 1)
        self.assertRegex(result.console, r"\A[^\n]*vd0@NOWHERE[^\n]*DATA")
        self.assertEqual(result.output, b"")

    def test_unknown_disk(self) -> None:
        result = machine.run("ls /", self.config(append="root=vd7"))
        self.assertEqual(result.status, 1)
        self.assertRegex(result.console, r"vd7: no such disk.*vd0")

    def test_root_none_mounts_nothing(self) -> None:
        result = machine.run("mount", self.config(append="root=none"))
        self.assertEqual(result.status, 0)
        self.assertIn(b"nothing is mounted", result.output)

    def test_several_disks_have_names_and_serials(self) -> None:
        noise = Disk(self.file_of("some.img", bytes(1 << 20)), "first")
        disks = [noise, Disk(self.image, "second"), Disk(self.image)]
        for name in ("q35", "pc"):
            result = machine.run(
                "mount; sha256 /h2", Config(machine=name, disks=disks,
                                            append="root=vd1"))
            self.assertEqual(result.status, 0, result.console)
            self.assertRegex(result.output,
                             rb"disk vd0: 1 MiB, .* serial first, read-only\n"
                             rb"disk vd1: .* serial second, read-only\n"
                             rb"disk vd2: ")
            self.assertIn(self.digests["/h2"].encode(), result.output)

    def test_devices_with_odd_limits_are_read_right(self) -> None:
        line = "sha256 /big1 /h2 /one"
        for options in (",queue-size=4,seg-max-adjust=off", ",queue-size=16",
                        ",queue-size=1024", ",logical_block_size=4096,physical_block_size=4096",
                        ",disable-legacy=on", ",disable-legacy=on,iommu_platform=on",
                        ",num-queues=4,disable-legacy=on,packed=on"):
            with self.subTest(options):
                result = machine.run(line, Config(
                    disks=[Disk(self.image, options=options)]))
                self.assertEqual(result.status, 0, result.console)
                self.assertEqual(
                    result.output.decode().split(),
                    [word for path in ("/big1", "/h2", "/one")
                     for word in (self.digests[path], path)])

    def test_a_disk_that_does_not_answer_is_an_error_not_a_hang(self) -> None:
        # 600 bytes a second: the first 64 KiB take minutes.
        slow = ["-object", "throttle-group,id=slow,x-bps-total=600",
                "-blockdev", f"driver=file,filename={self.image},"
                "node-name=file,read-only=on",
                "-blockdev", "driver=throttle,throttle-group=slow,file=file,"
                "node-name=disk,read-only=on",
                "-device", "virtio-blk-pci,drive=disk"]
        result = machine.run("ls /", Config(extra=slow, append="disk-wait=1"))
        self.assertEqual(result.status, 1)
        self.assertRegex(result.console, r"\Amount: vd0: device error")

    def test_a_legacy_disk_is_told_and_left_out(self) -> None:
        result = machine.run("mount", Config(
            machine="pc",
            disks=[Disk(self.image, options=",disable-modern=on")]))
        self.assertIn("no modern virtio registers", result.console)

    def test_every_file_has_its_digest(self) -> None:
        paths = sorted(self.digests)
        result = machine.run("".join(f"sha256 '{p}'\n" for p in paths),
                             self.config())
        self.assertEqual(result.status, 0, result.console)
        lines = result.output.decode().splitlines()
        self.assertEqual([line.split()[0] for line in lines],
                         [self.digests[p] for p in paths])


class ScriptTest(MachineTest):

    def test_output_is_the_commands_alone(self) -> None:
        result = machine.run("echo a; echo b\necho c", self.config())
        self.assertEqual(result, machine.Result(0, b"a\nb\nc\n", ""))

    def test_the_last_status_counts(self) -> None:
        for script, status in (("nosuchcommand; echo x", 0),
                               ("echo x; nosuchcommand", 127),
                               ("cat /nosuchfile", 1), ("", 0),
                               ("poweroff 42", 42)):
            with self.subTest(script):
                result = machine.run(script, self.config())
                self.assertEqual(result.status, status)

    def test_errors_go_to_the_console(self) -> None:
        result = machine.run("cat /nosuchfile", self.config())
        self.assertEqual(result.output, b"")
        self.assertRegex(result.console, r"\Acat: /nosuchfile: [^\n]+\n\Z")

    def test_a_script_on_the_command_line(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            words = machine.command(self.config(
                append='root=none run="echo on the line; echo two"'))
            done = subprocess.run(
                words + ["-serial", "null", "-serial", f"file:{folder}/out"],
                stdin=subprocess.DEVNULL, timeout=machine.TIMEOUT_S,
                check=False)
            self.assertEqual(done.returncode, 0)
            self.assertEqual(Path(folder, "out").read_bytes(),
                             b"on the line\ntwo\n")

    def test_a_script_that_is_too_long_is_refused(self) -> None:
        result = machine.run(b"#" * ((4 << 20) + 1), self.config())
        self.assertEqual(result.status, 1)
        self.assertIn("longer than 4 MiB", result.console)

    def test_binary_output_is_untouched(self) -> None:
        for name in ("q35", "pc"):
            for output in (machine.SERIAL_OUTPUT, machine.VIRTIO_OUTPUT):
                with self.subTest(machine=name, output=output):
                    result = machine.run("cat /big1",
                                         self.config(machine=name),
                                         output=output)
                    self.assertEqual(
                        hashlib.sha256(result.output).hexdigest(),
                        self.digests["/big1"])

    def test_a_slow_reader_loses_nothing(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            script = Path(folder, "run")
            script.write_text("cat /big1 /big1 /big1 /big1\n")
            words = machine.command(self.config()) + [
                "-fw_cfg", f"name=opt/odo/run,file={script}",
                "-serial", "null", "-chardev", "stdio,id=output,signal=off",
                *machine.VIRTIO_OUTPUT]
            guest = subprocess.Popen(words, stdin=subprocess.DEVNULL,
                                     stdout=subprocess.PIPE)
            assert guest.stdout
            with guest.stdout:
                time.sleep(2)  # more than the pipe holds is waiting by now
                output = guest.stdout.read()
            self.assertEqual(guest.wait(machine.TIMEOUT_S), 0)
        piece = len(output) // 4
        self.assertEqual({hashlib.sha256(output[i * piece:(i + 1) * piece])
                          .hexdigest() for i in range(4)},
                         {self.digests["/big1"]})

    def test_a_machine_without_ports_still_ends_as_told(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            script = Path(folder, "run")
            script.write_text("poweroff 42\n")
            words = machine.command(Config()) + [
                "-fw_cfg", f"name=opt/odo/run,file={script}"]
            done = subprocess.run(words, stdin=subprocess.DEVNULL,
                                  timeout=machine.TIMEOUT_S, check=False)
            self.assertEqual(machine.status_of(done.returncode), 42)


class GrubTest(MachineTest):
    """Multiboot2, by a disc that GRUB boots from."""

    GRUB = """
serial --unit=0 --speed=115200
terminal_output serial
multiboot2 /boot/odonata.elf root=vd0 "run=sha256 /h2; poweroff 7"
boot
"""

    def test_boots_from_grub(self) -> None:
        for tool in ("grub-mkrescue", "xorriso", "mformat"):
            if not shutil.which(tool):
                self.skipTest(f"multiboot2: {tool} is not installed")
        if not Path("/usr/lib/grub/i386-pc").is_dir():
            self.skipTest("multiboot2: GRUB for BIOS is not installed")
        tree = self.folder / "disc" / "boot"
        (tree / "grub").mkdir(parents=True)
        (tree / "grub" / "grub.cfg").write_text(self.GRUB)
        shutil.copy(machine.kernel_path(), tree / "odonata.elf")
        disc = self.folder / "disc.iso"
        subprocess.run(["grub-mkrescue", "-d", "/usr/lib/grub/i386-pc", "-o",
                        str(disc), str(tree.parent)], check=True,
                       capture_output=True)
        for name in ("q35", "pc"):
            with self.subTest(machine=name):
                output = self.folder / "output"
                done = subprocess.run(
                    machine.command(self.config(
                        machine=name, from_medium=True,
                        extra=("-cdrom", str(disc))))
                    + ["-serial", "null", "-serial", f"file:{output}"],
                    stdin=subprocess.DEVNULL, timeout=machine.TIMEOUT_S,
                    check=False)
                self.assertEqual(machine.status_of(done.returncode), 7)
                self.assertEqual(output.read_text(),
                                 f"{self.digests['/h2']}  /h2\n")


class CorpusTest(MachineTest):

    def image_of(self, name: str) -> tuple[Path, dict[str, str]]:
        corpus = os.environ.get("ODO_CORPUS_DIR", "")
        packed = Path(corpus, "images", f"{name}.img.zst")
        if not corpus or not packed.is_file():
            self.skipTest(f"{name}: no reference images (ODO_CORPUS_DIR)")
        manifest = json.loads(
            Path(corpus, "manifests", f"{name}.json").read_text())
        digests = {e["path"]: e["sha256"]
                   for tree in manifest["trees"].values() for e in tree
                   if e["type"] == "file"}
        return unpack(packed, self.folder), digests

    def check_large_file(self, name: str, path: str) -> None:
        image, digests = self.image_of(name)
        config = Config(memory="64", disks=[Disk(image)])
        result = machine.run(f"sha256 {path}", config, timeout=300)
        self.assertEqual(result.output.decode(), f"{digests[path]}  {path}\n")
        self.assertEqual(result.status, 0)

    def test_a_40_mib_file_in_64_mib(self) -> None:
        self.check_large_file("bigfile-40m", "/forty")

    def test_a_300_mib_file_in_64_mib(self) -> None:
        self.check_large_file("bigfile-two-level", "/stripes")

    def test_a_300_mib_file_is_printed_in_64_mib(self) -> None:
        image, digests = self.image_of("bigfile-two-level")
        config = Config(memory="64", disks=[Disk(image)])
        result = machine.run("cat /stripes", config, timeout=300,
                             output=machine.VIRTIO_OUTPUT)
        self.assertEqual(result.status, 0)
        self.assertEqual(hashlib.sha256(result.output).hexdigest(),
                         digests["/stripes"])


if __name__ == "__main__":
    unittest.main()
