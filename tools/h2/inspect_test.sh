#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# `h2 show`, `h2 hexdump` and `h2 freemap` on the genuine image in testdata/,
# whole and damaged.
set -u
h2=$1 image=$2
source tools/h2/shell_check.sh

check show 0 '^117 references, 0 bad$' "$h2" show "$image"
check show-path 0 '^7 references, 0 bad$' "$h2" show "$image" @DATA /one
check show-path-entry 0 'dirent.6 .* #1024 file "one"$' "$h2" show "$image" @DATA /one
check show-pfs 0 '^2 references, 0 bad$' "$h2" show "$image" @LOCAL
check show-key 0 '^14 references, 0 bad$' "$h2" show --key=0x407 "$image"
check show-block 0 '^4 references, 0 bad$' "$h2" show --block=0x8800010 "$image"
check show-no-header 1 'no usable volume header|no such file' "$h2" show --header=3 "$image"
check show-clash 2 'exclude each other' "$h2" show --dot --html "$image"
check show-bad-key 2 "not a number: 'x'" "$h2" show --key=x "$image"
check hexdump 0 '^0x0008800058  00 04 00 00 00 00 00 00 +inum = 0x400$' "$h2" hexdump "$image" 0x8800000
check hexdump-inside 0 '^0x8800000, 1024 bytes: inode, .*, good, of inode 1$' "$h2" hexdump "$image" 0x8800123
check hexdump-path 0 '^0x8800000, 1024 bytes: inode 1024$' "$h2" hexdump "$image" @DATA /one
check hexdump-header 0 'magic = 0x48414d3205172011$' "$h2" hexdump "$image" 0
check hexdump-bytes 0 '^0x0008800010 .*\|\.@' "$h2" hexdump "$image" 0x8800000/48
check hexdump-as 0 'inum = 0x400$' "$h2" hexdump --as=inode "$image" 0x8800000/512
check hexdump-range 1 "aren't in a volume" "$h2" hexdump "$image" 0x7fffffffff00/16
check hexdump-word 2 'not an offset and not a path' "$h2" hexdump "$image" nowhere
check hexdump-as-what 2 "not 'x'" "$h2" hexdump --as=x "$image" 0
check freemap 0 '^used +192.0 KiB$' "$h2" freemap "$image"
check freemap-svg 0 '^<svg ' "$h2" freemap --svg=- "$image"

# The same numbers as the volume header keeps, and JSON that is whole.
check json 0 '^ok$' python3 -c '
import json, subprocess, sys, struct, zlib
from html.parser import HTMLParser
h2, image, work = sys.argv[1:]
def run(*words):
    return subprocess.check_output([h2, *words])
info = json.loads(run("info", "--json", image))
free = json.loads(run("freemap", "--json", f"--png={work}/map.png", image))
counted = json.loads(run("check", "--json", image))
assert free["free_bytes"] == counted["totals"]["free_bytes"]
assert sum(free[k + "_bytes"] for k in ("free", "reserved", "possibly_free",
    "used", "fixed", "unknown")) == info["total_bytes"]
assert len(free["spans"]) * (4 << 20) == info["total_bytes"]
tree = json.loads(run("show", "--json", image))
def count(node):
    return sum(1 + count(child) for child in node["children"])
assert count(tree) == tree["references"] == 117
fields = json.loads(run("hexdump", "--json", image, "0x8800000"))["fields"]
assert sum(len(f["hex"]) // 2 for f in fields) == 1024
# A picture: its chunks, their CRCs, and as many rows as it says.
png = open(work + "/map.png", "rb").read()
assert png[:8] == b"\x89PNG\r\n\x1a\n"
at, rows = 8, b""
while at < len(png):
    length, kind = struct.unpack(">I4s", png[at:at + 8])
    content = png[at + 8:at + 8 + length]
    (crc,) = struct.unpack(">I", png[at + 8 + length:at + 12 + length])
    assert crc == zlib.crc32(kind + content)
    if kind == b"IHDR":
        width, height = struct.unpack(">II", content[:8])
    if kind == b"IDAT":
        rows += zlib.decompress(content)
    at += 12 + length
assert len(rows) == height * (1 + 3 * width)
# A page whose elements close in order, and a graph with an edge a reference.
class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open = []
    def handle_starttag(self, tag, attrs):
        if tag != "meta":
            self.open.append(tag)
    def handle_endtag(self, tag):
        assert self.open.pop() == tag
page = Page()
page.feed(run("show", "--html", image).decode())
assert not page.open
assert run("show", "--dot", image).decode().count(" -> n") == 117
print("ok")' "$h2" "$image" "$work"
check png-there 1 'map.png: File exists$' "$h2" freemap --png="$work/map.png" "$image"

zstd -dqf --long=27 --sparse "$image" -o "$work/raw.img" && {
  damaged=$work/raw.img
  printf 'X' | dd of="$damaged" bs=1 seek=$((0x8800000 + 512)) conv=notrunc 2>/dev/null
  check bad 1 'inode.0 0x8800000 .* bad: check code mismatch$' "$h2" show "$damaged"
  check bad-count 1 '^117 references, 1 bad$' "$h2" show "$damaged"
  printf 'X' | dd of="$damaged" bs=1 seek=$((0x10000 + 64)) conv=notrunc 2>/dev/null
  check bad-freemap 1 'freemap leaf at 0x10000' "$h2" freemap "$damaged"
  # No header is usable any more: a mended one is.
  for i in 0 1 2 3; do
    printf 'X' | dd of="$damaged" bs=1 seek=$((i * 2147483648 + 3000)) conv=notrunc 2>/dev/null
  done
  check mended 1 '^volume header 0 at 0x0 \(mended\)' "$h2" show "$damaged"
  rm -f "$damaged"
}

if [[ $failures -ne 0 ]]; then
  echo "$failures failed"
  exit 1
fi
echo "all passed"
