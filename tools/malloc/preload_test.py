# SPDX-License-Identifier: BSD-3-Clause
"""libodomalloc.so under programs that know nothing of it.

Each does the same as without it, with a lane for each CPU and with one for each
thread. preload_checks looks at the functions one by one; programs of Debian's
are skipped where they are not installed.
"""

import contextlib
import dataclasses
import shutil
import subprocess
import tempfile
import time
import unittest
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

_ROOT = Path(__file__).absolute().parents[2]


def _built(name: str) -> Path:
    """Where Bazel has put it: beside this file's root, or below bazel-bin."""
    for folder in (_ROOT, _ROOT / "bazel-bin"):
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"{name} is not built")


_LIBRARY = _built("tools/libodomalloc.so")
_CHECKS = _built("tools/malloc/preload_checks")
_OUR_TESTS = ("lib/kmalloc/host/host_heap_test", "lib/lwkt/scale_test")
_PATH = "/usr/bin:/bin"
_SKIPPED = 77
_TIMEOUT_S = 120

_BASH = """
declare -A count
words=()
for ((i = 0; i < 20000; i++)); do
  word="w$((i * 7919 % 613))"
  count[$word]=$((${count[$word]:-0} + i))
  words+=("$word-$i")
done
for word in "${!count[@]}"; do echo "$word ${count[$word]}"; done | sort
text="${words[*]}"; echo "${#text} ${text//w1/---}" | cksum
shrink() { local s="$1"; while ((${#s} > 9)); do s="${s:1:${#s}/2}"; done
  echo "$s"; }
for ((i = 0; i < 20; i++)); do
  echo "$(shrink "${words[*]:i*100:80}" | tr a-z A-Z)" &
  wait
done
cat <<END | while read -r a b; do echo "$b $a"; done
$(seq -f 'line %g' 300)
END
"""
_PYTHON = """
import hashlib, json, multiprocessing, os, subprocess, sys, threading
def work(seed, out):
    table = {}
    for i in range(20000):
        table[(i * 7919 + seed) % 100003] = str(i) * (i % 7)
    text = json.dumps(sorted(table.items())).encode()
    out[seed] = hashlib.sha256(text).hexdigest()
out = {}
threads = [threading.Thread(target=work, args=(s, out)) for s in range(4)]
for t in threads: t.start()
children = []
for i in range(6):
    child = os.fork()
    if child == 0:
        mine = {}
        work(i, mine)
        os._exit(int(mine[i][:2], 16))
    children.append(child)
    result = subprocess.run([sys.executable, "-c", "print(3 ** 900)"],
                            capture_output=True, text=True, check=True)
    out[100 + i] = result.stdout
for child in children:
    out[child - children[0] + 1000] = None
print([os.waitstatus_to_exitcode(os.waitpid(c, 0)[1]) for c in children])
for t in threads: t.join()
print([out[i] for i in range(4)], out[105])
with multiprocessing.Pool(2) as pool:
    print(sum(map(len, pool.map(str, range(20000)))))
big = {str(i): [i] * (i % 50) for i in range(100000)}
print(len(big), sum(map(len, big.values())))
del big
buffers = [bytearray(1 << 20 << i % 4) for i in range(40)]
print(sum(map(len, buffers)), any(map(any, (b[::4099] for b in buffers))))
"""
_SQL = """
CREATE TABLE a(id INTEGER PRIMARY KEY, n INTEGER, t TEXT);
INSERT INTO a WITH RECURSIVE c(x) AS (SELECT 0 UNION ALL SELECT x+1 FROM c
  WHERE x < 30000) SELECT x, x*7919%30001, printf('%08d row %x', x*31, x) FROM c;
CREATE INDEX a_t ON a(t, n);
UPDATE a SET t = t || ' ' || upper(substr(t, 1, 9)) WHERE id % 3 = 0;
DELETE FROM a WHERE n % 5 = 0;
SELECT count(*), sum(length(x.t || y.t)) FROM a x JOIN a y ON x.n = y.id;
SELECT substr(t, 1, 4), count(*), length(group_concat(t, ';')) FROM a GROUP BY 1;
SELECT length(zeroblob(5000000)), length(hex(randomblob(200000)));
"""
_PERL = """
my %h; my @a;
for my $i (0 .. 60000) {
  my $k = "k" . ($i * 7919 % 5003); $h{$k} .= chr(97 + $i % 26) x ($i % 5);
  push @a, $k if $h{$k} =~ /(.)\\1{3}.*e/;
}
print scalar(@a), " ", join(",", map { "$_=" . length $h{$_} } sort keys %h);
"""


