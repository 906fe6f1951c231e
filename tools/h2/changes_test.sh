#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The commands of h2 that make and change images: what they do is there
# afterwards, and what fails leaves the image as it was.
set -u
h2=$1
source tools/h2/shell_check.sh

clean() { check "clean $1" 0 '^0 errors, 0 warnings' "$h2" check "$2"; }
unchanged() {
  local name=$1 image=$2 before
  shift 2
  before=$(sha256sum <"$image")
  check "$name" "$@"
  if [[ $(sha256sum <"$image") != "$before" ]]; then
    echo "FAILED $name: the image has changed"
    failures=$((failures + 1))
  fi
}

img=$work/disk.img
check mkfs 0 '64.0 MiB in 1 volume, PFSs LOCAL, ROOT, HOME' \
  "$h2" mkfs --image_size 64M --label ROOT,HOME "$img"
clean mkfs "$img"
check mkfs-small 1 'too small|smaller' "$h2" mkfs --image_size 16M "$work/s.img"
check mkfs-label 1 'invalid' "$h2" mkfs --image_size 64M --label a/b "$work/s.img"
check mkfs-none 1 'No such file' "$h2" mkfs "$work/missing.img"
check mkfs-two 0 'in 2 volumes' bash -c \
  'truncate -s 1G "$1"; truncate -s 64M "$2"; "$3" mkfs "$1" "$2"' - \
  "$work/v0.img" "$work/v1.img" "$h2"
check two-put 0 '^$' bash -c \
  'echo two | "$3" put --volume "$2" "$1" - /file' - \
  "$work/v0.img" "$work/v1.img" "$h2"
check two-cat 0 '^two$' "$h2" cat "$work/v0.img" "$work/v1.img" @DATA /file
check version-1 0 'in 1 volume' \
  "$h2" mkfs --image_size 64M --format_version 1 "$work/old.img"
check version-1-put 0 '^$' "$h2" mkdir "$work/old.img" /x
clean version-1 "$work/old.img"

# What leads to data is looked at before anything is built on it.
bad=$work/bad.img
check damaged-mkfs 0 'in 1 volume' "$h2" mkfs --image_size 64M "$bad"
check damaged-put 0 '^$' bash -c 'echo text | "$2" put "$1" - /file' - "$bad" "$h2"
inode=$("$h2" show "$bad" |
  sed -n 's/.*inode[.0-9]* \(0x[0-9a-f]*\) .*#1024 file.*/\1/p' | head -n 1)
printf 'damage' | dd of="$bad" bs=1 seek=$((inode + 100)) conv=notrunc status=none
unchanged damaged "$bad" 1 'is damaged: .*check code' "$h2" mkdir "$bad" /x
unchanged damaged-bulkfree "$bad" 1 'is damaged' "$h2" bulkfree "$bad"
check damaged-anyway 0 '^$' "$h2" mkdir --damaged "$bad" /x
check damaged-ls 1 '^x$' "$h2" ls "$bad"

check mkdir 0 '^$' "$h2" mkdir --parents "$img" @ROOT /a/b/c
echo hello >"$work/hello"
check put 0 '^$' "$h2" put "$img" @ROOT "$work/hello" /a/b
check cp 0 '^$' "$h2" cp "$img" @ROOT /a/b/hello /a/copy
check ln 0 '^$' "$h2" ln "$img" @ROOT /a/copy /a/second
check ln-s 0 '^$' "$h2" ln --symbolic "$img" @ROOT ../x /a/link
check mv 0 '^$' "$h2" mv "$img" @ROOT /a/copy /a/b/moved
check chmod 0 '^$' "$h2" chmod "$img" @ROOT 4711 /a/second
check chown 0 '^$' "$h2" chown "$img" @ROOT 12:34 /a/second
check ls 0 '^-rws--x--x +2 +12 +34 +6 .* /a/b/moved$' "$h2" ls -lR "$img" @ROOT /
check link 0 '/a/link -> \.\./x$' "$h2" ls -lR "$img" @ROOT /
clean edits "$img"

unchanged mkdir-again "$img" 1 '/a: exists already' "$h2" mkdir "$img" @ROOT /a
unchanged rm-full "$img" 1 "/a: directory isn't empty" "$h2" rm "$img" @ROOT /a
unchanged half "$img" 1 '/a: exists already' "$h2" mkdir "$img" @ROOT /new /a
unchanged into-itself "$img" 1 'invalid' "$h2" mv "$img" @ROOT /a /a/b/c
unchanged no-replace "$img" 1 'exists already' \
  "$h2" mv --no_replace "$img" @ROOT /a/second /a/link
unchanged no-pfs "$img" 1 'no PFS of that label' "$h2" mkdir "$img" @NONE /x

