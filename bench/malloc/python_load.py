# SPDX-License-Identifier: BSD-3-Clause
"""Makes and drops objects of many sizes; run with PYTHONMALLOC=malloc, which
sends all of Python's allocations to malloc."""

import json
import sys


class Node:
    """A tree of these is built and forgotten again and again."""

    def __init__(self, depth: int, number: int) -> None:
        self.name = f"node-{depth}-{number}"
        self.children = [Node(depth - 1, number * 3 + n)
                         for n in range(3)] if depth else []

    def size(self) -> int:
        return 1 + sum(child.size() for child in self.children)


def trees(turns: int) -> int:
    kept: list[Node] = []
    total = 0
    for turn in range(turns):
        kept.append(Node(8, turn))
        if len(kept) > 8:
            total += kept.pop(turn % 8).size()
    return total


def texts(turns: int) -> int:
    counts: dict[str, list[int]] = {}
    for turn in range(turns):
        words = " ".join(str(turn * n % 1009) for n in range(1, 40)).split()
        for word in words:
            counts.setdefault(word * (1 + turn % 4), []).append(turn)
        if turn % 500 == 499:
            counts = dict(sorted(counts.items())[::2])
    return len(counts)


def documents(turns: int) -> int:
    total = 0
    for turn in range(turns):
        document = {f"key {n}": {"number": n * turn, "list": [*range(n % 20)],
                                 "text": "x" * (n % 97)} for n in range(300)}
        total += len(json.loads(json.dumps(document)))
    return total


def buffers(turns: int) -> int:
    kept: dict[int, bytearray] = {}
    for turn in range(turns):
        kept[turn % 257] = bytearray(turn * 7919 % 20000)
        kept[turn % 257].extend(b"tail" * (turn % 50))
    return sum(map(len, kept.values()))


def main(scale: int) -> None:
    print(trees(16 * scale // 100), texts(12000 * scale // 100),
          documents(200 * scale // 100), buffers(200000 * scale // 100))


if __name__ == "__main__":
    main(int(sys.argv[1]))
