# SPDX-License-Identifier: BSD-3-Clause
"""Turns the linked kernel's names into the symbol table inside the kernel.

Reads `llvm-nm --numeric-sort --defined-only --demangle` (optionally with
`--print-size`) on standard input, writes an assembly source on standard output
whose `.symbols` section has the form that symbol_table.h describes. No input
gives an empty table: the first of the two links.
"""

import re
import sys

BASE = 0xFFFFFFFF80000000  # kernel_offset in kernel.ld
MAGIC = 0x534F444F  # "ODOS"
# Long template arguments tell a reader nothing that the address does not.
MAX_NAME = 160

LINE = re.compile(
    r"^(?P<address>[0-9a-f]{16})(?: (?P<size>[0-9a-f]{16}))? (?P<kind>\S) (?P<name>.+)$"
)


# The linker script's own marks are no functions, though they look like some.
MARK = re.compile(r"^(kernel|text|rodata|data|symbols|boot)_(used_)?(begin|end)$")


def read_symbols(lines):
    """Functions in address order, one name an address: (offset, size, name)."""
    symbols = {}
    text_end = 0
    for line in lines:
        match = LINE.match(line.rstrip("\n"))
        if not match:
            continue
        offset = int(match["address"], 16) - BASE
        name = match["name"]
        if name == "text_end":
            text_end = offset
        if match["kind"] not in "tTwW" or MARK.match(name):
            continue
        if not 0 <= offset < 1 << 31:
            continue  # boot code runs before there is a table to look in
        size = int(match["size"] or "0", 16)
        if len(name) > MAX_NAME:
            name = name[: MAX_NAME - 3] + "..."
        # Of aliases the sized one is the function itself.
        if offset not in symbols or symbols[offset][0] < size:
            symbols[offset] = (size, name)
    # Without a size a function reaches up to the next, or to the text's end.
    ends = sorted(symbols)[1:] + [text_end]
    return [
        (offset, size or max(end - offset, 0), name)
        for (offset, (size, name)), end in zip(sorted(symbols.items()), ends)
    ]


def quote(name):
    return "".join(
        c if c.isascii() and c.isalnum() or c in " _:<>(),*&=~+-./[]{}!|^%?'#@$;" else "\\%03o" % b
        for b in name.encode("utf-8")
        for c in [chr(b)]
    )


def main():
    symbols = read_symbols(sys.stdin)
    out = [
        '.section .symbols,"a",@progbits',
        ".balign 8",
        ".long 0x%x" % MAGIC,
        ".long %d" % len(symbols),
    ]
    text = []
    places = {}
    at = 0
    for offset, size, name in symbols:
        if name not in places:
            places[name] = at
            text.append('.asciz "%s"' % quote(name))
            at += len(name.encode("utf-8")) + 1
        out.append(".long 0x%x,%d,%d" % (offset, size, places[name]))
    print("\n".join(out + text))


if __name__ == "__main__":
    main()