check snapshot 0 '^$' "$h2" snapshot "$img" @ROOT monday
check rm 0 '^$' "$h2" rm --recursive "$img" @ROOT /a/b
check truncate 0 '^$' "$h2" truncate "$img" @ROOT 2 /a/second
check now 0 '^he$' bash -c '"$1" cat "$2" @ROOT /a/second; echo' - "$h2" "$img"
check then 0 '^hello$' "$h2" cat "$img" @monday /a/b/hello
clean snapshot "$img"
unchanged snapshot-again "$img" 1 'exists already' \
  "$h2" snapshot "$img" @ROOT monday
check rollback 0 '^$' "$h2" rollback "$img" ROOT monday
check back 0 '^hello$' "$h2" cat "$img" @ROOT /a/b/hello
check rename 0 '^$' "$h2" pfs-rename "$img" monday tuesday
check delete 0 '^$' "$h2" pfs-delete "$img" tuesday
check create 0 '^$' "$h2" pfs-create "$img" NEW
check pfs 0 'MASTER +NONE .* NEW$' "$h2" pfs "$img"
check bulkfree 0 'KiB freed$' "$h2" bulkfree "$img"
check bulkfree-again 0 '^0 bytes freed$' "$h2" bulkfree "$img"
check setcomp 0 '^$' "$h2" setcomp --recursive "$img" @ROOT zlib:9 /a
check setcheck 0 '^$' "$h2" setcheck "$img" @ROOT sha192 /a/b
check methods 0 'zlib, level 9' "$h2" stat "$img" @ROOT /a/b
check bad-method 2 "not a compression: 'lzma'" \
  "$h2" setcomp "$img" @ROOT lzma /a
clean pfs "$img"

# A tree as an image: the same as it was, and the same each time.
tree=$work/tree
mkdir -p "$tree/sub/deeper" && cp "$0" "$tree/sub/script"
head -c 300000 /dev/zero >"$tree/zeros"
seq 1 60000 >"$tree/numbers"
ln "$tree/numbers" "$tree/sub/same" && ln -s ../numbers "$tree/sub/link"
mkfifo "$tree/fifo" && touch -d @1000000 "$tree/sub/deeper" "$tree/numbers"
check create 0 '^$' "$h2" create "$work/tree.img" "$tree"
clean create "$work/tree.img"
check extract 0 '^$' "$h2" extract --to "$work/out" "$work/tree.img"
check same 0 '^$' diff -r --no-dereference -x fifo "$tree" "$work/out"
check links 0 '^2$' stat -c %h "$work/out/numbers"
check times 0 '^1000000$' stat -c %Y "$work/out/sub/deeper"
check zlib 0 '^$' "$h2" create --comp zlib:9 "$work/zlib.img" "$tree"
check zlib-same 0 '^$' "$h2" diff "$work/zlib.img" @DATA "$work/tree.img" @DATA
clean zlib "$work/zlib.img"
head -c 3000000 /dev/urandom >"$work/random"
check trim-put 0 '^$' "$h2" put "$img" @ROOT "$work/random" /random
check trim-rm 0 '^$' "$h2" rm "$img" @ROOT /random
check trim-bulkfree 0 'freed' "$h2" bulkfree "$img"
before=$(stat -c %b "$img")
check trim 0 'MiB given back' "$h2" trim "$img"
check trim-holes 0 '^yes$' bash -c \
  '(($(stat -c %b "$1") + 5000 < $2)) && echo yes' - "$img" "$before"
clean trim "$img"
for threads in 1 3; do
  check "fit $threads" 0 '^$' "$h2" create --fit --reproducible \
    --threads "$threads" "$work/fit$threads.img" "$tree"
done
check reproducible 0 '^$' cmp "$work/fit1.img" "$work/fit3.img"
clean fit "$work/fit1.img"
check small 0 '^16777216$' stat -c %s "$work/fit1.img"
check fit-same 0 '^$' "$h2" diff "$work/fit1.img" @DATA "$work/tree.img" @DATA
# What zlib makes half as large once more, and what stays with LZ4.
mkdir "$work/texts" && cp "$tree/numbers" "$work/texts"
head -c 65536 /dev/zero | tr '\0' x >"$work/texts/same"
check dense 0 '^$' "$h2" create --fit "$work/dense.img" "$work/texts"
for method in lz4 zlib; do
  check "dense $method" 0 "data.* xxhash64/$method" "$h2" show "$work/dense.img"
done
check tar 0 '^$' bash -c 'tar --format=posix -cf - -C "$1" . | "$2" create "$3" -' - \
  "$tree" "$h2" "$work/tar.img"
check tar-same 0 '^$' "$h2" diff "$work/tar.img" @DATA "$work/tree.img" @DATA
clean tar "$work/tar.img"
check too-small 1 'no space left' "$h2" create --image_size 32M \
  --comp none "$work/full.img" <(head -c 30000000 /dev/urandom >"$work/big"; \
  tar cf - -C "$work" big)

exit $((failures != 0))
