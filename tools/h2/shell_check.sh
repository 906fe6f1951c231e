# SPDX-License-Identifier: BSD-3-Clause
# What h2's shell tests share; sourced from the repository's root.
work=${TEST_TMPDIR:-$(mktemp -d)}
failures=0

# check NAME EXPECTED-STATUS EXPECTED-TEXT COMMAND...: the output (both streams)
# contains the text, an extended regular expression.
check() {
  local name=$1 status=$2 text=$3 output got
  shift 3
  output=$("$@" 2>&1)
  got=$?
  if [[ $got -ne $status ]] || ! grep -qE -- "$text" <<<"$output"; then
    echo "FAILED $name: status $got, wanted $status and: $text"
    head -5 <<<"$output"
    failures=$((failures + 1))
  fi
}
