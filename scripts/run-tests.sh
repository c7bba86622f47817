#!/bin/bash
# Run every test under BUILD, two at a time: run-tests.sh BUILD
#
# cmocka programs count by test case; a fuzz target's replay of its corpus, a script of tests/cli and
# scripts/check.sh count as one each. A failing program's output is shown in full; skips are listed by name with their reason. The last line
# is always "N passed, N failed, N skipped"; the exit status is 1 when something failed or when nothing ran.
# RMILL_TEST_JOBS (2) and RMILL_TEST_TIMEOUT (seconds for one program, 120) can be set.
set -u

# --- one test: writes RESULTS/NAME.{log,count} ---------------------------------------------------------------
# A test that was begun and neither passed nor was skipped has failed, however its program ended.
count_cmocka() { # log, exit status
    awk -v status="$2" '
        index($0, "[ RUN      ]") { if (open) { failed++ } open = 1; ran++ }
        index($0, "[       OK ]") { passed += open; open = 0 }
        index($0, "[  SKIPPED ]") { skipped += open; open = 0 }
        index($0, "[  FAILED  ]") { failed += open; open = 0 }
        /^SKIP / { reasons++ }
        END {
            failed += open
            if ((status != 0 || ran == 0) && failed == 0) { failed = 1 }
            print passed + 0, failed + 0, skipped + 0, reasons + 0
        }' "$1"
}

CMOCKA_KINDS='unit property stress fault golden sim'

run_one() {
    local kind=${1%%:*} path=${1#*:} status
    local name=${path##*/}
    local log=$RESULTS/$kind-$name.log
    local limit=(timeout -k 10 "${RMILL_TEST_TIMEOUT:-120}")

    case $kind in
    check)
        "$path" "$BUILD" > "$log" 2>&1 < /dev/null
        status=$?
        ;;
    cli)
        "${limit[@]}" bash "$path" > "$log" 2>&1 < /dev/null
        status=$?
        ;;
    replay)
        "${limit[@]}" $RUNNER "$path" "tests/fuzz/corpus/${name#replay_}" > "$log" 2>&1 < /dev/null
        status=$?
        ;;
    *)
        "${limit[@]}" $RUNNER "$path" > "$log" 2>&1 < /dev/null
        status=$?
        ;;
    esac
    if [[ " $CMOCKA_KINDS " == *" $kind "* ]]; then
        count_cmocka "$log" "$status" > "$log.count"
    elif [ "$status" -eq 0 ]; then
        echo 1 0 0 0 > "$log.count"
    elif [ "$status" -eq 77 ]; then
        echo 0 0 1 "$(grep -c '^SKIP ' "$log")" > "$log.count"
    else
        echo 0 1 0 0 > "$log.count"
    fi
    [ "$status" -eq 0 ] || echo "exit status $status$([ "$status" -ne 124 ] || echo ' (time limit)')" >> "$log"
}

if [ "${1:-}" = --one ]; then
    run_one "$2"
    exit 0
fi

# --- all of them ----------------------------------------------------------------------------------------------
BUILD=${1:?usage: run-tests.sh BUILD}
RINGMILL=$(realpath -m "$BUILD/ringmill")
RESULTS=$(mktemp -d) || exit 1
trap 'rm -rf "$RESULTS"' EXIT
RUNNER=
# ThreadSanitizer's shadow memory has no room for the address layouts of some kernels.
case $BUILD in *tsan*) setarch -R true 2> /dev/null && RUNNER='setarch -R' ;; esac
export BUILD RINGMILL RESULTS RUNNER
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_stack_use_after_return=0}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}

# Tests are those whose source is here: a program left behind by a deleted source is not run.
list_tests() {
    local source kind name

    # The tree's own rules are one more test; other builds hold the same sources.
    case $BUILD in *release*) echo check:scripts/check.sh ;; esac
    for kind in $CMOCKA_KINDS; do
        for source in tests/"$kind"/test_*.c; do
            name=$(basename "$source" .c)
            [ -e "$source" ] && echo "$kind:$BUILD/tests/$kind/$name"
        done
    done
    for source in tests/fuzz/fuzz_*.c; do
        name=$(basename "$source" .c)
        [ -e "$source" ] && echo "replay:$BUILD/tests/fuzz/replay_${name#fuzz_}"
    done
    for source in tests/cli/test_*.sh; do
        [ -e "$source" ] && echo "cli:$source"
    done
}

list_tests | xargs -r -d '\n' -n 1 -P "${RMILL_TEST_JOBS:-2}" bash "$0" --one

passed=0 failed=0 skipped=0 silent_skips=0
for count in "$RESULTS"/*.count; do
    [ -e "$count" ] || continue
    read -r p f s reasons < "$count"
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    [ "$s" -le "$reasons" ] || silent_skips=$((silent_skips + s - reasons))
    if [ "$f" -gt 0 ]; then
        name=${count##*/}
        echo "--- FAILED: ${name%.log.count} ---"
        cat "${count%.count}"
    fi
done
cat "$RESULTS"/*.log 2> /dev/null | grep -a '^SKIP ' | sort
[ "$silent_skips" -eq 0 ] || echo "SKIP: $silent_skips without a reason"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
