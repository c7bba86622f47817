# Goal: every benchmark runs to its end and prints a figure for each case, as text and as JSON lines.
# Method: the tiny form of each; no figure is judged.
. "$(dirname "$0")/lib.sh"
: "${BUILD:?BUILD is the folder of the build under test}"

ran=0
for source in tests/bench/bench_*.c; do
    name=$(basename "$source" .c)
    run ${RUNNER:-} "$BUILD/tests/bench/$name" --quick
    [ "$status" -ne 77 ] || skip "no io_uring here"
    expect_status 0
    expect_stdout_has '^[0-9]+ cores, .*, Linux '
    cases=$(grep -cE ' ns   \[|not to be had here$' "$work/stdout")
    [ "$cases" -ge 4 ] || fail "at least four cases"
    run ${RUNNER:-} "$BUILD/tests/bench/$name" --quick --json
    expect_status 0
    [ "$(grep -cE '^\{"bench":"[a-z]+","case":".*\}$' "$work/stdout")" -eq "$cases" ] ||
        fail "one JSON line for each of $cases cases"
    if grep -qE 'nan|inf' "$work/stdout"; then
        fail "only numbers"
    fi
    run ${RUNNER:-} "$BUILD/tests/bench/$name" --repetitions 0
    expect_status 2
    ran=$((ran + 1))
done
[ "$ran" -ge 9 ] || fail "nine benchmarks"
exit 0
