# SPDX-License-Identifier: BSD-3-Clause
"""The same random operations on paths, in two folders that must agree.

Names are few and meet: operations fail as often as they succeed, and how they
fail is compared too. Paths lead through symlinks, loops, files and folders that
aren't there.
"""

import ctypes
import hashlib
import os
import random
import stat
from collections.abc import Callable
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_AT_FDCWD = -100
# A time before this was set by us; others are only "now".
_NOW_NS = 1_500_000_000 * 10**9

Act = Callable[[str], object]


def rename(old: str, new: str, flags: int) -> None:
    if _LIBC.renameat2(_AT_FDCWD, os.fsencode(old), _AT_FDCWD,
                       os.fsencode(new), flags) != 0:
        raise OSError(ctypes.get_errno(), "renameat2")


def status_of(path: str, follow: bool = False) -> tuple:
    """All that two file systems must agree about."""
    status = os.stat(path, follow_symlinks=follow)
    folder = stat.S_ISDIR(status.st_mode)
    time = status.st_mtime_ns
    return (oct(status.st_mode), status.st_uid, status.st_gid,
            None if folder else status.st_nlink,
            None if folder else status.st_size,
            time if time < _NOW_NS else "now",
            status.st_rdev if stat.S_ISCHR(status.st_mode) else None)


def describe(root: Path) -> dict[str, tuple]:
    tree = {}
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            path = os.path.join(folder, name)
            content: object = None
            if os.path.islink(path):
                content = os.readlink(path)
            elif os.path.isfile(path):
                data = Path(path).read_bytes()
                content = hashlib.sha256(data).hexdigest()
            tree[os.path.relpath(path, root)] = (*status_of(path), content)
    return tree


