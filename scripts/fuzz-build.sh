#!/usr/bin/env bash
# Builds all fuzz targets and prints the directory they are in. Needs no cargo-fuzz: the flags are those it gives for `--sanitizer none`.
set -euo pipefail
cd "$(dirname "$0")/../fuzz"

export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1"
host=$(rustc -vV | sed -n 's/^host: //p')
# A target triple keeps the flags away from build scripts.
cargo build --release --locked --bins --target "$host" --target-dir target >&2
printf '%s\n' "$PWD/target/$host/release"
