# SPDX-License-Identifier: BSD-3-Clause
"""The runner from its command line to its output, over programs made up."""

import contextlib
import io
import json
import socket
import stat
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from tools.bench import goals, machine, run


def record(name: str, value: float) -> str:
    return json.dumps({"name": name, "value": value, "unit": "instructions",
                       "better": "lower"})


class RunnerTest(unittest.TestCase):

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.goals = self.folder / "goals.json"
        self.goals.write_text('{"boot/a": {"ratio": 2, "better": "lower"}}')

    def program(self, name: str, values: dict[str, float],
                listed: list[str] | None = None) -> Path:
        path = self.folder / name
        path.write_text("\n".join([
            "#!/bin/sh", 'if [ "$1" = --list ]; then',
            *(f"echo {n}" for n in listed or values), "else",
            f"echo >>{path}.ran",
            *(f"echo '{record(n, v)}'" for n, v in values.items()), "fi\n"]))
        path.chmod(stat.S_IRWXU)
        return path

    def run_it(self, *words: object) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = run.main(["--goals", str(self.goals),
                               *(str(word) for word in words)])
        return status, out.getvalue(), err.getvalue()

    def test_table_and_json(self) -> None:
        program = self.program("p", {"boot/a/ours": 10, "boot/a/linux": 30,
                                     "boot/b/ours": 4, "boot/b/linux": 2})
        file = self.folder / "out.json"
        status, out, err = self.run_it("--json", file, "--programs", program)
        self.assertEqual((status, err), (0, ""))
        self.assertIn("3.00x", out)
        data = json.loads(file.read_text())
        self.assertEqual([(r["case"], r["ratio"], r["met"])
                          for r in data["results"]],
                         [("a", 3.0, True), ("b", 0.5, None)])
        self.assertEqual(len(Path(f"{program}.ran").read_text()), 1,
                         "one run gives the figures of all its cases")

    def test_json_path_is_the_callers(self) -> None:
        program = self.program("p", {"boot/a/ours": 1, "boot/a/linux": 3})
        with mock.patch.dict("os.environ",
                             {"ODO_CALLER_DIR": str(self.folder)}):
            self.run_it("--json", "mine.json", "--programs", program)
        self.assertTrue((self.folder / "mine.json").is_file())

    def test_filter_keeps_the_peers(self) -> None:
        program = self.program("p", {"boot/a/ours": 1, "boot/a/linux": 3,
                                     "boot/b/ours": 4, "boot/b/linux": 2})
        _, out, _ = self.run_it("--filter", "boot/a$", "--programs", program)
        self.assertIn("linux 3.00 insn", out)
        self.assertNotIn("boot/b", out)

    def test_a_filtered_program_does_not_run(self) -> None:
        left_out = self.program("q", {"slow/a/ours": 1, "slow/a/linux": 3})
        program = self.program("p", {"boot/a/ours": 1, "boot/a/linux": 3})
        self.run_it("--filter", "^boot", "--programs", left_out, program)
        self.assertFalse(Path(f"{left_out}.ran").exists())

    def test_refuses_before_it_measures(self) -> None:
        lonely = self.program("p", {"boot/a/ours": 1})
        status, _, err = self.run_it("--programs", lonely)
        self.assertEqual(status, 1)
        self.assertIn("no benchmark without its peer", err)
        self.assertFalse(Path(f"{lonely}.ran").exists())

    def test_contenders_run_together(self) -> None:
        status, _, err = self.run_it(
            "--programs", self.program("p", {"boot/a/ours": 1}),
            self.program("q", {"boot/a/linux": 1}))
        self.assertEqual(status, 1)
        self.assertIn("have to run together", err)

    def test_a_failure_leaves_the_others_standing(self) -> None:
        silent = self.program("p", {"boot/a/ours": 1},
                              ["boot/a/ours", "boot/a/linux"])
        good = self.program("q", {"boot/b/ours": 1, "boot/b/linux": 3})
        status, out, err = self.run_it("--programs", silent, good)
        self.assertEqual(status, 1)
        self.assertIn("boot/b", out)
        self.assertIn("boot/a: not every listed contender", err)

    def test_bad_words(self) -> None:
        program = self.program("p", {"boot/a/ours": 1, "boot/a/linux": 3})
        for words, told in ((["--filter", "none"], "no case matches 'none'"),
                            (["--json", "absent/x"], "there is no folder"),
                            (["--goals", "absent"], "absent: No such file")):
            with self.subTest(words):
                status, _, err = self.run_it(*words, "--programs", program)
                self.assertEqual(status, 1)
                self.assertIn(told, err)
        for words in (["--filter", "("], []):
            with self.subTest(words), self.assertRaises(SystemExit):
                self.run_it(*words)


class MachineTest(unittest.TestCase):

    def test_reads_the_compiler_out_of_a_binary(self) -> None:
        gcc = b"\0GCC: (Debian 12.2.0-14) 12.2.0\0"
        clang = b"\0Debian clang version 19.1.7 (3~deb12u1)\0"
        self.assertEqual(machine.compiler(gcc + clang),
                         "Debian clang version 19.1.7")
        self.assertEqual(machine.compiler(gcc), "GCC: (Debian 12.2.0-14) "
                         "12.2.0")
        self.assertIsNone(machine.compiler(b"\x7fELF"))

    def test_reads_the_os_name(self) -> None:
        self.assertEqual(machine.os_name('ID=x\nPRETTY_NAME="A 12"\n'), "A 12")

    def test_names_no_host_and_no_path(self) -> None:
        described = machine.describe([])
        self.assertEqual(set(described), {
            "cpu", "cores", "memory_bytes", "virtual", "governor", "os",
            "kernel", "compiler"})
        self.assertNotIn(socket.gethostname(), described.values())
        for value in described.values():
            self.assertFalse(str(value).startswith("/"), value)


class GoalFileTest(unittest.TestCase):

    def test_the_trees_own_goals_are_sound(self) -> None:
        loaded = goals.load(Path("bench/goals.json"))
        boot = goals.find(loaded, "boot/power-on")
        self.assertEqual(boot and boot.ratio, 20)


if __name__ == "__main__":
    unittest.main()
