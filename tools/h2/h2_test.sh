#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The tool's commands on the genuine image in testdata/, and on bad input.
set -u
h2=$1 image=$2 manifest=$3
source tools/h2/shell_check.sh

check help 0 '^usage: h2 COMMAND' "$h2" --help
for command in $("$h2" --help | sed -n 's/^  \([a-z0-9]*\)  .*/\1/p'); do
  check "help-$command" 0 "^usage: h2 $command" "$h2" "$command" --help
  check "help-of-$command" 0 "^usage: h2 $command" "$h2" help "$command"
done
check info 0 '^free +2004680704 bytes' "$h2" info "$image"
check info-json 0 '"free_bytes": 2004680704' "$h2" info --json "$image"
check pfs 0 '^\* MASTER .* DATA$' "$h2" pfs "$image"
check ls 0 '^big1$' "$h2" ls "$image"
check ls-long 0 '^lrwxrwxrwx .* uni -> →/été$' "$h2" ls -l "$image" /
check ls-all 0 '^-rw-r--r-- .* /deep/x/c$' "$h2" ls -lR "$image" @DATA /
check stat 0 '^type +symlink$' "$h2" stat "$image" /self
check cat 0 '^1$' "$h2" cat "$image" /one
check tree 0 '^│   └── x$' "$h2" tree "$image"
check tree-depth 0 '^4 directories, 10 files$' "$h2" tree --depth=1 "$image"
check tree-link 0 '^├── dangling -> nowhere$' "$h2" tree "$image" @DATA
check find 0 '^/sym/1000$' "$h2" find --name='1*' --type=l "$image" /sym
check find-size 0 '^/big1$' "$h2" find --size=+100k --type f "$image"
check find-links 0 '^/big1$' "$h2" find --links=2 "$image"
check find-none 0 '^$' "$h2" find --newer=2030-01-01 "$image"
check find-bad 2 '^h2: --size takes no .x.' "$h2" find --size=x "$image"
check du 0 '^[0-9]+	/many$' "$h2" du "$image"
check du-human 0 'KiB  /$' "$h2" du -hs "$image"
check du-json 0 '"allocated_bytes": [0-9]+' "$h2" du --json -s "$image"
check snapshots 0 '^$' "$h2" snapshots "$image"
check manifest 0 '^\{"path":"/dangling","type":"symlink","mode":"0777".*"target":"nowhere","size":7,"nlink":1\}$' \
  "$h2" manifest --pfs DATA "$image"
check pfs-flag 0 '^big1$' "$h2" ls --pfs=DATA "$image"
check pfs-twice 2 'two PFSs are named' "$h2" ls --pfs=DATA "$image" @DATA
check volume-surplus 1 'volume' "$h2" info "$image" --volume="$image"
check flags-end 1 '/-l: no such file' "$h2" ls -- "$image" /-l
check man 0 '^\.SH "EXIT STATUS"$' "$h2" man
check completion 0 '^complete -F _h2 h2$' "$h2" completion bash
check completion-works 0 '^manifest$' bash -c \
  'source <("$1" completion bash); COMP_WORDS=(h2 mani) COMP_CWORD=1; _h2; echo "${COMPREPLY[0]}"' \
  - "$h2"
check clean 0 '^2 PFSs, 30 inodes, 7 indirect blocks, 8 data blocks, 71 directory entries; 162.0 KiB proven' \
  "$h2" check "$image"
check clean-json 0 '^ "clean": true,$' "$h2" check --json --threads=2 "$image"

# Every digest of the manifest, and as many files as it has.
"$h2" sha256 -r "$image" / | sort >"$work/ours"
python3 -c '
import json, sys
tree = json.load(open(sys.argv[1]))["trees"]["DATA"]
for e in tree:
    if e["type"] == "file":
        print(e["sha256"] + "  " + e["path"])
' "$manifest" | sort >"$work/theirs"
[[ -s $work/theirs ]] || { echo "FAILED: no digests in the manifest"; exit 1; }
check digests 0 '^$' diff "$work/ours" "$work/theirs"
check json 0 '^ok$' python3 -c '
import json, subprocess, sys
h2, image, manifest = sys.argv[1:]
ours = json.loads(subprocess.check_output([h2, "ls", "-R", "--json", image, "@DATA", "/"]))
tree = json.load(open(manifest))["trees"]["DATA"]
theirs = {e["path"]: e for e in tree if e["path"] != "/"}
assert len(ours) == len(theirs)
for entry in ours:
    other = theirs[entry["path"]]
    for field in ("type", "mode", "uid", "gid", "mtime_us", "target"):
        assert entry.get(field) == other.get(field), (entry, field)
print("ok")' "$h2" "$image" "$manifest"

# A complete check of a damaged copy: exit codes as fsck(8) has them.
zstd -dqf --long=27 --sparse "$image" -o "$work/raw.img" && {
  damaged=$work/raw.img
  # A byte of the inode of /one, which is the first block there is.
  offset=$((0x8800000 + 512))
  printf 'X' | dd of="$damaged" bs=1 seek=$offset conv=notrunc 2>/dev/null
  check damaged 4 '^error: @DATA /one: check code mismatch: inode at 0x8800000 .* of inode 1024' \
    "$h2" check "$damaged"
  check damaged-json 4 '"path": "/one",' "$h2" check --json "$damaged"
  check damaged-count 4 '^1 errors, 0 warnings' "$h2" check --threads=2 --decode "$damaged"
  truncate -s 100M "$damaged"
  check truncated 4 'device is smaller than its volume' "$h2" check "$damaged"
}
check no-memory 8 'not checked \(anything' "$h2" check --memory=1 "$image"
check check-nothing 8 '/nowhere: No such file or directory$' "$h2" check /nowhere
check check-usage 16 'no image given' "$h2" check

# One clear line and status 1 for damage, 2 for a bad command line.
check loop 1 ': /self: too many symbolic links$' "$h2" cat "$image" /self
check nothing 1 ': /x: no such file or directory$' "$h2" cat "$image" /x
check directory 1 ': /sym: is a directory$' "$h2" cat "$image" /sym
check no-pfs 1 ': @NOPE: no PFS of that label$' "$h2" ls "$image" @NOPE
check no-file 1 '/nowhere: No such file or directory$' "$h2" info /nowhere
head -c 1048576 /dev/urandom >"$work/random"
check random 1 'no HAMMER2 filesystem here' "$h2" info "$work/random"
check check-random 8 'no HAMMER2 volume$' "$h2" check "$work/random"
check command 2 'unknown command: lst' "$h2" lst "$image"
check near 2 'did you mean ls' "$h2" lss "$image"
check flag 2 '`ls` takes no --jsn; did you mean --json; `h2 ls --help`' "$h2" ls --jsn "$image"
check flag-of-others 2 '`ls` takes no --notes' "$h2" ls --notes "$image"
check flag-value 2 '^h2: --depth takes no .x.' "$h2" tree --depth=x "$image"
check check-flag 16 '`check` takes no -R' "$h2" check -R "$image"
check no-path 2 'no path given' "$h2" cat "$image"
check no-image 2 'no image given' "$h2" info

if [[ $failures -ne 0 ]]; then
  echo "$failures failed"
  exit 1
fi
echo "all passed"