class Twin:
    """Does one thing in two places, and wants one outcome."""

    def __init__(self, places: tuple[Path, Path], seed: int) -> None:
        self.places = places
        self.random = random.Random(seed)
        self.done = 0
        self.failed = 0

    def name(self) -> str:
        path = self.inner_name()
        # Upwards of what can't be above the folder, as no symlink leads there.
        return path + "/.." if self.random.random() < 0.02 else path

    def inner_name(self) -> str:
        draw = self.random
        kind = draw.random()
        if kind < 0.02:
            return "n" * draw.choice((63, 64, 65, 255, 256))
        depth = draw.choice((1, 1, 2, 2, 3))
        path = "/".join(draw.choice("abcde") for _ in range(depth))
        if kind < 0.06:
            path += draw.choice(("/", "/."))
        elif kind < 0.08:
            path += "/" + "m" * draw.choice((60, 255, 256))
        return path

    def target(self) -> str:
        draw = self.random
        return draw.choice((self.inner_name(), self.inner_name(), "",
                            "gone", "long/" * 100, "t" * 4095, "t" * 4096))

    def step(self) -> None:
        what, act = self.operation()
        outcomes = []
        for place in self.places:
            try:
                outcomes.append(("done", act(f"{place}/")))
            except OSError as error:
                outcomes.append(("failed", error.errno))
        if outcomes[0] != outcomes[1]:
            raise AssertionError(f"{what}: {str(outcomes)[:500]}")
        if outcomes[0][0] == "done":
            self.done += 1
        else:
            self.failed += 1

    def operation(self) -> tuple[tuple, Act]:
        """One operation, and words for it."""
        draw = self.random
        one, other = self.name(), self.name()
        size = draw.choice((0, 1, 511, 512, 513, 1024, 65536, 65537, 150_000))
        data = draw.randbytes(size)
        offset = draw.choice((0, 0, 0, 1, 512, 65535, 100_000))
        mode = draw.randrange(0o10000)
        time = draw.randrange(10**6, 1 << 50) * 1000
        flags = draw.choice((os.O_RDONLY, os.O_WRONLY, os.O_RDWR))
        for flag in (os.O_CREAT, os.O_CREAT, os.O_EXCL, os.O_TRUNC,
                     os.O_APPEND, os.O_NOFOLLOW, os.O_DIRECTORY):
            if draw.random() < (0.5 if flag == os.O_CREAT else 0.15):
                flags |= flag
        # Linux itself changed its mind about the two together.
        if flags & os.O_CREAT:
            flags &= ~os.O_DIRECTORY
        target = self.target()
        exchange = draw.choice((0, 0, 0, 1, 2))
        follow = draw.random() < 0.5
        node = draw.choice((stat.S_IFREG, stat.S_IFIFO, stat.S_IFSOCK))

        def write(at: str) -> object:
            # FIFOs would wait for the other end.
            descriptor = os.open(at + one, flags | os.O_NONBLOCK, mode & 0o7777)
            try:
                if data:
                    os.lseek(descriptor, offset, os.SEEK_SET)
                    os.write(descriptor, data)
                return os.fstat(descriptor).st_size if stat.S_ISREG(
                    os.fstat(descriptor).st_mode) else None
            finally:
                os.close(descriptor)

        def read(at: str) -> bytes:
            descriptor = os.open(at + one, os.O_RDONLY | os.O_NONBLOCK)
            try:
                return os.pread(descriptor, 200_000, offset)
            finally:
                os.close(descriptor)

        def held(at: str) -> tuple:
            # What is open outlives its name, or its name's new owner.
            with open(at + one, "r+b") as file:
                os.rename(at + other, at + one)
                file.seek(offset)
                file.write(data)
                file.flush()
                file.seek(0)
                return file.read(), os.fstat(file.fileno()).st_nlink

        def zeros(at: str) -> None:
            # Over what is there: a whole block of them may become a hole.
            descriptor = os.open(at + one, os.O_RDWR | os.O_NONBLOCK)
            try:
                end = min(os.fstat(descriptor).st_size, offset + size)
                if end > offset:
                    os.pwrite(descriptor, bytes(end - offset), offset)
            finally:
                os.close(descriptor)

        def unlinked(at: str) -> bytes:
            # A file that is open outlives its name.
            with open(at + one, "r+b") as file:
                os.unlink(at + one)
                file.seek(offset)
                file.write(data)
                file.seek(0)
                return file.read()

        def truncate(at: str) -> None:
            # To the size that it has, Linux may leave the time alone.
            if os.path.isfile(at + one) and os.path.getsize(at + one) == size:
                return
            os.truncate(at + one, size)

        def create_mode(at: str) -> None:
            os.mkdir(at + one, mode & 0o7777)

        kinds: list[tuple[str, int, Act]] = [
            ("open and write", 5, write),
            ("read", 2, read),
            ("rename under a held file", 1, held),
            ("write zeros", 1, zeros),
            ("write to a file that is unlinked", 1, unlinked),
            ("mkdir", 3, create_mode),
            ("rmdir", 2, lambda at: os.rmdir(at + one)),
            ("unlink", 2, lambda at: os.unlink(at + one)),
            ("rename", 5, lambda at: rename(at + one, at + other, exchange)),
            ("link", 3, lambda at: os.link(at + one, at + other,
                                           follow_symlinks=follow)),
            ("symlink", 2, lambda at: os.symlink(target, at + one)),
            ("readlink", 1, lambda at: os.readlink(at + one)),
            ("truncate", 2, truncate),
            ("chmod", 2, lambda at: os.chmod(at + one, mode)),
            ("chown", 1, lambda at: os.chown(at + one, -1, -1,
                                             follow_symlinks=follow)),
            ("utime", 2, lambda at: os.utime(at + one, ns=(time, time),
                                             follow_symlinks=follow)),
            ("mknod", 1, lambda at: os.mknod(at + one, node | mode & 0o777)),
            ("stat", 3, lambda at: status_of(at + one, follow)),
            ("list", 2, lambda at: sorted(os.listdir(at + one))),
        ]
        name, _, act = draw.choices(kinds, [weight for _, weight, _ in kinds])[0]
        return (name, one, other, size, offset, oct(mode), oct(flags),
                target[:20], exchange, follow, oct(node), time), act
