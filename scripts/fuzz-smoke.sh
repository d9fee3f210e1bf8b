#!/usr/bin/env bash
# Runs every fuzz target from its committed corpus for a few seconds; fails on a crash, an input that takes 5 s, or 1 GB of memory.
set -euo pipefail
built=$("$(dirname "$0")/fuzz-build.sh")
cd "$(dirname "$0")/../fuzz"
seconds=${SECONDS_EACH:-10}

mapfile -t targets < <(sed -n '/^\[\[bin\]\]/,/^$/s/^name *= *"\(.*\)"/\1/p' Cargo.toml)
[ "${#targets[@]}" -gt 0 ] || { echo "fuzz-smoke: fuzz/Cargo.toml names no target" >&2; exit 1; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p artifacts

failed=()
for target in "${targets[@]}"; do
    mkdir -p "$scratch/$target" "corpus/$target"
    log=$scratch/$target.log
    # New inputs go to the first directory; the committed corpus is only read.
    if "$built/$target" "$scratch/$target" "corpus/$target" \
        -max_total_time="$seconds" -timeout=5 -rss_limit_mb=1024 -artifact_prefix="artifacts/$target-" \
        -print_final_stats=1 -verbosity=1 >"$log" 2>&1; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        peak=$(sed -n 's/^stat::peak_rss_mb: *//p' "$log")
        printf 'fuzz-smoke: %-16s %3s inputs committed, %9s run in %s s, %s MB at most\n' \
            "$target" "$(find "corpus/$target" -type f | wc -l)" "$runs" "$seconds" "$peak"
    else
        tail -n 40 "$log" >&2
        printf 'fuzz-smoke: %s FAILED; the input is in fuzz/artifacts\n' "$target" >&2
        failed+=("$target")
    fi
done
[ "${#failed[@]}" -eq 0 ]
