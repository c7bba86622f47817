#!/bin/bash
# Run every fuzz target under libFuzzer with AddressSanitizer: fuzz.sh SECONDS_EACH [NAME...]
#
# Each target starts from a copy of tests/fuzz/corpus/NAME in build/fuzz/corpus/NAME and grows it there. An input
# that breaks a target is kept in build/fuzz/found/ and named: minimise it, add it to the corpus, mend the code.
set -u

seconds=${1:?usage: fuzz.sh SECONDS_EACH [NAME...]}
shift
scripts/deps.sh build full || exit 1
make --no-print-directory -j"$(nproc)" CONFIG=fuzz CC=clang fuzz-targets || exit 1

names=("$@")
if [ ${#names[@]} -eq 0 ]; then
    for source in tests/fuzz/fuzz_*.c; do
        [ -e "$source" ] && names+=("$(basename "${source#tests/fuzz/fuzz_}" .c)")
    done
fi
passed=0 failed=0
for name in "${names[@]}"; do
    corpus=build/fuzz/corpus/$name
    mkdir -p "$corpus" build/fuzz/found
    [ ! -d "tests/fuzz/corpus/$name" ] || cp -r "tests/fuzz/corpus/$name/." "$corpus/"
    log=build/fuzz/$name.log
    echo "fuzz $name: $seconds s"
    if build/fuzz/tests/fuzz/replay_"$name" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 \
        -print_final_stats=1 -artifact_prefix="build/fuzz/found/$name-" "$corpus" > "$log" 2>&1; then
        grep -aE 'stat::number_of_executed_units|stat::average_exec_per_sec' "$log"
        passed=$((passed + 1))
    else
        cat "$log"
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