def _cplusplus(functions: int) -> str:
    """Templates, strings and containers to compile, and what they add up to."""
    lines = ["#include <cstdio>", "#include <map>", "#include <string>",
             "#include <vector>",
             "template <int N> struct Box { std::map<std::string, "
             "std::vector<int>> m; int sum() { for (int i = 0; i < N; ++i) "
             "m[std::to_string(i % 7)].push_back(i * N); int s = 0; "
             "for (auto& [k, v] : m) for (int x : v) s += x; return s; } };"]
    lines += [f"int f{i}() {{ return Box<{i + 3}>().sum(); }}"
              for i in range(functions)]
    calls = " + ".join(f"f{i}()" for i in range(functions))
    lines.append(f'int main() {{ std::printf("%d\\n", {calls}); }}')
    return "\n".join(lines) + "\n"


def _program(name: str) -> str:
    path = shutil.which(name, path=_PATH)
    if path is None:
        raise unittest.SkipTest(f"{name} is not installed")
    return path


@dataclasses.dataclass(frozen=True)
class _Ran:
    status: int
    output: bytes
    errors: str


class Preloaded:
    """The cases, for each kind of lanes."""
    # What ODO_MALLOC_LANES says; None: nothing.
    wish: ClassVar[str | None] = None
    # For unittest's own.
    addCleanup: Callable[..., None]
    assertEqual: Callable[..., None]
    assertIn: Callable[..., None]
    assertNotIn: Callable[..., None]
    enterContext: Callable[..., str]
    skipTest: Callable[[str], None]

    def environment(self, preload: bool) -> dict[str, str]:
        environment = {"PATH": _PATH, "LC_ALL": "C.UTF-8", "HOME": "/",
                       "PYTHONMALLOC": "malloc", "PYTHONHASHSEED": "0"}
        if preload:
            environment["LD_PRELOAD"] = str(_LIBRARY)
            if self.wish is not None:
                environment["ODO_MALLOC_LANES"] = self.wish
        return environment

    def run_one(self, command: list[str], text: str = "", preload: bool = True,
                folder: str | None = None) -> _Ran:
        result = subprocess.run(
            command, input=text.encode(), capture_output=True, check=False,
            cwd=folder, env=self.environment(preload), timeout=_TIMEOUT_S)
        errors = result.stderr.decode(errors="replace")
        # The loader only warns.
        self.assertNotIn("cannot be preloaded", errors)
        return _Ran(result.returncode, result.stdout, errors)

    def same(self, command: list[str], text: str = "") -> None:
        """As without it."""
        wanted = self.run_one(command, text, preload=False)
        self.assertEqual(wanted.status, 0, wanted.errors)
        found = self.run_one(command, text)
        self.assertEqual(found.status, 0, found.errors)
        self.assertEqual(found, wanted)

    def folder(self) -> str:
        return self.enterContext(tempfile.TemporaryDirectory(
            prefix="odo-preload-"))

    def check(self, name: str) -> None:
        """One of preload_checks'."""
        ran = self.run_one([str(_CHECKS), name])
        if ran.status == _SKIPPED:
            self.skipTest("can't be done here")
        self.assertEqual((ran.status, ran.errors), (0, ""))

    def test_programs_get_the_lanes_they_ask_for(self) -> None:
        lanes, library = self.run_one([str(_CHECKS), "lanes"]
                                      ).output.decode().split()
        self.assertEqual(library, _LIBRARY.name)
        if self.wish is not None:
            self.assertEqual(lanes, self.wish)
        elif lanes != "cpus":
            self.skipTest("no restartable sequences here")

    def test_bash(self) -> None:
        self.same([_program("bash"), "--norc", "-s"], _BASH)

    def test_dash(self) -> None:
        self.same([_program("dash"), "-c", "for i in $(seq 80); do x=$x$i; "
                   "y=$(echo $x | cksum); done; echo $y; ls / | wc -l"])

    def test_python(self) -> None:
        self.same([_program("python3"), "-S", "-c", _PYTHON])

    def test_perl(self) -> None:
        self.same([_program("perl"), "-e", _PERL])

    def test_sqlite(self) -> None:
        self.same([_program("sqlite3"), "-batch", ":memory:"], _SQL)

    def test_xz_with_threads(self) -> None:
        folder = self.folder()
        text = "".join(f"{i * 7919 % 100003} line\n" for i in range(400_000))
        Path(folder, "text").write_text(text)
        xz = _program("xz")
        for preload in (False, True):
            ran = self.run_one([xz, "-kc1", "-T2", "--block-size=1MiB", "text"],
                               preload=preload, folder=folder)
            self.assertEqual(ran.status, 0, ran.errors)
            Path(folder, f"{preload}.xz").write_bytes(ran.output)
        self.assertEqual(Path(folder, "True.xz").read_bytes(),
                         Path(folder, "False.xz").read_bytes())
        back = self.run_one([xz, "-dc", "-T2", "True.xz"], folder=folder)
        self.assertEqual(back.output, text.encode())

    def compiles(self, compiler: str) -> None:
        """A program comes out as without it, to the byte."""
        path = _program(compiler)
        made = []
        for preload in (False, True):
            folder = self.folder()
            Path(folder, "x.cc").write_text(_cplusplus(60))
            ran = self.run_one([path, "-std=c++17", "-O1", "x.cc", "-o", "x",
                                "-lstdc++"], preload=preload, folder=folder)
            self.assertEqual((ran.status, ran.errors), (0, ""))
            made.append(Path(folder, "x").read_bytes())
            ran = self.run_one(["./x"], preload=preload, folder=folder)
            wanted = sum(n * n * (n - 1) // 2 for n in range(3, 63))
            self.assertEqual(ran, _Ran(0, f"{wanted}\n".encode(), ""))
        self.assertEqual(made[0] == made[1], True)

    def test_gcc(self) -> None:
        self.compiles("gcc")

    def test_gplusplus_12(self) -> None:
        self.compiles("g++-12")

    @contextlib.contextmanager
    def redis(self, folder: str) -> Iterator[Callable[..., str]]:
        """A server, and a function that asks it something."""
        client = _program("redis-cli")
        with subprocess.Popen(
                [_program("redis-server"), "--port", "0", "--unixsocket", "s",
                 "--save", "", "--dir", ".", "--daemonize", "no"],
                cwd=folder, env=self.environment(True),
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT) as server:
            try:
                def ask(*words: str) -> str:
                    ran = self.run_one([client, "-s", "s", *words],
                                       folder=folder)
                    self.assertEqual(ran.status, 0, ran.errors)
                    return ran.output.decode().strip()

                end = time.monotonic() + 20
                while not Path(folder, "s").is_socket():
                    if time.monotonic() > end or server.poll() is not None:
                        raise AssertionError("redis-server does not start")
                    time.sleep(0.02)
                yield ask
                self.run_one([client, "-s", "s", "shutdown", "nosave"],
                             folder=folder)
                self.assertEqual(server.wait(20), 0)
            finally:
                server.kill()

    def test_redis(self) -> None:
        benchmark = _program("redis-benchmark")
        folder = self.folder()
        with self.redis(folder) as ask:
            self.assertEqual(ask("ping"), "PONG")
            ran = self.run_one(
                [benchmark, "-s", "s", "-n", "5000", "-c", "20", "-r", "3000",
                 "-d", "300", "-q", "-t", "set,get,lpush,lpop,sadd,hset,zadd"],
                folder=folder)
            self.assertEqual(ran.status, 0, ran.errors)
            # A fork, while it goes on.
            self.assertIn("started", ask("bgsave"))
            self.assertEqual(ask("eval", """
                for i = 1, 20000 do
                  redis.call('set', 'k' .. i, string.rep('x', i % 500))
                end
                return redis.call('strlen', 'k777')""", "0"), "277")
            end = time.monotonic() + 30
            while "rdb_bgsave_in_progress:1" in ask("info", "persistence"):
                self.assertEqual(time.monotonic() < end, True)
                time.sleep(0.05)
            self.assertIn("rdb_last_bgsave_status:ok",
                          ask("info", "persistence"))
            self.assertEqual(Path(folder, "dump.rdb").is_file(), True)
            self.assertEqual(ask("flushall"), "OK")
            self.assertEqual(ask("dbsize"), "0")

    def test_our_own_tests(self) -> None:
        for name in _OUR_TESTS:
            ran = self.run_one([str(_built(name))])
            self.assertEqual(ran.status, 0, ran.output + ran.errors.encode())


def _add_checks() -> None:
    """A case for each that preload_checks has, so that each is counted."""
    def case(name: str) -> Callable[[Preloaded], None]:
        return lambda self: self.check(name)

    names = subprocess.run([str(_CHECKS), "--list"], capture_output=True,
                           text=True, check=True, timeout=_TIMEOUT_S)
    for name in names.stdout.split():
        if name != "lanes":
            setattr(Preloaded, f"test_check_{name}", case(name))


_add_checks()


class CpuLanesTest(Preloaded, unittest.TestCase):
    """Or what there is where the kernel has no restartable sequences."""


class ThreadLanesTest(Preloaded, unittest.TestCase):
    wish = "threads"


if __name__ == "__main__":
    unittest.main()
