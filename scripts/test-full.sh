#!/bin/bash
# The long tests, at most 40 minutes on two cores: sanitizers, more rounds and seeds, fuzzing, the guest.
#
# Each stage has a time limit and ends with its own "N passed, N failed, N skipped"; the last line is their sum. A
# stage without that line has failed. STAGES="asan fuzz" runs only those.
set -u

jobs=$(nproc)
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
passed=0 failed=0 skipped=0

stage() { # name, minutes, command...
    local name=$1 minutes=$2 started=$SECONDS counts
    shift 2
    case " ${STAGES:-$name} " in *" $name "*) ;; *) return ;; esac
    echo "=== $name ==="
    timeout -k 30 "${minutes}m" "$@" 2>&1 | tee "$log"
    local status=${PIPESTATUS[0]}
    counts=$(grep -aE '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$log" | tail -n 1)
    if [ -n "$counts" ]; then
        # shellcheck disable=SC2086 # words on purpose
        set -- $counts
        passed=$((passed + $1)) failed=$((failed + $3)) skipped=$((skipped + $5))
        [ "$status" -eq 0 ] || [ "$3" -gt 0 ] || failed=$((failed + 1))
    elif [ "$status" -eq 77 ]; then
        echo "SKIP $name: this host cannot"
        skipped=$((skipped + 1))
    else
        echo "=== $name: exit status $status without a result ==="
        failed=$((failed + 1))
    fi
    echo "=== $name: $((SECONDS - started)) s ==="
}

suite() { # CONFIG
    make --no-print-directory -j"$jobs" CONFIG="$1" tests && scripts/run-tests.sh "build/$1"
}

more_rounds() {
    export RMILL_TEST_SCALE=10 RMILL_SIM_SEEDS=3000 RMILL_TEST_TIMEOUT=300
    suite release
}

fuzz() {
    local targets=(tests/fuzz/fuzz_*.c)
    scripts/fuzz.sh $((300 / ${#targets[@]} > 60 ? 60 : 300 / ${#targets[@]}))
}

export -f suite more_rounds fuzz
export jobs
export RMILL_TEST_TIMEOUT=240

stage asan 9 bash -c 'suite asan'
stage tsan 9 bash -c 'suite tsan'
stage rounds 7 bash -c more_rounds
stage fuzz 7 bash -c fuzz
stage guest 7 scripts/guest.sh

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
