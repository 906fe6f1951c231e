# SPDX-License-Identifier: BSD-3-Clause
"""The front door's own decisions, without QEMU and without Bazel."""

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from tools.front import bazel_results, boot, corpus_cache, gpt, image, kvm, lint


class BootArgumentsTest(unittest.TestCase):
    def refused(self, *argv: str) -> str:
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors), \
                self.assertRaises(SystemExit) as exit_:
            boot.parse(list(argv))
        self.assertEqual(exit_.exception.code, 2)
        return errors.getvalue().strip().splitlines()[-1]

    def test_defaults(self) -> None:
        arguments = boot.parse([])
        self.assertEqual(arguments.memory, "256M")
        self.assertIsNone(arguments.run)

    def test_memory_takes_suffixes(self) -> None:
        self.assertEqual(boot.parse(["--memory", "1G"]).memory, "1G")
        self.assertEqual(boot.parse(["--memory", "64"]).memory, "64M")

    def test_nonsense_is_refused_in_one_line(self) -> None:
        self.assertIn("--memory", self.refused("--memory", "lots"))
        self.assertIn("--memory", self.refused("--memory", "0"))
        self.assertIn("--smp", self.refused("--smp", "0"))
        self.assertIn("--timeout", self.refused("--timeout", "-1"))
        self.assertIn("none", self.refused("--disk", "none", "--disk", "a"))

    def test_missing_image_is_named(self) -> None:
        with tempfile.TemporaryDirectory() as folder, \
                self.assertRaisesRegex(boot.Refused, "nowhere.img"):
            boot.unpacked(boot.Image("nowhere.img"), Path(folder), 0)

    def test_broken_zst_is_named(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            broken = Path(folder, "broken.zst")
            broken.write_bytes(b"\x28\xb5\x2f\xfd" + b"\x00" * 40)
            with self.assertRaisesRegex(boot.Refused, "cannot unpack"):
                boot.unpacked(boot.Image(str(broken)), Path(folder), 0)

    def test_disks_keep_the_order_of_the_command_line(self) -> None:
        arguments = boot.parse(["--disk", "a", "--disk-rw", "b", "--disk", "c"])
        self.assertEqual(arguments.images,
                         [boot.Image("a"), boot.Image("b", writable=True),
                          boot.Image("c")])

    def test_a_compressed_image_is_not_written_to(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            image = Path(folder, "a.img.zst")
            image.write_bytes(b"\x28\xb5\x2f\xfd" + b"\x00" * 40)
            with self.assertRaisesRegex(boot.Refused, "compressed; unpack"):
                boot.unpacked(boot.Image(str(image), writable=True),
                              Path(folder), 0)

    def test_an_image_that_may_not_be_written_to_is_named(self) -> None:
        with self.assertRaisesRegex(boot.Refused, "cannot write to .*no.img"):
            boot.unpacked(boot.Image("/no/no.img", writable=True), Path(), 0)

    def test_relative_paths_mean_the_callers_folder(self) -> None:
        with mock.patch.dict(os.environ, {"ODO_CALLER_DIR": "/a/b"}):
            self.assertEqual(boot.caller_path("c.img"), Path("/a/b/c.img"))
            self.assertEqual(boot.caller_path("/c.img"), Path("/c.img"))


class CorpusCacheTest(unittest.TestCase):
    def test_images_are_unpacked_once_and_those_of_other_corpora_go(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            corpus, home = Path(folder, "corpus"), Path(folder, "home")
            (corpus / "images").mkdir(parents=True)
            (corpus / "index.json").write_text("[]")
            raw = Path(folder, "a.img")
            raw.write_bytes(b"hammer" + bytes(1 << 20))
            packed = corpus / "images" / "a.img.zst"
            subprocess.run(["zstd", "-q", raw, "-o", packed], check=True)
            first = corpus_cache.unpacked(corpus, home)
            assert first is not None
            self.assertEqual(["a.img"], [p.name for p in first.iterdir()])
            self.assertEqual(raw.read_bytes(), (first / "a.img").read_bytes())
            made = (first / "a.img").stat().st_mtime_ns
            self.assertEqual(first, corpus_cache.unpacked(corpus, home))
            self.assertEqual(made, (first / "a.img").stat().st_mtime_ns)
            (corpus / "index.json").write_text("[ ]")
            second = corpus_cache.unpacked(corpus, home)
            self.assertEqual([second], list(home.iterdir()))

    def test_a_damaged_image_is_left_to_who_wants_it(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            corpus, home = Path(folder, "corpus"), Path(folder, "home")
            (corpus / "images").mkdir(parents=True)
            (corpus / "index.json").write_text("[]")
            (corpus / "images" / "a.img.zst").write_bytes(b"not so")
            self.assertIsNone(corpus_cache.unpacked(corpus, home))
            self.assertEqual([], [f for f in home.rglob("*") if f.is_file()])


class MediumTest(unittest.TestCase):
    def test_a_medium_takes_the_place_of_the_default_disk(self) -> None:
        for words in (["--iso"], ["--usb"], ["--uefi"], ["--iso", "a.iso"]):
            arguments = boot.parse(words)
            self.assertEqual(boot.disks_of(arguments, Path()), [])
            self.assertEqual(arguments.memory, "512M")

    def test_a_cd_and_a_disk_are_started_without_a_kernel(self) -> None:
        for word, expected in (("--iso", "-cdrom /x/m,,1"),
                               ("--usb", "file=/x/m,,1,format=raw")):
            command = " ".join(boot.qemu_command(
                boot.parse([word]), "tcg", [], None, None, Path("/x/m,1")))
            self.assertIn(expected, command)
            self.assertNotIn("-kernel", command)

    def test_a_made_mediums_command_line_is_refused(self) -> None:
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors), \
                self.assertRaises(SystemExit):
            boot.parse(["--iso", "a.iso", "--append", "root=md0"])
        self.assertIn("./odo image", errors.getvalue())

    def test_missing_firmware_is_named(self) -> None:
        with mock.patch.object(boot, "OVMF", Path("/nowhere")), \
                self.assertRaisesRegex(boot.Refused, "/nowhere.*ovmf"):
            boot.firmware_of(boot.parse(["--uefi"]))


class ImageTest(unittest.TestCase):
    def refused(self, *argv: str) -> str:
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors):
            with self.assertRaises(SystemExit):
                image.parse(list(argv))
        return errors.getvalue().strip().splitlines()[-1]

    def test_nonsense_is_refused_in_one_line(self) -> None:
        self.assertIn("--iso FILE", self.refused())
        self.assertIn("--timeout", self.refused("--usb", "a", "--timeout=-1"))
        self.assertIn("--append", self.refused("--usb", "a", "--append", "a;b"))
        self.assertIn("--root-size",
                      self.refused("--usb", "a", "--root-size", "much"))

    def test_a_device_is_not_replaced_by_an_image(self) -> None:
        errors = io.StringIO()
        with tempfile.TemporaryDirectory() as folder, \
                contextlib.redirect_stderr(errors):
            root = Path(folder, "root.img")
            root.write_bytes(b"root")
            self.assertEqual(image.main(["--usb", "/dev/null", "--root",
                                         str(root)]), 1)
        self.assertIn("docs/metal.md", errors.getvalue())

    def test_only_a_folder_has_a_size_to_choose(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder, "root.img")
            root.write_bytes(b"root")
            with self.assertRaisesRegex(boot.Refused, "--root-size"):
                image.root_image(str(root), "1G", Path(folder))


class GptTest(unittest.TestCase):
    """Against a reader that is not ours."""

    def test_sfdisk_finds_no_fault(self) -> None:
        sfdisk = shutil.which("sfdisk", path="/sbin:/usr/sbin")
        if sfdisk is None:
            self.skipTest("sfdisk is not installed")
        with tempfile.TemporaryDirectory() as folder:
            disk = Path(folder, "disk.img")
            with disk.open("wb") as file:
                file.truncate(8 << 20)
                gpt.write(file, 8 << 20, [
                    gpt.Partition(gpt.BIOS_BOOT, "GRUB", 1 << 20, 1 << 20),
                    gpt.Partition(gpt.HAMMER2, "root", 2 << 20, 3 << 20)], 1)
            verified = subprocess.run([sfdisk, "--verify", disk],
                                      capture_output=True, text=True,
                                      check=False)
            self.assertEqual(verified.returncode, 0, verified.stderr)
            dump = subprocess.run([sfdisk, "--dump", disk], check=True,
                                  capture_output=True, text=True).stdout
        self.assertIn("label: gpt", dump)
        self.assertRegex(dump, r"start= +2048, size= +2048, "
                         rf"type={gpt.BIOS_BOOT.upper()}.*name=\"GRUB\"")
        self.assertRegex(dump, r"start= +4096, size= +6144, "
                         rf"type={gpt.HAMMER2.upper()}.*name=\"root\"")


class DefaultDiskTest(unittest.TestCase):
    def test_it_is_a_copy_that_may_be_written_to(self) -> None:
        with tempfile.TemporaryDirectory() as folder, \
                tempfile.TemporaryDirectory() as elsewhere, \
                mock.patch.dict(os.environ, {"ODO_CALLER_DIR": elsewhere}):
            original = Path(folder, "made.img")
            original.write_bytes(b"image")
            original.chmod(0o444)
            with mock.patch.object(boot, "DEFAULT_DISK", str(original)):
                disks = boot.disks_of(boot.parse([]), Path(folder))
            self.assertEqual([disk.writable for disk in disks], [True])
            self.assertNotEqual(disks[0].path, original)
            with disks[0].path.open("r+b") as copy:
                copy.write(b"other")
            self.assertEqual(original.read_bytes(), b"image")

    def test_none_is_none(self) -> None:
        self.assertEqual(boot.disks_of(boot.parse(["--disk", "none"]), Path()),
                         [])


class QemuCommandTest(unittest.TestCase):
    def command(self, *argv: str, disks: list[boot.Disk] = [],
                run: bool = False) -> list[str]:
        return boot.qemu_command(
            boot.parse(list(argv)), "tcg", disks,
            Path("script") if run else None, 7 if run else None)

    def test_disks_are_read_only_unless_they_are_said_to_be_writable(
            self) -> None:
        command = self.command(disks=[
            boot.Disk(Path("/x/a.img")),
            boot.Disk(Path("/x/b,c.img"), writable=True)])
        drives = [c for c in command if c.startswith("file=")]
        self.assertEqual(len(drives), 2)
        self.assertIn("readonly=on", drives[0])
        self.assertIn("readonly=off", drives[1])
        self.assertIn("file=/x/b,,c.img,", drives[1])

    def test_each_bus_has_its_own_devices(self) -> None:
        disks = [boot.Disk(Path(f"/x/{n}"), writable=n == 1) for n in range(7)]
        for bus, device in (("virtio", "virtio-blk-pci"), ("nvme", "nvme"),
                            ("ahci", "ide-hd")):
            command = self.command("--disk-bus", bus, disks=disks)
            devices = [c for c in command if c.startswith(device + ",")]
            self.assertEqual(
                [re.findall(r"drive=(disk\d),serial=(odo\d)", d)
                 for d in devices],
                [[(f"disk{n}", f"odo{n}")] for n in range(7)])
        self.assertIn("sata0.0", devices[0])
        self.assertIn("sata1.0", devices[6])
        self.assertEqual(command.count("ich9-ahci,id=sata1"), 1)

    def test_no_bus_lets_an_image_be_written_that_may_not(self) -> None:
        for bus in ("virtio", "nvme", "ahci"):
            command = self.command("--disk-bus", bus, disks=[
                boot.Disk(Path("/x/a")), boot.Disk(Path("/x/b"), True)])
            drives = [c for c in command if c.startswith("file=")]
            self.assertRegex(drives[0], "readonly=on|snapshot=on")
            self.assertNotRegex(drives[1], "readonly=on|snapshot=on")

    def test_run_separates_output_from_console(self) -> None:
        command = " ".join(self.command(run=True))
        self.assertIn("name=opt/odo/run,file=script", command)
        self.assertIn("path=/dev/fd/7", command)
        self.assertNotIn("mon:stdio", command)

    def test_gdb_waits(self) -> None:
        self.assertIn("-S", self.command("--gdb"))

    def test_gdb_is_told_in_a_line_that_can_be_pasted(self) -> None:
        words = shlex.split(boot.gdb_line())
        self.assertEqual(words[:2], ["gdb", "-cd"])
        self.assertTrue(Path(words[2]).is_absolute())
        self.assertEqual(words[3:], ["-x", "tools/gdb/kernel.gdb",
                                     boot.DEBUG_KERNEL])


class ExitStatusTest(unittest.TestCase):
    def test_statuses_come_back_as_the_guest_meant_them(self) -> None:
        for status in range(1, 128):
            self.assertEqual(boot.exit_status((status << 1) | 1), status)
        self.assertEqual(boot.exit_status(0), 0)

    def test_qemus_own_failure_is_not_success(self) -> None:
        self.assertEqual(boot.exit_status(1), 1)


class KvmTest(unittest.TestCase):
    def fake_qemu(self, folder: str, body: str) -> str:
        path = Path(folder, "qemu")
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return str(path)

    def test_a_guest_that_hangs_is_given_up_in_time(self) -> None:
        with tempfile.TemporaryDirectory() as folder, \
                mock.patch.object(os, "access", return_value=True):
            qemu = self.fake_qemu(folder, "exec sleep 30")
            self.assertFalse(kvm.kvm_runs_guests(qemu, "kernel"))
        self.assertLess(kvm.PROBE_SECONDS, 2)

    def test_only_the_agreed_status_counts(self) -> None:
        with tempfile.TemporaryDirectory() as folder, \
                mock.patch.object(os, "access", return_value=True):
            self.assertTrue(kvm.kvm_runs_guests(
                self.fake_qemu(folder, "exit 85"), "kernel"))
            self.assertFalse(kvm.kvm_runs_guests(
                self.fake_qemu(folder, "exit 0"), "kernel"))

    def test_without_a_device_nothing_runs(self) -> None:
        with mock.patch.object(os, "access", return_value=False):
            self.assertFalse(kvm.kvm_runs_guests("/nonexistent", "kernel"))

    def test_explicit_choice_is_kept(self) -> None:
        self.assertEqual(kvm.choose("kvm", "/nonexistent", ""), "kvm")
        self.assertEqual(kvm.choose("tcg", "/nonexistent", ""), "tcg")


class BazelResultsTest(unittest.TestCase):
    def read(self, xml: str, summary: str, status: int
             ) -> bazel_results.Outcome:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "test.xml").write_text(xml)
            events = Path(folder, "events.json")
            events.write_text("\n".join((
                '{"id":{"targetCompleted":{"label":"//a:t"}},'
                '"completed":{"success":true}}',
                '{"id":{"testResult":{"label":"//a:t"}},"testResult":'
                '{"testActionOutput":[{"name":"test.xml","uri":"file://'
                f'{folder}/test.xml"}}]}}}}',
                '{"id":{"testSummary":{"label":"//a:t"}},"testSummary":'
                f'{{"overallStatus":"{summary}"}}}}',
            )))
            return bazel_results.read(events, status)

    def test_counts_cases_and_names_skipped_ones(self) -> None:
        outcome = self.read(
            '<testsuites><testsuite><testcase name="A" classname="S"/>'
            '<testcase name="B" classname="S" result="skipped">'
            '<skipped message="file.cc:3&#10;no corpus"/></testcase>'
            '<testcase name="C" classname="S"><failure message="x"/>'
            '</testcase></testsuite></testsuites>', "FAILED", 3)
        self.assertEqual(outcome.passed, 1)
        self.assertEqual(outcome.skipped, ["//a:t S.B (no corpus)"])
        self.assertEqual(outcome.failed, ["//a:t S.C"])

    def test_a_crash_outside_any_case_is_a_failure(self) -> None:
        outcome = self.read(
            '<testsuites><testsuite><testcase name="A" classname="S"/>'
            '</testsuite></testsuites>', "FAILED", 3)
        self.assertEqual(outcome.failed, ["//a:t (FAILED)"])

    def test_a_missing_event_file_is_a_failure(self) -> None:
        outcome = bazel_results.read(Path("/nonexistent/events"), 37)
        self.assertEqual(len(outcome.failed), 1)


class LintTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        home = os.getcwd()
        self.addCleanup(os.chdir, home)
        os.chdir(folder.name)

    def write(self, name: str, text: str) -> list[Path]:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return [path]

    def test_licence(self) -> None:
        self.assertTrue(lint.licence_complaints(self.write("a.h", "int x;\n")))
        self.assertFalse(lint.licence_complaints(self.write(
            "b.h", "// SPDX-License-Identifier: BSD-3-Clause\n")))

    def test_modes(self) -> None:
        program = self.write("a.py", "#!/usr/bin/env python3\n")
        self.assertTrue(lint.mode_complaints(program))
        program[0].chmod(0o755)
        self.assertFalse(lint.mode_complaints(program))
        module = self.write("b.py", "X = 1\n")
        self.assertFalse(lint.mode_complaints(module))
        module[0].chmod(0o755)
        self.assertTrue(lint.mode_complaints(module))

    def test_headers(self) -> None:
        self.assertTrue(lint.header_complaints(self.write("a.h", "int x;\n")))
        self.assertTrue(lint.header_complaints(self.write(
            "b.h", "#pragma once\n" + "\n" * 1000)))
        self.assertFalse(lint.header_complaints(self.write(
            "c.h", "#pragma once\n")))

    def test_floors(self) -> None:
        up = '#include "lib/hammer2/reader.h"\n'
        down = '#include "lib/base/bytes.h"\n'
        self.assertTrue(lint.floor_complaints(
            self.write("lib/check/a.h", up)))
        self.assertFalse(lint.floor_complaints(
            self.write("lib/check/b.h", down)))
        self.assertTrue(lint.floor_complaints(
            self.write("lib/unheard_of/c.h", down)))

    def test_threads(self) -> None:
        self.write("host.h", "#include <thread>\n")
        self.write("BUILD", 'odo_test(\n    name = "a_test",\n)\n'
                   '[odo_test(\n    threads = name != "c",\n'
                   ') for name in [\n    "b",\n]]\n')
        uses = '#include "host.h"\n'
        self.assertTrue(lint.thread_complaints(self.write("a_test.cc", uses)))
        self.assertTrue(lint.thread_complaints(
            self.write("a_test.cc", "#include <pthread.h>\n")))
        self.assertFalse(lint.thread_complaints(
            self.write("a_test.cc", "int x;\n")))
        self.assertFalse(lint.thread_complaints(self.write("b_test.cc", uses)))

    def test_unfinished_work(self) -> None:
        marker = "TO" + "DO"
        self.assertTrue(lint.unfinished_complaints(self.write(
            "a.h", f"// {marker}: later\n")))
        self.assertFalse(lint.unfinished_complaints(self.write(
            "b.h", "// MASTODON\n")))

    def test_links(self) -> None:
        self.write("real.md", "")
        self.assertFalse(lint.link_complaints(self.write(
            "a.md", "[x](real.md#part) [y](https://example.org) "
            "```\n[z](gone.md)\n```")))
        self.assertEqual(len(lint.link_complaints(self.write(
            "b.md", "[x](gone.md)"))), 1)

    def test_unbuilt_sources(self) -> None:
        self.write("p/BUILD", 'x(hdrs = glob(["*.h"]), srcs = ["a.cc"])')
        self.assertFalse(lint.unbuilt_complaints(
            self.write("p/a.cc", "") + self.write("p/b.h", "")))
        self.assertTrue(lint.unbuilt_complaints(self.write("p/c.cc", "")))
        self.assertTrue(lint.unbuilt_complaints(self.write("q/c.cc", "")))


class CommandNameTest(unittest.TestCase):
    def test_a_mistyped_command_names_the_nearest(self) -> None:
        for typo, meant in (("bot", "boot"), ("tset", "test"),
                            ("benhc", "bench"), ("h3", "h2"),
                            ("fuz", "fuzz")):
            result = subprocess.run(["./odo", typo], capture_output=True,
                                    text=True, check=False)
            self.assertEqual(result.returncode, 2)
            self.assertIn(f"'./odo {meant}'", result.stderr)
            self.assertEqual(result.stderr.count("\n"), 1)

    def test_help_needs_nothing(self) -> None:
        result = subprocess.run(["./odo"], capture_output=True, text=True,
                                check=False)
        self.assertEqual(result.returncode, 0)
        self.assertIn("./odo boot", result.stdout)


if __name__ == "__main__":
    unittest.main()
