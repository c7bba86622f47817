# tests/cli/lib.sh — what every end-to-end test of the program shares; sourced, never run.
#
#     . "$(dirname "$0")/lib.sh"
#     run "$RINGMILL" help nothing
#     expect_status 2
#     expect_stdout ''
#     expect_stderr "ringmill help: no command 'nothing'; see ringmill help"
#
# `run` keeps the exit status in $status and the output in $work/stdout and $work/stderr. The first expectation
# that fails shows the command and what it printed, and ends the script. $work is a fresh folder, removed at the end.
set -u
: "${RINGMILL:?RINGMILL is the path of the program under test}"
export LC_ALL=C.UTF-8
unset RINGMILL_CORES

work=$(mktemp -d "${TMPDIR:-/tmp}/ringmill-cli-XXXXXX") || exit 1
trap 'chmod -R u+rwx "$work" 2> /dev/null; rm -rf "$work"' EXIT
command_shown= status=

run() {
    command_shown=$*
    "$@" > "$work/stdout" 2> "$work/stderr" < /dev/null
    status=$?
}

fail() {
    {
        echo "FAILED at ${BASH_SOURCE[-1]##*/}:${BASH_LINENO[-2]}: $1"
        echo "command: $command_shown"
        echo "exit status: $status"
        echo "--- stdout"
        head -c 4000 "$work/stdout" 2> /dev/null
        echo "--- stderr"
        head -c 4000 "$work/stderr" 2> /dev/null
    } >&2
    exit 1
}

# skip REASON — this host cannot run this script.
skip() {
    echo "SKIP $(basename "$0" .sh): $1"
    exit 77
}

expect_status() {
    [ "$status" -eq "$1" ] || fail "expected exit status $1"
}

# The whole stream, without the newline at its end.
expect_stdout() {
    [ "$(cat "$work/stdout")" = "$1" ] || fail "expected on stdout: $1"
}

expect_stderr() {
    [ "$(cat "$work/stderr")" = "$1" ] || fail "expected on stderr: $1"
}

# A line that matches an extended regular expression.
expect_stdout_has() {
    grep -qE -- "$1" "$work/stdout" || fail "expected on stdout a line like: $1"
}

expect_stderr_has() {
    grep -qE -- "$1" "$work/stderr" || fail "expected on stderr a line like: $1"
}

expect_stderr_lines() {
    [ "$(wc -l < "$work/stderr")" -eq "$1" ] || fail "expected $1 line(s) on stderr"
}

# expect_same FILE FILE
expect_same() {
    cmp -- "$1" "$2" || fail "expected equal files: $1 $2"
}
