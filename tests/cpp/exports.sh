#!/bin/sh
# A kernel object exports its tables for float32 and float64, and no weak symbol.
set -eu
exported=$("$NM" --demangle --defined-only --extern-only "$1")
printf '%s\n%s\n' "$1" "$exported"
test "$(printf '%s\n' "$exported" | grep -c .)" -eq 2
test "$(printf '%s\n' "$exported" | grep -cE ' [DR] bptt::[a-z0-9]+::float(32|64)$')" -eq 2
if "$NM" "$1" | grep -E ' [WwVvu] '; then exit 1; fi
