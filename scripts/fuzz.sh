#!/usr/bin/env bash
# Runs one fuzz target until it fails or is stopped: scripts/fuzz.sh TARGET [libFuzzer option or input]...
# What it learns stays in fuzz/target/learned and is built upon by the next run; the committed corpus is only read.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
target=${1:?usage: scripts/fuzz.sh TARGET [libFuzzer option or input]...}
shift
[ -f "$root/fuzz/targets/$target.rs" ] || { echo "fuzz: no such target; there are: $(cd "$root/fuzz/targets" && echo *.rs | sed 's/\.rs//g')" >&2; exit 1; }
built=$("$root/scripts/fuzz-build.sh")

options=(-timeout=5 -rss_limit_mb=1024 "-artifact_prefix=$root/fuzz/artifacts/$target-")
mkdir -p "$root/fuzz/artifacts" "$root/fuzz/target/learned/$target"
for argument in "$@"; do
    # An input is replayed alone.
    [ ! -f "$argument" ] || exec "$built/$target" "${options[@]}" "$@"
done
cd "$root/fuzz"
exec "$built/$target" "target/learned/$target" "corpus/$target" "${options[@]}" "$@"
