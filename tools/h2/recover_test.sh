#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# `h2 recover` on the genuine image in testdata/: what it writes, and what it
# leaves alone.
set -u
h2=$1 image=$2 manifest=$3
source tools/h2/shell_check.sh

zstd -dqf --long=27 --sparse "$image" -o "$work/raw.img" || exit 1
raw=$work/raw.img
check no-directory 2 'no directory given' "$h2" recover "$raw"
check list 0 '^current  newest  file .* @DATA/one$' "$h2" recover --list "$raw"
check list-pfs 0 '^$' "$h2" recover --list "$raw" @LOCAL
# FIFOs aren't made, and told of.
check recover 1 ', 0 of them with gaps$' "$h2" recover "$raw" "$work/out"
check content 0 '^1$' cat "$work/out/@DATA/one"
check digests 0 '^ok$' python3 -c '
import hashlib, json, os, sys
out, manifest = sys.argv[1:]
for entry in json.load(open(manifest))["trees"]["DATA"]:
    path = out + "/@DATA" + entry["path"]
    if entry["type"] == "file":
        digest = hashlib.sha256(open(path, "rb").read()).hexdigest()
        assert digest == entry["sha256"], path
        assert os.stat(path).st_mtime_ns // 1000 == entry["mtime_us"], path
    if entry["type"] == "symlink":
        assert os.readlink(path) == entry["target"], path
print("ok")' "$work/out" "$manifest"

# What is there stays as it is.
echo mine >"$work/out/@DATA/one"
check again 1 '@DATA/one: File exists$' "$h2" recover "$raw" "$work/out"
check kept 0 '^mine$' cat "$work/out/@DATA/one"
# No link in the folder leads out of it.
mkdir -p "$work/trap" "$work/outside"
ln -s ../outside "$work/trap/@DATA"
check trap 1 '^h2: @DATA/one: ' "$h2" recover "$raw" "$work/trap"
check untouched 0 '^$' ls "$work/outside"
rm -rf "$work/trap" "$work/outside" "$work/out"

# A damaged inode is told of, and everything else comes.
printf 'X' | dd of="$raw" bs=1 seek=$((0x8800000 + 512)) conv=notrunc 2>/dev/null
check damaged 1 '^h2: @DATA: check code mismatch: inode at 0x8800000' \
  "$h2" recover "$raw" "$work/out"
check damaged-rest 0 'deep' ls "$work/out/@DATA"
rm -rf "$work/out" "$raw"

if [[ $failures -ne 0 ]]; then
  echo "$failures failed"
  exit 1
fi
echo "all passed"
