#!/usr/bin/env bash
# Runs every fuzz target from its committed corpus for a few seconds. Needs no cargo-fuzz:
# the flags are those it gives for `--sanitizer none`.
set -euo pipefail
cd "$(dirname "$0")/../fuzz"
seconds=${SECONDS_EACH:-10}

export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1"
host=$(rustc -vV | sed -n 's/^host: //p')
# A target triple keeps the flags away from build scripts.
cargo build --release --locked --bins --target "$host" --target-dir target

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
    if "target/$host/release/$target" "$scratch/$target" "corpus/$target" \
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
