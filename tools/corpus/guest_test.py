# SPDX-License-Identifier: BSD-3-Clause
"""The corpus, read by the kernel in QEMU.

Digests: every regular file of images that between them cover each compression
and check algorithm, a 40 MiB file, a 20,000-entry directory and depth 200.
Damage: each damaged variant must be answered with an error that names the
damaged block. The short form tries a spread of the variants, ODO_LONG=1 all.
"""

import os
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

from tools.corpus import corpus
from tools.front import boot

_KERNEL = os.environ.get("ODO_KERNEL", "kernel/odonata.elf")
_DISKS_PER_BOOT = 16
_BOOT_LIMIT_S = 300

_DIGEST_IMAGES = (
    "check-none", "check-disabled", "check-iscsi32", "check-xxhash64",
    "check-sha192", "check-freemap", "comp-none", "comp-autozero", "comp-lz4",
    "comp-zlib", "bigfile-40m", "bigfile-40m-lz4", "bigdir", "deep", "names",
    "links", "sparse-small", "snapshots",
)
# In the short form: each kind of damage this often over all images.
_SHORT_EVERY = 9


def quoted(name: bytes) -> str:
    """A monitor word for any bytes."""
    plain = re.compile(rb"[A-Za-z0-9_./+=,@%-]")
    return '"' + "".join(
        chr(b) if plain.match(bytes([b])) else f"\\x{b:02x}"
        for b in name) + '"'


