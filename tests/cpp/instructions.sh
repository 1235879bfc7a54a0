#!/bin/sh
# instructions.sh no|some PATTERN OBJECT...: whether vector instructions of the objects use registers such as ymm.
set -eu
wanted=$1 registers=$2
shift 2
listing=$(mktemp)
trap 'rm -f "$listing"' EXIT
"$OBJDUMP" --disassemble --no-show-raw-insn "$@" >"$listing"
found=$(grep -c -E "	v[a-z0-9]+ .*%($registers)" "$listing" || true)
echo "$found instructions with $registers in $# objects, $(wc -l <"$listing") lines"
if [ "$wanted" = no ]; then test "$found" -eq 0; else test "$found" -gt 0; fi
