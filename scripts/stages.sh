#!/usr/bin/env bash
# Runs make targets one after the other, all of them even when one fails, and closes
# with a table of results, times and test counts. Ends non-zero when any failed.
set -euo pipefail
cd "$(dirname "$0")/.."
logs=${CARGO_TARGET_DIR:-target}/stages
mkdir -p "$logs"

# What nextest ("12 tests run: 11 passed, 1 failed") says, or else the sum of what
# cargo test ("test result: ok. 11 passed; 1 failed") says.
count() { # FILE WORD
    local lines
    lines=$(grep -E '^ *Summary .* tests? run: ' "$1" || grep -E '^test result: ' "$1" || true)
    { grep -oE "[0-9]+ $2" <<<"$lines" || true; } | awk '{ sum += $1 } END { print sum + 0 }'
}

table='' failed='' passed_tests=0 failed_tests=0 begun=$SECONDS
for stage in "$@"; do
    printf '\n== make %s\n' "$stage"
    log=$logs/$stage.log
    started=$SECONDS
    result=passed
    make --no-print-directory "$stage" 2>&1 | tee "$log" || result=FAILED
    good=$(count "$log" passed)
    bad=$(count "$log" failed)
    flaky=$(count "$log" flaky)
    tests=-
    [ $((good + bad)) -eq 0 ] || tests="$good passed, $bad failed"
    [ "$flaky" -eq 0 ] || tests+=", $flaky only when tried again"
    passed_tests=$((passed_tests + good))
    failed_tests=$((failed_tests + bad))
    [ "$result" = passed ] || failed=yes
    table+=$(printf '%-12s %-8s %6d s   %s' "$stage" "$result" $((SECONDS - started)) "$tests")$'\n'
done

printf '\n%-12s %-8s %8s   %s\n%s' stage result time tests "$table"
printf '%d tests passed, %d failed, in %d s\n' "$passed_tests" "$failed_tests" $((SECONDS - begun))
if [ -n "$failed" ]; then
    echo "make test: FAILED"
    exit 1
fi
echo "make test: passed"