class _CorpusCase(unittest.TestCase):
    """A test over the corpus, skipped where there is none."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(
            dir=os.environ.get("TEST_TMPDIR"))
        self.addCleanup(folder.cleanup)
        self.work = Path(folder.name)
        found = corpus.find(self.work)
        if found is None:
            self.skipTest("no corpus: ODO_CORPUS_DIR is not set")
        self.corpus = found


class GuestDigestTest(_CorpusCase):
    def run_front_door(self, image: str, script: str) -> tuple[int, bytes, str]:
        """`./odo boot --disk IMAGE --run -` as a person would call it."""
        program = (
            "import sys; from tools.front import boot; "
            "sys.exit(boot.main(sys.argv[1:]))")
        disks = []
        for raw in self.corpus.unpack(image):
            disks += ["--disk", str(raw)]
        result = subprocess.run(
            ["python3", "-B", "-c", program, *disks, "--accel", "tcg",
             "--timeout", str(_BOOT_LIMIT_S), "--run", "-"],
            input=script.encode(), capture_output=True, check=False,
            env={**os.environ, "ODO_KERNEL": _KERNEL, "ODO_CALLER_DIR": "."})
        return result.returncode, result.stdout, result.stderr.decode(
            errors="replace")

    def test_digests(self) -> None:
        for image in _DIGEST_IMAGES:
            with self.subTest(image=image):
                self.digests(image)

    def digests(self, image: str) -> None:
        script, expected = [], []
        for label, entries in self.corpus.manifest(image)["trees"].items():
            script.append(f"mount vd0@{label}")
            for entry in entries:
                if entry["type"] == "file" and "sha256" in entry:
                    path = corpus.path_bytes(entry)
                    script.append(f"sha256 {quoted(path)}")
                    expected.append(entry["sha256"])
        self.assertTrue(expected)
        status, output, errors = self.run_front_door(image, "\n".join(script))
        self.assertEqual(status, 0, errors)
        digests = [line.lstrip(b"\\")[:64].decode()
                   for line in output.splitlines() if b"  " in line]
        self.assertEqual(digests, expected)


class GuestDamageTest(_CorpusCase):
    def variants(self) -> list[tuple[str, corpus.Json]]:
        every = 1 if os.environ.get("ODO_LONG") else _SHORT_EVERY
        chosen = []
        for name in self.corpus.patched_names():
            if len(self.corpus.compressed(name)) > 1:
                continue
            chosen += [(name, patch) for patch in self.corpus.patches(name)]
        chosen.sort(key=lambda v: (v[1]["target"], v[1]["id"], v[0]))
        return chosen[::every]

    def answers(self, batch: list[tuple[str, corpus.Json]]) -> list[str]:
        """What the guest said of each variant, all in one boot."""
        script, disks = [], []
        for number, (name, patch) in enumerate(batch):
            raw = self.work / f"variant{number}.img"
            self.corpus.damaged(name, patch, raw)
            disks.append(boot.Disk(raw))
            label = patch.get("pfs") or "DATA"
            script += [f"echo ==variant {number}", f"mount vd{number}@{label}",
                       "ls -l -a -R /", "sha256 -r /", "echo ==end"]
        run = self.work / "run"
        run.write_text("\n".join(script) + "\npoweroff 0\n")
        log = self.work / "log"
        # Both serial ports into one stream, so that errors stand beside the
        # command that they answer.
        arguments = boot.parse(["--accel", "tcg", "--append", "root=none"])
        command = boot.qemu_command(arguments, "tcg", disks, None, None)
        serial = command.index("-serial")
        command[serial:serial + 2] = [
            "-chardev", f"file,id=all,path={log},mux=on",
            "-serial", "chardev:all", "-serial", "chardev:all",
            "-fw_cfg", f"name=opt/odo/run,file={run}"]
        command[command.index(boot.KERNEL)] = _KERNEL
        subprocess.run(command, check=False, timeout=_BOOT_LIMIT_S,
                       stdin=subprocess.DEVNULL)
        for disk in disks:
            disk.path.unlink()
        text = log.read_bytes().decode(errors="replace")
        parts = re.split(r"==variant \d+", text)[1:]
        self.assertEqual(len(parts), len(batch), text[-2000:])
        for part in parts:
            self.assertIn("==end", part, text[-2000:])
        return [part.split("==end")[0] for part in parts]

    def test_damage_is_named(self) -> None:
        variants = self.variants()
        self.assertGreater(len(variants), 50)
        for start in range(0, len(variants), _DISKS_PER_BOOT):
            batch = variants[start:start + _DISKS_PER_BOOT]
            for (name, patch), said in zip(batch, self.answers(batch)):
                with self.subTest(image=name, patch=patch["id"]):
                    self.judge(name, patch, said)

    def judge(self, name: str, patch: corpus.Json, said: str) -> None:
        target = patch["target"]
        errors = [line for line in said.splitlines()
                  if re.search(r"error|mismatch|damaged|not |no |past|beyond|"
                               r"invalid|bad|cannot|short", line)
                  and re.search(r"0x[0-9a-f]+|volume|header", line)]
        if patch.get("no_change"):
            self.assertFalse(errors, said)
        elif "header" in target:
            if patch["newest_usable_header"] is None:
                self.assertRegex(said, r"volume header")
            else:
                self.assertFalse(errors, said)
                self.assertIn("  /", said)
        elif target == "image":
            # QEMU shows a device in whole sectors: a cut inside the last one
            # isn't seen.
            volume = self.corpus.index[name]["volumes"][0]["bytes"]
            if -(-patch["truncate"] // 512) * 512 < volume:
                self.assertRegex(said, r"smaller than its volume|"
                                 r"beyond|cannot|no HAMMER2")
            else:
                self.assertFalse(errors, said)
        elif target in ("freemap block", "unallocated space", "boot area"):
            self.assertFalse(errors, said)
        elif patch["block"].get("methods", "").startswith(("none", "disabled")):
            # No check code: the damage can't be noticed, unless the compressed
            # form breaks. The point is that the guest lived.
            pass
        else:
            offset = f"0x{patch['block']['offset']:x}"
            self.assertTrue(any(offset in line for line in errors),
                            f"{offset} is not named in:\n{said}")


if __name__ == "__main__":
    unittest.main()
